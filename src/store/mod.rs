//! What must never be lost: chats, the ledger, what was learned of models. One SQLite file, many processes.
//!
//! Owns: chat.db, its schema, its transactions, and the thread that holds the connection.
//! Refuses: policy; what may be spent is decided in `budget`, inside a transaction that this room opens.
//! Invariant: a method that returned `Ok` has its rows on disk (the pieces of a streaming answer and drafts: in the
//! file, safe from the death of this process); one that returned `Err` has changed nothing.

mod cells;
mod db;
mod error;
mod exchanges;
mod learned;
mod ledger;
mod owner;
mod schema;
mod search;
mod sessions;
mod thread;
mod transcript;

pub use db::{Db, FILE};
pub use error::StoreError;
pub use exchanges::Outcome;
pub use learned::{Learned, Overview, Pace};
pub use ledger::{Booked, Hold, OpenItem, Over, Settlement, Sum, Windows};
pub use search::Hit;
pub use sessions::{Setting, title_of};
pub use thread::Store;
pub use transcript::{Begin, Chat, ChatMessage, Ending, Prompt, State};

#[cfg(test)]
pub(crate) mod tests;
