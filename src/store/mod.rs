//! What must never be lost: chats, the ledger, what was learned of models. One SQLite file, many processes.
//!
//! Owns: chat.db, its schema, its transactions, and the thread that holds the connection.
//! Refuses: policy; what may be spent is decided in `budget`, inside a transaction that this room opens.
//! Invariant: a method that returned `Ok` has its rows on disk (the pieces of a streaming answer and drafts: in the
//! file, safe from the death of this process); one that returned `Err` has changed nothing.

mod accuracy;
mod cells;
mod clock;
mod corrections;
mod db;
mod error;
mod exchanges;
mod groups;
mod health;
mod lazy;
mod learned;
mod ledger;
mod lengths;
mod owner;
mod places;
mod remembered;
mod schema;
mod search;
mod sessions;
mod stats;
mod thread;
mod transcript;

pub use accuracy::{Accuracy, Error};
pub use clock::{Seen, uptime};
pub use corrections::Uncertain;
pub use db::{Db, FILE};
pub use error::StoreError;
pub use exchanges::{Foreseen, Outcome};
pub use groups::{Allowance, GroupSnapshot, Share, nano_down, nano_up};
pub use health::Health;
pub use lazy::LazyStore;
pub use learned::{Learned, Overview, Pace};
pub use ledger::{Booked, Hold, OpenItem, Settlement, Windows};
pub use lengths::Lengths;
pub use owner::{Life, life, this_process};
pub use places::{ChargeScope, Key, Sum};
pub use search::Hit;
pub use sessions::{Setting, title_of};
pub use stats::{By, Figures, Group, Stats};
pub use thread::{Opening, Store};
pub use transcript::{Begin, Chat, ChatMessage, Ending, PACE, Prompt, State};

#[cfg(test)]
pub(crate) mod tests;
