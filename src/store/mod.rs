//! What must never be lost: chats, the ledger, what was learned of models. One SQLite file, many processes.
//!
//! Owns: chat.db, its schema, its transactions, and the thread that holds the connection.
//! Refuses: policy; what may be spent is decided in `budget`, inside a transaction that this room opens.
//! Invariant: a method that returned `Ok` has its rows on disk (the pieces of a streaming answer and drafts: in the
//! file, safe from the death of this process); one that returned `Err` has changed nothing.

mod accuracy;
mod begin;
mod cells;
mod clock;
mod corrections;
mod db;
mod error;
mod exchanges;
mod groups;
mod health;
mod integrity;
mod lazy;
mod learned;
mod ledger;
mod lengths;
mod owner;
mod percentile;
mod schema;
mod scopes;
mod search;
mod sessions;
mod stats;
mod thread;
mod transcript;

#[cfg(test)]
pub(crate) use accuracy::InputError;
pub(crate) use accuracy::{Accuracy, EstimateHistory};
pub(crate) use begin::PACE;
pub use begin::{Begin, NewPrompt};
pub use clock::uptime;
pub(crate) use clock::{ClockReading, LedgerClock};
pub(crate) use corrections::{Corrections, Uncertain};
pub use db::Db;
pub(crate) use db::FILE;
pub use error::StoreError;
pub(crate) use exchanges::{ExchangeLog, ExchangeOutcome, Foreseen};
pub use groups::GroupLeases;
pub(crate) use groups::{Allowance, GroupSnapshot, LeaseShare, nano_down, nano_up};
pub(crate) use health::{Health, ServerHealth};
pub use integrity::check;
pub(crate) use lazy::LazyStore;
#[cfg(test)]
pub(crate) use learned::Overview;
pub(crate) use learned::{Learned, PastExchanges};
pub(crate) use ledger::{Booked, OpenItem, Settlement, Windows};
pub use ledger::{Ledger, Reservation};
pub(crate) use lengths::{Lengths, PastLengths};
pub(crate) use owner::{Life, life, this_process};
pub(crate) use scopes::KeyName;
pub use scopes::{ChargeScope, ChargeSum, ScopeSums};
pub(crate) use search::{ChatHit, ChatSearch};
pub(crate) use sessions::title_of;
pub use sessions::{ChatList, ChatSetting};
pub(crate) use stats::{By, Stats, StatsFigures, StatsGroup, StatsReader};
pub(crate) use thread::Opening;
pub use thread::Store;
pub use transcript::ChatLog;
#[cfg(test)]
pub(crate) use transcript::MessageState;
pub(crate) use transcript::{Chat, ChatMessage, Ending};

#[cfg(test)]
pub(crate) mod tests;
