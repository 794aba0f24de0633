//! One row for each provider that is known by name: the dialect in which its server is asked and answers.

use serde_json::{Value, json};

/// How one provider is asked, and how it answers.
pub struct Row {
    pub preset: &'static str,
    /// The model, and the effort that is asked for.
    pub model: &'static str,
    pub effort: Option<&'static str>,
    /// The field of the output cap and the role of the system text.
    pub cap: &'static str,
    pub system: &'static str,
    /// `stream_options` goes with the question.
    pub usage_asked: bool,
    /// The data of the events, in its dialect; `done`: `[DONE]` ends them.
    pub events: Vec<Value>,
    pub done: bool,
    /// What stands between two of them.
    pub between: &'static str,
    /// Input with cached, cached, output with reasoning, reasoning.
    pub usage: [u64; 4],
    pub source: &'static str,
    pub thought: &'static str,
}

pub const TEXT: &str = "Hello there.";
pub const OLD: &str = "max_tokens";
pub const NEW: &str = "max_completion_tokens";

fn delta(delta: &Value) -> Value {
    json!({"choices": [{"index": 0, "delta": delta, "finish_reason": null}]})
}

fn text() -> [Value; 2] {
    ["Hello ", "there."].map(|text| delta(&json!({"content": text})))
}

fn stop() -> Value {
    json!({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
}

fn usage(usage: &Value) -> Value {
    json!({"choices": [], "usage": usage})
}

/// The common ground; each row says where its provider leaves it.
fn row(
    preset: &'static str,
    model: &'static str,
    events: impl IntoIterator<Item = Value>,
    counted: [u64; 4],
) -> Row {
    Row {
        preset,
        model,
        effort: None,
        cap: OLD,
        system: "system",
        usage_asked: true,
        events: events.into_iter().collect(),
        done: true,
        between: "",
        usage: counted,
        source: "provider",
        thought: "",
    }
}

#[expect(clippy::too_many_lines, reason = "a table")]
pub fn hosted() -> Vec<Row> {
    let plain = || usage(&json!({"prompt_tokens": 20, "completion_tokens": 3, "total_tokens": 23}));
    let [one, two] = text();
    let said = |more: &[Value]| [&[one.clone(), two.clone(), stop()], more].concat();
    let thinks = |thought: Value, more: &[Value]| [vec![thought], said(more)].concat();
    let reasoned = json!({"prompt_tokens": 20, "completion_tokens": 43, "total_tokens": 63,
        "completion_tokens_details": {"reasoning_tokens": 40}});
    vec![
        Row {
            effort: Some("low"),
            cap: NEW,
            system: "developer",
            ..row(
                "openai",
                "gpt-5-mini",
                said(&[usage(
                    &json!({"prompt_tokens": 20, "completion_tokens": 43, "total_tokens": 63,
                    "prompt_tokens_details": {"cached_tokens": 8, "audio_tokens": 0},
                    "completion_tokens_details": {"reasoning_tokens": 40, "audio_tokens": 0}}),
                )]),
                [20, 8, 43, 40],
            )
        },
        // The compatible layer leaves the details empty and says `stop` in words of its own.
        row(
            "anthropic",
            "claude-sonnet-4-6",
            [
                one.clone(),
                two.clone(),
                json!({"choices": [{"index": 0, "delta": {}, "finish_reason": "end_turn"}]}),
                usage(
                    &json!({"prompt_tokens": 20, "completion_tokens": 3, "total_tokens": 23,
                    "prompt_tokens_details": null, "completion_tokens_details": {}}),
                ),
            ],
            [20, 0, 3, 0],
        ),
        // Thoughts are in the total only; role and signature on every chunk; no [DONE].
        Row {
            effort: Some("low"),
            done: false,
            ..row(
                "gemini",
                "gemini-3.5-flash",
                [
                    delta(
                        &json!({"role": "assistant", "content": "Hello ", "extra_content": {"google": {"thought_signature": "AbC=="}}}),
                    ),
                    json!({"choices": [{"index": 0, "delta": {"role": "assistant", "content": "there."}, "finish_reason": "stop"}],
                        "usage": {"prompt_tokens": 20, "completion_tokens": 3, "total_tokens": 63}}),
                ],
                [20, 0, 43, 40],
            )
        },
        Row {
            between: ": keep-alive\n\n",
            thought: "hm",
            ..row(
                "deepseek",
                "deepseek-flash",
                thinks(
                    delta(&json!({"reasoning_content": "hm", "content": null})),
                    &[usage(
                        &json!({"prompt_tokens": 20, "completion_tokens": 43, "total_tokens": 63,
                        "prompt_cache_hit_tokens": 8, "prompt_cache_miss_tokens": 12,
                        "completion_tokens_details": {"reasoning_tokens": 40}}),
                    )],
                ),
                [20, 8, 43, 40],
            )
        },
        // Sends usage in the last chunk, and refuses to be asked for it; content may be a list.
        Row {
            usage_asked: false,
            thought: "hm",
            ..row(
                "mistral",
                "mistral-large-2512",
                [
                    delta(
                        &json!({"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}]}),
                    ),
                    one.clone(),
                    two.clone(),
                    json!({"choices": [{"index": 0, "delta": {"content": ""}, "finish_reason": "stop"}],
                        "usage": {"prompt_tokens": 20, "completion_tokens": 3, "total_tokens": 23}}),
                ],
                [20, 0, 3, 0],
            )
        },
        // Reasoning lies beside the completion.
        Row {
            cap: NEW,
            thought: "hm",
            ..row(
                "xai",
                "grok-4.5",
                thinks(
                    delta(&json!({"reasoning_content": "hm"})),
                    &[usage(
                        &json!({"prompt_tokens": 20, "completion_tokens": 3, "total_tokens": 63,
                        "prompt_tokens_details": {"cached_tokens": 8},
                        "completion_tokens_details": {"reasoning_tokens": 40}}),
                    )],
                ),
                [20, 8, 43, 40],
            )
        },
        Row {
            cap: NEW,
            thought: "hm",
            ..row(
                "groq",
                "openai/gpt-oss-120b",
                thinks(
                    delta(&json!({"reasoning": "hm"})),
                    &[
                        json!({"x_groq": {"id": "req_1", "usage": {"queue_time": 0.01, "prompt_tokens": 20,
                        "prompt_time": 0.002, "completion_tokens": 3, "completion_time": 0.02, "total_tokens": 23}}}),
                    ],
                ),
                [20, 0, 3, 0],
            )
        },
        Row {
            between: ": OPENROUTER PROCESSING\n\n",
            thought: "hm",
            ..row(
                "openrouter",
                "some/model",
                thinks(
                    delta(
                        &json!({"role": "assistant", "content": "", "reasoning": "hm",
                        "reasoning_details": [{"type": "reasoning.text", "text": "hm"}]}),
                    ),
                    &[
                        json!({"choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": null}],
                        "usage": {"prompt_tokens": 20, "completion_tokens": 43, "total_tokens": 63, "cost": 0.00014,
                            "prompt_tokens_details": {"cached_tokens": 8},
                            "completion_tokens_details": {"reasoning_tokens": 40}}}),
                    ],
                ),
                [20, 8, 43, 40],
            )
        },
        row(
            "together",
            "some/model",
            [
                json!({"choices": [{"index": 0, "text": "Hello ", "delta": {"content": "Hello ", "token_id": 9}, "seed": null, "finish_reason": null}], "usage": null}),
                two.clone(),
                json!({"choices": [{"index": 0, "text": "", "delta": {"content": ""}, "finish_reason": "eos"}],
                    "usage": {"prompt_tokens": 20, "completion_tokens": 3, "total_tokens": 23}}),
            ],
            [20, 0, 3, 0],
        ),
        Row {
            thought: "hm",
            ..row(
                "qwen",
                "qwen3.7-plus",
                thinks(
                    delta(&json!({"content": null, "reasoning_content": "hm"})),
                    &[usage(&reasoned)],
                ),
                [20, 0, 43, 40],
            )
        },
        // Usage inside the choice; what was cached on the top level of it.
        row(
            "moonshot",
            "kimi-k2.6",
            [
                one.clone(),
                two.clone(),
                json!({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop",
                    "usage": {"prompt_tokens": 20, "completion_tokens": 3, "total_tokens": 23, "cached_tokens": 8}}]}),
            ],
            [20, 8, 3, 0],
        ),
        Row {
            thought: "hm",
            ..row(
                "zai",
                "glm-5.2",
                thinks(
                    delta(&json!({"role": "assistant", "reasoning_content": "hm"})),
                    &[plain()],
                ),
                [20, 0, 3, 0],
            )
        },
        // An empty usage: it is counted here instead.
        Row {
            source: "counted",
            ..row(
                "minimax",
                "MiniMax-M3",
                said(&[json!({"choices": [], "usage": {}})]),
                [0, 0, 0, 0],
            )
        },
        Row {
            cap: NEW,
            thought: "hm",
            ..row(
                "cerebras",
                "gpt-oss-120b",
                thinks(delta(&json!({"reasoning": "hm"})), &[plain()]),
                [20, 0, 3, 0],
            )
        },
        row(
            "llama",
            "llama-4-maverick-17b-128e-instruct-fp8",
            said(&[plain()]),
            [20, 0, 3, 0],
        ),
    ]
}

pub fn local() -> Vec<Row> {
    let plain = || usage(&json!({"prompt_tokens": 20, "completion_tokens": 3, "total_tokens": 23}));
    let [one, two] = text();
    let empty = |event: &Value| {
        let mut event = event.clone();
        event["choices"][0]["finish_reason"] = json!("");
        event
    };
    let counting = |event: &Value, n: u64| {
        let mut event = event.clone();
        event["usage"] =
            json!({"prompt_tokens": 20, "completion_tokens": n, "total_tokens": 20 + n});
        event
    };
    vec![
        // An empty finish reason until the last, and thoughts in a field of their own.
        Row {
            thought: "hm",
            ..row(
                "ollama",
                "llama3.2",
                [
                    empty(&delta(
                        &json!({"role": "assistant", "content": "", "reasoning": "hm"}),
                    )),
                    empty(&one),
                    empty(&two),
                    stop(),
                    plain(),
                ],
                [20, 0, 3, 0],
            )
        },
        // It does not count for a stream.
        Row {
            source: "counted",
            ..row(
                "lmstudio",
                "some-model",
                [one.clone(), two.clone(), stop()],
                [0, 0, 0, 0],
            )
        },
        // No [DONE] in old builds, and the usage with its own timings.
        Row {
            done: false,
            ..row(
                "llamacpp",
                "gguf",
                [
                    one.clone(),
                    two.clone(),
                    stop(),
                    json!({"choices": [], "timings": {"predicted_n": 3}, "usage": {"prompt_tokens": 20, "completion_tokens": 3}}),
                ],
                [20, 0, 3, 0],
            )
        },
        // `continuous_usage_stats`: rising with every chunk, of which the last one counts.
        Row {
            thought: "hm",
            ..row(
                "vllm",
                "some/model",
                [
                    counting(
                        &delta(&json!({"role": "assistant", "reasoning_content": "hm"})),
                        1,
                    ),
                    counting(&one, 2),
                    counting(&two, 3),
                    counting(&stop(), 3),
                    plain(),
                ],
                [20, 0, 3, 0],
            )
        },
    ]
}
