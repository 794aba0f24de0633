//! `ask`: one answer to standard output.
//!
//! Owns: what is printed when, and the exit status of a one-shot.
//! Refuses: to print anything but the answer on standard output.
//! Invariant: a reader that goes away stops the answer, and what was spent is still settled.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::args::{AskArgs, Shared};
use super::ask_report::{Report, Seen};
use super::output::{self, Gone, Out};
use super::setup::Core;
use super::{input, setup};
use crate::chat::text::{Sanitiser, one_line};
use crate::chat::{Failure, FailureKind, Finish, SafeText};
use crate::protocol::{Answer, Attempt, Command, Event, Handle, Quote, Refused, Route};
use crate::store::{Db, Over};

/// Runs `ask` and returns the exit status.
pub(super) async fn run(shared: &Shared, args: &AskArgs) -> Result<u8, Failure> {
    let prompt = input::prompt(&args.words, &args.files)?;
    if prompt.trim().is_empty() {
        return Err(Failure::new(FailureKind::Usage, "there is nothing to ask")
            .hint("write the prompt after `chat-agent ask`, pipe it in, or name a file with -f"));
    }
    let core = setup::core(shared)?;
    let cost_file = shared.cost_file.as_deref().map(create).transpose()?;
    let mut handle = core.spawn(core.start(shared, false));
    let mut turn = Turn::new(shared, &core, cost_file);
    let first = if shared.estimate {
        Command::Draft { rev: 1, text: prompt.into() }
    } else {
        Command::Send { text: Arc::from(prompt) }
    };
    let _ = handle.commands.send(first).await;
    let status = turn.follow(&mut handle).await;
    let _ = handle.commands.send(Command::Shutdown).await;
    // The channel closes when everything is settled and stored.
    while handle.events.recv().await.is_some() {}
    Ok(status)
}

/// A place for the costs that cannot be written is found out before anything is paid for.
fn create(path: &Path) -> Result<File, Failure> {
    File::create(path)
        .map_err(|error| Failure::new(FailureKind::Usage, format!("cannot write {}: {error}", path.display())))
}

/// The fold over the events of one turn.
struct Turn<'a> {
    shared: &'a Shared,
    out: Out,
    gate: Sanitiser,
    gone: bool,
    cost_file: Option<File>,
    core: &'a Core,
    seen: Seen,
}

impl<'a> Turn<'a> {
    fn new(shared: &'a Shared, core: &'a Core, cost_file: Option<File>) -> Self {
        let (out, gate, seen) = (Out::default(), Sanitiser::default(), Seen::default());
        Self { shared, out, gate, gone: false, cost_file, core, seen }
    }

    /// Prints what comes until the turn is over. Ctrl-C, or a reader gone away, stops the answer.
    async fn follow(&mut self, handle: &mut Handle) -> u8 {
        let mut stops = Stops::new();
        loop {
            let event = tokio::select! {
                event = handle.events.recv() => event,
                () = stops.wait() => {
                    let _ = handle.commands.send(Command::Cancel).await;
                    continue;
                }
            };
            match event {
                Some(Event::Text { text, .. }) if self.streams() => {
                    let safe = self.gate.push(&text);
                    if self.print(&safe).is_err() {
                        let _ = handle.commands.send(Command::Cancel).await;
                    }
                }
                Some(Event::Started(started)) => self.seen.started = Some(started),
                Some(Event::Attempt(attempt)) => self.attempt(attempt),
                Some(Event::Notice(notice)) => output::remark(&notice.text),
                Some(Event::Receipt(receipt)) if self.shared.estimate => {
                    return match &receipt.outcome {
                        Ok(quote) => self.estimated(quote),
                        Err(refused) => self.not_estimated(refused),
                    };
                }
                Some(Event::Finished(answer)) => return self.finished(&answer).await,
                Some(Event::Failed { failure, route, answer }) => {
                    return self.failed(&failure, route.as_ref(), answer.as_deref()).await;
                }
                Some(_) => {}
                None => {
                    let failure = Failure::new(FailureKind::Request, "the program's core ended early")
                        .hint("see the log in the data folder");
                    return self.failed(&failure, None, None).await;
                }
            }
        }
    }

    fn streams(&self) -> bool {
        !self.shared.json && !self.shared.no_stream
    }

    fn print(&mut self, text: &SafeText) -> Result<(), Gone> {
        if self.gone {
            return Ok(());
        }
        let printed = self.out.text(text);
        self.gone = printed.is_err();
        printed
    }

    fn attempt(&mut self, attempt: Attempt) {
        if self.shared.verbose > 0 && attempt.outcome != "ok" {
            let status = attempt.status.map_or_else(String::new, |s| format!(" {s}"));
            output::remark(&format!("{}{status}: {}", attempt.provider, attempt.outcome));
        }
        self.seen.attempts.push(attempt);
    }

    async fn finished(&mut self, answer: &Answer) -> u8 {
        if let Some(failure) = shortfall(answer).filter(|_| !self.gone) {
            return self.failed(&failure, None, Some(answer)).await;
        }
        self.print_answer(answer);
        let report = self.booked(Report::of_answer(answer), Some(answer)).await;
        self.write_reports(&report);
        if self.gone { FailureKind::Request.exit_code() } else { 0 }
    }

    async fn failed(&mut self, failure: &Failure, route: Option<&Route>, answer: Option<&Answer>) -> u8 {
        if let Some(answer) = answer {
            self.print_answer(answer);
        }
        let report = self.booked(Report::of_failure(failure, route, &self.seen, answer), answer).await;
        self.write_reports(&report);
        output::failure(failure);
        failure.kind.exit_code()
    }

    /// The report with all that this run was charged: an attempt that failed may have cost something too.
    async fn booked(&self, report: Report, answer: Option<&Answer>) -> Report {
        let one = answer.is_some() && self.seen.attempts.len() == 1;
        if one || self.seen.attempts.is_empty() {
            return report;
        }
        let run = self.core.gateway.parts().run.clone();
        let look = move |db: &mut Db| Ok((db.sum(Over::Run(&run))?, db.session_of_run(&run)?));
        match self.core.gateway.store().await.cloned() {
            Ok(store) => match store.run(look).await {
                Ok((sum, session)) => report.booked(&sum, session),
                Err(_) => report,
            },
            Err(_) => report,
        }
    }

    fn not_estimated(&self, refused: &Refused) -> u8 {
        if self.shared.json && output::json(&Report::of_refusal(refused)).is_err() {
            output::remark("the report could not be written");
        }
        output::failure(&refused.failure);
        refused.failure.kind.exit_code()
    }

    fn estimated(&mut self, quote: &Quote) -> u8 {
        let report = Report::of_quote(quote);
        let printed = if self.shared.json { output::json(&report) } else { output::report(&estimate_line(quote)) };
        u8::from(printed.is_err())
    }

    /// The rest of the answer: all of it when it was not streamed, the end of the last line when it was.
    fn print_answer(&mut self, answer: &Answer) {
        if self.shared.json {
            return;
        }
        let rest = if self.streams() { self.gate.finish() } else { crate::chat::text::sanitise(&answer.text) };
        if self.print(&rest).is_ok() && !answer.text.is_empty() && !self.gone {
            self.gone = self.out.end_line().is_err();
        }
    }

    fn write_reports(&mut self, report: &Report) {
        if self.shared.json {
            self.gone = output::json(report).is_err();
        }
        if let Some(file) = &mut self.cost_file {
            let line = serde_json::to_string(&report.cost_line()).unwrap_or_default();
            if let Err(error) = writeln!(file, "{line}") {
                output::remark(&format!("the cost file cannot be written: {error}"));
            }
        }
    }
}

/// Why an answer that came to an orderly end is not all that was asked for.
fn shortfall(answer: &Answer) -> Option<Failure> {
    let failure = match &answer.facts.finish {
        Some(Finish::Length) => {
            let cap = answer.facts.estimate.output_cap;
            Failure::new(FailureKind::Cut, format!("the answer was cut at its cap of {cap} tokens"))
                .hint("raise it with --max-output")
        }
        Some(Finish::ContentFilter) => {
            Failure::new(FailureKind::Cut, "the provider's content filter stopped the answer")
                .hint("ask in another way")
        }
        Some(Finish::Interrupted) => Failure::new(FailureKind::Interrupted, "stopped"),
        Some(Finish::Cut) | None => Failure::new(FailureKind::Cut, "the answer ended early").hint("ask again"),
        Some(_) => return None,
    };
    Some(failure)
}

/// The signals that ask a program to end.
struct Stops {
    interrupt: Option<Signal>,
    terminate: Option<Signal>,
    hang_up: Option<Signal>,
}

impl Stops {
    fn new() -> Self {
        let listen = |kind| signal(kind).ok();
        Self {
            interrupt: listen(SignalKind::interrupt()),
            terminate: listen(SignalKind::terminate()),
            hang_up: listen(SignalKind::hangup()),
        }
    }

    async fn wait(&mut self) {
        async fn one(signal: &mut Option<Signal>) {
            match signal {
                Some(signal) => drop(signal.recv().await),
                None => std::future::pending().await,
            }
        }
        tokio::select! {
            () = one(&mut self.interrupt) => {}
            () = one(&mut self.terminate) => {}
            () = one(&mut self.hang_up) => {}
        }
    }
}

/// The receipt in one line: `gpt-5-mini (auto: …) · 2310 in · ~600 out · ≈$0.0018 · max $0.0121`.
fn estimate_line(quote: &Quote) -> String {
    let usd = |amount: Option<crate::chat::Usd>| amount.map_or("n/a".to_owned(), |usd| format!("${}", usd.short()));
    let estimate = &quote.estimate;
    let count = if estimate.exact_count { "" } else { "~" };
    let price = if quote.free {
        "free".to_owned()
    } else {
        format!("≈{} · max {}", usd(estimate.expected_usd), usd(estimate.worst_usd))
    };
    format!(
        "{} ({}) · {count}{} in · ~{} out · {price}\n",
        one_line(&quote.model.to_string()).as_str(),
        quote.route.reason,
        estimate.input_tokens,
        estimate.output_tokens,
    )
}
