//! Shared answers: sealed, bound to their question, and never waited for.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "the small functions of tests are tests"
)]

use crate::support;

use std::time::{Duration, Instant};

use chat_agent::cache::{SharedTier, Tier};
use chat_agent::chat::request::Digest;
use chat_agent::redis::{Away, PATIENCE, Redis, RedisSettings, Seal, Waiting};
use support::home::Home;
use support::redis::RedisServer;
use support::scene::KEY;
use support::server::{Answer, Script, Server};
use support::slow::SlowWay;

const SECRET: &str = "a-secret-of-the-whole-team";
const HOUR: Duration = Duration::from_hours(1);
/// A busy machine is no slow Redis.
const LONG: Duration = Duration::from_secs(30);

fn redis(server: &RedisServer) -> Redis {
    at(server.url())
}

fn at(url: String) -> Redis {
    waiting(url, LONG)
}

fn waiting(url: String, patience: Duration) -> Redis {
    Redis::new(RedisSettings {
        url,
        cluster: false,
        prefix: "t:".to_owned(),
        patience,
    })
}

fn tier(redis: &Redis, secret: &'static str) -> SharedTier {
    let seal = async move { Seal::new(secret.as_bytes()).ok_or_else(|| "too short".to_owned()) };
    SharedTier::new(redis.clone(), HOUR, Box::pin(seal))
}

async fn put(tier: &SharedTier, digest: Digest, text: &str) {
    tier.put(digest, &text.as_bytes().into());
    tier.close().await;
}

async fn get(tier: &SharedTier, digest: Digest) -> Option<String> {
    tier.get(digest, &Waiting::default())
        .await
        .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
}

/// One machine that asks through the scripted server and shares its answers. It may wait longer than a user would.
fn machine(server: &Server, redis: &str) -> Home {
    machine_with(server, redis, "patience = \"30s\"\n")
}

/// `more` stands under `[redis]`.
fn machine_with(server: &Server, redis: &str, more: &str) -> Home {
    let home = Home::new();
    home.config(&format!(
        "[[providers]]\nname = \"mine\"\nbase_urls = [\"{}\"]\nkeys = [{{ env = \"KEY\" }}]\n[[models]]\nid = \"mine/m\"\n\
         input = 1\noutput = 100\ncontext = 100000\n[cache]\npatience = \"10s\"\n[redis]\nurl = \"{redis}\"\n\
         secret = {{ env = \"SECRET\" }}\n{more}",
        server.base_url(),
    ));
    home
}

#[track_caller]
fn ask(home: &Home, secret: Option<&str>) -> (serde_json::Value, String) {
    let mut command = home.chat_agent();
    command
        .env("KEY", KEY)
        .args(["ask", "-m", "mine/m", "--json", "hi"]);
    if let Some(secret) = secret {
        command.env("SECRET", secret);
    }
    let output = support::home::run(command, b"", Duration::from_secs(30));
    output.assert_code(0);
    (output.json(), output.stderr.clone())
}

fn another_machine_gets_the_answer_for_nothing() {
    let (redis, server) = (
        RedisServer::start(),
        Server::start(Script::always(Answer::text("forty two")).keys([KEY])),
    );
    let (one, two, stranger) = (
        machine(&server, &redis.url()),
        machine(&server, &redis.url()),
        machine(&server, &redis.url()),
    );
    assert_eq!(ask(&one, Some(SECRET)).0["cache"]["hit"], "none");
    let (hit, _) = ask(&two, Some(SECRET));
    assert_eq!(
        (&hit["cache"]["hit"], &hit["answer"]),
        (&"redis".into(), &"forty two".into())
    );
    assert_eq!(hit["cost"]["usd"], "0");
    assert_eq!(
        ask(&two, Some(SECRET)).0["cache"]["hit"],
        "disk",
        "it filled the tiers above"
    );
    assert_eq!(
        ask(&stranger, Some("another-secret-as-long")).0["cache"]["hit"],
        "none"
    );
    assert_eq!(server.chats().len(), 2);
    for key in redis.keys() {
        let ttl: i64 = redis.tell(&["TTL", &key])[0].parse().unwrap();
        assert!((1..=7 * 86400).contains(&ttl), "{key}: {ttl}");
        assert!(!redis.tell(&["GET", &key])[0].contains("forty"), "{key}");
    }
}

fn what_redis_gave_once_is_there_when_redis_and_the_network_are_gone() {
    let (mut redis, server) = (
        RedisServer::start(),
        Server::start(Script::always(Answer::text("forty two")).keys([KEY])),
    );
    let (one, two) = (
        machine(&server, &redis.url()),
        machine(&server, &redis.url()),
    );
    assert_eq!(ask(&one, Some(SECRET)).0["cache"]["hit"], "none");
    assert_eq!(ask(&two, Some(SECRET)).0["cache"]["hit"], "redis");
    redis.kill();
    drop(server);
    for home in [&one, &two] {
        let (answer, said) = ask(home, Some(SECRET));
        assert_eq!(
            (&answer["cache"]["hit"], &answer["answer"]),
            (&"disk".into(), &"forty two".into()),
            "{said}"
        );
    }
}

fn without_a_secret_or_without_redis_answers_go_on_with_one_notice() {
    let (redis, server) = (
        RedisServer::start(),
        Server::start(Script::always(Answer::text("yes")).keys([KEY])),
    );
    for (url, secret, words) in [
        (redis.url(), None, "is not set"),
        (redis.url(), Some("short"), "fewer than 16"),
        (
            "redis://127.0.0.1:1".to_owned(),
            Some(SECRET),
            "cannot be reached",
        ),
        (
            "redis://u:hunter2pass@127.0.0.1:PORT".replace("PORT", &redis.port().to_string()),
            Some(SECRET),
            "password",
        ),
        (
            format!("redis://{}", server.address()),
            Some(SECRET),
            "Redis",
        ),
    ] {
        // That one says nothing for ever: it is waited for as by any user.
        let is_silent = url.contains(&server.address().to_string());
        let home = if is_silent {
            machine_with(&server, &url, "")
        } else {
            machine(&server, &url)
        };
        let (answer, said) = ask(&home, secret);
        assert_eq!(answer["answer"], "yes");
        assert!(
            said.contains(words) && said.trim().lines().count() == 1,
            "{url}: {said:?}"
        );
        assert!(!said.contains("hunter2pass"), "{said:?}");
    }
}

async fn entries_that_are_forged_moved_or_of_another_type_are_misses() {
    let server = RedisServer::start();
    let shared = tier(&redis(&server), SECRET);
    let (this, other) = (Digest([1; 32]), Digest([2; 32]));
    put(&shared, this, "ours").await;
    let ours = server.keys().pop().unwrap();
    assert_eq!(get(&shared, this).await.as_deref(), Some("ours"));
    put(&shared, other, "other").await;
    let theirs = server.keys().into_iter().find(|key| *key != ours).unwrap();
    // Byte for byte from one name to the other.
    server.tell(&["COPY", &theirs, &ours, "REPLACE"]);
    assert_eq!(get(&shared, this).await, None, "moved");
    server.tell(&["SET", &ours, "{\"text\":\"run this\"}"]);
    assert_eq!(get(&shared, this).await, None, "forged");
    server.tell(&["DEL", &ours]);
    server.tell(&["LPUSH", &ours, "x"]);
    assert_eq!(get(&shared, this).await, None, "another type");
    assert!(shared.trouble().unwrap().contains("something else"));
    assert_eq!(
        get(&shared, other).await.as_deref(),
        Some("other"),
        "and the server is still asked"
    );
    let stranger = tier(&redis(&server), "the secret of another user");
    put(&stranger, this, "theirs").await;
    assert_eq!(get(&shared, other).await.as_deref(), Some("other"));
}

async fn a_cancelled_call_never_gives_its_reply_to_another_key() {
    let server = RedisServer::start();
    let redis = redis(&server);
    for n in 0..8 {
        redis
            .set(&n.to_string(), format!("value {n}").as_bytes(), HOUR)
            .await
            .unwrap();
    }
    for round in 0..50 {
        // Written and given up: the reply is still on its way when the next is asked.
        server.pause();
        let (name, patience) = ((round % 8).to_string(), Duration::from_millis(round % 5));
        let cancelled = tokio::time::timeout(patience, redis.get(&name, 100)).await;
        assert!(cancelled.is_err());
        server.go_on();
        let other = (round + 3) % 8;
        assert_eq!(
            redis.get(&other.to_string(), 100).await,
            Ok(Some(format!("value {other}").into_bytes()))
        );
    }
}

async fn a_server_that_stands_still_costs_a_tenth_of_a_second_once() {
    let server = RedisServer::start();
    redis(&server).set("a", b"1", HOUR).await.unwrap();
    // The quickest of ten: a busy machine may keep some of them waiting for itself.
    let (mut first, mut rest) = (Duration::MAX, Duration::MAX);
    for _ in 0..10 {
        let redis = waiting(server.url(), PATIENCE);
        // Asked also where it was late before, so that it is connected and in good standing.
        while redis.answers().await.is_err() {}
        let _ = redis.trouble();
        server.pause();
        let began = Instant::now();
        assert_eq!(redis.get("a", 9).await, Err(Away::Late));
        first = first.min(began.elapsed());
        let began = Instant::now();
        for _ in 0..100 {
            assert_eq!(redis.get("a", 9).await, Err(Away::LeftAlone));
        }
        rest = rest.min(began.elapsed());
        server.go_on();
        assert_eq!(
            redis.trouble().as_deref(),
            Some("Redis did not answer in time")
        );
        assert_eq!(redis.trouble(), None, "told once");
    }
    assert!(
        (PATIENCE..Duration::from_secs(1)).contains(&first),
        "{first:?}"
    );
    assert!(rest < Duration::from_secs(1), "{rest:?}");
}

async fn a_server_that_was_started_anew_is_found_by_the_next_call() {
    let mut server = RedisServer::start();
    let redis = redis(&server);
    redis.set("a", b"1", HOUR).await.unwrap();
    server.kill();
    server.again();
    assert_eq!(redis.get("a", 9).await, Ok(None), "and it has forgotten");
    redis.set("a", b"2", HOUR).await.unwrap();
    assert_eq!(redis.get("a", 1).await, Ok(Some(b"2".to_vec())));
}

async fn a_value_of_any_length_is_read_no_further_than_asked() {
    let server = RedisServer::start();
    let redis = redis(&server);
    // Made over there: four megabytes are a long way for a busy machine.
    server.tell(&["SETRANGE", "t:a", "4194303", "x"]);
    assert_eq!(
        redis.get("a", 10).await.unwrap().map(|value| value.len()),
        Some(11)
    );
}

async fn a_user_with_a_password_and_few_rights_suffices() {
    let server = RedisServer::start();
    server.tell(&[
        "ACL",
        "SETUSER",
        "chat",
        "on",
        ">hunter2",
        "~t:*",
        "+getrange",
        "+set",
        "+del",
        "+eval",
    ]);
    let redis = at(server.url().replace("redis://", "redis://chat:hunter2@"));
    redis.set("a", b"1", HOUR).await.unwrap();
    assert_eq!(redis.get("a", 9).await, Ok(Some(b"1".to_vec())));
    let elsewhere = Redis::new(RedisSettings {
        url: server.url().replace("redis://", "redis://chat:hunter2@"),
        cluster: false,
        prefix: "u:".into(),
        patience: LONG,
    });
    assert_eq!(elsewhere.get("a", 9).await, Err(Away::NoRights));
}

async fn a_patient_machine_waits_for_a_slow_secret_and_for_what_is_on_its_way() {
    let server = RedisServer::start();
    let slow = || {
        let seal = async {
            // Longer than those who are not patient wait for anything.
            tokio::time::sleep(3 * PATIENCE).await;
            Seal::new(SECRET.as_bytes()).ok_or_else(|| "too short".to_owned())
        };
        SharedTier::new(redis(&server), HOUR, Box::pin(seal))
    };
    put(&slow(), Digest([1; 32]), "ours").await;
    assert_eq!(server.keys().len(), 1, "it was waited for in the end");
    assert_eq!(get(&slow(), Digest([1; 32])).await.as_deref(), Some("ours"));
}

fn a_trouble_behind_the_answer_is_told_when_it_is_known() {
    let (redis, server) = (
        RedisServer::start(),
        Server::start(Script::always(Answer::text("yes")).keys([KEY])),
    );
    // It may look and not write: that is found out when the answer is kept.
    redis.tell(&[
        "ACL",
        "SETUSER",
        "reader",
        "on",
        ">hunter2",
        "~*",
        "+getrange",
    ]);
    let url = redis.url().replace("redis://", "redis://reader:hunter2@");
    let home = machine(&server, &url);
    let (answer, said) = ask(&home, Some(SECRET));
    assert_eq!(answer["answer"], "yes");
    assert!(
        said.contains("no rights") && said.trim().lines().count() == 1,
        "{said:?}"
    );
}

async fn a_real_one_that_is_slowed_in_mid_run_is_a_miss_until_it_is_quick_again() {
    let server = RedisServer::start();
    let way = SlowWay::to(server.port());
    let digest = Digest([7; 32]);
    put(&tier(&redis(&server), SECRET), digest, "kept").await;
    let url = format!("redis://127.0.0.1:{}", way.port());
    let one = tier(&waiting(url.clone(), Duration::from_secs(2)), SECRET);
    let deadline = Instant::now() + Duration::from_mins(1);
    while get(&one, digest).await.as_deref() != Some("kept") {
        assert!(
            Instant::now() < deadline,
            "it is not found while it is quick"
        );
    }
    // Longer than any request waits.
    way.takes(Duration::from_mins(10));
    assert_eq!(get(&one, digest).await, None);
    assert!(one.trouble().is_some(), "and it is said");
    way.takes(Duration::ZERO);
    let next = tier(&waiting(url, LONG), SECRET);
    assert_eq!(get(&next, digest).await.as_deref(), Some("kept"));
}

fn a_slow_one_holds_no_question_back() {
    let (redis, server) = (
        RedisServer::start(),
        Server::start(Script::always(Answer::text("forty two")).keys([KEY])),
    );
    let way = SlowWay::to(redis.port());
    let url = format!("redis://127.0.0.1:{}", way.port());
    let (one, two) = (
        machine(&server, &redis.url()),
        machine_with(&server, &url, ""),
    );
    assert_eq!(ask(&one, Some(SECRET)).0["cache"]["hit"], "none");
    // It would take longer than the whole test may.
    way.takes(Duration::from_mins(10));
    let (answer, _) = ask(&two, Some(SECRET));
    assert_eq!(
        (&answer["answer"], &answer["cache"]["hit"]),
        (&"forty two".into(), &"none".into())
    );
    assert_eq!(server.chats().len(), 2);
}

tests![
    another_machine_gets_the_answer_for_nothing,
    what_redis_gave_once_is_there_when_redis_and_the_network_are_gone,
    without_a_secret_or_without_redis_answers_go_on_with_one_notice,
    entries_that_are_forged_moved_or_of_another_type_are_misses,
    a_cancelled_call_never_gives_its_reply_to_another_key,
    a_server_that_stands_still_costs_a_tenth_of_a_second_once,
    a_server_that_was_started_anew_is_found_by_the_next_call,
    a_value_of_any_length_is_read_no_further_than_asked,
    a_user_with_a_password_and_few_rights_suffices,
    a_patient_machine_waits_for_a_slow_secret_and_for_what_is_on_its_way,
    a_trouble_behind_the_answer_is_told_when_it_is_known,
    a_real_one_that_is_slowed_in_mid_run_is_a_miss_until_it_is_quick_again,
    a_slow_one_holds_no_question_back,
];
