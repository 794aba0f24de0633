use proptest::prelude::*;
use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthStr;

use super::class::{bidi_name, is_hidden};
use super::*;

fn safe(raw: &str) -> String {
    sanitise(raw).into_string()
}

#[test]
fn each_class_of_character_is_written_as_its_rule_says() {
    for (raw, shown) in [
        ("a\tb\nc", "a\tb\nc"),
        ("a\r\nb", "a\nb"),
        ("safe\rEVIL", "safe␍EVIL"),
        ("\r\r\n", "␍\n"),
        ("a\r", "a␍"),
        ("\u{1b}[2J\u{7}\0\u{b}\u{7f}", "␛[2J␇␀␋␡"),
        ("\u{9b}2J\u{80}", "⟪U+009B⟫2J⟪U+0080⟫"),
        ("a\u{85}b\u{2028}c\u{2029}d", "a\nb\nc\nd"),
        (
            "\u{202e}txt\u{202c}\u{2066}\u{2069}\u{200e}\u{61c}",
            "⟪RLO⟫txt⟪PDF⟫⟪LRI⟫⟪PDI⟫⟪LRM⟫⟪ALM⟫",
        ),
        (
            "a\u{200b}b\u{feff}c\u{ad}d\u{3164}",
            "a⟪U+200B⟫b⟪U+FEFF⟫c⟪U+00AD⟫d⟪U+3164⟫",
        ),
        (
            "\u{e0041}\u{e0100}\u{fe00}\u{fff9}",
            "⟪U+E0041⟫⟪U+E0100⟫⟪U+FE00⟫⟪U+FFF9⟫",
        ),
        (
            "\u{fe0f} \u{fe0f}a\u{fe0f}\u{fe0f}",
            "⟪U+FE0F⟫ ⟪U+FE0F⟫a\u{fe0f}⟪U+FE0F⟫",
        ),
        ("a\u{200d}b \u{200c}c", "a⟪U+200D⟫b ⟪U+200C⟫c"),
        ("👩\u{200d}", "👩⟪U+200D⟫"),
        ("👩\u{200d}a", "👩⟪U+200D⟫a"),
        ("👩\u{200d}\r\n👩", "👩⟪U+200D⟫\n👩"),
        ("🏴\u{e0067}\u{e0062}x", "🏴⟪U+E0067⟫⟪U+E0062⟫x"),
        ("🏴\u{e0068}", "🏴⟪U+E0068⟫"),
        ("a\u{fdd0}\u{1fffe}", "a⟪U+FDD0⟫⟪U+1FFFE⟫"),
    ] {
        assert_eq!(safe(raw), shown, "{raw:?}");
    }
}

#[test]
fn ordinary_text_in_many_scripts_and_emoji_is_left_alone() {
    for text in [
        "Plain words, with “quotes” – dashes… and naïve café.",
        "Zażółć gęślą jaźń. Ελληνικά. Русский. Հայերեն. ქართული.",
        "e\u{301}\u{323} ñ Å Tiếng Việt",
        "漢字かな交じり文。한국어 조선글 \u{1112}\u{1161}\u{11ab} 中文，标点。",
        "العربية نص عربي مُشَكَّل می\u{200c}خواهم",
        "עברית עם נִקּוּד",
        "हिन्दी क्\u{200d}ष क्\u{200c}ष தமிழ் ગુજરાતી ശ്രീലങ്ക ශ්\u{200d}රී",
        "ไทย ภาษาไทย ລາວ ខ្មែរ မြန်မာ བོད་ཡིག",
        "👍🏽 👩\u{200d}🚀 👨\u{200d}👩\u{200d}👧\u{200d}👦 🏳\u{fe0f}\u{200d}🌈 ❤\u{fe0f} 1\u{fe0f}\u{20e3} #\u{fe0f}\u{20e3} 🇩🇪 🙂\u{200d}↔\u{fe0f}",
        "🏴\u{e0067}\u{e0062}\u{e0073}\u{e0063}\u{e0074}\u{e007f} 👩\u{200d}❤\u{fe0f}\u{200d}💋\u{200d}👨 ☎\u{fe0e}",
        "∀x ∈ ℝ: ⌈x⌉ = −⌊−x⌋ ┃│─ ▁▂▃ ⟪ok⟫ \u{a0}\u{2003}\u{3000}.",
    ] {
        let mut sanitiser = Sanitiser::default();
        let mut out = sanitiser.push(text);
        out.push(&sanitiser.finish());
        assert_eq!(out.as_str(), text);
        assert_eq!(sanitiser.altered(), 0, "{text}");
    }
}

#[test]
fn a_base_carries_eight_marks_and_the_rest_is_counted() {
    let zalgo = format!("z{}!", "\u{301}".repeat(10_000));
    assert_eq!(safe(&zalgo), format!("z{}⟪+9992⟫!", "\u{301}".repeat(8)));
    let joined = "\u{915}\u{94d}\u{200d}".to_owned() + &"\u{200c}\u{94d}".repeat(100);
    assert!(safe(&joined).chars().count() < 32, "{}", safe(&joined));
    let crowd = "👩🏽\u{200d}".repeat(1_000) + "👩";
    assert_eq!(
        safe(&crowd).matches('\u{200d}').count() + safe(&crowd).matches("⟪U+200D⟫").count(),
        1_000
    );
    let longest = safe(&crowd)
        .split('⟪')
        .map(|run| run.matches('\u{200d}').count())
        .max();
    assert_eq!(longest, Some(8));
}

#[test]
fn what_was_changed_is_counted() {
    let mut sanitiser = Sanitiser::default();
    sanitiser.push("\u{1b}[31mred\r\n\u{202e}");
    sanitiser.push("👩\u{200d}");
    sanitiser.finish();
    assert_eq!(sanitiser.altered(), 3);
}

#[test]
fn titles_are_one_line_and_fit_the_width() {
    assert_eq!(
        one_line("  two\nlines\tand a tab\r\n").as_str(),
        "two lines and a tab"
    );
    for (raw, width, cut) in [
        ("short", 5, "short"),
        ("longer", 5, "long…"),
        ("漢字漢字", 5, "漢字…"),
        ("漢字漢字", 4, "漢…"),
        ("漢字", 4, "漢字"),
        ("👩\u{200d}🚀👩\u{200d}🚀", 3, "👩\u{200d}🚀…"),
        ("e\u{301}e\u{301}", 1, "…"),
        ("漢", 1, "…"),
        ("any", 0, ""),
        ("a\u{1b}b", 3, "a␛b"),
    ] {
        assert_eq!(truncate(raw, width).as_str(), cut, "{raw} at {width}");
    }
}

#[test]
fn a_megabyte_of_anything_takes_linear_time() {
    for c in [
        'a',
        '\r',
        '\u{301}',
        '\u{200d}',
        '👩',
        '\u{fe0f}',
        '\u{e0067}',
        '\u{1b}',
        '漢',
        '\u{202e}',
    ] {
        let raw: String = std::iter::repeat_n(c, 250_000).collect();
        let started = std::time::Instant::now();
        assert!(!safe(&raw).is_empty());
        assert!(
            started.elapsed().as_secs() < 5,
            "{c:?} took {:?}",
            started.elapsed()
        );
    }
}

/// Text rich in the characters the rules are about.
fn nasty() -> impl Strategy<Value = String> {
    let pool = "ab 1#\t\n\r\u{1b}\0\u{7f}\u{85}\u{9b}\u{301}\u{323}\u{20e3}\u{200b}\u{200c}\u{200d}\u{200e}\u{202e}\u{2028}\
        \u{2066}\u{feff}\u{fe0e}\u{fe0f}\u{fe00}\u{ad}👩🏽🚀❤🏴\u{e0067}\u{e0062}\u{e0065}\u{e006e}\u{e007f}\u{e0001}🇩🇪\
        کخक\u{94d}ष漢한\u{1112}\u{1161}\u{3164}";
    let pool: Vec<char> = pool.chars().collect();
    prop::collection::vec(
        prop_oneof![4 => prop::sample::select(pool), 1 => any::<char>()],
        0..48,
    )
    .prop_map(|chars| chars.into_iter().collect())
}

fn is_forbidden(c: char) -> bool {
    let control = c.is_control() && c != '\n' && c != '\t';
    let flag = matches!(c, '\u{e0062}'..='\u{e007f}');
    control
        || bidi_name(c).is_some()
        || (is_hidden(c) && !flag)
        || matches!(c, '\u{2028}' | '\u{2029}')
}

proptest! {
    #[test]
    fn nothing_forbidden_comes_out(raw in nasty()) {
        let text = safe(&raw);
        prop_assert!(!text.chars().any(is_forbidden), "{text:?}");
        let one = one_line(&raw);
        prop_assert!(!one.as_str().contains(['\n', '\t']), "{one:?}");
    }

    #[test]
    fn making_safe_twice_changes_nothing(raw in nasty()) {
        let once = safe(&raw);
        prop_assert_eq!(safe(&once), once);
    }

    #[test]
    fn any_split_gives_the_same_text(raw in nasty(), cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6)) {
        let whole = safe(&raw);
        let ends: Vec<usize> = raw.char_indices().map(|(at, _)| at).chain([raw.len()]).collect();
        let mut singles = (Sanitiser::default(), SafeText::default());
        for c in raw.chars() {
            singles.1.push(&singles.0.push(c.encode_utf8(&mut [0; 4])));
        }
        singles.1.push(&singles.0.finish());
        prop_assert_eq!(singles.1.as_str(), &whole);
        for at in &ends {
            let mut sanitiser = Sanitiser::default();
            let mut out = sanitiser.push(&raw[..*at]);
            out.push(&sanitiser.push(&raw[*at..]));
            out.push(&sanitiser.finish());
            prop_assert_eq!(out.as_str(), &whole, "split at {}", at);
        }
        let mut at: Vec<usize> = cuts.iter().map(|cut| ends[cut.index(ends.len())]).chain([0, raw.len()]).collect();
        at.sort_unstable();
        let mut sanitiser = Sanitiser::default();
        let mut out = SafeText::default();
        for pair in at.windows(2) {
            out.push(&sanitiser.push(&raw[pair[0]..pair[1]]));
        }
        out.push(&sanitiser.finish());
        prop_assert_eq!(out.as_str(), &whole);
    }

    #[test]
    fn a_cut_text_fits(raw in nasty(), width in 0usize..30) {
        let cut = truncate(&raw, width);
        let cells: usize = cut.as_str().graphemes(true).map(UnicodeWidthStr::width).sum();
        prop_assert!(cells <= width, "{cut:?} takes {cells}");
    }
}
