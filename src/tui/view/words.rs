//! Phrases that several views share.
//!
//! Owns: money, meters, routes and choices in words.
//! Refuses: styles.
//! Invariant: foreign text leaves here only through `chat::text`.

use crate::chat::text::one_line;
use crate::chat::{Cost, CostKind, Effort, Usd};
use crate::protocol::{
    Alert, Fitted, Kept, Meter, Panel, Quote, Route, RouteMode, SessionRow, Warm,
};
use crate::tui::app::{App, ReplyFigures};
use crate::tui::format::{age, short, thousands};

pub(crate) fn dollars_or_na(usd: Option<Usd>) -> String {
    usd.map_or_else(|| "n/a".to_owned(), |usd| format!("${}", usd.short()))
}

/// `$0.04 of $1.00`, `$~0.04`, `$0.04 + n/a`, `n/a`.
pub(crate) fn meter(meter: &Meter) -> String {
    let limit = meter.limit.map_or_else(
        || "no limit".to_owned(),
        |limit| format!("of ${}", limit.short()),
    );
    let reserved = if meter.reserved > Usd::ZERO {
        format!(" · ${} reserved", meter.reserved.short())
    } else {
        String::new()
    };
    let sign = if meter.settled > Usd::ZERO || !meter.unknown {
        "$"
    } else {
        ""
    };
    format!("{sign}{} {limit}{reserved}", spent(meter))
}

/// What is spent, with its marks: `~` for an estimate in it, `+ n/a` for an unknown beside it, and `n/a` where nothing in it
/// has a known price.
pub(crate) fn spent(meter: &Meter) -> String {
    let mark = if meter.estimated { "~" } else { "" };
    match (meter.unknown, meter.settled) {
        (true, Usd::ZERO) => "n/a".to_owned(),
        (true, settled) => format!("{mark}{} + n/a", settled.short()),
        (false, settled) => format!("{mark}{}", settled.short()),
    }
}

/// Share of the limit that is spent or reserved; `None` without a limit.
pub(crate) fn share(meter: &Meter) -> Option<f64> {
    let limit = meter.limit?.to_f64();
    let used = (meter.settled + meter.reserved).to_f64();
    Some(if limit > 0.0 { used / limit } else { 1.0 })
}

pub(crate) fn reason(route: &Route) -> String {
    let reason = one_line(&route.reason).into_string();
    match (route.mode, reason.is_empty()) {
        (RouteMode::Pinned, true) => "pinned".to_owned(),
        (RouteMode::Pinned, false) => reason,
        (RouteMode::Auto, true) => "auto".to_owned(),
        (RouteMode::Auto, false) => format!("auto: {reason}"),
    }
}

/// Cost of a reply without the dollar sign, for a column headed by one: `~0.0018`, `n/a`, `free`.
pub(crate) fn reply_cost(reply: &ReplyFigures) -> String {
    match reply.cost {
        None => "n/a".to_owned(),
        Some(cost) => match (cost.kind, cost.usd) {
            (CostKind::Unknown, _) | (_, None) => "n/a".to_owned(),
            (CostKind::Free, _) => "free".to_owned(),
            (CostKind::Estimated, Some(usd)) => format!("~{}", usd.short()),
            (CostKind::Billed | CostKind::Exact, Some(usd)) => usd.short(),
        },
    }
}

/// A cost with the word for how sure it is: `$0.0018, billed by the provider`.
pub(crate) fn cost_and_kind(cost: Option<Cost>) -> String {
    let cost = cost.unwrap_or(Cost::UNKNOWN);
    let kind = match cost.kind {
        CostKind::Billed => ", billed by the provider",
        CostKind::Exact => ", the provider's tokens at the known price",
        CostKind::Estimated => ", by our own count",
        CostKind::Unknown => ": no price is known",
        CostKind::Free => "",
    };
    format!("{cost}{kind}")
}

/// What a chat has cost, with its marks.
pub(crate) fn chat_cost(row: &SessionRow) -> String {
    let mark = if row.estimated { "~" } else { "" };
    match (row.unknown, row.cost) {
        (true, Usd::ZERO) => "n/a".to_owned(),
        (true, cost) => format!("{mark}${} + n/a", cost.short()),
        (false, cost) => format!("{mark}${}", cost.short()),
    }
}

/// The model in use: `auto → gpt-5-mini`, or the pinned one's full name.
pub(crate) fn in_use(app: &App) -> String {
    use crate::chat::Selection;
    let effort = app
        .choice
        .effort
        .map(|e| format!(" · {e}"))
        .unwrap_or_default();
    let next = quote(app)
        .map(|q| &q.model)
        .or_else(|| app.reply.as_ref().map(|r| &r.model));
    let text = match (&app.choice.selection, next) {
        (Selection::Pinned(model), _) => format!("{model}{effort}"),
        (Selection::Auto, Some(model)) => format!("auto → {}{effort}", model.model()),
        (Selection::Auto, None) => format!("auto{effort}"),
    };
    one_line(&text).into_string()
}

pub(crate) fn quote(app: &App) -> Option<&Quote> {
    app.receipt.as_ref().and_then(|r| r.outcome.as_ref().ok())
}

/// The price that sending is expected to have: `≈$0.0021`, `free`, `n/a`.
pub(crate) fn expected(quote: &Quote) -> String {
    match (quote.free, quote.estimate.expected_usd) {
        (true, _) => "free".to_owned(),
        (false, None) => "n/a".to_owned(),
        (false, Some(usd)) => format!("≈${}", usd.short()),
    }
}

/// With the highest price that it can have: `≈$0.0021 · max $0.0183`.
pub(crate) fn price(quote: &Quote) -> String {
    let expected = expected(quote);
    let known = !quote.free && quote.estimate.expected_usd.is_some();
    if known {
        format!(
            "{expected} · max {}",
            dollars_or_na(quote.estimate.worst_usd)
        )
    } else {
        expected
    }
}

/// A model with the effort that belongs to its rung: `gpt-5 · high`.
pub(crate) fn rung(quote: &Quote) -> String {
    let chosen = quote
        .route
        .considered
        .iter()
        .find(|c| c.skipped.is_none() && c.model == quote.model);
    let effort = chosen
        .and_then(|c| c.effort)
        .map(|effort| format!(" · {effort}"))
        .unwrap_or_default();
    format!("{}{effort}", one_line(quote.model.model()))
}

/// `Alt-C continue ≈$0.0021 · gpt-5-mini`.
pub(crate) fn offer(key: &str, quote: &Quote) -> String {
    let how = if key.is_empty() {
        "/continue".to_owned()
    } else {
        format!("{key} continue")
    };
    format!("{how} {} · {}", expected(quote), rung(quote))
}

/// `80 % of $5.00 is used today: $4.02`.
pub(crate) fn alerted(alert: &Alert) -> String {
    let (share, limit, spent) = (
        percent(alert.share),
        alert.limit.short(),
        alert.spent.short(),
    );
    format!(
        "{share} of ${limit} is used {}: ${spent}",
        alert.scope.in_words()
    )
}

/// `day 80 % of $5.00`.
pub(crate) fn alert(alert: &Alert) -> String {
    format!(
        "{} {} of ${}",
        alert.scope,
        percent(alert.share),
        alert.limit.short()
    )
}

fn percent(share: f64) -> String {
    format!("{:.0} %", share * 100.0)
}

/// What a provider still has of this chat: `1.9k of gpt-5 · 4:12 left` while an answer streams and the clock ticks
/// anyway, `… · until 14:32` else. `None` when that time has passed, as far as we know.
pub(crate) fn warm(app: &App) -> Option<String> {
    let warm = app.panel.as_ref()?.warm.as_ref()?;
    let left = app.wall().map(|now| warm.until.since(now));
    let end = match left {
        Some(left) if left.is_zero() => return None,
        Some(left) if app.busy() => {
            format!("{}:{:02} left", left.as_secs() / 60, left.as_secs() % 60)
        }
        _ => format!("until {}", (app.time_of_day)(warm.until)),
    };
    Some(format!(
        "{} of {} · {end}",
        short(warm.tokens),
        one_line(warm.model.model())
    ))
}

/// The receipt in parts.
pub(crate) struct ReceiptParts {
    pub(crate) model: String,
    pub(crate) reason: String,
    /// Tokens in and out; the second with a single figure for the answer, for a narrow screen.
    pub(crate) tokens: [String; 2],
    pub(crate) price: String,
    pub(crate) left: String,
    /// What is done so that it fits the window, and the warm cache that is left behind: these cost, and are warned of.
    pub(crate) warnings: String,
    /// That the question was asked before, where that alone changes nothing.
    pub(crate) before: String,
}

/// `effort`: what the user set; a rung may have one of its own.
pub(crate) fn receipt(quote: &Quote, effort: Option<Effort>) -> ReceiptParts {
    let estimate = &quote.estimate;
    let input = match estimate.band_permille.filter(|_| !estimate.exact_count) {
        Some(band) => format!(
            "{} ±{} % in",
            thousands(estimate.input_tokens),
            band.div_ceil(10)
        ),
        None if estimate.exact_count => format!("{} in", thousands(estimate.input_tokens)),
        None => format!("~{} in", thousands(estimate.input_tokens)),
    };
    let out = format!(" · {input} · ~{} out", thousands(estimate.output_tokens));
    let spread = quote.usual.as_ref().filter(|usual| usual.low < usual.high);
    let usual = spread.map_or_else(
        || out.clone(),
        |usual| {
            format!(
                " · {input} · ~{}–{} out",
                thousands(usual.low),
                thousands(usual.high)
            )
        },
    );
    let left = quote.left.as_ref();
    let of_rung = quote
        .route
        .considered
        .iter()
        .any(|c| c.skipped.is_none() && c.effort.is_some());
    let set = effort.filter(|effort| !of_rung && quote.efforts.contains(effort));
    let set = set.map(|effort| format!(" · {effort}")).unwrap_or_default();
    let kept = quote.kept.as_ref();
    let price = kept.filter(|kept| served(quote, kept)).map_or_else(
        || price(quote),
        |kept| format!("cached {} ago · $0", age(kept.age_s)),
    );
    ReceiptParts {
        model: format!("→ {}{set}", rung(quote)),
        reason: reason(&quote.route),
        tokens: [usual, out],
        price: format!(" · {price}"),
        left: left
            .map(|left| format!(" · {} left ${}", left.scope, left.usd.short()))
            .unwrap_or_default(),
        warnings: [
            quote.fitted.as_ref().map(fitted),
            quote.warm.as_ref().map(leaves),
        ]
        .into_iter()
        .flatten()
        .collect(),
        before: kept
            .filter(|kept| !served(quote, kept))
            .map(|kept| format!(" · {}", before(quote, kept)))
            .unwrap_or_default(),
    }
}

/// The share of answers that came from the cache.
pub(crate) fn hits(panel: &Panel) -> String {
    panel.cache_hit.map_or_else(|| "n/a".to_owned(), percent)
}

/// Whether this answer is given again when the question is sent.
pub(crate) fn served(quote: &Quote, kept: &Kept) -> bool {
    kept.model == quote.model && !kept.expired
}

/// `asked before, answered by gpt-5 3 d ago`.
pub(crate) fn before(quote: &Quote, kept: &Kept) -> String {
    let ago = age(kept.age_s);
    if kept.model == quote.model {
        format!("asked before, the answer is {ago} old")
    } else {
        format!(
            "asked before, answered by {} {ago} ago",
            one_line(kept.model.model())
        )
    }
}

fn fitted(fitted: &Fitted) -> String {
    match fitted {
        Fitted::Truncated { turns: 1, .. } => " · leaves out the oldest turn".to_owned(),
        Fitted::Truncated { turns, .. } => format!(" · leaves out the {turns} oldest turns"),
        Fitted::Segmented { parts, requests } => {
            format!(" · in {parts} parts, {requests} requests")
        }
    }
}

fn leaves(warm: &Warm) -> String {
    format!(
        " · leaves {}'s warm cache, worth ${}",
        one_line(warm.model.model()),
        warm.spares.short()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_is_never_shown_as_nothing() {
        let usd = |text: &str| text.parse::<Usd>().unwrap_or_default();
        for (settled, estimated, unknown, shown, in_full) in [
            ("0", false, false, "0.00", "$0.00 no limit"),
            ("0.04", true, false, "~0.04", "$~0.04 no limit"),
            ("0.04", false, true, "0.04 + n/a", "$0.04 + n/a no limit"),
            ("0", false, true, "n/a", "n/a no limit"),
        ] {
            let of = Meter {
                settled: usd(settled),
                estimated,
                unknown,
                ..Meter::default()
            };
            assert_eq!((spent(&of).as_str(), meter(&of).as_str()), (shown, in_full));
        }
    }
}
