//! Five hundred questions at once against a server that cannot serve them: no storm.

#![allow(clippy::unwrap_used, reason = "the small functions of tests are tests")]

use crate::gateways;
use crate::support;

use std::time::Instant;

use chat_agent::chat::{FailureKind, Usd};
use gateways::{World, end, run};
use support::server::{Answer, Script, Server};

/// How many requests five hundred questions make when all get this answer, and how they end.
fn storm(answer: Answer, kind: FailureKind, clock: fn(World) -> World) -> usize {
    let server = Server::start(Script::always(answer));
    let world = clock(World::of(&server, |config| config.limits.retries = 3));
    run(async {
        let asked: Vec<_> = (0..500).map(|_| tokio::spawn(end(world.open()))).collect();
        for told in asked {
            assert_eq!(told.await.unwrap().failure().kind, kind);
        }
    });
    assert_eq!(world.money(), (Usd::ZERO, Usd::ZERO));
    server.assert_clean();
    server.chats().len()
}

#[test]
fn where_all_are_refused_for_their_number_few_are_tried_again() {
    let busy = Answer::error(429, "rate_limit_exceeded", "slow down").header("retry-after-ms", "1");
    let began = Instant::now();
    let seen = storm(busy, FailureKind::Request, World::tick);
    // A fifth more, and ten, and one for every six seconds that it took.
    let most = 610 + usize::try_from(began.elapsed().as_secs() / 6).unwrap() + 1;
    assert!(
        (500..=most).contains(&seen),
        "{seen} requests for 500 questions"
    );
}

#[test]
fn where_the_server_is_down_most_are_not_even_sent() {
    // The clock stands still: the server is left alone for as long as that takes.
    let down = Answer::error(500, "server_error", "oops");
    let seen = storm(down, FailureKind::Unavailable, |world| world);
    // As many as were on their way when the fifth one failed.
    assert!(seen <= 5 + 64, "{seen} requests for 500 questions");
}
