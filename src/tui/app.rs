//! The state of the screen.
//!
//! Owns: [`App`]: what is shown, what is being written, what the core last said.
//! Refuses: changing itself (that is `update`) and drawing itself (that is `view`).
//! Invariant: a turn is idle, waiting or streaming; one dialog is open or none.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::burst::Burst;
use super::composer::Composer;
use super::draft::DraftSync;
use super::exit::Exit;
use super::frame::Redraw;
use super::keymap::{Keymap, KeymapError};
use super::layout::ScreenLayout;
use super::options::Options;
use super::overlay::Overlay;
use super::price_alert::PriceAlert;
use super::rescue::Rescue;
use super::scrollback::Scrollback;
use super::theme::Palette;
use super::wire::ConnectionState;
use crate::chat::{
    Cost, Failure, MessageId, ModelId, Overflow, Selection, SessionId, Timestamp, Usage,
};
use crate::protocol::{
    AnswerFacts, Choice, Counterfactual, Estimate, Latency, Level, Panel, Progress, Quote, Receipt,
    Route, Started,
};

/// Prompts that may wait for the answer to end.
pub(crate) const QUEUE: usize = 100;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Focus {
    Input,
    Transcript,
    Panel,
}

/// Where the conversation stands.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum TurnState {
    Idle,
    /// Something was asked. `prompt` until the core has stored it.
    Waiting {
        since: Instant,
        prompt: Option<String>,
    },
    Streaming {
        id: MessageId,
        since: Instant,
        /// `None`: nothing has come yet.
        last_data: Option<Instant>,
    },
}

/// The figures of the reply that is streaming, or of the last one.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ReplyFigures {
    pub(crate) model: ModelId,
    pub(crate) route: Route,
    pub(crate) estimate: Estimate,
    pub(crate) context: Option<u64>,
    pub(crate) key: String,
    pub(crate) latency: Latency,
    pub(crate) usage: Option<Usage>,
    pub(crate) cost: Option<Cost>,
    /// It came from a cache.
    pub(crate) cached: bool,
    /// What it would have cost elsewhere.
    pub(crate) others: Vec<Counterfactual>,
}

impl ReplyFigures {
    pub(crate) fn started(s: &Started) -> Self {
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
            others: Vec::new(),
        }
    }

    pub(crate) fn of(facts: &AnswerFacts) -> Self {
        Self {
            model: facts.model.clone(),
            route: facts.route.clone(),
            estimate: facts.estimate,
            context: None,
            key: facts
                .attempts
                .last()
                .map(|a| a.key.clone())
                .unwrap_or_default(),
            latency: facts.latency,
            usage: Some(facts.usage),
            cost: Some(facts.cost),
            cached: facts.cache != crate::protocol::CacheHit::None,
            others: facts.others.clone(),
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Toast {
    pub(crate) level: Level,
    pub(crate) text: String,
    pub(crate) since: Instant,
    /// It is about the turn under way, and is settled when that ends.
    pub(crate) passing: bool,
}

#[derive(Debug)]
pub(crate) struct App {
    pub(crate) palette: Palette,
    pub(crate) keymap: Keymap,
    pub(crate) now: Instant,
    pub(crate) composer: Composer,
    pub(crate) burst: Burst,
    pub(crate) draft: DraftSync,
    pub(crate) log: Scrollback,
    pub(crate) focus: Focus,
    pub(crate) overlay: Overlay,
    /// Id and title of the open chat; `None` until the core is ready.
    pub(crate) session: Option<(SessionId, String)>,
    pub(crate) choice: Choice,
    pub(crate) turn: TurnState,
    pub(crate) wire: ConnectionState,
    /// When the live figures were shown last, and newer ones that wait.
    pub(crate) figures: (Option<Instant>, Option<Progress>),
    pub(crate) queue: VecDeque<String>,
    pub(crate) receipt: Option<Receipt>,
    pub(crate) panel: Option<Panel>,
    pub(crate) reply: Option<ReplyFigures>,
    /// The price of going on with the last answer, which its cap cut off.
    pub(crate) offer: Option<(MessageId, Quote)>,
    /// What can be had for the last question, which no provider could be reached for.
    pub(crate) rescue: Option<Rescue>,
    /// Whether the next turn has become dear.
    pub(crate) price_alert: PriceAlert,
    /// The wall clock as the core told it last, and when.
    pub(crate) core_clock: Option<(Timestamp, Instant)>,
    /// A time of day in the user's zone.
    pub(crate) time_of_day: fn(Timestamp) -> String,
    /// Alerts go to the desktop too while the window has no focus.
    pub(crate) notify: bool,
    pub(crate) toast: Option<Toast>,
    pub(crate) panel_on: bool,
    /// Where everything stood in the last frame; `None`: nothing was drawn yet, or there was no room.
    pub(crate) layout: Option<ScreenLayout>,
    pub(crate) panel_scroll: u16,
    pub(crate) mouse_on: bool,
    /// Ctrl-C was pressed with nothing left to stop: the next one quits.
    pub(crate) armed: bool,
    /// The first Esc of two.
    pub(crate) escaped: Option<Instant>,
    /// The terminal window has the focus, as far as is known.
    pub(crate) in_front: bool,
    pub(crate) sent_any: bool,
    /// The text that comes back next was asked for by a rewind.
    pub(crate) rewinding: bool,
    /// The last thing that went wrong.
    pub(crate) failure: Option<Failure>,
    /// The core ended without being asked.
    pub(crate) core_gone: bool,
    /// What the last message has changed on the screen.
    pub(crate) redraw: Redraw,
}

impl App {
    pub(crate) fn new(options: &Options, now: Instant) -> Result<Self, KeymapError> {
        let palette = palette(options);
        Ok(Self {
            palette,
            keymap: Keymap::new(&options.keys)?,
            now,
            composer: Composer::default(),
            burst: Burst::default(),
            draft: DraftSync::default(),
            log: Scrollback::new(palette),
            focus: Focus::Input,
            overlay: Overlay::None,
            session: None,
            choice: Choice {
                selection: Selection::Auto,
                effort: None,
                system: None,
                favourites: Vec::new(),
                overflow: Overflow::Refuse,
                cached: true,
            },
            turn: TurnState::Idle,
            wire: ConnectionState::default(),
            figures: (None, None),
            queue: options.prompt.iter().cloned().collect(),
            receipt: None,
            panel: None,
            reply: None,
            offer: None,
            rescue: None,
            price_alert: PriceAlert::default(),
            core_clock: None,
            time_of_day: options.time_of_day,
            notify: options.notify,
            toast: None,
            panel_on: options.panel,
            layout: None,
            panel_scroll: 0,
            mouse_on: options.mouse,
            armed: false,
            escaped: None,
            in_front: true,
            sent_any: false,
            rewinding: false,
            failure: None,
            core_gone: false,
            redraw: Redraw::Soon,
        })
    }

    /// The last frame had room for the panel.
    pub(crate) fn panel_shown(&self) -> bool {
        self.layout.is_some_and(|layout| layout.panel.is_some())
    }

    pub(crate) fn busy(&self) -> bool {
        self.turn != TurnState::Idle
    }

    pub(crate) fn say(&mut self, level: Level, text: impl Into<String>) {
        self.toast = Some(Toast {
            level,
            text: text.into(),
            since: self.now,
            passing: level == Level::Warning,
        });
    }

    /// The wall clock now, as far as the core has told it. A screen has no clock of its own to read.
    pub(crate) fn wall(&self) -> Option<Timestamp> {
        let (at, since) = self.core_clock?;
        Some(at.plus(self.now.saturating_duration_since(since)))
    }

    pub(crate) fn info(&mut self, text: impl Into<String>) {
        self.say(Level::Info, text);
    }

    /// How long the turn has run; `None` when idle.
    pub(crate) fn elapsed(&self) -> Option<Duration> {
        Some(self.now.saturating_duration_since(self.since()?))
    }

    /// When the turn began.
    fn since(&self) -> Option<Instant> {
        match &self.turn {
            TurnState::Idle => None,
            TurnState::Waiting { since, .. } | TurnState::Streaming { since, .. } => Some(*since),
        }
    }

    /// When to be woken with a `Tick`; `None`: only by what happens.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let second = self.since().map(|since| {
            let whole = self.now.saturating_duration_since(since).as_secs();
            since + Duration::from_secs(whole + 1)
        });
        [
            self.burst.deadline(),
            self.draft.deadline(self.composer.rev()),
            second,
        ]
        .into_iter()
        .flatten()
        .min()
    }

    pub(crate) fn exit(&self, status: u8) -> Exit {
        let resume = self
            .session
            .as_ref()
            .filter(|_| self.sent_any)
            .map(|(id, _)| id.clone());
        let failure = self.failure.clone().filter(|_| self.core_gone);
        Exit {
            resume,
            status,
            failure,
        }
    }
}

/// The palette for the theme; `auto` trusts `COLORFGBG` and else takes the dark one.
fn palette(options: &Options) -> Palette {
    if options.no_color {
        return Palette::plain();
    }
    let background = options
        .colorfgbg
        .as_deref()
        .and_then(|v| v.rsplit(';').next()?.parse::<u8>().ok());
    match (options.theme.as_str(), background) {
        ("light", _) | ("auto", Some(7 | 9..=15)) => Palette::light(),
        _ => Palette::dark(),
    }
}
