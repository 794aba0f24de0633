//! Stopping a question in every state it can be in: the last event comes at once, and the money is where it belongs.
//!
//! What never left costs nothing, whatever the state of the connection; what left may have been billed, and is booked.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "the small functions of tests are tests"
)]

use crate::bill;
use crate::support;

use std::io::Read;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use bill::{Core, ids, model};
use chat_agent::budget::Limits;
use chat_agent::chat::{FailureKind, Finish, Selection, SessionId};
use chat_agent::gateway::{Ask, Exchange, Gateway};
use chat_agent::protocol::Event;
use chat_agent::store::{ChargeScope, ChatList, Ledger, ScopeSums};
use rustix::net::{AddressFamily, SocketType, bind, getsockname, listen, socket};
use support::scene::KEY;
use support::server::{Answer, Script, Server, Step};

/// A deadline, shorter than any timer of the program: what ends before it was ended by the stop.
const AT_ONCE: Duration = Duration::from_secs(10);
/// How often the measurement is taken.
const TRIES: usize = 10;
const TOML: &str = "[limits]\nconcurrency = 1\nconnect_timeout = \"50s\"\nfirst_token_timeout = \"60s\"\nidle_timeout = \"60s\"\nmax_output = 256\n";

fn question() -> Ask {
    let session = SessionId::from_text("s".to_owned());
    Ask {
        cached: false,
        ..Ask::new(
            session,
            Selection::Pinned(model("gpt-4o-mini")),
            "q hi",
            &ids(),
        )
    }
}

/// Reads until an event of this kind has come.
async fn wait_for(exchange: &mut Exchange, what: fn(&Event) -> bool) {
    while let Some(event) = exchange.next().await {
        if what(&event) {
            return;
        }
    }
    panic!("it ended before that");
}

/// Stops it and reads to its end, which must come at once. Gives the time that it took.
async fn stop(name: &str, mut exchange: Exchange) -> (Event, Duration) {
    let (mut last, began) = (None, Instant::now());
    exchange.stop();
    while let Some(event) = tokio::time::timeout(AT_ONCE, exchange.next())
        .await
        .unwrap_or_else(|_| panic!("{name}: it did not stop at once"))
    {
        last = Some(event);
    }
    (last.unwrap(), began.elapsed())
}

/// It says that it was stopped. Gives the time that it took.
fn interrupted((event, took): (Event, Duration)) -> Duration {
    match event {
        Event::Failed { failure, .. } => {
            assert_eq!(failure.kind, FailureKind::Interrupted, "{failure}");
        }
        Event::Finished(answer) => assert_eq!(answer.facts.finish, Some(Finish::Interrupted)),
        other => panic!("{other:?}"),
    }
    took
}

/// Whether anything is booked, and that nothing is held any more.
fn booked(core: &Core) -> bool {
    let ledger = core.ledger();
    let sum = ledger
        .run_blocking(|db| ScopeSums(db).sum(ChargeScope::Run("run")))
        .unwrap();
    assert_eq!(
        ledger
            .run_blocking(|db| Ledger(db).open_items())
            .unwrap()
            .len(),
        0,
        "still held"
    );
    sum.total().pico() > 0
}

fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap()
        .block_on(work)
}

fn gateway(core: &Core) -> Arc<Gateway> {
    core.gateway(Limits::default(), "run")
}

/// A port at which no connection comes about: its queue is full and is never emptied.
fn full_port() -> (SocketAddr, Vec<TcpStream>, rustix::fd::OwnedFd) {
    let listener = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
    bind(&listener, &SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    listen(&listener, 0).unwrap();
    let address: SocketAddr = getsockname(&listener).unwrap().try_into().unwrap();
    let mut waiting = Vec::new();
    while let Ok(stream) = TcpStream::connect_timeout(&address, Duration::from_millis(200)) {
        waiting.push(stream);
        assert!(waiting.len() < 64, "the queue has no end");
    }
    (address, waiting, listener)
}

fn connecting() -> Duration {
    let (address, _waiting, _listener) = full_port();
    let core = Core::at(&format!("http://{address}/v1"), TOML);
    let took = block_on(async {
        let mut exchange = gateway(&core).open(question());
        wait_for(&mut exchange, |event| matches!(event, Event::Started(_))).await;
        interrupted(stop("connecting", exchange).await)
    });
    assert!(!booked(&core));
    took
}

#[test]
fn while_connecting() {
    connecting();
}

fn handshake() -> Duration {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let core = Core::at(
        &format!("https://{}/v1", listener.local_addr().unwrap()),
        TOML,
    );
    let took = block_on(async {
        let mut exchange = gateway(&core).open(question());
        wait_for(&mut exchange, |event| matches!(event, Event::Started(_))).await;
        let hello = tokio::task::spawn_blocking(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut first = [0; 1];
            stream.read_exact(&mut first).unwrap();
            // Kept open, without a word.
            (first, stream)
        });
        let (first, _stream) = hello.await.unwrap();
        assert_eq!(first, [22], "a handshake");
        interrupted(stop("TLS handshake", exchange).await)
    });
    assert!(!booked(&core));
    took
}

#[test]
fn in_the_middle_of_the_tls_handshake() {
    handshake();
}

/// The state in which the request has arrived at a server that answers so, once `seen` has come: whether anything was
/// booked, and how long the stop took.
fn after(name: &str, answer: Answer, seen: fn(&Event) -> bool) -> (bool, Duration) {
    let server = Server::start(Script::always(answer).keys([KEY]));
    let core = Core::new(&server, TOML);
    let took = block_on(async {
        let mut exchange = gateway(&core).open(question());
        wait_for(&mut exchange, seen).await;
        tokio::task::block_in_place(|| server.wait_for_requests(1));
        interrupted(stop(name, exchange).await)
    });
    assert_eq!(server.chats().len(), 1, "{name}");
    (booked(&core), took)
}

const HEAD: &str =
    "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";
const PIECE: &str = "data: {\"choices\":[{\"delta\":{\"content\":\"one\"}}]}\n\n";

fn started(event: &Event) -> bool {
    matches!(event, Event::Started(_))
}

fn shown(event: &Event) -> bool {
    matches!(event, Event::Text { .. })
}

fn headers() -> (bool, Duration) {
    after("headers", Answer::raw([Step::Hang]), started)
}

fn first_token() -> (bool, Duration) {
    let comments = Step::Repeat(Box::new(Step::send(": ping\n\n")), Some(3));
    after(
        "first token",
        Answer::raw([Step::send(HEAD), comments, Step::Hang]),
        started,
    )
}

fn standing_still() -> (bool, Duration) {
    after(
        "standing still",
        Answer::raw([Step::send(HEAD), Step::send(PIECE), Step::Hang]),
        shown,
    )
}

fn full_speed() -> (bool, Duration) {
    let flood = Step::Repeat(Box::new(Step::send(": x\n\n".repeat(4096))), None);
    after(
        "full speed",
        Answer::raw([Step::send(HEAD), Step::send(PIECE), flood]),
        shown,
    )
}

fn retry() -> (bool, Duration) {
    let busy = Answer::error(503, "overloaded", "come back later").header("retry-after", "20");
    after("retry", busy, |event| matches!(event, Event::Attempt(_)))
}

#[test]
fn while_the_headers_are_awaited() {
    assert!(headers().0);
}

#[test]
fn while_the_first_token_is_awaited() {
    assert!(first_token().0);
}

#[test]
fn while_it_streams_and_stands_still() {
    assert!(standing_still().0);
}

#[test]
fn while_it_streams_as_fast_as_it_can() {
    assert!(full_speed().0);
}

#[test]
fn while_a_retry_is_awaited() {
    assert!(!retry().0);
}

#[test]
fn in_the_queue() {
    queued();
}

fn queued() -> Duration {
    let server = Server::start(Script::always(Answer::raw([Step::Hang])).keys([KEY]));
    let core = Core::new(&server, TOML);
    let took = block_on(async {
        let gateway = gateway(&core);
        let mut first = gateway.open(question());
        wait_for(&mut first, started).await;
        tokio::task::block_in_place(|| server.wait_for_requests(1));
        let mut second = gateway.open(question());
        // It waits for the place of the first, and says so.
        wait_for(
            &mut second,
            |event| matches!(event, Event::Link(link) if link.waiting == 1),
        )
        .await;
        let took = interrupted(stop("queue", second).await);
        interrupted(stop("headers", first).await);
        took
    });
    assert_eq!(server.chats().len(), 1);
    assert!(booked(&core), "the first, and only that");
    took
}

/// Keeps the ledger locked, as another process may, until what is returned is dropped.
fn lock(core: &Core) -> mpsc::Sender<()> {
    let (other, (unlock, locked), (told, hears)) =
        (core.ledger(), mpsc::channel(), mpsc::channel());
    std::thread::spawn(move || {
        other.run_blocking(move |db| {
            db.write(|_| {
                told.send(()).unwrap();
                let _ = locked.recv();
                Ok(())
            })
        })
    });
    hears.recv().unwrap();
    unlock
}

/// The question waits for the ledger, to set its worst case aside there.
fn locked() -> Duration {
    let server = Server::start(Script::always(Answer::text("never")).keys([KEY]));
    let core = Core::new(&server, TOML);
    let took = block_on(async {
        let gateway = gateway(&core);
        gateway.store().await.unwrap();
        let unlock = lock(&core);
        let exchange = gateway.open(question());
        // The thread of the store stands still as soon as the question waits; before that there is nothing to wait for.
        let look = || gateway.parts().clock.now();
        let deadline = look().plus(support::PATIENCE);
        while answers_soon(&gateway).await && look() < deadline {}
        let took = interrupted(stop("locked ledger", exchange).await);
        drop(unlock);
        // Behind whatever waited for the lock.
        gateway.close().await;
        took
    });
    assert!(
        server.chats().is_empty() && !booked(&core),
        "not sent, not held"
    );
    let chats = core
        .ledger()
        .run_blocking(|db| ChatList(db).list_sessions(9))
        .unwrap();
    assert!(chats.is_empty(), "nor stored: {chats:?}");
    took
}

/// Whether the thread of the store is free for something else.
async fn answers_soon(gateway: &Gateway) -> bool {
    let store = gateway.store().await.unwrap().clone();
    tokio::time::timeout(Duration::from_millis(100), store.run(|_| Ok(())))
        .await
        .is_ok()
}

#[test]
fn while_another_process_keeps_the_ledger_locked() {
    locked();
}

/// A state by name, and leaving it.
type State = (&'static str, fn() -> Duration);

/// The figure of the manual: the best of several tries.
#[test]
#[ignore = "a measurement for the manual; the tests above check that each state can be left"]
#[expect(clippy::print_stdout, reason = "the figures are quoted in the README")]
fn how_long_it_takes_to_leave_every_state() {
    let states: [State; 9] = [
        ("in the queue", queued),
        ("waiting for the ledger", locked),
        ("connecting", connecting),
        ("in the TLS handshake", handshake),
        ("awaiting the headers", || headers().1),
        ("awaiting the first token", || first_token().1),
        ("standing still", || standing_still().1),
        ("at full speed", || full_speed().1),
        ("awaiting a retry", || retry().1),
    ];
    for (state, leave) in states {
        let took: Vec<Duration> = (0..TRIES).map(|_| leave()).collect();
        println!(
            "stopped {state}: {} ms, the first time {} ms",
            took.iter().min().unwrap().as_millis(),
            took[0].as_millis()
        );
    }
}
