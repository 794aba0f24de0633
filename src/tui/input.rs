//! What comes from outside: keys and signals.
//!
//! Owns: the terminal's event stream while the screen is ours, and the signals that end, stop or wake us.
//! Refuses: meaning.
//! Invariant: a stream that is dropped leaves the terminal to others; no signal kills us with the terminal in raw mode.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::time::Duration;

use crossterm::event::{self, Event, EventStream, MouseEventKind};
use futures_util::Stream;
use rustix::process::Signal as Raw;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::msg::Msg;

/// Rows that one notch of the wheel turns.
const NOTCH: i32 = 3;
/// A look at what has come already. With no time at all crossterm does not even look at what it has read, and it uses
/// all the time it is given, which every key pays for.
const GLANCE: Duration = Duration::from_micros(10);

/// Keys while the screen is ours; nothing while it is another's.
#[derive(Debug, Default)]
pub(crate) struct KeyStream(Option<EventStream>);

impl KeyStream {
    pub(crate) fn open(&mut self) {
        self.0 = Some(EventStream::new());
    }

    pub(crate) fn close(&mut self) {
        self.0 = None;
    }

    /// The next event; `None`: the terminal is gone. Waits for ever while closed.
    pub(crate) async fn next(&mut self) -> Option<Event> {
        loop {
            let Some(stream) = &mut self.0 else {
                return std::future::pending().await;
            };
            match poll_fn(|cx| Pin::new(&mut *stream).poll_next(cx)).await {
                Some(Ok(event)) => return Some(event),
                // A stream dropped before this one woke the reader a last time.
                Some(Err(problem)) if problem.kind() == io::ErrorKind::Interrupted => {}
                Some(Err(_)) | None => return None,
            }
        }
    }

    /// An event that has come already, with what was read from the terminal in one go.
    ///
    /// The stream itself gives one event per look and sends a thread for the next, which takes as long as the machine
    /// pleases; so the events read together would come apart, and a paste with them.
    pub(crate) fn ready(&mut self) -> Option<Event> {
        self.0.as_ref()?;
        event::poll(GLANCE)
            .ok()
            .filter(|there| *there)
            .and_then(|_| event::read().ok())
    }
}

/// An event in our words; `None`: of no interest.
pub(crate) fn message(event: Event) -> Option<Msg> {
    match event {
        Event::Key(key) => Some(Msg::Key(key)),
        Event::Paste(text) => Some(Msg::Paste(text)),
        Event::Resize(..) => Some(Msg::Resize),
        Event::FocusGained => Some(Msg::Focus),
        Event::FocusLost => Some(Msg::Blur),
        Event::Mouse(mouse) => match mouse.kind {
            MouseEventKind::ScrollUp => Some(Msg::Wheel(-NOTCH)),
            MouseEventKind::ScrollDown => Some(Msg::Wheel(NOTCH)),
            _ => None,
        },
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Signalled {
    /// End with this exit status.
    End(u8),
    /// Ctrl-C from outside, or in an editor that shares our process group.
    Interrupt,
    /// We run again after a stop.
    Continued,
}

#[derive(Debug)]
pub(crate) struct Signals {
    terminate: Signal,
    hangup: Signal,
    quit: Signal,
    interrupt: Signal,
    resumed: Signal,
}

impl Signals {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
            quit: signal(SignalKind::quit())?,
            interrupt: signal(SignalKind::interrupt())?,
            resumed: signal(SignalKind::from_raw(Raw::CONT.as_raw()))?,
        })
    }

    pub(crate) async fn next(&mut self) -> Signalled {
        tokio::select! {
            _ = self.terminate.recv() => Signalled::End(143),
            _ = self.hangup.recv() => Signalled::End(129),
            _ = self.quit.recv() => Signalled::End(131),
            _ = self.interrupt.recv() => Signalled::Interrupt,
            _ = self.resumed.recv() => Signalled::Continued,
        }
    }
}
