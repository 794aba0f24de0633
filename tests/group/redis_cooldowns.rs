//! Keys that one machine was told to leave alone: the others hear of it, and for how long.

#![allow(clippy::unwrap_used, reason = "the small functions of tests are tests")]

use std::time::Duration;

use chat_agent::chat::Timestamp;
use chat_agent::redis::{Cooldowns, Cooling, Redis, RedisSettings};

use crate::support::redis::RedisServer;

const HOUR: Duration = Duration::from_hours(1);

fn redis(server: &RedisServer) -> Redis {
    Redis::new(RedisSettings {
        url: server.url(),
        cluster: false,
        prefix: "t:".to_owned(),
        // A busy machine is no slow Redis.
        patience: Duration::from_secs(30),
    })
}

async fn cool_downs_are_told_and_end() {
    let server = RedisServer::start();
    let shared = Cooldowns::new(redis(&server));
    let cooling = |model: &str| Cooling {
        provider: "p".into(),
        fingerprint: "f".into(),
        model: model.into(),
    };
    let now = Timestamp(1_000_000);
    shared
        .cool(&cooling("a"), now.plus(HOUR), now)
        .await
        .unwrap();
    shared
        .cool(&cooling("a"), Timestamp(1_001_000), now)
        .await
        .unwrap();
    let found = shared
        .read(&[cooling("a"), cooling("b")], now)
        .await
        .unwrap();
    let (until, none) = (found[0].until.unwrap(), found[1].until);
    assert!(
        until > now.plus(HOUR / 2) && until <= now.plus(HOUR),
        "the later end stays: {until:?}"
    );
    assert_eq!(none, None);
    shared
        .cool(&cooling("c"), Timestamp(1_000_001), now)
        .await
        .unwrap();
    while shared.read(&[cooling("c")], now).await.unwrap()[0]
        .until
        .is_some()
    {}
    // What is left of its limits is stored beside it, for other machines to read.
    shared.tell_room(&cooling("b"), b"ten", HOUR).await.unwrap();
    let found = shared
        .read(&[cooling("a"), cooling("b")], now)
        .await
        .unwrap();
    assert_eq!(
        (found[0].room.as_deref(), found[1].room.as_deref()),
        (None, Some(&b"ten"[..]))
    );
    shared
        .tell_room(&cooling("b"), &[b'x'; 2000], HOUR)
        .await
        .unwrap();
    assert_eq!(
        shared.read(&[cooling("b")], now).await.unwrap()[0].room,
        None,
        "too long to be one of ours"
    );
}

async fn a_cool_down_is_as_long_for_a_machine_whose_clock_is_wrong() {
    let server = RedisServer::start();
    let shared = Cooldowns::new(redis(&server));
    let what = Cooling {
        provider: "p".into(),
        fingerprint: "f".into(),
        model: "m".into(),
    };
    let told = async |now| shared.read(std::slice::from_ref(&what), now).await.unwrap()[0].until;
    let (now, half) = (Timestamp(1_800_000_000_000), HOUR / 2);
    shared.cool(&what, now.plus(half), now).await.unwrap();
    for other in [
        Timestamp(now.0 - 86_400_000),
        Timestamp(now.0 - 7_000_000),
        now,
        now.plus(HOUR),
        now.plus(24 * HOUR),
    ] {
        let until = told(other).await.unwrap();
        assert!(
            until > other && until <= other.plus(half),
            "{other:?}: {until:?}"
        );
    }
    // What others may have written there is taken with care.
    let name = server.keys().pop().unwrap();
    for (value, holds) in [
        ("soon", false),
        ("inf", false),
        ("", false),
        ("9e15", true),
        ("1", false),
    ] {
        server.tell(&["SET", &name, value]);
        assert_eq!(told(now).await, holds.then(|| now.plus(HOUR)), "{value:?}");
    }
    server.tell(&["DEL", &name]);
    server.tell(&["LPUSH", &name, "x"]);
    assert_eq!(told(now).await, None);
}

tests![
    cool_downs_are_told_and_end,
    a_cool_down_is_as_long_for_a_machine_whose_clock_is_wrong,
];
