//! Copying, by way of the terminal.
//!
//! Owns: how much may be copied, and what the user is told.
//! Refuses: other programs; OSC 52 works over ssh and in tmux, and a terminal that does not know it ignores it.
//! Invariant: the toast says which way was taken, since the terminal does not say whether it took the text.

use super::format::thousands;

/// More than this most terminals drop without a word.
const MOST: usize = 74_994;

/// Whether `text` may go, and the words for it.
pub(crate) fn verdict(what: &str, text: &str) -> Result<String, String> {
    if text.len() > MOST {
        return Err(format!(
            "{what} is too long for the terminal's clipboard ({} of at most {} bytes)",
            thousands(text.len() as u64),
            thousands(MOST as u64)
        ));
    }
    Ok(format!(
        "{what} copied by the terminal (OSC 52, {} characters)",
        thousands(text.chars().count() as u64)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_toast_says_what_was_done() {
        assert_eq!(
            verdict("code block 1", "let a;"),
            Ok("code block 1 copied by the terminal (OSC 52, 6 characters)".into())
        );
        let long = verdict("the chat", &"x".repeat(100_000)).unwrap_err();
        assert_eq!(
            long,
            "the chat is too long for the terminal's clipboard (100,000 of at most 74,994 bytes)"
        );
    }
}
