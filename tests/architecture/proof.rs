//! Proof that the wall holds: each rule, broken.

use super::paths::{Target, named, tokens};
use super::{
    CRATES, EVERYWHERE, File, ROOMS, TOP, dependencies, empty_names, forbidden_imports,
    misplaced_crates, missing_head, too_long, unexplained_crates,
};

fn file(path: &str, text: &str) -> File {
    File {
        path: path.to_owned(),
        text: text.to_owned(),
    }
}

fn rooms(source: &str, module: &[&str]) -> Vec<(usize, String)> {
    let room = |named: super::paths::Named| match named.target {
        Target::Room(room) => Some((named.line, room)),
        Target::Outside(_) => None,
    };
    named(source, module).into_iter().filter_map(room).collect()
}

#[test]
fn every_way_to_name_a_room_is_seen() {
    for (source, expected) in [
        ("use crate::store::Store;", &["store"] as &[_]),
        (
            "use crate::{chat::{Usd, id}, store};",
            &["chat", "chat", "store"],
        ),
        (
            "use crate::{\n  budget::{self, windows::{Day, Month}},\n};",
            &["budget", "budget", "budget"],
        ),
        ("pub(crate) use crate::tui as screen;", &["tui"]),
        ("use crate::*;", &["*"]),
        (
            "fn f() -> crate::chat::Usd { crate::store::open() }",
            &["chat", "store"],
        ),
        ("fn f(x: Vec<crate::gateway::Exchange>) {}", &["gateway"]),
        (
            "macro_rules! m { () => { $crate::agent::run() } }",
            &["agent"],
        ),
        ("use super::super::cli::run;", &["cli"]),
        ("use super::limits::Limits;", &["budget"]),
        ("use self::inner::X;", &["budget"]),
        (
            "mod tests { use super::*; use super::super::super::tui::X; }",
            &["budget", "tui"],
        ),
        (
            "mod tests { fn f() {} } use super::super::tui::X;",
            &["tui"],
        ),
        (
            "#[serde(with = \"crate::store::x\")] struct S; // crate::tui::X",
            &[],
        ),
        (
            "/* crate::a::b /* nested crate::c::d */ crate::e::f */ r#\"crate::g::h \" \"#",
            &[],
        ),
        ("let a = '\"'; use crate::cli::x; let b = '\"';", &["cli"]),
        ("fn f<'a>(x: &'a str) { crate::cache::x(x) }", &["cache"]),
        ("let c = '\\''; crate::router::x()", &["router"]),
        ("use std::fmt; use serde::{Deserialize, Serialize};", &[]),
        ("pub(crate) fn f() {}", &[]),
        (
            "fn f() -> impl Iterator + use<'_> { crate::redis::x() }",
            &["redis"],
        ),
    ] {
        let found: Vec<String> = rooms(source, &["budget", "windows"])
            .into_iter()
            .map(|(_, room)| room)
            .collect();
        assert_eq!(found, expected, "{source}");
    }
}

#[test]
fn lines_are_counted_through_everything() {
    let source = "//! Head.\n/* two\nlines */\nlet s = \"a\nb\";\nlet r = r#\"\n\"#;\nuse crate::{\n    chat,\n    store::X,\n};\n";
    assert_eq!(
        rooms(source, &["tui"]),
        [(9, "chat".to_owned()), (10, "store".to_owned())]
    );
    assert_eq!(
        tokens("a::b\n'x' 'c' c")
            .last()
            .map(|t| (t.text.as_str(), t.line)),
        Some(("c", 2))
    );
}

#[test]
fn an_import_upwards_is_caught_with_its_line() {
    let wrong = file(
        "src/chat/money.rs",
        "//! Head.\n\nuse crate::chat::id;\nuse crate::config::Config;\n",
    );
    assert_eq!(
        forbidden_imports(&wrong),
        ["src/chat/money.rs:4: `chat` may not import `config`"]
    );
    let wrong = file(
        "src/tui/view/panel.rs",
        "use crate::protocol::Panel;\nfn f() { crate::store::open() }\n",
    );
    assert_eq!(
        forbidden_imports(&wrong),
        ["src/tui/view/panel.rs:2: `tui` may not import `store`"]
    );
    let wrong = file("src/budget/mod.rs", "use crate::{store, router::Plan};");
    assert_eq!(
        forbidden_imports(&wrong).len(),
        1,
        "rooms of one row do not import each other"
    );
    let wrong = file("src/agent/mod.rs", "use crate::cli::Setup;");
    assert_eq!(
        forbidden_imports(&wrong).len(),
        1,
        "no room imports the command line"
    );
    let wrong = file("src/attic/mod.rs", "");
    assert_eq!(
        forbidden_imports(&wrong),
        ["src/attic/mod.rs:1: the room `attic` is not in the import table"]
    );
    for right in [
        file("src/cli/ask.rs", "use crate::{agent, store, tui};"),
        file("src/lib.rs", "pub mod chat; pub use crate::chat::Usd;"),
        file("src/main.rs", "fn main() { chat_agent::cli::main() }"),
        file(
            "src/protocol.rs",
            "use crate::chat::Usd; fn f() -> crate::protocol::Event {}",
        ),
    ] {
        assert_eq!(
            forbidden_imports(&right),
            Vec::<String>::new(),
            "{}",
            right.path
        );
    }
}

#[test]
fn the_table_has_an_order() {
    for (n, (room, allowed)) in ROOMS.iter().enumerate() {
        for other in *allowed {
            let place = ROOMS.iter().position(|(name, _)| name == other);
            assert!(
                place.is_some_and(|place| place < n),
                "`{room}` imports `{other}`, which is not above it in the table"
            );
        }
    }
    for (name, homes) in CRATES {
        assert!(!homes.is_empty() && !EVERYWHERE.contains(&name), "{name}");
        for home in homes {
            assert!(
                *home == TOP || ROOMS.iter().any(|(name, _)| name == home),
                "{home}"
            );
        }
    }
}

#[test]
fn a_crate_outside_its_room_is_caught() {
    for (path, source, expected) in [
        (
            "src/chat/text.rs",
            "use ratatui::text::Span;",
            "src/chat/text.rs:1: `ratatui` lives in `tui`, not in `chat`",
        ),
        (
            "src/gateway/mod.rs",
            "\nuse {reqwest::Client, std::fmt};",
            "src/gateway/mod.rs:2: `reqwest` lives in `provider`, not in `gateway`",
        ),
        (
            "src/agent/mod.rs",
            "use rusqlite as db;",
            "src/agent/mod.rs:1: `rusqlite` lives in `store`, not in `agent`",
        ),
        (
            "src/config/mod.rs",
            "#[derive(clap::Parser)] struct A;",
            "src/config/mod.rs:1: `clap` lives in `cli`, not in `config`",
        ),
        (
            "src/budget/shared.rs",
            "fn f(c: ::redis::Client) {}",
            "src/budget/shared.rs:1: `redis` lives in `redis`, not in `budget`",
        ),
        (
            "src/main.rs",
            "extern crate sled;",
            "src/main.rs:1: `sled` lives in `cache`, not in `the root`",
        ),
    ] {
        assert_eq!(misplaced_crates(&file(path, source)), [expected]);
    }
    for (path, source) in [
        ("src/redis/mod.rs", "use redis::Client;"),
        ("src/tui/view/chat.rs", "use ratatui::Frame;"),
        (
            "src/budget/shared.rs",
            "use crate::redis; fn f() { redis::ask() }",
        ),
        (
            "src/budget/shared.rs",
            "use crate::{redis::Client}; fn f() { x.hyper::<u8>() }",
        ),
        ("src/lib.rs", "pub mod redis; pub use redis::Shared;"),
    ] {
        assert_eq!(
            misplaced_crates(&file(path, source)),
            Vec::<String>::new(),
            "{source}"
        );
    }
}

#[test]
fn a_dependency_without_a_room_or_a_use_is_caught() {
    let manifest = "[dependencies]\nsled = \"0.34\"\n# http2 = \"1\"\ntokio = { version = \"1\" }\n\nleft-pad = \"1\"\n\
        jiff = \"0.2\"\n[dev-dependencies]\nvte = \"1\"\n";
    let named = dependencies(manifest, "[dependencies]");
    assert_eq!(named, ["sled", "tokio", "left_pad", "jiff"]);
    assert_eq!(dependencies(manifest, "[dev-dependencies]"), ["vte"]);
    let files = [
        file(
            "src/budget/mod.rs",
            "use jiff::Zoned; fn f() { left_pad::pad() }",
        ),
        file("src/catalog/mod.rs", "use jiff::civil::Date;"),
        file(
            "src/provider/mod.rs",
            "fn f(t: jiff::Timestamp) {} // sled::open()",
        ),
        file("src/agent/mod.rs", "use tokio::spawn;"),
    ];
    assert_eq!(
        unexplained_crates(&named, &files),
        [
            "Cargo.toml: `sled` is used nowhere",
            "Cargo.toml: `left_pad` has no room in the table",
            "`jiff` may live in `cli`, which does not use it",
        ]
    );
}

#[test]
fn long_headless_and_nameless_files_are_caught() {
    assert!(too_long(&file("src/a.rs", &"x\n".repeat(500))).is_empty());
    assert_eq!(
        too_long(&file("src/a.rs", &"x\n".repeat(501))),
        ["src/a.rs: 501 lines, at most 500"]
    );
    let whole = "//! A.\n//!\n//! Owns: a.\n//! Refuses: b.\n//! Invariant: c.\n";
    assert!(missing_head(&file("src/chat/mod.rs", whole)).is_empty());
    assert!(missing_head(&file("src/chat/money.rs", "//! A.\n")).is_empty());
    assert_eq!(
        missing_head(&file("src/chat/money.rs", "use x;\n//! A.\n")),
        ["src/chat/money.rs:1: the head lacks `//!`"]
    );
    for path in [
        "src/chat/tests.rs",
        "src/chat/tests/mod.rs",
        "src/chat/tests/flows.rs",
    ] {
        assert!(
            missing_head(&file(path, "use x;")).is_empty(),
            "{path}: tests share the head of what they test"
        );
    }
    for door in ["src/chat/mod.rs", "src/protocol.rs"] {
        let wrong = missing_head(&file(
            door,
            "//! A.\n//! Owns: a.\n//! Invariant: c.\n\n//! Refuses: too late.\n",
        ));
        assert_eq!(wrong, [format!("{door}:1: the head lacks `Refuses:`")]);
    }
    assert_eq!(
        empty_names(&file("src/lib.rs", "mod chat;\npub mod utils;")),
        ["src/lib.rs:2: `mod utils` says nothing"]
    );
    assert_eq!(empty_names(&file("tests/common.rs", "")).len(), 1);
    assert!(empty_names(&file("src/chat/mod.rs", "mod money; // mod utils")).is_empty());
}
