//! Which rooms and crates a source file names.
//!
//! Owns: as much of Rust's grammar as that takes: comments, strings, `use` trees, inline modules.
//! Refuses: rules about who may name what (see `architecture`).
//! Invariant: a path counts once for each place it is written in, with its line.

use std::collections::BTreeSet;

/// What a path leads to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Target {
    /// A module at the top of our own crate; `*` for all of them.
    Room(String),
    /// Another crate, or at least a name that this file does not explain.
    Outside(String),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    pub line: usize,
    pub target: Target,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    pub text: String,
    pub line: usize,
}

/// Words, `::` and single characters; no comments, no strings, no lifetimes.
pub fn tokens(source: &str) -> Vec<Token> {
    let chars: Vec<char> = source.chars().collect();
    let mut found = Vec::new();
    let (mut i, mut line) = (0, 1);
    while i < chars.len() {
        let at = |n: usize| chars.get(i + n).copied().unwrap_or(' ');
        let c = chars[i];
        let start = i;
        if c == '/' && at(1) == '/' {
            i = position(&chars, i, |c| c == '\n');
        } else if c == '/' && at(1) == '*' {
            i = comment_end(&chars, i);
        } else if c == '"' {
            i = string_end(&chars, i);
        } else if c == '\'' {
            i = quote_end(&chars, i);
        } else if c.is_alphanumeric() || c == '_' {
            i = position(&chars, i, |c| !(c.is_alphanumeric() || c == '_'));
            let word: String = chars[start..i].iter().collect();
            let hashes = chars[i..].iter().take_while(|c| **c == '#').count();
            let raw =
                matches!(word.as_str(), "r" | "br" | "cr") && chars.get(i + hashes) == Some(&'"');
            if raw {
                i = raw_string_end(&chars, i + hashes + 1, hashes);
            } else if word == "r" && hashes == 1 {
                // A raw name: the name alone counts.
                i += 1;
            } else {
                found.push(Token { text: word, line });
            }
        } else if c == ':' && at(1) == ':' {
            found.push(Token {
                text: "::".to_owned(),
                line,
            });
            i += 2;
        } else {
            if !c.is_whitespace() {
                found.push(Token {
                    text: c.to_string(),
                    line,
                });
            }
            i += 1;
        }
        line += chars[start..i].iter().filter(|c| **c == '\n').count();
    }
    found
}

fn position(chars: &[char], from: usize, holds: impl Fn(char) -> bool) -> usize {
    chars[from..]
        .iter()
        .position(|c| holds(*c))
        .map_or(chars.len(), |n| from + n)
}

/// Block comments nest.
fn comment_end(chars: &[char], from: usize) -> usize {
    let (mut i, mut depth) = (from, 0);
    while i < chars.len() {
        match chars[i..] {
            ['/', '*', ..] => (depth, i) = (depth + 1, i + 2),
            ['*', '/', ..] => (depth, i) = (depth - 1, i + 2),
            _ => i += 1,
        }
        if depth == 0 {
            break;
        }
    }
    i.min(chars.len())
}

fn string_end(chars: &[char], from: usize) -> usize {
    let mut i = from + 1;
    while i < chars.len() && chars[i] != '"' {
        i += if chars[i] == '\\' { 2 } else { 1 };
    }
    (i + 1).min(chars.len())
}

fn raw_string_end(chars: &[char], from: usize, hashes: usize) -> usize {
    let ends = |i: usize| {
        chars[i] == '"' && chars[i + 1..].iter().take_while(|c| **c == '#').count() >= hashes
    };
    (from..chars.len())
        .find(|i| ends(*i))
        .map_or(chars.len(), |i| i + 1 + hashes)
}

/// A character, or only the mark of a lifetime.
fn quote_end(chars: &[char], from: usize) -> usize {
    match chars[from + 1..] {
        ['\\', ..] => (position(chars, from + 3, |c| c == '\'') + 1).min(chars.len()),
        [_, '\'', ..] => from + 3,
        _ => from + 1,
    }
}

/// One path of a `use`, with the name it is known by from then on.
struct Import {
    line: usize,
    segments: Vec<String>,
    alias: String,
}

/// Reads one tree of a `use` from `i`; returns where it ends.
fn use_tree(tokens: &[Token], mut i: usize, before: &[String], found: &mut Vec<Import>) -> usize {
    let mut segments = before.to_vec();
    let line = tokens.get(i).map_or(0, |token| token.line);
    while let Some(token) = tokens.get(i) {
        match token.text.as_str() {
            "::" => i += 1,
            "{" => {
                i += 1;
                while tokens.get(i).is_some_and(|token| token.text != "}") {
                    i = use_tree(tokens, i, &segments, found);
                    i += usize::from(tokens.get(i).is_some_and(|token| token.text == ","));
                }
                return i + 1;
            }
            "as" => {
                let alias = tokens
                    .get(i + 1)
                    .map(|token| token.text.clone())
                    .unwrap_or_default();
                found.push(Import {
                    line,
                    segments,
                    alias,
                });
                return i + 2;
            }
            "," | "}" | ";" => break,
            word => {
                segments.push(word.to_owned());
                i += 1;
            }
        }
    }
    if segments.len() > 1 && segments.last().is_some_and(|last| last == "self") {
        segments.pop();
    }
    let alias = segments.last().cloned().unwrap_or_default();
    found.push(Import {
        line,
        segments,
        alias,
    });
    i
}

/// Where a path leads, seen from `module` (names from the top of the crate). `None`: to the crate itself.
fn resolve(segments: &[String], module: &[String]) -> Option<Target> {
    let room = |name: Option<&String>| {
        name.filter(|name| *name != "self")
            .map(|name| Target::Room(name.clone()))
    };
    match segments.first()?.as_str() {
        "crate" => room(segments.get(1)),
        "self" => room(module.first().or(segments.get(1))),
        "super" => {
            let ups = segments
                .iter()
                .take_while(|segment| *segment == "super")
                .count();
            let kept = &module[..module.len().saturating_sub(ups)];
            room(kept.first().or(segments.get(ups)))
        }
        name => Some(Target::Outside(name.to_owned())),
    }
}

/// A path as it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    pub line: usize,
    pub segments: Vec<String>,
    /// The module it is written in, from the top of the crate.
    pub here: Vec<String>,
    /// For a path in a `use`.
    pub import: Option<Alias>,
}

/// What a `use` makes of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alias {
    pub name: String,
    /// Handed on to other modules.
    pub public: bool,
}

/// Every path that a file writes, and the names of the modules that it declares. `module`: the file's own place, such as
/// `["budget", "windows"]`.
pub fn written(source: &str, module: &[&str]) -> (Vec<Written>, BTreeSet<String>) {
    let tokens = tokens(source);
    let word = |i: usize| tokens.get(i).map_or("", |token| token.text.as_str());
    let mut here: Vec<String> = module.iter().map(|&name| name.to_owned()).collect();
    // The depths of braces at which inline modules end.
    let (mut inline, mut depth) = (Vec::new(), 0);
    let (mut found, mut declared) = (Vec::new(), BTreeSet::new());
    let mut i = 0;
    while i < tokens.len() {
        let line = tokens[i].line;
        match word(i) {
            "use" if word(i + 1) != "<" => {
                let public = i > 0 && matches!(word(i - 1), "pub" | ")");
                let mut imports = Vec::new();
                i = use_tree(&tokens, i + 1, &[], &mut imports);
                found.extend(imports.into_iter().map(|import| Written {
                    line: import.line,
                    segments: import.segments,
                    here: here.clone(),
                    import: Some(Alias {
                        name: import.alias,
                        public,
                    }),
                }));
                continue;
            }
            "mod" => {
                declared.insert(word(i + 1).to_owned());
                if word(i + 2) == "{" {
                    here.push(word(i + 1).to_owned());
                    inline.push(depth);
                }
            }
            "{" => depth += 1,
            "}" => {
                depth -= 1;
                if inline.last() == Some(&depth) {
                    inline.pop();
                    here.pop();
                }
            }
            "extern" if word(i + 1) == "crate" => {
                found.push(Written {
                    line,
                    segments: vec![word(i + 2).to_owned()],
                    here: here.clone(),
                    import: None,
                });
            }
            _ if word(i + 1) == "::" && starts_path(&tokens, i) => {
                let mut segments = vec![word(i).to_owned()];
                while word(i + 1) == "::"
                    && word(i + 2).starts_with(|c: char| c.is_alphabetic() || c == '_')
                {
                    segments.push(word(i + 2).to_owned());
                    i += 2;
                }
                found.push(Written {
                    line,
                    segments,
                    here: here.clone(),
                    import: None,
                });
            }
            _ => {}
        }
        i += 1;
    }
    (found, declared)
}

/// The rooms and crates that a file names.
pub fn named(source: &str, module: &[&str]) -> Vec<Named> {
    let (paths, mut known) = written(source, module);
    let mut found = Vec::new();
    for path in paths {
        let Some(target) = resolve(&path.segments, &path.here) else {
            continue;
        };
        if let (Some(alias), Target::Room(_)) = (path.import, &target) {
            known.insert(alias.name);
        }
        found.push(Named {
            line: path.line,
            target,
        });
    }
    // A name that the file itself explains is no other crate.
    found.retain(|named| !matches!(&named.target, Target::Outside(name) if known.contains(name)));
    found
}

/// Whether the word at `i` is the first of its path.
fn starts_path(tokens: &[Token], i: usize) -> bool {
    let is_word = |text: &str| text.starts_with(|c: char| c.is_alphabetic() || c == '_');
    if !is_word(&tokens[i].text) {
        return false;
    }
    match i.checked_sub(1).map(|before| tokens[before].text.as_str()) {
        Some(".") => false,
        // `pub(in crate::room)` says who may see an item and needs nothing.
        Some("in") => !(i >= 3 && tokens[i - 2].text == "(" && tokens[i - 3].text == "pub"),
        Some("::") => !i
            .checked_sub(2)
            .is_some_and(|n| is_word(&tokens[n].text) || tokens[n].text == ">"),
        _ => true,
    }
}

/// The names of all modules that a file declares, with their lines.
pub fn modules(source: &str) -> Vec<(usize, String)> {
    let tokens = tokens(source);
    tokens
        .windows(2)
        .filter(|pair| pair[0].text == "mod")
        .map(|pair| (pair[1].line, pair[1].text.clone()))
        .collect()
}
