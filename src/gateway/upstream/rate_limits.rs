//! How much of a key's rate limits is left: the server's last figures, and what time has refilled since.
//!
//! Owns: the figures of `x-ratelimit-*`, and how they age.
//! Refuses: to take a key out of use: the figures may be minutes old, so only a refusal of the server does that.
//! Invariant: an unknown figure counts as plenty, and every figure is plenty again once its reset has passed.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::chat::Timestamp;
use crate::provider::ResponseMeta;
use crate::provider::meta::RateWindow;

/// The longest wait for a key or a server that is slept through; before a longer one the user is told instead.
pub(in crate::gateway) const LONGEST_WAIT: Duration = Duration::from_mins(1);
/// The time to a full bucket where the server names none: most limits are per minute.
const USUAL_RESET: Duration = Duration::from_mins(1);

/// What is left of a key's requests and tokens on one model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(in crate::gateway) struct Headroom {
    /// When the server sent these figures.
    said: Timestamp,
    requests: Bucket,
    tokens: Bucket,
}

/// One bucket, which fills evenly from what was left to its limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
struct Bucket {
    /// `None`: unknown.
    remaining: Option<u64>,
    limit: Option<u64>,
    seen: Timestamp,
    full: Timestamp,
}

impl Headroom {
    /// The share that stands for a full bucket, and for one of which nothing is known.
    pub(in crate::gateway) const PLENTY: u64 = 1000;

    pub(in crate::gateway) fn seen(meta: &ResponseMeta, now: Timestamp) -> Self {
        Self {
            said: now,
            requests: Bucket::seen(meta.requests, now),
            tokens: Bucket::seen(meta.tokens, now),
        }
    }

    /// As it is published to other machines, and for how long; `None` when half or more is left.
    pub(in crate::gateway) fn encode_if_scarce(
        &self,
        now: Timestamp,
    ) -> Option<(Vec<u8>, Duration)> {
        let full = self.requests.full.max(self.tokens.full);
        let scarce = self.share_left(now) < Self::PLENTY / 2;
        scarce
            .then(|| Some((serde_json::to_vec(self).ok()?, full.since(now))))
            .flatten()
    }

    /// What another machine published, with its times clamped: nothing was seen after `now`, and nothing lasts longer than
    /// `longest`.
    pub(in crate::gateway) fn decode(
        text: &[u8],
        now: Timestamp,
        longest: Duration,
    ) -> Option<Self> {
        let decoded: Self = serde_json::from_slice(text).ok()?;
        let latest = now.plus(longest);
        let bucket = |of: Bucket| Bucket {
            seen: of.seen.min(now),
            full: of.full.min(latest),
            ..of
        };
        Some(Self {
            said: decoded.said.min(now),
            requests: bucket(decoded.requests),
            tokens: bucket(decoded.tokens),
        })
    }

    /// Whether these figures are newer.
    pub(in crate::gateway) fn is_after(&self, other: &Self) -> bool {
        self.said > other.said
    }

    /// When the first request or token is available again; `None` when some are left.
    pub(in crate::gateway) fn back_at(&self, now: Timestamp) -> Option<Timestamp> {
        [self.requests, self.tokens]
            .iter()
            .filter(|bucket| bucket.share_left(now) == 0)
            .map(Bucket::first_back)
            .max()
    }

    /// Thousandths that are left of the scarcer of the two; 0 only when not one request, or token, is left.
    pub(in crate::gateway) fn share_left(&self, now: Timestamp) -> u64 {
        self.requests
            .share_left(now)
            .min(self.tokens.share_left(now))
    }

    pub(in crate::gateway) fn is_full(&self, now: Timestamp) -> bool {
        self.requests.is_full(now) && self.tokens.is_full(now)
    }

    /// Counts a request that is sent, until the server sends new figures.
    pub(in crate::gateway) fn spend(&mut self, now: Timestamp) {
        let left = self.requests.left(now);
        if let (Some(left), false) = (left, self.requests.is_full(now)) {
            self.requests.remaining = Some(left.saturating_sub(1));
            self.requests.seen = now;
        }
    }
}

impl Bucket {
    fn seen(window: RateWindow, now: Timestamp) -> Self {
        Self {
            remaining: window.remaining,
            limit: window.limit,
            seen: now,
            full: now.plus(window.reset.unwrap_or(USUAL_RESET)),
        }
    }

    /// When the first is available again after none was left; without a known limit, when all are.
    fn first_back(&self) -> Timestamp {
        let whole = self.full.since(self.seen);
        let one = self
            .limit
            .and_then(|limit| u32::try_from(limit).ok())
            .and_then(|limit| whole.checked_div(limit));
        // Rounded up, so that it is available then.
        one.map_or(self.full, |one| {
            self.seen.plus(one + Duration::from_millis(1))
        })
    }

    fn is_full(&self, now: Timestamp) -> bool {
        let at_limit = self.limit.is_some() && self.remaining >= self.limit;
        self.remaining.is_none() || at_limit || self.full <= now
    }

    /// What is left now; `None`: unknown.
    fn left(&self, now: Timestamp) -> Option<u64> {
        let remaining = self.remaining?;
        let Some(limit) = self.limit.filter(|limit| *limit > remaining) else {
            return Some(remaining);
        };
        let (gone, whole) = (
            now.since(self.seen).as_millis(),
            self.full.since(self.seen).as_millis(),
        );
        if gone >= whole {
            return Some(limit);
        }
        let back = u128::from(limit - remaining) * gone / whole;
        Some(remaining + u64::try_from(back).unwrap_or(u64::MAX))
    }

    fn share_left(&self, now: Timestamp) -> u64 {
        if self.is_full(now) {
            return Headroom::PLENTY;
        }
        match (self.left(now), self.limit) {
            (Some(0), _) => 0,
            (Some(left), Some(limit)) => {
                let share = (u128::from(left) * u128::from(Headroom::PLENTY))
                    .div_ceil(u128::from(limit.max(1)));
                u64::try_from(share)
                    .unwrap_or(Headroom::PLENTY)
                    .min(Headroom::PLENTY)
            }
            // Some are left, out of an unknown number.
            _ => Headroom::PLENTY,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_000_000);

    fn window(remaining: Option<u64>, limit: Option<u64>, reset_s: Option<u64>) -> RateWindow {
        RateWindow {
            remaining,
            limit,
            reset: reset_s.map(Duration::from_secs),
        }
    }

    #[test]
    fn a_bucket_fills_evenly_until_its_reset() {
        for (remaining, limit, reset, after_s, share) in [
            (Some(0), Some(100), Some(60), 0, 0),
            (Some(0), Some(100), Some(60), 30, 500),
            (Some(40), Some(100), Some(60), 30, 700),
            (Some(0), Some(100), Some(60), 60, 1000),
            (Some(1), Some(1_000_000), Some(60), 0, 1),
            (Some(100), Some(100), None, 0, 1000),
            // No reset: a minute. No limit: something or nothing.
            (Some(0), Some(100), None, 15, 250),
            (Some(0), None, Some(10), 9, 0),
            (Some(0), None, Some(10), 10, 1000),
            (Some(1), None, Some(10), 0, 1000),
            // Nothing is known.
            (None, Some(100), Some(60), 0, 1000),
            (None, None, None, 0, 1000),
            // More left than there is.
            (Some(9), Some(3), Some(60), 0, 1000),
        ] {
            let requests = window(remaining, limit, reset);
            let headroom = Headroom::seen(
                &ResponseMeta {
                    requests,
                    ..ResponseMeta::default()
                },
                NOW,
            );
            let then = NOW.plus(Duration::from_secs(after_s));
            assert_eq!(
                headroom.share_left(then),
                share,
                "{requests:?} after {after_s} s"
            );
        }
    }

    #[test]
    fn figures_of_another_machine_are_clamped_or_ignored() {
        let longest = Duration::from_hours(1);
        let of = |left, s| {
            let requests = window(Some(left), Some(100), Some(s));
            Headroom::seen(
                &ResponseMeta {
                    requests,
                    ..ResponseMeta::default()
                },
                NOW,
            )
        };
        assert_eq!(of(50, 60).encode_if_scarce(NOW), None, "half is plenty");
        let (text, time) = of(10, 60).encode_if_scarce(NOW).unwrap();
        assert_eq!(time, Duration::from_mins(1));
        assert_eq!(Headroom::decode(&text, NOW, longest), Some(of(10, 60)));
        assert!(of(10, 60).is_after(&Headroom::default()) && !of(10, 60).is_after(&of(20, 60)));
        // A clock that is ahead, and a reset that never comes.
        let early = Headroom::decode(&text, Timestamp(NOW.0 - 10_000), longest).unwrap();
        assert_eq!(
            (early.said, early.requests.seen),
            (Timestamp(990_000), Timestamp(990_000))
        );
        let (text, _) = of(0, 1_000_000).encode_if_scarce(NOW).unwrap();
        assert_eq!(
            Headroom::decode(&text, NOW, longest).unwrap().requests.full,
            NOW.plus(longest)
        );
        for text in ["", "{}", "null", "{\"said\":1}", "5", "\u{0}"] {
            assert_eq!(
                Headroom::decode(text.as_bytes(), NOW, longest),
                None,
                "{text:?}"
            );
        }
    }

    #[test]
    fn when_none_is_left_the_first_is_back_long_before_all() {
        for (remaining, limit, reset, back_ms) in [
            (Some(0), Some(100), Some(60), Some(601)),
            (Some(0), None, Some(10), Some(10_000)),
            (Some(1), Some(100), Some(60), None),
            (None, None, None, None),
            // A limit of zero is ignored.
            (Some(0), Some(0), Some(10), None),
        ] {
            let requests = window(remaining, limit, reset);
            let headroom = Headroom::seen(
                &ResponseMeta {
                    requests,
                    ..ResponseMeta::default()
                },
                NOW,
            );
            let back = back_ms.map(|ms| NOW.plus(Duration::from_millis(ms)));
            assert_eq!(headroom.back_at(NOW), back, "{requests:?}");
            assert!(
                back.is_none_or(|back| headroom.share_left(back) > 0),
                "{requests:?}"
            );
        }
    }

    #[test]
    fn the_scarcer_of_requests_and_tokens_counts_and_a_request_takes_one() {
        let meta = ResponseMeta {
            requests: window(Some(5), Some(10), Some(60)),
            tokens: window(Some(900), Some(1000), Some(60)),
            ..ResponseMeta::default()
        };
        let mut headroom = Headroom::seen(&meta, NOW);
        assert_eq!(headroom.share_left(NOW), 500);
        headroom.spend(NOW);
        assert_eq!(headroom.share_left(NOW), 400);
        for _ in 0..9 {
            headroom.spend(NOW);
        }
        assert_eq!(headroom.share_left(NOW), 0, "and never below zero");
        let mut unknown = Headroom::default();
        unknown.spend(NOW);
        assert_eq!(unknown.share_left(NOW), Headroom::PLENTY);
    }
}
