//! Scrolling, selecting, and what both may cost.

use super::*;

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
        let holding = chat.list.items.iter().filter(|item| item.exact).count();
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
    let item = chat.list.top.item;
    for width in [20, 200, 5, 1, 80] {
        chat.set_view(width, Palette::dark());
        chat.visible(10);
        assert_eq!(chat.list.top.item, item, "at {width}");
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
        (chat.visible(8).len(), chat.list.top.item, chat.selected()),
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
            prop_assert_eq!(chat.list.total, chat.list.items.iter().map(|item| item.height).sum::<usize>());
            let room = if chat.list.roomy { height / 4 } else { 0 };
            prop_assert!(lines.len() + room >= height || (chat.position().above == 0 && chat.is_at_end()));
            for line in &lines {
                prop_assert!(width < 2 || line_width(line) <= width, "{line:?} at {width}");
            }
        }
    }
}
