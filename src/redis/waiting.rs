//! How long one request has waited for Redis, in all its calls together.
//!
//! Owns: [`Waiting`], the sum of the waits, and whether one of them was in vain.
//! Refuses: the clock, and to wait; the caller reports its waits.
//! Invariant: a request waits for optional data no longer than its patience, however many calls it makes, and not at all
//! after one call without an answer.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The waits of one request. A clone is the same.
#[derive(Debug, Clone, Default)]
pub struct Waiting(Arc<Mutex<Waited>>);

#[derive(Debug, Default)]
struct Waited {
    time: Duration,
    in_vain: bool,
}

impl Waiting {
    /// How long the next call may take; `None`: the request goes on without it.
    pub fn left(&self, patience: Duration) -> Option<Duration> {
        let waited = self.waited();
        let left = patience.saturating_sub(waited.time);
        (!waited.in_vain && !left.is_zero()).then_some(left)
    }

    /// A call took this long; `in_vain`: and was not answered.
    pub fn spent(&self, time: Duration, in_vain: bool) {
        let mut waited = self.waited();
        waited.time = waited.time.saturating_add(time);
        waited.in_vain |= in_vain;
    }

    fn waited(&self) -> MutexGuard<'_, Waited> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_millis(100);

    #[test]
    fn four_slow_answers_take_one_patience_and_not_four() {
        let waiting = Waiting::default();
        let ninety = Duration::from_millis(90);
        let mut waited = Duration::ZERO;
        for _ in 0..4 {
            if let Some(left) = waiting.left(PATIENCE) {
                waiting.spent(ninety.min(left), left < ninety);
                waited += ninety.min(left);
            }
        }
        assert_eq!(waited, PATIENCE);
        let other = waiting.clone();
        assert_eq!(other.left(PATIENCE), None, "a clone is of the same request");
    }

    #[test]
    fn quick_answers_leave_something_and_one_in_vain_leaves_nothing() {
        let waiting = Waiting::default();
        waiting.spent(Duration::from_millis(1), false);
        assert_eq!(waiting.left(PATIENCE), Some(Duration::from_millis(99)));
        waiting.spent(Duration::from_millis(1), true);
        assert_eq!(waiting.left(PATIENCE), None);
        assert_eq!(
            Waiting::default().left(PATIENCE),
            Some(PATIENCE),
            "the next request waits anew"
        );
    }
}
