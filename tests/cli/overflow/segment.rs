//! A question that is split into parts, each answered, and the answers joined.

use super::*;

const WORDS: [&str; 2] = ["Which lines", "are there?"];
const SPLIT: [&str; 2] = ["--on-overflow", "segment"];

fn material() -> String {
    let lines = (0..400).map(|n| format!("Line {n} of the long material that has to be read.\n"));
    lines.collect::<Vec<_>>().concat()
}

/// `Part 2 of 5` of a request, as numbers.
fn part(request: &Request) -> Option<(usize, usize)> {
    let question = question(request);
    let (at, rest) = question.split_once("Part ")?.1.split_once(" of ")?;
    let (of, _) = rest.split_once(" of the material that is too long")?;
    Some((at.parse().ok()?, of.parse().ok()?))
}

/// Each part is answered with its number, what is joined with `all of it`.
fn script(special: impl Fn(usize) -> Option<Answer> + Send + 'static) -> Script {
    Script::always(Answer::text("all of it").usage(211, 7)).choose(move |request| {
        let (at, _) = part(request)?;
        Some(
            special(at).unwrap_or_else(|| {
                Answer::text(&format!("found {at}")).usage(1_000 + at as u64, 20)
            }),
        )
    })
}

fn ask(scene: &Scene, flags: &[&str]) -> support::home::Output {
    scene.piped(&[&tiny(&WORDS)[..], &SPLIT, flags].concat(), material())
}

fn messages(scene: &Scene) -> Value {
    let id = scene.json(&["sessions", "--json"])[0]["session"]
        .as_str()
        .unwrap()
        .to_owned();
    scene.json(&["sessions", "show", &id, "--json"])["messages"].clone()
}

#[test]
fn each_part_is_asked_with_the_instruction_and_the_answers_are_joined() {
    let scene = scene(script(|_| None));
    let estimate = ask(&scene, &["--estimate", "--json"]).json();
    assert_eq!(scene.server.connections(), 0);
    let output = ask(&scene, &["--json", "--system", "Be brief."]);
    let report = output.assert_code(0).json();
    let chats = scene.server.chats();
    let of = part(&chats[0]).unwrap().1;
    assert_eq!(
        (of + 1, chats.len()),
        (chats.len(), 5),
        "{:#?}",
        chats.iter().map(part).collect::<Vec<_>>()
    );
    let mut whole = String::new();
    for (n, chat) in chats[..of].iter().enumerate() {
        assert_eq!(part(chat), Some((n + 1, of)));
        let text = question(chat);
        assert!(
            text.starts_with("Which lines are there?\n\nPart "),
            "{text}"
        );
        whole.push_str(text.splitn(3, "\n\n").nth(2).unwrap());
        assert_eq!(said(chat)[0].1, "Be brief.");
    }
    assert_eq!(whole, material().trim_end());
    for chat in &chats {
        let input: u64 = said(chat)
            .iter()
            .map(|(_, text)| count(Encoding::O200kBase, text) + 4)
            .sum();
        assert!(input + chat.cap().unwrap() < WINDOW);
    }
    let join = question(chats.last().unwrap());
    assert!(join.starts_with("Which lines are there?\n\n"), "{join}");
    assert!(
        (1..=of).all(|n| join.contains(&format!("Part {n} of {of}:\nfound {n}"))),
        "{join}"
    );
    assert_eq!(
        (&report["answer"], &report["finish_reason"]),
        (&json!("all of it"), &json!("stop"))
    );
    let fitted = json!({"segmented": {"parts": of, "requests": of + 1}});
    assert_eq!((&report["fitted"], &estimate["fitted"]), (&fitted, &fitted));
    assert_eq!(report["attempts"].as_array().unwrap().len(), of + 1);
    // The bill is the sum, and was foreseen.
    assert_eq!(
        report["cost"],
        json!({"usd": bill(&scene).to_string(), "kind": "exact", "saved_usd": "0"})
    );
    let usd = |value: &Value| Pico::usd(value.as_str().unwrap());
    assert!(
        bill(&scene) <= usd(&estimate["estimate"]["worst_usd"]),
        "{estimate}"
    );
    assert!(usd(&estimate["estimate"]["expected_usd"]) <= usd(&estimate["estimate"]["worst_usd"]));
    let output: u64 = 20 * of as u64 + 7;
    assert_eq!(report["usage"]["output_tokens"], output);
    let sessions = scene.json(&["sessions", "--json"]);
    assert_eq!(
        (sessions.as_array().unwrap().len(), &sessions[0]["cost_usd"]),
        (1, &report["cost"]["usd"])
    );
    scene.server.assert_clean();
}

#[test]
fn the_chat_holds_the_question_and_the_joined_answer_only() {
    let scene = scene(script(|_| None));
    let output = ask(&scene, &[]);
    assert_eq!(
        (output.code(), output.stdout.as_str()),
        (Some(0), "all of it\n")
    );
    assert_eq!(output.stderr.lines().count(), 1, "{output:?}");
    assert!(
        output.stderr.contains("split into 4 parts, 5 requests"),
        "{output:?}"
    );
    let kept = messages(&scene);
    assert_eq!(kept.as_array().unwrap().len(), 2);
    assert_eq!(
        kept[0]["text"],
        format!("Which lines are there?\n\n{}", material().trim_end())
    );
    assert_eq!(kept[1]["text"], "all of it");
    assert_eq!(
        scene.json(&["sessions", "search", "found", "--json"]),
        json!([])
    );
    // Asked again, it costs what the cache did not have; and a person who waits sees how far it is.
    let first = bill(&scene);
    let again = ask(&scene, &["--json", "-v"]);
    let cost = again.json()["cost"].clone();
    let [paid, saved] = ["usd", "saved_usd"].map(|name| Pico::usd(cost[name].as_str().unwrap()).0);
    assert_eq!(
        (paid, paid + saved),
        (bill(&scene).0 - first.0, first.0),
        "{cost}"
    );
    assert!(
        again.stderr.contains("part 2 of 4") && again.stderr.contains("joining"),
        "{again:?}"
    );
}

#[test]
fn what_the_limits_do_not_allow_together_is_not_begun() {
    for flags in [
        &["--max-usd", "0.01"][..],
        &["--max-usd", "0"],
        &["--max-usd", "0.01", "--estimate"],
    ] {
        let scene = scene(script(|_| None));
        let error = support::scene::one_error(&ask(&scene, flags), 3);
        assert!(
            error.contains("requests") && error.contains("in this run"),
            "{error}"
        );
        assert_eq!(scene.server.connections(), 0, "{flags:?}");
        assert_eq!(scene.json(&["sessions", "--json"]), json!([]));
    }
    // Each alone would be too dear, though the day has room for all.
    let scene = scene(script(|_| None));
    scene.config(&format!(
        "{MODELS}[budget]\nper_request = 0.003\nper_day = 5.0\n"
    ));
    let error = support::scene::one_error(&ask(&scene, &[]), 3);
    assert!(error.contains("for one request"), "{error}");
    assert_eq!(scene.server.connections(), 0);
    // A little under what it would take by itself: shorter answers.
    scene.config(MODELS);
    let worst = |flags: &[&str]| {
        Pico::usd(
            ask(&scene, flags).assert_code(0).json()["estimate"]["worst_usd"]
                .as_str()
                .unwrap(),
        )
    };
    let free = worst(&["--estimate", "--json"]);
    let less = Pico(free.0 - 1_000_000).to_string();
    assert!(worst(&["--estimate", "--json", "--max-usd", &less]) < free);
    ask(&scene, &["--max-usd", &less]).assert_code(0);
    assert!(bill(&scene) < free);
}

#[test]
fn a_part_that_fails_ends_the_turn_and_what_was_paid_for_is_kept() {
    let refused =
        |at| move |n| (n == at).then(|| Answer::error(400, "invalid_value", "no such thing"));
    let scene = scene(script(refused(2)));
    let output = ask(&scene, &["--json"]);
    let report = output.assert_code(4).json();
    assert!(
        output
            .stderr
            .lines()
            .last()
            .unwrap()
            .contains("part 2 of 4: "),
        "{output:?}"
    );
    assert_eq!(report["answer"], "Part 1 of 4:\nfound 1");
    assert_eq!(
        (&report["cost"]["usd"], scene.server.chats().len()),
        (&json!(bill(&scene).to_string()), 2)
    );
    assert_eq!(messages(&scene)[1]["text"], "Part 1 of 4:\nfound 1");
    // The first one: nothing was answered.
    let scene = super::scene(script(refused(1)));
    let output = ask(&scene, &[]);
    assert_eq!(
        (output.code(), output.stdout.as_str()),
        (Some(1), ""),
        "{output:?}"
    );
    assert!(output.stderr.contains("part 1 of 4"), "{output:?}");
    // An answer without a word is none.
    let scene = super::scene(script(|n| (n == 3).then(|| Answer::text(" "))));
    let output = ask(&scene, &[]);
    assert!(
        output
            .assert_code(4)
            .stderr
            .contains("part 3 of 4: the answer was empty"),
        "{output:?}"
    );
    assert!(
        output.stdout.contains("found 2") && !output.stdout.contains("all of it"),
        "{output:?}"
    );
}

#[test]
fn when_the_join_fails_the_answers_to_the_parts_are_kept() {
    let script = script(|_| None).otherwise(Answer::error(400, "invalid_value", "no such thing"));
    let scene = scene(script);
    let output = ask(&scene, &[]);
    assert!(
        output
            .assert_code(4)
            .stderr
            .contains("joining parts 1 to 4 of 4: "),
        "{output:?}"
    );
    let kept: Vec<_> = (1..5)
        .map(|n| format!("Part {n} of 4:\nfound {n}"))
        .collect();
    assert_eq!(output.stdout, format!("{}\n", kept.join("\n\n")));
}

#[test]
fn many_answers_are_joined_by_levels_and_the_chat_before_is_not_sent() {
    let scene = scene(script(|_| None));
    scene.ok(&tiny(&["earlier words"]));
    let text = material().repeat(3);
    let output = scene.piped(
        &[&tiny(&WORDS)[..], &SPLIT, &["-c", "--json"]].concat(),
        text,
    );
    let report = output.assert_code(0).json();
    assert_eq!(
        report["fitted"],
        json!({"segmented": {"parts": 10, "requests": 13}})
    );
    assert!(
        output
            .stderr
            .contains("the turn before it is not sent with them"),
        "{output:?}"
    );
    let chats = scene.server.chats();
    assert_eq!((chats.len(), said(&chats[13]).len()), (14, 1));
    assert!(
        question(&chats[13])
            .ends_with("Parts 1 to 5 of 10:\nall of it\n\nParts 6 to 10 of 10:\nall of it")
    );
    assert!(
        chats[1..]
            .iter()
            .all(|chat| !question(chat).contains("earlier words"))
    );
    assert_eq!(report["attempts"].as_array().unwrap().len(), 13);
}

/// Waits in its second part.
fn waiting() -> (Scene, Running) {
    let scene = scene(script(|n| (n == 2).then(|| Answer::raw([Step::Hang]))));
    scene.home.file("long.txt", material());
    let running = scene.start(&[&tiny(&WORDS)[..], &SPLIT, &["-f", "long.txt"]].concat());
    scene.server.wait_for_requests(2);
    (scene, running)
}

#[test]
fn stopping_it_settles_everything() {
    let (scene, running) = waiting();
    running.signal(Signal::INT);
    let output = running.end();
    output.assert_code(130);
    assert!(
        output.stdout.starts_with("Part 1 of 4:\nfound 1"),
        "{output:?}"
    );
    let budget = scene.json(&["budget", "show", "--json"]);
    assert!(
        budget["open"]
            .as_array()
            .unwrap()
            .iter()
            .all(|row| row["state"] == "uncertain"),
        "{budget}"
    );
    let day = budget["scopes"]
        .as_array()
        .unwrap()
        .iter()
        .find(|s| s["scope"] == "day")
        .unwrap();
    assert!(
        Pico::usd(day["settled_usd"].as_str().unwrap()) > bill(&scene),
        "{budget}"
    );
    assert_eq!(scene.server.chats().len(), 2);
}

#[test]
fn a_process_that_dies_leaves_the_question_and_the_hold() {
    let (scene, running) = waiting();
    running.signal(Signal::KILL);
    running.end();
    assert_eq!(
        scene.json(&["budget", "show", "--json"])["open"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    assert!(
        messages(&scene)[0]["text"]
            .as_str()
            .unwrap()
            .starts_with("Which lines are there?")
    );
    assert_eq!(
        scene.json(&["sessions", "search", "found", "--json"]),
        json!([])
    );
    // The answer to the first part was paid for, and is still there.
    let db = rusqlite::Connection::open(scene.home.data_dir().join("chat.db")).unwrap();
    let kept = "SELECT (SELECT group_concat(reasoning, '') FROM messages) || coalesce((SELECT group_concat(reasoning, '') FROM answer_parts), '')";
    let kept: String = db.query_row(kept, [], |row| row.get(0)).unwrap();
    assert!(kept.contains("Part 1 of 4:\nfound 1"), "{kept}");
}
