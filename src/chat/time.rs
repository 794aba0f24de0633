//! Time as passed to policies: instants as milliseconds since 1970 UTC, and the clock that yields them.
//!
//! Owns: [`Timestamp`], [`Uptime`] and [`Clock`].
//! Refuses: calendars and time zones; the code that shows or groups times has them.
//! Invariant: no policy reads the system clock; it takes `now`.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

/// An instant: milliseconds since 1970-01-01T00:00:00Z.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// The time from `earlier` to `self`; zero when `earlier` is later.
    pub(crate) fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// This instant plus `d`, saturating.
    #[must_use]
    pub fn plus(self, d: Duration) -> Self {
        Self(
            self.0
                .saturating_add(i64::try_from(d.as_millis()).unwrap_or(i64::MAX)),
        )
    }
}

/// A length of time in its largest unit: `40 s`, `5 min`, `2 h`, `3 d`.
pub(crate) fn span(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3_600 => format!("{} min", seconds / 60),
        3_600..86_400 => format!("{} h", seconds / 3_600),
        _ => format!("{} d", seconds / 86_400),
    }
}

/// How long the machine has been running, time asleep included: a clock that cannot be set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Uptime {
    /// Identifies the start of the machine; times of different starts cannot be compared.
    pub(crate) boot: Arc<str>,
    /// Milliseconds since then.
    pub(crate) ms: i64,
}

/// The source of `now`, passed as an argument so that tests can fix it.
#[derive(Clone)]
pub struct Clock {
    now: Arc<dyn Fn() -> Timestamp + Send + Sync>,
    uptime: Arc<dyn Fn() -> Option<Uptime> + Send + Sync>,
}

impl Clock {
    /// The machine's wall clock.
    pub fn system() -> Self {
        Self::from_fn(|| {
            let elapsed = SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .unwrap_or_default();
            Timestamp(i64::try_from(elapsed.as_millis()).unwrap_or(i64::MAX))
        })
    }

    /// A clock that returns what `f` returns, without an uptime.
    pub fn from_fn(f: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        Self {
            now: Arc::new(f),
            uptime: Arc::new(|| None),
        }
    }

    /// The same with an uptime.
    #[must_use]
    pub(crate) fn beside(
        self,
        uptime: impl Fn() -> Option<Uptime> + Send + Sync + 'static,
    ) -> Self {
        Self {
            uptime: Arc::new(uptime),
            ..self
        }
    }

    /// The wall clock.
    pub fn now(&self) -> Timestamp {
        (self.now)()
    }

    /// `None` when the machine does not say.
    pub fn uptime(&self) -> Option<Uptime> {
        (self.uptime)()
    }
}

impl std::fmt::Debug for Clock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Clock")
    }
}
