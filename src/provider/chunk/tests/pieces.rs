//! Pieces of streams for the property tests: as servers write them, and as they do not.

use proptest::prelude::*;
use serde_json::Value;

/// Any JSON value, with the keys of a chunk at any place.
pub(super) fn any_json() -> impl Strategy<Value = Value> {
    let keys = "choices|delta|message|content|error|usage|finish_reason|index|object|code|tool_calls|x_groq|detail";
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,6}".prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 40, 5, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::hash_map(keys, inner, 0..5)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

/// Pieces as servers write them, and as they do not: keys of ours in all places, some of them twice.
pub(super) fn any_piece() -> impl Strategy<Value = String> {
    let text = prop_oneof![
        Just(r#""a""#),
        Just(r#""""#),
        Just(r#""l\u00f6\n\"""#),
        Just(r#""\ud83e\udd80""#),
        Just(r#""\ud800""#),
        Just(r#""error""#),
        Just(r#""stop""#)
    ];
    let odd = prop_oneof![
        Just("null"),
        Just("0"),
        Just("1"),
        Just("-0"),
        Just("0.0"),
        Just("1e999"),
        Just("true"),
        Just("[]"),
        Just("{}"),
        Just("[{}]"),
        Just(r#"{"prompt_tokens":3,"completion_tokens":2}"#),
        Just(r#"{"usage":{"prompt_tokens":1,"completion_tokens":1}}"#),
        Just(r#"{"prompt_tokens":12.0,"completion_tokens":-3,"cost":"x","is_byok":true}"#),
        Just(r#"{"prompt_tokens":9,"prompt_tokens":8,"completion_tokens":1}"#),
        Just(
            r#"{"input_tokens":9,"output_tokens":1,"cache_creation":{"ephemeral_1h_input_tokens":1}}"#
        ),
        Just(
            r#"{"prompt_tokens":9,"completion_tokens":1,"prompt_tokens_details":{"cached_tokens":3}}"#
        ),
        Just(
            r#"{"prompt_tokens_details":{"cached_tokens":3},"prompt_tokens_details":null,"cost":0.25}"#
        ),
        Just(r#"[{"type":"text","text":"p"}]"#),
        Just(r#"[{"summary":"s"}]"#),
        Just(r#"{"message":"m"}"#),
        Just("[[0,{\"x\":[1.5,-2]}]]"),
        Just("nul"),
    ];
    let figure = prop::sample::select(vec![
        "0",
        "7",
        "9",
        "-1",
        "-0",
        "12.0",
        "0.5",
        "1e3",
        "1e999",
        "18446744073709551616",
        "true",
        "null",
        "\"3\"",
        "[]",
        r#"{"cached_tokens":3,"reasoning_tokens":2,"ephemeral_1h_input_tokens":1}"#,
        r#"{"cached_tokens":null,"cached_tokens":4,"cache_write_tokens":2}"#,
    ]);
    let counts = [
        "prompt_tokens",
        "completion_tokens",
        "total_tokens",
        "input_tokens",
        "output_tokens",
        "cached_tokens",
        "cost",
        "cost_in_usd_ticks",
        "is_byok",
        "prompt_tokens_details",
        "completion_tokens_details",
        "input_tokens_details",
        "cache_creation",
    ];
    let usage = object(&counts, figure.prop_map(str::to_owned));
    let value = prop_oneof![
        4 => text.prop_map(str::to_owned).boxed(),
        3 => odd.prop_map(str::to_owned).boxed(),
        2 => usage
    ];
    let words = object(
        &[
            "content",
            "reasoning_content",
            "reasoning",
            "reasoning_details",
            "tool_calls",
            "function_call",
            "role",
        ],
        value.clone(),
    );
    let choice = object(
        &[
            "delta",
            "message",
            "text",
            "index",
            "finish_reason",
            "usage",
            "error",
            "object",
            "type",
            "logprobs",
        ],
        prop_oneof![3 => words.boxed(), 2 => value.clone().boxed()],
    );
    let choices = prop_oneof![
        6 => choice.clone().prop_map(|choice| format!("[{choice}]")),
        1 => prop::collection::vec(choice, 0..3).prop_map(|choices| format!("[{}]", choices.join(","))),
        1 => value.clone(),
    ];
    let keys = [
        "choices",
        "usage",
        "x_groq",
        "service_tier",
        "error",
        "object",
        "type",
        "id",
        "cho\\u0069ces",
    ];
    object(&keys, prop_oneof![3 => choices.boxed(), 2 => value.boxed()])
}

/// An object of some of these keys, in any order, with any of these values.
fn object(
    keys: &[&'static str],
    value: impl Strategy<Value = String> + 'static,
) -> BoxedStrategy<String> {
    let entry = (prop::sample::select(keys.to_vec()), value)
        .prop_map(|(key, value)| format!("\"{key}\":{value}"));
    prop::collection::vec(entry, 0..5)
        .prop_map(|entries| format!("{{{}}}", entries.join(", ")))
        .boxed()
}

/// What a property test puts into a piece at a random place.
pub(super) fn replacement() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "",
        "\"",
        "\\",
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "0",
        "-",
        ".",
        "e",
        " ",
        "\n",
        "\t",
        "\u{1}",
        "é",
        "null",
        "true",
        "\\u00e9",
        "\\ud83e",
        "\\n",
        "{}",
        "[]",
        "\"a\"",
        "\"content\":\"b\",",
        "\"error\":{},",
        "\"index\":1,",
        "1e400",
        "9999999999999999999999",
    ])
}
