//! A key, and what may be shown of it.
//!
//! Owns: [`Secret`]: its rules, its owner, and the four characters that may be shown.
//! Refuses: finding keys (see `key`), and printing one.
//! Invariant: a `Secret` is safe to put into a header, and no `Debug` or `Display` shows more than its end.

use std::fmt;
use std::sync::Arc;

use crate::chat::fingerprint;
use crate::redis::Seal;

/// Longest key that is accepted, in bytes.
pub(crate) const KEY_CAP: usize = 8 * 1024;
/// Shortest key that gets a fingerprint, in bytes: a shorter one could be found by brute force.
const FINGERPRINT_MIN: usize = 16;

/// Why there is no key. The source is named, the key never.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    #[error("the key in {source_name} is empty: put the key there or remove the source")]
    Empty { source_name: String },
    #[error("the key in {source_name} is longer than 8 KiB: a key is one short line")]
    TooLong { source_name: String },
    #[error(
        "the key in {source_name} has {what} in it: a key is one word of plain ASCII characters"
    )]
    NotAKey {
        source_name: String,
        what: &'static str,
    },
    #[error("cannot read the key file {path}: {cause}")]
    Unreadable { path: String, cause: String },
    #[error("others on this machine can read the key file {path}: run `chmod 600 {path}`")]
    TooOpen { path: String },
    #[error("the key command `{program}` {cause}")]
    Command { program: String, cause: String },
    #[error("the key file {path} belongs to another user: make it yours (`chown`), or copy it")]
    NotYours { path: String },
    #[error("the keyring gives no key for {name}: {cause}; {fix}")]
    Keyring {
        name: String,
        cause: String,
        fix: String,
    },
}

/// A key of one provider.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret {
    key: Arc<str>,
    owner: Option<Arc<str>>,
}

impl Secret {
    /// A key from bytes as they were found: byte order mark and surrounding white space are removed; anything that cannot
    /// be in a header is refused. `source_name` is how errors name the source (`OPENAI_API_KEY`, a path, a command).
    pub fn parse(bytes: &[u8], source_name: &str) -> Result<Self, KeyError> {
        let source = || source_name.to_owned();
        let key = bytes
            .strip_prefix(b"\xef\xbb\xbf")
            .unwrap_or(bytes)
            .trim_ascii();
        if key.is_empty() {
            return Err(KeyError::Empty {
                source_name: source(),
            });
        }
        if key.len() > KEY_CAP {
            return Err(KeyError::TooLong {
                source_name: source(),
            });
        }
        let refused = |what| KeyError::NotAKey {
            source_name: source(),
            what,
        };
        if key
            .iter()
            .any(|byte| matches!(byte, b' ' | b'\t' | b'\r' | b'\n'))
        {
            return Err(refused("white space"));
        }
        if key.contains(&0x1b) {
            return Err(refused("colours or another escape sequence"));
        }
        if key.iter().any(u8::is_ascii_control) {
            return Err(refused("a control character"));
        }
        if matches!(key[0], b'"' | b'\'' | b'`') {
            return Err(refused("quotation marks"));
        }
        match std::str::from_utf8(key) {
            Ok(key) if key.is_ascii() => Ok(Self {
                key: key.into(),
                owner: None,
            }),
            _ => Err(refused("a character outside ASCII")),
        }
    }

    /// Binds the key to a provider: `Wire` refuses to send it anywhere else.
    #[must_use]
    pub fn owned_by(mut self, provider: &str) -> Self {
        self.owner = Some(provider.into());
        self
    }

    /// Whether the key may go to this provider (a key without an owner may go anywhere).
    pub(crate) fn may_go_to(&self, provider: &str) -> bool {
        self.owner.as_deref().is_none_or(|owner| owner == provider)
    }

    /// `…f3a1`, or `…` if the key is so short that four characters would be half of it.
    pub(crate) fn last4(&self) -> String {
        if self.key.len() < 8 {
            "…".to_owned()
        } else {
            format!("…{}", &self.key[self.key.len() - 4..])
        }
    }

    /// The seal for shared answers; `None`: the key is too short for that.
    pub(crate) fn seal(&self) -> Option<Seal> {
        Seal::new(self.key.as_bytes())
    }

    /// The name of the key among machines (see [`fingerprint()`]); `None`: the key is so short that it could be guessed
    /// from that.
    pub(crate) fn fingerprint(&self) -> Option<String> {
        (self.key.len() >= FINGERPRINT_MIN).then(|| fingerprint(self.key.as_bytes()))
    }

    /// The key itself: for the header that carries it and for the mask that hides it.
    pub(super) fn expose(&self) -> &str {
        &self.key
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret({})", self.last4())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_a_key_and_what_is_not() {
        let long = "k".repeat(KEY_CAP + 1);
        for (bytes, expected) in [
            (&b"sk-test-1234"[..], Ok("sk-test-1234")),
            (b"\xef\xbb\xbfsk-test-1234\r\n", Ok("sk-test-1234")),
            (b"  sk-test-1234\t\n\n", Ok("sk-test-1234")),
            (b"", Err("empty")),
            (b"\r\n", Err("empty")),
            (b"two words", Err("white space")),
            (b"two\nlines", Err("white space")),
            (b"nul\0inside", Err("control")),
            (b"\x1b[32mgreen\x1b[0m", Err("colours")),
            (b"\"quoted\"", Err("quotation marks")),
            ("schlüssel".as_bytes(), Err("ASCII")),
            (b"\xff\xfe", Err("ASCII")),
            (long.as_bytes(), Err("8 KiB")),
        ] {
            match (Secret::parse(bytes, "THE_SOURCE"), expected) {
                (Ok(secret), Ok(key)) => assert_eq!(secret.expose(), key),
                (Err(error), Err(part)) => {
                    let text = error.to_string();
                    assert!(
                        text.contains(part) && text.contains("THE_SOURCE") && !text.contains('\n'),
                        "{text}"
                    );
                }
                (result, _) => panic!("{:?}: {result:?}", String::from_utf8_lossy(bytes)),
            }
        }
    }

    #[test]
    fn only_the_end_of_a_key_is_shown() {
        let secret = |key: &str| Secret::parse(key.as_bytes(), "x").unwrap();
        assert_eq!(secret("sk-abcdefghf3a1").last4(), "…f3a1");
        assert_eq!(secret("1234567").last4(), "…");
        assert_eq!(
            format!("{:?}", secret("sk-abcdefghf3a1").owned_by("p")),
            "Secret(…f3a1)"
        );
        assert!(secret("sk-abcdefgh").owned_by("openai").may_go_to("openai"));
        assert!(!secret("sk-abcdefgh").owned_by("openai").may_go_to("groq"));
    }

    proptest! {
        #[test]
        fn any_bytes_are_refused_or_fit_into_a_header(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            if let Ok(secret) = Secret::parse(&bytes, "x") {
                prop_assert!(reqwest::header::HeaderValue::from_str(secret.expose()).is_ok());
            }
        }
    }
}
