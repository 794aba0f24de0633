//! The actor that owns a chat: commands in, events out.
//!
//! Owns: the open session, the turn under way, the newest draft and its receipt.
//! Refuses: drawing, printing, and every decision about models or money; those are the gateway's.
//! Invariant: one turn at a time; when the actor ends, the turn is settled and stored first.
//!
//! Read `state` first (what the actor knows), then `sending` (how a turn is opened) and `turn_events` (how it is
//! followed). The other files each hold the commands of one subject.

mod chats;
mod continuing;
mod limit;
mod model_list;
mod outage;
mod panel;
mod receipt;
mod segment;
mod sending;
mod session;
mod settings;
mod start;
mod state;
mod turn_events;

use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::task::JoinHandle;

pub(crate) use start::Open;
pub use start::Start;

use crate::gateway::Gateway;
use crate::protocol::{COMMANDS, Command, EVENTS, Event, Handle};
use segment::Turn;
use state::Agent;

/// Starts the actor. It opens the store and the chat only when a command needs them; with `screen` it opens them at
/// once, in the background.
pub fn spawn(gateway: Arc<Gateway>, start: Start) -> Handle {
    let (commands, inbox) = mpsc::channel(COMMANDS);
    let (outbox, events) = mpsc::channel(EVENTS);
    tokio::spawn(run(Agent::new(gateway, start, outbox), inbox));
    Handle { commands, events }
}

/// Whether the actor goes on after a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flow {
    Continue,
    End,
}

async fn run(mut agent: Agent, mut inbox: mpsc::Receiver<Command>) {
    if let Err(failure) = chats::open(&mut agent).await {
        agent
            .emit(Event::Failed {
                failure,
                route: None,
                answer: None,
            })
            .await;
        return;
    }
    loop {
        tokio::select! {
            biased;
            event = next_event(&mut agent.turn) => turn_events::on_event(&mut agent, event).await,
            command = inbox.recv() => {
                let flow = match command {
                    Some(command) => on_command(&mut agent, command).await,
                    None => Flow::End,
                };
                if flow == Flow::End {
                    break;
                }
            }
            () = agent.gateway.troubled() => agent.report_cache_trouble().await,
            () = finished(&mut agent.receipt_task) => {
                agent.receipt_task = None;
                receipt::start_quote(&mut agent);
            }
        }
    }
    for task in [agent.model_list_task.take(), agent.continuation_task.take()]
        .into_iter()
        .flatten()
    {
        task.abort();
    }
    turn_events::end_turn(&mut agent).await;
    agent.gateway.close().await;
    agent.report_cache_trouble().await;
}

async fn on_command(agent: &mut Agent, command: Command) -> Flow {
    // Any other command than these gives up a question that waits at a limit.
    if !matches!(
        command,
        Command::SendBy { .. } | Command::Draft { .. } | Command::SaveDraft(_)
    ) {
        agent.at_limit = None;
    }
    match command {
        Command::Draft { rev, text } => {
            agent.draft = (rev, text);
            receipt::refresh(agent);
        }
        Command::SaveDraft(text) => chats::save_draft(agent, &text).await,
        Command::Send { text } => sending::send(agent, text).await,
        Command::SendBy { text, way } => limit::send_by(agent, text, way).await,
        Command::TakeOffer(way) => outage::take_offer(agent, way).await,
        Command::Continue => continuing::continue_answer(agent).await,
        Command::Fit(overflow) => settings::set_overflow(agent, overflow).await,
        Command::Cancel => {
            if let Some(turn) = &agent.turn {
                turn.stop();
            }
        }
        Command::Retry { rung_up } => sending::retry(agent, rung_up).await,
        Command::Select(selection) => settings::select(agent, selection).await,
        Command::SetEffort(effort) => settings::set_effort(agent, effort).await,
        Command::SetCached(on) => settings::set_cached(agent, on).await,
        Command::SetSystem(system) => settings::set_system(agent, system).await,
        Command::SetDefault(selection) => settings::set_default(agent, selection).await,
        Command::ToggleFavourite(selection) => settings::toggle_favourite(agent, selection).await,
        Command::New => chats::new_chat(agent).await,
        Command::Resume(id) => chats::resume(agent, id).await,
        Command::Rename(title) => chats::rename(agent, title).await,
        Command::Rewind(message) => chats::rewind(agent, message).await,
        Command::ListModels { draft } => model_list::start(agent, draft),
        Command::ListSessions { query } => chats::list(agent, query).await,
        Command::Shutdown => return Flow::End,
    }
    Flow::Continue
}

/// The next event of the turn under way; waits forever when there is none.
async fn next_event(turn: &mut Option<Turn>) -> Option<Event> {
    match turn {
        Some(turn) => turn.next().await,
        None => std::future::pending().await,
    }
}

/// The end of a task; waits forever when there is none.
async fn finished(task: &mut Option<JoinHandle<()>>) {
    match task {
        Some(handle) => drop(handle.await),
        None => std::future::pending().await,
    }
}
