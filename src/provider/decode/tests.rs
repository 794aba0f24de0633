mod servers;

use proptest::prelude::*;

use super::*;
use crate::chat::{Finish, Reply, Usd};
use crate::provider::error::ErrorClass;

/// What the pieces add up to, and the error that ended them.
fn fold(pieces: &[&[u8]]) -> (Reply, Option<ErrorClass>, u32) {
    let (mut decoder, mut reply) = (Decoder::new(Mask::default()), Reply::default());
    let mut failed = None;
    for piece in pieces {
        failed = decoder.push(piece).err();
        while let Some(delta) = decoder.pop() {
            reply.push(&delta);
        }
        if failed.is_some() {
            break;
        }
    }
    let failed = failed.or_else(|| decoder.end().err());
    while let Some(delta) = decoder.pop() {
        reply.push(&delta);
    }
    (reply, failed.map(|error| error.class), decoder.malformed())
}

fn text(body: &str) -> (String, Option<Finish>, Option<ErrorClass>) {
    let (reply, failed, _) = fold(&[body.as_bytes()]);
    (reply.text, reply.finish, failed)
}

const HEL: &str = "data: {\"choices\":[{\"delta\":{\"content\":\"Hel\"}}]}\n\n";
const LO: &str =
    "data: {\"choices\":[{\"delta\":{\"content\":\"lo\"},\"finish_reason\":null}]}\n\n";
const STOP: &str = "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";
const DONE: &str = "data: [DONE]\n\n";

#[test]
fn how_streams_end() {
    let ok = |text: &str| (text.to_owned(), Some(Finish::Stop), None);
    let cut = |text: &str, class| (text.to_owned(), None, Some(class));
    for (body, expected) in [
        (format!("{HEL}{LO}{STOP}{DONE}"), ok("Hello")),
        (format!("{HEL}{LO}{STOP}"), ok("Hello")),
        (format!("{HEL}{LO}{STOP}data:[DONE]\n\n"), ok("Hello")),
        (format!("{HEL}{LO}{}", STOP.trim_end()), ok("Hello")),
        (format!("{HEL}{STOP}{DONE}{LO}"), ok("Hel")),
        (format!(": hi\n\n{HEL}: ping\n\n{STOP}"), ok("Hel")),
        (format!("\n\n\n{HEL}{STOP}"), ok("Hel")),
        (format!("{HEL}{LO}"), cut("Hello", ErrorClass::Truncated)),
        (
            format!("{HEL}{LO}{DONE}"),
            cut("Hello", ErrorClass::Truncated),
        ),
        (DONE.to_owned(), cut("", ErrorClass::Truncated)),
        (String::new(), cut("", ErrorClass::Truncated)),
        ("random words".to_owned(), cut("", ErrorClass::Truncated)),
        (
            format!("{HEL}data: {{\"error\":{{\"message\":\"m\"}}}}\n\n"),
            cut("Hel", ErrorClass::InStream),
        ),
        (
            format!("{HEL}{}", STOP.replace("stop", "error")),
            cut("Hel", ErrorClass::InStream),
        ),
        (
            format!("{HEL}{STOP}data: {{\"error\":{{\"message\":\"m\"}}}}\n\n"),
            ok("Hel"),
        ),
        (
            "data: {\"object\":\"error\",\"message\":\"m\"}\n\n".to_owned(),
            cut("", ErrorClass::InStream),
        ),
        (
            "event: error\ndata: {\"message\":\"m\"}\n\n".to_owned(),
            cut("", ErrorClass::InStream),
        ),
        (
            format!("{HEL}event: error\ndata: overloaded\n\n"),
            cut("Hel", ErrorClass::InStream),
        ),
        (
            "<!doctype html><title>Login</title>".to_owned(),
            cut("", ErrorClass::NotSse),
        ),
    ] {
        assert_eq!(text(&body), expected, "{body}");
    }
}

#[test]
fn a_whole_answer_where_a_stream_was_expected() {
    let whole = r#"{"choices":[{"message":{"content":"Hello"},"finish_reason":"stop"}],
        "usage":{"prompt_tokens":3,"completion_tokens":2,"cost":0.5},"service_tier":"flex"}"#;
    let (reply, failed, _) = fold(&[b"\n\n", b"\n  ", whole.as_bytes(), b"\n"]);
    assert_eq!(failed, None);
    assert_eq!(
        (reply.text.as_str(), reply.finish),
        ("Hello", Some(Finish::Stop))
    );
    assert_eq!(
        reply.usage.map(|usage| (usage.input(), usage.output)),
        Some((3, 2))
    );
    assert_eq!(reply.billed, Some(Usd::from_pico(500_000_000_000)));
    assert_eq!(reply.service_tier.as_deref(), Some("flex"));
    for (body, class) in [
        (
            r#"{"error":{"code":429,"message":"slow"}}"#,
            ErrorClass::RateLimited,
        ),
        (
            r#"[{"error":{"code":503,"message":"busy"}}]"#,
            ErrorClass::InStream,
        ),
        (
            r#"{"choices":[{"message":{"content":"a"}}]}"#,
            ErrorClass::Truncated,
        ),
        ("{not json", ErrorClass::NotSse),
        ("[]", ErrorClass::Truncated),
    ] {
        assert_eq!(text(body).2, Some(class), "{body}");
    }
}

#[test]
fn usage_replaces_and_is_read_after_the_finish() {
    let usage = |n: u32| {
        format!(
            "data: {{\"choices\":[],\"usage\":{{\"prompt_tokens\":5,\"completion_tokens\":{n}}}}}\n\n"
        )
    };
    let body = format!("{}{HEL}{}{STOP}{}{DONE}", usage(1), usage(2), usage(3));
    assert_eq!(fold(&[body.as_bytes()]).0.usage.unwrap().output, 3);
    let groq = format!(
        "{HEL}{STOP}data: {{\"x_groq\":{{\"usage\":{{\"prompt_tokens\":5,\"completion_tokens\":9}}}}}}\n\n"
    );
    assert_eq!(fold(&[groq.as_bytes()]).0.usage.unwrap().output, 9);
    let empty = format!("{HEL}{STOP}data: {{\"choices\":[],\"usage\":{{}}}}\n\n{DONE}");
    assert_eq!(fold(&[empty.as_bytes()]).0.usage, None);
}

#[test]
fn a_count_that_cannot_be_takes_back_the_ones_before_it() {
    let usage = |n: &str| {
        format!(
            "data: {{\"choices\":[],\"usage\":{{\"prompt_tokens\":5,\"completion_tokens\":{n}}}}}\n\n"
        )
    };
    for odd in ["-1", "1.5", "\"7\"", "1e300"] {
        let body = format!("{HEL}{}{STOP}{}{DONE}", usage("2"), usage(odd));
        assert_eq!(fold(&[body.as_bytes()]).0.usage, None, "{odd}");
        // The last word counts, also when it is a good one again.
        let body = format!("{HEL}{}{STOP}{}{DONE}", usage(odd), usage("3"));
        assert_eq!(
            fold(&[body.as_bytes()]).0.usage.map(|usage| usage.output),
            Some(3),
            "{odd}"
        );
    }
    // Half a count, or none, says nothing against the one before.
    let body = format!(
        "{HEL}{}{STOP}data: {{\"usage\":{{\"prompt_tokens\":0,\"completion_tokens\":0}}}}\n\n{DONE}",
        usage("2")
    );
    assert_eq!(
        fold(&[body.as_bytes()]).0.usage.map(|usage| usage.output),
        Some(2)
    );
}

#[test]
fn a_service_tier_is_told_when_it_changes() {
    let mut decoder = Decoder::new(Mask::default());
    for tier in ["auto", "auto", "flex", "flex"] {
        decoder
            .push(format!("data: {{\"service_tier\":\"{tier}\"}}\n\n").as_bytes())
            .unwrap();
    }
    let told: Vec<_> = std::iter::from_fn(|| decoder.pop()).collect();
    assert_eq!(
        told,
        [
            Delta::ServiceTier("auto".into()),
            Delta::ServiceTier("flex".into())
        ]
    );
}

#[test]
fn a_tool_call_decides_over_the_word_stop() {
    let call = "data: {\"choices\":[{\"delta\":{\"tool_calls\":[{\"id\":\"\",\"function\":{\"name\":\"f\"}}]}}]}\n\n";
    assert_eq!(
        text(&format!("{call}{STOP}{DONE}")).1,
        Some(Finish::ToolCalls)
    );
}

#[test]
fn a_few_bad_pieces_are_passed_over_and_counted() {
    let bad = "data: {\"choices\": oops\n\n";
    let (reply, failed, malformed) =
        fold(&[format!("{HEL}{}{LO}{STOP}", bad.repeat(16)).as_bytes()]);
    assert_eq!(
        (reply.text.as_str(), failed, malformed),
        ("Hello", None, 16)
    );
    let (reply, failed, _) = fold(&[format!("{HEL}{}{LO}{STOP}", bad.repeat(17)).as_bytes()]);
    assert_eq!(
        (reply.text.as_str(), failed),
        ("Hel", Some(ErrorClass::NotSse))
    );
    // A byte that is no UTF-8 is one bad character, not a bad piece.
    let mut body = HEL.replace("Hel", "H@l").into_bytes();
    let at = body.iter().position(|byte| *byte == b'@').unwrap();
    body[at] = 0xff;
    body.extend_from_slice(STOP.as_bytes());
    assert_eq!(fold(&[&body]).0.text, "H\u{fffd}l");
}

#[test]
fn sizes_are_bounded() {
    // Words, or anything else: another cap for each.
    for (said, most) in [("Hel", WORDS_CAP), ("\"},\"x\":{\"y\":\"Hel", TOTAL_CAP)] {
        let piece = HEL
            .replace("Hel", said)
            .replace("Hel", &"x".repeat(1 << 20));
        let mut decoder = Decoder::new(Mask::default());
        let failed = (0..1000).find_map(|_| {
            let result = decoder.push(piece.as_bytes());
            while decoder.pop().is_some() {}
            result.err()
        });
        assert_eq!(failed.unwrap().class, ErrorClass::TooLarge);
        assert!(
            decoder.total > most && decoder.total <= most + 2 * piece.len(),
            "{}",
            decoder.total
        );
    }
    let mut decoder = Decoder::new(Mask::default());
    decoder.push(b"data: ").unwrap();
    let failed = (0..1000).find_map(|_| decoder.push(&vec![b'x'; 65536]).err());
    let failed = failed.unwrap();
    assert_eq!(failed.class, ErrorClass::TooLarge);
    assert!(failed.message.contains("event too large"), "{failed}");
}

proptest! {
    #[test]
    fn a_split_changes_nothing(at in 0usize..400) {
        let usage = "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":2}}\r\n\r\n";
        let body = format!(": hi\n\n{HEL}{}{STOP}{usage}{DONE}", LO.replace("lo", "lö 🦀"));
        let (left, right) = body.as_bytes().split_at(at.min(body.len()));
        prop_assert_eq!(fold(&[left, right]), fold(&[body.as_bytes()]));
    }
}
