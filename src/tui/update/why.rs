//! `/why`: the last choice and the next, and what each candidate would have cost.
//!
//! Owns: the page.
//! Refuses: reasons of its own; the router's words are shown as they came.
//! Invariant: a price that is not known is `n/a`; one reckoned from another model's tokens has a `~`.

use crate::chat::{ModelId, Usd};
use crate::protocol::{Counterfactual, Route};
use crate::tui::app::App;
use crate::tui::overlay::TextPage;
use crate::tui::prices;
use crate::tui::view::words;

/// Cells of a price.
const PRICE: usize = 10;

pub(crate) fn page(app: &App) -> TextPage {
    let mut lines = Vec::new();
    if let Some(reply) = &app.reply {
        let cost = reply.cost.map(|cost| cost.to_string());
        let own = (&reply.model, cost.unwrap_or_else(|| "n/a".to_owned()));
        choice(
            &mut lines,
            "the last reply",
            "cost",
            &own,
            &reply.route,
            &reply.others,
        );
    }
    if let Some(quote) = words::quote(app) {
        let own = (&quote.model, words::expected(quote));
        choice(
            &mut lines,
            "the next turn",
            "expected",
            &own,
            &quote.route,
            &quote.others,
        );
    }
    if lines.is_empty() {
        lines.push(line("", "nothing was chosen yet"));
    }
    TextPage {
        title: "why",
        lines,
        scroll: 0,
    }
}

fn line(left: impl Into<String>, right: impl Into<String>) -> (String, String) {
    (left.into(), right.into())
}

/// One table. `own`: the model that was chosen, and its price in words.
fn choice(
    lines: &mut Vec<(String, String)>,
    title: &str,
    price: &str,
    own: &(&ModelId, String),
    route: &Route,
    others: &[Counterfactual],
) {
    lines.push(line(title, ""));
    lines.push(line("model", own.0.to_string()));
    lines.push(line("why", words::reason(route)));
    lines.push(line("candidate", row("at most", price, "")));
    let elsewhere = |model: &ModelId| others.iter().find(|other| other.model == *model);
    for candidate in &route.considered {
        let name = match candidate.effort {
            Some(effort) => format!("{} ({effort})", candidate.model),
            None => candidate.model.to_string(),
        };
        let (price, fate) = match &candidate.skipped {
            None => (own.1.clone(), "chosen"),
            Some(why) => (
                elsewhere(&candidate.model)
                    .map(prices::elsewhere)
                    .unwrap_or_default(),
                why.as_str(),
            ),
        };
        lines.push(line(name, row(&worst(candidate.worst_usd), &price, fate)));
    }
    for other in others
        .iter()
        .filter(|other| route.considered.iter().all(|c| c.model != other.model))
    {
        if other.model != *own.0 {
            lines.push(line(
                other.model.to_string(),
                row("-", &prices::elsewhere(other), "not a candidate"),
            ));
        }
    }
}

fn worst(usd: Option<Usd>) -> String {
    words::dollars_or_na(usd)
}

fn row(worst: &str, price: &str, fate: &str) -> String {
    format!("{worst:<PRICE$} {price:<PRICE$} {fate}")
        .trim_end()
        .to_owned()
}
