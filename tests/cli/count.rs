//! `count`: what would be sent, in tokens and money, for each model and without a network.

#![allow(clippy::unwrap_used, reason = "the small functions of tests are tests")]

use crate::support;

use serde_json::{Value, json};
use support::scene::Scene;
use support::server::Answer;

/// The head of a PNG of this size.
fn png(width: u32, height: u32) -> Vec<u8> {
    let mut bytes = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".to_vec();
    bytes.extend(width.to_be_bytes());
    bytes.extend(height.to_be_bytes());
    bytes
}

fn scene() -> Scene {
    Scene::saying("never")
}

/// The one row of a count for this model.
#[track_caller]
fn row(scene: &Scene, model: &str, args: &[&str]) -> Value {
    let rows = scene.json(&[&["count", "-m", model, "--json"], args].concat());
    assert_eq!(rows.as_array().map(Vec::len), Some(1), "{rows}");
    rows[0].clone()
}

fn jargon() -> Value {
    let say = |name: &str, text: &str| json!({"role": "system", "name": name, "content": text});
    json!([
        {"role": "system", "content": "You are a helpful, pattern-following assistant that translates corporate jargon into plain English."},
        say("example_user", "New synergies will help drive top-line growth."),
        say("example_assistant", "Things working well together will increase revenue."),
        say("example_user", "Let's circle back when we have more bandwidth to touch base on opportunities for increased leverage."),
        say("example_assistant", "Let's talk later when we're less busy about how to do better."),
        {"role": "user", "content": "This late pivot means we don't have time to boil the ocean for the client deliverable."},
    ])
}

fn weather() -> Value {
    json!([{"type": "function", "function": {
        "name": "get_current_weather",
        "description": "Get the current weather in a given location",
        "parameters": {"type": "object", "required": ["location"], "properties": {
            "location": {"type": "string", "description": "The city and state, e.g. San Francisco, CA"},
            "unit": {"type": "string", "description": "The unit of temperature to return", "enum": ["celsius", "fahrenheit"]},
        }}
    }}])
}

#[test]
fn a_request_with_names_counts_as_published() {
    let scene = scene();
    scene.home.file(
        "names.json",
        json!({"model": "gpt-4o", "messages": jargon()}).to_string(),
    );
    scene.config("[[models]]\nid = \"openai/gpt-3.5-turbo-0301\"\nencoding = \"cl100k_base\"\ninput = 1\noutput = 2\n");
    for (model, tokens) in [
        ("openai/gpt-4", 129),
        ("openai/gpt-3.5-turbo", 129),
        ("openai/gpt-3.5-turbo-0301", 127),
        ("openai/gpt-4o", 124),
    ] {
        let row = row(&scene, model, &["--request", "names.json"]);
        assert_eq!(
            (&row["tokens"], &row["exact"]),
            (&json!(tokens), &json!(true)),
            "{model}: {row}"
        );
    }
    assert_eq!(
        row(&scene, "openai/gpt-5", &["--request", "names.json"])["exact"],
        false,
        "its framing is assumed"
    );
    scene.server.assert_clean();
    assert!(scene.server.requests().is_empty(), "no network");
}

#[test]
fn tools_count_as_published_in_a_request_and_in_a_file_of_their_own() {
    let scene = scene();
    let messages = json!([
        {"role": "system", "content": "You are a helpful assistant that can answer to questions about the weather."},
        {"role": "user", "content": "What's the weather like in San Francisco?"},
    ]);
    scene.home.file(
        "weather.json",
        json!({"messages": messages, "tools": weather()}).to_string(),
    );
    scene.home.file("tools.json", weather().to_string());
    scene.home.file("a.txt", "hello world");
    for (model, alone, together) in [("openai/gpt-4", 71, 105), ("openai/gpt-4o", 68, 101)] {
        let whole = row(&scene, model, &["--request", "weather.json"]);
        assert_eq!(
            (&whole["tokens"], &whole["parts"]["tools"]),
            (&json!(together), &json!(alone)),
            "{whole}"
        );
        // 3 to open the answer, 4 around the message, 2 words.
        let with_text = row(&scene, model, &["--tools", "tools.json", "a.txt"]);
        assert_eq!(
            (&with_text["tokens"], &with_text["exact"]),
            (&json!(alone + 9), &json!(true)),
            "{with_text}"
        );
    }
}

#[test]
fn images_count_by_the_rule_of_the_model_and_are_unknown_without_one() {
    let scene = scene();
    for (name, width, height) in [
        ("square.png", 1024, 1024),
        ("tall.png", 2048, 4096),
        ("wide.png", 1800, 2400),
    ] {
        scene.home.file(name, png(width, height));
    }
    for (model, args, images) in [
        ("openai/gpt-4o", &["square.png"][..], json!(765)),
        ("openai/gpt-4o", &["tall.png"], json!(1105)),
        ("openai/gpt-4o", &["tall.png", "--detail", "low"], json!(85)),
        (
            "openai/gpt-4o",
            &["square.png", "tall.png"],
            json!(765 + 1105),
        ),
        (
            "openai/gpt-4o-mini",
            &["square.png"],
            json!(2833 + 4 * 5667),
        ),
        ("openai/o1", &["square.png"], json!(75 + 4 * 150)),
        ("openai/gpt-4.1-mini", &["square.png"], json!(1659)), // 1024 x 1.62
        ("openai/o4-mini", &["wide.png"], json!(2498)),        // 1452 x 1.72
        ("openai/gpt-5", &["square.png"], Value::Null),
        ("anthropic/claude-opus-5", &["square.png"], Value::Null),
    ] {
        let row = row(&scene, model, args);
        assert_eq!(row["parts"]["images"], images, "{model} {args:?}");
        // 3 to open the answer, 4 around an empty message.
        assert_eq!(
            row["tokens"],
            images.as_u64().map_or(Value::Null, |n| json!(n + 7)),
            "{row}"
        );
        assert_eq!(
            row["input_usd"].is_null(),
            images.is_null(),
            "unknown is never 0: {row}"
        );
    }
    let table = scene.ok(&["count", "square.png"]).stdout;
    let line = |model: &str| {
        table
            .lines()
            .find(|line| line.starts_with(model))
            .unwrap()
            .to_owned()
    };
    assert!(line("openai/gpt-4o ").contains(" 772 "), "{table}");
    assert!(line("openai/gpt-4.1-mini ").contains("~1,666 "), "{table}");
    assert!(
        line("openai/gpt-5 ").contains("n/a  ")
            && line("openai/gpt-5 ").ends_with("no published rule for images")
    );
}

#[test]
fn images_inside_a_request() {
    let scene = scene();
    let letters = "iVBORw0KGgoAAAANSUhEUgAABAAAAAQA"; // 1024 x 1024
    let image = |url: &str, detail: &str| json!({"type": "image_url", "image_url": {"url": url, "detail": detail}});
    let body = |image: Value| json!({"messages": [{"role": "user", "content": [{"type": "text", "text": "hello world"}, image]}]});
    let inside = format!("data:image/png;base64,{letters}");
    for (image, tokens) in [
        (image(&inside, "high"), json!(9 + 765)),
        (image(&inside, "low"), json!(9 + 85)),
        (image("https://example.org/a.png", "low"), json!(9 + 85)),
        (image("https://example.org/a.png", "auto"), Value::Null),
    ] {
        scene.home.file("r.json", body(image.clone()).to_string());
        assert_eq!(
            row(&scene, "openai/gpt-4o", &["--request", "r.json"])["tokens"],
            tokens,
            "{image}"
        );
    }
    let table = scene
        .ok(&["count", "-m", "openai/gpt-4o", "--request", "r.json"])
        .stdout;
    assert!(
        table.contains("n/a") && table.contains("an image lies elsewhere"),
        "{table}"
    );
    assert!(scene.server.requests().is_empty(), "no network");
}

#[test]
fn hostile_files_are_one_clear_line_or_a_bounded_count() {
    let scene = scene();
    scene.home.file("huge.png", png(u32::MAX, u32::MAX));
    scene.home.file("thin.png", png(1, u32::MAX));
    for (model, most) in [
        ("openai/gpt-4o", 85 + 8 * 170),
        ("openai/gpt-4.1-nano", 1536 * 246 / 100 + 1),
    ] {
        for name in ["huge.png", "thin.png"] {
            let images = row(&scene, model, &[name])["parts"]["images"]
                .as_u64()
                .unwrap();
            assert!((1..=most).contains(&images), "{model} {name}: {images}");
        }
    }
    scene.home.file("flat.png", png(0, 5));
    scene
        .home
        .file("cut.jpg", b"\xFF\xD8\xFF\xE0\0\x10JFIF\0\x01\x01");
    scene.home.file("text.webp", "just words");
    scene.home.file("deep.json", "[".repeat(1_000_000));
    scene.home.file("object.json", "{}");
    scene.home.file(
        "tool.json",
        r#"[{"type": "function", "function": {"name": 3}}]"#,
    );
    scene.home.file(
        "part.json",
        r#"{"messages": [{"role": "user", "content": [{"type": "\u001b[31mvideo"}]}]}"#,
    );
    for (args, words) in [
        (&["flat.png"][..], "flat.png is an image without a size"),
        (&["cut.jpg"], "cut.jpg is an image without a size"),
        (
            &["text.webp"],
            "text.webp is no PNG, JPEG, GIF or WebP image",
        ),
        (
            &["--tools", "deep.json"],
            "deep.json is no JSON: recursion limit exceeded",
        ),
        (&["--tools", "object.json"], "object.json is no JSON array"),
        (&["--tools", "tool.json"], "tool 1 has no name"),
        (&["--request", "deep.json"], "deep.json is no JSON"),
        (
            &["--request", "object.json"],
            "object.json has no array `messages`",
        ),
        (
            &["--request", "part.json"],
            "text and image_url are counted",
        ),
        (&["--request", "none.json"], "none.json"),
        (
            &["--request", "object.json", "text.webp"],
            "cannot be used with",
        ),
        (
            &["--detail", "sharp", "huge.png"],
            "possible values: low, high",
        ),
    ] {
        let error = scene.refused(2, &[&["count"], args].concat());
        assert!(
            error.contains(words) && !error.contains('\u{1b}'),
            "{args:?}: {error}"
        );
    }
}

#[test]
fn a_model_without_a_known_encoding_is_counted_as_it_counted_before() {
    let scene = scene();
    scene.home.file("a.txt", "hello world");
    let before = row(&scene, "openai/gpt-5-mini", &["a.txt"]);
    assert_eq!(
        (&before["tokens"], &before["band_permille"]),
        (&json!(9), &Value::Null)
    );
    for n in 0..5 {
        // 9 tokens by our count.
        scene.server.push(Answer::text("fine").usage(18, 1));
        scene.ok(&["ask", "hello world", "-m", "gpt-5-mini", "--no-cache"]);
        let learned = row(&scene, "openai/gpt-5-mini", &["a.txt"])["tokens"].clone();
        assert_eq!(
            learned,
            if n < 4 { json!(9) } else { json!(18) },
            "after {} answers",
            n + 1
        );
    }
    let after = row(&scene, "openai/gpt-5-mini", &["a.txt"]);
    assert_eq!(
        (&after["band_permille"], &after["exact"]),
        (&json!(10), &json!(false))
    );
    assert_eq!(
        after["parts"]["messages"], 9,
        "our own count stays in sight"
    );
    assert_eq!(
        row(&scene, "openai/gpt-4o", &["a.txt"])["tokens"],
        9,
        "what is known is not learned"
    );
    let table = scene.ok(&["count", "a.txt"]).stdout;
    assert!(table.contains("~18 ±1 %"), "{table}");
}
