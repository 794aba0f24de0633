//! Machines that share a Redis and ask the same at the same time: one of them pays, and none waits for a machine that died.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "the small functions of tests are tests"
)]

use crate::answers;
use crate::support;

use std::process::Stdio;
use std::time::Duration;

use answers::{DAY, Folder, NOW, PROGRAM, digest, entry, follower, kept, leader, until};
use chat_agent::cache::{Cache, SharedTier, Tier};
use chat_agent::redis::{Redis, RedisSettings, Seal};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use support::PATIENCE;
use support::home::Home;
use support::redis::RedisServer;
use support::scene::KEY;
use support::server::{Answer, Gate, Script, Server};
use tokio::time::timeout;

const SECRET: &str = "a-secret-of-the-whole-team";

/// The shared tier of one machine. It may wait longer than a user would: these tests are not about speed.
fn tier(redis: &RedisServer) -> Box<dyn Tier> {
    let settings = RedisSettings {
        url: redis.url(),
        cluster: false,
        prefix: "t:".to_owned(),
        patience: Duration::from_secs(30),
    };
    let seal = async { Seal::new(SECRET.as_bytes()).ok_or_else(|| "too short".to_owned()) };
    Box::new(SharedTier::new(Redis::new(settings), DAY, Box::pin(seal)))
}

/// A machine that has nothing but Redis, and has looked there in vain.
async fn machine(redis: &RedisServer) -> Cache {
    let cache = Cache::of(vec![tier(redis)], 7 * DAY);
    assert_eq!(cache.get(digest(1), NOW).await, None);
    cache
}

/// The name of the one answer that some machine fetches.
fn flight(redis: &RedisServer) -> Option<String> {
    redis.keys().into_iter().find(|key| key.contains("flight:"))
}

fn left_ms(redis: &RedisServer) -> i64 {
    flight(redis).map_or(-2, |key| redis.tell(&["PTTL", &key])[0].parse().unwrap())
}

async fn one_machine_fetches_and_the_others_have_it_also_when_one_of_them_gives_up() {
    let redis = RedisServer::start();
    let [one, two, three] = [
        machine(&redis).await,
        machine(&redis).await,
        machine(&redis).await,
    ];
    let guard = leader(&one).await;
    let (goes, stays) = (follower(&two).await, follower(&three).await);
    let here = follower(&three).await;
    let [goes, stays, here] = [goes, stays, here].map(|follower| tokio::spawn(follower.wait(NOW)));
    goes.abort();
    assert!(goes.await.unwrap_err().is_cancelled());
    assert!(left_ms(&redis) > 0, "the others still follow");
    guard.put(&entry("yes"));
    for waiter in [stays, here] {
        assert_eq!(
            timeout(PATIENCE, waiter)
                .await
                .unwrap()
                .unwrap()
                .unwrap()
                .entry
                .text,
            "yes"
        );
    }
    one.close().await;
    assert_eq!(flight(&redis), None, "it was given back");
}

async fn a_machine_that_fails_lets_the_next_one() {
    let redis = RedisServer::start();
    let (one, two) = (machine(&redis).await, machine(&redis).await);
    let guard = leader(&one).await;
    let waiter = tokio::spawn(follower(&two).await.wait(NOW));
    drop(guard);
    assert_eq!(timeout(PATIENCE, waiter).await.unwrap().unwrap(), None);
    let _leads = leader(&two).await;
    follower(&one).await;
}

async fn who_fetches_lets_hear_of_itself_and_gives_back_only_what_is_its_own() {
    let redis = RedisServer::start();
    let one = machine(&redis).await;
    let guard = leader(&one).await;
    let name = flight(&redis).unwrap();
    redis.tell(&["PEXPIRE", &name, "3600000"]);
    let deadline = std::time::Instant::now() + PATIENCE;
    while left_ms(&redis) > 10_000 {
        assert!(std::time::Instant::now() < deadline, "it is not renewed");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // Its time was over, and another machine has it now.
    redis.tell(&["SET", &name, "of another machine", "PX", "3600000"]);
    guard.put(&entry("yes"));
    one.close().await;
    assert_eq!(redis.tell(&["GET", &name]), ["of another machine"]);
    assert!(left_ms(&redis) > 10_000, "nor was it renewed");
}

async fn without_redis_everybody_goes_ahead() {
    let mut redis = RedisServer::start();
    let (one, two, late) = (
        machine(&redis).await,
        machine(&redis).await,
        machine(&redis).await,
    );
    let guard = leader(&one).await;
    let waiter = tokio::spawn(follower(&two).await.wait(NOW));
    redis.kill();
    assert_eq!(
        timeout(PATIENCE, waiter).await.unwrap().unwrap(),
        None,
        "a state that cannot be known is not waited for"
    );
    leader(&two).await;
    leader(&late).await;
    guard.put(&entry("lost without harm"));
    timeout(PATIENCE, one.close()).await.unwrap();
}

async fn of_two_processes_on_one_machine_one_waits_for_the_other_machine() {
    let (redis, folder) = (RedisServer::start(), Folder::new());
    let process = || {
        Cache::new(
            &folder.path(),
            Folder::settings(),
            Some(PROGRAM.into()),
            Some(tier(&redis)),
        )
    };
    let (far, one, two) = (machine(&redis).await, process(), process());
    for (n, cache) in [(100, &one), (101, &two)] {
        kept(cache, n, "up").await;
    }
    let guard = leader(&far).await;
    for cache in [&one, &two] {
        assert_eq!(cache.get(digest(1), NOW).await, None);
    }
    let waiting = [follower(&one).await, follower(&two).await]
        .map(|follower| tokio::spawn(follower.wait(NOW)));
    guard.put(&entry("yes"));
    for waiter in waiting {
        assert_eq!(
            timeout(PATIENCE, waiter)
                .await
                .unwrap()
                .unwrap()
                .unwrap()
                .entry
                .text,
            "yes"
        );
    }
}

/// One machine that asks through the scripted server.
fn home(server: &Server, redis: &RedisServer) -> Home {
    let home = Home::new();
    home.config(&format!(
        "[budget]\nper_day = 5\n[[providers]]\nname = \"mine\"\nbase_urls = [\"{}\"]\nkeys = [{{ env = \"KEY\" }}]\n\
         [[models]]\nid = \"mine/m\"\ninput = 1\noutput = 100\ncontext = 100000\n\
         [cache]\npatience = \"10s\"\n[redis]\nurl = \"{}\"\nsecret = {{ env = \"SECRET\" }}\npatience = \"30s\"\n",
        server.base_url(),
        redis.url(),
    ));
    home
}

fn command(home: &Home, args: &[&str]) -> std::process::Command {
    let mut command = home.chat_agent();
    command.env("KEY", KEY).env("SECRET", SECRET).args(args);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

const ASK: [&str; 5] = ["ask", "-m", "mine/m", "--json", "hi"];

fn report(output: &std::process::Output) -> Value {
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// How often Redis was read from; who waits for an answer does so again and again.
fn reads(redis: &RedisServer) -> u64 {
    let stats = redis.tell(&["INFO", "commandstats"]).concat();
    let line = stats
        .lines()
        .find_map(|line| line.strip_prefix("cmdstat_getrange:calls="));
    line.map_or(0, |rest| rest.split(',').next().unwrap().parse().unwrap())
}

/// Starts the second machine's question while the first one's is under way, and returns when it waits.
fn second(home: &Home, redis: &RedisServer) -> std::process::Child {
    let before = reads(redis);
    let child = command(home, &ASK).spawn().unwrap();
    until("the second machine waits", || reads(redis) > before + 4);
    child
}

fn two_machines_one_request_and_nothing_held_while_waiting() {
    let (redis, gate) = (RedisServer::start(), Gate::new());
    let server =
        Server::start(Script::always(Answer::text("forty two").gate_after(1, &gate)).keys([KEY]));
    let (one, two) = (home(&server, &redis), home(&server, &redis));
    let first = command(&one, &ASK).spawn().unwrap();
    gate.wait_reached(1);
    let second = second(&two, &redis);
    let show = |home: &Home| {
        report(
            &command(home, &["budget", "show", "--json"])
                .output()
                .unwrap(),
        )
    };
    assert_eq!(show(&one)["open"].as_array().unwrap().len(), 1);
    let waiting = show(&two);
    assert_eq!(
        (&waiting["open"], &waiting["scopes"][0]["reserved_usd"]),
        (&json!([]), &json!("0"))
    );
    gate.open();
    let (first, second) = (
        report(&first.wait_with_output().unwrap()),
        report(&second.wait_with_output().unwrap()),
    );
    assert_eq!(
        (&first["answer"], &first["cache"]["hit"]),
        (&json!("forty two"), &json!("none"))
    );
    assert_eq!(
        (&second["answer"], &second["cache"]["hit"]),
        (&json!("forty two"), &json!("redis"))
    );
    assert_eq!(second["cost"]["usd"], "0");
    assert_eq!(server.chats().len(), 1);
}

fn when_the_machine_that_fetches_dies_the_one_that_waits_fetches() {
    let (redis, gate) = (RedisServer::start(), Gate::new());
    let script = Script::each([
        Answer::text("lost").gate_after(1, &gate),
        Answer::text("found"),
    ]);
    let server = Server::start(script.keys([KEY]));
    let (one, two) = (home(&server, &redis), home(&server, &redis));
    let mut first = command(&one, &ASK).spawn().unwrap();
    gate.wait_reached(1);
    let second = second(&two, &redis);
    kill_process(Pid::from_child(&first), Signal::KILL).unwrap();
    first.wait().unwrap();
    let left = left_ms(&redis);
    assert!(left <= 10_000, "{left} ms until the dead one is given up");
    // The rest of that time passes at once. It may be over already, on a machine that is so slow.
    if let Some(name) = flight(&redis).filter(|_| left > 0) {
        redis.tell(&["PEXPIRE", &name, "1"]);
    }
    let second = report(&second.wait_with_output().unwrap());
    assert_eq!(
        (&second["answer"], &second["cache"]["hit"]),
        (&json!("found"), &json!("none"))
    );
    assert_eq!(server.chats().len(), 2);
    gate.open();
}

tests![
    one_machine_fetches_and_the_others_have_it_also_when_one_of_them_gives_up,
    a_machine_that_fails_lets_the_next_one,
    who_fetches_lets_hear_of_itself_and_gives_back_only_what_is_its_own,
    without_redis_everybody_goes_ahead,
    of_two_processes_on_one_machine_one_waits_for_the_other_machine,
    two_machines_one_request_and_nothing_held_while_waiting,
    when_the_machine_that_fetches_dies_the_one_that_waits_fetches,
];
