//! What a fast answer costs: frames, and how often a text is laid out.

use std::time::{Duration, Instant};

use super::sample::*;
use crate::chat::Finish;
use crate::protocol::Event;
use crate::tui::app::App;
use crate::tui::frame::FrameClock;
use crate::tui::msg::Msg;
use crate::tui::update::update;

/// A second of an answer, cut into tokens of four bytes.
const TOKENS: u64 = 20_000;

/// What the loop does in `run`, on a clock of our own: one piece at a time, and a frame when it is due.
struct Play {
    app: App,
    clock: FrameClock,
    now: Instant,
    frames: u32,
}

impl Play {
    fn new() -> Self {
        let mut app = open();
        keys(&mut app, "Go on<Enter>");
        core(&mut app, prompted(1, "Go on"));
        core(&mut app, started(2));
        let now = app.now;
        Self {
            app,
            clock: FrameClock::default(),
            now,
            frames: 0,
        }
    }

    fn take(&mut self, event: Event) {
        update(&mut self.app, Msg::Core(Box::new(event)), self.now);
        self.clock.want(self.app.redraw);
        self.draw();
    }

    fn draw(&mut self) {
        if self.clock.due(self.now) {
            screen(&mut self.app, 120, 40);
            self.clock.drawn(self.now, Duration::ZERO);
            self.frames += 1;
        }
    }

    /// Streams `text` at 20,000 tokens a second, with the progress that comes with it, and gives the bytes laid out.
    fn stream(&mut self, text: &str, event: impl Fn(String) -> Event) -> u64 {
        let before = self.app.log.laid_bytes();
        let mut rest = text;
        let mut n = 0;
        while !rest.is_empty() {
            let (piece, after) = rest.split_at(rest.ceil_char_boundary(4.min(rest.len())));
            rest = after;
            self.now += Duration::from_secs(1) / u32::try_from(TOKENS).unwrap();
            self.take(event(piece.to_owned()));
            n += 1;
            if n % 320 == 0 {
                self.take(progress(2));
            }
        }
        self.app.log.laid_bytes() - before
    }
}

fn text(piece: String) -> Event {
    Event::Text {
        id: id(2),
        text: piece,
    }
}

/// At least `length` bytes of `unit` after `unit`, each with its number.
fn repeated(length: usize, unit: impl Fn(usize) -> String) -> String {
    let mut out = String::new();
    for n in 0.. {
        if out.len() >= length {
            break;
        }
        out.push_str(&unit(n));
    }
    out
}

#[test]
fn twenty_thousand_tokens_a_second_are_thirty_frames() {
    let length = usize::try_from(TOKENS).unwrap() * 4;
    let paragraphs = |n| {
        format!("Paragraph {n} takes its argument *by value*, so the string now belongs to it.\n\n")
    };
    let mut play = Play::new();
    let laid = play.stream(&repeated(length, paragraphs), text);
    assert!(
        (28..=32).contains(&play.frames),
        "{} frames in a second",
        play.frames
    );
    assert!(
        laid <= 2 * length as u64,
        "{laid} bytes laid out for {length}"
    );
    // The end is one frame more, and then nothing is wanted.
    play.now += Duration::from_secs(1);
    play.take(finished(2, "", Finish::Stop));
    assert_eq!(play.clock.next(play.now), None);
    assert_eq!(play.app.deadline(), None, "idle is idle");
}

#[test]
fn no_kind_of_text_is_laid_out_over_and_over() {
    let length = usize::try_from(TOKENS).unwrap() * 4;
    let one_line = |n: usize| format!("word {n} goes on ");
    let code = |n: usize| format!("    let a{n} = {n};\n");
    let list = |n: usize| format!("- item {n} of a list without an end\n");
    let soft = |n: usize| format!("line {n} of one paragraph\n");
    for (what, text_of, most) in [
        ("code", format!("```rust\n{}", repeated(length, code)), 2),
        ("a list", repeated(length, list), 4),
        ("one paragraph", repeated(length, soft), 4),
    ] {
        let mut play = Play::new();
        let laid = play.stream(&text_of, text);
        assert!(
            laid <= most * length as u64,
            "{what}: {laid} bytes laid out for {length}, {} times",
            laid / length as u64
        );
    }
    let mut play = Play::new();
    let thought = |piece: String| Event::Reasoning {
        id: id(2),
        text: piece,
    };
    let laid = play.stream(&repeated(length, one_line), thought);
    assert!(
        laid <= 6 * length as u64,
        "reasoning: {laid} bytes laid out for {length}"
    );
    assert!(play.frames <= 32, "{} frames", play.frames);
}
