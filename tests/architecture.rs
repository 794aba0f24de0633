//! The wall: who may import whom, where foreign crates live, and how files look.
//!
//! Owns: the tables of those rules, and the reading of every file under `src` and `tests`.
//! Refuses: exceptions. A rule that no longer serves is changed here, in sight.
//! Invariant: each rule is shown, below, to catch what breaks it.

#![allow(clippy::unwrap_used, reason = "the small functions of tests are tests")]

#[path = "architecture/arrows.rs"]
mod arrows;
#[path = "architecture/paths.rs"]
mod paths;
#[path = "architecture/proof.rs"]
mod proof;
#[path = "architecture/structure.rs"]
mod structure;
#[path = "architecture/types.rs"]
mod types;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use paths::{Target, modules, named};

/// Rooms, and the rooms that each may import. All may import themselves.
const ROOMS: [(&str, &[&str]); 15] = [
    ("chat", &[]),
    ("protocol", &["chat"]),
    ("config", &["chat"]),
    ("tokens", &["chat"]),
    ("catalog", &["chat", "config", "tokens"]),
    ("metrics", &["chat", "protocol"]),
    ("store", NOUNS),
    ("redis", NOUNS),
    ("cache", SERVICES),
    ("budget", SERVICES),
    ("router", SERVICES),
    ("provider", SERVICES),
    (
        "gateway",
        &[
            "chat", "protocol", "config", "tokens", "catalog", "metrics", "store", "redis",
            "cache", "budget", "router", "provider",
        ],
    ),
    (
        "agent",
        &[
            "chat", "protocol", "config", "tokens", "catalog", "metrics", "store", "redis",
            "cache", "budget", "router", "provider", "gateway",
        ],
    ),
    ("tui", &["chat", "protocol", "config", "metrics"]),
];
const NOUNS: &[&str] = &["chat", "protocol", "config", "tokens", "catalog", "metrics"];
const SERVICES: &[&str] = &[
    "chat", "protocol", "config", "tokens", "catalog", "metrics", "store", "redis",
];
/// May import every room; no room imports it.
const TOP: &str = "cli";

/// The crates of `Cargo.toml`, and the rooms that know them. What a room is there to hide has one room: only data that
/// is plain to read (TOML, JSON) and small tools (searching bytes, the width of a character) may have several.
const CRATES: [(&str, &[&str]); 42] = [
    ("async_openai", &["provider"]),
    ("base64", &["cli", "provider"]),
    ("blake3", &["cache", "chat"]),
    ("bytes", &["provider"]),
    ("clap", &["cli"]),
    ("clap_complete", &["cli"]),
    ("clap_mangen", &["cli"]),
    ("crossterm", &["tui"]),
    ("directories", &["config"]),
    ("flate2", &["provider"]),
    ("futures_util", &["provider", "store", "tui"]),
    ("getrandom", &["provider"]),
    ("http", &["provider"]),
    ("http_body_util", &["provider"]),
    ("hyper", &["provider"]),
    ("hyper_util", &["provider"]),
    ("imagesize", &["cli"]),
    ("jiff", &["budget", "catalog", "cli", "provider"]),
    ("memchr", &["provider", "tui"]),
    ("moka", &["cache"]),
    ("nucleo_matcher", &["tui"]),
    ("pulldown_cmark", &["tui"]),
    ("ratatui", &["tui"]),
    ("redis", &["redis"]),
    ("reqwest", &["provider"]),
    ("ring", &["redis"]),
    ("rusqlite", &["store"]),
    ("rustix", &["cache", "cli", "provider", "store", "tui"]),
    ("rustls", &["provider"]),
    ("rustls_native_certs", &["provider"]),
    ("secrecy", &["provider"]),
    ("shlex", &["provider"]),
    ("sled", &["cache"]),
    ("strsim", &["catalog", "config", "tui"]),
    ("tokio_util", &["gateway"]),
    ("toml", &["catalog", "config"]),
    ("toml_edit", &["config"]),
    ("tower", &["provider"]),
    ("tracing_subscriber", &["cli"]),
    ("unicode_segmentation", &["agent", "chat", "store", "tui"]),
    ("unicode_width", &["chat", "cli", "tui"]),
    ("url", &["config"]),
];
/// Crates that any room may use.
const EVERYWHERE: [&str; 5] = ["serde", "serde_json", "thiserror", "tokio", "tracing"];

const MOST_LINES: usize = 500;
/// They say nothing about what is inside.
const EMPTY_NAMES: [&str; 8] = [
    "util", "utils", "common", "helper", "helpers", "manager", "managers", "misc",
];

/// A source file: its path from the package's root, with `/`, and its text.
struct File {
    path: String,
    text: String,
}

impl File {
    /// `["budget", "windows"]` for `src/budget/windows.rs`; empty for the two roots.
    fn module(&self) -> Vec<&str> {
        let inner = self.path.trim_start_matches("src/").trim_end_matches(".rs");
        let mut names: Vec<&str> = inner.split('/').collect();
        if matches!(names.last(), Some(&"mod")) || matches!(names[..], ["main" | "lib"]) {
            names.pop();
        }
        names
    }

    fn in_src(&self) -> bool {
        self.path.starts_with("src/")
    }

    /// The lines of `//!` at the top.
    fn head(&self) -> String {
        self.text
            .lines()
            .take_while(|line| line.starts_with("//!"))
            .collect::<Vec<_>>()
            .join("\n")
    }

    /// Whether it opens a room or a part of one.
    fn is_door(&self) -> bool {
        self.path.ends_with("/mod.rs") || (self.in_src() && self.module().len() == 1)
    }
}

fn forbidden_imports(file: &File) -> Vec<String> {
    let module = file.module();
    let Some(&room) = module.first() else {
        return Vec::new();
    };
    if room == TOP || !file.in_src() {
        return Vec::new();
    }
    let Some((_, allowed)) = ROOMS.iter().find(|(name, _)| *name == room) else {
        return vec![format!(
            "{}:1: the room `{room}` is not in the import table",
            file.path
        )];
    };
    let mut found = Vec::new();
    for named in named(&file.text, &module) {
        if let Target::Room(other) = named.target
            && other != room
            && !allowed.contains(&other.as_str())
        {
            found.push(format!(
                "{}:{}: `{room}` may not import `{other}`",
                file.path, named.line
            ));
        }
    }
    found
}

fn misplaced_crates(file: &File) -> Vec<String> {
    let module = file.module();
    let room = module.first().copied().unwrap_or("the root");
    let mut found = Vec::new();
    for named in named(&file.text, &module) {
        let Target::Outside(name) = named.target else {
            continue;
        };
        if let Some((_, homes)) = CRATES.iter().find(|(known, _)| *known == name)
            && !homes.contains(&room)
        {
            let homes = homes.join("`, `");
            found.push(format!(
                "{}:{}: `{name}` lives in `{homes}`, not in `{room}`",
                file.path, named.line
            ));
        }
    }
    found
}

/// The crates under this heading of a `Cargo.toml`, as code writes their names.
fn dependencies(manifest: &str, heading: &str) -> Vec<String> {
    let section = manifest.lines().skip_while(|line| *line != heading).skip(1);
    let entries = section
        .take_while(|line| !line.starts_with('['))
        .filter_map(|line| line.split_once(" = "));
    entries
        .map(|(name, _)| name.replace('-', "_"))
        .filter(|name| !name.starts_with('#'))
        .collect()
}

/// Crates that no table names, that have more rooms than they use, or that nothing uses.
fn unexplained_crates(dependencies: &[String], files: &[File]) -> Vec<String> {
    let mut uses: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for file in files {
        let module = file.module();
        let room = module.first().copied().unwrap_or("the root");
        for named in named(&file.text, &module) {
            if let Target::Outside(name) = named.target {
                uses.entry(name).or_default().insert(room.to_owned());
            }
        }
    }
    let mut found = Vec::new();
    for name in dependencies {
        let Some(rooms) = uses.get(name) else {
            found.push(format!("Cargo.toml: `{name}` is used nowhere"));
            continue;
        };
        match CRATES.iter().find(|(known, _)| known == name) {
            Some((_, homes)) => {
                let empty = homes.iter().filter(|home| !rooms.contains(**home));
                found.extend(
                    empty.map(|home| {
                        format!("`{name}` may live in `{home}`, which does not use it")
                    }),
                );
            }
            None if EVERYWHERE.contains(&name.as_str()) => {}
            None => found.push(format!("Cargo.toml: `{name}` has no room in the table")),
        }
    }
    found
}

fn too_long(file: &File) -> Vec<String> {
    let lines = file.text.lines().count();
    let long = lines > MOST_LINES;
    long.then(|| format!("{}: {lines} lines, at most {MOST_LINES}", file.path))
        .into_iter()
        .collect()
}

fn missing_head(file: &File) -> Vec<String> {
    // The tests of a module belong to it: its head is theirs.
    if file.module().contains(&"tests") {
        return Vec::new();
    }
    let head = file.head();
    let mut missing = Vec::new();
    if head.is_empty() {
        missing.push("//!");
    }
    if file.is_door() {
        missing.extend(
            ["Owns:", "Refuses:", "Invariant:"]
                .into_iter()
                .filter(|word| !head.contains(word)),
        );
    }
    let path = &file.path;
    missing
        .into_iter()
        .map(|word| format!("{path}:1: the head lacks `{word}`"))
        .collect()
}

fn empty_names(file: &File) -> Vec<String> {
    let mut found = Vec::new();
    let stem = file
        .path
        .trim_end_matches(".rs")
        .rsplit('/')
        .next()
        .unwrap_or_default();
    if EMPTY_NAMES.contains(&stem) {
        found.push(format!("{}: the name says nothing", file.path));
    }
    for (line, name) in modules(&file.text) {
        if EMPTY_NAMES.contains(&name.as_str()) {
            found.push(format!("{}:{line}: `mod {name}` says nothing", file.path));
        }
    }
    found
}

/// Every `.rs` file under these folders.
fn files(folders: &[&str]) -> Vec<File> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut waiting: Vec<_> = folders.iter().map(|folder| root.join(folder)).collect();
    let mut found = Vec::new();
    while let Some(folder) = waiting.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                waiting.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                let parts: Vec<_> = path
                    .strip_prefix(root)
                    .unwrap()
                    .iter()
                    .map(|part| part.to_str().unwrap())
                    .collect();
                found.push(File {
                    path: parts.join("/"),
                    text,
                });
            }
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    assert!(!found.is_empty(), "no sources under {folders:?}");
    found
}

fn names_crate(file: &File, name: &str) -> bool {
    named(&file.text, &file.module())
        .iter()
        .any(|named| named.target == Target::Outside(name.to_owned()))
}

#[track_caller]
fn check(folders: &[&str], rule: fn(&File) -> Vec<String>) {
    let wrong: Vec<String> = files(folders).iter().flat_map(rule).collect();
    assert!(wrong.is_empty(), "\n  {}\n", wrong.join("\n  "));
}

#[test]
fn rooms_import_only_what_lies_below_them() {
    check(&["src"], forbidden_imports);
}

#[test]
fn a_foreign_crate_stays_in_its_rooms() {
    check(&["src"], misplaced_crates);
}

#[test]
fn every_dependency_has_a_room_and_is_used() {
    let manifest =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml")).unwrap();
    let wrong = unexplained_crates(&dependencies(&manifest, "[dependencies]"), &files(&["src"]));
    assert!(wrong.is_empty(), "\n  {}\n", wrong.join("\n  "));
    let all = files(&["src", "tests", "benches"]);
    let used = |name: &String| all.iter().any(|file| names_crate(file, name));
    let idle: Vec<_> = dependencies(&manifest, "[dev-dependencies]")
        .into_iter()
        .filter(|name| !used(name))
        .collect();
    assert!(idle.is_empty(), "used by no test and no bench: {idle:?}");
}

#[test]
fn no_file_is_too_long() {
    check(&["src", "tests", "benches"], too_long);
}

#[test]
fn every_module_says_what_it_owns() {
    // The thin binary is no module.
    check(&["src"], |file| {
        if file.path == "src/main.rs" {
            Vec::new()
        } else {
            missing_head(file)
        }
    });
}

#[test]
fn no_module_has_an_empty_name() {
    check(&["src", "tests", "benches"], empty_names);
}

/// `src/lib.rs` tells newcomers where a change goes.
#[test]
fn the_map_names_files_that_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let map = std::fs::read_to_string(root.join("src/lib.rs")).unwrap();
    let named: Vec<&str> = map
        .lines()
        .filter(|line| line.starts_with("//!"))
        .flat_map(|line| line.split('`').skip(1).step_by(2))
        .filter(|words| Path::new(words).extension().is_some_and(|it| it == "rs"))
        .collect();
    assert!(named.len() > 20, "{named:?}");
    for name in named {
        let places = [root.join("src").join(name), root.join(name)];
        assert!(places.iter().any(|place| place.exists()), "{name}");
    }
}
