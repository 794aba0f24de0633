//! The signals at which `ask` ends in good order.
//!
//! Owns: listening for them.
//! Refuses: what is done about one; the caller decides.
//! Invariant: from [`StopSignals::new`] on, none of them ends the program by itself.

use tokio::signal::unix::{Signal, SignalKind, signal};

/// The signals that ask a program to end.
pub(super) struct StopSignals {
    interrupt: Option<Signal>,
    terminate: Option<Signal>,
    hang_up: Option<Signal>,
}

impl StopSignals {
    pub(super) fn new() -> Self {
        let listen = |kind| signal(kind).ok();
        Self {
            interrupt: listen(SignalKind::interrupt()),
            terminate: listen(SignalKind::terminate()),
            hang_up: listen(SignalKind::hangup()),
        }
    }

    /// Whether one came before [`wait`](Self::wait) was called.
    pub(super) async fn came(&mut self) -> bool {
        tokio::select! {
            biased;
            () = self.wait() => true,
            // The runtime looks for signals when a task yields.
            () = tokio::task::yield_now() => false,
        }
    }

    pub(super) async fn wait(&mut self) {
        async fn one(signal: &mut Option<Signal>) {
            match signal {
                Some(signal) => drop(signal.recv().await),
                None => std::future::pending().await,
            }
        }
        tokio::select! {
            () = one(&mut self.interrupt) => {}
            () = one(&mut self.terminate) => {}
            () = one(&mut self.hang_up) => {}
        }
    }
}
