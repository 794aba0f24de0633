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

pub use answer::{Answer, Attempt, CacheHit, Started};
pub(crate) use answer::{AnswerFacts, Latency, Progress};
pub(crate) use chats::{Choice, Entry, SessionRow, SessionView};
pub use command::Command;
pub use event::Event;
pub use handle::Handle;
pub(crate) use handle::{COMMANDS, EVENTS};
pub(crate) use link::Kept;
pub use link::{Circuit, Degraded, Link, Offer};
pub use panel::Meter;
pub(crate) use panel::{Alert, Level, ModelRow, Notice, Panel};
pub(crate) use quote::{AtLimit, Left, Quote, Receipt, Refused, Spread, Warm};
pub use quote::{Raise, WayOut};
pub(crate) use route::{Considered, Counterfactual, Fitted};
pub use route::{Estimate, Route, RouteMode};
