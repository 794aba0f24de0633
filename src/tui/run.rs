//! The loop: wait, update, carry out the effects, draw.
//!
//! Owns: every await of the screen, and the order of things at the start and the end.
//! Refuses: decisions; those are in `update`.
//! Invariant: the first frame is drawn before anything is waited for; nothing here waits for the core to take a command.

use std::collections::VecDeque;
use std::io;
use std::time::{Duration, Instant};

use tokio::sync::mpsc::Sender;
use tokio::sync::mpsc::error::TrySendError;
use tokio::time::{sleep, timeout};

use super::app::App;
use super::editor::Editing;
use super::exit::{Exit, ScreenError};
use super::frame::{FrameClock, Redraw};
use super::input::{KeyStream, Signalled, Signals, message};
use super::msg::{Effect, Msg};
use super::options::Options;
use super::replies::Replies;
use super::terminal::Screen;
use super::timer::WakeTimer;
use super::update::{draft, update};
use super::view::Extent;
use super::{clipboard, view};
use crate::protocol::{Command, Handle, Level};

/// Commands that wait while the core takes none.
const OUTBOX: usize = 1_000;
/// Events taken in one go, so that keys and frames get their turn.
const BATCH: usize = 1_024;
/// How long the core may take to end.
const FAREWELL: Duration = Duration::from_secs(2);

/// Shows the chat until the user leaves, the terminal goes or a signal ends it.
pub(crate) async fn run(handle: Handle, options: Options) -> Result<Exit, ScreenError> {
    let app = App::new(&options, Instant::now())?;
    let signals = Signals::new().map_err(ScreenError::Terminal)?;
    let screen = Screen::open(options.kitty, options.mouse).map_err(ScreenError::Terminal)?;
    let mut shell = Shell {
        app,
        screen,
        handle,
        options,
        signals,
        keys: KeyStream::default(),
        replies: Replies::default(),
        frames: FrameClock::default(),
        timer: WakeTimer::default(),
        outbox: VecDeque::new(),
        editing: None,
        status: None,
        last_input: Instant::now(),
    };
    shell.draw(Instant::now());
    shell.keys.open();
    let status = shell.serve().await;
    shell.end().await;
    Ok(shell.app.exit(status))
}

struct Shell {
    app: App,
    screen: Screen,
    handle: Handle,
    options: Options,
    signals: Signals,
    keys: KeyStream,
    replies: Replies,
    frames: FrameClock,
    timer: WakeTimer,
    outbox: VecDeque<Command>,
    editing: Option<Editing>,
    /// Set when it is time to end.
    status: Option<u8>,
    last_input: Instant,
}

impl Shell {
    async fn serve(&mut self) -> u8 {
        loop {
            let now = Instant::now();
            // Drawn first: what the core has to do with a key must not delay its echo.
            if self.screen.live() && self.frames.due(now) {
                self.draw(now);
            }
            for effect in draft::due(&mut self.app, now) {
                self.perform(effect).await;
            }
            if let Some(status) = self.status
                && self.editing.is_none()
            {
                return status;
            }
            let frame = self.frames.next(now).filter(|_| self.screen.live());
            let wake = [self.app.deadline(), frame].into_iter().flatten().min();
            tokio::select! {
                biased;
                signal = self.signals.next() => self.signalled(signal),
                event = self.keys.next() => match event {
                    Some(event) => self.typed(event).await,
                    // The terminal is gone.
                    None => self.status = Some(129),
                },
                open = has_room(&self.handle.commands), if !self.outbox.is_empty() => {
                    let command = self.outbox.pop_front().filter(|_| open);
                    // No other task sends on this channel, so the room is still there.
                    if command.is_none_or(|command| self.handle.commands.try_send(command).is_err()) {
                        self.outbox.clear();
                    }
                }
                event = self.handle.events.recv(), if self.status.is_none() => {
                    self.take(event.map_or(Msg::CoreClosed, |e| Msg::Core(Box::new(e)))).await;
                    for _ in 0..BATCH {
                        let Ok(event) = self.handle.events.try_recv() else { break };
                        self.take(Msg::Core(Box::new(event))).await;
                    }
                }
                ended = ended(&mut self.editing) => self.edited(ended).await,
                () = self.timer.until(wake) => {
                    if self.app.deadline().is_some_and(|at| at <= Instant::now()) {
                        self.take(Msg::Tick).await;
                    }
                }
            }
        }
    }

    /// Takes an event of the terminal and those that came with it.
    async fn typed(&mut self, first: crossterm::event::Event) {
        // Time stands still while a backlog is worked off, so that a paste is one burst however slow we are.
        let now = Instant::now();
        self.last_input = now;
        let mut next = Some(first);
        for _ in 0..BATCH {
            let Some(event) = next else { return };
            self.terminal_event(event, now).await;
            if self.status.is_some() {
                return;
            }
            next = self.keys.ready();
        }
        if let Some(event) = next {
            self.terminal_event(event, now).await;
        }
    }

    async fn terminal_event(&mut self, event: crossterm::event::Event, now: Instant) {
        match message(event) {
            Some(Msg::Key(key)) if self.replies.swallow(key, now) => {}
            Some(msg) => self.take_at(msg, now).await,
            None => {}
        }
    }

    async fn take(&mut self, msg: Msg) {
        self.take_at(msg, Instant::now()).await;
    }

    async fn take_at(&mut self, msg: Msg, now: Instant) {
        let effects = update(&mut self.app, msg, now);
        self.frames.want(self.app.redraw);
        for effect in effects {
            self.perform(effect).await;
        }
    }

    fn say(&mut self, level: Level, text: String) {
        update(&mut self.app, Msg::Said(level, text), Instant::now());
        self.frames.want(Redraw::Now);
    }

    async fn perform(&mut self, effect: Effect) {
        match effect {
            Effect::Send(command) => self.send(command),
            Effect::Draft { rev, text } => {
                if self.outbox.is_empty()
                    && self
                        .handle
                        .commands
                        .try_send(Command::Draft { rev, text })
                        .is_ok()
                {
                    self.app.draft.priced(rev);
                }
            }
            Effect::OpenEditor(text) => self.open_editor(&text),
            Effect::Copy { text, what } => self.copy(&what, &text),
            Effect::Mouse(on) => {
                let done = self.screen.mouse(on);
                self.wrote(&done);
            }
            Effect::Suspend => self.suspend().await,
            Effect::Redraw => self.screen.redraw(),
            Effect::Bell => {
                let done = self.screen.bell();
                self.wrote(&done);
            }
            Effect::Notify(text) => {
                let done = self.screen.notify(&text);
                self.wrote(&done);
            }
            Effect::Quit => self.status = Some(0),
        }
    }

    fn send(&mut self, command: Command) {
        if self.outbox.is_empty() {
            match self.handle.commands.try_send(command) {
                Ok(()) | Err(TrySendError::Closed(_)) => {}
                Err(TrySendError::Full(command)) => self.outbox.push_back(command),
            }
        } else if self.outbox.len() < OUTBOX {
            self.outbox.push_back(command);
        } else {
            self.say(
                Level::Warning,
                "the core is busy; try that again in a moment".to_owned(),
            );
        }
    }

    fn copy(&mut self, what: &str, text: &str) {
        match clipboard::verdict(what, text) {
            Ok(words) => {
                let done = self.screen.copy(text);
                self.wrote(&done);
                self.say(Level::Info, words);
            }
            Err(words) => self.say(Level::Warning, words),
        }
    }

    fn open_editor(&mut self, text: &str) {
        let Some(editor) = self.options.editor.clone() else {
            self.say(Level::Warning, "no editor: set VISUAL or EDITOR".to_owned());
            return;
        };
        self.away();
        match Editing::start(&editor, &self.options.scratch, text) {
            Ok(editing) => self.editing = Some(editing),
            Err(problem) => {
                self.back();
                self.say(Level::Error, format!("cannot start the editor: {problem}"));
            }
        }
    }

    async fn edited(&mut self, ended: io::Result<std::process::ExitStatus>) {
        if let Some(editing) = self.editing.take() {
            let text = editing.result(ended);
            drop(editing);
            self.back();
            self.take(Msg::Edited(text)).await;
        }
    }

    async fn suspend(&mut self) {
        self.away();
        Screen::stop();
        // The stop may take hold a moment after the call.
        sleep(Duration::from_millis(20)).await;
        if Screen::in_foreground() {
            self.back();
        }
    }

    fn signalled(&mut self, signal: Signalled) {
        match signal {
            Signalled::End(status) => {
                self.editing = None;
                self.status = Some(status);
            }
            Signalled::Interrupt if self.editing.is_none() && self.screen.live() => {
                self.status = Some(130);
            }
            Signalled::Continued if self.editing.is_none() && Screen::in_foreground() => {
                // Stopped from outside we could not leave first: whatever the modes are now, take them anew.
                self.away();
                self.back();
            }
            Signalled::Interrupt | Signalled::Continued => {}
        }
    }

    /// Leaves the terminal to others.
    fn away(&mut self) {
        self.keys.close();
        self.screen.leave();
    }

    fn back(&mut self) {
        let done = self.screen.enter();
        self.wrote(&done);
        self.keys.open();
        self.frames.want(Redraw::Now);
    }

    fn draw(&mut self, now: Instant) {
        let app = &mut self.app;
        let extent = if self.frames.foot_only() {
            Extent::Foot
        } else {
            Extent::Whole
        };
        let done = self.screen.draw(|canvas| view::draw(canvas, app, extent));
        self.frames.drawn(now, now.elapsed());
        self.wrote(&done);
    }

    /// A terminal that cannot be written to is gone.
    fn wrote(&mut self, done: &io::Result<()>) {
        if done.is_err() {
            self.status = self.status.or(Some(129));
        }
    }

    /// Gives the terminal back at once, then lets the core settle and store.
    async fn end(&mut self) {
        self.away();
        if let Effect::Send(save) = draft::save(&mut self.app) {
            self.outbox.push_back(save);
        }
        self.outbox.push_back(Command::Shutdown);
        let outbox = std::mem::take(&mut self.outbox);
        let Handle { commands, events } = &mut self.handle;
        let farewell = async {
            let tell = async {
                for command in outbox {
                    if commands.send(command).await.is_err() {
                        break;
                    }
                }
            };
            let hear = async { while events.recv().await.is_some() {} };
            // Both at once: a core that waits for room for its events would never take our commands.
            tokio::join!(tell, hear);
        };
        // A core that does not end in time is left behind; the store is made for that.
        let _ = timeout(FAREWELL, farewell).await;
    }
}

async fn ended(editing: &mut Option<Editing>) -> io::Result<std::process::ExitStatus> {
    match editing {
        Some(editing) => editing.ended().await,
        None => std::future::pending().await,
    }
}

/// Waits for room in the channel; `false`: the core is gone.
async fn has_room(commands: &Sender<Command>) -> bool {
    commands.reserve().await.is_ok()
}
