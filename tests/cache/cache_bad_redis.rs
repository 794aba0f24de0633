//! A Redis that refuses, hangs, dies in the middle, or says what no Redis says: a miss and one notice. Row 62 of the faults.

#![allow(clippy::unwrap_used, reason = "the small functions of tests are tests")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};

use chat_agent::cache::{SharedTier, Tier};
use chat_agent::chat::request::Digest;
use chat_agent::redis::{Redis, RedisSettings, Seal, Waiting};

const DIGEST: Digest = Digest([1; 32]);

/// What it does when it is asked for an answer.
#[derive(Clone, Copy)]
enum Does {
    Says(&'static str),
    /// Begins, and closes the connection.
    Breaks(&'static str),
    Hangs,
    /// A gigabyte, as fast as it is taken.
    Floods,
}

struct Fake {
    port: u16,
    asked: Arc<AtomicUsize>,
}

impl Fake {
    fn start(does: Does) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let fake = Self {
            port: listener.local_addr().unwrap().port(),
            asked: Arc::default(),
        };
        let asked = Arc::clone(&fake.asked);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let asked = Arc::clone(&asked);
                std::thread::spawn(move || serve(&stream, does, &asked));
            }
        });
        fake
    }
}

/// The words of the next command.
fn command(from: &mut impl BufRead) -> Option<Vec<String>> {
    let mut line = String::new();
    let mut number = |from: &mut dyn BufRead| {
        line.clear();
        from.read_line(&mut line).ok().filter(|n| *n > 0)?;
        line.trim_end().get(1..)?.parse::<usize>().ok()
    };
    let words = number(from)?;
    let mut word = |from: &mut dyn BufRead| {
        let mut bytes = vec![0; number(from)? + 2];
        from.read_exact(&mut bytes).ok()?;
        bytes.truncate(bytes.len() - 2);
        String::from_utf8(bytes).ok()
    };
    (0..words).map(|_| word(from)).collect()
}

fn serve(mut to: &TcpStream, does: Does, asked: &AtomicUsize) {
    let mut from = BufReader::new(to.try_clone().unwrap());
    while let Some(words) = command(&mut from) {
        if words[0] != "GETRANGE" {
            if to.write_all(b"+OK\r\n").is_err() {
                return;
            }
            continue;
        }
        asked.fetch_add(1, SeqCst);
        match does {
            Does::Says(reply) => drop(to.write_all(reply.as_bytes())),
            Does::Breaks(reply) => {
                let _ = to.write_all(reply.as_bytes());
                let _ = to.shutdown(std::net::Shutdown::Both);
                return;
            }
            Does::Hangs => {}
            Does::Floods => {
                let _ = write!(to, "${}\r\n", 1 << 30);
                let _ = std::io::copy(&mut std::io::repeat(b'x').take(1 << 30), &mut to);
            }
        }
    }
}

fn tier(port: u16, patience: Duration) -> SharedTier {
    let url = format!("redis://127.0.0.1:{port}");
    let redis = Redis::new(RedisSettings {
        url,
        cluster: false,
        prefix: "t:".to_owned(),
        patience,
    });
    let seal =
        async { Seal::new(b"a-secret-of-the-whole-team").ok_or_else(|| "too short".to_owned()) };
    SharedTier::new(redis, Duration::from_hours(1), Box::pin(seal))
}

#[tokio::test]
async fn what_it_says_wrong_is_a_miss_and_a_notice_that_names_it() {
    for (does, words) in [
        (
            Does::Says("-LOADING Redis is loading the dataset in memory\r\n"),
            "LOADING",
        ),
        (
            Does::Says("-MOVED 3999 127.0.0.1:6381\r\n"),
            "cluster = true",
        ),
        (
            Does::Says("-WRONGTYPE Operation against a key\r\n"),
            "something else",
        ),
        (
            Does::Says("-NOAUTH Authentication required.\r\n"),
            "password",
        ),
        (Does::Says("HTTP/1.1 400 Bad Request\r\n\r\n"), "Redis"),
        (Does::Breaks("$900\r\nabc"), "Redis"),
        (Does::Breaks(""), "Redis"),
    ] {
        let fake = Fake::start(does);
        let tier = tier(fake.port, Duration::from_secs(30));
        assert_eq!(tier.get(DIGEST, &Waiting::default()).await, None, "{words}");
        let trouble = tier.trouble().unwrap_or_default();
        assert!(
            trouble.contains(words) && trouble.lines().count() == 1,
            "{words}: {trouble:?}"
        );
        assert_eq!(tier.trouble(), None, "told once");
    }
}

#[tokio::test]
async fn whoever_makes_it_wait_is_asked_once() {
    for does in [Does::Hangs, Does::Floods] {
        let deadline = Instant::now() + Duration::from_mins(1);
        loop {
            let fake = Fake::start(does);
            let tier = tier(fake.port, Duration::from_millis(100));
            for _ in 0..20 {
                assert_eq!(tier.get(DIGEST, &Waiting::default()).await, None);
                assert!(matches!(
                    tier.lease(DIGEST, &Waiting::default()).await,
                    chat_agent::cache::Lease::Unknown
                ));
            }
            let asked = fake.asked.load(SeqCst);
            assert!(asked <= 1, "{asked}");
            if asked == 1 {
                assert!(tier.trouble().is_some());
                break;
            }
            // A machine so slow that connecting took all the patience has not come as far as asking.
            assert!(Instant::now() < deadline, "it is never asked");
        }
    }
}

#[tokio::test]
async fn one_that_fails_three_times_is_left_alone() {
    let fake = Fake::start(Does::Says(
        "-LOADING Redis is loading the dataset in memory\r\n",
    ));
    let tier = tier(fake.port, Duration::from_secs(30));
    for _ in 0..20 {
        assert_eq!(tier.get(DIGEST, &Waiting::default()).await, None);
    }
    assert_eq!(fake.asked.load(SeqCst), 3);
}
