use std::time::Instant;

use proptest::prelude::*;
use ratatui::text::Line;

use super::*;
use crate::chat::money::CostKind;
use crate::chat::{FailureKind, Finish, ModelId, Timestamp, Usage, Usd};
use crate::protocol::{CacheHit, Estimate, Latency, Route, RouteMode, Started};
use crate::tui::wrap::line_width;

mod scrolling;

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
        assert_eq!(chat.list.items[0].has_top(), kept, "{piece:?}");
    }
    chat.push_reasoning(&id(1), ", second thought");
    assert!(screen(&mut chat, 20).contains(&"   first thought, second thought".to_owned()));
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
