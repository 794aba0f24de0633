//! A provider that bills what it did, whatever becomes of the answer on the way.
//!
//! Owns: what it answers to a request, by chance: good answers and every way to fail; and the [`Pace`] of its writing.
//! Refuses: to look at anything but the request.
//! Invariant: an honest one bills no more output than the cap it was given, no more input than the prompt can hold, and
//! is never more than two pieces ahead of a reader who may stop it, as a model is that writes at the speed of a model.

#![allow(dead_code, reason = "each proof uses its part")]

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use serde_json::json;

use crate::bill::{Dice, prompt_tokens, tag, thinks, words};
use crate::support::server::{Answer, Gate, Request, Step};

/// How the tag of a question ends whose answer is never stopped.
pub const PATIENT: &str = ".patient";
/// Most words in a piece.
const LONGEST: u64 = 24;

/// How far the answers may be written: by their tags, a gate before each piece from the third on.
#[derive(Clone, Default)]
pub struct Pace(Arc<Mutex<HashMap<String, Vec<Gate>>>>);

impl Pace {
    /// The reader has seen so many pieces.
    pub fn seen(&self, tag: &str, pieces: usize) {
        if let Some(gate) = self
            .0
            .lock()
            .unwrap()
            .get(tag)
            .and_then(|gates| gates.get(pieces - 1))
        {
            gate.open();
        }
    }

    fn hold(&self, tag: String, answer: Answer, pieces: usize) -> Answer {
        let gates: Vec<Gate> = (2..pieces).map(|_| Gate::new()).collect();
        let answer = (2..)
            .zip(&gates)
            .fold(answer, |answer, (n, gate)| answer.gate_after(n, gate));
        self.0.lock().unwrap().insert(tag, gates);
        answer
    }
}

/// A good answer, as this throw of the dice has it.
pub fn whole(request: &Request, pace: &Pace, dice: &mut Dice) -> Answer {
    written(request, prompt_tokens(request), pace, dice)
}

/// A good answer with its usage, or a refusal that costs nothing.
pub fn told(request: &Request, pace: &Pace, dice: &mut Dice) -> Answer {
    match dice.below(9) {
        0 => soon(Answer::error(429, "rate_limit_exceeded", "slow down")),
        1 => soon(Answer::error(500, "server_error", "oops")),
        _ => with_usage(request, prompt_tokens(request), pace, dice),
    }
}

/// The next try need not wait.
fn soon(answer: Answer) -> Answer {
    answer.header("retry-after-ms", "1")
}

/// A good answer or a bad one.
pub fn answer(request: &Request, pace: &Pace, dice: &mut Dice) -> Answer {
    let cap = request.cap().unwrap();
    // What it says its own framing took, within what every server has been seen to take.
    let messages = request
        .field("messages")
        .and_then(|messages| messages.as_array())
        .unwrap()
        .len() as u64;
    let prompt = prompt_tokens(request) + dice.from(0, 13 + 2 * messages);
    let refused = match dice.below(20) {
        0 => Some(soon(Answer::error(429, "rate_limit_exceeded", "slow down"))),
        1 => Some(soon(Answer::error(500, "server_error", "oops"))),
        2 => Some(soon(Answer::status(503))),
        // It had the request, and may have answered it: these cost what an answer costs.
        3 => Some(Answer::raw([Step::Reset]).usage(prompt, dice.from(0, cap))),
        4 => Some(Answer::raw([Step::Close]).usage(prompt, dice.from(0, cap))),
        5 => Some(soon(Answer::status(504).usage(prompt, dice.from(0, cap)))),
        6 => Some(
            Answer::status(200)
                .body(&json!({"error": {"message": "no", "code": 500}}))
                .usage(prompt, 0),
        ),
        _ => None,
    };
    refused.unwrap_or_else(|| in_part(request, written(request, prompt, pace, dice), dice))
}

/// A whole answer, at most as long as it may be.
fn written(request: &Request, prompt: u64, pace: &Pace, dice: &mut Dice) -> Answer {
    let answer = with_usage(request, prompt, pace, dice);
    if dice.one_in(8) {
        answer.without_usage()
    } else {
        answer
    }
}

fn with_usage(request: &Request, prompt: u64, pace: &Pace, dice: &mut Dice) -> Answer {
    let cap = request.cap().unwrap();
    let most = if dice.one_in(3) {
        cap
    } else {
        dice.from(1, cap.min(400))
    };
    let thought = if thinks(request.model()) && dice.one_in(2) {
        dice.from(0, most - 1)
    } else {
        0
    };
    let (text, pieces) = cut_up(most - thought, dice);
    let (total, n) = (thought + text, pieces.len());
    let answer = Answer::of_pieces(pieces)
        .usage(prompt, total)
        .reasoning("", thought)
        .cached(dice.below(prompt))
        .finish(if total == cap { "length" } else { "stop" });
    let answer = pace.hold(tag(request), answer, n);
    match dice.below(8) {
        0 => answer.usage_in_every_chunk(),
        1 => answer.without_done(),
        _ => answer,
    }
}

/// About `n` words in pieces of the same length, and how many words that is.
fn cut_up(n: u64, dice: &mut Dice) -> (u64, Vec<String>) {
    let each = dice.from(1, LONGEST).min(n.max(1));
    let pieces = (n / each).max(1);
    (each * pieces, (0..pieces).map(|_| words(each)).collect())
}

/// The same, or as much of it as gets through. When only the connection breaks, the model may continue writing, to
/// its cap.
fn in_part(request: &Request, answer: Answer, dice: &mut Dice) -> Answer {
    let at = usize::try_from(dice.below(12)).unwrap();
    let (way, cap) = (dice.below(14), request.cap().unwrap());
    let at = if way == 0 { 0 } else { at };
    let writes_on = way < 6 && dice.one_in(2) && tag(request).ends_with(PATIENT);
    let answer = if writes_on {
        answer.after(at, [Step::WritesOn(dice.from(1, cap))])
    } else {
        answer
    };
    match way {
        0 => answer.hang_after(0),
        1 => answer.hang_after(at),
        2 => answer.close_after(at),
        3 => answer.reset_after(at),
        4 => answer.end_after(at),
        5 => answer.error_after(
            at,
            &json!({"message": "overloaded", "code": "server_error"}),
        ),
        6 => answer.without_finish(),
        7 => answer.delay_between(1),
        _ => answer,
    }
}

/// One that does not keep to its cap: it writes on, and then tells what that costs or waits to be left.
pub fn beyond_the_cap(request: &Request, dice: &mut Dice) -> Answer {
    let cap = request.cap().unwrap();
    let thought = if thinks(request.model()) && dice.one_in(2) {
        dice.from(0, cap)
    } else {
        0
    };
    let slack = if request.model() == "gpt-4o-mini" {
        cap / 10
    } else {
        cap / 4
    };
    let text = cap + slack + 65 + dice.from(0, 60);
    let last = usize::try_from(text).unwrap();
    let answer = Answer::of_pieces((0..text).map(|_| words(1)))
        .usage(prompt_tokens(request), thought + text)
        .reasoning("", thought)
        .ignore_cap();
    if dice.one_in(2) {
        answer
    } else {
        answer.hang_after(last)
    }
}
