//! How many retries may be made: a budget that all exchanges with a provider share.
//!
//! Owns: the tokens of one provider. A first request earns a fifth of one, time earns some too, a retry spends one.
//! Refuses: to judge a single retry; `decide` does.
//! Invariant: over any time, retries are at most a fifth of the requests plus ten plus ten a minute, so that a batch of
//! five hundred against a dead server does not become fifteen hundred requests.

use std::time::Duration;

use crate::chat::Timestamp;

/// Thousandths of a retry that one request earns.
const EARNED: u64 = 200;
/// What a retry spends.
const RETRY: u64 = 1000;
/// What there is at the start, and what time brings back, so that a chat with one question a minute may retry too.
const RESERVE: u64 = 10 * RETRY;
/// The most that can be saved up, so that a long good time does not pay for a storm of retries.
const MOST: u64 = 100 * RETRY;
/// The time in which a thousandth of a retry comes back: the whole reserve in a minute.
const PART: Duration = Duration::from_millis(6);

#[derive(Debug)]
pub(crate) struct RetryBudget {
    /// Thousandths of a retry.
    left: u64,
    /// When time was counted last; `None`: never.
    at: Option<Timestamp>,
}

impl Default for RetryBudget {
    fn default() -> Self {
        Self {
            left: RESERVE,
            at: None,
        }
    }
}

impl RetryBudget {
    /// Counts a request that is no retry.
    pub(crate) fn earn(&mut self) {
        self.left = (self.left + EARNED).min(MOST);
    }

    /// Whether one more retry may be made.
    pub(crate) fn allows(&mut self, now: Timestamp) -> bool {
        self.refill(now);
        self.left >= RETRY
    }

    /// Pays for one retry; `false` when there is not enough, and it must not be made.
    #[must_use]
    pub(crate) fn spend(&mut self, now: Timestamp) -> bool {
        let allowed = self.allows(now);
        if allowed {
            self.left -= RETRY;
        }
        allowed
    }

    /// Time refills up to the reserve; more has to be earned.
    fn refill(&mut self, now: Timestamp) {
        let Some(at) = self.at.filter(|at| *at <= now) else {
            // The first call, or a clock that was set back.
            self.at = Some(now);
            return;
        };
        let parts = u64::try_from(now.since(at).as_millis() / PART.as_millis())
            .unwrap_or(RESERVE)
            .min(RESERVE);
        self.left = self.left.max((self.left + parts).min(RESERVE));
        // The rest of a part is kept for the next call.
        let counted = PART.saturating_mul(u32::try_from(parts).unwrap_or(u32::MAX));
        self.at = Some(if parts == RESERVE {
            now
        } else {
            at.plus(counted)
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Timestamp {
        Timestamp(1_800_000_000_000).plus(Duration::from_millis(ms))
    }

    fn spend(budget: &mut RetryBudget, now: Timestamp, wanted: u32) -> u32 {
        (0..wanted).map(|_| u32::from(budget.spend(now))).sum()
    }

    #[test]
    fn a_fifth_of_the_requests_and_ten() {
        for (requests, retries) in [
            (0, 10),
            (4, 10),
            (5, 11),
            (50, 20),
            (500, 100),
            (5_000, 100),
        ] {
            let mut budget = RetryBudget::default();
            for _ in 0..requests {
                budget.earn();
            }
            assert_eq!(
                spend(&mut budget, at(0), 10_000),
                retries,
                "{requests} requests"
            );
        }
        // Spent as they come, five hundred requests allow for a hundred and ten.
        let mut budget = RetryBudget::default();
        let made: u32 = (0..500)
            .map(|_| {
                budget.earn();
                spend(&mut budget, at(0), 3)
            })
            .sum();
        assert_eq!(made, 110);
    }

    #[test]
    fn a_minute_brings_the_reserve_back_and_no_more() {
        let mut budget = RetryBudget::default();
        assert_eq!(spend(&mut budget, at(0), 99), 10);
        for (ms, retries) in [
            (5_999, 0),
            (6_000, 1),
            (18_000, 2),
            (18_000, 0),
            (3_600_000, 10),
        ] {
            assert_eq!(spend(&mut budget, at(ms), 99), retries, "at {ms} ms");
        }
        assert_eq!(
            spend(&mut budget, at(0), 99),
            0,
            "a clock that was set back brings nothing"
        );
        assert_eq!(spend(&mut budget, at(60_000), 99), 10);
    }

    #[test]
    fn many_small_steps_of_time_bring_as_much_as_one() {
        let mut budget = RetryBudget::default();
        spend(&mut budget, at(0), 99);
        assert_eq!(
            (0..=60_000)
                .map(|ms| spend(&mut budget, at(ms), 1))
                .sum::<u32>(),
            10
        );
    }
}
