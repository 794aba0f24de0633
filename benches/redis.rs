//! What a look-up in Redis costs beyond the round trip: ours, and a bare PING on a socket, side by side.
//!
//! Owns: both figures, p50 and p99, against a redis-server of its own on this machine.
//! Refuses: a network; what lies between two machines comes on top of both alike.
//! Invariant: every look-up finds a sealed answer of 2 KiB and opens it.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a bench reports on standard output"
)]

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use chat_agent::cache::{SharedTier, Tier};
use chat_agent::chat::request::Digest;
use chat_agent::redis::{PATIENCE, Redis, RedisSettings, Seal, Waiting};

const ROUNDS: usize = 5000;

fn main() {
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let mut server = Command::new("redis-server")
        .args([
            "--port",
            &port.to_string(),
            "--bind",
            "127.0.0.1",
            "--save",
            "",
        ])
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let mut socket = loop {
        if let Ok(socket) = TcpStream::connect(("127.0.0.1", port)) {
            break socket;
        }
        std::thread::yield_now();
    };
    socket.set_nodelay(true).unwrap();
    let ping = measure(|| {
        socket.write_all(b"PING\r\n").unwrap();
        socket.read_exact(&mut [0; 7]).unwrap();
    });

    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let redis = Redis::new(RedisSettings {
        url: format!("redis://127.0.0.1:{port}"),
        cluster: false,
        prefix: String::new(),
        patience: PATIENCE,
    });
    let seal = async { Seal::new(b"a secret for the bench").ok_or_else(String::new) };
    let tier = SharedTier::new(redis, Duration::from_hours(1), Box::pin(seal));
    let digest = Digest([7; 32]);
    runtime.block_on(async {
        tier.put(digest, &vec![b'x'; 2048].into());
        tier.close().await;
    });
    let look_up = measure(|| {
        assert!(
            runtime
                .block_on(tier.get(digest, &Waiting::default()))
                .is_some()
        );
    });
    for (name, (p50, p99)) in [("bare round trip", ping), ("shared look-up", look_up)] {
        println!("{name}: p50 {p50:?}, p99 {p99:?}");
    }
    server.kill().unwrap();
    server.wait().unwrap();
}

fn measure(mut once: impl FnMut()) -> (Duration, Duration) {
    let mut times: Vec<Duration> = (0..ROUNDS)
        .map(|_| {
            let began = Instant::now();
            once();
            began.elapsed()
        })
        .collect();
    times.sort_unstable();
    (times[ROUNDS / 2], times[ROUNDS * 99 / 100])
}
