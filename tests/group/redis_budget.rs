//! One budget for a group of machines: two data folders, many processes, and a Redis that dies and stands still.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "the small functions of tests are tests"
)]

use crate::support;

use support::group::{DIME, Group};
use support::scene::KEY;
use support::server::{Answer, Gate, Script, Server};

fn thirty_two_processes_on_two_machines_spend_one_budget_exactly() {
    let group = Group::of(2, "per_day = 1.0");
    assert_eq!(group.storm(16), (10, 22));
    assert_eq!(group.server.chats().len(), 10);
    let show = group.show(0);
    assert_eq!(show["group"]["group_month_usd"], "1");
    assert_eq!(show["group"]["difference_usd"], "0");
    group.refused(1, "group");
}

fn what_a_request_did_not_need_goes_back() {
    // Reserved is $0.10, and $0.01 is used: the dime of each must come back for the next to fit.
    let mut group = Group::of(2, "per_day = 0.13");
    group.server = Server::start(Script::always(Answer::text("abcd").usage(10, 100)).keys([KEY]));
    for machine in &group.machines {
        group.configure(machine, "per_day = 0.13");
    }
    group.dimes(0, 2);
    group.dimes(1, 2);
    group.refused(0, "group");
    assert_eq!(group.show(1)["group"]["group_month_usd"], "0.04");
}

fn without_redis_only_what_is_leased_is_spent() {
    // A 64th of the limit is leased at a time: here two requests' worth, one of which is under way when Redis dies.
    let (mut group, gate) = (Group::of(1, "per_day = 12.8"), Gate::new());
    group.holding_the_first(&gate, "per_day = 12.8");
    let mut first = group.begin(0);
    gate.wait_reached(1);
    group.redis.kill();
    group.dimes(0, 1);
    group.refused(0, "Redis cannot be reached");
    let show = group.show(0);
    assert_eq!(show["group"]["leased_usd"], "0.2");
    assert!(
        show["group"]["away"].as_str().unwrap().contains("Redis"),
        "{show}"
    );
    gate.open();
    assert_eq!(first.wait().unwrap().code(), Some(0));
    assert_eq!(group.server.chats().len(), 2);
}

fn a_program_that_ends_leaves_nothing_leased_that_is_not_spent() {
    let group = Group::of(1, "per_day = 12.8");
    group.dimes(0, 1);
    let show = group.show(0);
    for figure in ["leased_usd", "leased_by_redis_usd", "group_month_usd"] {
        assert_eq!(show["group"][figure], "0.1", "{show}");
    }
}

fn a_redis_that_stands_still_refuses_and_comes_back() {
    let group = Group::of(1, "per_day = 1.0");
    group.dimes(0, 1);
    group.configure(&group.machines[0], "per_day = 1.0\npatience = \"100ms\"");
    group.redis.pause();
    group.refused(0, "did not answer in time");
    group.redis.go_on();
    group.configure(&group.machines[0], "per_day = 1.0");
    // The question that was given up is answered late: it must not have cost anything.
    group.dimes(0, 9);
    group.refused(0, "group");
    assert_eq!(group.server.chats().len(), 10);
}

fn local_limits_hold_as_well() {
    let group = Group::of(1, "per_day = 1.0\n[budget]\nper_day = 0.2");
    group.dimes(0, 2);
    group.refused(0, "left today");
    assert_eq!(
        group.show(0)["group"]["group_month_usd"],
        "0.2",
        "nothing stays leased for a refused request"
    );
}

fn a_redis_that_is_none_refuses_in_one_line() {
    for (url, words) in [
        ("redis://127.0.0.1:1", "cannot be reached"),
        (
            "redis://user:hunter2secret@127.0.0.1:PORT",
            "refuses the user or the password",
        ),
        ("redis://SERVER", "Redis"),
    ] {
        // Only the one that is no Redis says nothing and is late.
        let limits = if url.contains("SERVER") {
            "per_day = 1.0\npatience = \"1s\""
        } else {
            "per_day = 1.0"
        };
        let group = Group::of(1, limits);
        let at = group.server.address().to_string();
        let url = url
            .replace("PORT", &group.redis.port().to_string())
            .replace("SERVER", &at);
        let config = std::fs::read_to_string(group.machines[0].config_file()).unwrap();
        group.machines[0].config(&config.replace(&group.redis.url(), &url));
        let output = group.run(0, &DIME);
        output.assert_code(3);
        assert_eq!(output.stderr.trim().lines().count(), 1, "{output:#?}");
        assert!(!output.stderr.contains("hunter2secret"), "{output:#?}");
        assert!(output.stderr.contains(words), "{url}: {output:#?}");
        assert!(group.server.chats().is_empty());
    }
}

/// What was leased and spent so far was leased and spent the day before, by every ledger and by Redis.
fn let_a_day_pass(group: &Group) {
    const DAY: i64 = 86_400_000;
    for machine in &group.machines {
        let db = rusqlite::Connection::open(machine.data_dir().join("chat.db")).unwrap();
        db.execute(
            "UPDATE group_charges SET day_start = day_start - ?1, day_end = day_end - ?1",
            [DAY],
        )
        .unwrap();
        let sums =
            "UPDATE totals SET starts = starts - ?1, ends = ends - ?1 WHERE scope = 'group day'";
        db.execute(sums, [DAY]).unwrap();
        db.execute("UPDATE group_leases SET day_start = day_start - ?1", [DAY])
            .unwrap();
    }
    let key = group
        .redis
        .keys()
        .into_iter()
        .find(|key| key.contains("budget:"))
        .unwrap();
    let fields = group.redis.tell(&["HKEYS", &key]);
    let day: i64 = fields
        .iter()
        .find_map(|field| field.strip_prefix("day:"))
        .unwrap()
        .parse()
        .unwrap();
    for field in fields
        .iter()
        .filter(|field| field.ends_with(&format!(":{day}")))
    {
        let value = group.redis.tell(&["HGET", &key, field]).concat();
        group.redis.tell(&["HDEL", &key, field]);
        group.redis.tell(&[
            "HSET",
            &key,
            &field.replace(&day.to_string(), &(day - DAY).to_string()),
            &value,
        ]);
    }
}

fn a_new_day_has_a_limit_of_its_own_and_the_month_goes_on() {
    let group = Group::of(2, "per_day = 0.3\nper_month = 0.5");
    group.dimes(0, 2);
    group.dimes(1, 1);
    let full = group.run(1, &DIME);
    assert!(
        full.assert_code(3).stderr.contains("today for the group"),
        "{full:#?}"
    );
    let_a_day_pass(&group);
    assert_eq!(
        group.storm(4),
        (2, 6),
        "of the day's three dimes the month has two"
    );
    let full = group.run(0, &DIME);
    assert!(full.assert_code(3).stderr.contains("month"), "{full:#?}");
    for machine in 0..2 {
        let show = group.show(machine);
        assert_eq!(
            (
                &show["group"]["group_month_usd"],
                &show["group"]["difference_usd"]
            ),
            (&"0.5".into(), &"0".into())
        );
    }
    assert_eq!(group.server.chats().len(), 5);
}

tests![
    thirty_two_processes_on_two_machines_spend_one_budget_exactly,
    what_a_request_did_not_need_goes_back,
    without_redis_only_what_is_leased_is_spent,
    a_program_that_ends_leaves_nothing_leased_that_is_not_spent,
    a_redis_that_stands_still_refuses_and_comes_back,
    local_limits_hold_as_well,
    a_redis_that_is_none_refuses_in_one_line,
    a_new_day_has_a_limit_of_its_own_and_the_month_goes_on,
];
