//! A Redis that forgets, all of it or a part, and machines that come new: nothing is lost, and nothing is spent twice.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "the small functions of tests are tests"
)]

use crate::support;

use std::process::Child;

use support::group::Group;

fn an_emptied_redis_is_told_again_and_nothing_is_lost_or_doubled() {
    let group = Group::of(2, "per_day = 1.0");
    group.dimes(0, 3);
    group.dimes(1, 3);
    group.redis.tell(&["FLUSHALL"]);
    let show = group.show(0);
    assert_eq!(
        (
            &show["group"]["leased_usd"],
            &show["group"]["leased_by_redis_usd"]
        ),
        (&"0.3".into(), &"0".into())
    );
    assert_eq!(show["group"]["difference_usd"], "-0.3");
    group.refused(0, "forgotten what the group spent");
    group.refused(1, "budget settle group");
    assert_eq!(group.show(1)["group"]["group_month_usd"], "0.6");
    group.run(0, &["budget", "settle", "group"]).assert_code(0);
    assert_eq!(group.storm(16).0, 4, "six dimes were spent before");
    assert_eq!(group.server.chats().len(), 10);
}

fn a_redis_emptied_in_mid_run_never_lets_the_sum_pass_the_limit() {
    let mut group = Group::of(2, "per_day = 1.0");
    // To a machine that knows nothing of the group an empty Redis is a new one.
    group.dimes(0, 1);
    group.dimes(1, 1);
    let first: Vec<Child> = (0..12).map(|n| group.begin(n % 2)).collect();
    group.server.wait_for_requests(4);
    group.redis.kill();
    group.redis.again();
    let rest: Vec<Child> = (0..12).map(|n| group.begin(n % 2)).collect();
    for (n, child) in first.into_iter().chain(rest).enumerate() {
        let code = group.end(n % 2, child);
        assert!(matches!(code, Some(0 | 3)), "{code:?}");
    }
    let before = group.server.chats().len();
    assert!((4..=10).contains(&before), "{before}");
    // Each machine says what it has, and then the group goes on to its limit.
    for machine in 0..2 {
        group
            .run(machine, &["budget", "settle", "group"])
            .assert_code(0);
    }
    group.storm(8);
    assert_eq!(group.server.chats().len(), 10);
}

fn a_new_machine_joins_a_group_that_goes_on() {
    let group = Group::of(3, "per_day = 1.0");
    group.dimes(0, 2);
    group.dimes(1, 1);
    group.dimes(2, 1);
    group.dimes(0, 1);
    for machine in 0..3 {
        let show = group.show(machine);
        assert_eq!(
            (
                &show["group"]["group_month_usd"],
                &show["group"]["difference_usd"]
            ),
            (&"0.5".into(), &"0".into())
        );
        assert_eq!(show["group"]["silent"], serde_json::json!([]));
    }
    assert_eq!(group.storm(4).0, 5);
}

fn a_new_machine_that_finds_an_emptied_redis_is_found_out_by_the_next_old_one() {
    let group = Group::of(2, "per_day = 1.0");
    group.dimes(0, 3);
    group.redis.tell(&["FLUSHALL"]);
    // It knows nothing of the group: to it this is the first request of one.
    group.dimes(1, 1);
    group.refused(0, "forgotten what the group spent");
    group.refused(1, "forgotten what the group spent");
    for machine in 0..2 {
        let show = group.show(machine);
        assert_eq!(
            (
                &show["group"]["group_month_usd"],
                &show["group"]["difference_usd"]
            ),
            (&"0.4".into(), &"0".into())
        );
    }
    group.run(1, &["budget", "settle", "group"]).assert_code(0);
    assert_eq!(group.storm(8).0, 6);
    assert_eq!(group.server.chats().len(), 10);
}

fn an_older_copy_of_redis_is_found_out_and_told_what_it_misses() {
    let mut group = Group::of(2, "per_day = 1.0");
    group.dimes(0, 1);
    group.dimes(1, 1);
    assert_eq!(group.redis.tell(&["SAVE"]), ["OK"]);
    group.dimes(1, 2);
    group.dimes(0, 1);
    group.redis.kill();
    group.redis.again();
    assert_eq!(
        group.show(1)["group"]["group_month_usd"],
        "0.2",
        "it came back with the copy"
    );
    assert_eq!(group.show(1)["group"]["difference_usd"], "-0.2");
    group.refused(1, "forgotten what the group spent");
    assert_eq!(
        group.show(1)["group"]["silent"].as_array().unwrap().len(),
        1
    );
    group.refused(0, "forgotten what the group spent");
    for machine in 0..2 {
        let show = group.show(machine);
        assert_eq!(
            (
                &show["group"]["group_month_usd"],
                &show["group"]["difference_usd"]
            ),
            (&"0.5".into(), &"0".into())
        );
        assert_eq!(show["group"]["silent"], serde_json::json!([]));
    }
    group.run(0, &["budget", "settle", "group"]).assert_code(0);
    assert_eq!(group.storm(8).0, 5);
    assert_eq!(group.server.chats().len(), 10);
}

fn an_older_copy_lends_nothing_to_a_machine_that_was_idle_meanwhile() {
    let mut group = Group::of(2, "per_day = 1.0");
    group.dimes(0, 1);
    group.dimes(1, 1);
    assert_eq!(group.redis.tell(&["SAVE"]), ["OK"]);
    group.dimes(0, 3);
    group.redis.kill();
    group.redis.again();
    // All that this one was ever told is in the copy; three dimes of the other one's are not.
    group.refused(1, "started anew");
    group.refused(1, "1 known machines");
    assert_eq!(
        group.show(1)["group"]["silent"].as_array().unwrap().len(),
        1
    );
    // The other one says what it has, and that something was lost.
    group.refused(0, "forgotten what the group spent");
    assert_eq!(group.show(1)["group"]["group_month_usd"], "0.5");
    group.run(1, &["budget", "settle", "group"]).assert_code(0);
    assert_eq!(group.storm(8).0, 5);
    assert_eq!(group.server.chats().len(), 10);
}

fn a_redis_that_lost_nothing_lends_again_when_all_have_spoken() {
    let mut group = Group::of(2, "per_day = 1.0");
    group.dimes(0, 1);
    group.dimes(1, 1);
    for _ in 0..2 {
        assert_eq!(group.redis.tell(&["SAVE"]), ["OK"]);
        group.redis.kill();
        group.redis.again();
    }
    group.refused(0, "started anew");
    group.dimes(1, 1);
    group.dimes(0, 1);
    assert_eq!(group.storm(8).0, 6);
    assert_eq!(group.server.chats().len(), 10);
}

fn a_machine_that_is_alone_goes_on_when_redis_was_started_anew() {
    let mut group = Group::of(1, "per_day = 0.3");
    for _ in 0..3 {
        group.dimes(0, 1);
        assert_eq!(group.redis.tell(&["SAVE"]), ["OK"]);
        group.redis.kill();
        group.redis.again();
    }
    group.refused(0, "for the group");
}

tests![
    an_emptied_redis_is_told_again_and_nothing_is_lost_or_doubled,
    a_redis_emptied_in_mid_run_never_lets_the_sum_pass_the_limit,
    a_new_machine_joins_a_group_that_goes_on,
    a_new_machine_that_finds_an_emptied_redis_is_found_out_by_the_next_old_one,
    an_older_copy_of_redis_is_found_out_and_told_what_it_misses,
    an_older_copy_lends_nothing_to_a_machine_that_was_idle_meanwhile,
    a_redis_that_lost_nothing_lends_again_when_all_have_spoken,
    a_machine_that_is_alone_goes_on_when_redis_was_started_anew,
];
