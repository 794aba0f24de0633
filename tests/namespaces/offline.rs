//! With no network at all: what is here can be searched, read, priced and given again, and nothing is even tried.

#![allow(clippy::unwrap_used, reason = "the small functions of tests are tests")]

use crate::support;

use std::time::Instant;

use serde_json::{Value, json};
use support::PATIENCE;
use support::home::{Output, run};
use support::scene::{KEY, Scene};
use support::server::{Answer, Script};

/// A network of its own in which every packet goes nowhere and is counted, and every name server is as far away. The
/// line's own output comes first, then how many packets left.
const APART: &str = r#"
ip link set lo up || exit 77
echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6
ip addr add 192.0.2.2/32 dev lo && ip route add default dev lo || exit 77
echo 'nameserver 192.0.2.53' > "$RESOLV" && mount --bind "$RESOLV" /etc/resolv.conf || exit 77
sent() { cat /sys/class/net/lo/statistics/tx_packets; }
mount -t sysfs sysfs /sys || exit 77
before=$(sent)
"$PROGRAM" "$@"
status=$?
[ "$before" = "$(sent)" ] || { echo "packets were sent: $before, then $(sent)" >&2; exit 99; }
exit $status
"#;

/// Runs the program there.
fn offline(scene: &Scene, args: &[&str]) -> Output {
    let mut command = scene.home.command("unshare");
    command
        .args(["-Urmn", "sh", "-c", APART, "offline"])
        .args(args);
    command
        .env("PROGRAM", env!("CARGO_BIN_EXE_chat-agent"))
        .env("RESOLV", scene.home.path().join("resolv.conf"));
    command.env("OPENAI_API_KEY", KEY);
    run(command, b"", PATIENCE)
}

fn what_is_here_needs_no_network() {
    let scene = Scene::new(Script::always(
        Answer::text("The borrow ends here.").usage(100, 50),
    ));
    let session =
        scene.json(&["ask", "where does it end", "-m", "gpt-5-mini", "--json"])["session"].clone();
    // Until it comes from the disk: then the owner is up, and stays for the others.
    let deadline = Instant::now() + PATIENCE;
    while scene.json(&["ask", "where does it end", "-m", "gpt-5-mini", "--json"])["cache"]["hit"]
        != "disk"
    {
        assert!(Instant::now() < deadline, "it is not kept");
    }
    let asked = scene.server.chats().len();
    let id = session.as_str().unwrap();
    let json = |args: &[&str]| -> Value {
        let output = offline(&scene, args);
        output.assert_code(0);
        assert_eq!(output.stderr, "", "{args:?}");
        output.json()
    };
    let hit = json(&["ask", "where does it end", "-m", "gpt-5-mini", "--json"]);
    assert_eq!(
        (
            &hit["answer"],
            &hit["cache"]["hit"],
            &hit["cost"]["usd"],
            &hit["attempts"]
        ),
        (
            &json!("The borrow ends here."),
            &json!("disk"),
            &json!("0"),
            &json!([])
        )
    );
    let estimate = json(&[
        "ask",
        "another question",
        "-m",
        "gpt-5-mini",
        "--estimate",
        "--json",
    ]);
    assert!(estimate["estimate"]["worst_usd"].is_string(), "{estimate}");
    let found = json(&["sessions", "search", "borrow", "--json"]);
    assert!(
        found
            .as_array()
            .unwrap()
            .iter()
            .any(|row| row["session"] == session),
        "{found}"
    );
    let shown = json(&["sessions", "show", id, "--json"]).to_string();
    assert!(shown.contains("The borrow ends here."), "{shown}");
    for args in [
        &["models", "list", "--json"][..],
        &["models", "show", "gpt-5-mini", "--json"],
        &["stats", "--json"],
        &["budget", "show", "--json"],
        &["cache", "stats", "--json"],
        &["sessions", "list", "--json"],
    ] {
        json(args);
    }
    assert_eq!(scene.server.chats().len(), asked);
}

/// Shows that packets are counted at all: a question without a cached answer is asked.
fn what_has_to_be_asked_for_is_tried_and_fails() {
    let scene = Scene::new(Script::always(Answer::text("never")));
    let output = offline(&scene, &["ask", "something new", "-m", "gpt-5-mini"]);
    assert_eq!(output.code(), Some(99), "{output:#?}");
    assert!(output.stdout.is_empty());
}

tests![
    what_is_here_needs_no_network,
    what_has_to_be_asked_for_is_tried_and_fails,
];
