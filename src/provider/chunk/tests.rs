mod pieces;

use proptest::prelude::*;
use serde_json::{Value, json};

use self::pieces::{any_json, any_piece, replacement};
use super::*;

fn choice(delta: &Value) -> ChunkChoice<'static> {
    chunk_of(&json!({"choices": [{"delta": delta}]}))
        .choice
        .unwrap()
}

#[test]
fn text_and_thoughts_in_every_shape() {
    for (delta, text, reasoning) in [
        (json!({"content": "a"}), "a", ""),
        (json!({"content": null}), "", ""),
        (json!({"role": "assistant"}), "", ""),
        (json!({"content": 7}), "", ""),
        (
            json!({"content": [{"type": "text", "text": "a"}, "b"]}),
            "ab",
            "",
        ),
        (
            json!({"content": [{"type": "thinking", "thinking": [{"text": "t"}]}, {"text": "a"}]}),
            "a",
            "t",
        ),
        (json!({"reasoning_content": "t", "content": ""}), "", "t"),
        (
            json!({"reasoning": "t", "reasoning_details": [{"text": "t"}]}),
            "",
            "t",
        ),
        (
            json!({"reasoning": null, "reasoning_details": [{"text": "t"}, {"summary": "s"}, 5]}),
            "",
            "ts",
        ),
    ] {
        let choice = choice(&delta);
        assert_eq!(
            (&*choice.text, &*choice.reasoning),
            (text, reasoning),
            "{delta}"
        );
    }
    let unary =
        chunk_of(&json!({"choices": [{"message": {"content": "whole"}, "finish_reason": "stop"}]}));
    assert_eq!(unary.choice.unwrap().text, "whole");
    let second_only = chunk_of(&json!({"choices": [{"index": 1, "delta": {"content": "other"}}]}));
    assert_eq!(second_only.choice, None);
}

#[test]
fn finish_reasons_and_tool_calls() {
    for (written, expected) in [
        (json!(""), None),
        (json!(null), None),
        (json!(3), None),
        (json!("stop"), Some("stop")),
        (json!("weird"), Some("weird")),
    ] {
        let chunk = chunk_of(&json!({"choices": [{"finish_reason": written}]}));
        assert_eq!(
            chunk.choice.unwrap().finish.as_deref(),
            expected,
            "{written}"
        );
    }
    for (reason, tool, expected) in [
        ("stop", false, Some(Finish::Stop)),
        ("stop", true, Some(Finish::ToolCalls)),
        ("eos", false, Some(Finish::Stop)),
        ("length", true, Some(Finish::Length)),
        ("model_length", false, Some(Finish::Length)),
        ("insufficient_system_resource", false, Some(Finish::Cut)),
        ("weird", false, Some(Finish::Other("weird".into()))),
        ("error", false, None),
    ] {
        assert_eq!(finish(reason, tool), expected, "{reason} {tool}");
    }
    assert!(choice(&json!({"tool_calls": [{"function": {"name": "f"}}]})).tool_call);
    assert!(!choice(&json!({"tool_calls": []})).tool_call);
}

#[test]
fn an_error_is_seen_before_anything_else() {
    for error in [
        json!({"error": {"message": "m", "code": 502}, "choices": [{"finish_reason": "error"}]}),
        json!({"object": "error", "message": "m"}),
        json!({"choices": [{"error": {"message": "m"}, "finish_reason": "error"}]}),
        json!([{"error": {"message": "m"}}]),
    ] {
        assert_eq!(chunk_of(&error).error.unwrap().message, "m", "{error}");
    }
    assert_eq!(chunk_of(&json!({"error": null, "choices": []})).error, None);
}

#[test]
fn depth_is_limited_and_no_json_is_refused() {
    let deep = "[".repeat(1_000_000);
    for bad in [deep.as_str(), "", "{", "nul", "{\"a\":NaN}"] {
        assert_eq!(read(bad), Err(Malformed));
    }
}

fn by_the_tree(json: &str) -> Result<Chunk<'static>, Malformed> {
    let value = |json: &str| serde_json::from_str::<Value>(json).ok();
    let value = value(json).or_else(|| value(&surrogates::replace_lone_surrogates(json)?));
    value.map(|value| chunk_of(&value)).ok_or(Malformed)
}

/// A piece of every provider, as it writes them by the thousand.
const REAL: [&str; 10] = [
    r#"{"id":"chatcmpl-Bx1","object":"chat.completion.chunk","created":1760000000,"model":"gpt-5-mini","service_tier":"default","system_fingerprint":null,"choices":[{"index":0,"delta":{"content":" a"},"finish_reason":null}],"usage":null,"obfuscation":"q7"}"#,
    r#"{"id":"gen-17-Zx","provider":"OpenAI","model":"openai/gpt-5-mini","object":"chat.completion.chunk","created":1760000000,"choices":[{"index":0,"delta":{"role":"assistant","content":"a","reasoning":null,"reasoning_details":[]},"finish_reason":null,"native_finish_reason":null,"logprobs":null}]}"#,
    r#"{"id":"gen-17-Zx","provider":"DeepSeek","model":"deepseek/deepseek-r1","object":"chat.completion.chunk","created":1760000000,"choices":[{"index":0,"delta":{"role":"assistant","content":"","reasoning":"a","reasoning_details":[{"type":"reasoning.text","text":"a","format":"unknown","index":0}]},"finish_reason":null,"native_finish_reason":null,"logprobs":null}]}"#,
    r#"{"id":"f3","object":"chat.completion.chunk","created":1760000000,"model":"deepseek-reasoner","system_fingerprint":"fp_1","choices":[{"index":0,"delta":{"content":null,"reasoning_content":"a"},"logprobs":null,"finish_reason":null}]}"#,
    r#"{"id":"chatcmpl-1","object":"chat.completion.chunk","created":1760000000,"model":"Qwen/Qwen3-8B","choices":[{"index":0,"delta":{"content":"\u6240"},"logprobs":null,"finish_reason":null,"token_ids":null}],"usage":{"prompt_tokens":9,"total_tokens":11,"completion_tokens":2}}"#,
    r#"{"id":"9f","object":"chat.completion.chunk","created":1760000000,"model":"grok-4","choices":[{"index":0,"delta":{"content":"a","role":"assistant"}}],"usage":{"prompt_tokens":9,"completion_tokens":2,"total_tokens":11,"prompt_tokens_details":{"text_tokens":9,"cached_tokens":0},"completion_tokens_details":{"reasoning_tokens":0},"num_sources_used":0}}"#,
    r#"{"id":"chatcmpl-2","object":"chat.completion.chunk","created":1760000000,"model":"llama-3.3-70b","system_fingerprint":"fp_2","choices":[{"index":0,"delta":{},"logprobs":null,"finish_reason":"stop"}],"x_groq":{"id":"req_1","usage":{"queue_time":0.04,"prompt_tokens":9,"completion_tokens":2,"total_tokens":11,"total_time":0.007}}}"#,
    r#"{"id":"cmpl-3","object":"chat.completion.chunk","created":1760000000,"model":"mistral-small","choices":[{"index":0,"delta":{"content":"a"},"finish_reason":null}],"p":"abcdef"}"#,
    r#"{"choices":[{"delta":{"content":"a","role":"assistant"},"index":0}],"created":1760000000,"id":"x","model":"gemini-3-flash","object":"chat.completion.chunk","usage":{"completion_tokens":0,"prompt_tokens":9,"total_tokens":9}}"#,
    r#"{"choices":[{"finish_reason":null,"index":0,"delta":{"tool_calls":[{"index":0,"id":"call_1","type":"function","function":{"name":"f","arguments":"{\"a\":"}}]}}],"created":1760000000,"id":"chatcmpl-4","model":"local.gguf","system_fingerprint":"b5000","object":"chat.completion.chunk","timings":{"predicted_ms":10.25}}"#,
];

#[test]
fn the_pieces_of_every_provider_have_the_typed_form() {
    for json in REAL {
        assert!(typed::read(json).is_some(), "{json}");
        assert_eq!(read(json), by_the_tree(json), "{json}");
    }
}

/// One piece after another that differ in a text, in a byte, or in the rest.
#[test]
fn every_change_of_a_piece_is_read_as_through_the_tree() {
    let piece = |text: &str, padding: &str| {
        format!(
            r#"{{"id":"c","service_tier":"default","choices":[{{"delta":{{"content":"{text}"}}}}],"obfuscation":"{padding}"}}"#
        )
    };
    let thought = |text: &str| {
        format!(r#"{{"choices":[{{"delta":{{"content":null,"reasoning":"{text}"}}}}]}}"#)
    };
    let both = |text: &str| {
        format!(r#"{{"choices":[{{"delta":{{"content":"{text}","reasoning":"{text}"}}}}]}}"#)
    };
    let padded = |text: &str| piece(text, &"x".repeat(typed::TYPED_CAP));
    for json in [
        piece("one", "q7"),
        piece("twenty 🦀", "xyz"),
        piece("", "q7"),
        piece(r"a\n", "q7"),
        piece(r"a\q", "q7"),
        piece(r"\ud800", "q7"),
        piece("a\n", "q7"),
        piece("two", r"\u0041"),
        piece("two", "q7").replace("default", "flex"),
        piece("two", "q7").replace("\"}", "\"} "),
        piece("two\",\"role\":\"assistant", "q7"),
        piece("two\"},\"finish_reason\":\"stop", "q7"),
        thought("hm"),
        thought("so"),
        both("hm"),
        both("so"),
        padded("a"),
        padded("b"),
    ] {
        assert_eq!(read(&json), by_the_tree(&json), "{json}");
    }
}

#[test]
fn words_in_a_broken_piece_are_seen() {
    for (broken, has) in [
        (r#"{"choices":[{"delta":{"content":"a"#, true),
        (r#"{"choices":[{"delta":{"content" : "a"}}"#, true),
        (r#"{"choices":[{"delta":{"content":""#, true),
        (r#"{"choices":[{"delta":{"reasoning":"a"#, true),
        (r#"{"choices":[{"delta":{"content":[{"text":"a"#, true),
        (
            r#"{"choices":[{"delta":{"role":"assistant","content":"""#,
            false,
        ),
        (r#"{"choices":[{"delta":{"content":null"#, false),
        (r#"{"choices":[{"delta":{"conte"#, false),
        ("<html>502 Bad Gateway</html>", false),
    ] {
        assert_eq!(has_words(broken), has, "{broken}");
    }
}

#[test]
fn which_pieces_have_the_typed_form() {
    for (json, is_typed) in [
        (
            r#"{"id":"x","choices":[{"index":0,"delta":{"content":"a"},"finish_reason":null}],"usage":null}"#,
            true,
        ),
        (
            r#"{"choices":[{"delta":{"role":"assistant","content":"","refusal":null},"logprobs":null}]}"#,
            true,
        ),
        (
            r#"{"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2}}"#,
            true,
        ),
        (
            r#"{"choices":[{"delta":{"reasoning":"t","reasoning_details":[{"text":"t"}]}}]}"#,
            true,
        ),
        (
            r#"{"choices":[{"delta":{"tool_calls":[{"index":0,"function":{"arguments":"{"}}]}}]}"#,
            true,
        ),
        (
            r#"{"choices":[{"delta":{"content":"a"}}],"foreign":{"deep":[[1,2],{"a":null}]}}"#,
            true,
        ),
        (
            r#"{"choices":[{"delta":{"content":"a","reasoning":null,"reasoning_details":[]}}]}"#,
            true,
        ),
        (
            r#"{"choices":[{"delta":{"content":"l\u00f6\n\ud83e\udd80"}}]}"#,
            true,
        ),
        (
            r#"{ "choices" : [ { "delta" : { "content" : "a" } , "index" : 0 } ] , "created" : -1.5e3 } "#,
            true,
        ),
        (
            r#"{"choices":[{"delta":{"content":"a"}}],"x":1e999}"#,
            false,
        ),
        (r#"{"choices":[{"delta":{"content":"a"}}],"x":01}"#, false),
        (
            r#"{"choices":[{"delta":{"content":"a"}}],"x":"\ud800"}"#,
            false,
        ),
        (r#"{"choices":[{"delta":{"content":"a"}}],"x":nul}"#, false),
        (r#"{"choices":[{"delta":{"content":"a"}}]}{}"#, false),
        (
            r#"{"choices":[{"delta":{"content":"a"},"delta":null}]}"#,
            false,
        ),
        (
            r#"{"choices":[{"delta":{"content":[{"text":"a"}]}}]}"#,
            false,
        ),
        (
            r#"{"choices":[{"delta":{"content":"a"}},{"delta":{"content":"b"}}]}"#,
            true,
        ),
        (
            r#"{"choices":[{"delta":{"content":"a","content":"b"}}]}"#,
            false,
        ),
        (r#"{"choices":[{"index":1,"delta":{"content":"a"}}]}"#, true),
        (r#"{"error":{"message":"m"}}"#, false),
        (r#"{"object":"error","message":"m"}"#, false),
    ] {
        assert_eq!(typed::read(json).is_some(), is_typed, "{json}");
        assert_eq!(read(json), by_the_tree(json), "{json}");
    }
}

#[test]
fn the_number_of_values_is_bounded() {
    let many = |n: usize| format!("{{\"choices\":[],\"usage\":[{}0]}}", "0,".repeat(n));
    let most = tree::MOST as usize;
    assert!(read(&many(most - 4)).is_ok());
    assert_eq!(read(&many(most)), Err(Malformed));
    let deep = format!("{{\"x\":{}1{}}}", "[".repeat(120), "]".repeat(120));
    assert!(read(&deep).is_ok());
    let deeper = format!("{{\"x\":{}1{}}}", "[".repeat(130), "]".repeat(130));
    assert_eq!(read(&deeper), Err(Malformed));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn the_typed_form_and_the_tree_read_the_same(json in any_piece()) {
        prop_assert_eq!(read(&json), by_the_tree(&json), "{}", json);
    }

    #[test]
    fn also_when_a_byte_is_wrong(json in any_piece(), at in any::<prop::sample::Index>(), byte in "[ -~]") {
        let at = at.index(json.len());
        let broken = format!("{}{byte}{}", &json[..at], &json[at + 1..]);
        prop_assert_eq!(read(&broken), by_the_tree(&broken), "{}", broken);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn also_when_real_pieces_are_mangled(
        which in any::<prop::sample::Index>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), 0..4usize, replacement()), 1..4),
    ) {
        let mut json = (*which.get(&REAL)).to_owned();
        for (at, gone, instead) in changes {
            let at = json.floor_char_boundary(at.index(json.len() + 1));
            json.replace_range(at..json.floor_char_boundary(at + gone).max(at), instead);
        }
        prop_assert_eq!(read(&json), by_the_tree(&json), "{}", json);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    /// The shapes in turn, with other texts, and now and then with a wrong byte.
    #[test]
    fn also_with_other_texts_in_a_piece(
        shapes in prop::collection::vec(any_piece(), 1..4),
        order in prop::collection::vec((any::<prop::sample::Index>(), 0..6u8, any::<prop::sample::Index>()), 1..12),
    ) {
        for (which, text, at) in order {
            let text = [r#""a""#, r#""b c""#, r#""""#, r#""\n""#, r#""stop""#, r#""a""#][usize::from(text)];
            let mut json = which.get(&shapes).replace(r#""a""#, text);
            if at.index(8) == 0 {
                let at = at.index(json.len());
                json.replace_range(at..=at, "\"");
            }
            prop_assert_eq!(read(&json), by_the_tree(&json), "{}", json);
        }
    }
}

proptest! {
    #[test]
    fn any_json_value_reads(value in any_json()) {
        let chunk = chunk_of(&value);
        prop_assert_eq!(read(&value.to_string()).is_ok(), true);
        let _ = chunk.usage.and_then(|usage| usage.normalise());
    }
}
