use std::time::Instant;

use proptest::prelude::*;
use ratatui::text::Line;

use super::*;
use crate::chat::money::CostKind;
use crate::chat::{FailureKind, Finish, ModelId, Timestamp, Usage, Usd};
use crate::protocol::{CacheHit, Estimate, Latency, Route, RouteMode, Started};
use crate::tui::wrap::line_width;

fn id(n: u64) -> MessageId {
    MessageId::from_bits(n)
}

fn facts() -> AnswerFacts {
    AnswerFacts {
        model: ModelId::new("openai", "gpt-5-mini"),
        route: Route {
            mode: RouteMode::Auto,
            reason: "fits the day's pace".to_owned(),
            considered: Vec::new(),
        },
        finish: Some(Finish::Stop),
        usage: Usage::counted(10, 20),
        estimate: estimate(),
        cost: Cost::new("0.0018".parse().unwrap(), CostKind::Exact),
        saved: Some(Usd::ZERO),
        cache: CacheHit::None,
        cache_age_s: 0,
        stale: false,
        reasoning_usd: None,
        latency: Latency::default(),
        attempts: Vec::new(),
        service_tier: None,
        others: Vec::new(),
    }
}

fn estimate() -> Estimate {
    let expected_usd = Some("0.0018".parse().unwrap());
    Estimate {
        input_tokens: 1,
        output_tokens: 1,
        output_cap: 1,
        expected_usd,
        worst_usd: None,
        exact_count: true,
        band_permille: None,
    }
}

fn started() -> Head {
    let AnswerFacts { model, route, .. } = facts();
    let started = Started {
        id: id(1),
        at: Timestamp(0),
        model,
        route,
        estimate: estimate(),
        fitted: None,
        free: false,
        effort: None,
        context: None,
        key: String::new(),
    };
    Head::started(&started)
}

fn entry(n: u64, text: &str) -> Entry {
    let (role, answer) = if n.is_multiple_of(2) {
        (Role::User, None)
    } else {
        (Role::Assistant, Some(facts()))
    };
    Entry {
        id: id(n),
        role,
        text: text.to_owned(),
        reasoning: String::new(),
        at: Timestamp(0),
        answer,
    }
}

/// A chat of `count` messages of a few lines each.
fn chat(count: u64, width: usize) -> Transcript {
    let entries: Vec<_> = (0..count)
        .map(|n| entry(n, &format!("message {n}\n\nwith a second paragraph")))
        .collect();
    let mut chat = Transcript::new(width, Palette::dark());
    chat.load(&entries);
    chat
}

fn plain(lines: &[Line<'_>]) -> Vec<String> {
    lines
        .iter()
        .map(|line| line.to_string().trim_end().to_owned())
        .collect()
}

fn screen(chat: &mut Transcript, height: usize) -> Vec<String> {
    plain(&chat.visible(height))
}

#[test]
fn a_chat_on_the_screen() {
    let mut chat = Transcript::new(60, Palette::dark());
    chat.push_prompt(id(0), "Why does `push` move\n  my string?");
    chat.start_answer(id(1), started());
    chat.push_reasoning(&id(1), "Ownership, then.");
    assert!(screen(&mut chat, 20).contains(&"   ▾ thinking".to_owned()));
    chat.push_text(
        &id(1),
        "It takes its argument **by value**:\n\n```rust\nv.push(s",
    );
    let folded = screen(&mut chat, 20);
    assert!(folded.contains(&"   ▸ thought".to_owned()) && !folded.concat().contains("Ownership"));
    insta::assert_snapshot!("streaming", screen(&mut chat, 20).join("\n"));
    chat.push_text(&id(1), ".clone());\n```\n");
    let usage = Usage {
        reasoning: 120,
        ..facts().usage
    };
    chat.finish_answer(
        &id(1),
        &AnswerFacts {
            finish: Some(Finish::Cut),
            usage,
            ..facts()
        },
    );
    chat.toggle_reasoning();
    chat.push_notice(&Notice {
        level: Level::Warning,
        text: "80 % of today's\nbudget \u{1b}[1mis spent".to_owned(),
    });
    chat.push_failure(
        &Failure::new(FailureKind::Request, "no route to the server").hint("check the network"),
    );
    chat.select_previous();
    insta::assert_snapshot!("finished", screen(&mut chat, 30).join("\n"));
}

#[test]
fn the_head_says_who_why_and_what_it_cost() {
    let cached = AnswerFacts {
        cache: CacheHit::Disk,
        cache_age_s: 3 * 86_400 + 5,
        saved: Some("0.012".parse().unwrap()),
        ..facts()
    };
    let ended = |finish| AnswerFacts {
        finish: Some(finish),
        ..facts()
    };
    let pinned = AnswerFacts {
        route: Route {
            mode: RouteMode::Pinned,
            reason: String::new(),
            considered: Vec::new(),
        },
        ..facts()
    };
    for (facts, width, line) in [
        (
            facts(),
            50,
            "gpt-5-mini · auto: fits the day's pace     $0.0018",
        ),
        (facts(), 30, "gpt-5-mini · auto: f…  $0.0018"),
        (facts(), 12, "gpt-5-mini …"),
        (
            ended(Finish::Cut),
            50,
            "gpt-5-mini · auto: fits the day's … · cut  $0.0018",
        ),
        (
            ended(Finish::Interrupted),
            40,
            "gpt-5-mini · aut… · interrupted  $0.0018",
        ),
        (
            ended(Finish::Other("\u{1b}x".to_owned())),
            60,
            "gpt-5-mini · auto: fits the day's pace · ␛x          $0.0018",
        ),
        (
            cached.clone(),
            80,
            "gpt-5-mini · auto: fits the day's pace             cached 3 d ago · saved $0.012",
        ),
        (
            cached.clone(),
            40,
            "gpt-5-mini · auto: fits…  cached 3 d ago",
        ),
        (cached, 20, "gpt-5-mini …  cached"),
        (
            AnswerFacts {
                cache: CacheHit::Disk,
                saved: None,
                ..facts()
            },
            80,
            "gpt-5-mini · auto: fits the day's pace                cached 0 s ago · saved n/a",
        ),
        (pinned, 30, "gpt-5-mini             $0.0018"),
    ] {
        let shown = Head::finished(&facts).line(width, &Palette::dark());
        assert!(line_width(&shown) <= width);
        assert_eq!(shown.to_string(), line, "at {width}");
    }
    assert!(
        started()
            .line(60, &Palette::dark())
            .to_string()
            .ends_with("~$0.0018")
    );
}

#[test]
fn an_answer_with_hidden_characters_says_so_when_it_is_whole() {
    let mut chat = Transcript::new(60, Palette::dark());
    chat.load(&[
        entry(1, "a\u{1b}]52;c;x\u{7}"),
        entry(3, "clean"),
        entry(5, "b\u{202e}"),
    ]);
    let lines = screen(&mut chat, 20);
    assert_eq!(
        lines[1],
        " ! 2 control or invisible characters are shown by name"
    );
    assert_eq!(lines[2], "   a␛]52;c;x␇");
    assert_eq!(lines[5], "   clean");
    assert_eq!(
        lines[8],
        " ! 1 control or invisible character is shown by name"
    );
}

#[test]
fn text_that_comes_does_not_lay_the_reasoning_out_again() {
    let mut chat = Transcript::new(60, Palette::dark());
    chat.start_answer(id(1), started());
    chat.push_reasoning(&id(1), "first thought");
    chat.toggle_reasoning();
    for (piece, kept) in [("a", false), ("b", true), ("c\n\nd", true)] {
        chat.visible(20);
        chat.push_text(&id(1), piece);
        assert_eq!(chat.items[0].has_top(), kept, "{piece:?}");
    }
    chat.push_reasoning(&id(1), ", second thought");
    assert!(screen(&mut chat, 20).contains(&"   first thought, second thought".to_owned()));
}

#[test]
fn the_view_follows_the_end_until_the_user_scrolls_up() {
    let mut chat = chat(20, 60);
    chat.start_answer(id(100), started());
    for n in 0..40 {
        chat.push_text(&id(100), &format!("line {n}\n\n"));
        let lines = screen(&mut chat, 10);
        // Some room is left below, so that not all of it moves with every line.
        let last = lines.iter().rfind(|line| !line.is_empty()).unwrap();
        assert!(
            (8..=10).contains(&lines.len()) && last.trim() == format!("line {n}"),
            "{lines:?}"
        );
    }
    assert!(chat.is_at_end());
    chat.scroll(-15);
    let before = screen(&mut chat, 10);
    assert!(!chat.is_at_end());
    chat.push_text(&id(100), &"more\n\n".repeat(50));
    assert_eq!(
        screen(&mut chat, 10),
        before,
        "what grows below does not move the view"
    );
    chat.scroll(100_000);
    let end = screen(&mut chat, 10);
    assert!(chat.is_at_end());
    assert_eq!(
        end.iter()
            .rfind(|line| !line.is_empty())
            .map(|line| line.trim()),
        Some("more")
    );
    chat.scroll(-3);
    screen(&mut chat, 10);
    chat.scroll(3);
    assert_eq!(screen(&mut chat, 10), end);
    assert!(chat.is_at_end(), "back at the end it follows again");
}

#[test]
fn scrolling_up_and_down_passes_every_line_once() {
    let mut chat = chat(30, 60);
    chat.scroll_to_start();
    let mut all = screen(&mut chat, 1);
    let total = {
        while !chat.is_at_end() {
            chat.scroll(1);
            all.extend(screen(&mut chat, 1));
        }
        chat.position().total
    };
    assert_eq!(all.len(), total);
    let mut back = Vec::new();
    for _ in 0..total {
        back.extend(screen(&mut chat, 1));
        chat.scroll(-1);
    }
    back.reverse();
    assert_eq!(back, all);
}

fn select_first(chat: &mut Transcript) {
    chat.deselect();
    chat.scroll_to_start();
    chat.select_next();
}

fn select_last(chat: &mut Transcript) {
    chat.deselect();
    chat.select_previous();
    chat.scroll_to_end();
}

#[test]
fn ten_thousand_messages_cost_what_is_on_the_screen() {
    let mut chat = chat(10_000, 80);
    let started = Instant::now();
    for round in 0..200 {
        match round % 5 {
            0 => chat.set_view(60 + round, Palette::dark()),
            1 => chat.scroll_pages(-3),
            2 => chat.scroll_to_start(),
            3 => select_last(&mut chat),
            _ => chat.select_previous(),
        }
        assert_eq!(chat.visible(40).len(), 40);
        let holding = chat.items.iter().filter(|item| item.exact).count();
        assert!(holding <= 80, "{holding} messages hold lines");
    }
    assert!(started.elapsed().as_secs() < 10, "{:?}", started.elapsed());
}

#[test]
fn a_new_width_keeps_the_message_at_the_top() {
    let mut chat = chat(400, 80);
    chat.visible(10);
    chat.scroll_pages(-20);
    chat.visible(10);
    let item = chat.top.item;
    for width in [20, 200, 5, 1, 80] {
        chat.set_view(width, Palette::dark());
        chat.visible(10);
        assert_eq!(chat.top.item, item, "at {width}");
    }
}

#[test]
fn selecting_walks_messages_and_brings_them_into_view() {
    let mut chat = chat(10, 60);
    chat.push_notice(&Notice {
        level: Level::Info,
        text: "not a message".to_owned(),
    });
    chat.visible(8);
    chat.select_previous();
    assert_eq!(chat.selected(), Some(&id(9)));
    assert_eq!(
        screen(&mut chat, 8)
            .iter()
            .filter(|line| line.starts_with('▌'))
            .count(),
        4
    );
    chat.select_next();
    assert_eq!(chat.selected(), Some(&id(9)), "there is none after it");
    for n in (0..9).rev() {
        chat.select_previous();
        assert_eq!(chat.selected(), Some(&id(n)));
        assert!(
            screen(&mut chat, 8)
                .iter()
                .any(|line| line.starts_with('▌') && line.contains(&format!("message {n}")))
        );
    }
    for n in 1..10 {
        chat.select_next();
        assert_eq!(chat.selected(), Some(&id(n)));
        assert!(
            screen(&mut chat, 8)
                .iter()
                .any(|line| line.starts_with('▌') && line.contains(&format!("message {n}")))
        );
    }
    select_first(&mut chat);
    assert_eq!(
        (chat.visible(8).len(), chat.top.item, chat.selected()),
        (8, 0, Some(&id(0)))
    );
    select_last(&mut chat);
    chat.deselect();
    assert!(
        screen(&mut chat, 8)
            .iter()
            .all(|line| !line.starts_with('▌'))
    );
}

#[test]
fn what_is_copied_is_the_source() {
    let mut chat = Transcript::new(20, Palette::dark());
    chat.load(&[
        entry(0, "a long question that wraps on the screen"),
        entry(1, "# A\n```sh\nls \u{1b}\n```\n\n```\ntwo\n```\n"),
    ]);
    chat.push_notice(&Notice {
        level: Level::Info,
        text: "a notice".to_owned(),
    });
    assert_eq!(
        chat.copy_message().unwrap(),
        "# A\n```sh\nls ␛\n```\n\n```\ntwo\n```\n"
    );
    let block = chat.copy_code(1).unwrap();
    assert_eq!(
        (block.lang.as_str(), block.source.as_str()),
        ("sh", "ls ␛\n")
    );
    assert_eq!(chat.copy_code(2).unwrap().source, "two\n");
    assert_eq!((chat.copy_code(0), chat.copy_code(3)), (None, None));
    select_first(&mut chat);
    assert_eq!(
        chat.copy_message().unwrap(),
        "a long question that wraps on the screen"
    );
    assert_eq!(chat.copy_code(1), None, "the selected message is a prompt");
    let whole = "## you\n\na long question that wraps on the screen\n\n## gpt-5-mini\n\n# A\n```sh\nls ␛\n```\n\n```\ntwo\n```\n";
    assert_eq!(chat.copy_chat(), whole);
}

#[test]
fn an_empty_chat_and_an_empty_screen_are_no_trouble() {
    let mut chat = Transcript::new(0, Palette::plain());
    chat.scroll(-5);
    chat.scroll(5);
    chat.scroll_pages(1);
    chat.select_next();
    chat.select_previous();
    select_last(&mut chat);
    chat.toggle_reasoning();
    chat.set_view(10, Palette::dark());
    assert!(chat.visible(10).is_empty() && chat.is_empty() && chat.copy_message().is_none());
    assert_eq!(chat.copy_chat(), "");
    chat.push_prompt(id(0), "");
    assert!(chat.visible(0).is_empty());
    assert_eq!(screen(&mut chat, 5), [" you", ""]);
}

#[derive(Debug, Clone)]
enum Step {
    Text(String),
    Prompt(String),
    Scroll(isize),
    Width(usize),
    Select(bool),
    Unfold,
}

fn step() -> impl Strategy<Value = Step> {
    let text = "([a-z]{1,9} |漢字|👩\u{200d}🚀|\n\n|- |שלום |e\u{301}|```\n){0,12}";
    prop_oneof![
        text.prop_map(Step::Text),
        text.prop_map(Step::Prompt),
        (-30isize..30).prop_map(Step::Scroll),
        (1usize..=40).prop_map(Step::Width),
        any::<bool>().prop_map(Step::Select),
        Just(Step::Unfold),
    ]
}

proptest! {
    #[test]
    fn any_course_of_events_shows_whole_screens(steps in prop::collection::vec(step(), 1..30), height in 1usize..20) {
        let mut chat = Transcript::new(30, Palette::dark());
        chat.start_answer(id(0), started());
        chat.push_reasoning(&id(0), "because");
        let mut width = 30;
        for (n, step) in steps.into_iter().enumerate() {
            match step {
                Step::Text(text) => chat.push_text(&id(0), &text),
                Step::Prompt(text) => chat.push_prompt(id(n as u64 + 1), &text),
                Step::Scroll(by) => chat.scroll(by),
                Step::Width(to) => {
                    width = to;
                    chat.set_view(to, Palette::dark());
                }
                Step::Select(true) => chat.select_next(),
                Step::Select(false) => chat.select_previous(),
                Step::Unfold => chat.toggle_reasoning(),
            }
            let lines = chat.visible(height);
            prop_assert_eq!(chat.total, chat.items.iter().map(|item| item.height).sum::<usize>());
            let room = if chat.roomy { height / 4 } else { 0 };
            prop_assert!(lines.len() + room >= height || (chat.position().above == 0 && chat.is_at_end()));
            for line in &lines {
                prop_assert!(width < 2 || line_width(line) <= width, "{line:?} at {width}");
            }
        }
    }
}
