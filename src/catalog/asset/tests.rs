use super::*;
use crate::catalog::price::per_token;
use crate::catalog::{OffPeak, TermPrice};
use crate::chat::Usd;

/// A whole catalogue with one model; `row` stands from line 5 on.
fn listing(row: &str) -> String {
    format!(
        "[source]\nhere = {{ name = \"a list\", as_of = \"2026-07-02\" }}\n[dialect.plain]\n[[model]]\n{row}"
    )
}

const NAMES: &str = "id = \"a/b\"\ndialect = \"plain\"\nsource = \"here\"\n";

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn errors_name_the_location_and_the_cause() {
    let line_8 = |text: &str| format!("{NAMES}{text}");
    for (row, place, cause) in [
        (line_8("prize = 1"), (8, 1), "unknown field `prize`"),
        (
            line_8(r#"price = { input = "1" }"#),
            (8, 9),
            "missing field `output`",
        ),
        (
            line_8(r#"price = { input = 1.5, output = "1" }"#),
            (8, 19),
            "expected a string",
        ),
        (
            line_8(r#"price = { input = "0", output = "1" }"#),
            (8, 19),
            "a price of 0 may mean free or unknown",
        ),
        (
            line_8(r#"price = { input = "0.0000001", output = "1" }"#),
            (8, 19),
            "at most six decimals",
        ),
        (
            line_8(r#"price = { input = "-1", output = "1" }"#),
            (8, 19),
            "not below zero",
        ),
        (
            line_8(r#"price = { input = "1", output = "two" }"#),
            (8, 33),
            "US dollars per million tokens",
        ),
        (line_8(r#"encoding = "o201k""#), (8, 12), "o200k_base"),
        (
            line_8(r#"can = ["tools", "dance"]"#),
            (8, 17),
            "unknown variant `dance`",
        ),
        (
            line_8(r#"efforts = ["low", "lower"]"#),
            (8, 19),
            "unknown variant `lower`",
        ),
        (
            line_8(r#"retired = { since = "2025-1-1" }"#),
            (8, 21),
            "YYYY-MM-DD",
        ),
        (
            line_8(r#"long = { above = 1, input = "1", output = "1" }"#),
            (5, 6),
            "need a `price`",
        ),
        (
            line_8(
                "price = { input = \"1\", cache_write = \"2\", output = \"1\" }\n\
                 long = { above = 1, input = \"1\", output = \"1\" }",
            ),
            (5, 6),
            "`long` needs one",
        ),
        (
            line_8("free = true\nprice = { input = \"1\", output = \"1\" }"),
            (5, 6),
            "either `free`",
        ),
        (
            line_8(r#"tiers = { flex = "1" }"#),
            (5, 6),
            "need a `price`",
        ),
        (
            line_8(r#"tiers = { slow = "1" }"#),
            (8, 11),
            "unknown field `slow`",
        ),
        (
            line_8(
                "price = { input = \"1\", output = \"1\" }\noff_peak = { input = \"2\", peak_hours = [[1, 4]] }",
            ),
            (5, 6),
            "not dearer",
        ),
        (
            line_8(
                "price = { input = \"2\", output = \"1\" }\noff_peak = { input = \"1\", peak_hours = [[4, 25]] }",
            ),
            (5, 6),
            "0 to 24",
        ),
        (
            "id = \"b\"\ndialect = \"plain\"\nsource = \"here\"".into(),
            (5, 6),
            "provider/model",
        ),
        (
            "id = \"a/b\"\ndialect = \"plan\"\nsource = \"here\"".into(),
            (6, 11),
            "[dialect.plan]",
        ),
        (
            "id = \"a/b\"\ndialect = \"plain\"\nsource = \"there\"".into(),
            (7, 10),
            "`there` in [source]",
        ),
        (
            format!("{NAMES}[[model]]\n{NAMES}"),
            (9, 6),
            "`a/b` is listed twice",
        ),
        (line_8("limits = {"), (8, 11), ""),
    ] {
        let error = read(&listing(&row)).err().expect(&row);
        assert!(error.cause.contains(cause), "{row}\n{error}");
        assert_eq!((error.line, error.column), place, "{row}\n{error}");
        assert_eq!(error.to_string().lines().count(), 1);
    }
}

#[test]
fn a_row_with_few_keys_leaves_the_rest_unknown() {
    let models = read(&listing(NAMES)).unwrap().models;
    let unknown = Model::unknown("a/b".parse().unwrap());
    let bare = Model {
        source: "a list".into(),
        as_of: "2026-07-02".into(),
        reasoning_stated: true,
        ..unknown
    };
    assert_eq!(models, [bare]);
}

#[test]
fn a_price_is_read_from_its_text() {
    let row = format!("{NAMES}price = {{ input = \"0.003625\", output = \"0.1\" }}\n");
    let price = read(&listing(&row))
        .unwrap()
        .models
        .remove(0)
        .price
        .unwrap();
    assert_eq!(
        (price.input, price.output),
        (Usd::from_pico(3625), Usd::from_pico(100_000))
    );
    assert_eq!(
        (price.as_of.as_str(), price.source.as_str()),
        ("2026-07-02", "a list")
    );
}

#[test]
fn tiers_and_hours_are_read_with_the_price() {
    let row = format!(
        "{NAMES}price = {{ input = \"2\", output = \"10\" }}\n\
         tiers = {{ flex = \"1\", priority = {{ input = \"4\", output = \"19\" }} }}\n\
         off_peak = {{ input = \"1\", peak_hours = [[1, 4], [6, 10]] }}\n"
    );
    let price = read(&listing(&row))
        .unwrap()
        .models
        .remove(0)
        .price
        .unwrap();
    let rate = |text: &str| per_token(text.parse().unwrap()).unwrap();
    let share = |input: &str, output: Option<&str>| TermPrice {
        input: rate(input),
        output: output.map(rate),
    };
    assert_eq!(
        (price.tiers.flex, price.tiers.batch),
        (Some(share("1", None)), None)
    );
    assert_eq!(price.tiers.priority, Some(share("4", Some("19"))));
    let off_peak = OffPeak {
        share: share("1", None),
        peak_hours: vec![(1, 4), (6, 10)],
        now: false,
    };
    assert_eq!(price.off_peak, Some(off_peak));
}
