//! Several addresses of one provider: the quicker one that works is asked, and another before another model.

#![allow(clippy::unwrap_used, reason = "the small functions of tests are tests")]

use crate::gateways;
use crate::support;

use std::time::Duration;

use chat_agent::chat::{FailureKind, Usd};
use gateways::{World, run, usd};
use support::closed::Closed;
use support::server::{Answer, Script, Server};

fn with(first: String, second: &Server) -> World {
    World::new(
        vec![first, second.base_url()],
        vec![second.base_url()],
        |_| {},
    )
}

fn good() -> Server {
    Server::start(Script::always(Answer::text("ok").usage(10, 100)))
}

#[test]
fn one_that_fails_gives_way_to_the_other_and_every_attempt_is_settled_once() {
    run(async {
        let dead = Server::start(Script::always(
            Answer::error(503, "overloaded_error", "full").header("retry-after-ms", "1"),
        ));
        let server = good();
        let world = with(dead.base_url(), &server);
        for n in 1..=20 {
            let told = world.ask().await;
            assert_eq!(told.text(), "ok");
            let host = |url: String| {
                url.trim_start_matches("http://")
                    .trim_end_matches("/v1")
                    .to_owned()
            };
            let hosts: Vec<_> = told
                .attempts
                .iter()
                .map(|attempt| attempt.endpoint.clone().unwrap())
                .collect();
            assert_eq!(hosts.last(), Some(&host(server.base_url())));
            assert!(
                hosts[..hosts.len() - 1]
                    .iter()
                    .all(|asked| *asked == host(dead.base_url())),
                "{hosts:?}"
            );
            assert_eq!(
                told.pauses.len(),
                hosts.len().saturating_sub(2),
                "one wait, for the second try: {told:#?}"
            );
            // A hundred tokens of output are a cent; what the dead one refused costs nothing.
            assert_eq!(world.money(), (usd("0.01").times(n), Usd::ZERO));
        }
        assert!(
            dead.chats().len() <= 2,
            "a bad memory: {}",
            dead.chats().len()
        );
        assert_eq!(server.chats().len(), 20);
    });
}

#[test]
fn where_nobody_listens_the_other_one_is_asked_at_once() {
    run(async {
        let closed = Closed::new();
        let server = good();
        for _ in 0..4 {
            let world = with(closed.base_url(), &server);
            let told = world.ask().await;
            assert_eq!(told.text(), "ok");
            assert!(
                told.attempts.len() <= 2 && told.pauses.is_empty(),
                "{told:#?}"
            );
        }
        server.assert_clean();
    });
}

#[test]
fn the_silent_one_is_not_asked_again() {
    run(async {
        let silent = Server::start(Script::always(Answer::text("late").delay_headers(60_000)));
        let server = good();
        for _ in 0..4 {
            let world = World::new(
                vec![silent.base_url(), server.base_url()],
                vec![server.base_url()],
                |config| {
                    config.limits.first_token_timeout = Duration::from_secs(3);
                },
            );
            let before = silent.chats().len();
            let told = world.ask().await;
            assert_eq!(told.text(), "ok");
            assert!(silent.chats().len() <= before + 1, "{told:#?}");
            // What the silent one bills is unknown: its reservation of ten cents stays booked.
            let silence = u64::try_from(told.attempts.len()).unwrap() - 1;
            assert_eq!(
                world.money(),
                (usd("0.1").times(silence) + usd("0.01"), Usd::ZERO)
            );
        }
    });
}

#[test]
fn the_quicker_one_gets_most_of_the_requests() {
    run(async {
        // Slower than any busy machine makes the other one.
        let slow = Server::start(Script::always(Answer::text("ok").delay_headers(3000)));
        let server = good();
        let world = with(slow.base_url(), &server);
        for _ in 0..20 {
            assert_eq!(world.ask().await.text(), "ok");
        }
        assert!(
            slow.chats().len() <= 2,
            "{} of 20 went to the slow one",
            slow.chats().len()
        );
    });
}

/// Two addresses, of which the first has failed so often that its circuit is open; then it answers as the script says.
async fn with_one_shut(retries: u32, then: Answer) -> (World, Server, Server) {
    let down = || Answer::error(500, "server_error", "oops").header("retry-after-ms", "1");
    let (failed, steady) = (
        Server::start(Script::each((0..5).map(|_| down()).chain([then]))),
        good(),
    );
    let mut world = World::of(&failed, |config| config.limits.retries = retries);
    while failed.chats().len() < 5 {
        assert_eq!(world.ask().await.failure().kind, FailureKind::Unavailable);
    }
    world.restart_at(&[&failed, &steady]);
    let told = world.ask().await;
    assert_eq!(
        (told.text(), told.attempts.len(), failed.requests().len()),
        ("ok", 1, 5),
        "{told:#?}"
    );
    world.pass(Duration::from_secs(7));
    (world, failed, steady)
}

fn paths(server: &Server, from: usize) -> Vec<String> {
    server.requests()[from..]
        .iter()
        .map(|request| request.path.clone())
        .collect()
}

#[test]
fn one_that_recovers_comes_back() {
    run(async {
        let (world, failed, steady) = with_one_shut(1, Answer::text("back").usage(10, 100)).await;
        let told = world.ask().await;
        assert_eq!((told.text(), told.attempts.len()), ("back", 1), "{told:#?}");
        assert_eq!(paths(&failed, 5), ["/v1/models", "/v1/chat/completions"]);
        // All is well again: the list is not asked for any more.
        world.ask().await;
        assert_eq!(failed.requests().len() + steady.requests().len(), 9);
        failed.assert_clean();
        steady.assert_clean();
    });
}

#[test]
fn one_that_is_still_dead_costs_nobody_an_answer() {
    run(async {
        let (world, failed, steady) = with_one_shut(1, Answer::text("never")).await;
        drop(failed);
        let told = world.ask().await;
        assert_eq!(
            (told.text(), told.attempts.len(), told.pauses.len()),
            ("ok", 1, 0),
            "{told:#?}"
        );
        assert_eq!(
            (steady.chats().len(), world.money()),
            (2, (usd("0.02"), Usd::ZERO))
        );
    });
}

#[test]
fn one_that_only_seems_to_be_back_is_spared_while_the_other_works() {
    run(async {
        let (mut world, failed, _steady) =
            with_one_shut(1, Answer::error(503, "overloaded", "full up")).await;
        let told = world.ask().await;
        assert_eq!(
            (told.text(), told.attempts.len(), told.pauses.len()),
            ("ok", 2, 0),
            "{told:#?}"
        );
        assert_eq!(paths(&failed, 5), ["/v1/models", "/v1/chat/completions"]);
        world.pass(Duration::from_mins(5));
        for _ in 0..2 {
            assert_eq!(world.ask().await.attempts.len(), 1);
            world.restart();
        }
        assert_eq!(
            failed.requests().len(),
            7,
            "nor does another process lose one"
        );
    });
}

#[test]
fn where_a_failure_could_not_be_made_good_nothing_is_tried() {
    run(async {
        let (world, failed, _steady) = with_one_shut(0, Answer::text("back")).await;
        let told = world.ask().await;
        assert_eq!(
            (told.text(), told.attempts.len(), failed.requests().len()),
            ("ok", 1, 5),
            "{told:#?}"
        );
    });
}

#[test]
fn when_all_are_down_that_is_what_is_told() {
    run(async {
        let down = || {
            Server::start(Script::always(
                Answer::error(500, "server_error", "oops").header("retry-after-ms", "1"),
            ))
        };
        let (one, two) = (down(), down());
        let world = with(one.base_url(), &two);
        let told = world.ask().await;
        assert_eq!(told.failure().kind, FailureKind::Unavailable);
        assert_eq!(
            (one.chats().len(), two.chats().len()),
            (2, 2),
            "retries bound all addresses together: {told:#?}"
        );
        assert_eq!(world.money(), (Usd::ZERO, Usd::ZERO));
    });
}
