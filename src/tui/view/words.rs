//! Phrases that several views share.
//!
//! Owns: money, meters, routes and choices in words.
//! Refuses: styles.
//! Invariant: foreign text leaves here only through `chat::text`.

use crate::chat::text::one_line;
use crate::chat::{CostKind, Usd};
use crate::protocol::{Meter, Quote, Route, RouteMode};
use crate::tui::app::{App, Reply};
use crate::tui::format::thousands;

pub fn dollars_or_na(usd: Option<Usd>) -> String {
    usd.map_or_else(|| "n/a".to_owned(), |usd| format!("${}", usd.short()))
}

/// `0.04 of 1.00`, `~0.04`, `0.04 + n/a`.
pub fn meter(meter: &Meter) -> String {
    let limit = meter.limit.map_or_else(|| "no limit".to_owned(), |limit| format!("of ${}", limit.short()));
    let reserved =
        if meter.reserved > Usd::ZERO { format!(" · ${} reserved", meter.reserved.short()) } else { String::new() };
    format!("${} {limit}{reserved}", spent(meter))
}

/// What is spent, with its marks: `~` for an estimate in it, `+ n/a` for an unknown beside it.
pub fn spent(meter: &Meter) -> String {
    let mark = if meter.estimated { "~" } else { "" };
    let unknown = if meter.unknown { " + n/a" } else { "" };
    format!("{mark}{}{unknown}", meter.settled.short())
}

/// Share of the limit that is spent or reserved; `None` without a limit.
pub fn share(meter: &Meter) -> Option<f64> {
    let limit = meter.limit?.to_f64();
    let used = (meter.settled + meter.reserved).to_f64();
    Some(if limit > 0.0 { used / limit } else { 1.0 })
}

pub fn reason(route: &Route) -> String {
    let reason = one_line(&route.reason).into_string();
    match (route.mode, reason.is_empty()) {
        (RouteMode::Pinned, true) => "pinned".to_owned(),
        (RouteMode::Pinned, false) => reason,
        (RouteMode::Auto, true) => "auto".to_owned(),
        (RouteMode::Auto, false) => format!("auto: {reason}"),
    }
}

/// Cost of a reply without the dollar sign, for a column headed by one: `~0.0018`, `n/a`, `free`.
pub fn reply_cost(reply: &Reply) -> String {
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

/// The model in use: `auto → gpt-5-mini`, or the pinned one's full name.
pub fn in_use(app: &App) -> String {
    use crate::chat::Selection;
    let effort = app.choice.effort.map(|e| format!(" · {e}")).unwrap_or_default();
    let next = quote(app).map(|q| &q.model).or_else(|| app.reply.as_ref().map(|r| &r.model));
    let text = match (&app.choice.selection, next) {
        (Selection::Pinned(model), _) => format!("{model}{effort}"),
        (Selection::Auto, Some(model)) => format!("auto → {}{effort}", model.model()),
        (Selection::Auto, None) => format!("auto{effort}"),
    };
    one_line(&text).into_string()
}

pub fn quote(app: &App) -> Option<&Quote> {
    app.receipt.as_ref().and_then(|r| r.outcome.as_ref().ok())
}

/// The receipt in parts, in the order in which they are read: model, reason, tokens, price, what is left.
pub fn receipt(quote: &Quote) -> [String; 5] {
    let estimate = &quote.estimate;
    let about = if estimate.exact_count { "" } else { "~" };
    let price = match (quote.free, estimate.expected_usd, estimate.worst_usd) {
        (true, ..) => "free".to_owned(),
        (false, None, _) => "n/a".to_owned(),
        (false, Some(expected), worst) => format!("≈${} · max {}", expected.short(), dollars_or_na(worst)),
    };
    let left = quote.left.as_ref();
    let left = left.map(|left| format!(" · {} left ${}", one_line(&left.scope), left.usd.short())).unwrap_or_default();
    let tokens =
        format!(" · {about}{} in · ~{} out", thousands(estimate.input_tokens), thousands(estimate.output_tokens));
    [format!("→ {}", one_line(quote.model.model())), reason(&quote.route), tokens, format!(" · {price}"), left]
}
