//! Standard output for a program that must not stand still while nobody reads.
//!
//! Owns: what was said and not taken yet.
//! Refuses: to wait by itself: whoever has time awaits [`StdoutWriter::goes_on`], beside whatever else may happen.
//! Invariant: a reader that has stopped holds back its own text, and neither the answer nor a signal.

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
    /// Said, and not written yet.
    waiting: VecDeque<u8>,
    ends_in_newline: bool,
    gone: bool,
    /// A thread that waits until it can be written again.
    room: Option<JoinHandle<()>>,
}

impl StdoutWriter {
    /// Says a piece, and writes as much as is taken at once.
    pub(super) fn text(&mut self, text: &SafeText) -> Result<(), Gone> {
        self.say(text.as_str())
    }

    /// Ends the last line, if anything was said that did not.
    pub(super) fn end_line(&mut self) -> Result<(), Gone> {
        if self.ends_in_newline {
            Ok(())
        } else {
            self.say("\n")
        }
    }

    /// Says a value as one line of JSON.
    pub(super) fn json(&mut self, value: &impl serde::Serialize) -> Result<(), Gone> {
        self.say(&json_line(value)?)
    }

    fn say(&mut self, text: &str) -> Result<(), Gone> {
        if let Some(last) = text.bytes().last() {
            self.ends_in_newline = last == b'\n';
            self.waiting.extend(text.as_bytes());
        }
        self.write_on()
    }

    /// The reader has gone; what is said from now on is said to nobody.
    pub(super) fn is_gone(&self) -> bool {
        self.gone
    }

    /// Waits until more can be written, and writes it; while nothing waits to be written, for ever. Nothing is lost when
    /// this is dropped half-way.
    pub(super) async fn goes_on(&mut self) -> Result<(), Gone> {
        if self.waiting.is_empty() {
            return pending().await;
        }
        let room = self
            .room
            .get_or_insert_with(|| spawn_blocking(|| while !can_write(None) {}));
        // Should it have failed, writing will say why.
        let _ = room.await;
        self.room = None;
        self.write_on()
    }

    /// Waits until all of it is written.
    pub(super) async fn is_written(&mut self) -> Result<(), Gone> {
        while !self.waiting.is_empty() {
            self.goes_on().await?;
        }
        if self.gone { Err(Gone) } else { Ok(()) }
    }

    fn write_on(&mut self) -> Result<(), Gone> {
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

/// Waits until standard output takes a piece at once, no longer than told. Where nobody can say, writing will.
fn can_write(most: Option<&Timespec>) -> bool {
    let stdout = rustix::stdio::stdout();
    let mut asked = [PollFd::new(&stdout, PollFlags::OUT)];
    poll(&mut asked, most).map_or_else(|error| error != rustix::io::Errno::INTR, |ready| ready > 0)
}
