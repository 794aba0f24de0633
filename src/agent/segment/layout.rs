//! How a long input is split for a model, which requests that takes, and what they cost together.
//!
//! Owns: the sizes of parts and answers, the levels of joins, the price of the whole, the choice of the model.
//! Refuses: sending; a layout is made before the first request and reserves no money.
//! Invariant: every request of a layout fits the window by our count with a margin; `estimate` is over all of them.

use std::ops::Range;

use super::split::{LEAST, split};
use super::words::Task;
use crate::catalog::Model;
use crate::chat::{Effort, Failure, FailureKind, Message, Params, Role, Usd};
use crate::gateway::{TooLong, WindowShortfall, tokenizer};
use crate::protocol::{Estimate, Fitted, Left};
use crate::router::MINIMUM_OUTPUT;
use crate::tokens::{self, TokenCount, Tokenizer};

/// Tokens of the label before an answer in a join.
const LABEL: u64 = 24;
/// The longest average length of a token over an answer, in bytes, for any tokenizer.
const BYTES_A_TOKEN: u64 = 8;

/// What is asked, and within which limits.
pub(super) struct Job {
    pub(super) task: Task,
    pub(super) system: Option<String>,
    pub(super) params: Params,
    /// The configured cap on an answer.
    pub(super) default_cap: u64,
    /// What one request may cost.
    pub(super) per_request: Option<Usd>,
    /// Any candidate may be taken; otherwise the user chose the model.
    pub(super) auto: bool,
    /// With `auto`: another model may be taken when the limits exclude the first.
    pub(super) downgrade: bool,
}

/// A long input, cut and priced for one model.
#[derive(Debug)]
pub(super) struct SplitLayout {
    pub(super) model: Model,
    pub(super) effort: Option<Effort>,
    pub(super) task: Task,
    /// The parts of the material.
    pub(super) parts: Vec<Range<usize>>,
    /// Which answers are joined, level by level; the last level is one group. A group of one is passed on as it is.
    pub(super) joins: Vec<Vec<Range<usize>>>,
    /// Output cap of the requests on the way, and of the last one.
    pub(super) cap: u64,
    pub(super) last_cap: u64,
    /// All requests together.
    pub(super) estimate: Estimate,
    /// The dearest request.
    dearest: Option<Usd>,
    pub(super) left: Option<Left>,
}

/// Splits and prices for the first model that the limits allow, with shorter answers where longer ones are too dear.
pub(super) fn plan(too_long: &TooLong, job: &Job) -> Result<SplitLayout, Failure> {
    let mut refused = None;
    for room in too_long
        .shortfalls
        .iter()
        .filter(|room| !job.auto || room.model.price.is_some())
    {
        if let Some(failure) = chat_too_long(room, job) {
            return Err(failure);
        }
        let mut why = None;
        for (cap, last_cap) in caps(room, job) {
            match layout_for(room, job, cap, last_cap)
                .and_then(|layout| layout.affordable(job.per_request))
            {
                Ok(layout) => return Ok(layout),
                // The last attempt is the cheapest: report that one.
                Err(failure) => why = Some(failure),
            }
        }
        refused = refused.or(why);
        if !job.downgrade {
            break;
        }
    }
    Err(refused.unwrap_or_else(|| {
        Failure::new(
            FailureKind::Usage,
            "no model with a known price has a window to fill",
        )
    }))
}

/// When the question alone fits the window, splitting it does not help.
fn chat_too_long(room: &WindowShortfall, job: &Job) -> Option<Failure> {
    let alone = sent(
        job,
        tokenizer(&room.model),
        &job.task.clone().undivided().material,
    )
    .tokens;
    let least = job.params.max_output.unwrap_or(MINIMUM_OUTPUT);
    let fits = alone.saturating_add(least) <= window(&room.model);
    fits.then(|| {
        let message = format!("the question fits {} by itself; what was said before is too long", room.model.id);
        Failure::new(FailureKind::Usage, message)
            .hint("leave out the oldest turns (--on-overflow truncate, in the chat /fit truncate), or start a new chat")
    })
}

/// Tokens that input and output share.
fn window(model: &Model) -> u64 {
    let context = model.context.unwrap_or(u64::MAX);
    context.min(model.max_input.unwrap_or(u64::MAX))
}

/// The output caps to try, for the parts and for the last join: what the user asked for, else shares of the window that
/// get smaller.
fn caps(room: &WindowShortfall, job: &Job) -> Vec<(u64, u64)> {
    if let Some(asked) = job.params.max_output {
        return vec![(asked, asked)];
    }
    let window = window(&room.model);
    let most = room
        .model
        .max_output
        .unwrap_or(u64::MAX)
        .min(job.default_cap);
    let share = |part: u64| (window / part).max(MINIMUM_OUTPUT).min(most);
    let (mut cap, mut last) = (share(8), share(4));
    let mut found = vec![(cap, last)];
    while cap.max(last) > MINIMUM_OUTPUT {
        let less = |cap: u64| (cap / 2).max(MINIMUM_OUTPUT.min(cap));
        (cap, last) = (less(cap), less(last));
        found.push((cap, last));
    }
    found
}

/// The window with a margin: the less we know of the tokenizer, the larger the margin.
fn within(tokenizer: Tokenizer, room: u64) -> u64 {
    let margin = match tokenizer {
        Tokenizer::Known(_) => room / 64,
        Tokenizer::Assumed(_) => room / 32,
        Tokenizer::Guess(_) => room / 4,
    };
    room.saturating_sub(margin + 16)
}

/// What a request with this question counts.
fn sent(job: &Job, tokenizer: Tokenizer, question: &str) -> TokenCount {
    let system = job
        .system
        .iter()
        .map(|text| Message::new(Role::System, text.clone()));
    let messages: Vec<_> = system.chain([Message::new(Role::User, question)]).collect();
    tokens::conversation(tokenizer, &messages)
}

fn layout_for(
    room: &WindowShortfall,
    job: &Job,
    cap: u64,
    last_cap: u64,
) -> Result<SplitLayout, Failure> {
    let model = &room.model;
    let tokenizer = tokenizer(model);
    let input = |cap: u64| {
        let room = model
            .context
            .unwrap_or(u64::MAX)
            .saturating_sub(cap)
            .min(model.max_input.unwrap_or(u64::MAX));
        within(tokenizer, room)
    };
    let frame = |task: &Task| sent(job, tokenizer, &task.part(9_999, 9_999, "")).tokens;
    // An instruction that fills half of every request is treated as material.
    let divided = frame(&job.task) <= input(cap) / 2;
    let task = if divided {
        job.task.clone()
    } else {
        job.task.clone().undivided()
    };
    let limit = input(cap).saturating_sub(frame(&task));
    let join = sent(job, tokenizer, &task.join(&[], 9_999));
    let fan = input(last_cap.max(cap)).saturating_sub(join.tokens) / cap.saturating_add(LABEL);
    if limit < LEAST || fan < 2 {
        return Err(no_room(model, job));
    }
    let count = |text: &str| tokens::count(tokenizer.encoding(), text);
    let parts = split(&task.material, limit, 2, &count);
    let joins = levels(parts.len(), usize::try_from(fan).unwrap_or(usize::MAX));
    let mut sum = LayoutCost::new(room, cap);
    for (at, part) in parts.iter().enumerate() {
        sum.add(
            sent(
                job,
                tokenizer,
                &task.part(at, parts.len(), &task.material[part.clone()]),
            ),
            0,
            cap,
        );
    }
    for (level, groups) in joins.iter().enumerate() {
        let cap = if level + 1 == joins.len() {
            last_cap
        } else {
            cap
        };
        for group in groups.iter().filter(|group| group.len() > 1) {
            sum.add(join, group.len() as u64, cap);
        }
    }
    let (estimate, dearest) = (
        Estimate {
            output_cap: last_cap,
            ..sum.estimate
        },
        sum.dearest,
    );
    Ok(SplitLayout {
        model: model.clone(),
        effort: room.effort,
        task,
        parts,
        joins,
        cap,
        last_cap,
        estimate,
        dearest,
        left: room.left.clone(),
    })
}

fn no_room(model: &Model, job: &Job) -> Failure {
    let failure = Failure::new(
        FailureKind::Usage,
        format!(
            "{} leaves no room for parts beside the instruction, the system message and an answer",
            model.id
        ),
    );
    match job.params.max_output {
        Some(_) => {
            failure.hint("ask for less with --max-output, or choose a model with a larger window")
        }
        None => failure.hint("shorten the system message, or choose a model with a larger window"),
    }
}

/// Groups of at most `fan` answers, level by level, until one is left.
fn levels(parts: usize, fan: usize) -> Vec<Vec<Range<usize>>> {
    let (mut levels, mut left) = (Vec::new(), parts);
    loop {
        let groups = left.div_ceil(fan).max(1);
        levels.push(
            (0..groups)
                .map(|at| at * left / groups..(at + 1) * left / groups)
                .collect(),
        );
        if groups == 1 {
            return levels;
        }
        left = groups;
    }
}

/// Adds up the price of all requests.
struct LayoutCost<'a> {
    room: &'a WindowShortfall,
    tokenizer: Tokenizer,
    /// The output cap of what is joined.
    cap: u64,
    estimate: Estimate,
    dearest: Option<Usd>,
}

impl<'a> LayoutCost<'a> {
    fn new(room: &'a WindowShortfall, cap: u64) -> Self {
        let nothing = room.model.price.as_ref().map(|_| Usd::ZERO);
        let estimate = Estimate {
            input_tokens: 0,
            output_tokens: 0,
            output_cap: 0,
            expected_usd: nothing,
            worst_usd: nothing,
            exact_count: false,
            band_permille: None,
        };
        Self {
            room,
            tokenizer: tokenizer(&room.model),
            cap,
            estimate,
            dearest: nothing,
        }
    }

    /// Adds a request of these tokens and so many answers, each as long as its cap at worst.
    fn add(&mut self, own: TokenCount, answers: u64, cap: u64) {
        let longest = match self.tokenizer {
            Tokenizer::Guess(_) => self.cap.saturating_mul(BYTES_A_TOKEN),
            Tokenizer::Known(_) | Tokenizer::Assumed(_) => self.cap,
        };
        let upper = own
            .upper
            .saturating_add(answers.saturating_mul(longest.saturating_add(LABEL)));
        let usual = self.room.expected_output;
        let input = own
            .tokens
            .saturating_add(answers.saturating_mul(usual.min(self.cap).saturating_add(LABEL / 2)));
        let output = usual.min(cap);
        let sum = &mut self.estimate;
        sum.input_tokens = sum.input_tokens.saturating_add(input);
        sum.output_tokens = sum.output_tokens.saturating_add(output);
        if let Some(price) = &self.room.model.price {
            let worst = price.worst(upper, cap);
            sum.expected_usd = sum
                .expected_usd
                .map(|sum| sum + price.expected(input, output));
            sum.worst_usd = sum.worst_usd.map(|sum| sum + worst);
            self.dearest = self.dearest.max(Some(worst));
        }
    }
}

impl SplitLayout {
    /// The number of requests.
    pub(super) fn requests(&self) -> u64 {
        let joins = self
            .joins
            .iter()
            .flatten()
            .filter(|group| group.len() > 1)
            .count();
        (self.parts.len() + joins) as u64
    }

    pub(super) fn fitted(&self) -> Fitted {
        Fitted::Segmented {
            parts: self.parts.len() as u64,
            requests: self.requests(),
        }
    }

    /// Itself, if the limits allow the worst case of all requests.
    fn affordable(self, per_request: Option<Usd>) -> Result<Self, Failure> {
        if self.model.price.as_ref().is_some_and(|price| price.free) {
            return Ok(self);
        }
        let Some(worst) = self.estimate.worst_usd else {
            let limited = self.left.is_some() || per_request.is_some();
            let unpriced = format!(
                "{} has no known price, so no limit could hold",
                self.model.id
            );
            let failure = Failure::new(FailureKind::Budget, unpriced)
                .hint("give it a price, or free = true, under [[models]] in the configuration");
            return if limited { Err(failure) } else { Ok(self) };
        };
        let requests = self.requests();
        let refuse = |cause: String| {
            Err(Failure::new(
                FailureKind::Budget,
                format!("{}: {cause}; nothing was sent", self.model.id),
            )
            .hint("raise the limit, shorten the input, or choose a cheaper model"))
        };
        let dearest = self.dearest.unwrap_or_default();
        match (&self.left, per_request) {
            (_, Some(limit)) if dearest > limit => refuse(format!(
                "one of the {requests} requests could cost ${}, ${} left for one request",
                dearest.short(),
                limit.max(Usd::ZERO).short()
            )),
            (Some(left), _) if worst > left.usd => refuse(format!(
                "its {requests} requests could cost ${} together, ${} left {}",
                worst.short(),
                left.usd.max(Usd::ZERO).short(),
                left.scope.in_words()
            )),
            _ => Ok(self),
        }
    }
}

#[cfg(test)]
mod tests;
