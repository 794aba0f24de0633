use proptest::prelude::*;

use super::*;

fn plain(lines: &[Line<'_>]) -> Vec<String> {
    lines.iter().map(ToString::to_string).collect()
}

fn wrapped(text: &str, width: usize) -> Vec<String> {
    plain(&words(&[Span::raw(text)], width))
}

#[test]
fn words_wrap_at_spaces_and_long_words_are_cut() {
    for (text, width, lines) in [
        ("", 5, vec![]),
        ("one two three", 7, vec!["one two", "three"]),
        ("one two three", 6, vec!["one", "two", "three"]),
        ("a  b", 4, vec!["a  b"]),
        ("abcdefgh ij", 3, vec!["abc", "def", "gh", "ij"]),
        ("a\n\nb", 5, vec!["a", "", "b"]),
        ("a\n", 5, vec!["a"]),
        ("  in\n  out", 6, vec!["  in", "  out"]),
        ("one   two", 4, vec!["one", "two"]),
        ("a\tb", 9, vec!["a   b"]),
        ("漢字漢字", 5, vec!["漢字", "漢字"]),
        ("漢字。漢", 4, vec!["漢", "字。", "漢"]),
        ("word 漢字", 7, vec!["word 漢", "字"]),
        ("漢", 1, vec!["漢"]),
        (
            "👩\u{200d}🚀👩\u{200d}🚀",
            3,
            vec!["👩\u{200d}🚀", "👩\u{200d}🚀"],
        ),
        (
            "e\u{301}e\u{301}e\u{301}",
            2,
            vec!["e\u{301}e\u{301}", "e\u{301}"],
        ),
    ] {
        assert_eq!(wrapped(text, width), lines, "{text:?} at {width}");
    }
}

#[test]
fn code_is_cut_where_the_width_ends_and_says_so() {
    let mark = Span::raw("↪");
    for (text, width, lines) in [
        ("", 5, vec![""]),
        ("let x = 1;", 10, vec!["let x = 1;"]),
        ("let x = 1;", 6, vec!["let x ", "↪= 1;"]),
        ("\tx\ty", 12, vec!["    x   y"]),
        ("漢字漢", 5, vec!["漢字", "↪漢"]),
        ("abc", 1, vec!["a", "b", "c"]),
        ("漢字", 1, vec!["漢", "字"]),
    ] {
        assert_eq!(
            plain(&hard(text, width, Style::new(), &mark)),
            lines,
            "{text:?} at {width}"
        );
    }
}

#[test]
fn a_cut_line_keeps_its_styles_and_says_so() {
    let line = Line::from(vec![
        Span::raw("one "),
        Span::styled("漢字", Style::new().bold()),
    ]);
    for (width, text) in [
        (8, "one 漢字"),
        (7, "one 漢…"),
        (6, "one …"),
        (1, "…"),
        (0, ""),
    ] {
        assert_eq!(cut(&line, width).to_string(), text, "at {width}");
    }
}

proptest! {
    #[test]
    fn no_line_is_wider_than_asked_and_no_word_is_lost(
        text in "([a-z]{1,12}|[漢字かな、。]{1,6}|👩\u{200d}🚀|🇩🇪|e\u{301}|ק\u{5b0}|لا|क\u{94d}ष|ᄀᄀᄀ각|[ \t\n]){0,30}",
        width in 1usize..=40,
    ) {
        let text = crate::chat::text::sanitise(&text).into_string();
        for lines in [words(&[Span::raw(text.as_str())], width), hard(&text.replace('\n', " "), width, Style::new(), &Span::raw("↪"))] {
            for line in &lines {
                prop_assert!(width < 2 || line_width(line) <= width, "{line:?} at {width}");
            }
            let kept: String = lines.iter().flat_map(|line| line.to_string().chars().collect::<Vec<_>>()).collect();
            let ink = |text: &str| text.chars().filter(|c| !c.is_whitespace() && *c != '↪').collect::<String>();
            prop_assert_eq!(ink(&kept), ink(&text));
        }
    }
}
