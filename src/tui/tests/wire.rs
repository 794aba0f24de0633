//! The wire on the screen: waits, circuits, queues, failed attempts, plain HTTP, reasoning.

use std::time::Duration;

use insta::assert_snapshot;

use super::sample::*;
use crate::chat::{Finish, ModelId, Timestamp, Usage};
use crate::protocol::{Answer, AnswerFacts, Attempt, CacheHit, Circuit, Event, Link};
use crate::tui::app::App;
use crate::tui::msg::Msg;
use crate::tui::update::update;

/// Snapshots with the status line and with the panel.
fn shots(name: &str, make: impl Fn() -> App) {
    for (width, height) in [(80, 24), (120, 40)] {
        assert_snapshot!(
            format!("{name}-{width}x{height}"),
            screen(&mut make(), width, height)
        );
    }
}

fn later(app: &mut App, ms: u64) {
    let now = app.now + Duration::from_millis(ms);
    update(app, Msg::Tick, now);
}

fn link(circuit: Circuit, waiting: u64, plain: bool) -> Event {
    Event::Link(Link {
        provider: "openai".to_owned(),
        circuit,
        waiting,
        plain,
    })
}

fn attempt(status: Option<u16>, outcome: &str) -> Attempt {
    Attempt {
        provider: "openai".to_owned(),
        key: "…f3a1".to_owned(),
        status,
        endpoint: None,
        outcome: outcome.to_owned(),
        wait_ms: 0,
    }
}

/// A question that the core has begun to answer, at 00:00.
fn asked() -> App {
    let mut app = open();
    core(&mut app, panel());
    keys(&mut app, "Why?<Enter>");
    core(&mut app, prompted(1, "Why?"));
    core(&mut app, started(2));
    app
}

/// What panel and status line say of this state, as one text.
fn shown(app: &mut App) -> String {
    screen(app, 120, 40) + &screen(app, 80, 24)
}

#[test]
fn each_kind_of_waiting_has_its_words() {
    let text = || Event::Text {
        id: id(2),
        text: "By value.".into(),
    };
    for (events, ms, panel, status) in [
        (vec![], 2_000, "elapsed   2 s", "elapsed 2 s · reply $"),
        (
            vec![],
            3_000,
            "elapsed   3 s        waiting 3 s",
            "waiting 3 s · reply $",
        ),
        (
            vec![link(Circuit::Closed, 3, false)],
            1_000,
            "waiting for a place (3 ahead)",
            "waiting for a place (3 ahead)",
        ),
        (
            vec![Event::Pausing {
                why: "rate limited".into(),
                ms: 4_000,
            }],
            0,
            "retrying in 4 s: rate limited",
            "retrying in 4 s: rate limited",
        ),
        (
            vec![Event::Pausing {
                why: "rate limited".into(),
                ms: 4_000,
            }],
            3_500,
            "retrying in 1 s: rate limited",
            "retrying in 1 s: rate limited",
        ),
        (
            vec![Event::Pausing {
                why: "rate limited".into(),
                ms: 4_000,
            }],
            4_000,
            "waiting 4 s",
            "waiting 4 s",
        ),
        (
            vec![
                Event::Pausing {
                    why: "overloaded".into(),
                    ms: 9_000,
                },
                text(),
            ],
            1_000,
            "elapsed   1 s",
            "elapsed 1 s · reply $",
        ),
        (
            vec![text()],
            4_900,
            "elapsed   4 s",
            "elapsed 4 s · reply $",
        ),
        (
            vec![text()],
            12_000,
            "elapsed   12 s       no data for 12 s",
            "no data for 12 s · reply $",
        ),
    ] {
        let mut app = asked();
        let words = format!("{events:?} after {ms} ms");
        for event in events {
            core(&mut app, event);
        }
        later(&mut app, ms);
        let (wide, narrow) = (screen(&mut app, 120, 40), screen(&mut app, 80, 24));
        assert!(wide.contains(panel), "{words}: {wide}");
        assert!(narrow.contains(status), "{words}: {narrow}");
    }
}

#[test]
fn a_pause_and_a_broken_circuit_on_the_screen() {
    shots("pausing", || {
        let mut app = asked();
        core(&mut app, Event::Attempt(attempt(Some(503), "overloaded")));
        core(
            &mut app,
            Event::Pausing {
                why: "rate limited".into(),
                ms: 4_000,
            },
        );
        core(
            &mut app,
            link(
                Circuit::Open {
                    until: Timestamp(12_000),
                },
                3,
                true,
            ),
        );
        app
    });
}

#[test]
fn a_circuit_counts_down_while_an_answer_is_awaited_and_stands_still_else() {
    let mut app = asked();
    assert!(screen(&mut app, 120, 40).contains("key       …f3a1      circuit closed"));
    assert!(
        !screen(&mut app, 80, 24).contains("circuit"),
        "a narrow screen tells only what is not normal"
    );
    core(
        &mut app,
        link(
            Circuit::Open {
                until: Timestamp(12_000),
            },
            0,
            false,
        ),
    );
    assert!(shown(&mut app).contains("circuit   open 12 s · openai"));
    assert!(app.deadline().is_some());
    later(&mut app, 2_000);
    assert!(shown(&mut app).contains("circuit open 10 s"));
    core(&mut app, failed());
    assert_eq!(app.deadline(), None, "idle is idle");
    assert!(shown(&mut app).contains("circuit open until 00:00:12"));
    // Whatever happens after that time shows what the next request will be.
    later(&mut app, 20_000);
    assert!(shown(&mut app).contains("circuit half-open"));
    core(&mut app, link(Circuit::Closed, 0, false));
    assert!(!shown(&mut app).contains("half-open"));
}

#[test]
fn plain_http_is_a_badge_and_a_queue_a_number() {
    let mut app = asked();
    core(
        &mut app,
        Event::Text {
            id: id(2),
            text: "By value.".into(),
        },
    );
    core(&mut app, link(Circuit::HalfOpen, 2, true));
    let (wide, narrow) = (screen(&mut app, 120, 40), screen(&mut app, 80, 24));
    assert!(
        wide.contains("circuit   half-open · 2 waiting · openai"),
        "{wide}"
    );
    assert!(
        wide.contains("http      plain: readable on the way"),
        "{wide}"
    );
    assert!(
        narrow.contains("http · circuit half-open · 2 waiting · reply $"),
        "{narrow}"
    );
    core(&mut app, link(Circuit::Closed, 0, false));
    let all = shown(&mut app);
    assert!(!all.contains("http") && !all.contains("2 waiting"), "{all}");
}

#[test]
fn attempts_that_failed_are_told_below_the_answer() {
    let ok = || attempt(Some(200), "ok");
    let over = || attempt(Some(503), "overloaded");
    let elsewhere = || Attempt {
        provider: "anthropic".to_owned(),
        key: "…9999".to_owned(),
        ..ok()
    };
    let nano = ModelId::new("openai", "gpt-5-nano");
    for (attempts, model, words) in [
        (vec![ok()], mini(), None),
        (vec![over()], mini(), None),
        (vec![ok(), ok(), ok()], mini(), None),
        (
            vec![over(), ok()],
            mini(),
            Some("2 attempts: openai 503: overloaded, then openai with key …f3a1"),
        ),
        (
            vec![over(), ok()],
            nano,
            Some("2 attempts: openai 503: overloaded, then the next rung, openai/gpt-5-nano"),
        ),
        (
            vec![over(), attempt(None, "no route"), elsewhere()],
            mini(),
            Some(
                "3 attempts: openai 503: overloaded, openai: no route, then anthropic with key …9999",
            ),
        ),
        (
            vec![ok(), over(), ok()],
            mini(),
            Some("1 of 3 attempts failed: openai 503: overloaded, then openai with key"),
        ),
    ] {
        let mut app = asked();
        let Answer { facts, .. } = answer(2, "", Finish::Stop);
        let facts = AnswerFacts {
            model,
            attempts,
            ..facts
        };
        core(
            &mut app,
            Event::Finished(Box::new(Answer {
                facts,
                ..answer(2, "By value.", Finish::Stop)
            })),
        );
        let shown = screen(&mut app, 240, 40);
        match words {
            Some(words) => assert!(shown.contains(words), "{words}: {shown}"),
            None => assert!(!shown.contains("attempts"), "{shown}"),
        }
    }
}

/// An answer whose reasoning came first.
fn thinking(app: &mut App) {
    for n in 1..=12 {
        core(
            app,
            Event::Reasoning {
                id: id(2),
                text: format!("Thought number {n}.\n"),
            },
        );
        later(app, 1_000);
    }
    core(
        app,
        Event::Reasoning {
            id: id(2),
            text: "So it is ownership.".into(),
        },
    );
}

fn thought() -> App {
    let mut app = asked();
    thinking(&mut app);
    core(
        &mut app,
        Event::Text {
            id: id(2),
            text: "It takes its argument by value.".into(),
        },
    );
    let Answer { facts, .. } = answer(2, "", Finish::Stop);
    let usage = Usage {
        reasoning: 1_204,
        ..usage()
    };
    let facts = AnswerFacts {
        usage,
        reasoning_usd: Some(usd("0.0012")),
        ..facts
    };
    let whole = answer(2, "It takes its argument by value.", Finish::Stop);
    core(
        &mut app,
        Event::Finished(Box::new(Answer { facts, ..whole })),
    );
    app
}

#[test]
fn reasoning_is_on_view_while_it_comes_and_folds_when_the_answer_begins() {
    shots("thinking", || {
        let mut app = asked();
        thinking(&mut app);
        app
    });
    shots("thought", thought);
    shots("unfolded", || {
        let mut app = thought();
        keys(&mut app, "<Tab>r");
        app
    });
}

#[test]
fn reasoning_is_no_part_of_a_copy() {
    let mut app = thought();
    screen(&mut app, 120, 40);
    for (keys_typed, hidden) in [("<Tab>ry", "Thought"), ("Y", "Thought")] {
        let effects = keys(&mut app, keys_typed);
        let [crate::tui::msg::Effect::Copy { text, .. }] = &effects[..] else {
            panic!("{effects:?}")
        };
        assert!(
            text.contains("by value") && !text.contains(hidden),
            "{text}"
        );
    }
}

#[test]
fn an_unfolded_thought_stays_unfolded_and_a_folded_one_folded() {
    let mut app = asked();
    thinking(&mut app);
    assert!(
        !screen(&mut app, 80, 40).contains("number 1."),
        "the last rows are on view"
    );
    keys(&mut app, "<Tab>r");
    assert!(screen(&mut app, 80, 40).contains("number 1."), "unfolded");
    core(
        &mut app,
        Event::Text {
            id: id(2),
            text: "By value.".into(),
        },
    );
    assert!(
        screen(&mut app, 80, 40).contains("number 1."),
        "the user's word stands"
    );
    keys(&mut app, "r");
    let folded = screen(&mut app, 80, 40);
    assert!(
        folded.contains("▸ thought for 12 s") && !folded.contains("number 1."),
        "{folded}"
    );
}

#[test]
fn an_answer_kept_for_too_long_says_so() {
    shots("stale", || {
        let mut app = asked();
        let Answer { facts, .. } = answer(2, "", Finish::Stop);
        let facts = AnswerFacts {
            stale: true,
            cache: CacheHit::Disk,
            cache_age_s: 9 * 86_400,
            saved: Some(usd("0.012")),
            ..facts
        };
        core(
            &mut app,
            Event::Finished(Box::new(Answer {
                facts,
                ..answer(2, "By value.", Finish::Stop)
            })),
        );
        app
    });
}

#[test]
fn hostile_words_of_the_wire_are_shown_as_words() {
    let evil = "\u{1b}]52;c;x\u{7}\u{202e}a\nb";
    let mut app = asked();
    core(
        &mut app,
        Event::Pausing {
            why: evil.into(),
            ms: 9_000,
        },
    );
    core(
        &mut app,
        Event::Link(Link {
            provider: evil.into(),
            circuit: Circuit::HalfOpen,
            waiting: 1,
            plain: true,
        }),
    );
    core(
        &mut app,
        Event::Attempt(Attempt {
            provider: evil.into(),
            ..attempt(Some(500), evil)
        }),
    );
    let all = shown(&mut app);
    assert!(!all.contains(['\u{1b}', '\u{7}', '\u{202e}']), "{all}");
    assert!(all.contains("retrying in 9 s: ␛]52;c;x␇"), "{all}");
    let Answer { facts, .. } = answer(2, "", Finish::Stop);
    let attempts = vec![
        Attempt {
            provider: evil.into(),
            ..attempt(Some(500), evil)
        },
        attempt(Some(200), "ok"),
    ];
    let facts = AnswerFacts { attempts, ..facts };
    core(
        &mut app,
        Event::Finished(Box::new(Answer {
            facts,
            ..answer(2, "By value.", Finish::Stop)
        })),
    );
    let all = shown(&mut app);
    assert!(
        !all.contains(['\u{1b}', '\u{7}', '\u{202e}']) && all.contains("2 attempts: ␛]52"),
        "{all}"
    );
}
