//! Standard output that does not block the program when its reader is slow or stops.
//!
//! Owns: the text that is not written yet.
//! Refuses: to wait by itself; the caller awaits [`StdoutWriter::write_when_ready`] beside its other events.
//! Invariant: a stopped reader delays only its own text, not the answer or a signal.

use std::collections::VecDeque;
use std::future::pending;
use std::io;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tokio::task::{JoinHandle, spawn_blocking};

use super::output::{Gone, gone, json_line, write};
use crate::chat::SafeText;

/// A pipe that can be written takes this much without waiting (`PIPE_BUF`).
const AT_ONCE: usize = 4096;
const NO_TIME: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 0,
};

/// Standard output, written as its reader takes it.
#[derive(Debug, Default)]
pub(super) struct StdoutWriter {
    /// Not written yet.
    waiting: VecDeque<u8>,
    ends_in_newline: bool,
    gone: bool,
    /// A thread that waits until more can be written.
    ready: Option<JoinHandle<()>>,
}

impl StdoutWriter {
    /// Takes a piece, and writes what can be written at once.
    pub(super) fn text(&mut self, text: &SafeText) -> Result<(), Gone> {
        self.push(text.as_str())
    }

    /// Ends the last line unless it is ended.
    pub(super) fn end_line(&mut self) -> Result<(), Gone> {
        if self.ends_in_newline {
            Ok(())
        } else {
            self.push("\n")
        }
    }

    /// Takes a value as one line of JSON.
    pub(super) fn json(&mut self, value: &impl serde::Serialize) -> Result<(), Gone> {
        self.push(&json_line(value)?)
    }

    fn push(&mut self, text: &str) -> Result<(), Gone> {
        if let Some(last) = text.bytes().last() {
            self.ends_in_newline = last == b'\n';
            self.waiting.extend(text.as_bytes());
        }
        self.write_now()
    }

    /// Whether the reader has gone; further text is dropped.
    pub(super) fn is_gone(&self) -> bool {
        self.gone
    }

    /// Waits until more can be written, and writes it; waits for ever when there is nothing to write. Cancel-safe.
    pub(super) async fn write_when_ready(&mut self) -> Result<(), Gone> {
        if self.waiting.is_empty() {
            return pending().await;
        }
        let ready = self
            .ready
            .get_or_insert_with(|| spawn_blocking(|| while !can_write(None) {}));
        // If that failed, writing reports why.
        let _ = ready.await;
        self.ready = None;
        self.write_now()
    }

    /// Waits until all of it is written.
    pub(super) async fn flush(&mut self) -> Result<(), Gone> {
        while !self.waiting.is_empty() {
            self.write_when_ready().await?;
        }
        if self.gone { Err(Gone) } else { Ok(()) }
    }

    fn write_now(&mut self) -> Result<(), Gone> {
        if self.gone {
            self.waiting.clear();
            return Err(Gone);
        }
        while !self.waiting.is_empty() && can_write(Some(&NO_TIME)) {
            let (first, _) = self.waiting.as_slices();
            let piece = &first[..first.len().min(AT_ONCE)];
            let written = write(piece).map(|()| piece.len());
            match written {
                Ok(length) => drop(self.waiting.drain(..length)),
                Err(error) => return Err(self.end(&error)),
            }
        }
        Ok(())
    }

    fn end(&mut self, error: &io::Error) -> Gone {
        self.gone = true;
        self.waiting.clear();
        gone(error)
    }
}

/// Waits at most so long until standard output takes a piece at once. An error counts as yes: writing then reports it.
fn can_write(timeout: Option<&Timespec>) -> bool {
    let stdout = rustix::stdio::stdout();
    let mut polled = [PollFd::new(&stdout, PollFlags::OUT)];
    poll(&mut polled, timeout)
        .map_or_else(|error| error != rustix::io::Errno::INTR, |ready| ready > 0)
}
