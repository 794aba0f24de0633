//! What went wrong, in the form every surface shows it.
//!
//! Owns: the kind (which decides the exit status), one sentence with the cause, one with the mend.
//! Refuses: backtraces, error chains and keys; the text is masked before a `Failure` is made.
//! Invariant: `message` and `hint` are single lines.

use serde::{Deserialize, Serialize};

/// The class of a failure; it alone decides the exit status of the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureKind {
    /// The request failed: refused by the server, unreachable, out of retries.
    Request,
    /// No provider could be reached, or all of them are down; the request and the account are not to blame.
    Unavailable,
    /// The user asked for something that cannot be: a wrong flag, a bad configuration, an unknown model, a missing key.
    Usage,
    /// A budget refused it; nothing was sent.
    Budget,
    /// The answer was cut short; what arrived is kept.
    Cut,
    /// The user stopped it.
    Interrupted,
    /// The program's own store or files failed.
    Storage,
}

impl FailureKind {
    /// The process exit status for this kind (INTERFACE: 1 failed, 2 usage, 3 budget, 4 cut, 130 interrupted).
    pub(crate) fn exit_code(self) -> u8 {
        match self {
            Self::Request | Self::Unavailable | Self::Storage => 1,
            Self::Usage => 2,
            Self::Budget => 3,
            Self::Cut => 4,
            Self::Interrupted => 130,
        }
    }
}

/// One failure as shown to a person or a script: the cause and the mend.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}{}{}", if hint.is_some() { " - " } else { "" }, hint.as_deref().unwrap_or(""))]
pub struct Failure {
    /// What kind of failure; it decides the exit status.
    pub kind: FailureKind,
    /// The cause, one line, no full stop needed.
    pub message: String,
    /// What the user can do about it, one line.
    pub(crate) hint: Option<String>,
}

impl Failure {
    /// A failure with a cause only. Line breaks in `message` become spaces.
    pub fn new(kind: FailureKind, message: impl AsRef<str>) -> Self {
        Self {
            kind,
            message: one_line(message.as_ref()),
            hint: None,
        }
    }

    /// Adds the mend.
    #[must_use]
    pub(crate) fn hint(mut self, hint: impl AsRef<str>) -> Self {
        self.hint = Some(one_line(hint.as_ref()));
        self
    }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_one_line_with_cause_and_hint() {
        let failure = Failure::new(FailureKind::Usage, "no such\nmodel").hint("try `gpt-5`");
        assert_eq!(failure.to_string(), "no such model - try `gpt-5`");
        assert_eq!(failure.kind.exit_code(), 2);
        assert_eq!(
            Failure::new(FailureKind::Request, "down").to_string(),
            "down"
        );
    }
}
