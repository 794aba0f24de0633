//! What the user gives to a one-shot: words, standard input and files, joined to one prompt.
//!
//! Owns: reading and the order of the parts: words, then standard input, then files.
//! Refuses: nothing that can be read; bytes that are not UTF-8 are replaced, and that is said.
//! Invariant: the text of a file stands in the prompt whole, between marks that name it.

use std::io::{self, IsTerminal, Read};
use std::path::Path;

use super::output;
use crate::chat::{Failure, FailureKind};

/// Largest input taken, in bytes; no model reads more.
const LARGEST: u64 = 64 << 20;

/// Whether something other than a person is at standard input.
pub(super) fn is_piped() -> bool {
    !io::stdin().is_terminal()
}

/// The prompt made of all parts. Empty when nothing was given.
pub(super) fn prompt(words: &[String], files: &[std::path::PathBuf]) -> Result<String, Failure> {
    let mut parts = Vec::new();
    if !words.is_empty() {
        parts.push(words.join(" "));
    }
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
    Ok(parts.join("\n\n"))
}

/// A fence longer than any run of backticks inside, so that the text cannot close it.
fn fenced(name: &str, text: &str) -> String {
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest.max(2) + 1);
    format!("{name}:\n{fence}\n{}\n{fence}", text.trim_end_matches('\n'))
}

/// Standard input to its end.
pub(super) fn stdin() -> Result<String, Failure> {
    let mut bytes = Vec::new();
    io::stdin().lock().take(LARGEST + 1).read_to_end(&mut bytes).map_err(|e| unreadable("standard input", &e))?;
    text("standard input", bytes)
}

/// A file to its end; `-` is standard input.
pub(super) fn file(path: &Path) -> Result<String, Failure> {
    if path.as_os_str() == "-" {
        return stdin();
    }
    let name = path.display().to_string();
    let open = std::fs::File::open(path).map_err(|e| unreadable(&name, &e))?;
    if open.metadata().is_ok_and(|meta| meta.is_dir()) {
        return Err(Failure::new(FailureKind::Usage, format!("{name} is a folder")).hint("name the files in it"));
    }
    let mut bytes = Vec::new();
    open.take(LARGEST + 1).read_to_end(&mut bytes).map_err(|e| unreadable(&name, &e))?;
    text(&name, bytes)
}

fn unreadable(name: &str, error: &io::Error) -> Failure {
    Failure::new(FailureKind::Usage, format!("cannot read {name}: {error}"))
}

fn text(name: &str, bytes: Vec<u8>) -> Result<String, Failure> {
    if bytes.len() as u64 > LARGEST {
        return Err(Failure::new(FailureKind::Usage, format!("{name} is larger than 64 MiB")).hint("give a part of it"));
    }
    let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").map(<[u8]>::to_vec).unwrap_or(bytes);
    Ok(String::from_utf8(bytes).unwrap_or_else(|error| {
        let lossy = String::from_utf8_lossy(error.as_bytes()).into_owned();
        let replaced = lossy.matches('\u{FFFD}').count();
        output::remark(&format!("{name} is not all UTF-8: {replaced} places were replaced by \u{FFFD}"));
        lossy
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_cannot_close_its_fence() {
        assert_eq!(fenced("a.md", "x\n"), "a.md:\n```\nx\n```");
        assert_eq!(fenced("a.md", "```rust\n````\n"), "a.md:\n`````\n```rust\n````\n`````");
    }

    #[test]
    fn a_byte_order_mark_is_dropped_and_bad_bytes_are_replaced() {
        assert_eq!(text("f", b"\xEF\xBB\xBFhi".to_vec()).unwrap(), "hi");
        assert_eq!(text("f", b"a\xFFb".to_vec()).unwrap(), "a\u{FFFD}b");
    }
}
