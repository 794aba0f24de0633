//! Questions and answers: streaming, crashing, branching.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::*;

#[test]
fn an_answer_streams_and_ends() {
    let data = folder();
    let db = Db::open(data.path()).unwrap();
    ChatLog(&db)
        .begin_exchange(&begin("c", "x", None, "Why?\nmore"))
        .unwrap();
    for (text, reasoning) in [("", "hm"), ("Be", "m"), ("cause\0 🦀", "")] {
        ChatLog(&db)
            .append_answer(&message("x-a"), text, reasoning)
            .unwrap();
    }
    let open = ChatLog(&db).chat(&session("c")).unwrap();
    assert_eq!(words(&open), ["you: Why?\nmore", "it: Because\0 🦀"]);
    assert_eq!(
        (
            open.messages[1].state,
            open.messages[1].entry.reasoning.as_str()
        ),
        (MessageState::Streaming, "hmm")
    );

    ChatLog(&db)
        .finish_answer(&message("x-a"), Ending::Complete, Some(&facts()))
        .unwrap();
    let ended = ChatLog(&db).chat(&session("c")).unwrap();
    assert_eq!(words(&ended), words(&open));
    assert_eq!(
        ended.messages[1].state,
        MessageState::Ended(Ending::Complete)
    );
    assert_eq!(ended.messages[1].entry.answer, Some(facts()));
    assert_eq!(ended.messages[1].parent, Some(message("x-q")));
    assert_eq!(ended.title, "Why?");
    let parts: i64 = db
        .conn
        .query_row("SELECT count(*) FROM answer_parts", [], |row| row.get(0))
        .unwrap();
    assert_eq!(parts, 0);
    for late in [
        ChatLog(&db).append_answer(&message("x-a"), "!", ""),
        ChatLog(&db).finish_answer(&message("x-a"), Ending::Cut, None),
        ChatLog(&db).finish_answer(&message("missing"), Ending::Cut, None),
    ] {
        assert!(matches!(late, Err(StoreError::NotStreaming(_))), "{late:?}");
    }
}

#[test]
fn a_question_that_cannot_be_stored_whole_is_not_stored_at_all() {
    let data = folder();
    let db = Db::open(data.path()).unwrap();
    ChatLog(&db)
        .begin_exchange(&begin("c", "x", None, "first"))
        .unwrap();
    // The exchange's id is taken: the last row of four fails.
    let mut again = begin("d", "y", None, "second");
    again.exchange = ExchangeId::from_text("x");
    assert!(matches!(
        ChatLog(&db).begin_exchange(&again),
        Err(StoreError::Rule(_))
    ));
    assert_eq!(
        ChatLog(&db).chat(&session("d")),
        Err(StoreError::NoSession("d".to_owned()))
    );
    // An inner failure that is caught takes back its own part only.
    db.write(|db| {
        ChatList(db).rename_session(&session("c"), "kept")?;
        assert!(ChatLog(db).begin_exchange(&again).is_err());
        Ok(())
    })
    .unwrap();
    assert_eq!(ChatLog(&db).chat(&session("c")).unwrap().title, "kept");
    assert!(ChatLog(&db).chat(&session("d")).is_err());
    let mut stray = begin("d", "z", Some("x-a"), "a parent in another chat");
    stray.prompt = None;
    assert_eq!(
        ChatLog(&db).begin_exchange(&stray),
        Err(StoreError::NoMessage("x-a".to_owned()))
    );
}

#[test]
fn a_rewind_and_a_retry_keep_the_old_branch() {
    let data = folder();
    let db = Db::open(data.path()).unwrap();
    let done = |name: &str, text: &str| {
        ChatLog(&db)
            .append_answer(&message(&format!("{name}-a")), text, "")
            .unwrap();
        ChatLog(&db)
            .finish_answer(&message(&format!("{name}-a")), Ending::Complete, None)
            .unwrap();
    };
    ChatLog(&db)
        .begin_exchange(&begin("c", "1", None, "one"))
        .unwrap();
    done("1", "eins");
    ChatLog(&db)
        .begin_exchange(&begin("c", "2", Some("1-a"), "two"))
        .unwrap();
    done("2", "zwei");
    // The same question again: its answer hangs under the same prompt.
    let mut retry = begin("c", "3", Some("2-q"), "");
    retry.prompt = None;
    ChatLog(&db).begin_exchange(&retry).unwrap();
    done("3", "deux");
    assert_eq!(
        words(&ChatLog(&db).chat(&session("c")).unwrap()),
        ["you: one", "it: eins", "you: two", "it: deux"]
    );

    assert_eq!(
        ChatLog(&db)
            .rewind(&session("c"), &message("2-q"), NOON)
            .unwrap(),
        "two"
    );
    assert_eq!(
        words(&ChatLog(&db).chat(&session("c")).unwrap()),
        ["you: one", "it: eins"]
    );
    ChatLog(&db)
        .begin_exchange(&begin("c", "4", Some("1-a"), "three"))
        .unwrap();
    done("4", "drei");
    assert_eq!(
        words(&ChatLog(&db).chat(&session("c")).unwrap()),
        ["you: one", "it: eins", "you: three", "it: drei"]
    );
    assert_eq!(
        ChatList(&db).list_sessions(1).unwrap()[0].messages,
        7,
        "nothing was erased"
    );

    assert_eq!(
        ChatLog(&db)
            .rewind(&session("c"), &message("1-q"), NOON)
            .unwrap(),
        "one"
    );
    assert_eq!(ChatLog(&db).chat(&session("c")).unwrap().messages, []);
    assert!(
        ChatLog(&db)
            .rewind(&session("c"), &message("1-a"), NOON)
            .is_err(),
        "an answer is no place to go back to"
    );
    assert_eq!(
        ChatList(&db).latest_session().unwrap(),
        Some(session("c")),
        "the chat is still there"
    );
}

#[test]
fn what_failed_or_was_stopped_stays() {
    let data = folder();
    let db = Db::open(data.path()).unwrap();
    ChatLog(&db)
        .begin_exchange(&begin("c", "1", None, "one"))
        .unwrap();
    ChatLog(&db)
        .finish_answer(&message("1-a"), Ending::Failed, None)
        .unwrap();
    ChatLog(&db)
        .begin_exchange(&begin("c", "2", Some("1-a"), "two"))
        .unwrap();
    ChatLog(&db)
        .append_answer(&message("2-a"), "zw", "")
        .unwrap();
    ChatLog(&db)
        .finish_answer(&message("2-a"), Ending::Cut, Some(&facts()))
        .unwrap();
    let chat = ChatLog(&db).chat(&session("c")).unwrap();
    assert_eq!(words(&chat), ["you: one", "it: ", "you: two", "it: zw"]);
    assert_eq!(chat.messages[1].state, MessageState::Ended(Ending::Failed));
    assert_eq!(chat.messages[3].state, MessageState::Ended(Ending::Cut));
}

const FOLDER: &str = "CHAT_AGENT_TEST_STREAM_FOLDER";

/// Ends the child with the test, however the test ends.
struct Child(std::process::Child);

impl Child {
    fn kill(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// Not a test: the process that the next one kills.
#[test]
#[ignore = "runs as the child of a_kill_loses_no_piece"]
fn streams_until_it_is_killed() {
    let Some(folder) = std::env::var_os(FOLDER) else {
        return;
    };
    let db = Db::open(std::path::Path::new(&folder)).unwrap();
    ChatLog(&db)
        .begin_exchange(&begin("c", "x", None, "count"))
        .unwrap();
    // It ends by itself too, should the one who is to kill it have failed.
    for n in 0..100_000 {
        ChatLog(&db)
            .append_answer(&message("x-a"), &format!("{n} "), "")
            .unwrap();
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn a_kill_loses_no_piece() {
    let data = folder();
    let db = Db::open(data.path()).unwrap();
    let child = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "store::tests::transcript::streams_until_it_is_killed",
            "--ignored",
        ])
        .env(FOLDER, data.path())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let mut child = Child(child);
    let end = Instant::now() + Duration::from_mins(1);
    let before = loop {
        let text = ChatLog(&db).chat(&session("c")).ok().map(|chat| {
            assert_eq!(chat.messages[1].state, MessageState::Streaming);
            chat.messages[1].entry.text.clone()
        });
        match text {
            Some(text) if text.len() > 50 => break text,
            _ => assert!(Instant::now() < end, "the child does not stream"),
        }
    };
    child.kill();

    let chat = ChatLog(&db).chat(&session("c")).unwrap();
    let text = chat.messages[1].entry.text.clone();
    assert!(text.starts_with(&before), "{before:?} then {text:?}");
    let numbers = text.split_whitespace().map(|n| n.parse::<usize>().unwrap());
    assert!(numbers.enumerate().all(|(n, found)| n == found), "{text:?}");
    assert_eq!(
        (chat.messages[0].entry.text.as_str(), chat.messages[1].state),
        ("count", MessageState::Ended(Ending::Cut))
    );

    assert_eq!(
        ChatSearch(&db).search("7", 9).unwrap(),
        [],
        "the index knows only what has ended"
    );
    assert_eq!(ChatLog(&db).fold_dead_streams().unwrap(), 1);
    assert_eq!(ChatLog(&db).fold_dead_streams().unwrap(), 0);
    assert_eq!(ChatLog(&db).chat(&session("c")).unwrap(), chat);
    assert_eq!(ChatSearch(&db).search("7", 9).unwrap().len(), 1);
}

#[test]
fn another_connection_sees_an_answer_while_it_streams() {
    let data = folder();
    let (here, there) = (
        Db::open(data.path()).unwrap(),
        Db::open(data.path()).unwrap(),
    );
    ChatLog(&here)
        .begin_exchange(&begin("c", "x", None, "hi"))
        .unwrap();
    ChatLog(&here)
        .append_answer(&message("x-a"), "he", "")
        .unwrap();
    assert_eq!(
        words(&ChatLog(&there).chat(&session("c")).unwrap()),
        ["you: hi", "it: he"]
    );
    assert_eq!(
        ChatLog(&there).fold_dead_streams().unwrap(),
        0,
        "its process lives"
    );
    ChatLog(&here)
        .append_answer(&message("x-a"), "llo", "")
        .unwrap();
    ChatLog(&here)
        .finish_answer(&message("x-a"), Ending::Complete, None)
        .unwrap();
    assert_eq!(
        words(&ChatLog(&there).chat(&session("c")).unwrap()),
        ["you: hi", "it: hello"]
    );
}
