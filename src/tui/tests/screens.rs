//! The screens as they look.

use insta::assert_snapshot;

use super::sample::*;
use crate::chat::Finish;
use crate::protocol::Event;
use crate::tui::app::App;

const ANSWER: &str = "`Vec::push` takes its argument **by value**, so the string now belongs to the vector. \
    Either clone it, or push a reference:\n\n```rust\nlet s = String::from(\"a\");\nv.push(s.clone());\n```\n\nA clone costs an allocation";

fn asked() -> App {
    let mut app = open();
    keys(&mut app, "Why does `push` move my string?<Enter>");
    core(&mut app, prompted(1, "Why does `push` move my string?"));
    core(&mut app, started(2));
    app
}

fn streaming() -> App {
    let mut app = asked();
    core(
        &mut app,
        Event::Text {
            id: id(2),
            text: ANSWER.to_owned(),
        },
    );
    core(&mut app, progress(2));
    core(&mut app, panel());
    app
}

fn done() -> App {
    let mut app = streaming();
    core(&mut app, finished(2, &format!("{ANSWER}."), Finish::Stop));
    keys(&mut app, "and when is a clone too dear?");
    let rev = app.composer.rev();
    core(&mut app, receipt(rev));
    app
}

/// Snapshots of one state at the three sizes that matter.
fn shots(name: &str, make: impl Fn() -> App) {
    for (width, height) in [(80, 24), (120, 40), (40, 12)] {
        assert_snapshot!(
            format!("{name}-{width}x{height}"),
            screen(&mut make(), width, height)
        );
    }
}

#[test]
fn empty_start() {
    shots("start", app);
}

#[test]
fn a_streaming_answer_with_a_queue() {
    shots("streaming", || {
        let mut app = streaming();
        keys(&mut app, "next question<Enter>and");
        app
    });
}

#[test]
fn finished_with_panel_and_receipt() {
    shots("finished", done);
}

#[test]
fn the_picker() {
    shots("picker", || {
        let mut app = done();
        keys(&mut app, "<Alt-P>");
        core(&mut app, Event::Models(models()));
        keys(&mut app, "<Down><Down>");
        app
    });
}

#[test]
fn the_help() {
    shots("help", || {
        let mut app = done();
        keys(&mut app, "<F1>");
        app
    });
}

#[test]
fn the_commands() {
    shots("commands", || {
        let mut app = open();
        keys(&mut app, "/re");
        app
    });
}

#[test]
fn why_this_model() {
    shots("why", || {
        let mut app = done();
        keys(&mut app, "<Ctrl-P>why<Enter>");
        app
    });
}

#[test]
fn a_failure() {
    shots("failure", || {
        let mut app = asked();
        core(&mut app, failed());
        app
    });
}

#[test]
fn too_small_says_so() {
    assert_eq!(screen(&mut done(), 10, 3), "too small\n\n\n");
    for (width, height) in [(1, 1), (3, 2), (8, 1)] {
        assert_eq!(screen(&mut done(), width, height).trim(), "");
    }
}
