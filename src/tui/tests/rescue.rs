//! When no provider can be reached: the offer, its keys, and what is never taken for one of them.

use std::time::Duration;

use insta::assert_snapshot;

use super::sample::*;
use crate::chat::{Failure, FailureKind, ModelId, Timestamp};
use crate::protocol::{CacheHit, Command, Degraded, Event, Kept, Offer};
use crate::tui::app::{App, TurnState};
use crate::tui::msg::{Effect, Msg};
use crate::tui::update::update;

fn offer(kept: bool, until: Option<i64>) -> Event {
    let kept = kept.then(|| Kept {
        tier: CacheHit::Disk,
        model: ModelId::new("openai", "gpt-5"),
        age_s: 9 * 86_400,
        expired: true,
        usd: Some(usd("0.012")),
    });
    Event::Offer(Offer {
        kept,
        until: until.map(Timestamp),
    })
}

/// A question that failed, at 00:00, with an offer.
fn failed_with(offer: Event) -> App {
    let mut app = open();
    core(&mut app, panel());
    keys(&mut app, "Why?<Enter>");
    core(&mut app, prompted(1, "Why?"));
    let failure = Failure::new(FailureKind::Request, "openai cannot be reached: no route")
        .hint("check the network");
    core(
        &mut app,
        Event::Failed {
            failure,
            route: None,
            answer: None,
        },
    );
    core(&mut app, offer);
    app
}

/// Nothing is typed for a while.
fn quiet(app: &mut App) {
    let now = app.now + Duration::from_secs(2);
    update(app, Msg::Resize, now);
}

fn taken(effects: &[Effect]) -> Vec<Degraded> {
    let took = |effect: &Effect| match effect {
        Effect::Send(Command::TakeOffer(way)) => Some(*way),
        _ => None,
    };
    effects.iter().filter_map(took).collect()
}

#[test]
fn the_offer_stands_under_the_failed_question() {
    for (name, offered) in [
        ("offer", offer(true, Some(12_000))),
        ("offer-bare", offer(false, None)),
    ] {
        for (width, height) in [(80, 24), (120, 40), (60, 12)] {
            let mut app = failed_with(offered.clone());
            assert_snapshot!(
                format!("{name}-{width}x{height}"),
                screen(&mut app, width, height)
            );
        }
    }
}

#[test]
fn each_way_is_one_key_after_a_quiet_moment() {
    for (script, way, stands) in [
        ("1", Some(Degraded::Kept), false),
        ("2", Some(Degraded::Guide), false),
        ("3", Some(Degraded::Again), false),
        ("<Enter>", Some(Degraded::Again), false),
        ("<Alt-1>", Some(Degraded::Kept), false),
        ("<Alt-3>", Some(Degraded::Again), false),
        ("<Esc>", None, false),
        ("4", None, true),
    ] {
        let mut app = failed_with(offer(true, None));
        quiet(&mut app);
        assert_eq!(
            taken(&keys(&mut app, script)),
            Vec::from_iter(way),
            "{script}"
        );
        assert_eq!(app.rescue.is_some(), stands, "{script}");
        assert_eq!(app.busy(), way.is_some(), "{script}");
        // A second press takes nothing more.
        quiet(&mut app);
        if way.is_some() {
            assert!(
                taken(&keys(&mut app, "<Alt-1><Alt-2><Alt-3>")).is_empty(),
                "{script}"
            );
        }
    }
}

#[test]
fn what_is_being_typed_when_it_comes_is_text() {
    // Keys fifty milliseconds apart, as a person types.
    for (script, draft, sends) in [
        ("123", "123", 0),
        ("3 apples", "3 apples", 0),
        ("1 or 2?<Enter>", "", 1),
    ] {
        let mut app = failed_with(offer(true, None));
        let effects = keys(&mut app, script);
        assert!(taken(&effects).is_empty(), "{script}: {effects:?}");
        let sent = effects
            .iter()
            .filter(|e| matches!(e, Effect::Send(Command::Send { .. })))
            .count();
        assert_eq!((app.composer.text(), sent), (draft, sends), "{script}");
        assert_eq!(
            app.rescue.is_some(),
            sends == 0,
            "{script}: a new question goes before the offer"
        );
    }
    // An Enter that was on its way neither sends nor tries again.
    let mut app = failed_with(offer(true, None));
    assert!(taken(&keys(&mut app, "<Enter>")).is_empty() && app.turn == TurnState::Idle);
}

#[test]
fn a_draft_is_never_a_choice_and_never_lost() {
    let mut app = failed_with(offer(true, None));
    keys(&mut app, "I have");
    quiet(&mut app);
    assert!(taken(&keys(&mut app, " 3")).is_empty());
    assert_eq!(app.composer.text(), "I have 3");
    assert!(
        screen(&mut app, 80, 24).contains("Alt-1  gpt-5's answer"),
        "the keys that are no text"
    );
    quiet(&mut app);
    assert_eq!(taken(&keys(&mut app, "<Alt-2>")), [Degraded::Guide]);
    assert_eq!(app.composer.text(), "I have 3", "the draft stays");
    let mut app = failed_with(offer(true, None));
    keys(&mut app, "mine<Esc>");
    assert!(app.rescue.is_none() && app.composer.text() == "mine");
}

#[test]
fn nothing_kept_is_nothing_to_take() {
    let mut app = failed_with(offer(false, None));
    quiet(&mut app);
    assert!(taken(&keys(&mut app, "<Alt-1>")).is_empty());
    assert!(app.rescue.is_some() && !app.busy());
    let mut app = open();
    assert!(
        taken(&keys(&mut app, "<Alt-2>")).is_empty(),
        "without an offer there is none to take"
    );
}

#[test]
fn idle_is_idle_under_an_offer_and_the_time_is_one_of_the_day() {
    let mut app = failed_with(offer(true, Some(12_000)));
    assert_eq!(app.deadline(), None);
    assert!(screen(&mut app, 100, 30).contains("try again; the provider rests until 00:00:12"));
    let now = app.now + Duration::from_secs(13);
    update(&mut app, Msg::Resize, now);
    assert!(
        !screen(&mut app, 100, 30).contains("rests"),
        "that time has come"
    );
}

#[test]
fn a_hostile_model_name_in_an_offer_is_shown_as_a_name() {
    let model = ModelId::new("openai", "\u{1b}]0;x\u{7}\u{202e}");
    let kept = Some(Kept {
        tier: CacheHit::Disk,
        model,
        age_s: 5,
        expired: false,
        usd: None,
    });
    let mut app = failed_with(Event::Offer(Offer { kept, until: None }));
    let shown = screen(&mut app, 80, 24);
    assert!(
        shown.contains("␛]0;x␇⟪RLO⟫'s answer of 5 s ago")
            && !shown.contains(['\u{1b}', '\u{7}', '\u{202e}']),
        "{shown}"
    );
}
