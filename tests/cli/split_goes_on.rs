//! A split turn in which a part fails: one line says how far it came, what was paid for is kept, and asking again goes on.

#![allow(clippy::unwrap_used, reason = "the small functions of tests are tests")]

use crate::support;

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use support::home::Output;
use support::scene::Scene;
use support::screen::{Place, settled};
use support::server::{Answer, Pico, Prices, Request, Script, Server};

const MODELS: &str = "[[models]]\nid = \"openai/tiny\"\ninput = 1.0\noutput = 10.0\ncontext = 2000\n\
    encoding = \"o200k_base\"\n";

fn material() -> String {
    let lines = (0..400).map(|n| format!("Line {n} of the long material that has to be read.\n"));
    lines.collect::<Vec<_>>().concat()
}

/// Which part a request asks for.
fn part(request: &Request) -> Option<usize> {
    let messages = request.field("messages")?.as_array()?.clone();
    let (at, rest) = messages.last()?["content"]
        .as_str()?
        .split_once("Part ")?
        .1
        .split_once(" of ")?;
    rest.contains("that is too long for one request")
        .then(|| at.parse().ok())?
}

/// Each part is answered with its number, what is joined with `all of it`; the first request for `broken` is refused.
fn script(broken: usize, times: usize) -> Script {
    let left = AtomicUsize::new(times);
    let fails = move || {
        left.fetch_update(SeqCst, SeqCst, |n| n.checked_sub(1))
            .is_ok()
    };
    Script::always(Answer::text("all of it").usage(211, 7)).choose(move |request| {
        let at = part(request)?;
        let refusal =
            (at == broken && fails()).then(|| Answer::error(400, "invalid_value", "no such thing"));
        Some(
            refusal.unwrap_or_else(|| {
                Answer::text(&format!("found {at}")).usage(1_000 + at as u64, 20)
            }),
        )
    })
}

fn asked(server: &Server) -> Vec<Option<usize>> {
    server.chats().iter().map(part).collect()
}

fn bill(server: &Server, model: &str) -> Pico {
    server
        .bill(&Prices::new().model(model, "1", "1", "10"))
        .total()
}

fn ask(scene: &Scene, flags: &[&str]) -> Output {
    let args = [
        "ask",
        "-m",
        "openai/tiny",
        "--on-overflow",
        "segment",
        "Which lines",
        "are there?",
    ];
    scene.piped(&[&args, flags].concat(), material())
}

fn last_line(output: &Output) -> String {
    output.stderr.lines().last().unwrap_or_default().to_owned()
}

#[test]
fn asking_again_pays_for_what_is_missing() {
    let scene = Scene::with(script(3, 1), MODELS);
    let output = ask(&scene, &[]);
    let line = last_line(output.assert_code(4));
    assert!(
        line.contains("part 3 of 4: openai/tiny (400): ") && line.contains("no such thing"),
        "{line}"
    );
    assert!(
        line.contains("2 of 4 parts are answered and kept; asking again"),
        "{line}"
    );
    assert!(line.contains("asks only what is missing"), "{line}");
    assert_eq!(
        output.stdout,
        "Part 1 of 4:\nfound 1\n\nPart 2 of 4:\nfound 2\n"
    );
    let paid = bill(&scene.server, "tiny");
    let report = ask(&scene, &["--json"]).assert_code(0).json();
    assert_eq!(report["answer"], "all of it");
    assert_eq!(
        asked(&scene.server),
        [Some(1), Some(2), Some(3), Some(3), Some(4), None]
    );
    let cost = Pico::usd(report["cost"]["usd"].as_str().unwrap());
    assert_eq!(cost.0, bill(&scene.server, "tiny").0 - paid.0, "{report}");
    scene.server.assert_clean();
}

#[test]
fn without_the_cache_nothing_is_promised() {
    let scene = Scene::with(script(2, 9), MODELS);
    let line = last_line(ask(&scene, &["--no-cache"]).assert_code(4));
    assert!(
        line.contains("1 of 4 parts are answered and kept")
            && line.contains("asks all of them anew"),
        "{line}"
    );
    // Where nothing was answered there is nothing to go on with.
    let scene = Scene::with(script(1, 9), MODELS);
    let line = last_line(ask(&scene, &[]).assert_code(1));
    assert!(
        line.contains("part 1 of 4") && !line.contains("parts are answered"),
        "{line}"
    );
}

#[test]
fn in_the_chat_retry_goes_on() {
    let narrow = "[[models]]\nid = \"mock/narrow\"\ninput = 1.0\noutput = 10.0\ncontext = 900\n\
        encoding = \"o200k_base\"\n";
    let place = Place::with(script(2, 1), narrow);
    let mut command = place.command(&["-m", "mock/narrow", "--on-overflow", "segment"]);
    command.current_dir(place.home.work_dir());
    let terminal = support::terminal::Terminal::spawn(&command, 120, 40);
    terminal.wait_for("→ narrow");
    terminal.paste(&"word ".repeat(900));
    terminal.wait_for("parts");
    terminal.key("Enter");
    terminal.wait_for("no such thing");
    terminal.wait_for("parts are answered and kept");
    settled(&terminal);
    let (before, paid) = (asked(&place.server), bill(&place.server, "narrow"));
    assert_eq!(before, [Some(1), Some(2)]);
    terminal.send("/retry");
    terminal.key("Enter");
    terminal.wait_for("all of it");
    // Under the answer that is whole.
    terminal.wait_for("would have cost");
    let after = asked(&place.server);
    assert_eq!(
        after.iter().filter(|part| **part == Some(1)).count(),
        1,
        "{after:?}"
    );
    assert_eq!(after[2], Some(2), "{after:?}");
    assert!(bill(&place.server, "narrow").0 > paid.0);
    place.server.assert_clean();
}
