//! Whatever comes in whatever order at whatever size: it draws.

use std::time::Duration;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use proptest::prelude::*;
use ratatui::layout::Size;

use super::sample::*;
use crate::chat::{Finish, ModelId, Timestamp};
use crate::protocol::{CacheHit, Circuit, Event, Kept, Level, Link, Notice, Offer};
use crate::tui::app::App;
use crate::tui::canvas::Canvas;
use crate::tui::frame::FrameClock;
use crate::tui::msg::Msg;
use crate::tui::update::update;
use crate::tui::view::{self, Extent};

fn key() -> impl Strategy<Value = Msg> {
    let code = prop_oneof![
        8 => prop::sample::select("abdfgjkyGJKYn/?\\ é犬123".chars().collect::<Vec<_>>()).prop_map(KeyCode::Char),
        6 => prop::sample::select(vec![
            KeyCode::Enter, KeyCode::Esc, KeyCode::Tab, KeyCode::BackTab, KeyCode::Backspace, KeyCode::Delete, KeyCode::Up,
            KeyCode::Down, KeyCode::Left, KeyCode::Right, KeyCode::Home, KeyCode::End, KeyCode::PageUp, KeyCode::PageDown,
        ]),
        2 => (1u8..13).prop_map(KeyCode::F),
        2 => prop::char::range('a', 'z').prop_map(KeyCode::Char),
    ];
    let mods = prop::sample::select(vec![
        KeyModifiers::NONE,
        KeyModifiers::NONE,
        KeyModifiers::NONE,
        KeyModifiers::CONTROL,
        KeyModifiers::ALT,
        KeyModifiers::SHIFT,
    ]);
    (code, mods).prop_map(|(code, mods)| Msg::Key(KeyEvent::new(code, mods)))
}

fn said() -> impl Strategy<Value = Msg> {
    let n = 1u64..4;
    prop_oneof![
        Just(session()),
        Just(panel()),
        Just(failed()),
        Just(Event::Models(models())),
        Just(Event::Models(Vec::new())),
        Just(Event::Sessions(Vec::new())),
        "\\PC{0,40}".prop_map(Event::DraftRestored),
        ".{0,60}".prop_map(|text| Event::Notice(Notice {
            level: Level::Warning,
            text
        })),
        (0u64..60).prop_map(receipt),
        n.clone()
            .prop_map(|n| prompted(n, "a *prompt*\n\u{1b}[2J犬")),
        n.clone().prop_map(started),
        (n.clone(), ".{0,80}").prop_map(|(n, text)| Event::Text { id: id(n), text }),
        (n.clone(), ".{0,80}").prop_map(|(n, text)| Event::Reasoning { id: id(n), text }),
        n.clone().prop_map(progress),
        n.clone()
            .prop_map(|n| finished(n, "# done\n\n```\ncode", Finish::Stop)),
        n.clone().prop_map(|n| finished(n, "cut", Finish::Length)),
        n.prop_map(|n| Event::Continuable {
            id: id(n),
            quote: Box::new(quote())
        }),
        (".{0,40}", any::<bool>(), any::<bool>())
            .prop_map(|(text, cheaper, raise)| at_limit(&text, cheaper, raise)),
        Just(Event::Alert(alert())),
        (".{0,20}", 0u64..9_000).prop_map(|(why, ms)| Event::Pausing { why, ms }),
        (".{0,20}", any::<bool>(), 0u64..4).prop_map(|(provider, open, waiting)| {
            let circuit = if open {
                Circuit::Open {
                    until: Timestamp(9_000),
                }
            } else {
                Circuit::HalfOpen
            };
            Event::Link(Link {
                provider,
                circuit,
                waiting,
                plain: open,
            })
        }),
        (".{1,20}", any::<bool>()).prop_map(|(name, expired)| {
            let kept = Kept {
                tier: CacheHit::Disk,
                model: ModelId::new("p", &name),
                age_s: 9,
                expired,
                usd: None,
            };
            Event::Offer(Offer {
                kept: Some(kept),
                until: expired.then_some(Timestamp(5_000)),
            })
        }),
    ]
    .prop_map(|event| Msg::Core(Box::new(event)))
}

fn anything() -> impl Strategy<Value = Msg> {
    prop_oneof![
        10 => key(),
        4 => said(),
        1 => "(?s).{0,300}".prop_map(Msg::Paste),
        1 => (-9i32..9).prop_map(Msg::Wheel),
        1 => prop::sample::select(vec![Msg::Tick, Msg::Focus, Msg::Blur, Msg::Resize]),
        1 => ".{0,50}".prop_map(|text| Msg::Edited(Ok(text))),
    ]
}

fn draw(canvas: &mut Canvas, app: &mut App, size: Size, extent: Extent) {
    canvas.begin(size);
    view::draw(canvas, app, extent);
    canvas.finish();
}

/// Something happens, and whether a frame is drawn before the next thing does.
fn typed() -> impl Strategy<Value = (Msg, bool)> {
    let msg = prop_oneof![
        12 => key(),
        2 => "[a-z 犬\\n]{0,90}".prop_map(Msg::Paste),
        1 => said(),
    ];
    (msg, any::<bool>())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]
    #[test]
    fn a_frame_of_the_foot_alone_equals_a_whole_one(
        before in prop::collection::vec(anything(), 0..12),
        steps in prop::collection::vec(typed(), 1..60),
        width in 16u16..130,
        height in 5u16..45,
    ) {
        let (mut app, mut canvas, mut clock) = (open(), Canvas::default(), FrameClock::default());
        let size = Size { width, height };
        for msg in before {
            let now = app.now + Duration::from_millis(50);
            update(&mut app, msg, now);
        }
        draw(&mut canvas, &mut app, size, Extent::Whole);
        for (msg, drawn) in steps {
            // Time stands still: what counts seconds is drawn when they pass, not with a key.
            let now = app.now;
            update(&mut app, msg, now);
            clock.want(app.redraw);
            if !drawn || clock.next(now).is_none() {
                continue;
            }
            let extent = if clock.foot_only() { Extent::Foot } else { Extent::Whole };
            draw(&mut canvas, &mut app, size, extent);
            clock.drawn(now, Duration::ZERO);
            let mut whole = Canvas::default();
            draw(&mut whole, &mut app, size, Extent::Whole);
            prop_assert!(canvas.rows().eq(whole.rows()), "{:?} left old rows", extent);
            prop_assert_eq!(canvas.cursor(), whole.cursor());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]
    #[test]
    fn it_always_draws(
        steps in prop::collection::vec((anything(), 0u64..40, prop_oneof![Just(None), (1u16..130, 1u16..45).prop_map(Some)]), 1..60),
    ) {
        let mut app = app();
        for (msg, wait, size) in steps {
            let now = app.now + Duration::from_millis(wait * wait);
            update(&mut app, msg, now);
            if let Some((width, height)) = size {
                let shown = screen(&mut app, width, height);
                prop_assert!(!shown.contains('\u{1b}'), "an escape was drawn");
                prop_assert_eq!(shown.lines().count(), usize::from(height));
            }
        }
    }
}
