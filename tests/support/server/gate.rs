//! A point where the server stops until the test lets it go on.
//!
//! Owns: [`Gate`].
//! Invariant: opening is final, and wakes all waiters on both sides at once.

use std::io::Write;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Condvar, Mutex};

use super::super::PATIENCE;

#[derive(Default)]
struct State {
    open: bool,
    reached: usize,
    wakers: Vec<UnixStream>,
}

/// Handed to an answer (`gate_after`) and kept by the test. Clones are the same gate.
#[derive(Clone, Default)]
pub struct Gate(Arc<(Mutex<State>, Condvar)>);

impl Gate {
    pub fn new() -> Self {
        Self::default()
    }

    /// Lets everyone through, now and later.
    pub fn open(&self) {
        let mut state = self.0.0.lock().unwrap();
        state.open = true;
        for mut waker in state.wakers.drain(..) {
            // The connection may be gone by now.
            let _ = waker.write_all(&[1]);
        }
    }

    /// Blocks until `n` answers have come to this gate.
    pub fn wait_reached(&self, n: usize) {
        let (lock, changed) = &*self.0;
        let (state, timeout) = changed
            .wait_timeout_while(lock.lock().unwrap(), PATIENCE, |s| s.reached < n)
            .unwrap();
        assert!(
            !timeout.timed_out(),
            "{} of {n} answers came to the gate within {PATIENCE:?}",
            state.reached
        );
    }

    /// The server has come to the gate; `waker` is written to when it opens.
    pub(super) fn arrive(&self, waker: UnixStream) {
        let mut state = self.0.0.lock().unwrap();
        state.reached += 1;
        self.0.1.notify_all();
        if state.open {
            let _ = (&waker).write_all(&[1]);
        } else {
            state.wakers.push(waker);
        }
    }

    pub(super) fn is_open(&self) -> bool {
        self.0.0.lock().unwrap().open
    }
}
