//! What does not fit a model's window: refused with figures, cut at whole turns, or split, answered and joined.

#![allow(clippy::unwrap_used, reason = "the small functions of tests are tests")]

use crate::support;

mod segment;

use chat_agent::tokens::{Encoding, count};
use rustix::process::Signal;
use serde_json::{Value, json};
use support::scene::{Running, Scene};
use support::server::{Answer, Pico, Prices, Request, Script, Step};

const TINY: [&str; 3] = ["ask", "-m", "openai/tiny"];
const WINDOW: u64 = 2_000;
const MODELS: &str = "[[models]]\nid = \"openai/tiny\"\ninput = 1.0\noutput = 10.0\ncontext = 2000\n\
    encoding = \"o200k_base\"\n[[models]]\nid = \"openai/small\"\ninput = 1.0\noutput = 10.0\ncontext = 2500\n\
    encoding = \"o200k_base\"\n[router]\nladder = [\"openai/tiny\", \"openai/small\"]\n";

fn scene(script: Script) -> Scene {
    Scene::with(script, MODELS)
}

fn bill(scene: &Scene) -> Pico {
    scene
        .server
        .bill(
            &Prices::new()
                .model("tiny", "1", "1", "10")
                .model("small", "1", "1", "10"),
        )
        .total()
}

fn tiny<'a>(args: &[&'a str]) -> Vec<&'a str> {
    [&TINY, args].concat()
}

/// So many tokens: `a a a …`.
fn tokens(n: usize) -> String {
    format!("a{}", " a".repeat(n - 1))
}

fn said(request: &Request) -> Vec<(String, String)> {
    let word = |m: &Value, name: &str| m[name].as_str().unwrap().to_owned();
    let messages = request
        .field("messages")
        .unwrap()
        .as_array()
        .unwrap()
        .clone();
    messages
        .iter()
        .map(|m| (word(m, "role"), word(m, "content")))
        .collect()
}

fn question(request: &Request) -> String {
    said(request).pop().unwrap().1
}

mod refuse {
    use super::*;

    #[test]
    fn by_how_many_tokens_it_is_too_long_for_which_model_and_what_else_could_be_done() {
        let scene = scene(Script::always(Answer::text("never")));
        // 3000 of text, 7 of framing, 256 for the shortest useful answer.
        for (model, holds, over) in [("openai/tiny", 2_000, 1_263), ("auto", 2_500, 763)] {
            for way in [&[][..], &["--on-overflow", "refuse"], &["--estimate"]] {
                let output = scene.piped(&[&["ask", "-m", model], way].concat(), tokens(3_000));
                let error = support::scene::one_error(&output, 2);
                let named = if model == "auto" {
                    "openai/small"
                } else {
                    model
                };
                for words in [
                    format!("{named} holds {holds} tokens"),
                    "needs 3263".to_owned(),
                    format!("{over} too many"),
                ] {
                    assert!(error.contains(&words), "{words}: {error}");
                }
                for way in ["truncate", "segment", "/fit"] {
                    assert!(error.contains(way), "{error}");
                }
            }
        }
        assert_eq!(scene.server.connections(), 0);
        assert_eq!(scene.json(&["sessions", "--json"]), json!([]));
    }
}

mod truncate {
    use super::*;

    /// A chat of four turns, 400 tokens each, at `tiny`.
    fn chat() -> Scene {
        let scene = scene(Script::always(Answer::text(&tokens(100)).usage(10, 100)));
        for n in 0..4 {
            let words = format!("question {n} {}", tokens(290));
            let go_on: &[&str] = if n == 0 { &[] } else { &["-c"] };
            let args = tiny(
                &[
                    &["--system", "Be brief.", "--on-overflow", "truncate", &words],
                    go_on,
                ]
                .concat(),
            );
            assert_eq!(
                scene.ok(&args).stderr,
                "",
                "nothing is left out while it fits"
            );
        }
        scene
    }

    #[test]
    fn the_oldest_turns_are_left_out_and_that_is_said() {
        let scene = chat();
        let (last, cut) = (tokens(300), ["-c", "--on-overflow", "truncate"]);
        // Before it is sent.
        let error = scene.refused(2, &tiny(&["-c", &last]));
        assert!(error.contains("too many"), "{error}");
        let estimate = scene.ok(&[&tiny(&cut)[..], &["--estimate", &last]].concat());
        assert!(
            estimate.stderr.contains("left out the oldest"),
            "{estimate:?}"
        );
        assert_eq!(scene.server.chats().len(), 4);
        let output = scene.ok(&[&tiny(&cut)[..], &["--json", &last]].concat());
        let report = output.json();
        let fitted = &report["fitted"]["truncated"];
        let dropped = usize::try_from(fitted["turns"].as_u64().unwrap()).unwrap();
        assert!(dropped > 0 && dropped < 4, "{report}");
        assert_eq!(output.stderr.lines().count(), 1, "{output:?}");
        assert!(output.stderr.contains("left out the oldest"), "{output:?}");
        // On the wire: the system message, the newest turns whole, the question.
        let sent = said(scene.server.chats().last().unwrap());
        assert_eq!(
            (sent[0].1.as_str(), sent.len()),
            ("Be brief.", 2 + 2 * (4 - dropped))
        );
        assert_eq!(sent.last().unwrap().1, last);
        for (n, (role, text)) in sent[1..sent.len() - 1].iter().enumerate() {
            if n % 2 == 0 {
                assert!(
                    role == "user" && text.starts_with(&format!("question {} ", dropped + n / 2)),
                    "{text}"
                );
            } else {
                assert_eq!(role, "assistant");
            }
        }
        let input: u64 = sent
            .iter()
            .map(|(_, text)| count(Encoding::O200kBase, text) + 4)
            .sum::<u64>()
            + 3;
        assert_eq!(report["estimate"]["input_tokens"], input);
        assert!(input + scene.server.chats().last().unwrap().cap().unwrap() <= WINDOW);
        // The store keeps everything.
        let id = report["session"].as_str().unwrap();
        let kept = scene.json(&["sessions", "show", id, "--json"]);
        assert_eq!(kept["messages"].as_array().unwrap().len(), 10);
        scene.server.assert_clean();
    }

    #[test]
    fn auto_takes_the_largest_window_and_leaves_out_the_least() {
        let scene = chat();
        // It fits `small` as it is.
        let report = scene.json(&[
            "ask",
            "-c",
            "-m",
            "auto",
            "--on-overflow",
            "truncate",
            "--json",
            &tokens(300),
        ]);
        assert_eq!(
            (&report["model"], &report["fitted"]),
            (&json!("openai/small"), &Value::Null)
        );
        let report = scene.json(&[
            "ask",
            "-c",
            "-m",
            "auto",
            "--on-overflow",
            "truncate",
            "--json",
            &tokens(900),
        ]);
        assert_eq!(report["model"], "openai/small");
        assert!(
            report["fitted"]["truncated"]["turns"].as_u64().unwrap() > 0,
            "{report}"
        );
    }

    #[test]
    fn a_cap_that_the_user_asks_for_is_left_room_for() {
        let scene = chat();
        let asked = ["-c", "--max-output", "1500", "and now?"];
        let error = scene.refused(2, &tiny(&asked));
        assert!(error.contains("1500 were asked for"), "{error}");
        let output = scene.ok(&[&tiny(&asked)[..], &["--on-overflow", "truncate"]].concat());
        assert!(
            output.stderr.contains("left out the oldest 3 turns"),
            "{output:?}"
        );
        let last = scene.server.chats().pop().unwrap();
        assert_eq!((last.cap(), said(&last).len()), (Some(1_500), 4));
    }

    #[test]
    fn splitting_does_not_help_a_chat_that_is_too_long() {
        let scene = chat();
        let error = scene.refused(2, &tiny(&["-c", "--on-overflow", "segment", &tokens(300)]));
        assert!(
            error.contains("fits openai/tiny by itself") && error.contains("truncate"),
            "{error}"
        );
        assert_eq!(scene.server.chats().len(), 4);
    }

    #[test]
    fn a_question_that_does_not_fit_by_itself_is_refused() {
        let scene = chat();
        let output = scene.piped(&tiny(&["-c", "--on-overflow", "truncate"]), tokens(3_000));
        let error = support::scene::one_error(&output, 2);
        assert!(
            error.contains("the question alone") && error.contains("segment"),
            "{error}"
        );
        assert_eq!(scene.server.chats().len(), 4);
    }
}
