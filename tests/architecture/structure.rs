//! How the files of a room stand to each other: methods beside their type, no circles, sub-rooms in order, one word for one
//! thing.
//!
//! Owns: those rules.
//! Refuses: exceptions.
//! Invariant: each rule is shown, below, to catch what breaks it.

use super::arrows::{Arrows, against_the_order};
use super::types::{homonyms, strayed, without_tests};
use super::{File, files};

/// The parts of `gateway` from top to bottom: each may import those behind it.
const GATEWAY: [&str; 10] = [
    "mod",
    "exchange",
    "quote",
    "answer_cache",
    "attempt",
    "stream",
    "money",
    "plan",
    "upstream",
    "ask",
];

/// Of a hundred types, so many may share their name with another one.
const MOST_HOMONYMS: usize = 8;

#[track_caller]
fn check(complaints: &[String]) {
    assert!(complaints.is_empty(), "\n  {}\n", complaints.join("\n  "));
}

#[test]
fn methods_stand_in_the_file_of_their_type() {
    let found: Vec<String> = files(&["src"]).iter().flat_map(strayed).collect();
    check(&found);
}

#[test]
fn the_files_of_a_room_form_no_circle() {
    let circles = Arrows::of(&files(&["src"])).circles();
    let found: Vec<String> = circles.iter().map(|circle| circle.join(" <-> ")).collect();
    check(&found);
}

#[test]
fn the_parts_of_the_gateway_import_downwards() {
    let arrows = Arrows::of(&files(&["src"]));
    check(&against_the_order(&arrows, "gateway", &GATEWAY));
}

#[test]
fn few_types_share_their_name() {
    let (all, shared) = homonyms(&files(&["src"]));
    let share = shared.values().map(Vec::len).sum::<usize>() * 100 / all;
    assert!(
        share < MOST_HOMONYMS,
        "{share} % of {all} types share their name: {shared:#?}"
    );
}

fn file(path: &str, text: &str) -> File {
    File {
        path: path.to_owned(),
        text: text.to_owned(),
    }
}

#[test]
fn a_method_far_from_its_type_is_caught() {
    let own = "struct A<T>(T); enum B { X } impl<T: Into<u8>> A<T> { fn f(self) -> impl Sized {} } impl B {}";
    assert_eq!(strayed(&file("src/a.rs", own)), Vec::<String>::new());
    for right in [
        "use b::C; impl Clone for C {}",
        "impl<T> From<super::C<T>> for u8 { fn f(x: impl Fn()) {} }",
        "fn f() -> impl Iterator<Item = C> {} fn g(x: &impl C) {}",
        "#[cfg(test)]\nmod tests {\n impl C {}\n}",
        "// impl C {}",
        "macro_rules! m { ($name:ident) => { impl $name {} } }",
    ] {
        assert_eq!(
            strayed(&file("src/a.rs", right)),
            Vec::<String>::new(),
            "{right}"
        );
    }
    for wrong in [
        "impl C {}",
        "use b::C;\n#[cfg(unix)]\nimpl C { fn f() {} }",
        "impl<'a, T: Fn(u8) -> u8> super::b::C<'a, T> where T: Send {}",
        "mod x { impl C {} }",
    ] {
        assert_eq!(
            strayed(&file("src/a.rs", wrong)),
            ["src/a.rs: C"],
            "{wrong}"
        );
    }
}

#[test]
fn types_of_one_name_are_counted() {
    let files = [
        file("src/a.rs", "struct Place; enum One { X } type Row = u8;"),
        file(
            "src/b/mod.rs",
            "pub(crate) struct Place { x: u8 } trait Row {}",
        ),
        file("src/b/tests.rs", "struct Place;"),
        file(
            "src/c.rs",
            "fn f() {}\n#[cfg(test)]\nmod tests {\n struct Place;\n}",
        ),
    ];
    let (all, shared) = homonyms(&files);
    assert_eq!(all, 4);
    let places = ["src/a.rs".to_owned(), "src/b/mod.rs".to_owned()].to_vec();
    assert_eq!(
        shared.into_iter().collect::<Vec<_>>(),
        [("Place".to_owned(), places)]
    );
    assert_eq!(
        without_tests("a\n#[cfg(test)]\nmod tests;\nb"),
        "a\n#[cfg(test)]\nmod tests;\nb"
    );
}

/// Four files of a room: a door that hands on, two that need each other by way of it, and one that stands below.
fn room() -> [File; 4] {
    [
        file(
            "src/cache/mod.rs",
            "mod disk; mod memory; mod entry; pub use disk::Disk; pub use self::memory::*; pub use entry::Entry;",
        ),
        file(
            "src/cache/disk.rs",
            "use super::Memory; pub struct Disk(Memory);",
        ),
        file(
            "src/cache/memory.rs",
            "pub struct Memory; fn f(x: crate::cache::Disk) {}",
        ),
        file("src/cache/entry.rs", "pub struct Entry;"),
    ]
}

#[test]
fn a_circle_of_files_is_caught_also_through_a_door() {
    let circles = Arrows::of(&room()).circles();
    assert_eq!(circles, [["src/cache/disk.rs", "src/cache/memory.rs"]]);
    // A door that uses what it hands on is in a circle with every file that needs the door.
    let mut door = room();
    door[0].text =
        "mod disk; mod memory; mod entry; pub use entry::Entry; pub struct Tier(Entry);".to_owned();
    door[1].text.clear();
    door[2].text.clear();
    assert_eq!(Arrows::of(&door).circles(), Vec::<Vec<String>>::new());
    door[3].text = "pub struct Entry(super::Tier);".to_owned();
    assert_eq!(
        Arrows::of(&door).circles(),
        [["src/cache/entry.rs", "src/cache/mod.rs"]]
    );
    // Through an alias of a module, and not in tests.
    // Who may see an item is no arrow.
    door[3].text = "pub(in crate::cache) struct Entry;".to_owned();
    assert_eq!(Arrows::of(&door).circles(), Vec::<Vec<String>>::new());
    door[3].text = "use crate::cache as all; pub struct Entry(all::Tier);".to_owned();
    assert_eq!(Arrows::of(&door).circles().len(), 1);
    door[3].text =
        "pub struct Entry;\n#[cfg(test)]\nmod tests {\n use super::super::Tier;\n}".to_owned();
    assert_eq!(Arrows::of(&door).circles(), Vec::<Vec<String>>::new());
    // Rooms are judged one by one: between them the import table is the judge.
    let rooms = [
        file("src/a.rs", "use crate::b::B; pub struct A;"),
        file("src/b.rs", "use crate::a::A; pub struct B;"),
    ];
    assert_eq!(Arrows::of(&rooms).circles(), Vec::<Vec<String>>::new());
}

#[test]
fn an_import_against_the_order_is_caught() {
    let files = [
        file(
            "src/gateway/mod.rs",
            "pub mod plan; pub mod upstream; pub use plan::Plan; pub struct Gateway(Plan);",
        ),
        file(
            "src/gateway/plan/mod.rs",
            "mod fit; pub use fit::Plan; use super::upstream::Key;",
        ),
        file("src/gateway/plan/fit.rs", "pub struct Plan;"),
        file(
            "src/gateway/upstream/mod.rs",
            "pub struct Key; fn f(x: crate::gateway::Plan) {}",
        ),
        file("src/gateway/attic.rs", "use super::plan::Plan;"),
        file("src/agent/mod.rs", "use crate::gateway::plan::Plan;"),
    ];
    assert_eq!(
        against_the_order(&Arrows::of(&files), "gateway", &GATEWAY),
        [
            "src/gateway/attic.rs -> plan",
            "src/gateway/upstream/mod.rs -> plan"
        ]
    );
    let alone = [
        file("src/gateway/mod.rs", "pub struct Gateway;"),
        file("src/gateway/ask.rs", "use super::Gateway;"),
    ];
    assert_eq!(
        against_the_order(&Arrows::of(&alone), "gateway", &GATEWAY),
        ["src/gateway/ask.rs -> mod"]
    );
}
