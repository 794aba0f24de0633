//! What the tests stand on: a scripted server, a terminal, and a home without a past.
//!
//! Owns: [`server`] (an OpenAI-compatible server, byte-exact, that also keeps the true bill), [`terminal`] (a pseudo-terminal
//! with a screen), [`home`] (a sealed environment for the program under test), [`scene`] (a home whose provider is the server),
//! [`closed`] (an address without a listener), [`slow`] (a way that takes its time), [`need`] (what tests need of
//! the machine).
//! Refuses: anything from the crate under test: the kit judges it, so it must not share its code.
//! Invariant: nothing here sleeps and hopes; every wait is for a condition and has a deadline.

#![allow(
    dead_code,
    unused_imports,
    reason = "each test file uses its part of the kit"
)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a kit that cannot go on fails the test"
)]

pub mod closed;
pub mod group;
pub mod home;
#[macro_use]
pub mod need;
pub mod redis;
pub mod scene;
pub mod screen;
pub mod server;
pub mod slow;
pub mod terminal;

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How long a test waits for something that should happen at once. Generous: it is only ever used up by a failure.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Held while a program is started. A pseudo-terminal is open for a moment before it is marked as this process's own; a
/// program that another test starts in that moment would inherit it, and the terminal would never come to its end.
pub fn starting() -> MutexGuard<'static, ()> {
    static STARTING: Mutex<()> = Mutex::new(());
    STARTING.lock().unwrap_or_else(PoisonError::into_inner)
}
