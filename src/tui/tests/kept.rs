//! Kept answers before sending, the efforts of a model, and the health of its provider.

use insta::assert_snapshot;

use super::sample::*;
use crate::chat::{Effort, Finish, ModelId, Timestamp};
use crate::protocol::{
    Answer, AnswerFacts, CacheHit, Choice, Circuit, Command, Event, Kept, Quote, Receipt,
};
use crate::tui::app::App;
use crate::tui::msg::Effect;
use crate::tui::overlay::Overlay;

fn kept(model: &str, expired: bool) -> Quote {
    let kept = Kept {
        tier: CacheHit::Disk,
        model: ModelId::new("openai", model),
        age_s: 3 * 86_400,
        expired,
        usd: Some(usd("0.012")),
    };
    Quote {
        kept: Some(kept),
        ..quote()
    }
}

fn quoted(quote: Quote) -> App {
    let mut app = open();
    core(&mut app, panel());
    core(
        &mut app,
        Event::Receipt(Box::new(Receipt {
            rev: 9,
            outcome: Ok(quote),
        })),
    );
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

#[test]
fn the_receipt_says_what_is_kept() {
    let line = |quote: Quote, width| {
        let screen = screen(&mut quoted(quote), width, 24);
        screen
            .lines()
            .find(|line| line.starts_with(" →"))
            .unwrap_or_default()
            .to_owned()
    };
    let lines = [
        line(kept("gpt-5-mini", false), 120),
        line(kept("gpt-5-mini", false), 80),
        line(kept("gpt-5-mini", true), 160),
        line(kept("gpt-5", false), 160),
        line(kept("gpt-5", false), 80),
        line(kept("\u{1b}[2J", false), 160),
    ];
    assert_snapshot!("receipts-kept", lines.join("\n"));
}

#[test]
fn a_hit_says_its_age_and_what_it_saved() {
    let mut app = open();
    core(&mut app, started(2));
    let Answer { facts, .. } = answer(2, "", Finish::Stop);
    let facts = AnswerFacts {
        cache: CacheHit::Disk,
        cache_age_s: 3 * 86_400,
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
    assert!(screen(&mut app, 80, 24).contains("cached 3 d ago · saved $0.012"));
}

#[test]
fn the_cache_tells_of_this_question_and_is_turned_off_and_on() {
    for (quote, words) in [
        (
            kept("gpt-5-mini", false),
            "kept 3 d ago: given again for $0, unless /retry asks anew",
        ),
        (
            kept("gpt-5", false),
            "asked before, answered by gpt-5 3 d ago",
        ),
        (quote(), "not kept: it would be asked anew"),
    ] {
        let mut app = quoted(quote);
        keys(&mut app, "/cache<Enter>");
        let shown = screen(&mut app, 100, 30);
        assert!(
            shown.contains(words) && shown.contains("12 %") && shown.contains("$0.31"),
            "{words}: {shown}"
        );
    }
    let mut app = quoted(quote());
    assert_eq!(
        sent(&keys(&mut app, "/cache off<Enter>")),
        [Command::SetCached(false)]
    );
    core(
        &mut app,
        Event::Choice(Choice {
            cached: false,
            ..choice()
        }),
    );
    assert!(screen(&mut app, 120, 40).contains("cache hit off"));
    keys(&mut app, "/cache<Enter>");
    assert_snapshot!("cache-off", screen(&mut app, 80, 24));
    assert_eq!(
        sent(&keys(&mut app, "<Esc>/cache on<Enter>")),
        [Command::SetCached(true)]
    );
    assert!(sent(&keys(&mut app, "/cache of<Enter>")).is_empty());
    assert!(screen(&mut app, 100, 30).contains("/cache takes nothing, on or off, not `of`"));
}

#[test]
fn effort_offers_the_levels_of_the_model_and_the_receipt_shows_the_one_taken() {
    let mut app = quoted(quote());
    keys(&mut app, "/effort<Enter>");
    assert_snapshot!("effort-80x24", screen(&mut app, 80, 24));
    assert_eq!(
        sent(&keys(&mut app, "<Down><Down><Enter>")),
        [Command::SetEffort(Some(Effort::Medium))]
    );
    core(
        &mut app,
        Event::Choice(Choice {
            effort: Some(Effort::Medium),
            ..choice()
        }),
    );
    assert!(screen(&mut app, 120, 24).contains("→ gpt-5-mini · medium (auto"));
    // The one in use is selected, and default is first.
    keys(&mut app, "/effort<Enter>");
    assert!(sent(&keys(&mut app, "<Esc>")).is_empty());
    assert_eq!(
        sent(&keys(&mut app, "/effort<Enter><Up><Up><Enter>")),
        [Command::SetEffort(None)]
    );
    // A letter is meant for the input.
    keys(&mut app, "/effort<Enter>x");
    assert!(matches!(app.overlay, Overlay::None) && app.composer.text() == "x");
    let mut app = quoted(Quote {
        efforts: Vec::new(),
        ..quote()
    });
    keys(&mut app, "/effort<Enter>");
    assert!(screen(&mut app, 100, 30).contains("openai/gpt-5-mini takes no effort"));
}

#[test]
fn the_picker_shows_whose_provider_is_down() {
    for (width, height) in [(80, 24), (120, 40)] {
        let mut app = quoted(quote());
        keys(&mut app, "<Alt-P>");
        let mut rows = models();
        rows[1].circuit = Circuit::Open {
            until: Timestamp(12_000),
        };
        rows[2].circuit = Circuit::HalfOpen;
        core(&mut app, Event::Models(rows));
        assert_snapshot!(
            format!("picker-health-{width}x{height}"),
            screen(&mut app, width, height)
        );
    }
}
