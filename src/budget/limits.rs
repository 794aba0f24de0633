//! The scopes that can be limited, and the decision over them.
//!
//! Owns: [`Scope`], [`Limits`].
//! Refuses: where sums come from.
//! Invariant: no limit is no limit, and a limit of zero lets only free requests through.

use std::fmt;

use crate::chat::Usd;
use crate::protocol::Left;

/// What a limit is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// One question, with all the attempts made for it.
    Request,
    /// One run of the program (`--max-usd`).
    Run,
    Session,
    Day,
    Month,
}

impl Scope {
    pub const ALL: [Self; 5] = [Self::Request, Self::Run, Self::Session, Self::Day, Self::Month];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::Run => "run",
            Self::Session => "session",
            Self::Day => "day",
            Self::Month => "month",
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The limits in force; `None` is no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Limits {
    pub per_request: Option<Usd>,
    pub per_run: Option<Usd>,
    pub per_session: Option<Usd>,
    pub per_day: Option<Usd>,
    pub per_month: Option<Usd>,
}

impl Limits {
    pub fn of(&self, scope: Scope) -> Option<Usd> {
        match scope {
            Scope::Request => self.per_request,
            Scope::Run => self.per_run,
            Scope::Session => self.per_session,
            Scope::Day => self.per_day,
            Scope::Month => self.per_month,
        }
    }

    /// The limits that are set, narrowest scope first.
    pub fn set(&self) -> impl Iterator<Item = (Scope, Usd)> + '_ {
        Scope::ALL.into_iter().filter_map(|scope| self.of(scope).map(|limit| (scope, limit)))
    }
}

/// The scope with the least left, for the receipt and for deriving output caps. A scope that is overdrawn has a
/// negative rest. On a tie the narrower scope is named.
pub(super) fn tightest(rests: impl IntoIterator<Item = (Scope, Usd)>) -> Option<Left> {
    let (scope, usd) = rests.into_iter().min_by_key(|(scope, rest)| (*rest, *scope))?;
    Some(Left { scope: scope.as_str().to_owned(), usd })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tightest_scope_is_the_one_with_the_least_left() {
        let rest = |scope, pico| (scope, Usd::from_pico(pico));
        assert_eq!(tightest([]), None);
        let found = tightest([rest(Scope::Day, 5), rest(Scope::Session, 5), rest(Scope::Month, 9)]);
        assert_eq!(found, Some(Left { scope: "session".to_owned(), usd: Usd::from_pico(5) }));
        let found = tightest([rest(Scope::Day, -1), rest(Scope::Session, 0)]);
        assert_eq!(found, Some(Left { scope: "day".to_owned(), usd: Usd::from_pico(-1) }));
    }
}
