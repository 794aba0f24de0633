//! Prices: the tier that is paid, the hour that it is paid in, the row that is kept, and prices that cannot be.

#![allow(clippy::unwrap_used, reason = "the small functions of tests are tests")]

use crate::support;

use serde_json::{Value, json};
use support::PATIENCE;
use support::home::{Output, run};
use support::scene::{KEY, Scene, one_error};
use support::server::{Answer, Pico, Script};

/// A whole answer with this usage, at this service tier (null: it names none).
fn answer(usage: &Value, tier: &Value) -> Answer {
    Answer::status(200).body(&json!({
        "object": "chat.completion",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "ok"}, "finish_reason": "stop"}],
        "usage": usage,
        "service_tier": tier,
    }))
}

/// 1000 tokens in, 100 out.
fn usual() -> Value {
    json!({"prompt_tokens": 1000, "completion_tokens": 100, "total_tokens": 1100})
}

/// A scene with a model that has tiers: 2.5 in and 15 out, flex at half and priority at double.
fn tiered(answer: Answer, lines: &str) -> Scene {
    let toml = format!("[[models]]\nid = \"openai/gpt-5.4\"\nconfirmed = true\n{lines}");
    Scene::with(Script::always(answer), &toml)
}

const TIERED: [&str; 5] = ["ask", "hi", "-m", "gpt-5.4", "--json"];

/// The row of the charge, as the ledger keeps it: price and tier.
fn charge(scene: &Scene) -> (Value, Option<String>) {
    let db = rusqlite::Connection::open(scene.home.data_dir().join("chat.db")).unwrap();
    let row =
        |row: &rusqlite::Row<'_>| Ok((row.get::<_, String>(0)?, row.get::<_, Option<String>>(1)?));
    let (price, tier) = db
        .query_row(
            "SELECT price, tier FROM charges ORDER BY taken_at LIMIT 1",
            [],
            row,
        )
        .unwrap();
    (serde_json::from_str(&price).unwrap(), tier)
}

#[test]
fn what_is_paid_is_the_tier_that_the_answer_names() {
    for (chosen, named, sent, usd, kind) in [
        ("", json!("default"), json!("default"), "0.004", "exact"),
        ("", Value::Null, json!("default"), "0.004", "exact"),
        ("", json!("flex"), json!("default"), "0.002", "exact"),
        ("", json!("batch"), json!("default"), "0.002", "exact"),
        // The tier was not asked for, and it is paid all the same.
        ("", json!("priority"), json!("default"), "0.008", "exact"),
        // A tier of unknown price is counted at the dearest one.
        ("", json!("scale"), json!("default"), "0.008", "estimated"),
        (
            "service_tier = \"flex\"\n",
            json!("flex"),
            json!("flex"),
            "0.002",
            "exact",
        ),
        (
            "service_tier = \"flex\"\n",
            json!("default"),
            json!("flex"),
            "0.004",
            "exact",
        ),
        (
            "service_tier = \"flex\"\n",
            Value::Null,
            json!("flex"),
            "0.004",
            "estimated",
        ),
        (
            "service_tier = \"priority\"\n",
            json!("priority"),
            json!("priority"),
            "0.008",
            "exact",
        ),
        (
            "service_tier = \"auto\"\n",
            json!("priority"),
            Value::Null,
            "0.008",
            "exact",
        ),
    ] {
        let scene = tiered(answer(&usual(), &named), chosen);
        let cost = scene.json(&TIERED)["cost"].clone();
        assert_eq!(
            (&cost["usd"], &cost["kind"]),
            (&json!(usd), &json!(kind)),
            "{chosen}answered at {named}"
        );
        assert_eq!(scene.server.bodies()[0]["service_tier"], sent, "{chosen}");
    }
}

#[test]
fn what_is_reserved_is_the_dearest_tier_that_was_asked_for() {
    let worst = |lines: &str| {
        let scene = tiered(answer(&usual(), &Value::Null), lines);
        let estimate =
            scene.json(&["ask", "hi", "-m", "gpt-5.4", "--estimate", "--json"])["estimate"].clone();
        let usd = |name: &str| Pico::usd(estimate[name].as_str().unwrap()).0;
        (usd("expected_usd"), usd("worst_usd"))
    };
    let (expected, standard) = worst("");
    // The provider may step down to the standard tier, so flex reserves that.
    assert_eq!(worst("service_tier = \"flex\"\n"), (expected / 2, standard));
    assert_eq!(
        worst("service_tier = \"priority\"\n"),
        (expected * 2, standard * 2)
    );
    assert_eq!(worst("service_tier = \"auto\"\n"), (expected, standard * 2));
}

#[test]
fn a_dearer_tier_than_was_asked_for_is_booked_in_full_and_is_a_breach() {
    let usage = json!({"prompt_tokens": 10, "completion_tokens": 300});
    let scene = tiered(answer(&usage, &json!("priority")), "");
    let report = scene.json(&[&TIERED[..], &["--max-output", "300"]].concat());
    // 10 x 5 + 300 x 30 millionths.
    assert_eq!(report["cost"]["usd"], "0.00905");
    assert!(
        Pico::usd("0.00905").0 > Pico::usd(report["estimate"]["worst_usd"].as_str().unwrap()).0
    );
    let error = scene.refused(3, &["ask", "again", "-m", "gpt-5.4"]);
    assert!(
        error.contains("openai/gpt-5.4") && error.contains("budget settle"),
        "{error}"
    );
    assert_eq!(scene.server.chats().len(), 1);
}

#[test]
fn a_server_that_may_not_know_the_tier_is_not_told() {
    for (id, key) in [
        ("openai/my-own", "OPENAI_API_KEY"),
        ("mistral/mistral-large-2512", "MISTRAL_API_KEY"),
    ] {
        let scene = Scene::saying("ok");
        let url = scene.server.base_url();
        if key != "OPENAI_API_KEY" {
            scene.config(&format!(
                "[[providers]]\nname = \"mistral\"\nbase_urls = [\"{url}\"]\n"
            ));
        }
        let mut command = scene.command(&["ask", "hi", "-m", id]);
        command.env(key, KEY);
        run(command, b"", PATIENCE).assert_code(0);
        assert!(
            scene.server.bodies()[0].get("service_tier").is_none(),
            "{id}"
        );
    }
}

/// Asks DeepSeek, which the scene's server plays.
fn ask_deepseek(scene: &Scene) -> Output {
    let url = scene.server.base_url();
    scene.config(&format!(
        "[[providers]]\nname = \"deepseek\"\nbase_urls = [\"{url}\"]\n\
         [[models]]\nid = \"deepseek/deepseek-flash\"\nconfirmed = true\n"
    ));
    let mut command = scene.command(&["ask", "hi", "-m", "deepseek/deepseek-flash", "--json"]);
    command.env("DEEPSEEK_API_KEY", KEY);
    let output = run(command, b"", PATIENCE);
    output.assert_code(0);
    output
}

#[test]
fn the_hour_of_the_day_decides_what_an_answer_costs() {
    let minute = || jiff::Timestamp::now().as_second().rem_euclid(86_400) / 60;
    let scene = Scene::new(Script::always(answer(&usual(), &Value::Null)));
    let before = minute();
    let cost = ask_deepseek(&scene).json()["cost"].clone();
    let after = minute();
    // Peak: 01-04 and 06-10 UTC, at 0.3 and 1.2; else half. Within two minutes of the hour the price is uncertain.
    let peak = |minute: i64| (60..240).contains(&minute) || (360..600).contains(&minute);
    let clear = [before - 2, after + 2].map(|edge| peak(edge.rem_euclid(1440)));
    let expected = match clear {
        [true, true] => ("0.00042", "exact"),
        [false, false] => ("0.00021", "exact"),
        _ => {
            assert!(
                cost["usd"] == "0.00042" || cost["usd"] == "0.00021",
                "{cost}"
            );
            return;
        }
    };
    assert_eq!(
        (&cost["usd"], &cost["kind"]),
        (&json!(expected.0), &json!(expected.1))
    );
}

#[test]
fn a_charge_keeps_the_row_that_it_was_priced_by() {
    let scene = tiered(answer(&usual(), &json!("flex")), "");
    scene.ok(&TIERED);
    let (price, tier) = charge(&scene);
    assert_eq!(tier.as_deref(), Some("flex"), "the tier that was paid");
    assert_eq!(price["tier"], "default", "the tier that was asked for");
    assert_eq!(
        (&price["input"], &price["output"]),
        (&json!("0.0000025"), &json!("0.000015"))
    );
    assert_eq!(price["tiers"]["flex"]["input"], "0.00000125");
    assert_eq!(price["as_of"], "2026-07-02");
    assert!(
        price["source"].as_str().unwrap().contains("models.dev"),
        "{price}"
    );
}

#[test]
fn a_usage_that_cannot_be_is_booked_at_the_upper_bound() {
    let with = |name: &str, value: Value| {
        let mut usage = json!({"prompt_tokens": 10, "completion_tokens": 5});
        usage[name] = value;
        usage
    };
    for usage in [
        with("prompt_tokens", json!(-10)),
        with("completion_tokens", json!(5.5)),
        with("completion_tokens", json!("5")),
        with("prompt_tokens", json!(u64::MAX)),
        with("prompt_tokens", json!(1e300)),
        with("total_tokens", json!(3)),
        with("prompt_tokens_details", json!({"cached_tokens": 11})),
        with("prompt_tokens_details", json!({"cached_tokens": -1})),
        json!({}),
        json!("none"),
        Value::Null,
    ] {
        let scene = Scene::new(Script::always(answer(&usage, &Value::Null)));
        let report = scene.json(&["ask", "hi", "-m", "gpt-5-mini", "--json"]);
        // The model's reasoning is hidden, so all that was allowed is booked.
        assert_eq!(
            report["cost"]["usd"], report["estimate"]["worst_usd"],
            "{usage}"
        );
        assert_eq!(report["cost"]["kind"], "estimated", "{usage}");
        assert_eq!(report["usage"]["source"], "counted", "{usage}");
    }
}

#[test]
fn a_charge_that_cannot_be_is_passed_over_with_one_warning() {
    for cost in [json!(-0.5), json!("0.5"), json!(1e300), json!(12_345_678)] {
        let mut usage = usual();
        usage["cost"] = cost.clone();
        let scene = tiered(answer(&usage, &Value::Null), "");
        let report = scene.json(&TIERED);
        assert_eq!(
            (&report["cost"]["usd"], &report["cost"]["kind"]),
            (&json!("0.004"), &json!("exact")),
            "{cost}"
        );
        let log: String = std::fs::read_dir(scene.home.data_dir().join("log"))
            .unwrap()
            .map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap())
            .collect();
        assert_eq!(log.matches("cannot be one").count(), 1, "{cost}: {log}");
    }
    let mut usage = usual();
    usage["cost"] = json!(0.0123);
    let cost = tiered(answer(&usage, &Value::Null), "").json(&TIERED)["cost"].clone();
    assert_eq!(
        (&cost["usd"], &cost["kind"]),
        (&json!("0.0123"), &json!("billed"))
    );
}

#[test]
fn a_price_that_cannot_be_is_named_by_file_line_and_column() {
    let scene = Scene::saying("never");
    let file = scene.home.config_file();
    for (lines, place, words) in [
        ("input = -1\noutput = 10", "3:9", "0 or more"),
        ("input = nan\noutput = 10", "3:9", "12 decimals"),
        ("input = inf\noutput = 10", "3:9", "12 decimals"),
        ("input = \"1\"\noutput = 10", "3:9", "without quotes"),
        ("output = 10", "2:6", "no input"),
        ("input = 1.25", "2:6", "no output"),
        (
            "input = 1.25\noutput = 10\nfree = true",
            "5:8",
            "contradicts",
        ),
        // Per token, where per million belongs; and the other way round.
        (
            "input = 0.00000125\noutput = 0.00001",
            "3:9",
            "at most six decimals",
        ),
        ("input = 0.0001\noutput = 10", "3:9", "confirmed = true"),
        (
            "input = 1.25\noutput = 10000000",
            "4:10",
            "confirmed = true",
        ),
        (
            "context = 400000\ncached_input = 1250\ninput = 1.25\noutput = 10",
            "4:16",
            "confirmed = true",
        ),
        ("service_tier = \"slow\"", "3:16", "flex"),
        (
            "service_tier = \"flex\"\ninput = 1.25\noutput = 10",
            "3:16",
            "leave input and output out",
        ),
        (
            "service_tier = \"fast\"\n[[models]]\nid = \"openai/gpt-4o\"\nservice_tier = \"flex\"",
            "6:16",
            "priority",
        ),
    ] {
        scene
            .home
            .config(&format!("[[models]]\nid = \"openai/gpt-5\"\n{lines}\n"));
        for args in [
            vec!["ask", "hi"],
            vec!["config", "check"],
            vec!["models"],
            vec!["count"],
        ] {
            let error = scene.refused(2, &args);
            assert!(
                error.contains(&format!("{}:{place}:", file.display())),
                "{lines} {args:?}: {error}"
            );
            assert!(error.contains(words), "{lines}: {error}");
        }
    }
    scene.home.config(
        "[[models]]\nid = \"openai/gpt-5\"\ninput = 0.0001\noutput = 10\nconfirmed = true\n",
    );
    scene.ok(&["config", "check"]);
    assert_eq!(scene.server.connections(), 0);
}

#[test]
fn a_price_that_has_ended_is_unknown_and_refused_under_a_limit() {
    let scene = Scene::saying("never");
    let page = scene.ok(&["models", "show", "claude-sonnet-5"]).stdout;
    assert!(
        page.contains("n/a") && page.contains("2026-08-31") && !page.contains("$0"),
        "{page}"
    );
    let url = scene.server.base_url();
    scene.config(&format!(
        "[[providers]]\nname = \"anthropic\"\nbase_urls = [\"{url}\"]\n"
    ));
    let mut command = scene.command(&[
        "ask",
        "hi",
        "-m",
        "anthropic/claude-sonnet-5",
        "--max-usd",
        "1",
    ]);
    command.env("ANTHROPIC_API_KEY", KEY);
    let error = one_error(&run(command, b"", PATIENCE), 3);
    assert!(
        error.contains("price") && error.contains("[[models]]"),
        "{error}"
    );
    assert_eq!(scene.server.connections(), 0);
}

#[test]
fn unknown_free_and_priced_are_told_apart_and_terms_are_listed() {
    let scene = Scene::saying("never");
    let rows = scene.json(&["models", "--json"]);
    let row = |id: &str| {
        rows.as_array()
            .unwrap()
            .iter()
            .find(|row| row["model"] == id)
            .unwrap()
            .clone()
    };
    let unknown = row("llama/llama-4-maverick-17b-128e-instruct-fp8");
    assert_eq!(
        (
            &unknown["input_usd"],
            &unknown["output_usd"],
            &unknown["free"]
        ),
        (&Value::Null, &Value::Null, &json!(false))
    );
    assert_eq!(row("offline/guide")["free"], true);
    let gpt = row("openai/gpt-5");
    assert_eq!(
        (&gpt["input_usd"], &gpt["as_of"]),
        (&json!("1.25"), &json!("2026-07-02"))
    );
    let term = |name: &str| {
        gpt["terms"]
            .as_array()
            .unwrap()
            .iter()
            .find(|term| term["name"] == name)
            .unwrap()
            .clone()
    };
    assert_eq!(
        (&term("flex")["input_usd"], &term("flex")["output_usd"]),
        (&json!("0.625"), &json!("5"))
    );
    assert_eq!(
        (
            &term("priority")["input_usd"],
            &term("priority")["output_usd"]
        ),
        (&json!("2.5"), &json!("20"))
    );
    let table = scene.ok(&["models"]).stdout;
    let line = |id: &str| {
        table
            .lines()
            .find(|line| line.starts_with(id))
            .unwrap()
            .to_owned()
    };
    assert!(line("llama/llama-4").matches("n/a").count() >= 3, "{table}");
    assert!(
        line("offline/guide").contains("free") && !line("offline/guide").contains('$'),
        "{table}"
    );
    let page = scene
        .ok(&["models", "show", "deepseek/deepseek-flash"])
        .stdout;
    assert!(
        page.contains(
            "off peak        $0.15 in, $0.6 out per million tokens, outside 01-04 and 06-10 UTC"
        ),
        "{page}"
    );
    let counted = scene.home.file("words.txt", "some words to count");
    let counts = scene.ok(&["count", counted.to_str().unwrap()]).stdout;
    let guide = counts
        .lines()
        .find(|line| line.starts_with("offline/guide"))
        .unwrap();
    let unknown = counts
        .lines()
        .find(|line| line.starts_with("llama/"))
        .unwrap();
    assert!(
        guide.contains("free") && unknown.contains("n/a") && !unknown.contains('$'),
        "{counts}"
    );
}

#[test]
fn a_sum_with_an_unknown_part_says_so() {
    let scene = Scene::new(Script::always(answer(&usual(), &Value::Null)));
    let unknown = scene.json(&["ask", "hi", "-m", "openai/my-own", "--json"])["session"]
        .as_str()
        .unwrap()
        .to_owned();
    let row = |scene: &Scene| scene.json(&["sessions", "--json"])[0].clone();
    assert_eq!(
        (&row(&scene)["cost_usd"], &row(&scene)["known_usd"]),
        (&Value::Null, &json!("0"))
    );
    let list = scene.ok(&["sessions"]).stdout;
    assert!(list.contains("n/a") && !list.contains('$'), "{list}");
    scene.ok(&["ask", "more", "-m", "gpt-5-mini", "--session", &unknown]);
    assert_eq!(
        (&row(&scene)["cost_usd"], &row(&scene)["known_usd"]),
        (&Value::Null, &json!("0.00045"))
    );
    let list = scene.ok(&["sessions"]).stdout;
    assert!(list.contains("$0.00045 + n/a"), "{list}");
}
