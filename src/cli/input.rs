//! What the user gives to a one-shot: words, standard input and files, joined to one prompt.
//!
//! Owns: reading and the order of the parts: words, then standard input, then files.
//! Refuses: to read standard input twice. Bytes that are not UTF-8 are replaced, and that is said.
//! Invariant: the text of a file stands in the prompt whole, between marks that name it.

use std::io::{self, IsTerminal, Read};
use std::path::{Path, PathBuf};

use rustix::fs::FileType;

use super::output;
use crate::chat::{Failure, FailureKind};

/// Largest input taken, in bytes; no model reads more.
const LARGEST: u64 = 64 << 20;

/// Whether something other than a person is at standard input.
pub(super) fn is_piped() -> bool {
    !io::stdin().is_terminal()
}

/// Whether reading may block: a pipe, a socket or a terminal is read until the other side closes it.
pub(super) fn may_wait(files: &[PathBuf]) -> bool {
    let kind = |found: rustix::fs::Stat| FileType::from_raw_mode(found.st_mode);
    let is_held = |kind| matches!(kind, FileType::Fifo | FileType::Socket);
    if is_piped() {
        rustix::fs::fstat(io::stdin()).map(kind).is_ok_and(is_held)
    } else {
        files.iter().any(|f| is_stdin(f))
    }
}

/// What is asked.
pub(super) struct PromptInput {
    /// All parts; empty when nothing was given.
    pub(super) text: String,
    /// Where the words end and what is asked about begins, in bytes.
    pub(super) seam: usize,
}

/// The prompt made of all parts.
pub(super) fn prompt(words: &[String], files: &[PathBuf]) -> Result<PromptInput, Failure> {
    once(is_piped(), files)?;
    let mut parts = Vec::new();
    if !words.is_empty() {
        parts.push(words.join(" "));
    }
    let seam = parts.first().map_or(0, String::len);
    if is_piped() {
        let text = stdin()?;
        let text = text.trim_end_matches(['\n', '\r']);
        if !text.is_empty() {
            parts.push(text.to_owned());
        }
    }
    for path in files {
        parts.push(fenced(&path.display().to_string(), &file(path)?));
    }
    Ok(PromptInput {
        text: parts.join("\n\n"),
        seam,
    })
}

/// Standard input has an end, so it can be read once only; a pipe is read without being named.
fn once(piped: bool, files: &[PathBuf]) -> Result<(), Failure> {
    let named = files.iter().filter(|path| is_stdin(path)).count();
    let refuse = |cause: &str, mend: &str| Err(Failure::new(FailureKind::Usage, cause).hint(mend));
    match (piped, named) {
        (true, 1..) => refuse(
            "-f - names standard input, which is read anyway when it is a pipe",
            "leave -f - out",
        ),
        (false, 2..) => refuse(
            "-f - is given twice, but standard input can be read once only",
            "give it once",
        ),
        _ => Ok(()),
    }
}

fn is_stdin(path: &Path) -> bool {
    path.as_os_str() == "-"
}

/// A fence longer than any run of backticks inside, so that the text cannot close it.
fn fenced(name: &str, text: &str) -> String {
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest.max(2) + 1);
    format!("{name}:\n{fence}\n{}\n{fence}", text.trim_end_matches('\n'))
}

/// Standard input to its end.
pub(super) fn stdin() -> Result<String, Failure> {
    file(Path::new("-"))
}

/// A file to its end; `-` is standard input.
pub(super) fn file(path: &Path) -> Result<String, Failure> {
    let (name, bytes) = bytes(path)?;
    text(&name, bytes)
}

/// What a file is called in messages, and its bytes to the end, at most one more than [`text`] takes.
pub(super) fn bytes(path: &Path) -> Result<(String, Vec<u8>), Failure> {
    let mut bytes = Vec::new();
    if is_stdin(path) {
        let name = "standard input".to_owned();
        io::stdin()
            .lock()
            .take(LARGEST + 1)
            .read_to_end(&mut bytes)
            .map_err(|e| unreadable(&name, &e))?;
        return Ok((name, bytes));
    }
    let name = path.display().to_string();
    let open = std::fs::File::open(path).map_err(|e| unreadable(&name, &e))?;
    if open.metadata().is_ok_and(|meta| meta.is_dir()) {
        return Err(
            Failure::new(FailureKind::Usage, format!("{name} is a folder"))
                .hint("name the files in it"),
        );
    }
    open.take(LARGEST + 1)
        .read_to_end(&mut bytes)
        .map_err(|e| unreadable(&name, &e))?;
    Ok((name, bytes))
}

fn unreadable(name: &str, error: &io::Error) -> Failure {
    Failure::new(FailureKind::Usage, format!("cannot read {name}: {error}"))
}

/// The bytes as text; what is not UTF-8 is replaced, and that is said.
pub(super) fn text(name: &str, bytes: Vec<u8>) -> Result<String, Failure> {
    if bytes.len() as u64 > LARGEST {
        return Err(
            Failure::new(FailureKind::Usage, format!("{name} is larger than 64 MiB"))
                .hint("give a part of it"),
        );
    }
    let bytes = bytes
        .strip_prefix(b"\xEF\xBB\xBF")
        .map(<[u8]>::to_vec)
        .unwrap_or(bytes);
    Ok(String::from_utf8(bytes).unwrap_or_else(|error| {
        let lossy = String::from_utf8_lossy(error.as_bytes()).into_owned();
        let replaced = lossy.matches('\u{FFFD}').count();
        output::remark(&format!(
            "{name} is not all UTF-8: {replaced} places were replaced by \u{FFFD}"
        ));
        lossy
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_cannot_close_its_fence() {
        assert_eq!(fenced("a.md", "x\n"), "a.md:\n```\nx\n```");
        assert_eq!(
            fenced("a.md", "```rust\n````\n"),
            "a.md:\n`````\n```rust\n````\n`````"
        );
    }

    #[test]
    fn standard_input_is_read_once() {
        let files = |names: &[&str]| names.iter().map(PathBuf::from).collect::<Vec<_>>();
        for (piped, names, read) in [
            (false, &["-"][..], true),
            (false, &["-", "a", "-"], false),
            (true, &["a", "./-"], true),
            (true, &["a", "-"], false),
        ] {
            assert_eq!(
                once(piped, &files(names)).is_ok(),
                read,
                "{piped} {names:?}"
            );
        }
    }

    #[test]
    fn a_byte_order_mark_is_dropped_and_bad_bytes_are_replaced() {
        assert_eq!(text("f", b"\xEF\xBB\xBFhi".to_vec()).unwrap(), "hi");
        assert_eq!(text("f", b"a\xFFb".to_vec()).unwrap(), "a\u{FFFD}b");
    }
}
