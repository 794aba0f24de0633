//! Why nothing came from Redis, in one line.
//!
//! Owns: [`Away`], made from the crate's errors.
//! Refuses: the address; a server may be named by its user and password there.
//! Invariant: one line of printable text, whatever the server sent.

use std::error::Error as _;

use redis::{ErrorKind, RedisError, ServerErrorKind};

use crate::chat::text::one_line;

/// The longest part of a server's own words that is shown, in characters.
const SAID: usize = 120;

/// How old and new servers say that their user lacks a right that a script needs.
const IN_A_SCRIPT: [&str; 2] = ["can't run this command", "ACL failure in script"];

/// Why nothing came.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Away {
    /// No answer came in time.
    #[error("Redis did not answer in time")]
    Late,
    #[error(
        "Redis is too slow for all that one request asks of it: `patience` under [redis] allows more"
    )]
    /// The request has waited for Redis long enough.
    Slow,
    /// It failed a moment ago and is not asked yet.
    #[error("Redis failed just now and is left alone for a while")]
    LeftAlone,
    /// No connection came about, with the reason.
    #[error("Redis cannot be reached: {0}")]
    Unreachable(String),
    /// User or password are wrong.
    #[error("Redis refuses the user or the password: look at the url under [redis]")]
    Denied,
    #[error(
        "Redis gives this user no rights to what is needed: see its ACL, and the `prefix` under [redis]"
    )]
    /// The user lacks a right that is needed.
    NoRights,
    /// It answered with an error, with its words.
    #[error("Redis refuses: {0}")]
    Refused(String),
    /// The key holds something else.
    #[error("Redis holds something else under this name: choose another `prefix` under [redis]")]
    OtherType,
    /// The answer cannot be read.
    #[error("what answers is no Redis: look at the url under [redis]")]
    Nonsense,
}

impl Away {
    /// Whether the connection may still hold half an answer, or is gone.
    pub(super) fn ends_connection(&self) -> bool {
        matches!(self, Self::Late | Self::Unreachable(_) | Self::Nonsense)
    }

    /// Whether other commands may work: a success of another one does not end this trouble.
    pub(super) fn is_of_a_command(&self) -> bool {
        matches!(
            self,
            Self::Slow | Self::NoRights | Self::Refused(_) | Self::OtherType
        )
    }
}

impl From<RedisError> for Away {
    fn from(error: RedisError) -> Self {
        if error.is_timeout() {
            return Self::Late;
        }
        if error.is_connection_refusal() {
            return Self::Unreachable("the connection is refused".to_owned());
        }
        match (error.kind(), error.code()) {
            (ErrorKind::AuthenticationFailed, _) | (_, Some("NOAUTH" | "WRONGPASS")) => {
                Self::Denied
            }
            (_, Some("NOPERM")) => Self::NoRights,
            (_, Some("WRONGTYPE")) => Self::OtherType,
            (ErrorKind::Parse | ErrorKind::UnexpectedReturnType, _) => Self::Nonsense,
            (ErrorKind::Server(ServerErrorKind::Moved | ServerErrorKind::Ask), _) => Self::Refused(
                "it is part of a cluster; set `cluster = true` under [redis]".to_owned(),
            ),
            // The answer when a script lacks a right.
            (ErrorKind::Server(_) | ErrorKind::Extension, _)
                if error
                    .detail()
                    .is_some_and(|said| IN_A_SCRIPT.iter().any(|words| said.contains(words))) =>
            {
                Self::NoRights
            }
            (ErrorKind::Server(_) | ErrorKind::Extension, code) => Self::Refused(said(&format!(
                "{} {}",
                code.unwrap_or_default(),
                error.detail().unwrap_or_default()
            ))),
            _ if error.is_connection_dropped() => {
                Self::Unreachable("the connection was cut".to_owned())
            }
            _ => {
                let cause = error.source().map(ToString::to_string);
                let text = error.detail().map(ToOwned::to_owned).or(cause);
                Self::Unreachable(in_words(
                    &text.unwrap_or_else(|| error.category().to_owned()),
                ))
            }
        }
    }
}

/// What the system or TLS says, with plain words for the most common errors.
fn in_words(text: &str) -> String {
    let known = [
        (
            "UnknownIssuer",
            "its certificate is from an authority that is not trusted here (network.extra_ca_file names more)",
        ),
        ("not valid for name", "its certificate is for another host"),
        ("certificate expired", "its certificate has expired"),
        (
            "InvalidContentType",
            "it does not speak TLS: look at the url under [redis]",
        ),
    ];
    let plain = known.iter().find(|(word, _)| text.contains(word));
    plain.map_or_else(|| said(text), |(_, plain)| (*plain).to_owned())
}

/// A server's words: one safe line, not too long.
fn said(text: &str) -> String {
    let line = one_line(text.trim());
    let mut short: String = line.as_str().chars().take(SAID).collect();
    if short.len() < line.len() {
        short.push('…');
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_server_says_is_one_safe_line() {
        let long = "x".repeat(500);
        for (text, shown) in [
            (
                "LOADING Redis is loading\r\nthe dataset",
                "LOADING Redis is loading",
            ),
            ("OOM \x1b[31mred", "OOM "),
            (long.as_str(), "xxx"),
        ] {
            let said = said(text);
            assert!(said.starts_with(shown.trim()), "{said:?}");
            assert!(
                !said.contains(['\n', '\r', '\x1b']) && said.chars().count() <= SAID + 1,
                "{said:?}"
            );
        }
    }

    #[test]
    fn errors_are_told_apart() {
        let server = |text: &'static str| {
            let (code, detail) = text.split_once(' ').unwrap_or((text, ""));
            Away::from(RedisError::from((
                ErrorKind::Extension,
                "",
                format!("{code} {detail}"),
            )))
        };
        assert!(matches!(server("BUSY script"), Away::Refused(_)));
        let timeout = RedisError::from(std::io::Error::from(std::io::ErrorKind::TimedOut));
        assert_eq!(Away::from(timeout), Away::Late);
        let refused = RedisError::from(std::io::Error::from(std::io::ErrorKind::ConnectionRefused));
        assert_eq!(
            Away::from(refused).to_string(),
            "Redis cannot be reached: the connection is refused"
        );
        let tls = std::io::Error::other("invalid peer certificate: UnknownIssuer");
        assert!(
            Away::from(RedisError::from(tls))
                .to_string()
                .contains("extra_ca_file")
        );
        let parse = RedisError::from((ErrorKind::Parse, "no"));
        assert_eq!(Away::from(parse), Away::Nonsense);
    }
}
