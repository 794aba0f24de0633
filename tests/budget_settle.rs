//! `budget settle`: what nobody saw the end of, and what billed too much, is put in order by the user's word.

mod support;

use rustix::process::Signal;
use support::scene::Scene;
use support::server::{Answer, Script, Step};

#[test]
fn an_open_request_is_closed_at_what_it_cost() {
    let scene = Scene::new(Script::always(Answer::raw([Step::Hang])));
    let running = scene.start(&["ask", "hi", "-m", "gpt-5-mini"]);
    scene.server.wait_for_requests(1);
    running.signal(Signal::KILL);
    running.end();
    let open = scene.json(&["budget", "show", "--json"])["open"][0].clone();
    let id = open["id"].as_str().unwrap();
    scene.ok(&["budget", "settle", id, "--usd", "0.00125"]);
    let budget = scene.json(&["budget", "show", "--json"]);
    let day = budget["scopes"].as_array().unwrap().iter().find(|s| s["scope"] == "day").unwrap();
    assert_eq!(
        (&budget["open"], &day["settled_usd"], &day["reserved_usd"]),
        (&serde_json::json!([]), &serde_json::json!("0.00125"), &serde_json::json!("0"))
    );
    let again = scene.refused(2, &["budget", "settle", id]);
    assert!(again.contains("budget show"), "{again}");
}

#[test]
fn a_server_that_bills_too_much_is_named_and_refused_until_cleared() {
    let scene = Scene::new(Script::always(Answer::text("ok").usage(10, 900_000).ignore_cap()));
    let output = scene.run(&["ask", "hi", "-m", "gpt-5-mini", "--json"]).assert_code(0).clone();
    let booked = output.json()["cost"].clone();
    assert_eq!((&booked["kind"], &booked["usd"]), (&"exact".into(), &"1.8000025".into()), "booked in full");
    assert!(output.stderr.contains("budget settle openai/gpt-5-mini"), "{}", output.stderr);

    let refused = scene.refused(3, &["ask", "again", "-m", "gpt-5-mini"]);
    assert!(refused.contains("openai/gpt-5-mini has billed"), "{refused}");
    assert_eq!(scene.server.chats().len(), 1, "nothing more was sent");

    scene.ok(&["budget", "settle", "openai/gpt-5-mini"]);
    scene.run(&["ask", "again", "-m", "gpt-5-mini"]).assert_code(0);
}
