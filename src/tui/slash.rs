//! The slash commands: one table.
//!
//! Owns: their names, arguments and help; completion and the palette read this table.
//! Refuses: carrying them out.
//! Invariant: a command in the table works.

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Slash {
    Model,
    Effort,
    Cache,
    Budget,
    Cost,
    Why,
    Fit,
    Continue,
    New,
    Resume,
    Search,
    Rename,
    Copy,
    System,
    Retry,
    Help,
    Quit,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct SlashCommand {
    pub(crate) name: &'static str,
    pub(crate) slash: Slash,
    /// In words for the palette; empty: none. In brackets: may be left out.
    pub(crate) argument: &'static str,
    pub(crate) help: &'static str,
}

const fn row(
    name: &'static str,
    slash: Slash,
    argument: &'static str,
    help: &'static str,
) -> SlashCommand {
    SlashCommand {
        name,
        slash,
        argument,
        help,
    }
}

pub(crate) const TABLE: &[SlashCommand] = &[
    row(
        "model",
        Slash::Model,
        "[name]",
        "choose the model of this chat, or auto",
    ),
    row(
        "effort",
        Slash::Effort,
        "[level]",
        "how hard to think: none to max, or default",
    ),
    row(
        "cache",
        Slash::Cache,
        "[on|off]",
        "kept answers: for this question, and in this chat",
    ),
    row(
        "budget",
        Slash::Budget,
        "",
        "limits, and what is left of them",
    ),
    row(
        "cost",
        Slash::Cost,
        "",
        "what this reply and this chat cost",
    ),
    row(
        "why",
        Slash::Why,
        "",
        "why this model, and which were passed over",
    ),
    row(
        "fit",
        Slash::Fit,
        "[rule]",
        "what becomes of too long a question: refuse, truncate, segment",
    ),
    row(
        "continue",
        Slash::Continue,
        "",
        "go on with an answer that was cut at its cap",
    ),
    row("new", Slash::New, "", "start a new chat"),
    row(
        "resume",
        Slash::Resume,
        "[words]",
        "go on with an earlier chat",
    ),
    row("search", Slash::Search, "words", "search all chats"),
    row("rename", Slash::Rename, "title", "give this chat a title"),
    row(
        "copy",
        Slash::Copy,
        "[n|all]",
        "copy the last answer, its code block n, or the chat",
    ),
    row(
        "system",
        Slash::System,
        "[text|off]",
        "show, set or remove the system message",
    ),
    row(
        "retry",
        Slash::Retry,
        "[up]",
        "ask the last question again; up: one rung higher",
    ),
    row("help", Slash::Help, "", "keys and commands"),
    row("quit", Slash::Quit, "", "leave"),
];

/// A command line taken apart.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Parsed<'a> {
    /// Not a command: a prompt.
    Prompt,
    Command(&'static SlashCommand, &'a str),
    /// It looks like a command; this one is nearest.
    Unknown {
        typed: &'a str,
        nearest: &'static str,
    },
}

/// Takes a text apart. A path (`/usr/bin`) or a text of several lines is a prompt.
pub(crate) fn parse(text: &str) -> Parsed<'_> {
    let Some(rest) = text.strip_prefix('/') else {
        return Parsed::Prompt;
    };
    let (name, argument) = rest.split_once(' ').unwrap_or((rest, ""));
    if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphabetic()) || rest.contains('\n') {
        return Parsed::Prompt;
    }
    match find(name) {
        Ok(row) => Parsed::Command(row, argument.trim()),
        Err(nearest) => Parsed::Unknown {
            typed: name,
            nearest,
        },
    }
}

/// The command of this name, or the nearest name.
pub(crate) fn find(name: &str) -> Result<&'static SlashCommand, &'static str> {
    let lower = name.to_ascii_lowercase();
    let known = match lower.as_str() {
        "clear" => "new",
        "sessions" => "resume",
        "exit" => "quit",
        "usage" => "cost",
        other => other,
    };
    TABLE.iter().find(|row| row.name == known).ok_or_else(|| {
        let distance = |row: &SlashCommand| strsim::damerau_levenshtein(row.name, &lower);
        TABLE
            .iter()
            .min_by_key(|row| distance(row))
            .map_or("help", |row| row.name)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_told_from_prompts() {
        let command = |name: &str, argument| Parsed::Command(find(name).unwrap(), argument);
        for (text, parsed) in [
            ("/model", command("model", "")),
            ("/rename  A title ", command("rename", "A title")),
            ("/clear", command("new", "")),
            (
                "/modle gpt",
                Parsed::Unknown {
                    typed: "modle",
                    nearest: "model",
                },
            ),
            ("/usr/bin/env is what?", Parsed::Prompt),
            ("/ and so on", Parsed::Prompt),
            ("//", Parsed::Prompt),
            ("/help\nme", Parsed::Prompt),
            ("hello", Parsed::Prompt),
        ] {
            assert_eq!(parse(text), parsed, "{text:?}");
        }
    }

    #[test]
    fn names_are_single() {
        for (i, row) in TABLE.iter().enumerate() {
            assert!(
                TABLE[..i].iter().all(|other| other.name != row.name),
                "{}",
                row.name
            );
        }
    }
}
