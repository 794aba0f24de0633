//! `stats`: what was asked and spent over a time, and what our estimates were worth.

use std::fmt::Write as _;

use serde::Serialize;

use super::args::{Shared, StatsArgs};
use super::sessions::instant;
use super::table::{table, thousands};
use super::{output, setup};
use crate::budget::windows;
use crate::chat::text::{one_line, truncate};
use crate::chat::{CostKind, Failure, Timestamp, Usd};
use crate::store::{
    Accuracy, By, Db, EstimateHistory, Stats, StatsFigures, StatsGroup, StatsReader, Windows,
};

/// Longest title shown, in cells.
const TITLE: usize = 40;

#[derive(Serialize)]
struct StatsReport {
    since: String,
    by: &'static str,
    rows: Vec<StatsRow>,
    total: StatsTotals,
    estimates: Vec<CardRow>,
}

#[derive(Serialize)]
struct StatsRow {
    /// What the rows are grouped by; empty for requests without a key.
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    title: Option<String>,
    #[serde(flatten)]
    sums: StatsTotals,
}

#[derive(Serialize)]
struct StatsTotals {
    requests: u64,
    errors: u64,
    cache_hits: u64,
    input_tokens: u64,
    cached_input_tokens: u64,
    cache_write_tokens: u64,
    output_tokens: u64,
    reasoning_tokens: u64,
    /// null: nothing in it has a known price.
    usd: Option<Usd>,
    kind: CostKind,
    /// Attempts of unknown price, which are not in `usd`.
    unpriced: u64,
    reserved_usd: Usd,
    /// null: none of the hits had a known price.
    saved_usd: Option<Usd>,
    ttft_p50_ms: Option<u64>,
    ttft_p95_ms: Option<u64>,
}

/// Errors are in percent of the true value; above it they are positive.
#[derive(Serialize)]
struct CardRow {
    model: String,
    replies: u64,
    input_error_median_percent: Option<f64>,
    input_error_worst_percent: Option<f64>,
    /// Tokens of the middle reply.
    expected_output_tokens: u64,
    output_tokens: u64,
    /// Replies of known price; null sums without any.
    priced_replies: u64,
    expected_usd: Option<Usd>,
    booked_usd: Option<Usd>,
}

pub(super) fn run(shared: &Shared, args: &StatsArgs) -> Result<u8, Failure> {
    let core = setup::core(shared)?;
    let parts = core.gateway.parts();
    let db = Db::open(&parts.data_dir).map_err(Failure::from)?;
    let length = i64::try_from(args.since.as_millis()).unwrap_or(i64::MAX);
    let since = Timestamp(parts.clock.now().0.saturating_sub(length));
    let by = By::from(args.by);
    let stats = StatsReader(&db)
        .stats(by, since, days(&parts.budget.zone))
        .map_err(Failure::from)?;
    let card = EstimateHistory(&db).report_card().map_err(Failure::from)?;
    if shared.json {
        let report = StatsReport {
            since: instant(since),
            by: word(by),
            rows: stats.groups.iter().map(row).collect(),
            total: sums(&stats.total),
            estimates: card.iter().map(card_row).collect(),
        };
        return output::done(output::json(&report));
    }
    let zone = &parts.budget.zone;
    output::done(output::report(&format!(
        "{}{}",
        as_table(by, since, zone, &stats),
        as_card(&card)
    )))
}

/// Names the day of an instant, as the budget's windows have it.
fn days(zone: &jiff::tz::TimeZone) -> impl FnMut(Timestamp) -> String {
    let mut last: Option<(Windows, String)> = None;
    // Rows come in the order of time: nearly each is of the same day as the one before.
    move |at| match &last {
        Some((day, name)) if day.day_start <= at && at < day.day_end => name.clone(),
        _ => {
            let day = windows(at, zone);
            let name = in_zone(at, zone, "%Y-%m-%d");
            last = Some((day, name.clone()));
            name
        }
    }
}

fn in_zone(at: Timestamp, zone: &jiff::tz::TimeZone, format: &str) -> String {
    let local = jiff::Timestamp::from_millisecond(at.0).map(|at| at.to_zoned(zone.clone()));
    local.map_or_else(|_| at.0.to_string(), |at| at.strftime(format).to_string())
}

fn word(by: By) -> &'static str {
    match by {
        By::Day => "day",
        By::Model => "model",
        By::Provider => "provider",
        By::Session => "session",
        By::Key => "key",
    }
}

fn row(group: &StatsGroup) -> StatsRow {
    StatsRow {
        name: group.name.clone(),
        title: group.title.clone(),
        sums: sums(&group.figures),
    }
}

fn sums(figures: &StatsFigures) -> StatsTotals {
    let kind = figures.kind();
    StatsTotals {
        requests: figures.requests,
        errors: figures.errors,
        cache_hits: figures.cache_hits,
        input_tokens: input(figures),
        cached_input_tokens: figures.cached_input,
        cache_write_tokens: figures.cache_write,
        output_tokens: figures.output,
        reasoning_tokens: figures.reasoning,
        usd: (kind != CostKind::Unknown).then_some(figures.spent),
        kind,
        unpriced: figures.unpriced,
        reserved_usd: figures.reserved,
        saved_usd: figures.known_saved(),
        ttft_p50_ms: figures.ttft_p50_ms,
        ttft_p95_ms: figures.ttft_p95_ms,
    }
}

/// All input, whatever it cost.
fn input(figures: &StatsFigures) -> u64 {
    figures
        .uncached_input
        .saturating_add(figures.cached_input)
        .saturating_add(figures.cache_write)
}

#[expect(
    clippy::cast_precision_loss,
    reason = "tenths of a percent, for display"
)]
fn percent(permille: i64) -> f64 {
    permille as f64 / 10.0
}

fn card_row(model: &Accuracy) -> CardRow {
    CardRow {
        model: model.model.to_string(),
        replies: model.replies,
        input_error_median_percent: model.input.map(|error| percent(error.median)),
        input_error_worst_percent: model.input.map(|error| percent(error.worst)),
        expected_output_tokens: model.expected_output,
        output_tokens: model.output,
        priced_replies: model.priced,
        expected_usd: (model.priced > 0).then_some(model.expected),
        booked_usd: (model.priced > 0).then_some(model.booked),
    }
}

fn as_table(by: By, since: Timestamp, zone: &jiff::tz::TimeZone, stats: &Stats) -> String {
    let heads = [
        word(by),
        ">requests",
        ">errors",
        ">cache hits",
        ">in",
        ">cached",
        ">out",
        ">cost",
        ">saved",
        ">p50",
        ">p95",
    ];
    let mut rows: Vec<Vec<String>> = stats
        .groups
        .iter()
        .map(|group| line(label(by, group), &group.figures))
        .collect();
    rows.push(line("total".to_owned(), &stats.total));
    let mut out = table(&heads, &rows);
    let total = &stats.total;
    // Writing to a `String` cannot fail.
    let _ = writeln!(
        out,
        "\nsince {}; p50 and p95 are times to the first token",
        in_zone(since, zone, "%Y-%m-%d %H:%M")
    );
    if total.unpriced > 0 {
        let _ = writeln!(
            out,
            "n/a: {} of unknown price, in no sum",
            plural(total.unpriced, "attempt")
        );
    }
    if total.reserved > Usd::ZERO {
        let _ = writeln!(
            out,
            "reserved beside it: ${}, see `chat-agent budget show`",
            total.reserved.short()
        );
    }
    out
}

fn plural(n: u64, word: &str) -> String {
    format!("{} {word}{}", thousands(n), if n == 1 { "" } else { "s" })
}

fn label(by: By, group: &StatsGroup) -> String {
    let name = one_line(&group.name).into_string();
    match (by, &group.title) {
        (By::Session, Some(title)) => format!("{name}  {}", truncate(title, TITLE)),
        (By::Session, None) => format!("{name}  (deleted)"),
        (By::Key, _) if name.is_empty() => "(no key)".to_owned(),
        _ => name,
    }
}

fn line(name: String, figures: &StatsFigures) -> Vec<String> {
    let time = |ms: Option<u64>| ms.map_or("n/a".to_owned(), |ms| format!("{} ms", thousands(ms)));
    vec![
        name,
        thousands(figures.requests),
        thousands(figures.errors),
        thousands(figures.cache_hits),
        thousands(input(figures)),
        thousands(figures.cached_input),
        thousands(figures.output),
        cost(figures),
        figures.saved.short_sum(figures.saved_unknown),
        time(figures.ttft_p50_ms),
        time(figures.ttft_p95_ms),
    ]
}

/// The sum with its mark; what has no price stands beside it.
fn cost(figures: &StatsFigures) -> String {
    let known = match figures.kind() {
        CostKind::Unknown => return "n/a".to_owned(),
        CostKind::Free => "free".to_owned(),
        CostKind::Estimated => format!("~${}", figures.spent.short()),
        CostKind::Billed | CostKind::Exact => format!("${}", figures.spent.short()),
    };
    if figures.unpriced == 0 {
        known
    } else {
        format!("{known} + {} n/a", thousands(figures.unpriced))
    }
}

fn as_card(card: &[Accuracy]) -> String {
    if card.is_empty() {
        return String::new();
    }
    let signed = |permille: i64| format!("{:+.1} %", percent(permille));
    let line = |model: &Accuracy| {
        let error = |of: Option<i64>| of.map_or("n/a".to_owned(), signed);
        let usd = |usd: Usd| {
            if model.priced == 0 {
                "n/a".to_owned()
            } else {
                format!("${}", usd.short())
            }
        };
        vec![
            one_line(&model.model.to_string()).into_string(),
            model.replies.to_string(),
            error(model.input.map(|error| error.median)),
            error(model.input.map(|error| error.worst)),
            thousands(model.expected_output),
            thousands(model.output),
            usd(model.expected),
            usd(model.booked),
            error(off(model)),
        ]
    };
    let heads = [
        "estimates",
        ">replies",
        ">in: usual error",
        ">worst",
        ">out: expected",
        ">came",
        ">cost: expected",
        ">booked",
        ">error",
    ];
    format!(
        "\n{}",
        table(&heads, &card.iter().map(line).collect::<Vec<_>>())
    )
}

/// How far the expected cost of all replies lies from what was booked, in thousandths; `None`: it cost nothing.
fn off(model: &Accuracy) -> Option<i64> {
    let apart = (model.expected - model.booked).pico().saturating_mul(1000);
    i64::try_from(apart.checked_div(model.booked.pico())?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_the_users_own() {
        let zone = jiff::tz::TimeZone::fixed(jiff::tz::offset(2));
        let mut day = days(&zone);
        // 2026-11-22T12:00:00Z, then by hours.
        let names = [0, 9, 10, 33, 34, -15, -14]
            .map(|hours| day(Timestamp(1_795_348_800_000 + hours * 3_600_000)));
        let expected =
            ["22", "22", "23", "23", "24", "21", "22"].map(|day| format!("2026-11-{day}"));
        assert_eq!(names, expected);
        assert_eq!(
            day(Timestamp(i64::MAX)),
            i64::MAX.to_string(),
            "beyond all calendars"
        );
    }
}
