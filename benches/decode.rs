//! Decoding a stream: from the bytes of a body to the steps of an answer, whatever the size of the reads.

use std::fmt::Write;
use std::time::Duration;

use chat_agent::chat::Delta;
use chat_agent::provider::decode::Decoder;
use chat_agent::provider::mask::Mask;
use criterion::{BenchmarkId, Criterion, SamplingMode, Throughput, criterion_group, criterion_main};

const LENGTH: usize = 4 * 1024 * 1024;
const WORDS: [&str; 8] = [" the", " string", " moves", ",", " and", " \\\"own", "er\\\"", "\\n"];

/// A stream in the form of OpenAI's, one token to a chunk, with its usage and its end. Also the number of tokens.
fn stream() -> (Vec<u8>, usize) {
    let head = r#"data: {"id":"chatcmpl-Bx1","object":"chat.completion.chunk","created":1760000000,"model":"gpt-5-mini","service_tier":"default","system_fingerprint":null,"choices":["#;
    let mut text = String::with_capacity(LENGTH + 1024);
    let mut tokens = 0;
    while text.len() < LENGTH {
        let word = WORDS[tokens % WORDS.len()];
        let choice = format!(r#"{{"index":0,"delta":{{"content":"{word}"}},"finish_reason":null}}"#);
        // Writing to a `String` cannot fail.
        let _ = write!(text, "{head}{choice}],\"usage\":null,\"obfuscation\":\"q7\"}}\n\n");
        tokens += 1;
    }
    let _ = write!(text, "{head}{{\"index\":0,\"delta\":{{}},\"finish_reason\":\"stop\"}}],\"usage\":null}}\n\n");
    let usage = format!(r#"{{"prompt_tokens":9,"completion_tokens":{tokens},"total_tokens":{}}}"#, tokens + 9);
    let _ = write!(text, "{head}],\"usage\":{usage}}}\n\ndata: [DONE]\n\n");
    (text.into_bytes(), tokens)
}

/// Pieces of text that came out.
fn decode(stream: &[u8], read: usize) -> usize {
    let mut decoder = Decoder::new(Mask::default());
    let mut pieces = 0;
    for bytes in stream.chunks(read) {
        assert!(decoder.push(bytes).is_ok());
        while let Some(delta) = decoder.pop() {
            pieces += usize::from(matches!(delta, Delta::Text(_)));
        }
    }
    assert!(decoder.finished() && decoder.done());
    pieces
}

fn decoding(c: &mut Criterion) {
    let (stream, tokens) = stream();
    let mut group = c.benchmark_group("decode");
    group.sample_size(20).warm_up_time(Duration::from_secs(1)).measurement_time(Duration::from_secs(4));
    group.sampling_mode(SamplingMode::Flat);
    group.throughput(Throughput::Bytes(stream.len() as u64));
    for read in [64 * 1024, 1400, 16] {
        assert_eq!(decode(&stream, read), tokens);
        let id = BenchmarkId::new("4 MiB in reads of", read);
        group.bench_with_input(id, &read, |b, read| b.iter(|| decode(&stream, *read)));
    }
    group.finish();
}

criterion_group!(benches, decoding);
criterion_main!(benches);
