//! Streams as a broken or hostile server might write them, by chance that can be had again.
//!
//! Owns: [`Stream`]: its bytes, and what an honest reader may make of them; [`says_end`], which judges by lines alone.
//! Refuses: the code under test: what is true of a stream is known from how it was made.
//! Invariant: the same dice make the same stream.

use serde_json::{Value, json};

use crate::bill::Dice;

/// A body, and what is true of it.
pub struct Stream {
    pub bytes: Vec<u8>,
    /// The text of the answer; `None`: something in the stream may cost a part of it.
    pub text: Option<String>,
}

/// One event of a stream in the making.
enum Item {
    Says(String),
    /// Nothing that an answer is made of.
    Harmless(Vec<u8>),
    /// After it the answer is undefined.
    Harmful(Vec<u8>),
}

const WORDS: [&str; 10] = [
    " the", "a", "\n", " \"q\"", "é", " 世界", "🦀", "\\", "\t", "\u{202e}",
];

fn event(data: &str) -> Vec<u8> {
    format!("data: {data}\n\n").into_bytes()
}

fn choice(choice: &Value) -> Vec<u8> {
    event(&json!({"id": "c", "choices": [choice], "usage": null}).to_string())
}

fn harmless(dice: &mut Dice) -> Vec<u8> {
    match dice.below(9) {
        0 => b": ping\n\n".to_vec(),
        1 => b": OPENROUTER PROCESSING\n\n".repeat(usize::try_from(dice.below(50)).unwrap_or(0)),
        2 => b"retry: 10\nid: a\0b\nfoo: bar\n\n".to_vec(),
        3 => b"event: keepalive\ndata:\n\n".to_vec(),
        4 => choice(&json!({"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": ""})),
        5 => event(
            &json!({"choices": [], "usage": {"prompt_tokens": 5, "completion_tokens": dice.below(9)}}).to_string(),
        ),
        // A usage that lies.
        6 => event(
            [
                r#"{"choices":[],"usage":{"prompt_tokens":-1,"completion_tokens":1e300}}"#,
                r#"{"choices":[],"usage":{"prompt_tokens":18446744073709551615,"completion_tokens":18446744073709551615,"cost":1e308}}"#,
                r#"{"choices":[],"usage":{"prompt_tokens":"9","completion_tokens":null,"cost":-5}}"#,
                r#"{"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":1,"prompt_tokens_details":{"cached_tokens":7}}}"#,
            ][usize::try_from(dice.below(4)).unwrap_or(0)],
        ),
        7 => event(&json!({"choices": [{"index": 1, "delta": {"content": "not asked for"}}]}).to_string()),
        _ => event(
            &json!({"choices": [], "padding": vec!["x"; usize::try_from(dice.below(2_000)).unwrap_or(0)]}).to_string(),
        ),
    }
}

fn harmful(dice: &mut Dice) -> Vec<u8> {
    match dice.below(11) {
        0 => b"data: {\"choices\":[{\"delta\":{\"con\n\n".to_vec(),
        1 => b"data: <html>502 Bad Gateway</html>\n\n"
            .repeat(usize::try_from(dice.below(20)).unwrap_or(0)),
        2 => event(
            &json!({"error": {"message": "it broke", "code": dice.from(500, 530)}}).to_string(),
        ),
        3 => b"event: error\ndata: overloaded\n\n".to_vec(),
        4 => choice(&json!({"index": 0, "delta": {}, "finish_reason": "error"})),
        5 => b"data: [DONE]\n\n".to_vec(),
        6 => (0..dice.below(400))
            .map(|_| u8::try_from(dice.below(256)).unwrap_or(0))
            .collect(),
        7 => event(&"[".repeat(usize::try_from(dice.below(5_000)).unwrap_or(0))),
        8 => event(&format!(
            "[{}0]",
            "0,".repeat(usize::try_from(dice.below(30_000)).unwrap_or(0))
        )),
        9 => b"data: {\"choices\":[{\"delta\":{\"content\":\"\xff\xfe\"}}]}\n\n".to_vec(),
        _ => vec![
            b'x';
            usize::try_from(if dice.one_in(300) {
                5 << 20
            } else {
                dice.below(50_000)
            })
            .unwrap_or(0)
        ],
    }
}

fn items(dice: &mut Dice) -> Vec<Item> {
    let wild = dice.one_in(2);
    let mut items: Vec<Item> = (0..dice.below(24))
        .map(|_| match dice.below(8) {
            0 | 1 => Item::Harmless(harmless(dice)),
            2 if wild => Item::Harmful(harmful(dice)),
            _ => Item::Says(
                (0..dice.from(1, 6))
                    .map(|_| WORDS[usize::try_from(dice.below(10)).unwrap_or(0)])
                    .collect(),
            ),
        })
        .collect();
    // Most streams have an end, some have it twice, and what follows it is anything.
    for _ in 0..[0, 1, 1, 1, 1, 2][usize::try_from(dice.below(6)).unwrap_or(0)] {
        items.push(Item::Harmless(choice(
            &json!({"index": 0, "delta": {}, "finish_reason": "stop"}),
        )));
        items.push(Item::Harmless(harmless(dice)));
    }
    items.push(Item::Harmless(if dice.one_in(4) {
        Vec::new()
    } else {
        event("[DONE]")
    }));
    items
}

impl Stream {
    pub fn of(dice: &mut Dice) -> Self {
        let (mut bytes, mut text) = (Vec::new(), Some(String::new()));
        for item in items(dice) {
            match item {
                Item::Says(words) => {
                    bytes.extend(choice(
                        &json!({"index": 0, "delta": {"content": words}, "finish_reason": null}),
                    ));
                    text = text.map(|text| text + &words);
                }
                Item::Harmless(more) => bytes.extend(more),
                Item::Harmful(more) => {
                    bytes.extend(more);
                    text = None;
                }
            }
        }
        if dice.one_in(4) {
            let end = [&b"\r\n"[..], b"\r"][usize::try_from(dice.below(2)).unwrap_or(0)];
            bytes = bytes
                .split(|byte| *byte == b'\n')
                .collect::<Vec<_>>()
                .join(end);
        }
        if dice.one_in(4) {
            bytes.truncate(usize::try_from(dice.below(bytes.len() as u64 + 1)).unwrap_or(0));
            text = None;
        }
        for _ in 0..if dice.one_in(4) { dice.below(4) } else { 0 } {
            let at = usize::try_from(dice.below(bytes.len() as u64)).unwrap_or(0);
            if let Some(byte) = bytes.get_mut(at) {
                *byte = u8::try_from(dice.below(256)).unwrap_or(0);
                text = None;
            }
        }
        let text = text.filter(|_| says_end(&bytes));
        Self { bytes, text }
    }

    /// The bytes in pieces, as a network might bring them.
    pub fn pieces(&self, dice: &mut Dice) -> Vec<&[u8]> {
        let longest = [1, 7, 100, 1400, 16 * 1024][usize::try_from(dice.below(5)).unwrap_or(0)];
        // A byte at a time is for short ones.
        let longest = if self.bytes.len() > 4_000 {
            longest.max(1400)
        } else {
            longest
        };
        let (mut pieces, mut rest) = (Vec::new(), &self.bytes[..]);
        while !rest.is_empty() {
            let length = usize::try_from(dice.from(1, longest))
                .unwrap_or(1)
                .min(rest.len());
            let (piece, more) = rest.split_at(length);
            pieces.push(piece);
            rest = more;
        }
        pieces
    }
}

/// Whether a piece in these bytes, alone on its line or with something after it, says that the answer is complete.
pub fn says_end(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes);
    let data = text
        .split(['\r', '\n'])
        .flat_map(|line| line.split("data:").skip(1));
    let pieces = data.flat_map(|data| {
        serde_json::Deserializer::from_str(data)
            .into_iter::<Value>()
            .map_while(Result::ok)
    });
    pieces.into_iter().any(|piece| {
        let reason = piece["choices"][0]["finish_reason"]
            .as_str()
            .unwrap_or_default();
        !reason.is_empty() && reason != "error"
    })
}
