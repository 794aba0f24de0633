//! Searching, also for what looks like syntax.

use proptest::prelude::*;

use super::*;

fn talk(db: &Db, chat: &str, name: &str, question: &str, answer: &str) {
    ChatLog(db)
        .begin_exchange(&begin(chat, name, None, question))
        .unwrap();
    ChatLog(db)
        .append_answer(&message(&format!("{name}-a")), answer, "")
        .unwrap();
    ChatLog(db)
        .finish_answer(&message(&format!("{name}-a")), Ending::Complete, None)
        .unwrap();
}

fn texts(db: &Db, query: &str) -> Vec<String> {
    ChatSearch(db)
        .search(query, 50)
        .unwrap()
        .into_iter()
        .map(|hit| hit.text)
        .collect()
}

#[test]
fn words_are_found_where_they_were_said() {
    let data = folder();
    let db = Db::open(data.path()).unwrap();
    talk(
        &db,
        "c",
        "1",
        "Why does the borrow checker complain?",
        "Because `push` takes its argument by value.",
    );
    talk(
        &db,
        "d",
        "2",
        "Ist Käse gelb?",
        "Meistens -> ja 🦀. 所有権と借用",
    );
    ChatList(&db)
        .rename_session(&session("c"), "Ownership trouble")
        .unwrap();

    let hits = ChatSearch(&db).search("borrow check", 50).unwrap();
    assert_eq!(hits.len(), 1);
    assert_eq!(
        (&hits[0].session, hits[0].role, hits[0].at),
        (&session("c"), Some(Role::User), NOON)
    );
    assert_eq!(
        (hits[0].title.as_str(), hits[0].text.as_str()),
        ("Ownership trouble", "Why does the borrow checker complain?")
    );
    let title = ChatSearch(&db).search("ownership", 50).unwrap();
    assert_eq!(
        (title[0].role, title[0].text.as_str()),
        (None, "Ownership trouble")
    );

    for (query, count) in [
        ("borr", 1),
        ("borr complain", 0),
        ("ARGUMENT", 1),
        ("kase", 2),
        ("push value", 1),
        ("push borrow", 0),
        ("🦀", 1),
        ("->", 1),
        ("借用", 1),
        ("nothing", 0),
        ("", 0),
    ] {
        assert_eq!(
            ChatSearch(&db).search(query, 50).unwrap().len(),
            count,
            "{query:?}"
        );
    }
    assert_eq!(ChatSearch(&db).search("e", 1).unwrap().len(), 0);
    let rows = ChatSearch(&db).search_sessions("kase", 50).unwrap();
    assert_eq!(rows.len(), 1, "one row for each chat");
    assert_eq!(
        (rows[0].id.as_str(), rows[0].snippet.as_deref()),
        ("d", Some("Ist Käse gelb?"))
    );
    assert_eq!(ChatSearch(&db).search("borrow OR käse", 50).unwrap(), []);
}

#[test]
fn a_long_text_is_shown_around_the_hit_without_marks() {
    let data = folder();
    let db = Db::open(data.path()).unwrap();
    talk(
        &db,
        "c",
        "1",
        &format!("{} needle {}", "before ".repeat(500), "after ".repeat(500)),
        "",
    );
    let found = texts(&db, "needle");
    assert!(
        found[0].contains("needle") && found[0].len() < 400,
        "{found:?}"
    );
    assert!(!found[0].contains(['<', '[', '*']), "{found:?}");
}

#[test]
fn hostile_queries_are_only_text() {
    let data = folder();
    let db = Db::open(data.path()).unwrap();
    talk(
        &db,
        "c",
        "1",
        r#"say "NEAR(a b)" * AND - title: {x} ^ 🦀 + \ '"#,
        "a\0b ok",
    );
    let long = "x".repeat(10_000);
    let many = "word ".repeat(10_000);
    for query in [
        "\"",
        "\"\"",
        "*",
        "NEAR(",
        "NEAR(a b)",
        "-",
        "--",
        "AND",
        "OR NOT",
        "a AND",
        "text:",
        "text:a",
        "{a b}:c",
        "^",
        "^a",
        "a^b",
        "(",
        ")",
        "((((",
        "+",
        "a + b",
        "'",
        "';--",
        "\0",
        "a\0b",
        "\u{0}\"",
        "🦀",
        "\\",
        "%",
        "_",
        "?1",
        "message_words",
        "\u{202e}",
        "\u{feff}",
        "\n",
        "ａ",
        "ʼ",
        "²",
        "ⅷ",
        &long,
        &many,
    ] {
        ChatSearch(&db)
            .search(query, 50)
            .unwrap_or_else(|error| panic!("{query:.40?}: {error}"));
        ChatSearch(&db)
            .search_sessions(query, 50)
            .unwrap_or_else(|error| panic!("{query:.40?}: {error}"));
    }
    for found in [
        "\"",
        "*",
        "NEAR(a b)",
        "NEAR(",
        "🦀",
        "{x}",
        "title:",
        "AND",
        "-",
        "^",
        "\\",
        "'",
        "a\0b",
    ] {
        assert!(!texts(&db, found).is_empty(), "{found:?} was said");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn any_text_can_be_stored_and_any_text_searched(text in any::<String>(), query in any::<String>()) {
        let data = folder();
        let db = Db::open(data.path()).unwrap();
        talk(&db, "c", "1", &text, &query);
        prop_assert_eq!(words(&ChatLog(&db).chat(&session("c")).unwrap()), [format!("you: {text}"), format!("it: {query}")]);
        prop_assert!(ChatSearch(&db).search(&query, 50).is_ok());
        ChatList(&db).delete_session(&session("c")).unwrap();
        prop_assert_eq!(ChatSearch(&db).search(&query, 50).unwrap(), []);
    }
}
