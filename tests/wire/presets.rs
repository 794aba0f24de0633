//! Every provider that is known by name, asked and answered in its own dialect: key, cap, role, effort, thoughts, usage.
//!
//! No provider is reached: each row says how its server reads a question and writes an answer, as its documentation or
//! its users tell, and the program is asked through the scripted server that does so.

#![allow(clippy::unwrap_used, reason = "the small functions of tests are tests")]

mod rows;
use crate::support;

use std::fmt::Write as _;

use chat_agent::provider::preset::PRESETS;
use rows::{NEW, OLD, Row, TEXT, hosted, local};
use serde_json::{Value, json};
use support::home::{Home, run};
use support::server::{Answer, Keys, Request, Rules, Script, Server, Step};

fn answer(row: &Row) -> Answer {
    let mut body = row.events.iter().fold(String::new(), |body, event| {
        body + row.between + &format!("data: {event}\n\n")
    });
    if row.done {
        body.push_str("data: [DONE]\n\n");
    }
    Answer::events([Step::Frame(body.into_bytes())]).usage(20, 3)
}

/// The key of a provider; `None`: it runs here and needs none.
fn key(preset: &str) -> Option<String> {
    let known = PRESETS.iter().find(|known| known.name == preset).unwrap();
    (!known.local).then(|| format!("sk-{preset}-0123456789abcdef-{}k4", &preset[..2]))
}

/// One home in which every preset has a server of its own in place of its address.
fn world(rows: &[Row]) -> (Home, Vec<Server>) {
    let (home, mut servers, mut toml) = (Home::new(), Vec::new(), String::new());
    for row in rows {
        let keys = key(row.preset).map_or(Keys::Forbidden, |key| Keys::Of(vec![key]));
        let rules = Rules {
            keys,
            usage_optional: !row.usage_asked,
            ..Rules::default()
        };
        let server = Server::start(Script::always(answer(row)).rules(rules));
        writeln!(
            toml,
            "[[providers]]\nname = {:?}\nbase_urls = [{:?}]",
            row.preset,
            server.base_url()
        )
        .unwrap();
        servers.push(server);
    }
    home.config(&toml);
    (home, servers)
}

fn asked(row: &Row, request: &Request) {
    let name = row.preset;
    let messages = request.field("messages").unwrap();
    assert_eq!(
        (&messages[0]["role"], &messages[0]["content"]),
        (&json!(row.system), &json!("Be brief.")),
        "{name}"
    );
    let other = if row.cap == OLD { NEW } else { OLD };
    assert!(
        request.field(row.cap).is_some() && request.field(other).is_none(),
        "{name}: {:?}",
        request.json
    );
    assert_eq!(
        request.field("stream_options").is_some(),
        row.usage_asked,
        "{name}"
    );
    assert_eq!(
        request.field("reasoning_effort").and_then(Value::as_str),
        row.effort,
        "{name}"
    );
    assert_eq!(request.key().map(str::to_owned), key(name), "{name}");
}

#[test]
fn every_preset_is_asked_and_read_as_its_server_wants() {
    let rows: Vec<Row> = hosted().into_iter().chain(local()).collect();
    let listed: Vec<_> = rows.iter().map(|row| row.preset).collect();
    assert_eq!(
        listed,
        PRESETS.iter().map(|preset| preset.name).collect::<Vec<_>>(),
        "every preset has its row"
    );
    let (home, servers) = world(&rows);
    for (row, server) in rows.iter().zip(&servers) {
        let (name, model) = (row.preset, format!("{}/{}", row.preset, row.model));
        let mut command = home.chat_agent();
        // All keys lie in their usual variables, the first that is set counts.
        for preset in PRESETS.iter().filter(|preset| !preset.local) {
            command.env(preset.key_variables[0], key(preset.name).unwrap());
        }
        command.args(["ask", "hi", "-m", &model, "--json", "--system", "Be brief."]);
        command.args(
            row.effort
                .map(|effort| ["--effort", effort])
                .into_iter()
                .flatten(),
        );
        let output = run(command, b"", support::PATIENCE);
        let report = output.assert_code(0).json();
        assert_eq!(
            (&report["answer"], &report["finish_reason"]),
            (&json!(TEXT), &json!("stop")),
            "{name}: {report}"
        );
        assert_eq!(report["usage"]["source"], row.source, "{name}: {report}");
        let names = [
            "input_tokens",
            "cached_input_tokens",
            "output_tokens",
            "reasoning_tokens",
        ];
        let counted = names.map(|name| report["usage"][name].as_u64().unwrap());
        if row.source == "provider" {
            assert_eq!(counted, row.usage, "{name}: {report}");
        } else {
            assert!(
                counted[0] > 0 && counted[2] > 0 && report["cost"]["kind"] != "exact",
                "{name}: {report}"
            );
        }
        let free = PRESETS
            .iter()
            .any(|preset| preset.name == name && preset.local);
        assert_eq!(report["cost"]["kind"] == "free", free, "{name}: {report}");
        asked(row, &server.chats()[0]);
        server.assert_clean();
    }
    let db = rusqlite::Connection::open(home.data_dir().join("chat.db")).unwrap();
    let mut query = db
        .prepare("SELECT reasoning FROM messages WHERE role = 'assistant' ORDER BY rowid")
        .unwrap();
    let thoughts: Vec<String> = query
        .query_map([], |row| row.get(0))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    assert_eq!(
        thoughts,
        rows.iter().map(|row| row.thought).collect::<Vec<_>>(),
        "thoughts are no part of the answer"
    );
}

/// Servers that do not know `stream_options` say so once; the next process does not ask them again.
#[test]
fn an_old_server_that_refuses_stream_options_is_asked_without_them_from_then_on() {
    let words = "Unrecognized request argument supplied: stream_options";
    let refusal = Answer::error(400, "invalid_request_error", words);
    let rules = Rules {
        keys: Keys::Forbidden,
        usage_optional: true,
        ..Rules::default()
    };
    let server = Server::start(Script::always(Answer::text(TEXT)).rules(rules).choose(
        move |request| {
            request
                .field("stream_options")
                .is_some()
                .then(|| refusal.clone())
        },
    ));
    let home = Home::new();
    home.config(&format!(
        "[[providers]]\nname = \"llamacpp\"\nbase_urls = [{:?}]\n",
        server.base_url()
    ));
    for (question, requests) in [("one", 2), ("two", 3)] {
        let output = home.run(&["ask", question, "-m", "llamacpp/gguf", "--json"], "");
        assert_eq!(output.assert_code(0).json()["answer"], TEXT);
        assert_eq!(server.chats().len(), requests, "{question}");
    }
    server.assert_clean();
}
