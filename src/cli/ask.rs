//! `ask`: one answer to standard output.
//!
//! Owns: what is printed when, and the exit status of a one-shot.
//! Refuses: to print anything but the answer on standard output.
//! Invariant: a reader that goes away stops the answer, and what was spent is still settled.

use std::fs::File;
use std::io::{IsTerminal, Write};
use std::path::Path;
use std::time::Duration;

use super::args::{AskArgs, Shared};
use super::ask_report::{AskReport, RunProgress};
use super::input::PromptInput;
use super::output::{self, Gone};
use super::setup::Core;
use super::stdout_writer::StdoutWriter;
use super::stop::StopSignals;
use super::{input, setup};
use crate::agent::Start;
use crate::chat::text::{Sanitiser, one_line};
use crate::chat::{Failure, FailureKind, Finish, ModelId, SafeText, span};
use crate::protocol::{
    Alert, Answer, Attempt, Command, Event, Handle, Kept, Level, Quote, Refused, Route,
};
use crate::store::{ChargeScope, Db, Ledger, ScopeSums};

/// How long standard input is waited for before the user is told.
const PATIENCE: Duration = Duration::from_secs(1);

/// Runs `ask` and returns the exit status.
pub(super) async fn run(shared: &Shared, args: &AskArgs) -> Result<u8, Failure> {
    let (prompt, stops) = gather(args).await?;
    if prompt.text.trim().is_empty() {
        return Err(Failure::new(FailureKind::Usage, "there is nothing to ask")
            .hint("write the prompt after `chat-agent ask`, pipe it in, or name a file with -f"));
    }
    let core = setup::core_of_question(shared)?;
    let mut stops = stops.unwrap_or_else(StopSignals::new);
    if stops.came().await {
        return Err(stopped());
    }
    let cost_file = shared.cost_file.as_deref().map(create).transpose()?;
    let mut handle = core.spawn(Start {
        seam: Some(prompt.seam),
        ..core.start(shared, false)
    });
    let mut run = AskRun::new(shared, &core, cost_file);
    let first = if shared.estimate {
        Command::Draft {
            rev: 1,
            text: prompt.text.into(),
        }
    } else {
        Command::Send {
            text: prompt.text.into(),
        }
    };
    let _ = handle.commands.send(first).await;
    let status = run.follow(&mut handle, &mut stops).await;
    let status = run.written(status, &mut stops).await;
    if shared.estimate && status == FailureKind::Interrupted.exit_code() {
        // Nothing was sent, so there is nothing to settle that would have to be waited for.
        return Ok(status);
    }
    let _ = handle.commands.send(Command::Shutdown).await;
    // The channel closes when everything is settled and stored.
    while let Some(event) = handle.events.recv().await {
        // Notices that come after the answer.
        if let Event::Notice(notice) = event
            && run.shows(notice.level)
        {
            output::remark(&notice.text);
        }
    }
    Ok(status)
}

/// Reads the prompt. When that may take long, a signal ends it, and the returned signals are listened for from then on; at a
/// terminal, a remark says what is waited for.
async fn gather(args: &AskArgs) -> Result<(PromptInput, Option<StopSignals>), Failure> {
    if !input::may_wait(&args.files) {
        return Ok((input::prompt(&args.words, &args.files)?, None));
    }
    let mut stops = StopSignals::new();
    let (words, files) = (args.words.clone(), args.files.clone());
    let mut reading = tokio::task::spawn_blocking(move || input::prompt(&words, &files));
    let mut remark_due = std::io::stderr().is_terminal();
    loop {
        tokio::select! {
            read = &mut reading => {
                let ended = |error| Failure::new(FailureKind::Usage, format!("cannot read standard input: {error}"));
                return Ok((read.map_err(ended)??, Some(stops)));
            }
            () = stops.wait() => return Err(stopped()),
            () = tokio::time::sleep(PATIENCE), if remark_due => {
                output::remark("waiting for the end of standard input; Ctrl-C stops");
                remark_due = false;
            }
        }
    }
}

/// Opens the cost file before anything is paid for, so that a bad path costs nothing.
fn create(path: &Path) -> Result<File, Failure> {
    File::create(path).map_err(|error| {
        Failure::new(
            FailureKind::Usage,
            format!("cannot write {}: {error}", path.display()),
        )
    })
}

/// The fold over the events of one run.
struct AskRun<'a> {
    shared: &'a Shared,
    out: StdoutWriter,
    gate: Sanitiser,
    cost_file: Option<File>,
    core: &'a Core,
    progress: RunProgress,
}

impl<'a> AskRun<'a> {
    fn new(shared: &'a Shared, core: &'a Core, cost_file: Option<File>) -> Self {
        let (out, gate, progress) = (
            StdoutWriter::default(),
            Sanitiser::default(),
            RunProgress::default(),
        );
        Self {
            shared,
            out,
            gate,
            cost_file,
            core,
            progress,
        }
    }

    /// Prints what comes until the run is over. Ctrl-C, or a reader gone away, stops the answer.
    async fn follow(&mut self, handle: &mut Handle, stops: &mut StopSignals) -> u8 {
        loop {
            let event = tokio::select! {
                event = handle.events.recv() => event,
                () = stops.wait() => {
                    if self.shared.estimate {
                        return self.failed(&stopped(), None, None).await;
                    }
                    let _ = handle.commands.send(Command::Cancel).await;
                    continue;
                }
                written = self.out.write_when_ready() => {
                    if written.is_err() {
                        let _ = handle.commands.send(Command::Cancel).await;
                    }
                    continue;
                }
            };
            let Some(event) = event else {
                let failure = Failure::new(FailureKind::Request, "the program's core ended early")
                    .hint("see the log in the data folder");
                return self.failed(&failure, None, None).await;
            };
            if let Some(status) = self.on_event(event, handle).await {
                return status;
            }
        }
    }

    /// Takes one event. Gives the exit status when the run is over.
    async fn on_event(&mut self, event: Event, handle: &Handle) -> Option<u8> {
        match event {
            Event::Text { text, .. } if self.streams() => {
                let safe = self.gate.push(&text);
                if self.print(&safe).is_err() {
                    let _ = handle.commands.send(Command::Cancel).await;
                }
            }
            Event::Started(started) => self.progress.started = Some(started),
            Event::Attempt(attempt) => self.attempt(attempt),
            Event::Receipt(receipt) if self.shared.estimate => {
                return Some(match &receipt.outcome {
                    Ok(quote) => self.estimated(quote),
                    Err(refused) => self.not_estimated(refused),
                });
            }
            Event::Finished(answer) => return Some(self.finished(&answer).await),
            Event::Failed {
                failure,
                route,
                answer,
            } => {
                let status = self.failed(&failure, route.as_ref(), answer.as_deref());
                return Some(status.await);
            }
            other => {
                if let Some(text) = self.remark_on(other) {
                    output::remark(&text);
                }
            }
        }
        None
    }

    /// The line on standard error for an event that deserves one.
    fn remark_on(&self, event: Event) -> Option<String> {
        let verbose = self.shared.verbose > 0;
        match event {
            // Other pauses come with the attempt that they follow.
            Event::Pausing { why, ms: 0 } if verbose => Some(why),
            Event::Notice(notice) if self.shows(notice.level) => Some(notice.text),
            Event::Link(link) if link.plain && verbose => Some(format!(
                "{} is reached by plain http: everybody on the way can read it",
                link.provider
            )),
            Event::Alert(alert) => Some(used_up(&alert)),
            _ => None,
        }
    }

    /// Once the run has begun, information is shown only at a terminal or with `-v`.
    fn shows(&self, level: Level) -> bool {
        let always = level != Level::Info || self.progress.started.is_none();
        always || self.shared.verbose > 0 || std::io::stderr().is_terminal()
    }

    fn streams(&self) -> bool {
        !self.shared.json && !self.shared.no_stream
    }

    fn print(&mut self, text: &SafeText) -> Result<(), Gone> {
        // The writer has reported a reader that has gone.
        if self.out.is_gone() {
            Ok(())
        } else {
            self.out.text(text)
        }
    }

    /// Waits for a reader that is slower than the model, but not against a signal. Gives the exit status.
    async fn written(&mut self, status: u8, stops: &mut StopSignals) -> u8 {
        tokio::select! {
            written = self.out.flush() => match written {
                Err(Gone) if status == 0 => FailureKind::Request.exit_code(),
                _ => status,
            },
            () = stops.wait() => {
                output::failure(&stopped());
                FailureKind::Interrupted.exit_code()
            }
        }
    }

    fn attempt(&mut self, attempt: Attempt) {
        if self.shared.verbose > 0 && attempt.outcome != "ok" {
            let status = attempt.status.map_or_else(String::new, |s| format!(" {s}"));
            output::remark(&format!(
                "{}{status}: {}",
                attempt.provider, attempt.outcome
            ));
        }
        self.progress.attempts.push(attempt);
    }

    async fn finished(&mut self, answer: &Answer) -> u8 {
        if let Some(failure) = shortfall(answer).filter(|_| !self.out.is_gone()) {
            return self.failed(&failure, None, Some(answer)).await;
        }
        self.print_answer(answer);
        let report = self
            .booked(AskReport::of_answer(answer), Some(answer))
            .await;
        self.write_reports(&report);
        0
    }

    async fn failed(
        &mut self,
        failure: &Failure,
        route: Option<&Route>,
        answer: Option<&Answer>,
    ) -> u8 {
        if let Some(answer) = answer {
            self.print_answer(answer);
        }
        let report = self
            .booked(
                AskReport::of_failure(failure, route, &self.progress, answer),
                answer,
            )
            .await;
        self.write_reports(&report);
        output::failure(failure);
        failure.kind.exit_code()
    }

    /// The report with all that this run was charged, for a failed attempt may have cost something too.
    async fn booked(&self, report: AskReport, answer: Option<&Answer>) -> AskReport {
        let report = report.fitted(
            self.progress
                .started
                .as_ref()
                .and_then(|started| started.fitted),
        );
        let one = answer.is_some() && self.progress.attempts.len() == 1;
        if one || self.progress.attempts.is_empty() {
            return report;
        }
        let run = self.core.gateway.parts().run.clone();
        let look = move |db: &mut Db| {
            Ok((
                ScopeSums(db).sum(ChargeScope::Run(&run))?,
                Ledger(db).session_of_run(&run)?,
            ))
        };
        match self.core.gateway.store().await.cloned() {
            Ok(store) => match store.run(look).await {
                Ok((sum, session)) => report.booked(&sum, session),
                Err(_) => report,
            },
            Err(_) => report,
        }
    }

    fn not_estimated(&self, refused: &Refused) -> u8 {
        if self.shared.json && output::json(&AskReport::of_refusal(refused)).is_err() {
            output::remark("the report could not be written");
        }
        output::failure(&refused.failure);
        refused.failure.kind.exit_code()
    }

    fn estimated(&mut self, quote: &Quote) -> u8 {
        let report = AskReport::of_quote(quote);
        if let Some(fitted) = quote.fitted.filter(|_| !self.shared.json) {
            output::remark(&format!("to fit {}: {fitted}", quote.model));
        }
        let printed = if self.shared.json {
            output::json(&report)
        } else {
            output::report(&estimate_line(quote))
        };
        u8::from(printed.is_err())
    }

    /// The rest of the answer: all of it when it was not streamed, the end of the last line when it was.
    fn print_answer(&mut self, answer: &Answer) {
        if self.shared.json {
            return;
        }
        let rest = if self.streams() {
            self.gate.finish()
        } else {
            crate::chat::text::sanitise(&answer.text)
        };
        if self.print(&rest).is_ok() && !answer.text.is_empty() && !self.out.is_gone() {
            // `written` reports a reader that has gone.
            let _ = self.out.end_line();
        }
    }

    fn write_reports(&mut self, report: &AskReport) {
        if self.shared.json {
            let _ = self.out.json(report);
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
            Failure::new(
                FailureKind::Cut,
                format!("the answer was cut at its cap of {cap} tokens"),
            )
            .hint("raise it with --max-output")
        }
        Some(Finish::ContentFilter) => Failure::new(
            FailureKind::Cut,
            "the provider's content filter stopped the answer",
        )
        .hint("ask in another way"),
        Some(Finish::Interrupted) => stopped(),
        Some(Finish::Cut) | None => {
            Failure::new(FailureKind::Cut, "the answer ended early").hint("ask again")
        }
        Some(_) => return None,
    };
    Some(failure)
}

fn stopped() -> Failure {
    Failure::new(FailureKind::Interrupted, "stopped")
}

/// An alert in one line: `80 % of the limit today is used up: $4.02 of $5.00`.
fn used_up(alert: &Alert) -> String {
    let share = (alert.share * 1000.0).round() / 10.0;
    let (spent, limit) = (alert.spent.short(), alert.limit.short());
    format!(
        "{share} % of the limit {} is used up: ${spent} of ${limit}",
        alert.scope.in_words()
    )
}

/// The receipt in one line: `openai/gpt-5-mini (best of the ladder) · 2310 in · ~600 out · ≈$0.0018 · max $0.0121`; after
/// the model the effort, and after the expected output the middle half of such answers, where there is one.
fn estimate_line(quote: &Quote) -> String {
    let usd = |amount: Option<crate::chat::Usd>| {
        amount.map_or("n/a".to_owned(), |usd| format!("${}", usd.short()))
    };
    let estimate = &quote.estimate;
    let count = if estimate.exact_count { "" } else { "~" };
    let price = if quote.free {
        "free".to_owned()
    } else {
        format!(
            "≈{} · max {}",
            usd(estimate.expected_usd),
            usd(estimate.worst_usd)
        )
    };
    let effort = quote.route.chosen().and_then(|chosen| chosen.effort);
    let effort = effort.map_or_else(String::new, |effort| format!(" ({effort})"));
    let usual = quote.usual.map_or_else(String::new, |usual| {
        format!(" ({}–{})", usual.low, usual.high)
    });
    let kept = quote
        .kept
        .as_ref()
        .map_or_else(String::new, |kept| kept_line(kept, &quote.model));
    format!(
        "{}{effort} ({}) · {count}{} in · ~{} out{usual} · {price}{kept}\n",
        one_line(&quote.model.to_string()).as_str(),
        one_line(&quote.route.reason).as_str(),
        estimate.input_tokens,
        estimate.output_tokens,
    )
}

/// What the cache has for the question: `· cached 3 d ago: $0`, or whose answer there is.
fn kept_line(kept: &Kept, chosen: &ModelId) -> String {
    let age = span(kept.age_s);
    if kept.model == *chosen {
        format!(" · cached {age} ago: $0")
    } else {
        format!(
            " · {} answered it {age} ago",
            one_line(&kept.model.to_string()).as_str()
        )
    }
}
