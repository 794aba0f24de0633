//! The types of the sources: where they are declared, where their methods stand, and which share a name.
//!
//! Owns: finding `struct`, `enum`, `trait`, `union` and inherent `impl` in a file without its tests.
//! Refuses: types that a macro makes: they are not seen.
//! Invariant: a name counts once for each declaration.

use std::collections::BTreeMap;

use super::File;
use super::paths::{Token, tokens};

/// The text up to the file's own `#[cfg(test)] mod … {`.
pub fn without_tests(text: &str) -> &str {
    let marks = text.match_indices("#[cfg(test)]").map(|(at, mark)| {
        let behind = text[at + mark.len()..].trim_start();
        (at, behind.lines().next().unwrap_or_default())
    });
    let mut tests = marks.filter(|(_, line)| line.contains("mod ") && line.ends_with('{'));
    tests.next().map_or(text, |(at, _)| &text[..at])
}

/// The names of the types that a file declares.
pub fn declared(tokens: &[Token]) -> Vec<&str> {
    let is_name = |text: &str| text.starts_with(|c: char| c.is_alphabetic() || c == '_');
    tokens
        .windows(2)
        .filter(|pair| {
            matches!(pair[0].text.as_str(), "struct" | "enum" | "trait" | "union")
                && is_name(&pair[1].text)
        })
        .map(|pair| pair[1].text.as_str())
        .collect()
}

/// The types with an `impl` that is not for a trait, each with its line.
fn inherent(tokens: &[Token]) -> Vec<(usize, &str)> {
    let text = |i: usize| tokens.get(i).map_or("", |token| token.text.as_str());
    let mut found = Vec::new();
    for i in 0..tokens.len() {
        // Elsewhere it stands for a type: `-> impl Iterator`.
        let begins_item = i == 0 || matches!(text(i - 1), "}" | ";" | "]" | "{" | "unsafe");
        if text(i) != "impl" || !begins_item {
            continue;
        }
        let (mut name, mut depth, mut skip) = ("", 0, false);
        for n in i + 1..tokens.len() {
            match text(n) {
                "<" => depth += 1,
                ">" if text(n - 1) != "-" => depth -= 1,
                "{" | "where" if depth == 0 => break,
                // For a trait, or for a name that a macro is given.
                "for" | "$" if depth == 0 => skip = true,
                word if depth == 0 && word.starts_with(char::is_alphabetic) => name = word,
                _ => {}
            }
        }
        if !skip {
            found.push((tokens[i].line, name));
        }
    }
    found
}

/// Types whose methods stand in another file than they do, as `src/a.rs: Type`.
pub fn strayed(file: &File) -> Vec<String> {
    if file.module().contains(&"tests") {
        return Vec::new();
    }
    let tokens = tokens(without_tests(&file.text));
    let own = declared(&tokens);
    let mut found: Vec<String> = inherent(&tokens)
        .into_iter()
        .filter(|(_, name)| !own.contains(name))
        .map(|(_, name)| format!("{}: {name}", file.path))
        .collect();
    found.dedup();
    found
}

/// How many types there are, and those that share their name with another, by name.
pub fn homonyms(files: &[File]) -> (usize, BTreeMap<String, Vec<String>>) {
    let mut names: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for file in files {
        if file.module().contains(&"tests") {
            continue;
        }
        let tokens = tokens(without_tests(&file.text));
        for name in declared(&tokens) {
            names
                .entry(name.to_owned())
                .or_default()
                .push(file.path.clone());
        }
    }
    let all = names.values().map(Vec::len).sum();
    names.retain(|_, places| places.len() > 1);
    (all, names)
}
