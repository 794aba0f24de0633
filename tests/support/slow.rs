//! A way to a server of this machine on which everything takes its time.
//!
//! Owns: the listener and, for each connection, a thread for either direction.
//! Refuses: to change a byte.
//! Invariant: what comes while it is slow waits for the whole delay, and nothing overtakes anything.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::thread;
use std::time::Duration;

pub struct SlowWay {
    port: u16,
    delay_ms: Arc<AtomicU64>,
}

impl SlowWay {
    /// To this port, at first without a delay.
    pub fn to(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let way = Self {
            port: listener.local_addr().unwrap().port(),
            delay_ms: Arc::default(),
        };
        let delay = Arc::clone(&way.delay_ms);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let Ok(server) = TcpStream::connect(("127.0.0.1", port)) else {
                    continue;
                };
                let (back, there) = (client.try_clone().unwrap(), server.try_clone().unwrap());
                for (from, to) in [(client, server), (there, back)] {
                    let delay = Arc::clone(&delay);
                    thread::spawn(move || carry(from, to, &delay));
                }
            }
        });
        way
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// From now on every piece takes this long.
    pub fn takes(&self, delay: Duration) {
        self.delay_ms
            .store(u64::try_from(delay.as_millis()).unwrap(), SeqCst);
    }
}

fn carry(mut from: TcpStream, mut to: TcpStream, delay: &AtomicU64) {
    let mut piece = [0; 16 * 1024];
    while let Ok(length @ 1..) = from.read(&mut piece) {
        thread::sleep(Duration::from_millis(delay.load(SeqCst)));
        if to.write_all(&piece[..length]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Write);
}
