//! A terminal of our own: a pseudo-terminal, a screen, a keyboard.
//!
//! Owns: [`Terminal`], the program that runs in it, and everything that it wrote.
//! Refuses: restoring anything: what the program leaves behind is what the test looks at.
//! Invariant: waits end by output, by the program's end, or by the deadline, which fails with the screen in the message.

pub mod keys;
pub mod sequences;
mod threads;

use std::io::Write;
use std::num::NonZeroU16;
use std::process::Command;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use portable_pty::{CommandBuilder, MasterPty, PtySize, native_pty_system};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};

use self::threads::{Keyboard, Shared, State};
use super::PATIENCE;

/// How a program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    Exited(i32),
    /// By this signal.
    Killed(i32),
}

/// The line discipline's settings, for comparing before and after.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Modes {
    pub input: u64,
    pub output: u64,
    pub control: u64,
    pub local: u64,
    pub characters: Vec<u8>,
}

/// What the terminal says about itself when asked.
#[derive(Debug, Clone, Copy)]
pub struct Nature {
    /// Red, green, blue, 8 bits each; `None`: it does not answer.
    pub background: Option<(u8, u8, u8)>,
    /// Whether it knows the enhanced keyboard.
    pub kitty: bool,
}

impl Default for Nature {
    fn default() -> Self {
        Self {
            background: Some((0, 0, 0)),
            kitty: false,
        }
    }
}

pub struct Terminal {
    shared: Arc<Shared>,
    master: Box<dyn MasterPty + Send>,
    keyboard: Keyboard,
    pid: Pid,
    started: Instant,
}

impl Terminal {
    /// Runs the command in a new terminal. It gets the environment written in the command and nothing else.
    pub fn spawn(command: &Command, cols: u16, rows: u16) -> Self {
        Self::spawn_in(Nature::default(), command, cols, rows)
    }

    pub fn spawn_in(nature: Nature, command: &Command, cols: u16, rows: u16) -> Self {
        let starting = super::starting();
        let pair = native_pty_system()
            .openpty(size(cols, rows))
            .expect("a pseudo-terminal");
        let mut builder = CommandBuilder::new(command.get_program());
        builder.args(command.get_args());
        builder.env_clear();
        builder.env("SHELL", "/bin/sh");
        for (name, value) in command.get_envs() {
            if let Some(value) = value {
                builder.env(name, value);
            }
        }
        builder.cwd(command.get_current_dir().unwrap_or_else(|| "/".as_ref()));
        let started = Instant::now();
        let child = pair
            .slave
            .spawn_command(builder)
            .expect("the program starts");
        let pid = Pid::from_raw(i32::try_from(child.process_id().unwrap()).unwrap()).unwrap();
        drop(starting);
        // Else the end of the program would not be the end of its output.
        drop(pair.slave);
        let keyboard: Keyboard = Arc::new(Mutex::new(pair.master.take_writer().unwrap()));
        let reader = pair.master.try_clone_reader().unwrap();
        let shared = Shared::start(
            nature,
            (at_least_one(cols), at_least_one(rows)),
            reader,
            Arc::clone(&keyboard),
            pid,
        );
        Self {
            shared,
            master: pair.master,
            keyboard,
            pid,
            started,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap()
    }

    /// Blocks until this holds, of the state. Fails at the deadline, or as soon as the program's end makes it impossible.
    #[track_caller]
    fn wait(&self, what: &str, holds: impl Fn(&State) -> bool) -> MutexGuard<'_, State> {
        let deadline = Instant::now() + PATIENCE;
        let mut state = self.state();
        loop {
            if holds(&state) {
                return state;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() || state.over() {
                let why = if state.over() {
                    "the program ended before"
                } else {
                    "waited in vain for"
                };
                fail(state, &format!("{why}: {what}"));
            }
            state = self.shared.changed.wait_timeout(state, left).unwrap().0;
        }
    }

    /// Blocks until the screen shows this text on one line.
    #[track_caller]
    pub fn wait_for(&self, text: &str) {
        drop(self.wait(&format!("{text:?} on the screen"), |state| {
            state.lines().iter().any(|line| line.contains(text))
        }));
    }

    /// Whether the screen shows this text within `time`: for what has to be tried again on a busy machine.
    pub fn shows_within(&self, time: Duration, text: &str) -> bool {
        let (end, mut state) = (Instant::now() + time, self.state());
        loop {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() || state.lines().iter().any(|line| line.contains(text)) {
                return !left.is_zero();
            }
            state = self.shared.changed.wait_timeout(state, left).unwrap().0;
        }
    }

    /// Blocks until the screen no longer shows this text.
    #[track_caller]
    pub fn wait_gone(&self, text: &str) {
        drop(
            self.wait(&format!("{text:?} gone from the screen"), |state| {
                !state.lines().iter().any(|l| l.contains(text))
            }),
        );
    }

    #[track_caller]
    pub fn wait_until(&self, what: &str, holds: impl Fn(&vt100::Screen) -> bool) {
        drop(self.wait(what, |state| holds(state.parser.screen())));
    }

    /// Blocks until these bytes were written, at or after `mark`.
    #[track_caller]
    pub fn wait_for_bytes(&self, mark: usize, bytes: &[u8]) {
        let what = format!("the bytes {}", bytes.escape_ascii());
        drop(self.wait(&what, |state| {
            state.raw[mark..]
                .windows(bytes.len())
                .any(|window| window == bytes)
        }));
    }

    /// Blocks until nothing has been written for `time`.
    #[track_caller]
    pub fn wait_quiet(&self, time: Duration) {
        let deadline = Instant::now() + PATIENCE + time;
        let mut state = self.state();
        loop {
            let left = (state.last_output + time).saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            if Instant::now() >= deadline {
                fail(state, &format!("never quiet for {time:?}"));
            }
            state = self.shared.changed.wait_timeout(state, left).unwrap().0;
        }
    }

    pub fn send(&self, bytes: impl AsRef<[u8]>) {
        let mut keyboard = self.keyboard.lock().unwrap();
        keyboard
            .write_all(bytes.as_ref())
            .expect("the terminal takes input");
        keyboard.flush().unwrap();
    }

    /// Presses a key: `Enter`, `Alt-P`, `Shift-F2`, `Ctrl-C`, `x`. After `Esc` wait for its effect: a key sent at once would be
    /// read as one with Alt.
    pub fn key(&self, name: &str) {
        let application = self.state().parser.screen().application_cursor();
        self.send(keys::bytes(name, application));
    }

    /// As terminals paste: bracketed if the program asked for it, line ends as carriage returns.
    pub fn paste(&self, text: &str) {
        let text = text.replace("\r\n", "\r").replace('\n', "\r");
        let bracketed = self.state().parser.screen().bracketed_paste();
        self.send(if bracketed {
            format!("\x1b[200~{text}\x1b[201~")
        } else {
            text
        });
    }

    /// Zeroes are handed on to the program as they are; the screen then has one row or column.
    pub fn resize(&self, cols: u16, rows: u16) {
        self.state()
            .parser
            .set_size(at_least_one(rows), at_least_one(cols));
        self.master.resize(size(cols, rows)).unwrap();
    }

    pub fn signal(&self, signal: Signal) {
        let state = self.state();
        // Else the number may be another's by now.
        if state.status.is_some() {
            fail(state, "the program has ended");
        }
        kill_process(self.pid, signal).unwrap();
    }

    /// No more output is taken until [`Self::go_on`]; the program's writes block when the kernel's buffer is full.
    pub fn stall(&self) {
        self.state().stalled = true;
    }

    pub fn go_on(&self) {
        self.state().stalled = false;
        self.shared.changed.notify_all();
    }

    /// The screen's lines without trailing blanks.
    pub fn screen(&self) -> String {
        self.state().lines().join("\n")
    }

    /// Column and row, from 0.
    pub fn cursor(&self) -> (u16, u16) {
        let (row, col) = self.state().parser.screen().cursor_position();
        (col, row)
    }

    /// Looks at anything the screen knows: colours, modes, cells.
    pub fn look<T>(&self, at: impl FnOnce(&vt100::Screen) -> T) -> T {
        at(self.state().parser.screen())
    }

    pub fn raw_output(&self) -> Vec<u8> {
        self.state().raw.clone()
    }

    /// How many bytes were written so far.
    pub fn mark(&self) -> usize {
        self.state().raw.len()
    }

    pub fn bytes_since(&self, mark: usize) -> Vec<u8> {
        self.state().raw[mark..].to_vec()
    }

    pub fn pid(&self) -> u32 {
        self.pid.as_raw_nonzero().get().unsigned_abs()
    }

    /// From the start of the program to its first byte.
    pub fn first_byte(&self) -> Option<Duration> {
        self.state().first_byte.map(|at| at - self.started)
    }

    /// From the start of the program to the first screen that is not blank.
    pub fn first_paint(&self) -> Option<Duration> {
        self.state().first_paint.map(|at| at - self.started)
    }

    pub fn modes(&self) -> Modes {
        let now = self
            .master
            .get_termios()
            .expect("the terminal has settings");
        Modes {
            input: now.input_flags.bits().into(),
            output: now.output_flags.bits().into(),
            control: now.control_flags.bits().into(),
            local: now.local_flags.bits().into(),
            characters: now.control_chars.to_vec(),
        }
    }

    /// Blocks until the program has ended and its last output is on the screen.
    #[track_caller]
    pub fn wait_exit(&self) -> Status {
        self.wait("the end of the program", State::over)
            .status
            .expect("it is over")
    }

    /// Ends the program as `kill -9` does, and waits until it is gone.
    #[track_caller]
    pub fn end(&self) -> Status {
        if self.state().status.is_none() {
            kill_process_group(self.pid, Signal::KILL).unwrap();
        }
        self.wait_exit()
    }

    /// Blocks until the program has stopped itself (Ctrl-Z).
    #[track_caller]
    pub fn wait_stopped(&self) {
        drop(self.wait("the program stopped", |state| state.stopped));
    }

    #[track_caller]
    pub fn wait_continued(&self) {
        drop(self.wait("the program running again", |state| !state.stopped));
    }
}

/// The program does not outlive the test, nor does what it started in its own process group.
impl Drop for Terminal {
    fn drop(&mut self) {
        let mut state = self
            .shared
            .state
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        state.stalled = false;
        if state.status.is_none() {
            let _ = kill_process_group(self.pid, Signal::KILL);
        }
        drop(state);
        self.shared.changed.notify_all();
    }
}

/// Lets go of the state first: the threads go on, and the message is the only one.
#[track_caller]
fn fail(state: MutexGuard<'_, State>, why: &str) -> ! {
    let screen = state.describe();
    drop(state);
    panic!("{why}\n{screen}");
}

fn size(cols: u16, rows: u16) -> PtySize {
    PtySize {
        rows,
        cols,
        pixel_width: 0,
        pixel_height: 0,
    }
}

fn at_least_one(n: u16) -> NonZeroU16 {
    NonZeroU16::new(n).unwrap_or(NonZeroU16::MIN)
}
