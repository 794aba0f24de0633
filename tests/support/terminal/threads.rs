//! The terminal's own life: taking output, answering questions, noticing the end.
//!
//! Owns: the reader and the waiter thread, and the [`State`] they keep.
//! Invariant: a change of the state wakes all waiters.

use std::fmt::Write as _;
use std::io::{Read, Write};
use std::num::NonZeroU16;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Instant;

use rustix::process::{Pid, WaitOptions, waitpid};

use super::{Nature, Status};

pub type Keyboard = Arc<Mutex<Box<dyn Write + Send>>>;

pub struct State {
    pub parser: vt100::Parser<Questions>,
    /// Everything written so far.
    pub raw: Vec<u8>,
    pub first_byte: Option<Instant>,
    pub first_paint: Option<Instant>,
    /// The last output; before the first, the start.
    pub last_output: Instant,
    /// No process can write any more.
    pub ended: bool,
    pub status: Option<Status>,
    pub stopped: bool,
    /// The test wants no output to be taken.
    pub stalled: bool,
}

impl State {
    /// Ended, and all its output taken.
    pub fn over(&self) -> bool {
        self.status.is_some() && self.ended
    }

    /// The screen's lines without trailing blanks.
    pub fn lines(&self) -> Vec<String> {
        let (_, cols) = self.parser.screen().size();
        self.parser
            .screen()
            .rows(0, cols.get())
            .map(|line| line.trim_end().to_owned())
            .collect()
    }

    /// For messages: how it looks, and the end of what was written.
    pub fn describe(&self) -> String {
        let (rows, cols) = self.parser.screen().size();
        let mut text = format!(
            "screen, {cols} by {rows}, status {:?}, stopped {}:\n",
            self.status, self.stopped
        );
        for line in self.lines() {
            let _ = writeln!(text, "| {line}");
        }
        let tail = &self.raw[self.raw.len().saturating_sub(300)..];
        let _ = write!(
            text,
            "last of {} bytes: {}",
            self.raw.len(),
            tail.escape_ascii()
        );
        text
    }
}

pub struct Shared {
    pub state: Mutex<State>,
    pub changed: Condvar,
}

impl Shared {
    /// `size`: columns and rows.
    pub fn start(
        nature: Nature,
        (cols, rows): (NonZeroU16, NonZeroU16),
        reader: Box<dyn Read + Send>,
        keyboard: Keyboard,
        pid: Pid,
    ) -> Arc<Self> {
        let questions = Questions {
            nature,
            answers: Vec::new(),
        };
        let shared = Arc::new(Self {
            state: Mutex::new(State {
                parser: vt100::Parser::new_with_callbacks(rows, cols, 0, questions),
                raw: Vec::new(),
                first_byte: None,
                first_paint: None,
                last_output: Instant::now(),
                ended: false,
                status: None,
                stopped: false,
                stalled: false,
            }),
            changed: Condvar::new(),
        });
        let (reading, waiting) = (Arc::clone(&shared), Arc::clone(&shared));
        std::thread::spawn(move || reading.read(reader, &keyboard));
        std::thread::spawn(move || waiting.watch(pid));
        shared
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state.lock().unwrap());
        self.changed.notify_all();
    }

    fn read(&self, mut reader: Box<dyn Read + Send>, keyboard: &Keyboard) {
        let mut bytes = [0; 16384];
        while let Ok(n @ 1..) = reader.read(&mut bytes) {
            let answers = self.take(&bytes[..n]);
            if !answers.is_empty() {
                // The program may be gone before it hears the answer.
                let _ = keyboard.lock().unwrap().write_all(&answers);
            }
            let state = self.state.lock().unwrap();
            drop(
                self.changed
                    .wait_while(state, |state| state.stalled)
                    .unwrap(),
            );
        }
        self.change(|state| state.ended = true);
    }

    /// Puts output on the screen; returns what the terminal answers to it.
    fn take(&self, bytes: &[u8]) -> Vec<u8> {
        let now = Instant::now();
        let mut state = self.state.lock().unwrap();
        state.raw.extend_from_slice(bytes);
        state.parser.process(bytes);
        state.last_output = now;
        state.first_byte.get_or_insert(now);
        if state.first_paint.is_none() && !state.parser.screen().contents().trim().is_empty() {
            state.first_paint = Some(now);
        }
        let answers = std::mem::take(&mut state.parser.callbacks_mut().answers);
        self.changed.notify_all();
        answers
    }

    fn watch(&self, pid: Pid) {
        loop {
            let seen = match waitpid(Some(pid), WaitOptions::UNTRACED | WaitOptions::CONTINUED) {
                Ok(Some((_, seen))) => seen,
                Ok(None) | Err(rustix::io::Errno::INTR) => continue,
                Err(error) => panic!("waiting for the program: {error}"),
            };
            let exited = seen.exit_status().map(Status::Exited);
            let status = exited.or_else(|| seen.terminating_signal().map(Status::Killed));
            self.change(|state| {
                state.stopped = seen.stopped();
                state.status = status;
            });
            if status.is_some() {
                return;
            }
        }
    }
}

/// What programs ask a terminal, and its answers.
pub struct Questions {
    nature: Nature,
    answers: Vec<u8>,
}

impl vt100::Callbacks for Questions {
    fn unhandled_csi(
        &mut self,
        screen: &mut vt100::Screen,
        first: Option<u8>,
        second: Option<u8>,
        params: &[&[u16]],
        last: char,
    ) {
        let number = params
            .first()
            .and_then(|param| param.first())
            .copied()
            .unwrap_or(0);
        match (first, second, last, number) {
            // A VT220 with colours.
            (None, None, 'c', 0) => self.answers.extend_from_slice(b"\x1b[?62;22c"),
            (None, None, 'n', 5) => self.answers.extend_from_slice(b"\x1b[0n"),
            (None, None, 'n', 6) => {
                let (row, col) = screen.cursor_position();
                self.answers
                    .extend_from_slice(format!("\x1b[{};{}R", row + 1, col + 1).as_bytes());
            }
            (Some(b'?'), None, 'u', _) if self.nature.kitty => {
                self.answers.extend_from_slice(b"\x1b[?0u");
            }
            _ => {}
        }
    }

    fn unhandled_osc(&mut self, _: &mut vt100::Screen, params: &[&[u8]]) {
        if let ([b"11", b"?"], Some((r, g, b))) = (params, self.nature.background) {
            let answer = format!("\x1b]11;rgb:{r:02x}{r:02x}/{g:02x}{g:02x}/{b:02x}{b:02x}\x1b\\");
            self.answers.extend_from_slice(answer.as_bytes());
        }
    }
}
