//! The attempts of an exchange, as they ended.
//!
//! Owns: their record, the last failure, and whether servers alone are to blame.
//! Refuses: to decide what is tried next.

use crate::chat::{Failure, FailureKind};
use crate::protocol::Attempt;

/// The attempts of an exchange so far.
pub(in crate::gateway) struct AttemptLog {
    attempts: Vec<Attempt>,
    last_failure: Option<Failure>,
    /// Every failure so far was the fault of a server, or of the way to it.
    only_servers: bool,
}

impl Default for AttemptLog {
    fn default() -> Self {
        Self {
            attempts: Vec::new(),
            last_failure: None,
            only_servers: true,
        }
    }
}

impl AttemptLog {
    pub(in crate::gateway) fn attempts(&self) -> &[Attempt] {
        &self.attempts
    }

    /// Requests made so far.
    pub(in crate::gateway) fn count(&self) -> u32 {
        u32::try_from(self.attempts.len()).unwrap_or(u32::MAX)
    }

    /// Whether this exchange has made a request to the provider.
    pub(in crate::gateway) fn has_asked(&self, provider: &str) -> bool {
        self.attempts
            .iter()
            .any(|attempt| attempt.provider == provider)
    }

    /// How the last attempt failed.
    pub(in crate::gateway) fn last_failure(&self) -> Option<&Failure> {
        self.last_failure.as_ref()
    }

    pub(in crate::gateway) fn push(&mut self, attempt: Attempt) {
        self.attempts.push(attempt);
    }

    pub(in crate::gateway) fn failed(&mut self, failure: Failure, by_server: bool) {
        self.only_servers &= by_server;
        self.last_failure = Some(failure);
    }

    /// The failure of the whole exchange: it counts as unavailable only when nothing but servers failed.
    pub(in crate::gateway) fn overall(&self, failure: Failure) -> Failure {
        let mixed = failure.kind == FailureKind::Unavailable && !self.only_servers;
        Failure {
            kind: if mixed {
                FailureKind::Request
            } else {
                failure.kind
            },
            ..failure
        }
    }
}
