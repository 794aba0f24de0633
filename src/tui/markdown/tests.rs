use std::time::{Duration, Instant};

use proptest::prelude::*;
use ratatui::text::Line;

use super::*;
use crate::chat::text::sanitise;
use crate::tui::wrap::line_width;

fn plain(lines: &[Line<'_>]) -> String {
    lines
        .iter()
        .map(|line| line.to_string().trim_end().to_owned() + "\n")
        .collect()
}

fn shown(text: &str, width: usize) -> String {
    plain(&lay_out(&sanitise(text), width, Palette::dark()).lines)
}

const DOCUMENT: &str = include_str!("tests/document.md");

#[test]
fn a_document_at_three_widths() {
    for width in [80, 40, 20] {
        let page = lay_out(&sanitise(DOCUMENT), width, Palette::dark());
        assert!(page.lines.iter().all(|line| line_width(line) <= width));
        insta::assert_snapshot!(format!("document_{width}"), plain(&page.lines));
    }
}

#[test]
fn what_each_element_looks_like() {
    for (source, lines) in [
        ("a *b* **c** ~~d~~ `e`", "a b c d e\n"),
        ("one\ntwo  \nthree", "one two\nthree\n"),
        ("# One\n## Two\ntext", "# One\n\n## Two\n\ntext\n"),
        ("- a\n- b\n  - c\n\nend", "• a\n• b\n  • c\n\nend\n"),
        ("- a\n\n- b", "• a\n\n• b\n"),
        ("9. a\n10. b", "9. a\n10. b\n"),
        ("1. a\n\n   more\n2. b", "1. a\n\n   more\n\n2. b\n"),
        ("- [ ] open\n- [x] done", "[ ] open\n[x] done\n"),
        ("-\n- b", "•\n• b\n"),
        ("> q\n> > r", "│ q\n│\n│ │ r\n"),
        ("> a\n>\n> b", "│ a\n│\n│ b\n"),
        ("[text](http://x.y)", "text (http://x.y)\n"),
        (
            "[https://bank](http://evil)",
            "https://bank (http://evil)\n",
        ),
        (
            "<http://x.y> [http://x.y](http://x.y) <a@b.c>",
            "http://x.y http://x.y a@b.c\n",
        ),
        (
            "![alt *text*](http://x.y/?q=1)",
            "[image: alt text] (http://x.y/?q=1)\n",
        ),
        ("[![i](u)](v)", "[image: i] (u) (v)\n"),
        ("see [a]\n\n[a]: http://x.y", "see [a]\n\n[a]: http://x.y\n"),
        ("<b>bold</b> a<br>b", "<b>bold</b> a\nb\n"),
        ("<div>\n<p>x</p>\n</div>", "<div>\n<p>x</p>\n</div>\n"),
        ("a[^1]\n\n[^1]: note", "a[^1]\n\n[^1]: note\n"),
        ("***", "────────────────────────────────────────\n"),
        ("    indented", "┃ indented                           [1]\n"),
    ] {
        assert_eq!(shown(source, 40), lines, "{source:?}");
    }
}

#[test]
fn without_colour_code_and_deletions_keep_their_marks() {
    let page = lay_out(&sanitise("a ~~b~~ `c`"), 40, Palette::plain());
    assert_eq!(plain(&page.lines), "a ~~b~~ `c`\n");
}

#[test]
fn code_has_a_bar_a_label_and_a_source_to_copy() {
    let text = "```rust\nlet s = 1;\n\tx\n```\n\n- item\n  ~~~\n  inner\n  ~~~\n\n```\nopen";
    let page = lay_out(&sanitise(text), 40, Palette::dark());
    let lines = "┃ let s = 1;                   rust  [1]\n┃     x\n\n• item\n  ┃ inner                            [2]\n\n\
        ┃ open                               [3]\n";
    assert_eq!(plain(&page.lines), lines);
    let sources: Vec<_> = page
        .code_blocks
        .iter()
        .map(|b| (b.lang.as_str(), b.source.as_str()))
        .collect();
    assert_eq!(
        sources,
        [
            ("rust", "let s = 1;\n\tx\n"),
            ("", "inner\n"),
            ("", "open\n")
        ]
    );
    let narrow = "┃           rust  [1]\n┃ let string = String\n┃ ↪::new();\n";
    assert_eq!(
        shown("```rust\nlet string = String::new();\n```", 21),
        narrow
    );
    assert_eq!(shown("```\n```", 10), "┃      [1]\n");
}

#[test]
fn tables_align_wrap_and_become_records() {
    let table = "| name | price |\n|:--|--:|\n| small | 1 |\n| a rather long name | 12 |";
    let wide = "name               │ price\n───────────────────┼──────\nsmall              │     1\na rather long name │    12\n";
    assert_eq!(shown(table, 40), wide);
    let narrow =
        "name      │ price\n──────────┼──────\nsmall     │     1\na rather  │    12\nlong name │\n";
    assert_eq!(shown(table, 17), narrow);
    assert_eq!(
        shown(table, 9),
        "name:\nsmall\nprice: 1\n\nname: a\nrather\nlong name\nprice: 12\n"
    );
}

#[test]
fn entities_and_dropped_marks_make_nothing_unsafe() {
    let attack = format!(
        "&#27;]52;c;x&#7; &#x202e; &#8203; a{} [x](&#27;y) `&#27;`",
        "&#x301;".repeat(100)
    );
    let out = shown(&attack, 200);
    assert_eq!(sanitise(&out).as_str(), out);
    assert!(out.starts_with("␛]52;c;x␇ ⟪RLO⟫ ⟪U+200B⟫ a"), "{out}");
    assert!(out.contains("⟪+92⟫ x (␛y) &#27;"), "{out}");
}

#[test]
fn a_piece_lays_out_the_tail_alone() {
    let mut answer = AnswerText::new(80, Palette::dark());
    for n in 0..1_000 {
        answer.push(&format!("Paragraph {n} with *some* words.\n\n"));
    }
    answer.push("```rust\n");
    for n in 0..1_000 {
        answer.push(&format!("let x{n} = {n};\n"));
    }
    assert!(answer.lines().len() >= 3_000);
    for piece in ["let ", "y ", "= 1;", "\n", "```", "\n\nThe ", "end"] {
        let before = answer.laid_bytes();
        answer.push(piece);
        answer.lines();
        assert!(
            answer.laid_bytes() - before < 60,
            "{piece:?} laid out {} bytes",
            answer.laid_bytes() - before
        );
    }
    let before = answer.laid_bytes();
    answer.lines();
    assert_eq!(answer.laid_bytes(), before, "asking again costs nothing");
}

#[test]
fn hostile_depth_and_length_take_linear_time() {
    let mut texts: Vec<String> = "a >[]*_`~-#|!<&\\\n\t1.(:^漢👩"
        .chars()
        .map(|c| std::iter::repeat_n(c, 1_000_000 / c.len_utf8()).collect())
        .collect();
    texts.push("> ".repeat(10_000) + "deep");
    texts.push("- ".repeat(10_000) + "deep");
    texts.push("![".repeat(10_000) + &"](u)".repeat(10_000));
    texts.push("[".repeat(10_000) + &"](u)".repeat(10_000));
    texts.push(format!("```\n{}", "code\n".repeat(50_000)));
    texts.push(format!(
        "|{0}\n|{1}\n{2}",
        "a|".repeat(2_000),
        "-|".repeat(2_000),
        "|\n".repeat(2_000)
    ));
    texts.push(
        (0..300)
            .flat_map(|n| [" ".repeat(2 * n), "- x\n".to_owned()])
            .collect(),
    );
    for text in texts {
        let started = Instant::now();
        let page = lay_out(&sanitise(&text), 80, Palette::dark());
        let start: String = text.chars().take(8).collect();
        assert!(
            page.lines.iter().all(|line| line_width(line) <= 80),
            "{start:?}"
        );
        assert!(
            started.elapsed() < Duration::from_secs(20),
            "{start:?} took {:?}",
            started.elapsed()
        );
    }
}

/// Markdown of many kinds, the broken kinds included.
fn markdown() -> impl Strategy<Value = String> {
    let parts = [
        "word ",
        "two words",
        "\n",
        "\n",
        "\n\n",
        "\n\n",
        "# ",
        "- ",
        "* ",
        "1. ",
        "2) ",
        "> ",
        "    ",
        "  ",
        "```",
        "```rust\n",
        "~~~",
        "`",
        "``",
        "*",
        "**",
        "_",
        "~~",
        "[a](b)",
        "[a]",
        "[a]: http://x\n",
        "![",
        "](",
        ")",
        "<b>",
        "<!--",
        "---",
        "===",
        "| a | b |\n|---|--:|\n| 漢字 | c |\n",
        "|",
        "[^1]",
        "[^1]: ",
        "- [ ] ",
        "\\",
        "&amp;",
        "&#27;",
        "\t",
        "漢字漢字",
        "👩\u{200d}🚀",
        "e\u{301}\u{301}",
        "שלום",
        "لا",
        "क\u{94d}ष",
        "\u{1b}[2J",
        "\u{202e}",
        "\r",
        "\u{200d}",
        "averylongwordthatmustbecut",
    ];
    prop::collection::vec(prop::sample::select(parts.to_vec()), 0..40)
        .prop_map(|parts| parts.concat())
}

proptest! {
    #[test]
    fn pieces_end_as_the_whole(text in markdown(), cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12), width in 4usize..60) {
        let whole = lay_out(&sanitise(&text), width, Palette::dark());
        let ends: Vec<usize> = text.char_indices().map(|(at, _)| at).chain([text.len()]).collect();
        let mut at: Vec<usize> = cuts.iter().map(|cut| ends[cut.index(ends.len())]).chain([0, text.len()]).collect();
        at.sort_unstable();
        let mut answer = AnswerText::new(width, Palette::dark());
        for pair in at.windows(2) {
            answer.push(&text[pair[0]..pair[1]]);
            answer.lines();
        }
        answer.finish();
        prop_assert_eq!(answer.into_page(), whole);
    }

    #[test]
    fn no_line_is_wider_than_the_screen(text in markdown()) {
        let safe = sanitise(&text);
        for width in 1..=40 {
            for line in lay_out(&safe, width, Palette::plain()).lines {
                prop_assert!(width < 2 || line_width(&line) <= width, "{line:?} at {width}");
                prop_assert!(width < 2 || line.width() <= width, "as ratatui counts: {line:?} at {width}");
                let text = line.to_string();
                prop_assert!(!text.chars().any(char::is_control), "{text:?}");
            }
        }
    }
}

#[test]
fn a_long_list_or_paragraph_is_settled_in_parts_without_a_gap() {
    let list: String = (1..2_000)
        .map(|n| format!("{n}. item number {n}\n"))
        .collect::<Vec<_>>()
        .concat();
    let paragraph: String = (1..2_000)
        .map(|n| format!("line {n}\n"))
        .collect::<Vec<_>>()
        .concat();
    for text in [&list, &paragraph] {
        let whole = lay_out(&sanitise(text), 40, Palette::dark());
        assert!(
            whole.lines.iter().all(|line| line.width() > 0),
            "a gap in one block"
        );
        let mut pieces = AnswerText::new(40, Palette::dark());
        for (n, piece) in text.as_bytes().chunks(7).enumerate() {
            pieces.push(std::str::from_utf8(piece).unwrap());
            if n % 50 == 0 {
                pieces.lines();
            }
        }
        pieces.finish();
        assert_eq!(pieces.lines(), whole.lines);
        assert!(
            pieces.laid_bytes() < 16 * text.len() as u64,
            "{} for {}",
            pieces.laid_bytes(),
            text.len()
        );
    }
    assert!(lay_out(&sanitise(&list), 40, Palette::dark()).lines.len() == 1_999);
}
