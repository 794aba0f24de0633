//! Decoding a stream: from the bytes of a body to the steps of an answer, for the formats of many servers and several read sizes.

use std::fmt::Write;
use std::time::Duration;

use chat_agent::chat::Delta;
use chat_agent::provider::decode::Decoder;
use chat_agent::provider::mask::Mask;
use criterion::{
    BenchmarkId, Criterion, SamplingMode, Throughput, criterion_group, criterion_main,
};

const LENGTH: usize = 4 * 1024 * 1024;
/// What a socket gives at once, under load.
const READ: usize = 16 * 1024;
/// What models write, as JSON has it.
const ENGLISH: [&str; 8] = [
    " the", " string", " moves", ",", " and", " \\\"own", "er\\\"", "\\n",
];
const CHINESE: [&str; 8] = ["所有", "权", "转移", "到", "向量", "，", "因此", "\\n"];
/// As servers in Python write it, unless they are told otherwise.
const ESCAPED: [&str; 8] = [
    "\\u6240\\u6709",
    "\\u6743",
    " \\ud83e\\udd80",
    "\\u5230",
    "\\u5411",
    "\\uff0c",
    "Gr\\u00fc\\u00dfe",
    "\\n",
];

/// How a server writes its stream.
#[derive(Clone, Copy)]
struct Manner {
    name: &'static str,
    /// A piece of the answer: `@` is where its words go, `#` its number, and `~` padding of another length in each.
    piece: &'static str,
    words: [&'static str; 8],
    /// Words in one piece.
    many: usize,
    /// The pieces after which a comment comes.
    comment: usize,
    line_end: &'static str,
}

const OPENAI: Manner = Manner {
    name: "OpenAI",
    piece: r#"{"id":"chatcmpl-Bx1","object":"chat.completion.chunk","created":1760000000,"model":"gpt-5-mini","service_tier":"default","system_fingerprint":null,"choices":[{"index":0,"delta":{"content":"@"},"finish_reason":null}],"usage":null,"obfuscation":"~"}"#,
    words: ENGLISH,
    many: 1,
    comment: usize::MAX,
    line_end: "\n",
};
const MANNERS: [Manner; 12] = [
    OPENAI,
    Manner {
        name: "no two envelopes alike",
        piece: r#"{"id":"chatcmpl-#","object":"chat.completion.chunk","created":1760000000,"model":"gpt-5-mini","choices":[{"index":0,"delta":{"content":"@"},"finish_reason":null}],"usage":null,"obfuscation":"~"}"#,
        ..OPENAI
    },
    Manner {
        name: "OpenRouter",
        piece: r#"{"id":"gen-1760000000-Zx81","provider":"OpenAI","model":"openai/gpt-5-mini","object":"chat.completion.chunk","created":1760000000,"choices":[{"index":0,"delta":{"role":"assistant","content":"@","reasoning":null,"reasoning_details":[]},"finish_reason":null,"native_finish_reason":null,"logprobs":null}],"system_fingerprint":"fp_1"}"#,
        ..OPENAI
    },
    Manner {
        name: "OpenRouter, thoughts",
        piece: r#"{"id":"gen-1760000000-Zx81","provider":"DeepSeek","model":"deepseek/deepseek-r1","object":"chat.completion.chunk","created":1760000000,"choices":[{"index":0,"delta":{"role":"assistant","content":"","reasoning":"@","reasoning_details":[{"type":"reasoning.text","text":"@","format":"unknown","index":0}]},"finish_reason":null,"native_finish_reason":null,"logprobs":null}]}"#,
        ..OPENAI
    },
    Manner {
        name: "DeepSeek, thoughts",
        piece: r#"{"id":"f3c1a2","object":"chat.completion.chunk","created":1760000000,"model":"deepseek-reasoner","system_fingerprint":"fp_1","choices":[{"index":0,"delta":{"content":null,"reasoning_content":"@"},"logprobs":null,"finish_reason":null}]}"#,
        ..OPENAI
    },
    // Usage that rises with every piece.
    Manner {
        name: "vLLM, usage with each piece",
        piece: r#"{"id":"chatcmpl-1","object":"chat.completion.chunk","created":1760000000,"model":"Qwen/Qwen3-8B","choices":[{"index":0,"delta":{"content":"@"},"logprobs":null,"finish_reason":null,"token_ids":null}],"usage":{"prompt_tokens":9,"total_tokens":1#,"completion_tokens":#}}"#,
        ..OPENAI
    },
    Manner {
        name: "xAI, usage with each piece",
        piece: r#"{"id":"9f0c","object":"chat.completion.chunk","created":1760000000,"model":"grok-4","choices":[{"index":0,"delta":{"content":"@","role":"assistant"}}],"usage":{"prompt_tokens":9,"completion_tokens":#,"total_tokens":1#,"prompt_tokens_details":{"text_tokens":9,"audio_tokens":0,"image_tokens":0,"cached_tokens":0},"completion_tokens_details":{"reasoning_tokens":0,"audio_tokens":0,"accepted_prediction_tokens":0,"rejected_prediction_tokens":0},"num_sources_used":0},"system_fingerprint":"fp_1"}"#,
        ..OPENAI
    },
    Manner {
        name: "Chinese",
        words: CHINESE,
        ..OPENAI
    },
    Manner {
        name: "all of it escaped",
        words: ESCAPED,
        ..OPENAI
    },
    Manner {
        name: "CRLF",
        line_end: "\r\n",
        ..OPENAI
    },
    Manner {
        name: "a comment before each piece",
        comment: 1,
        ..OPENAI
    },
    Manner {
        name: "a thousand words a piece",
        many: 1000,
        ..OPENAI
    },
];

impl Manner {
    /// A stream with its usage and its end. Also the number of pieces with text.
    fn stream(&self) -> (Vec<u8>, usize) {
        let Self {
            piece,
            words,
            line_end,
            ..
        } = *self;
        let mut text = String::with_capacity(LENGTH + 64 * 1024);
        let mut pieces = 0;
        while text.len() < LENGTH {
            if self.comment != usize::MAX && pieces % self.comment == 0 {
                let _ = write!(text, ": OPENROUTER PROCESSING{line_end}{line_end}");
            }
            let content: String = (0..self.many)
                .map(|n| words[(pieces + n) % words.len()])
                .collect();
            let piece = piece.replace('#', &(pieces + 100).to_string());
            let piece = piece
                .replace('~', &"q7Zk1"[..pieces % 5])
                .replace('@', &content);
            // Writing to a `String` cannot fail.
            let _ = write!(text, "data: {piece}{line_end}{line_end}");
            pieces += 1;
        }
        let end = r#"{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"usage":null}"#;
        let usage = format!(
            r#"{{"prompt_tokens":9,"completion_tokens":{pieces},"total_tokens":{}}}"#,
            pieces + 9
        );
        let usage = format!(r#"{{"choices":[],"usage":{usage}}}"#);
        for last in [end, &usage, "[DONE]"] {
            let _ = write!(text, "data: {last}{line_end}{line_end}");
        }
        (text.into_bytes(), pieces)
    }
}

/// Pieces of text and of thought that came out.
fn decode(stream: &[u8], read: usize) -> usize {
    let mut decoder = Decoder::new(Mask::default());
    let mut pieces = 0;
    for bytes in stream.chunks(read) {
        assert!(decoder.push(bytes).is_ok());
        while let Some(delta) = decoder.pop() {
            pieces += usize::from(matches!(delta, Delta::Text(_) | Delta::Reasoning(_)));
        }
    }
    assert!(decoder.finished() && decoder.done());
    pieces
}

fn decoding(c: &mut Criterion) {
    let mut group = c.benchmark_group("decode");
    group
        .sample_size(20)
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(3));
    group.sampling_mode(SamplingMode::Flat);
    let reads = [64 * 1024, 1400, 16].map(|read| (OPENAI, read));
    for (manner, read) in MANNERS
        .map(|manner| (manner, READ))
        .into_iter()
        .chain(reads)
    {
        let (stream, pieces) = manner.stream();
        assert_eq!(decode(&stream, read), pieces);
        group.throughput(Throughput::BytesDecimal(stream.len() as u64));
        let id = BenchmarkId::new(manner.name, format!("reads of {read}"));
        group.bench_with_input(id, &read, |b, read| b.iter(|| decode(&stream, *read)));
    }
    group.finish();
}

criterion_group!(benches, decoding);
criterion_main!(benches);
