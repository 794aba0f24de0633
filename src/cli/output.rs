//! The only place that writes to standard output and standard error.
//!
//! Owns: both streams; the gate of [`SafeText`](crate::chat::SafeText) in front of them; what a closed pipe means.
//! Refuses: `String`s from outside; they come as [`SafeText`](crate::chat::SafeText).
//! Invariant: a write never panics. A reader that has gone away is [`Gone`], and ends the work that fed it.

use std::io::{self, Write};

use crate::chat::Failure;
use crate::chat::text::{is_plain, one_line};

/// The reader of standard output has gone away, or it cannot be written.
#[derive(Debug)]
pub(super) struct Gone;

/// Writes a whole report. The caller has made foreign text in it safe.
pub(super) fn report(text: &str) -> Result<(), Gone> {
    write(text.as_bytes()).map_err(|error| gone(&error))
}

pub(super) fn write(bytes: &[u8]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(bytes).and_then(|()| out.flush())
}

/// A closed pipe (`chat-agent … | head`) is not reported; any other error, such as a full disk, is.
pub(super) fn gone(error: &io::Error) -> Gone {
    if error.kind() != io::ErrorKind::BrokenPipe {
        remark(&format!("standard output cannot be written: {error}"));
    }
    Gone
}

/// Writes a value as one line of JSON.
pub(super) fn json(value: &impl serde::Serialize) -> Result<(), Gone> {
    report(&json_line(value)?)
}

/// A value as one line of JSON. Every character that a terminal must not see is escaped; the value stays what it is.
pub(super) fn json_line(value: &impl serde::Serialize) -> Result<String, Gone> {
    let mut line = escaped(&serde_json::to_string(value).map_err(|_| Gone)?);
    line.push('\n');
    Ok(line)
}

/// JSON itself escapes no more than ASCII's control characters.
fn escaped(json: &str) -> String {
    let mut line = String::with_capacity(json.len() + 1);
    for c in json.chars() {
        if is_plain(c) {
            line.push(c);
        } else {
            line.extend(
                c.encode_utf16(&mut [0; 2])
                    .iter()
                    .map(|unit| format!("\\u{unit:04x}")),
            );
        }
    }
    line
}

/// The exit status after a report: 1 when the reader of standard output has gone away.
#[expect(
    clippy::unnecessary_wraps,
    clippy::needless_pass_by_value,
    reason = "every command ends in this shape"
)]
pub(super) fn done(printed: Result<(), Gone>) -> Result<u8, Failure> {
    Ok(u8::from(printed.is_err()))
}

/// One line on standard error.
pub(super) fn remark(text: &str) {
    let line = format!("chat-agent: {}\n", one_line(text).as_str());
    let _ = io::stderr().lock().write_all(line.as_bytes());
}

/// A failure, as exactly one line on standard error.
pub(super) fn failure(failure: &Failure) {
    remark(&failure.to_string());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_holds_the_same_value_and_no_foreign_bytes() {
        let value = "a\u{9b}b\u{202e}c\u{200b}d\u{7f}e\u{e0041}f\u{85}ü世\t";
        let line = escaped(&serde_json::to_string(value).unwrap());
        assert_eq!(
            line,
            r#""a\u009bb\u202ec\u200bd\u007fe\udb40\udc41f\u0085ü世\t""#
        );
        assert_eq!(serde_json::from_str::<String>(&line).unwrap(), value);
    }
}
