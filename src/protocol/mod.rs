//! The messages between a front end and the core.
//!
//! Owns: [`Command`] (in), [`Event`] (out) and the [`Handle`] that carries both over bounded channels.
//! Refuses: behaviour. Both enums are plain data that could as well travel over a socket.
//! Invariant: texts in here are source text; a front end passes them through [`crate::chat::text`] before showing them.

mod answer;
mod chats;
mod command;
mod event;
mod handle;
mod link;
mod panel;
mod quote;
mod route;

pub use answer::{Answer, AnswerFacts, Attempt, CacheHit, Latency, Progress, Started};
pub use chats::{Choice, Entry, SessionRow, SessionView};
pub use command::Command;
pub use event::Event;
pub use handle::{COMMANDS, EVENTS, Handle};
pub use link::{Circuit, Degraded, Kept, Link, Offer};
pub use panel::{Alert, Level, Meter, ModelRow, Notice, Panel};
pub use quote::{AtLimit, Left, Quote, Raise, Receipt, Refused, Spread, Warm, WayOut};
pub use route::{Considered, Counterfactual, Estimate, Fitted, Route, RouteMode};
