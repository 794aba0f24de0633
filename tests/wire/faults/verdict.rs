//! Whether a row came out as it must, and the line of the table that shows it.
//!
//! Owns: what holds for every row (one line of complaint, no key in it, no rule broken, every request counted, the ledger
//! closed and never below the bill), and the words of the table.
//! Refuses: to forgive; a row is right only when nothing is wrong with it.
//! Invariant: a line of the table holds nothing that differs from run to run.

use std::fmt::Write;

use serde_json::Value;

use crate::faults::play::{OTHER_KEY, Seen, prices};
use crate::faults::row::{Books, Gets, MODEL, Row};
use crate::support::scene::KEY;
use crate::support::server::Pico;

/// Longest complaint, in characters.
const COMPLAINT: usize = 1000;

/// A row of the table.
pub struct Line {
    pub fault: &'static str,
    pub caller: String,
    pub servers: String,
    pub ledger: String,
    /// Everything that is wrong with it.
    pub wrong: Vec<String>,
    /// The most memory that it held, in KiB, where that was looked at.
    pub peak: Option<u64>,
}

pub fn judge(row: &Row, seen: &Seen) -> Line {
    let mut wrong = complaints(&row.gets, seen);
    wrong.extend(caller(&row.gets, seen));
    wrong.extend(requests(row, seen));
    wrong.extend(ledger(row, seen));
    wrong.extend(row.also.iter().filter_map(|check| check(seen).err()));
    if row.heavy && seen.peak.is_none() {
        wrong.push("its memory could not be read".to_owned());
    }
    if !wrong.is_empty() {
        wrong.push(format!("it said {:?}", seen.output.stderr.trim_end()));
    }
    Line {
        fault: row.fault,
        caller: got_words(row, seen),
        servers: sees_words(&asked(seen)),
        ledger: if wrong.iter().any(|words| words.starts_with("ledger")) {
            booked(seen)
        } else {
            books_words(row.books)
        },
        wrong,
        peak: seen.peak,
    }
}

/// What may be said on standard error, and how.
fn complaints(gets: &Gets, seen: &Seen) -> Vec<String> {
    let (text, mut wrong) = (&seen.output.stderr, Vec::new());
    // An answer is nothing to complain of, unless the row has words for a warning.
    let lines = usize::from(gets.exit != 0 || !gets.words.is_empty());
    if text.lines().count() != lines {
        wrong.push(format!(
            "{} lines on standard error, not {lines}",
            text.lines().count()
        ));
    }
    if text.contains("panicked") || text.chars().any(|c| c.is_control() && c != '\n') {
        wrong.push("a panic or a control character on standard error".to_owned());
    }
    if text.chars().count() > COMPLAINT {
        wrong.push(format!(
            "{} characters on standard error",
            text.chars().count()
        ));
    }
    if [KEY, OTHER_KEY]
        .iter()
        .any(|key| text.contains(key) || seen.output.stdout.contains(key))
    {
        wrong.push("a key is shown".to_owned());
    }
    wrong
}

fn caller(gets: &Gets, seen: &Seen) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut same = |what: &str, found: &dyn std::fmt::Debug, wanted: &dyn std::fmt::Debug| {
        let (found, wanted) = (format!("{found:?}"), format!("{wanted:?}"));
        if found != wanted {
            wrong.push(format!("{what}: {found}, not {wanted}"));
        }
    };
    same("exit status", &seen.output.code(), &Some(gets.exit));
    same(
        "error.kind",
        &seen.report["error"]["kind"].as_str(),
        &gets.kind,
    );
    same(
        "finish_reason",
        &seen.report["finish_reason"].as_str(),
        &gets.finish,
    );
    let text = seen.report["answer"].as_str().unwrap_or_default();
    same("answer", &excerpt(text), &excerpt(&gets.text));
    same("length of the answer", &text.len(), &gets.text.len());
    if !seen.output.stderr.contains(gets.words) {
        wrong.push(format!("standard error does not say {:?}", gets.words));
    }
    wrong
}

/// The models asked for, by the order of arrival.
fn asked(seen: &Seen) -> Vec<String> {
    seen.requests()
        .iter()
        .map(|request| request.model().to_owned())
        .collect()
}

fn requests(row: &Row, seen: &Seen) -> Vec<String> {
    let mut wrong = Vec::new();
    let found = asked(seen);
    if found != row.sees {
        let wanted: Vec<String> = row.sees.iter().map(|&model| model.to_owned()).collect();
        wrong.push(format!(
            "the servers saw {}, not {}",
            sees_words(&found),
            sees_words(&wanted)
        ));
    }
    for server in &seen.servers {
        wrong.extend(server.violations());
    }
    for trap in &seen.traps {
        wrong.extend(trap.violations());
        if trap.connections() > 0 {
            wrong.push("a connection to the other host was made".to_owned());
        }
    }
    // What the caller is told is what the servers saw.
    let made = found.len() + row.unseen;
    if row.times == 1 && seen.attempts().len() != made {
        wrong.push(format!(
            "{} attempts are told of, {made} were made",
            seen.attempts().len()
        ));
    }
    wrong
}

fn usd(value: &Value) -> Option<Pico> {
    value.as_str().map(Pico::usd)
}

/// What is booked on the day.
fn settled(seen: &Seen) -> Option<Pico> {
    let scopes = seen.budget["scopes"].as_array()?;
    usd(&scopes.iter().find(|scope| scope["scope"] == "day")?["settled_usd"])
}

/// The hold of the last attempt, as the report tells it.
fn last_hold(seen: &Seen) -> Option<Pico> {
    usd(&seen.report["estimate"]["worst_usd"])
}

fn ledger(row: &Row, seen: &Seen) -> Vec<String> {
    let Some(settled) = settled(seen) else {
        return vec!["ledger: it cannot be read".to_owned()];
    };
    let bill = Pico(
        seen.servers
            .iter()
            .map(|server| server.bill(&prices()).total().0)
            .sum(),
    );
    let cost = usd(&seen.report["cost"]["usd"]);
    let mut wrong = Vec::new();
    let open = seen.budget["open"].as_array();
    if open.is_none_or(|open| open.iter().any(|row| row["state"] != "uncertain")) {
        wrong.push("ledger: a hold is still open".to_owned());
    }
    // What is booked at a bound can be put right later.
    let uncertain = open.map_or(0, Vec::len);
    let bounds = match row.books {
        Books::Nothing | Books::Bill | Books::BillAboveHold => 0,
        Books::Full(n, _) | Books::FullAndBill(n, _) => n,
        Books::AboveHold => 1,
    };
    if uncertain != bounds {
        wrong.push(format!(
            "ledger: {uncertain} charges can be put right, not {bounds}"
        ));
    }
    if settled < bill {
        wrong.push(format!("ledger: {settled} is less than the bill of {bill}"));
    }
    if row.times == 1 && cost != Some(settled) {
        wrong.push(format!("ledger: {settled}, but the report says {cost:?}"));
    }
    let kind = seen.report["cost"]["kind"].as_str().unwrap_or_default();
    let holds = |n: usize| usd(&seen.hold).map(|hold| Pico(hold.0 * n as i128));
    let last = last_hold(seen);
    let (right, as_kind) = match row.books {
        Books::Nothing => (settled == Pico(0), "exact"),
        Books::Bill => (settled == bill && bill > Pico(0), "exact"),
        Books::Full(n, _) => (holds(n) == Some(settled), "estimated"),
        Books::FullAndBill(n, _) => (
            holds(n).map(|full| Pico(full.0 + bill.0)) == Some(settled),
            "estimated",
        ),
        Books::AboveHold => (Some(settled) > last, "estimated"),
        Books::BillAboveHold => (settled == bill && Some(settled) > last, "exact"),
    };
    if !right {
        wrong.push(format!(
            "ledger: {settled} is not {}; billed {bill}",
            books_words(row.books)
        ));
    }
    if kind != as_kind && row.times == 1 {
        wrong.push(format!(
            "ledger: the cost is called {kind:?}, not {as_kind:?}"
        ));
    }
    wrong
}

fn booked(seen: &Seen) -> String {
    settled(seen).map_or_else(|| "?".to_owned(), |settled| format!("${settled}"))
}

fn got_words(row: &Row, seen: &Seen) -> String {
    let report = &seen.report;
    let text = excerpt(report["answer"].as_str().unwrap_or_default());
    let exit = seen
        .output
        .code()
        .map_or_else(|| "killed".to_owned(), |code| format!("exit {code}"));
    let kind = report["error"]["kind"]
        .as_str()
        .map_or_else(String::new, |kind| format!(" `{kind}`"));
    let mut words = format!("{exit}{kind}");
    if !text.is_empty() {
        write!(words, ", `{text}`").unwrap();
        words.push_str(if kind.is_empty() { "" } else { " kept" });
    }
    if !row.gets.words.is_empty() && seen.output.stderr.contains(row.gets.words) {
        write!(words, ", “{}”", row.gets.words).unwrap();
    }
    words
}

fn sees_words(models: &[String]) -> String {
    if models.iter().all(|model| model == MODEL) {
        return match models.len() {
            0 => "nothing".to_owned(),
            1 => "1 request".to_owned(),
            n => format!("{n} requests"),
        };
    }
    let runs = models.chunk_by(|one, next| one == next);
    let run = |run: &[String]| {
        if run.len() == 1 {
            run[0].clone()
        } else {
            format!("{} ×{}", run[0], run.len())
        }
    };
    runs.map(run).collect::<Vec<_>>().join(", ")
}

fn books_words(books: Books) -> String {
    let holds = |n: usize| {
        if n == 1 {
            "the whole hold".to_owned()
        } else {
            format!("{n} whole holds")
        }
    };
    match books {
        Books::Nothing => "nothing".to_owned(),
        Books::Bill => "the bill".to_owned(),
        Books::Full(n, _) => holds(n),
        Books::FullAndBill(n, _) => format!("{}, and the bill", holds(n)),
        Books::AboveHold => "above the hold; the model is barred".to_owned(),
        Books::BillAboveHold => "the bill, above the hold; the model is barred".to_owned(),
    }
}

/// A text as it stands in the table.
fn excerpt(text: &str) -> String {
    let plain: String = text
        .chars()
        .take(24)
        .collect::<String>()
        .escape_debug()
        .to_string();
    if text.chars().count() > 24 {
        format!("{plain}…")
    } else {
        plain
    }
}
