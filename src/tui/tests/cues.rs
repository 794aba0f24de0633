//! Cues: what the receipt warns of, a next turn that has become dear, warm caches, alerts.

use insta::assert_snapshot;

use super::sample::*;
use crate::chat::{Finish, ModelId, Timestamp};
use crate::protocol::{Estimate, Event, Fitted, Meter, Panel, Quote, Receipt, Spread, Warm};
use crate::tui::app::App;
use crate::tui::msg::{Effect, Msg};
use crate::tui::update::update;

/// The receipt line of this quote.
fn receipt_line(quote: Quote, width: u16) -> String {
    let mut app = open();
    core(
        &mut app,
        Event::Receipt(Box::new(Receipt {
            rev: 9,
            outcome: Ok(quote),
        })),
    );
    let screen = screen(&mut app, width, 24);
    screen
        .lines()
        .find(|line| line.starts_with(" →"))
        .unwrap_or_default()
        .to_owned()
}

#[test]
fn the_receipt_says_what_is_sure_and_warns_of_what_costs() {
    let warm = Warm {
        model: ModelId::new("openai", "gpt-5"),
        tokens: 1_920,
        until: Timestamp(0),
        spares: usd("0.012"),
    };
    let usual = Some(Spread {
        low: 420,
        high: 980,
        answers: 30,
    });
    let band = |quote: Quote| {
        let estimate = Estimate {
            exact_count: false,
            band_permille: Some(38),
            ..quote.estimate
        };
        Quote { estimate, ..quote }
    };
    let lines = [
        receipt_line(quote(), 120),
        receipt_line(Quote { usual, ..quote() }, 120),
        receipt_line(Quote { usual, ..quote() }, 80),
        receipt_line(band(quote()), 120),
        receipt_line(
            Quote {
                fitted: Some(Fitted::Truncated {
                    turns: 6,
                    tokens: 9_000,
                }),
                ..quote()
            },
            160,
        ),
        receipt_line(
            Quote {
                fitted: Some(Fitted::Truncated {
                    turns: 1,
                    tokens: 900,
                }),
                ..quote()
            },
            80,
        ),
        receipt_line(
            Quote {
                fitted: Some(Fitted::Segmented {
                    parts: 4,
                    requests: 5,
                }),
                ..quote()
            },
            120,
        ),
        receipt_line(
            Quote {
                warm: Some(warm.clone()),
                usual,
                ..quote()
            },
            160,
        ),
        receipt_line(
            Quote {
                warm: Some(warm),
                usual,
                ..quote()
            },
            80,
        ),
        receipt_line(
            Quote {
                free: true,
                ..quote()
            },
            80,
        ),
    ];
    assert_snapshot!("receipts", lines.join("\n"));
}

#[test]
fn a_doubled_price_is_shown_for_one_turn() {
    let priced = |app: &mut App, price: &str| {
        let mut quote = quote();
        quote.estimate.expected_usd = Some(usd(price));
        app.composer.touch();
        let rev = app.composer.rev();
        core(
            app,
            Event::Receipt(Box::new(Receipt {
                rev,
                outcome: Ok(quote),
            })),
        );
        screen(app, 120, 40).contains("twice what it was")
    };
    let mut app = open();
    core(&mut app, panel());
    assert!(!priced(&mut app, "0.001"));
    assert!(priced(&mut app, "0.0021"));
    keys(&mut app, "x<Enter>");
    core(&mut app, prompted(1, "x"));
    core(&mut app, started(2));
    core(&mut app, finished(2, "y", Finish::Stop));
    assert!(!priced(&mut app, "0.0022"), "it was seen");
    assert!(priced(&mut app, "0.0045"));
    core(&mut app, session());
    assert!(priced(&mut app, "0.0045"), "the same chat");
}

fn with_alert() -> Event {
    let Event::Panel(panel) = panel() else {
        panic!()
    };
    let alerts = vec![alert()];
    let warm = Warm {
        model: ModelId::new("openai", "gpt-5"),
        tokens: 1_920,
        until: Timestamp((14 * 60 + 32) * 60_000),
        spares: usd("0.012"),
    };
    Event::Panel(Box::new(Panel {
        alerts,
        warm: Some(warm),
        ..*panel
    }))
}

#[test]
fn alerts_and_warm_caches_stand_in_the_panel() {
    for (width, height) in [(80, 24), (100, 30), (120, 40)] {
        let mut app = open();
        core(&mut app, started(2));
        core(&mut app, finished(2, "Because it moves.", Finish::Stop));
        core(&mut app, Event::Alert(alert()));
        core(&mut app, with_alert());
        assert_snapshot!(
            format!("alert-{width}x{height}"),
            screen(&mut app, width, height)
        );
    }
}

#[test]
fn the_groups_budget_stands_in_the_panel_where_there_is_one() {
    let mut app = open();
    core(&mut app, panel());
    assert!(!screen(&mut app, 120, 40).contains("group"));
    let Event::Panel(alone) = panel() else {
        panic!()
    };
    let group_today = Meter {
        settled: usd("2"),
        reserved: usd("5.5"),
        limit: Some(usd("100")),
        ..Meter::default()
    };
    core(
        &mut app,
        Event::Panel(Box::new(Panel {
            group_today,
            ..*alone
        })),
    );
    let drawn = screen(&mut app, 120, 40);
    let line = drawn.lines().find(|line| line.contains("group $")).unwrap();
    assert!(
        line.contains("100") && line.contains('▓') && !drawn.contains("group mo"),
        "{line}"
    );
}

#[test]
fn the_warm_clock_ticks_while_an_answer_streams_and_stands_still_else() {
    let mut app = open();
    core(&mut app, with_alert());
    assert!(screen(&mut app, 120, 40).contains("1.9k of gpt-5 · until 14:32"));
    let at = Timestamp((14 * 60 + 27) * 60_000 + 48_000);
    let Event::Started(mut begun) = started(2) else {
        panic!()
    };
    begun.at = at;
    core(&mut app, Event::Started(begun));
    assert!(screen(&mut app, 120, 40).contains("1.9k of gpt-5 · 4:12 left"));
    let tick = app.deadline().expect("an answer streams");
    update(&mut app, Msg::Tick, tick);
    assert!(screen(&mut app, 120, 40).contains("1.9k of gpt-5 · 4:11 left"));
    core(&mut app, finished(2, "done", Finish::Stop));
    assert_eq!(app.deadline(), None, "idle is idle");
    assert!(screen(&mut app, 120, 40).contains("until 14:32"));
    // Whatever happens later shows that it has gone cold.
    let late = app.now + std::time::Duration::from_mins(5);
    update(&mut app, Msg::Resize, late);
    assert!(!screen(&mut app, 120, 40).contains("of gpt-5"));
}

#[test]
fn an_alert_notifies_the_desktop_only_when_enabled_and_the_window_is_out_of_focus() {
    let told = |notify: bool, blurred: bool| {
        let mut app = open();
        app.notify = notify;
        let now = app.now;
        if blurred {
            update(&mut app, Msg::Blur, now);
        }
        let effects = core(&mut app, Event::Alert(alert()));
        assert!(screen(&mut app, 80, 24).contains("80 % of $5.00 is used today: $4.02"));
        effects
    };
    for (notify, blurred) in [(false, false), (false, true), (true, false)] {
        assert!(told(notify, blurred).is_empty(), "{notify} {blurred}");
    }
    assert_eq!(
        told(true, true),
        [Effect::Notify(
            "80 % of $5.00 is used today: $4.02".to_owned()
        )]
    );
    // It stays when the turn ends; what was said of the turn goes.
    let mut app = open();
    core(&mut app, started(2));
    core(&mut app, Event::Alert(alert()));
    core(&mut app, finished(2, "y", Finish::Stop));
    assert!(screen(&mut app, 80, 24).contains("is used today"));
}
