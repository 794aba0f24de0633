//! Money on the screen: the dialog at a limit, the price of going on, what it would have cost elsewhere.

use std::sync::Arc;

use insta::assert_snapshot;

use super::sample::*;
use crate::chat::{Cost, CostKind, Finish, ModelId, Overflow, SessionId, Timestamp, Usd};
use crate::protocol::{Answer, Command, Counterfactual, Event, RouteMode, SessionRow, WayOut};
use crate::tui::app::{App, TurnState};
use crate::tui::msg::Effect;
use crate::tui::overlay::Overlay;

/// Snapshots at the three widths where the layout changes.
fn shots(name: &str, make: impl Fn() -> App) {
    for (width, height) in [(80, 24), (100, 30), (120, 40)] {
        assert_snapshot!(
            format!("{name}-{width}x{height}"),
            screen(&mut make(), width, height)
        );
    }
}

fn asked(text: &str) -> App {
    let mut app = open();
    keys(&mut app, &format!("{text}<Enter>"));
    app
}

fn limited(text: &str) -> App {
    let mut app = asked(text);
    core(&mut app, at_limit(text, true, true));
    app
}

fn sent(effects: &[Effect]) -> Vec<Command> {
    effects
        .iter()
        .filter_map(|effect| {
            if let Effect::Send(c) = effect {
                Some(c.clone())
            } else {
                None
            }
        })
        .collect()
}

fn by(text: &str, way: WayOut) -> Command {
    Command::SendBy {
        text: Arc::from(text),
        way,
    }
}

#[test]
fn the_dialog_at_a_limit() {
    shots("limit", || {
        let mut app = limited("a precious prompt");
        core(&mut app, panel());
        app
    });
    assert_snapshot!("limit-pinned-one-way", {
        let mut app = asked("a precious prompt");
        let Event::AtLimit(mut at) = at_limit("a precious prompt", false, true) else {
            panic!()
        };
        at.route = Some(crate::protocol::Route {
            mode: RouteMode::Pinned,
            ..route()
        });
        core(&mut app, Event::AtLimit(at));
        screen(&mut app, 80, 24)
    });
}

#[test]
fn each_way_out_is_one_key_and_sends_once() {
    let (cheaper, raised) = (WayOut::Cheaper(mini()), WayOut::Raise(raise()));
    for (script, way) in [
        ("<Enter>", Some(cheaper.clone())),
        ("1", Some(cheaper.clone())),
        ("2", Some(raised.clone())),
        ("<Down><Enter>", Some(raised)),
        ("<Down><Up><Enter>", Some(cheaper)),
        ("<Esc>", None),
        ("<Ctrl-C>", None),
        ("<Down><Down><Enter>", None),
        ("<Down><Down><Down><Enter>", None),
    ] {
        let mut app = limited("precious");
        assert_eq!(
            app.composer.text(),
            "precious",
            "it survives a crash while the dialog is open"
        );
        assert_eq!(app.turn, TurnState::Idle);
        let effects = keys(&mut app, script);
        let expected: Vec<Command> = way
            .clone()
            .map(|way| by("precious", way))
            .into_iter()
            .collect();
        assert_eq!(sent(&effects), expected, "{script}");
        assert!(matches!(app.overlay, Overlay::None), "{script}");
        assert_eq!(
            app.composer.text(),
            if way.is_some() { "" } else { "precious" },
            "{script}"
        );
        assert_eq!(app.busy(), way.is_some(), "{script}");
    }
}

#[test]
fn where_nothing_is_cheaper_enter_raises_no_limit() {
    for (ways, script, way) in [
        (true, "<Enter>", None),
        (true, "1", None),
        (true, "2", Some(WayOut::Raise(raise()))),
        (false, "<Enter>", None),
    ] {
        let mut app = asked("precious");
        core(&mut app, at_limit("precious", false, ways));
        let expected: Vec<Command> = way.map(|way| by("precious", way)).into_iter().collect();
        assert_eq!(sent(&keys(&mut app, script)), expected, "{script}");
    }
}

#[test]
fn a_refused_way_comes_back_as_a_dialog_and_nothing_is_sent_meanwhile() {
    let mut app = limited("precious");
    keys(&mut app, "2");
    // Meanwhile the money has gone.
    assert!(core(&mut app, at_limit("precious", true, false)).is_empty());
    assert_eq!(app.composer.text(), "precious");
    assert!(keys(&mut app, "<Esc>").is_empty());
    assert_eq!(app.composer.text(), "precious");
}

#[test]
fn what_waits_behind_a_dialog_goes_after_it_or_comes_back() {
    let with_queue = || {
        let mut app = open();
        keys(&mut app, "one<Enter>two<Enter>three");
        core(&mut app, at_limit("one", true, false));
        app
    };
    let mut app = with_queue();
    assert_eq!(
        sent(&keys(&mut app, "1")),
        [by("one", WayOut::Cheaper(mini()))]
    );
    assert_eq!(
        (app.composer.text(), app.queue.len()),
        ("three", 1),
        "only what was asked has gone"
    );
    let mut app = with_queue();
    assert!(
        core(&mut app, session()).is_empty(),
        "the queue does not overtake the dialog"
    );
    assert!(keys(&mut app, "<Esc>").is_empty());
    assert_eq!(
        (app.composer.text(), app.queue.len()),
        ("one\n\nthree\n\ntwo", 0)
    );
    // A letter is meant for the draft.
    let mut app = limited("precious");
    keys(&mut app, "!");
    assert!(matches!(app.overlay, Overlay::None));
    assert_eq!(app.composer.text(), "precious!");
}

#[test]
fn a_retry_at_a_limit_leaves_the_input_alone() {
    let mut app = done_with(Finish::Stop, Vec::new());
    keys(&mut app, "draft");
    assert_eq!(
        sent(&keys(&mut app, "<Alt-E>")),
        [Command::Retry { rung_up: true }]
    );
    core(&mut app, at_limit("why?", true, true));
    assert_eq!(app.composer.text(), "draft");
    assert_eq!(
        sent(&keys(&mut app, "1")),
        [by("why?", WayOut::Cheaper(mini()))]
    );
    assert_eq!(app.composer.text(), "draft");
}

fn others() -> Vec<Counterfactual> {
    [
        ("openai", "gpt-5", Some("0.0123")),
        ("anthropic", "claude-sonnet", Some("0.02")),
        ("mock", "new", None),
    ]
    .map(|(provider, name, usd)| Counterfactual {
        model: ModelId::new(provider, name),
        usd: usd.map(|text| text.parse().unwrap()),
    })
    .into()
}

/// A chat with one answer.
fn done_with(finish: Finish, others: Vec<Counterfactual>) -> App {
    let mut app = open();
    keys(&mut app, "why?<Enter>");
    core(&mut app, prompted(1, "why?"));
    core(&mut app, started(2));
    let Answer { facts, .. } = answer(2, "", finish.clone());
    let facts = crate::protocol::AnswerFacts { others, ..facts };
    core(
        &mut app,
        Event::Finished(Box::new(Answer {
            facts,
            ..answer(2, "Because it moves.", finish)
        })),
    );
    core(&mut app, panel());
    app
}

fn continuable() -> Event {
    Event::Continuable {
        id: id(2),
        quote: Box::new(quote()),
    }
}

#[test]
fn a_cut_answer_says_its_cap_and_what_going_on_costs() {
    shots("continue", || {
        let mut app = done_with(Finish::Length, others());
        core(&mut app, continuable());
        app
    });
}

#[test]
fn going_on_is_sent_once_and_only_when_offered() {
    for (finish, offered, script, expected) in [
        (Finish::Length, true, "<Alt-C>", vec![Command::Continue]),
        (
            Finish::Length,
            true,
            "/continue<Enter>",
            vec![Command::Continue],
        ),
        (
            Finish::Length,
            true,
            "<Alt-C><Alt-C>",
            vec![Command::Continue],
        ),
        (Finish::Length, true, "<Enter>", vec![]),
        (Finish::Length, false, "<Alt-C>", vec![]),
        (Finish::Stop, false, "<Alt-C>/continue<Enter>", vec![]),
    ] {
        let mut app = done_with(finish, Vec::new());
        if offered {
            core(&mut app, continuable());
        }
        assert_eq!(sent(&keys(&mut app, script)), expected, "{script}");
    }
    // An offer that comes too late is none, and a new question takes it away.
    let mut app = done_with(Finish::Length, Vec::new());
    core(&mut app, continuable());
    keys(&mut app, "next<Enter>");
    core(&mut app, continuable());
    core(&mut app, prompted(3, "next"));
    assert!(app.offer.is_none() && !screen(&mut app, 120, 40).contains("Alt-C"));
}

#[test]
fn the_other_models_are_one_line() {
    shots("elsewhere", || done_with(Finish::Stop, others()));
    let mut app = done_with(Finish::Stop, others());
    keys(&mut app, "/why<Enter>");
    assert_snapshot!("why-elsewhere", screen(&mut app, 120, 40));
}

#[test]
fn fit_sets_what_becomes_of_too_long_a_question() {
    for (script, expected, words) in [
        (
            "/fit<Enter>",
            vec![],
            "is not sent; /fit takes refuse, truncate or segment",
        ),
        (
            "/fit truncate<Enter>",
            vec![Command::Fit(Overflow::Truncate)],
            "without the oldest turns of the chat",
        ),
        (
            "/fit segment<Enter>",
            vec![Command::Fit(Overflow::Segment)],
            "several requests",
        ),
        (
            "/fit squeeze<Enter>",
            vec![],
            "a way is one of refuse, truncate, segment",
        ),
    ] {
        let mut app = open();
        assert_eq!(sent(&keys(&mut app, script)), expected, "{script}");
        let shown = screen(&mut app, 120, 24);
        assert!(shown.contains(words), "{script}: {shown}");
    }
}

#[test]
fn kinds_of_cost_are_told_apart() {
    for (cost, head, panel, page) in [
        (
            Cost::new(usd("0.0018"), CostKind::Exact),
            "$0.0018 │",
            "reply $   0.0018     max",
            "$0.0018, the provider's tokens",
        ),
        (
            Cost::new(usd("0.0018"), CostKind::Billed),
            "$0.0018 billed │",
            "0.0018     billed · max",
            "$0.0018, billed",
        ),
        (
            Cost::new(usd("0.0018"), CostKind::Estimated),
            "~$0.0018 │",
            "~0.0018",
            "~$0.0018, by our own count",
        ),
        (
            Cost::UNKNOWN,
            "n/a │",
            "reply $   n/a",
            "n/a: no price is known",
        ),
        (Cost::FREE, "free │", "reply $   free", "free"),
    ] {
        let mut app = open();
        core(&mut app, started(2));
        let Answer { mut facts, .. } = answer(2, "", Finish::Stop);
        facts.cost = cost;
        core(
            &mut app,
            Event::Finished(Box::new(Answer {
                facts,
                ..answer(2, "y", Finish::Stop)
            })),
        );
        let shown = screen(&mut app, 120, 40);
        assert!(
            shown.contains(head) && shown.contains(panel),
            "{cost:?}: {shown}"
        );
        keys(&mut app, "/cost<Enter>");
        let shown = screen(&mut app, 120, 40);
        assert!(shown.contains(page), "{cost:?}: {shown}");
    }
    let row = |cost: Usd, estimated, unknown| SessionRow {
        id: SessionId::from_bits(1),
        title: "a chat".to_owned(),
        at: Timestamp(0),
        messages: 2,
        cost,
        estimated,
        unknown,
        snippet: None,
    };
    for (row, words) in [
        (row(usd("0.04"), false, false), " $0.04 "),
        (row(usd("0.04"), true, false), "~$0.04 "),
        (row(usd("0.04"), true, true), "~$0.04 + n/a "),
        (row(Usd::ZERO, false, true), "n/a "),
    ] {
        let mut app = open();
        keys(&mut app, "/resume<Enter>");
        core(&mut app, Event::Sessions(vec![row]));
        let shown = screen(&mut app, 100, 30);
        assert!(
            shown
                .lines()
                .any(|line| line.contains("2 messages") && line.contains(words)),
            "{words}: {shown}"
        );
    }
}

#[test]
fn the_picker_says_what_the_last_answer_would_have_cost() {
    shots("picker-last", || {
        let mut app = done_with(Finish::Stop, Vec::new());
        keys(&mut app, "<Alt-P>");
        let mut rows = models();
        rows[1].last_usd = Some(usd("0.0123"));
        rows[2].last_usd = Some(usd("0.0018"));
        core(&mut app, Event::Models(rows));
        app
    });
}
