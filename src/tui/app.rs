//! The state of the screen.
//!
//! Owns: [`App`]: what is shown, what is being written, what the core last said.
//! Refuses: changing itself (that is `update`) and drawing itself (that is `view`).
//! Invariant: a turn is idle, waiting or streaming; one dialog is open or none.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::burst::Burst;
use super::composer::Composer;
use super::draft::Draft;
use super::keymap::{KeyError, Keymap};
use super::overlay::Overlay;
use super::scrollback::Scrollback;
use super::theme::Palette;
use super::{Exit, Options};
use crate::chat::{Cost, Failure, MessageId, ModelId, Selection, SessionId, Usage};
use crate::protocol::{AnswerFacts, Choice, Estimate, Latency, Level, Panel, Receipt, Route, Started};

/// Prompts that may wait for the answer to end.
pub const QUEUE: usize = 100;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Focus {
    Input,
    Transcript,
    Panel,
}

/// Where the conversation stands.
#[derive(Debug, Clone, PartialEq)]
pub enum Turn {
    Idle,
    /// Something was asked. `prompt` until the core has stored it.
    Waiting {
        since: Instant,
        prompt: Option<String>,
    },
    Streaming {
        id: MessageId,
        since: Instant,
        last_data: Instant,
    },
}

/// The figures of the reply that is streaming, or of the last one.
#[derive(Debug, Clone, PartialEq)]
pub struct Reply {
    pub model: ModelId,
    pub route: Route,
    pub estimate: Estimate,
    pub context: Option<u64>,
    pub key: String,
    pub latency: Latency,
    pub usage: Option<Usage>,
    pub cost: Option<Cost>,
    /// It came from a cache.
    pub cached: bool,
}

impl Reply {
    pub fn started(s: &Started) -> Self {
        Self {
            model: s.model.clone(),
            route: s.route.clone(),
            estimate: s.estimate,
            context: s.context,
            key: s.key.clone(),
            latency: Latency::default(),
            usage: None,
            cost: s.free.then_some(Cost::FREE),
            cached: false,
        }
    }

    pub fn of(facts: &AnswerFacts) -> Self {
        Self {
            model: facts.model.clone(),
            route: facts.route.clone(),
            estimate: facts.estimate,
            context: None,
            key: facts.attempts.last().map(|a| a.key.clone()).unwrap_or_default(),
            latency: facts.latency,
            usage: Some(facts.usage),
            cost: Some(facts.cost),
            cached: facts.cache != crate::protocol::CacheHit::None,
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
pub struct Toast {
    pub level: Level,
    pub text: String,
    pub since: Instant,
}

#[derive(Debug)]
pub struct App {
    pub palette: Palette,
    pub keymap: Keymap,
    pub now: Instant,
    pub composer: Composer,
    pub burst: Burst,
    pub draft: Draft,
    pub log: Scrollback,
    pub focus: Focus,
    pub overlay: Overlay,
    /// Id and title of the open chat; `None` until the core is ready.
    pub session: Option<(SessionId, String)>,
    pub choice: Choice,
    pub turn: Turn,
    pub queue: VecDeque<String>,
    pub receipt: Option<Receipt>,
    pub panel: Option<Panel>,
    pub reply: Option<Reply>,
    pub toast: Option<Toast>,
    pub panel_on: bool,
    /// The last frame had room for it.
    pub panel_shown: bool,
    pub panel_scroll: u16,
    pub mouse_on: bool,
    /// Ctrl-C was pressed with nothing left to stop: the next one quits.
    pub armed: bool,
    /// The first Esc of two.
    pub escaped: Option<Instant>,
    /// The terminal window has the focus, as far as is known.
    pub in_front: bool,
    pub sent_any: bool,
    /// The text that comes back next was asked for by a rewind.
    pub rewinding: bool,
    /// The last thing that went wrong.
    pub failure: Option<Failure>,
    /// The core ended without being asked.
    pub forsaken: bool,
    pub draw: bool,
}

impl App {
    pub fn new(options: &Options, now: Instant) -> Result<Self, KeyError> {
        let palette = palette(options);
        Ok(Self {
            palette,
            keymap: Keymap::new(&options.keys)?,
            now,
            composer: Composer::default(),
            burst: Burst::default(),
            draft: Draft::default(),
            log: Scrollback::new(palette),
            focus: Focus::Input,
            overlay: Overlay::None,
            session: None,
            choice: Choice { selection: Selection::Auto, effort: None, system: None, favourites: Vec::new() },
            turn: Turn::Idle,
            queue: options.prompt.iter().cloned().collect(),
            receipt: None,
            panel: None,
            reply: None,
            toast: None,
            panel_on: options.panel,
            panel_shown: false,
            panel_scroll: 0,
            mouse_on: options.mouse,
            armed: false,
            escaped: None,
            in_front: true,
            sent_any: false,
            rewinding: false,
            failure: None,
            forsaken: false,
            draw: true,
        })
    }

    pub fn busy(&self) -> bool {
        self.turn != Turn::Idle
    }

    pub fn say(&mut self, level: Level, text: impl Into<String>) {
        self.toast = Some(Toast { level, text: text.into(), since: self.now });
    }

    pub fn info(&mut self, text: impl Into<String>) {
        self.say(Level::Info, text);
    }

    /// How long the turn has run; `None` when idle.
    pub fn elapsed(&self) -> Option<Duration> {
        Some(self.now.saturating_duration_since(self.since()?))
    }

    /// When the turn began.
    fn since(&self) -> Option<Instant> {
        match &self.turn {
            Turn::Idle => None,
            Turn::Waiting { since, .. } | Turn::Streaming { since, .. } => Some(*since),
        }
    }

    /// How long nothing has come, when that is long enough to say.
    pub fn silence(&self) -> Option<Duration> {
        let last = match &self.turn {
            Turn::Idle => return None,
            Turn::Waiting { since, .. } => since,
            Turn::Streaming { last_data, .. } => last_data,
        };
        Some(self.now.saturating_duration_since(*last)).filter(|d| d.as_secs() >= 3)
    }

    /// When to be woken with a `Tick`; `None`: only by what happens.
    pub fn deadline(&self) -> Option<Instant> {
        let second = self.since().map(|since| {
            let whole = self.now.saturating_duration_since(since).as_secs();
            since + Duration::from_secs(whole + 1)
        });
        [self.burst.deadline(), self.draft.deadline(), second].into_iter().flatten().min()
    }

    pub fn exit(&self, status: u8) -> Exit {
        let resume = self.session.as_ref().filter(|_| self.sent_any).map(|(id, _)| id.clone());
        let failure = self.failure.clone().filter(|_| self.forsaken);
        Exit { resume, status, failure }
    }
}

/// The palette for the theme; `auto` trusts `COLORFGBG` and else takes the dark one.
fn palette(options: &Options) -> Palette {
    if options.no_color {
        return Palette::plain();
    }
    let background = options.colorfgbg.as_deref().and_then(|v| v.rsplit(';').next()?.parse::<u8>().ok());
    match (options.theme.as_str(), background) {
        ("light", _) | ("auto", Some(7 | 9..=15)) => Palette::light(),
        _ => Palette::dark(),
    }
}
