//! Evenings at the keyboard: what is typed and said, and what comes of it.

use std::sync::Arc;

use super::sample::*;
use crate::chat::{Finish, Selection};
use crate::protocol::{Command, Event};
use crate::tui::app::{Focus, TurnState};
use crate::tui::msg::{Effect, Msg};
use crate::tui::overlay::Overlay;
use crate::tui::update::update;

fn send(text: &str) -> Effect {
    Effect::Send(Command::Send {
        text: Arc::from(text),
    })
}

fn commands(effects: Vec<Effect>) -> Vec<Command> {
    effects
        .into_iter()
        .filter_map(|e| {
            if let Effect::Send(c) = e {
                Some(c)
            } else {
                None
            }
        })
        .collect()
}

#[test]
fn keys_in_a_fresh_chat() {
    for (script, effects, draft) in [
        ("hello<Enter>", vec![send("hello")], ""),
        ("a<Shift-Enter>b<Alt-Enter>c<Ctrl-J>d", vec![], "a\nb\nc\nd"),
        ("a\\<Enter>b", vec![], "a\nb"),
        ("<Enter>", vec![], ""),
        ("  <Enter>", vec![], "  "),
        ("one<Ctrl-C>", vec![], ""),
        ("one<Ctrl-C><Up>", vec![], "one"),
        ("<Ctrl-C><Ctrl-C>", vec![Effect::Quit], ""),
        ("<Ctrl-C>x<Ctrl-U><Ctrl-C>", vec![], ""),
        ("<Ctrl-D>", vec![Effect::Quit], ""),
        ("ab<Ctrl-A><Ctrl-D>", vec![], "b"),
        ("<Up>", vec![], "and a borrow?"),
        ("<Up><Up><Up>", vec![], "what is a lifetime?"),
        ("mine<Up><Down>", vec![], "mine"),
        ("<Ctrl-R>life<Enter>", vec![], "what is a lifetime?"),
        ("mine<Ctrl-R>life<Enter><Ctrl-U><Up>", vec![], "mine"),
        ("what?", vec![], "what?"),
        ("a/b", vec![], "a/b"),
        ("/usr/bin", vec![], "/usr/bin"),
        ("/quit<Enter>", vec![Effect::Quit], ""),
        (
            "/rename A b<Enter>",
            vec![Effect::Send(Command::Rename("A b".into()))],
            "",
        ),
        (
            "/effort high<Enter>",
            vec![Effect::Send(Command::SetEffort(Some(
                crate::chat::Effort::High,
            )))],
            "",
        ),
        ("/new<Enter>", vec![Effect::Send(Command::New)], ""),
        (
            "<F2>",
            vec![Effect::Send(Command::Select(Selection::Pinned(mini())))],
            "",
        ),
        (
            "<F2><F2>",
            vec![
                Effect::Send(Command::Select(Selection::Pinned(mini()))),
                Effect::Send(Command::Select(Selection::Auto)),
            ],
            "",
        ),
        (
            "draft<Alt-P>",
            vec![Effect::Send(Command::ListModels {
                draft: Arc::from("draft"),
            })],
            "draft",
        ),
        ("x<Ctrl-G>", vec![Effect::OpenEditor("x".into())], "x"),
        (
            "<Ctrl-Z><Ctrl-L>",
            vec![Effect::Suspend, Effect::Redraw],
            "",
        ),
        ("<F9>", vec![Effect::Mouse(true)], ""),
        ("<Alt-E>", vec![], ""),
    ] {
        let mut app = open();
        assert_eq!(keys(&mut app, script), effects, "{script}");
        assert_eq!(app.composer.text(), draft, "{script}");
    }
}

#[test]
fn typing_before_the_core_is_ready_is_held_and_sent_when_it_is() {
    let mut app = app();
    assert!(keys(&mut app, "early<Enter>late").is_empty());
    assert_eq!(core(&mut app, session()), [send("early")]);
    assert_eq!(app.composer.text(), "late");
}

#[test]
fn enter_queues_while_an_answer_streams_and_the_queue_goes_when_it_ends() {
    let mut app = open();
    keys(&mut app, "one<Enter>");
    assert!(
        keys(&mut app, "two<Enter>three<Enter>four<Enter>").is_empty(),
        "nothing is sent yet"
    );
    core(&mut app, prompted(1, "one"));
    core(&mut app, started(2));
    keys(&mut app, "<Alt-Up>");
    assert_eq!(app.composer.text(), "four");
    assert_eq!(
        core(&mut app, finished(2, "1", Finish::Stop)),
        [send("two")]
    );
    assert_eq!(app.queue, ["three"]);
}

#[test]
fn stopping_an_answer_gives_the_queue_back() {
    let mut app = open();
    keys(&mut app, "one<Enter>");
    core(&mut app, prompted(1, "one"));
    core(&mut app, started(2));
    keys(&mut app, "two<Enter>draft");
    assert_eq!(commands(keys(&mut app, "<Esc>")), [Command::Cancel]);
    assert_eq!(commands(keys(&mut app, "<Ctrl-C>")), [Command::Cancel]);
    assert!(
        core(&mut app, finished(2, "par", Finish::Interrupted)).is_empty(),
        "nothing is sent unasked"
    );
    assert_eq!((app.composer.text(), app.queue.len()), ("two\n\ndraft", 0));
    assert_eq!(app.turn, TurnState::Idle);
}

#[test]
fn a_prompt_that_was_not_accepted_comes_back() {
    let mut app = open();
    keys(&mut app, "too dear<Enter>");
    core(&mut app, failed());
    assert_eq!(app.composer.text(), "too dear");
    assert!(screen(&mut app, 80, 24).contains("the day's budget of $5.00 is used up"));
    // One that was stored does not.
    keys(&mut app, "<Enter>");
    core(&mut app, prompted(1, "too dear"));
    core(&mut app, failed());
    assert_eq!(app.composer.text(), "");
}

#[test]
fn esc_twice_on_an_empty_input_edits_an_earlier_message() {
    let mut app = open();
    keys(&mut app, "one<Enter>");
    core(&mut app, prompted(1, "one"));
    core(&mut app, started(2));
    core(&mut app, finished(2, "1", Finish::Stop));
    keys(&mut app, "<Esc>x<Backspace><Esc>");
    assert!(
        matches!(app.overlay, Overlay::None),
        "a key between them makes two single presses"
    );
    keys(&mut app, "<Esc>");
    assert!(matches!(app.overlay, Overlay::Rewind(_)));
    assert_eq!(
        commands(keys(&mut app, "<Enter>")),
        [Command::Rewind(id(1))]
    );
    core(&mut app, Event::DraftRestored("one".into()));
    assert_eq!(app.composer.text(), "one");
}

#[test]
fn the_model_picker_filters_and_chooses() {
    let pinned = |name: &str| Selection::Pinned(crate::chat::ModelId::new("openai", name));
    for (script, sent) in [
        ("<Enter>", vec![Command::Select(Selection::Auto)]),
        ("<Down><Enter>", vec![Command::Select(pinned("gpt-5"))]),
        ("<Down>d", vec![Command::SetDefault(pinned("gpt-5"))]),
        ("<Down>f", vec![Command::ToggleFavourite(pinned("gpt-5"))]),
        ("mini<Enter>", vec![Command::Select(pinned("gpt-5-mini"))]),
        (
            "mini<Ctrl-D>",
            vec![Command::SetDefault(pinned("gpt-5-mini"))],
        ),
        ("/d<Enter>", vec![]),
        ("claude<Enter>", vec![]),
        ("<Esc>", vec![]),
    ] {
        let mut app = open();
        keys(&mut app, "<Alt-P>");
        core(&mut app, Event::Models(models()));
        assert_eq!(commands(keys(&mut app, script)), sent, "{script}");
    }
}

#[test]
fn tab_goes_round_and_keys_in_the_transcript_copy() {
    let mut app = open();
    keys(&mut app, "one<Enter>");
    core(&mut app, prompted(1, "one"));
    core(&mut app, started(2));
    core(
        &mut app,
        finished(2, "See:\n\n```rust\nlet a = 1;\n```\n", Finish::Stop),
    );
    screen(&mut app, 120, 40);
    keys(&mut app, "<Tab>");
    assert_eq!(app.focus, Focus::Transcript);
    for (key, what, part) in [
        ("y", "the last answer", "See:"),
        ("1", "code block 1", "let a = 1;"),
        ("Y", "the chat", "one"),
    ] {
        let effects = keys(&mut app, key);
        let [Effect::Copy { text, what: named }] = &effects[..] else {
            panic!("{key}: {effects:?}")
        };
        assert_eq!(named, what);
        assert!(text.contains(part), "{key}: {text}");
    }
    assert!(keys(&mut app, "7").is_empty());
    keys(&mut app, "<Tab>");
    assert_eq!(app.focus, Focus::Panel);
    keys(&mut app, "<Tab>");
    assert_eq!(app.focus, Focus::Input);
}

#[test]
fn a_pasted_text_never_sends() {
    let mut app = open();
    let now = app.now;
    assert!(update(&mut app, Msg::Paste("one\r\ntwo\n".into()), now).is_empty());
    assert_eq!(app.composer.text(), "one\ntwo\n");
    // The same as a burst of keys, from a terminal without bracketed paste.
    let mut app = open();
    for code in "one\rtwo\rthree\r".chars() {
        let (code, mods) = crate::tui::keymap::Chord::parts(&if code == '\r' {
            "Enter".into()
        } else {
            code.to_string()
        });
        let key = crossterm::event::KeyEvent::new(code, mods);
        assert!(update(&mut app, Msg::Key(key), now).is_empty());
    }
    let later = now + std::time::Duration::from_secs(1);
    assert!(update(&mut app, Msg::Tick, later).is_empty());
    assert_eq!(app.composer.text(), "one\ntwo\nthree\n");
}

#[test]
fn a_draft_is_priced_once_per_change_and_saved_within_a_second() {
    let mut app = open();
    keys(&mut app, "abc");
    let now = app.now;
    let due = crate::tui::update::draft::due(&mut app, now);
    let [Effect::Draft { rev, text }] = &due[..] else {
        panic!("{due:?}")
    };
    assert_eq!(&**text, "abc");
    app.draft.priced(*rev);
    assert!(crate::tui::update::draft::due(&mut app, now).is_empty());
    let deadline = app.deadline().expect("armed");
    assert!(deadline <= app.now + std::time::Duration::from_secs(1));
    assert_eq!(
        crate::tui::update::draft::due(&mut app, deadline),
        [Effect::Send(Command::SaveDraft(Arc::from("abc")))]
    );
    assert_eq!(app.deadline(), None, "idle is idle");
    let stash = keys(&mut app, "<Ctrl-C>");
    assert!(stash.is_empty());
    assert_eq!(
        crate::tui::update::draft::save(&mut app),
        Effect::Send(Command::SaveDraft(Arc::from("abc"))),
        "what was put aside survives a crash"
    );
}

#[test]
fn a_countdown_runs_only_while_an_answer_streams() {
    let mut app = open();
    crate::tui::update::draft::save(&mut app);
    assert_eq!(app.deadline(), None);
    core(&mut app, started(2));
    let at = app.deadline().expect("an answer is awaited");
    assert!(update(&mut app, Msg::Tick, at + std::time::Duration::from_secs(12)).is_empty());
    assert!(screen(&mut app, 120, 40).contains("waiting 13 s"));
    core(
        &mut app,
        Event::Text {
            id: id(2),
            text: "One".into(),
        },
    );
    let at = app.deadline().expect("streaming");
    assert!(update(&mut app, Msg::Tick, at + std::time::Duration::from_secs(5)).is_empty());
    assert!(screen(&mut app, 120, 40).contains("no data for 6 s"));
    core(&mut app, finished(2, "1", Finish::Stop));
    assert_eq!(app.deadline(), None);
}

#[test]
fn a_recovered_draft_never_takes_the_place_of_what_is_typed() {
    let mut app = app();
    keys(&mut app, "new");
    core(&mut app, Event::DraftRestored("old".into()));
    core(&mut app, session());
    assert_eq!(app.composer.text(), "new");
    keys(&mut app, "<Up>");
    assert_eq!(app.composer.text(), "old");
}
