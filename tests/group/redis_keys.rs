//! Two machines that use the same keys: what one is told of a key, the other does not find out for itself.

#![allow(clippy::unwrap_used, reason = "the small functions of tests are tests")]

use crate::support;

use support::home::{Home, run};
use support::redis::RedisServer;
use support::server::{Answer, Keys, Request, Rules, Script, Server};

const KEYS: [&str; 2] = [
    "sk-first-0123456789abcdef-aaa1",
    "sk-second-0123456789abcdef-bbb2",
];

/// The first key is at its rate limit.
fn server() -> Server {
    let choose = |request: &Request| {
        let limited = request.key() == Some(KEYS[0]);
        limited.then(|| {
            Answer::error(429, "rate_limit_exceeded", "slow down").header("retry-after", "300")
        })
    };
    let rules = Rules {
        keys: Keys::Of(KEYS.map(str::to_owned).to_vec()),
        ..Rules::default()
    };
    Server::start(
        Script::always(Answer::text("ok"))
            .choose(choose)
            .rules(rules),
    )
}

/// Little is left of the first key's requests, and most of the second's.
fn running_low() -> Server {
    let choose = |request: &Request| {
        let left = if request.key() == Some(KEYS[0]) {
            "3"
        } else {
            "90"
        };
        let answer = Answer::text("ok").header("x-ratelimit-limit-requests", "100");
        Some(
            answer
                .header("x-ratelimit-remaining-requests", left)
                .header("x-ratelimit-reset-requests", "30m0s"),
        )
    };
    let rules = Rules {
        keys: Keys::Of(KEYS.map(str::to_owned).to_vec()),
        ..Rules::default()
    };
    Server::start(
        Script::always(Answer::text("ok"))
            .choose(choose)
            .rules(rules),
    )
}

fn machine(server: &Server, redis: &str) -> Home {
    let home = Home::new();
    home.config(&format!(
        "[cache]\nenabled = false\n[[providers]]\nname = \"mine\"\nbase_urls = [\"{}\"]\n\
         keys = [{{ env = \"ONE\" }}, {{ env = \"TWO\" }}]\n[[models]]\nid = \"mine/m\"\ninput = 1\noutput = 100\n\
         context = 100000\n[[models]]\nid = \"mine/n\"\ninput = 1\noutput = 100\ncontext = 100000\n{redis}\n",
        server.base_url(),
    ));
    home
}

/// Asks, gets an answer, and gives the keys that the server saw for it, by number.
#[track_caller]
fn ask(home: &Home, server: &Server, model: &str) -> Vec<usize> {
    let before = server.chats().len();
    let mut command = home.chat_agent();
    command
        .args(["ask", "hi", "-m", model])
        .envs(["ONE", "TWO"].into_iter().zip(KEYS));
    run(command, b"", support::PATIENCE).assert_code(0);
    let of = |request: &Request| {
        KEYS.iter()
            .position(|key| request.key() == Some(key))
            .unwrap()
            + 1
    };
    server.chats()[before..].iter().map(of).collect()
}

fn a_key_that_one_machine_was_told_to_leave_alone_is_left_alone_by_the_other() {
    let (mut redis, server) = (RedisServer::start(), server());
    let shared = format!("[redis]\nurl = \"{}\"\npatience = \"30s\"", redis.url());
    let (one, two) = (machine(&server, &shared), machine(&server, &shared));
    let alone = machine(&server, "");
    assert_eq!(ask(&one, &server, "mine/m"), [1, 2]);
    assert_eq!(ask(&two, &server, "mine/m"), [2], "it has heard of it");
    assert_eq!(
        ask(&alone, &server, "mine/m"),
        [1, 2],
        "one without Redis has not"
    );
    assert_eq!(
        ask(&two, &server, "mine/n"),
        [1, 2],
        "another model has limits of its own"
    );
    let kept = redis.keys();
    assert_eq!(kept.len(), 2, "{kept:?}");
    for name in &kept {
        let ttl: i64 = redis.tell(&["TTL", name])[0].parse().unwrap();
        assert!((1..=300).contains(&ttl), "{name}: {ttl}");
        assert!(
            KEYS.iter().all(|key| !name.contains(&key[key.len() - 4..])),
            "{name}"
        );
    }
    redis.kill();
    for home in [&one, &two] {
        assert_eq!(
            ask(home, &server, "mine/m"),
            [1, 2],
            "without Redis everybody finds out for themselves"
        );
    }
}

fn what_is_left_of_a_key_is_known_to_the_other_machine() {
    let (redis, server) = (RedisServer::start(), running_low());
    let shared = format!("[redis]\nurl = \"{}\"\npatience = \"30s\"", redis.url());
    let (one, two, alone) = (
        machine(&server, &shared),
        machine(&server, &shared),
        machine(&server, ""),
    );
    assert_eq!(ask(&one, &server, "mine/m"), [1]);
    assert_eq!(
        ask(&two, &server, "mine/m"),
        [2],
        "the first has three requests left of a hundred"
    );
    assert_eq!(ask(&one, &server, "mine/m"), [2], "in another process, too");
    assert_eq!(
        ask(&alone, &server, "mine/m"),
        [1],
        "one without Redis begins with the first"
    );
    assert_eq!(
        ask(&two, &server, "mine/n"),
        [1],
        "another model has limits of its own"
    );
    let kept = redis.keys();
    assert_eq!(kept.len(), 2, "what is plenty is not told: {kept:?}");
    for name in &kept {
        let ttl: i64 = redis.tell(&["TTL", name])[0].parse().unwrap();
        assert!((1..=1800).contains(&ttl), "{name}: {ttl}");
        let value = redis.tell(&["GET", name]).concat();
        assert!(
            KEYS.iter()
                .all(|key| !name.contains(&key[key.len() - 4..]) && !value.contains(&key[3..8])),
            "{name}"
        );
    }
    // What others may have written there is taken with care.
    for name in &kept {
        redis.tell(&["SET", name, "{\"said\":-1e99}"]);
    }
    assert_eq!(ask(&two, &server, "mine/m"), [1]);
}

tests![
    a_key_that_one_machine_was_told_to_leave_alone_is_left_alone_by_the_other,
    what_is_left_of_a_key_is_known_to_the_other_machine,
];
