//! Letting go of an owner that nobody has asked for anything for a while.
//!
//! Owns: when that is. An owner lives as long as it has clients, and sled wakes up every second; a screen that stands open
//! all day is to cost nothing.
//! Refuses: to let go while a lease hangs on the connection.
//! Invariant: whoever wants the tier afterwards waits for its owner as the first one did.

use std::sync::{Arc, PoisonError, Weak};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::{Link, Shared};

/// A connection that nobody used for so long is given up.
pub(super) const IDLE: Duration = Duration::from_secs(30);

/// Watches a connection that was just made, until it is given up or ends. Wakes up once for each [`IDLE`].
pub(super) fn watch(shared: &Arc<Shared>) {
    let shared = Arc::downgrade(shared);
    tokio::spawn(async move {
        while let Some(at) = look(&shared) {
            sleep_until(at).await;
        }
    });
}

/// When to look again; `None`: there is nothing left to let go of.
fn look(shared: &Weak<Shared>) -> Option<Instant> {
    let shared = shared.upgrade()?;
    shared.let_go(Instant::now())
}

impl Shared {
    /// Gives up the connection, if nobody has used it for a while; else says when that may be.
    pub(super) fn let_go(&self, now: Instant) -> Option<Instant> {
        let mut state = self.lock();
        state.forget_ended();
        let Link::Up(connection) = &state.link else {
            return None;
        };
        let until = state.used + IDLE;
        if now < until {
            return Some(until);
        }
        // Leases and those who follow one hold it too.
        if Arc::strong_count(connection) > 1 {
            return Some(now + IDLE);
        }
        state.link = Link::Cold;
        *self.rising.lock().unwrap_or_else(PoisonError::into_inner) = None;
        None
    }
}
