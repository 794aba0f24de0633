//! How servers are known to write their streams, one case a line of the list of their oddities, and what each means.
//!
//! Owns: the golden streams; that every one of them gives the same steps however its bytes are split.
//! Refuses: time (the tests of `stream` have it).
//! Invariant: a case says all that comes of it: text, thought, finish, usage, error, and pieces that were passed over.

use proptest::prelude::*;

use super::*;
use crate::provider::chunk;

/// What comes of a stream.
#[derive(Debug, Clone, PartialEq, Default)]
struct Outcome {
    text: String,
    thought: String,
    finish: Option<Finish>,
    /// Input and output.
    usage: Option<(u64, u64)>,
    error: Option<ErrorClass>,
    malformed: u32,
}

fn ok(text: &str) -> Outcome {
    Outcome {
        text: text.to_owned(),
        finish: Some(Finish::Stop),
        ..Outcome::default()
    }
}

fn failed(text: &str, error: ErrorClass) -> Outcome {
    Outcome {
        text: text.to_owned(),
        error: Some(error),
        ..Outcome::default()
    }
}

impl Outcome {
    fn finish(self, finish: Finish) -> Self {
        Self {
            finish: Some(finish),
            ..self
        }
    }

    fn usage(self, input: u64, output: u64) -> Self {
        Self {
            usage: Some((input, output)),
            ..self
        }
    }

    fn thought(self, thought: &str) -> Self {
        Self {
            thought: thought.to_owned(),
            ..self
        }
    }

    fn malformed(self, malformed: u32) -> Self {
        Self { malformed, ..self }
    }
}

/// A piece with this inside its one choice.
fn piece(choice: &str) -> String {
    format!("data: {{\"choices\":[{{{choice}}}]}}\n\n")
}

fn says(text: &str) -> String {
    piece(&format!(r#""delta":{{"content":"{text}"}}"#))
}

fn ends(reason: &str) -> String {
    piece(&format!(r#""delta":{{}},"finish_reason":"{reason}""#))
}

fn counts(output: u32) -> String {
    format!(
        "data: {{\"choices\":[],\"usage\":{{\"prompt_tokens\":5,\"completion_tokens\":{output}}}}}\n\n"
    )
}

const IN_STREAM: ErrorClass = ErrorClass::InStream;
const TRUNCATED: ErrorClass = ErrorClass::Truncated;

/// The list: who writes it, the body, what it means.
#[rustfmt::skip]
fn cases() -> Vec<(&'static str, Vec<u8>, Outcome)> {
    let (a, b, stop) = (says("Hel"), says("lo"), ends("stop"));
    let hello = format!("{a}{b}");
    let call = r#""delta":{"tool_calls":[{"id":"c1","function":{"name":"f","arguments":"{"}}]}"#;
    let calls = |more: &str| ok("").finish(Finish::ToolCalls).thought(more);
    let text: Vec<(&'static str, String, Outcome)> = vec![
        ("OpenRouter: comments while it waits", format!(": OPENROUTER PROCESSING\n\n{a}: OPENROUTER PROCESSING\n\n{b}{stop}{DONE}"), ok("Hello")),
        ("DeepSeek: keep-alive comments", format!(": keep-alive\n\n: keep-alive\n\n{hello}{stop}{DONE}"), ok("Hello")),
        ("proxies: ping comments and ping events", format!(": ping\n\nevent: ping\n\n{hello}event: keepalive\n\n{stop}{DONE}"), ok("Hello")),
        ("DeepSeek: a whole answer behind empty lines", format!("\n\n \n{}", r#"{"choices":[{"message":{"content":"Hello"},"finish_reason":"stop"}],"usage":{"prompt_tokens":5,"completion_tokens":2}}"#), ok("Hello").usage(5, 2)),
        ("llama.cpp: no [DONE]", format!("{hello}{stop}"), ok("Hello")),
        ("llama.cpp: [DONE] without its space", format!("{hello}{stop}data:[DONE]\n\n"), ok("Hello")),
        ("nebius: no finish reason", format!("{hello}{DONE}"), failed("Hello", TRUNCATED)),
        ("Gemini proxies: no finish reason and no [DONE]", hello.clone(), failed("Hello", TRUNCATED)),
        ("OpenRouter: an error with a choice beside it", format!("{a}data: {{\"error\":{{\"code\":502,\"message\":\"m\"}},\"choices\":[{{\"delta\":{{\"content\":\"\"}},\"finish_reason\":\"error\"}}]}}\n\n"), failed("Hel", IN_STREAM)),
        ("vLLM: an error that is the piece", format!("{a}data: {{\"object\":\"error\",\"message\":\"m\",\"code\":400}}\n\n{DONE}"), failed("Hel", IN_STREAM)),
        ("SGLang: an error that says so twice", format!("{a}data: {{\"error\":{{\"object\":\"error\",\"message\":\"m\",\"code\":500}}}}\n\n{DONE}"), failed("Hel", IN_STREAM)),
        ("llama.cpp: an error as a field of its own", format!("{a}error: {{\"code\":500,\"message\":\"m\",\"type\":\"server_error\"}}\n\n"), failed("Hel", IN_STREAM)),
        ("OpenAI: an error event", format!("{a}event: error\ndata: {{\"error\":{{\"message\":\"m\",\"type\":\"server_error\"}}}}\n\n"), failed("Hel", IN_STREAM)),
        ("any: an error in words", format!("{a}data: {{\"error\":\"it broke\"}}\n\n"), failed("Hel", IN_STREAM)),
        ("any: error null on each piece", format!("data: {{\"error\":null,\"choices\":[{{\"delta\":{{\"content\":\"Hello\"}}}}]}}\n\n{stop}"), ok("Hello")),
        ("Ollama, SGLang: an empty finish reason", format!("{}{}{stop}", piece(r#""delta":{"content":"Hel"},"finish_reason":"""#), piece(r#""delta":{"content":"lo"},"finish_reason":"""#)), ok("Hello")),
        ("OpenRouter: finish reason error alone", format!("{a}{}", ends("error")), failed("Hel", IN_STREAM)),
        ("Mistral: model_length", format!("{hello}{}", ends("model_length")), ok("Hello").finish(Finish::Length)),
        ("DeepSeek: insufficient_system_resource", format!("{a}{}{DONE}", ends("insufficient_system_resource")), ok("Hel").finish(Finish::Cut)),
        ("old servers: eos", format!("{hello}{}", ends("eos")), ok("Hello")),
        ("any: an unknown finish reason", format!("{hello}{}", ends("because")), ok("Hello").finish(Finish::Other("because".into()))),
        ("Gemini: stop although a tool was called", format!("{}{stop}{DONE}", piece(call)), calls("")),
        ("Gemini, Ollama: tool calls without index, with none, and with an empty id", format!("{}{}{}", piece(call), piece(r#""delta":{"tool_calls":[{"index":null,"id":"","function":{"arguments":"}"}}]}"#), ends("tool_calls")), calls("")),
        ("any: gaps in the index of tool calls, and an id twice", format!("{}{}{}", piece(r#""delta":{"tool_calls":[{"index":3,"id":"c","function":{"name":"f"}}]}"#), piece(r#""delta":{"tool_calls":[{"index":7,"id":"c","function":{"name":"g"}}]}"#), ends("tool_calls")), calls("")),
        ("any: tool arguments cut off, and then the end", piece(call), failed("", TRUNCATED)),
        ("Gemini: a signature of its thought", format!("{}{stop}", piece(r#""delta":{"content":"Hello","extra_content":{"google":{"thought_signature":"AbC=="}}}"#)), ok("Hello")),
        ("vLLM: usage that rises with each piece", format!("{}{a}{}{b}{stop}{}{DONE}", counts(1), counts(2), counts(3)), ok("Hello").usage(5, 3)),
        ("OpenAI: usage alone before [DONE]", format!("{hello}{stop}{}{DONE}", counts(2)), ok("Hello").usage(5, 2)),
        ("LiteLLM: usage beside a choice", format!("{hello}{stop}data: {{\"choices\":[{{\"index\":0,\"delta\":{{}}}}],\"usage\":{{\"prompt_tokens\":5,\"completion_tokens\":2}}}}\n\n{DONE}"), ok("Hello").usage(5, 2)),
        ("vllm-swift: no usage although asked", format!("{hello}{stop}{DONE}"), ok("Hello")),
        ("MiniMax: an empty usage", format!("{hello}{stop}data: {{\"choices\":[],\"usage\":{{}}}}\n\n{DONE}"), ok("Hello")),
        ("Groq: usage under its own name", format!("{hello}{stop}data: {{\"x_groq\":{{\"usage\":{{\"prompt_tokens\":5,\"completion_tokens\":2}}}}}}\n\n{DONE}"), ok("Hello").usage(5, 2)),
        ("Moonshot: usage inside the choice", format!("{hello}{}", piece(r#""delta":{},"finish_reason":"stop","usage":{"prompt_tokens":5,"completion_tokens":2}"#)), ok("Hello").usage(5, 2)),
        ("a liar: usage that cannot be", format!("{hello}{stop}{}{DONE}", counts(2).replace(":2}", ":-2}")), ok("Hello")),
        ("OpenAI: content null, and not there", format!("{}{hello}{}{stop}", piece(r#""delta":{"role":"assistant","content":null}"#), piece(r#""delta":{"role":"assistant"}"#)), ok("Hello")),
        ("Mistral: content as a list", format!("{}{stop}", piece(r#""delta":{"content":[{"type":"thinking","thinking":[{"type":"text","text":"hm"}]},{"type":"text","text":"Hello"}]}"#)), ok("Hello").thought("hm")),
        ("DeepSeek: reasoning_content", format!("{}{hello}{stop}", piece(r#""delta":{"reasoning_content":"hm","content":null}"#)), ok("Hello").thought("hm")),
        ("Cerebras: reasoning", format!("{}{hello}{stop}", piece(r#""delta":{"reasoning":"hm"}"#)), ok("Hello").thought("hm")),
        ("OpenRouter: reasoning under two names", format!("{}{hello}{stop}", piece(r#""delta":{"reasoning":"hm","reasoning_details":[{"type":"reasoning.text","text":"hm"}]}"#)), ok("Hello").thought("hm")),
        ("OpenRouter: reasoning_details alone", format!("{}{hello}{stop}", piece(r#""delta":{"reasoning_details":[{"summary":"h"},{"text":"m"}]}"#)), ok("Hello").thought("hm")),
        ("some: thoughts before the role", format!("{}{}{hello}{stop}", piece(r#""delta":{"reasoning":"hm"}"#), piece(r#""delta":{"role":"assistant","content":""}"#)), ok("Hello").thought("hm")),
        ("many: the role on every piece", format!("{}{}{stop}", piece(r#""delta":{"role":"assistant","content":"Hel"}"#), piece(r#""delta":{"role":"assistant","content":"lo"}"#)), ok("Hello")),
        ("Node: text cut inside a surrogate pair", format!("{}{}{stop}{DONE}", says(r"a\ud83d"), says(r"b\ude00c")), ok("a\u{fffd}b\u{fffd}c")),
        ("CDNs: a piece that is no JSON in the middle", format!("{a}data: {{\"choices\":[{{\"delta\":{{\"con\n\n{b}{stop}{DONE}"), ok("Hello").malformed(1)),
        ("CDNs: a page after the first piece", format!("{a}<html><body>502 Bad Gateway</body></html>\n"), failed("Hel", TRUNCATED)),
        ("any: CRLF", format!("{hello}{stop}{DONE}").replace('\n', "\r\n"), ok("Hello")),
        ("any: lone CR", format!("{hello}{stop}{DONE}").replace('\n', "\r"), ok("Hello")),
        ("any: a byte order mark", format!("\u{feff}{hello}{stop}{DONE}"), ok("Hello")),
        ("any: the last event without its empty line", format!("{hello}{}", stop.trim_end()), ok("Hello")),
        ("any: [DONE] without a line end", format!("{hello}{stop}data: [DONE]"), ok("Hello")),
        ("any: characters of several bytes, escaped or not", format!("{}{stop}", says(r"Grüße 🦀 \ud83e\udd80 世界\n")), ok("Grüße 🦀 🦀 世界\n")),
        ("any: retry, id with NUL, unknown fields, unknown events", format!("retry: 10\nid: a\0b\nfoo: bar\nevent: delta\n{hello}id: 9\n{stop}{DONE}"), ok("Hello")),
        ("any: one event in several lines of data", format!("data: {{\"choices\":\ndata: [{{\"delta\":{{\"content\":\"Hello\"}}}}]}}\n\n{stop}"), ok("Hello")),
        ("some: two pieces in one event", format!("{}{}{stop}{DONE}", a.trim_end(), format_args!("\n{b}")), ok("Hello")),
        ("some: no empty lines at all", format!("{hello}{stop}{DONE}").replace("\n\n", "\n"), ok("Hello")),
        ("some: two pieces on one line", format!("{}{}{stop}{DONE}", a.trim_end(), b.trim_start_matches("data: ")), ok("Hello")),
        ("some: line ends forgotten altogether", format!("{}{}{}{DONE}", a.trim_end(), b.trim_end(), stop.trim_end()), ok("Hello")),
        ("some: a piece and [DONE] on one line", format!("{hello}{} [DONE]\n\n{a}", stop.trim_end()), ok("Hello")),
        ("proxies: a piece, and something else on its line", format!("{} <br>\n\n{b}{stop}{DONE}", a.trim_end()), ok("Hello").malformed(1)),
        ("proxies: a piece, and half of the next on its line", format!("{}{}\n\n{stop}{DONE}", a.trim_end(), &b.trim_start_matches("data: ")[..37]), ok("Hel").finish(Finish::Cut).malformed(1)),
        ("proxies: words of the answer in a piece that is no JSON", format!("{a}{}\n\n{stop}{DONE}", &b[..b.len() - 4]), ok("Hel").finish(Finish::Cut).malformed(1)),
        ("proxies: the same after the finish", format!("{a}{stop}{}\n\n{DONE}", &b[..b.len() - 4]), ok("Hel").finish(Finish::Cut).malformed(1)),
        ("some: no empty lines, and a line between that is none of theirs", format!("{}\ndata: ?\n{b}{stop}{DONE}", a.trim_end()), ok("Hello").malformed(1)),
        ("some: the finish twice", format!("{hello}{stop}{stop}{DONE}"), ok("Hello")),
        ("some: text after the finish", format!("{a}{stop}{b}{DONE}"), ok("Hello")),
        ("some: text after [DONE]", format!("{a}{stop}{DONE}{b}{DONE}"), ok("Hel")),
        ("some: an error after the finish", format!("{hello}{stop}data: {{\"error\":{{\"message\":\"m\"}}}}\n\n"), ok("Hello")),
        ("some: a second choice, which the request did not ask for", format!("{hello}{}{stop}", piece(r#""index":1,"delta":{"content":"no"}"#)), ok("Hello")),
        ("no known server: nothing", String::new(), failed("", TRUNCATED)),
        ("no known server: comments only", ": x\n\n".repeat(20), failed("", TRUNCATED)),
        ("no known server: [DONE] only", DONE.to_owned(), failed("", TRUNCATED)),
        ("proxies: a page", "<!doctype html><title>Sign in</title>".to_owned(), failed("", ErrorClass::NotSse)),
        ("proxies: a JSON error instead of a stream", r#"{"error":{"code":429,"message":"slow"}}"#.to_owned(), failed("", ErrorClass::RateLimited)),
        ("Anthropic's way for others: usage without details", format!("{hello}{}data: {{\"choices\":[],\"usage\":{{\"prompt_tokens\":5,\"completion_tokens\":2,\"total_tokens\":7,\"completion_tokens_details\":{{}},\"prompt_tokens_details\":{{}}}}}}\n\n{DONE}", ends("end_turn")), ok("Hello").usage(5, 2)),
    ];
    let mut all: Vec<_> = text.into_iter().map(|(name, body, outcome)| (name, body.into_bytes(), outcome)).collect();
    let cut = |text: &str| [text.as_bytes(), b"\xe4\xb8"].concat();
    all.push(("any: a byte that is no UTF-8", says("H#l").replace('#', "\u{1}").into_bytes().into_iter().map(|byte| if byte == 1 { 0xff } else { byte }).chain(stop.bytes()).collect(), ok("H\u{fffd}l")));
    all.push(("any: the end in the middle of a character", cut(r#"data: {"choices":[{"delta":{"content":""#), failed("", TRUNCATED).malformed(1)));
    all
}

/// Every step, the error, and the pieces passed over.
fn steps(pieces: &[&[u8]]) -> (Vec<Delta>, Option<WireError>, u32) {
    let (mut decoder, mut steps) = (Decoder::new(Mask::default()), Vec::new());
    let mut failed = None;
    for piece in pieces {
        failed = decoder.push(piece).err();
        steps.extend(std::iter::from_fn(|| decoder.pop()));
        if failed.is_some() {
            break;
        }
    }
    let failed = failed.or_else(|| decoder.end().err());
    steps.extend(std::iter::from_fn(|| decoder.pop()));
    (steps, failed, decoder.malformed())
}

#[test]
fn every_oddity_means_what_it_should() {
    for (name, body, expected) in cases() {
        let (steps, error, malformed) = steps(&[&body]);
        let mut reply = Reply::default();
        for step in &steps {
            reply.push(step);
        }
        let outcome = Outcome {
            text: reply.text,
            thought: reply.reasoning,
            finish: reply.finish,
            usage: reply.usage.map(|usage| (usage.input(), usage.output)),
            error: error.map(|error| error.class),
            malformed,
        };
        assert_eq!(outcome, expected, "{name}");
    }
}

#[test]
fn no_split_in_two_and_no_byte_by_byte_changes_a_step() {
    for (name, body, _) in cases() {
        let whole = steps(&[&body]);
        for at in 1..body.len() {
            let (left, right) = body.split_at(at);
            assert_eq!(steps(&[left, right]), whole, "{name}, split at {at}");
        }
        let bytes: Vec<&[u8]> = body.chunks(1).collect();
        assert_eq!(steps(&bytes), whole, "{name}, byte by byte");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn no_mangled_line_is_read_in_two_ways(
        which in any::<prop::sample::Index>(),
        at in any::<prop::sample::Index>(),
        byte in "[ -~]",
    ) {
        let cases = cases();
        let (name, body, _) = which.get(&cases);
        let mut text = String::from_utf8_lossy(body).into_owned();
        let at = text.floor_char_boundary(at.index(text.len() + 1));
        text.insert_str(at, &byte);
        for line in text.split(['\r', '\n']).filter_map(|line| line.strip_prefix("data:")) {
            prop_assert_eq!(chunk::read(line).ok(), chunk::read_tree(line).ok(), "{}: {}", name, line);
        }
    }
}

proptest! {
    #[test]
    fn no_split_in_many_changes_a_step(
        which in any::<prop::sample::Index>(),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
    ) {
        let cases = cases();
        let (name, body, _) = which.get(&cases);
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(body.len() + 1)).collect();
        cuts.sort_unstable();
        let edges = [&[0], &cuts[..], &[body.len()]].concat();
        let pieces: Vec<&[u8]> = edges.windows(2).map(|edge| &body[edge[0]..edge[1]]).collect();
        prop_assert_eq!(steps(&pieces), steps(&[&body[..]]), "{} cut at {:?}", name, cuts);
    }
}
