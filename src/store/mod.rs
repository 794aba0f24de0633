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

pub use accuracy::{Accuracy, EstimateHistory, InputError};
pub use begin::{Begin, NewPrompt, PACE};
pub use clock::{ClockReading, LedgerClock, uptime};
pub use corrections::{Corrections, Uncertain};
pub use db::{Db, FILE};
pub use error::StoreError;
pub use exchanges::{ExchangeLog, ExchangeOutcome, Foreseen};
pub use groups::{Allowance, GroupLeases, GroupSnapshot, LeaseShare, nano_down, nano_up};
pub use health::{Health, ServerHealth};
pub use integrity::check;
pub use lazy::LazyStore;
pub use learned::{AnswerSpeed, Learned, Overview, PastExchanges};
pub use ledger::{Booked, Ledger, OpenItem, Reservation, Settlement, Windows};
pub use lengths::{Lengths, PastLengths};
pub use owner::{Life, life, this_process};
pub use scopes::{ChargeScope, ChargeSum, KeyName, ScopeSums};
pub use search::{ChatHit, ChatSearch};
pub use sessions::{ChatList, ChatSetting, title_of};
pub use stats::{By, Stats, StatsFigures, StatsGroup, StatsReader};
pub use thread::{Opening, Store};
pub use transcript::{Chat, ChatLog, ChatMessage, Ending, MessageState};

#[cfg(test)]
pub(crate) mod tests;
