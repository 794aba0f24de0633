//! What the scripted server objects to.

use super::*;

#[test]
fn every_broken_rule_is_named() {
    let broken = |change: fn(&mut Value)| {
        let mut body = ask(true, 9);
        change(&mut body);
        let server = Server::start(Script::always(Answer::text("x")));
        let _line = send(&server, &body);
        server.wait_for_outcomes(1);
        server.violations().join("; ")
    };
    for (change, words) in [
        (
            (|b| drop(b.as_object_mut().unwrap().remove("max_tokens"))) as fn(&mut Value),
            "no output cap",
        ),
        (|b| b["max_completion_tokens"] = json!(9), "two output caps"),
        (|b| b["max_tokens"] = json!(0), "the output cap is 0"),
        (
            |b| b["stream_options"] = json!({}),
            "without stream_options.include_usage",
        ),
        (
            |b| b["stream"] = json!(false),
            "stream_options without a stream",
        ),
        (|b| b["n"] = json!(2), "more than one answer"),
        (|b| b["messages"] = json!([]), "no messages"),
        (|b| b["model"] = json!(""), "no model"),
        (|b| *b = json!([1]), "not a JSON object"),
    ] {
        let found = broken(change);
        assert!(found.contains(words), "{words:?} in {found:?}");
    }
    assert_eq!(broken(|_| {}), "");
}

#[test]
fn keys_redirects_and_framing_are_watched() {
    let body = ask(false, 9).to_string();
    let raw = |script: Script, request: &str| {
        let server = Server::start(script);
        let mut line = dial(&server);
        line.write_all(request.as_bytes()).unwrap();
        server.wait_until("an answer", |all| all.iter().any(|r| r.outcome.is_some()));
        server.violations().join("; ")
    };
    let with = |headers: &str| {
        format!(
            "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\n{headers}Content-Length: {}\r\n\r\n{body}",
            body.len()
        )
    };
    let key = "Authorization: Bearer sk-two\r\n";
    let ours = || Script::always(Answer::text("x")).keys(["sk-one", "sk-two"]);
    assert_eq!(raw(ours(), &with(key)), "");
    assert!(raw(ours(), &with("")).contains("no Authorization"));
    assert!(raw(ours(), &with("Authorization: Bearer sk-six\r\n")).contains("does not own"));
    assert!(raw(ours(), &with(&format!("{key}{key}"))).contains("more than one Authorization"));
    assert!(raw(ours(), &with(&format!("{key}Referer: y\r\n"))).contains("redirect"));
    assert!(raw(ours(), &format!("{}!", with(key))).contains("1 bytes follow the announced body"));
    let keyless = || {
        ours().rules(Rules {
            keys: Keys::Forbidden,
            ..Rules::default()
        })
    };
    assert_eq!(raw(keyless(), &with("")), "");
    assert!(raw(keyless(), &with(key)).contains("does not belong"));

    let server = Server::start(Script::each([Answer::redirect(307, "/elsewhere")]));
    let mut line = dial(&server);
    line.write_all(with(key).as_bytes()).unwrap();
    read_to(&mut line, "\r\n\r\n");
    server.assert_clean();
    line.write_all(
        with(key)
            .replace("/v1/chat/completions", "/elsewhere")
            .as_bytes(),
    )
    .unwrap();
    read_to(&mut line, "}}");
    assert!(server.violations()[0].contains("a redirect was followed"));

    let trap = Server::trap();
    let mut line = dial(&trap);
    line.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        .unwrap();
    read_to(&mut line, "}}");
    assert!(trap.violations()[0].contains("where none may come"));
    let short = Server::start(Script::always(Answer::text("x")));
    let mut line = dial(&short);
    line.write_all(
        with(key)
            .replace(&format!("{}\r\n\r\n", body.len()), "9999\r\n\r\n")
            .as_bytes(),
    )
    .unwrap();
    line.shutdown(std::net::Shutdown::Write).unwrap();
    assert_eq!(line.read(&mut [0]).unwrap(), 0);
    assert!(short.violations()[0].contains("shorter than announced"));
}
