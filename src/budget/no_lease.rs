//! Why a group's budget lets nothing through, and what can be done about it.
//!
//! Owns: [`NoLease`] and its words.
//! Refuses: to decide; the script and the ledger do that.
//! Invariant: every one of them is a refusal by a budget: one line, exit status 3.

use super::{Admission, Scope};
use crate::chat::{Failure, FailureKind, Usd};
use crate::redis::Away;
use crate::store::StoreError;

/// Why there is no lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoLease {
    /// The group has spent its limit.
    Full {
        scope: Scope,
        limit: Usd,
        left: Usd,
        needed: Usd,
    },
    Away(Away),
    /// Redis has lost its memory; this many known machines have not reported their leases again.
    Forgotten(usize),
    /// Redis was started again, perhaps from an older copy; this many known machines have not reported since.
    Restarted(usize),
    /// The clock of this machine is not Redis's.
    Clock,
    Ledger(String),
}

impl NoLease {
    /// As shown to the user.
    pub(crate) fn failure(&self) -> Failure {
        let (message, hint) = match self {
            Self::Full {
                scope,
                limit,
                left,
                needed,
            } => {
                let refused = Admission::Refused {
                    scope: *scope,
                    limit: *limit,
                    left: *left,
                    needed: Some(*needed),
                };
                return refused
                    .failure()
                    .unwrap_or_else(|| Failure::new(FailureKind::Budget, "refused"));
            }
            Self::Away(away) => (
                format!(
                    "{away}, and what this machine has leased of the group's budget is used up"
                ),
                "ask again when Redis is back, or take `budget_group` and its limits out of [redis]",
            ),
            Self::Forgotten(silent) => (
                format!(
                    "Redis has forgotten what the group spent, and {silent} known machines have not said it again"
                ),
                "look at `chat-agent budget show` on each machine, then go on with `chat-agent budget settle group`",
            ),
            Self::Restarted(silent) => (
                format!(
                    "Redis was started anew, and {silent} known machines have not said yet what they have leased"
                ),
                "ask something on each of them, or go on with `chat-agent budget settle group`",
            ),
            Self::Clock => (
                "the clock of this machine and that of Redis show different days".to_owned(),
                "set the wrong one right",
            ),
            Self::Ledger(cause) => (
                format!("the group's budget could not be looked up: {cause}"),
                "see `chat-agent doctor`",
            ),
        };
        Failure::new(FailureKind::Budget, message).hint(hint)
    }
}

impl From<StoreError> for NoLease {
    fn from(error: StoreError) -> Self {
        Self::Ledger(error.cause())
    }
}
