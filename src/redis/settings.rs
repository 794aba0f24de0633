//! Where Redis is, and how long it is waited for.

use std::time::Duration;

/// The longest that a request waits for something that it can do without.
pub const PATIENCE: Duration = Duration::from_millis(100);
/// Where Redis is.
#[derive(Clone, PartialEq, Eq)]
pub struct RedisSettings {
    /// As configured; may hold user and password.
    pub url: String,
    /// The address is one of several that share the keys.
    pub cluster: bool,
    /// Before every key.
    pub prefix: String,
    /// The longest wait for what a request can do without; [`PATIENCE`], but where a machine is slower than any user's.
    pub patience: Duration,
}

impl std::fmt::Debug for RedisSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RedisSettings")
            .field("cluster", &self.cluster)
            .field("prefix", &self.prefix)
            .finish_non_exhaustive()
    }
}
