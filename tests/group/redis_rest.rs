//! What is left of a group's budget, as a question is planned, shown and warned of.

#![allow(clippy::unwrap_used, reason = "the small functions of tests are tests")]

use crate::support;

use serde_json::Value;
use support::group::{DIME, Group};
use support::server::Gate;

/// A ladder of two rungs: the lower costs a tenth of the upper.
const LADDER: &str = "[router]\nladder = [\"mine/m\", \"mine/n\"]\npace = false\n[[models]]\nid = \"mine/n\"\n\
                      input = 0\noutput = 10\ncontext = 100000\nmax_output = 1000\n";
const AUTO: [&str; 5] = ["ask", "--json", "--max-output", "1000", "hi"];

#[track_caller]
fn auto(group: &Group, machine: usize) -> Value {
    group.run(machine, &AUTO).assert_code(0).json()
}

#[track_caller]
fn skipped(answer: &Value) -> String {
    let considered = answer["route"]["considered"].as_array().unwrap();
    let upper = considered
        .iter()
        .find(|rung| rung["model"] == "mine/m")
        .unwrap();
    upper["skipped"].as_str().unwrap_or_default().to_owned()
}

/// Another machine leases this much of the day and the month, or gives it back.
fn others(group: &Group, nano: i64) {
    let key = group
        .redis
        .keys()
        .into_iter()
        .find(|key| key.contains("budget:"))
        .unwrap();
    let fields = group.redis.tell(&["HKEYS", &key]);
    for field in fields
        .iter()
        .filter(|field| field.starts_with("day:") || *field == "month")
    {
        group
            .redis
            .tell(&["HINCRBY", &key, field, &nano.to_string()]);
    }
}

fn a_rung_that_does_not_fit_the_groups_rest_is_not_chosen_and_the_reason_says_so() {
    let group = Group::of(2, &format!("per_day = 0.15\n{LADDER}"));
    assert_eq!(auto(&group, 0)["model"], "mine/m");
    // This one has heard nothing of the group yet, and is told when it leases.
    assert_eq!(auto(&group, 1)["model"], "mine/n");
    let answer = auto(&group, 1);
    assert_eq!(answer["model"], "mine/n");
    assert!(
        skipped(&answer).contains("left today for the group"),
        "{answer}"
    );
    let answer = auto(&group, 0);
    assert_eq!(answer["model"], "mine/n");
    assert!(
        skipped(&answer).contains("left today for the group"),
        "{answer}"
    );
    // A pinned one is never exchanged for another.
    let refused = group.run(0, &DIME);
    assert!(
        refused.assert_code(3).stderr.contains("for the group"),
        "{refused:#?}"
    );
}

fn what_was_heard_long_ago_refuses_nobody() {
    let group = Group::of(1, &format!("per_day = 0.35\n{LADDER}"));
    assert_eq!(auto(&group, 0)["model"], "mine/m");
    others(&group, 200_000_000);
    assert_eq!(auto(&group, 0)["model"], "mine/n");
    others(&group, -200_000_000);
    assert_eq!(auto(&group, 0)["model"], "mine/m", "it was asked anew");
    others(&group, 200_000_000);
    let refused = group.run(0, &DIME);
    assert!(
        refused.assert_code(3).stderr.contains("group"),
        "{refused:#?}"
    );
    others(&group, -200_000_000);
    group.dimes(0, 1);
}

fn without_redis_a_rung_is_chosen_that_fits_what_is_leased() {
    // A 64th is leased at a time: a dime and three quarters of one, and the dime is under way when Redis dies.
    let limits = format!("per_day = 11.2\n{LADDER}");
    let (mut group, gate) = (Group::of(1, &limits), Gate::new());
    group.holding_the_first(&gate, &limits);
    let mut first = group.begin(0);
    gate.wait_reached(1);
    group.redis.kill();
    let answer = group.run(0, &AUTO);
    answer.assert_code(0);
    assert!(
        answer.stderr.contains("Redis cannot be reached"),
        "{answer:#?}"
    );
    assert_eq!(answer.json()["model"], "mine/n");
    gate.open();
    assert_eq!(first.wait().unwrap().code(), Some(0));
}

fn the_groups_rest_is_shown_and_warned_of() {
    let group = Group::of(2, "per_day = 0.4\nper_month = 4.0");
    let first = group.run(0, &DIME);
    assert!(!first.assert_code(0).stderr.contains("group"), "{first:#?}");
    group.dimes(1, 1);
    // Two of its four dimes are spent, one of them by another machine.
    let third = group.run(0, &DIME);
    assert!(third.assert_code(0).stderr.contains("group"), "{third:#?}");
    let show = group.show(0);
    let line = |scope: &str| {
        show["scopes"]
            .as_array()
            .unwrap()
            .iter()
            .find(|row| row["scope"] == scope)
            .unwrap()
            .clone()
    };
    let day = line("group day");
    assert_eq!(
        (&day["settled_usd"], &day["reserved_usd"], &day["left_usd"]),
        (&"0.2".into(), &"0.1".into(), &"0.1".into())
    );
    assert_eq!(line("group month")["left_usd"], "3.7");
    let again = group.run(0, &DIME);
    assert!(
        again.assert_code(0).stderr.contains("group"),
        "the whole of it: {again:#?}"
    );
}

tests![
    a_rung_that_does_not_fit_the_groups_rest_is_not_chosen_and_the_reason_says_so,
    what_was_heard_long_ago_refuses_nobody,
    without_redis_a_rung_is_chosen_that_fits_what_is_leased,
    the_groups_rest_is_shown_and_warned_of,
];
