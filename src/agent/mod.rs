//! The actor that owns a chat: commands in, events out.
//!
//! Owns: the open session, the turn under way, the newest draft and its receipt.
//! Refuses: drawing, printing, and every decision about models or money; those are the gateway's.
//! Invariant: one turn at a time; whatever ends the actor first lets the turn settle and be stored.

mod chats;
mod degraded;
mod figures;
mod segment;
mod session;
mod turns;
mod ways;

use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::chat::{Effort, Failure, Overflow, Params, Selection};
use crate::gateway::{Ask, DraftTokenCounter, Gateway, Stale};
use crate::protocol::{COMMANDS, Command, EVENTS, Entry, Event, Handle, Level, Notice};
use segment::Turn;
use session::Session;
use ways::Held;

/// Which chat to open.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Open {
    #[default]
    New,
    /// The newest one.
    Latest,
    /// The one with this id, or whose id starts so.
    Id(String),
}

/// How to begin.
#[derive(Debug, Clone, Default)]
pub struct Start {
    pub open: Open,
    /// For a new chat; for one that is resumed, only when the user named it. So are effort and system.
    pub selection: Option<Selection>,
    pub default_selection: Selection,
    pub effort: Option<Effort>,
    /// As the user named it for this run, for a chat that is resumed too.
    pub system: Option<String>,
    /// For a new chat.
    pub default_system: Option<String>,
    pub params: Params,
    pub favourites: Vec<Selection>,
    pub overflow: Overflow,
    /// Where the material begins in the first prompt, in bytes, when it is put together from several sources.
    pub seam: Option<usize>,
    /// Read and write the answer cache.
    pub cached: bool,
    pub refresh: bool,
    /// Whether an answer may be older than the cache gives them.
    pub stale: Stale,
    /// A front end with a screen wants the panel, the history and the recovered draft.
    pub screen: bool,
    /// Where the user's settings are written when the screen changes one (`None`: nowhere).
    pub config_file: Option<std::path::PathBuf>,
}

/// Starts the actor. It opens nothing before the first command that needs it, or when `screen` is set, at once but
/// behind the front end's back.
pub fn spawn(gateway: Arc<Gateway>, start: Start) -> Handle {
    let (commands, inbox) = mpsc::channel(COMMANDS);
    let (outbox, events) = mpsc::channel(EVENTS);
    tokio::spawn(Agent::new(gateway, start, outbox).run(inbox));
    Handle { commands, events }
}

struct Agent {
    gateway: Arc<Gateway>,
    start: Start,
    events: mpsc::Sender<Event>,
    session: Session,
    turn: Option<Turn>,
    /// What the turn under way was opened with.
    asked: Option<Ask>,
    /// A question that came to a limit and waits for the user's word.
    held: Option<Held>,
    /// A question that no provider could be reached for.
    down: Option<Ask>,
    /// What is being worked out beside the turns; a newer one ends the older.
    listing: Option<JoinHandle<()>>,
    offering: Option<JoinHandle<()>>,
    /// The newest draft, its counts, and whether it wants a receipt.
    draft: (u64, Arc<str>),
    counts: Arc<DraftTokenCounter>,
    unquoted: bool,
    quoting: Option<JoinHandle<()>>,
    /// A question that is asked again: from its entry on, the chat gives way to the new answer once that has begun.
    again: Option<Again>,
}

/// A retry under way.
struct Again {
    /// The place of the prompt.
    at: usize,
    /// What the new answer replaced in view, to be shown again if nothing comes of it.
    replaced: Vec<Entry>,
}

impl Again {
    fn at(at: usize) -> Self {
        Self {
            at,
            replaced: Vec::new(),
        }
    }
}

/// Whether the actor goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flow {
    On,
    End,
}

impl Agent {
    fn new(gateway: Arc<Gateway>, start: Start, events: mpsc::Sender<Event>) -> Self {
        let session = Session::new(&gateway, &start);
        Self {
            gateway,
            start,
            events,
            session,
            turn: None,
            asked: None,
            held: None,
            down: None,
            listing: None,
            offering: None,
            draft: (0, Arc::from("")),
            counts: Arc::default(),
            unquoted: false,
            quoting: None,
            again: None,
        }
    }

    async fn run(mut self, mut inbox: mpsc::Receiver<Command>) {
        if let Err(failure) = self.open().await {
            self.emit(Event::Failed {
                failure,
                route: None,
                answer: None,
            })
            .await;
            return;
        }
        loop {
            let flow = tokio::select! {
                biased;
                event = next(&mut self.turn) => self.on_turn_event(event).await,
                command = inbox.recv() => match command {
                    Some(command) => self.on_command(command).await,
                    None => Flow::End,
                },
                () = self.gateway.troubled() => {
                    self.tell_trouble().await;
                    Flow::On
                }
                () = finished(&mut self.quoting) => {
                    self.quoting = None;
                    self.quote();
                    Flow::On
                }
            };
            if flow == Flow::End {
                break;
            }
        }
        for beside in [self.listing.take(), self.offering.take()]
            .into_iter()
            .flatten()
        {
            beside.abort();
        }
        self.end_turn().await;
        self.gateway.close().await;
        self.tell_trouble().await;
    }

    /// Tells of answers that are not kept or not shared, as soon as that is known.
    async fn tell_trouble(&self) {
        if let Some(text) = self.gateway.trouble() {
            self.notice(Level::Warning, text).await;
        }
    }

    async fn emit(&self, event: Event) {
        // Without a front end the turn still runs to its end.
        let _ = self.events.send(event).await;
    }

    async fn notice(&self, level: Level, text: impl Into<String>) {
        self.emit(Event::Notice(Notice {
            level,
            text: text.into(),
        }))
        .await;
    }

    /// Tells the user of a failure that is not the failure of a turn.
    async fn told<T>(&self, outcome: Result<T, Failure>) -> Option<T> {
        match outcome {
            Ok(value) => Some(value),
            Err(failure) => {
                self.notice(Level::Error, failure.to_string()).await;
                None
            }
        }
    }

    async fn on_command(&mut self, command: Command) -> Flow {
        // A question that waits at a limit is answered next, or given up.
        if !matches!(
            command,
            Command::SendBy { .. } | Command::Draft { .. } | Command::SaveDraft(_)
        ) {
            self.held = None;
        }
        match command {
            Command::Draft { rev, text } => {
                self.draft = (rev, text);
                self.quote_again();
            }
            Command::SaveDraft(text) => self.save_draft(&text).await,
            Command::Send { text } => self.send(text).await,
            Command::SendBy { text, way } => self.send_by(text, way).await,
            Command::TakeOffer(way) => self.take_offer(way).await,
            Command::Continue => self.go_on().await,
            Command::Fit(overflow) => self.fit(overflow).await,
            Command::Cancel => {
                if let Some(turn) = &self.turn {
                    turn.stop();
                }
            }
            Command::Retry { rung_up } => self.retry(rung_up).await,
            Command::Select(selection) => self.select(selection).await,
            Command::SetEffort(effort) => self.set_effort(effort).await,
            Command::SetCached(on) => self.set_cached(on).await,
            Command::SetSystem(system) => self.set_system(system).await,
            Command::SetDefault(selection) => self.set_default(selection).await,
            Command::ToggleFavourite(selection) => self.toggle_favourite(selection).await,
            Command::New => self.new_chat().await,
            Command::Resume(id) => self.resume(id).await,
            Command::Rename(title) => self.rename(title).await,
            Command::Rewind(message) => self.rewind(message).await,
            Command::ListModels { draft } => self.list_models(draft),
            Command::ListSessions { query } => self.list_sessions(query).await,
            Command::Shutdown => return Flow::End,
        }
        Flow::On
    }
}

/// The next event of the turn under way; never, when there is none.
async fn next(turn: &mut Option<Turn>) -> Option<Event> {
    match turn {
        Some(turn) => turn.next().await,
        None => std::future::pending().await,
    }
}

/// The end of the quote under way; never, when there is none.
async fn finished(quoting: &mut Option<JoinHandle<()>>) {
    match quoting {
        Some(handle) => drop(handle.await),
        None => std::future::pending().await,
    }
}
