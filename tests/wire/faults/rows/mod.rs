//! The rows, chapter by chapter.

mod http;
mod money;
mod others;
mod refusals;
mod silence;
mod sizes;
mod streams;
mod ways;

use crate::faults::row::Row;

/// Every chapter with its rows.
pub fn all() -> Vec<(&'static str, Vec<Row>)> {
    vec![
        ("The server refuses", refusals::rows()),
        ("The way to the server", ways::rows()),
        ("HTTP that lies", http::rows()),
        ("Silence", silence::rows()),
        ("The answer", streams::rows()),
        ("Too much of it", sizes::rows()),
        ("Another model, another provider", others::rows()),
        ("Money", money::rows()),
    ]
}
