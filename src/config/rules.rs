//! The rules for single values.
//!
//! Owns: the rules for names, addresses and headers; masking of addresses.
//! Refuses: rules over several settings (`agreement` has them), and quoting a value in an error; it may be a secret in the wrong place.
//! Invariant: a rule is a pure function of what is written; nothing is looked up or resolved.

use url::Url;

use super::error::suggestion;
use crate::chat::ModelId;

/// The encodings that `[[models]]` may name.
pub(crate) const ENCODINGS: [&str; 5] = [
    "o200k_base",
    "cl100k_base",
    "o200k_harmony",
    "p50k_base",
    "r50k_base",
];

pub(super) const FULL_NAME: &str =
    "a model's full name such as \"openai/gpt-5-mini\" (`provider/model`)";

/// What a secret is shown as.
pub(super) const STARS: &str = "********";

type Check = Result<(), String>;

fn ensure(holds: bool, cause: &str) -> Check {
    if holds { Ok(()) } else { Err(cause.to_owned()) }
}

/// "; did you mean …" when the word is close to one of a short list, else nothing: the list is shown already.
pub(super) fn nearest<'a>(
    written: &str,
    valid: impl IntoIterator<Item = &'a str> + Clone,
) -> String {
    let tail = suggestion(written, valid);
    if tail.contains("did you mean") {
        tail
    } else {
        String::new()
    }
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && !text.chars().any(|c| c.is_whitespace() || c.is_control())
}

pub(super) fn label(text: &str) -> Check {
    ensure(
        !text.trim().is_empty() && !text.contains('\0'),
        "expected a text that is not empty",
    )
}

pub(super) fn choice(text: &str) -> Check {
    ensure(
        is_name(text),
        "expected a model's name: no spaces, not empty",
    )
}

pub(super) fn full_name(text: &str) -> Check {
    let legal = is_name(text) && text.parse::<ModelId>().is_ok();
    if legal {
        Ok(())
    } else {
        Err(format!("expected {FULL_NAME}"))
    }
}

pub(super) fn alias(text: &str) -> Check {
    ensure(
        is_name(text) && !text.contains('/') && text != "auto",
        "expected an alias without spaces or `/`, other than `auto`",
    )
}

pub(super) fn provider_name(text: &str) -> Check {
    ensure(
        is_name(text) && !text.contains('/'),
        "expected a provider's name without spaces or `/`",
    )
}

pub(super) fn encoding(text: &str) -> Check {
    if ENCODINGS.contains(&text) {
        return Ok(());
    }
    Err(format!(
        "expected one of {}{}",
        ENCODINGS.join(", "),
        nearest(text, ENCODINGS)
    ))
}

/// A variable's name; a key pasted in its place has other characters, or is longer than any name.
pub(super) fn variable(name: &str) -> Check {
    let legal = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name.len() <= 128;
    ensure(
        legal,
        "expected the name of an environment variable such as \"OPENAI_API_KEY\", never the key itself",
    )
}

pub(super) fn base_url(text: &str) -> Check {
    const WHAT: &str = "expected an http or https address such as \"https://api.openai.com/v1\"";
    let url = Url::parse(text).map_err(|_| WHAT.to_owned())?;
    ensure(
        matches!(url.scheme(), "http" | "https") && url.host().is_some() && text.trim() == text,
        WHAT,
    )?;
    ensure(
        url.username().is_empty() && url.password().is_none() && !has_user_part(text),
        "an address holds no user name or password: put the key under `keys`",
    )?;
    ensure(
        url.query().is_none() && url.fragment().is_none(),
        "an address ends before `?` and `#`: what follows would be lost when a path is added",
    )
}

/// The parser drops an empty user part (`https://@host`); the mistake is the same.
fn has_user_part(text: &str) -> bool {
    let rest = text.split_once("://").map_or(text, |(_, rest)| rest);
    rest.split(['/', '?', '#', '\\'])
        .next()
        .is_some_and(|authority| authority.contains('@'))
}

pub(super) fn redis_url(text: &str) -> Check {
    const WHAT: &str =
        "expected a redis://, rediss:// or unix:// address such as \"redis://127.0.0.1:6379\"";
    let url = Url::parse(text).map_err(|_| WHAT.to_owned())?;
    let legal = match url.scheme() {
        // The path is empty or the number of a database.
        "redis" | "rediss" => {
            let database = url.path().trim_matches('/');
            url.host_str().is_some_and(|host| !host.is_empty())
                && database.bytes().all(|byte| byte.is_ascii_digit())
        }
        "unix" | "redis+unix" => url.path().len() > 1,
        _ => false,
    };
    ensure(legal && text.trim() == text, WHAT)
}

/// An address with user name, password and query (a Unix socket's password stands there) replaced by stars.
pub(super) fn masked_url(text: &str) -> String {
    let Ok(mut url) = Url::parse(text) else {
        return STARS.to_owned();
    };
    let has_user = !url.username().is_empty() || url.password().is_some();
    if has_user && (url.set_password(None).is_err() || url.set_username(STARS).is_err()) {
        return format!("{}://{STARS}", url.scheme());
    }
    if url.query().is_some() {
        url.set_query(Some(STARS));
    }
    if url.fragment().is_some() {
        url.set_fragment(Some(STARS));
    }
    if has_user || url.query().is_some() || url.fragment().is_some() {
        url.into()
    } else {
        text.to_owned()
    }
}

pub(super) fn header_name(name: &str) -> Check {
    let legal = !name.is_empty()
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b));
    ensure(
        legal,
        "expected a header's name: letters, digits and `-`, such as \"X-Title\"",
    )
}

pub(super) fn header_value(text: &str) -> Check {
    let legal = text
        .bytes()
        .all(|b| b == b'\t' || (b' '..=b'~').contains(&b));
    ensure(
        legal,
        "expected a header's value of printable ASCII characters, without line breaks",
    )
}
