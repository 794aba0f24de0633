//! Opening, resuming, renaming, rewinding and listing chats.

use std::sync::Arc;

use super::session::Session;
use super::start::Open;
use super::state::Agent;
use super::{continuing, panel, receipt, turn_events};
use crate::chat::{Failure, MessageId, Role, SessionId};
use crate::protocol::{Event, Level};
use crate::store::{ChatList, ChatLog, ChatSearch, Db};

/// Prompts loaded for Up and Ctrl-R.
const HISTORY: usize = 500;
/// Chats in a list.
const LISTED: usize = 200;

/// Opens the chat that the user named at the start.
pub(super) async fn open(agent: &mut Agent) -> Result<(), Failure> {
    let id = match agent.start.open.clone() {
        Open::New => None,
        Open::Latest => agent.with_store(|db| ChatList(db).latest_session()).await?,
        Open::Id(prefix) => Some(
            agent
                .with_store(move |db| ChatList(db).find_session(&prefix))
                .await?,
        ),
    };
    if let Some(id) = id {
        load(agent, id).await?;
    } else if agent.start.open == Open::Latest {
        agent
            .notice(
                Level::Info,
                "there is no chat to go on with; this is a new one",
            )
            .await;
    }
    if agent.start.screen {
        fill_screen(agent).await;
    }
    Ok(())
}

/// Sends what a screen shows besides the chat: history, panel, and a draft that a crash left behind.
async fn fill_screen(agent: &mut Agent) {
    let history = agent
        .with_store(|db| ChatList(db).prompt_history(HISTORY))
        .await;
    let history = agent.report(history).await;
    agent
        .show_session(history.clone().unwrap_or_default())
        .await;
    if history.is_none() {
        return;
    }
    if agent.session.entries.is_empty() {
        let (id, setting, now) = (
            agent.session.id.clone(),
            agent.session.setting(),
            agent.gateway.parts().clock.now(),
        );
        let draft = agent
            .with_store(move |db| ChatList(db).adopt_draft(&id, &setting, now))
            .await;
        if let Some(Some(text)) = agent.report(draft).await {
            agent.emit(Event::DraftRestored(text)).await;
        }
    }
    panel::show(agent).await;
    receipt::refresh(agent);
    continuing::offer(agent);
    // Make answers of killed processes findable. Nothing waits for this.
    let folded = agent.with_store(|db| ChatLog(db).fold_dead_streams()).await;
    if let Ok(answers @ 1..) = folded {
        tracing::info!(answers, "answers of an earlier run were cut and are kept");
    }
}

async fn load(agent: &mut Agent, id: SessionId) -> Result<(), Failure> {
    let mut chat = agent.with_store(move |db| ChatLog(db).chat(&id)).await?;
    let draft = std::mem::take(&mut chat.draft);
    let favourites = agent.session.favourites.clone();
    agent.session = Session::resumed(chat, &agent.start, favourites);
    if agent.start.screen && !draft.is_empty() {
        agent.emit(Event::DraftRestored(draft)).await;
    }
    Ok(())
}

pub(super) async fn new_chat(agent: &mut Agent) {
    turn_events::end_turn(agent).await;
    let favourites = std::mem::take(&mut agent.session.favourites);
    agent.session = Session::new(&agent.gateway, &agent.start);
    agent.session.favourites = favourites;
    show_opened(agent).await;
}

pub(super) async fn resume(agent: &mut Agent, id: SessionId) {
    turn_events::end_turn(agent).await;
    // The flags of the command line apply only to the chat that was opened with them.
    (
        agent.start.selection,
        agent.start.effort,
        agent.start.system,
    ) = (None, None, None);
    let loaded = load(agent, id).await;
    if agent.report(loaded).await.is_some() {
        show_opened(agent).await;
    }
}

async fn show_opened(agent: &mut Agent) {
    agent.show_session(Vec::new()).await;
    panel::show(agent).await;
    receipt::refresh(agent);
    continuing::offer(agent);
}

pub(super) async fn rename(agent: &mut Agent, title: String) {
    if agent.session.entries.is_empty() {
        agent
            .notice(Level::Info, "a chat gets its name with its first prompt")
            .await;
        return;
    }
    let (id, name) = (agent.session.id.clone(), title.clone());
    let renamed = agent
        .with_store(move |db| ChatList(db).rename_session(&id, &name))
        .await;
    if agent.report(renamed).await.is_some() {
        agent.session.title.clone_from(&title);
        agent.emit(Event::Titled(title)).await;
    }
}

pub(super) async fn list(agent: &Agent, query: String) {
    let list = move |db: &mut Db| {
        if query.trim().is_empty() {
            ChatList(db).list_sessions(LISTED)
        } else {
            ChatSearch(db).search_sessions(&query, LISTED)
        }
    };
    let rows = agent.with_store(list).await;
    if let Some(rows) = agent.report(rows).await {
        agent.emit(Event::Sessions(rows)).await;
    }
}

/// Stores the draft. A chat without messages can hold a draft, but is in no list.
pub(super) async fn save_draft(agent: &mut Agent, text: &Arc<str>) {
    let (id, setting, now) = (
        agent.session.id.clone(),
        agent.session.setting(),
        agent.gateway.parts().clock.now(),
    );
    let text = Arc::clone(text);
    let saved = agent
        .with_store(move |db| ChatList(db).save_draft(&id, &setting, &text, now))
        .await;
    agent.report(saved).await;
}

/// Goes back to before a prompt. The store keeps the branch that is left.
pub(super) async fn rewind(agent: &mut Agent, message: MessageId) {
    let at = agent
        .session
        .entries
        .iter()
        .position(|e| e.id == message && e.role == Role::User);
    let Some(at) = at.filter(|_| agent.turn.is_none()) else {
        return;
    };
    let (session, now) = (agent.session.id.clone(), agent.gateway.parts().clock.now());
    let moved = agent
        .with_store(move |db| ChatLog(db).rewind(&session, &message, now))
        .await;
    if let Some(text) = agent.report(moved).await {
        agent.session.truncate(at);
        agent.show_session(Vec::new()).await;
        agent.emit(Event::DraftRestored(text)).await;
    }
}
