//! Settings of the chat (model, effort, system message, cache, overflow) and of all new chats.

use super::state::Agent;
use super::{continuing, receipt};
use crate::chat::{Effort, Failure, FailureKind, Overflow, Selection};
use crate::config::edit;
use crate::protocol::{Event, Level};
use crate::store::ChatList;

pub(super) async fn select(agent: &mut Agent, selection: Selection) {
    if let Selection::Pinned(id) = &selection {
        let known = agent.gateway.model(id);
        if agent.report(known).await.is_none() {
            return;
        }
    }
    agent.session.selection = selection;
    store_and_show(agent).await;
}

pub(super) async fn set_effort(agent: &mut Agent, effort: Option<Effort>) {
    agent.session.effort = effort;
    store_and_show(agent).await;
}

pub(super) async fn set_system(agent: &mut Agent, system: Option<String>) {
    agent.session.system = system.filter(|text| !text.trim().is_empty());
    store_and_show(agent).await;
}

/// Turns the use of the cache on or off; a cache that the configuration disables stays off.
pub(super) async fn set_cached(agent: &mut Agent, on: bool) {
    if on && agent.gateway.parts().cache.is_none() {
        agent
            .notice(
                Level::Warning,
                "no answers are kept: set `enabled = true` in [cache] and start again",
            )
            .await;
        return;
    }
    agent.session.cached = on;
    agent.emit(Event::Choice(agent.session.choice())).await;
    receipt::refresh(agent);
}

pub(super) async fn set_overflow(agent: &mut Agent, overflow: Overflow) {
    agent.session.overflow = overflow;
    agent.emit(Event::Choice(agent.session.choice())).await;
    receipt::refresh(agent);
}

/// Stores the settings of the chat, shows them, and prices the draft again.
async fn store_and_show(agent: &mut Agent) {
    // For a chat that is not stored yet this changes nothing: its first prompt stores the settings.
    let (id, setting) = (agent.session.id.clone(), agent.session.setting());
    let stored = agent
        .with_store(move |db| ChatList(db).set_setting(&id, &setting))
        .await;
    agent.report(stored).await;
    agent.emit(Event::Choice(agent.session.choice())).await;
    receipt::refresh(agent);
    continuing::offer(agent);
}

pub(super) async fn set_default(agent: &mut Agent, selection: Selection) {
    let text = selection.to_string();
    let written = write_config(agent, |path| edit::set_string(path, "model", &text));
    if agent.report(written).await.is_some() {
        agent
            .notice(Level::Info, format!("{text} is the model of new chats"))
            .await;
        agent.start.default_selection = selection;
    }
}

pub(super) async fn toggle_favourite(agent: &mut Agent, selection: Selection) {
    let favourites = &mut agent.session.favourites;
    match favourites.iter().position(|f| *f == selection) {
        Some(index) => drop(favourites.remove(index)),
        None => favourites.push(selection),
    }
    let names: Vec<String> = agent
        .session
        .favourites
        .iter()
        .map(ToString::to_string)
        .collect();
    let written = write_config(agent, |path| edit::set_list(path, "favourites", &names));
    agent.report(written).await;
    agent.emit(Event::Choice(agent.session.choice())).await;
}

fn write_config(
    agent: &Agent,
    write: impl FnOnce(&std::path::Path) -> Result<(), crate::config::ConfigError>,
) -> Result<(), Failure> {
    let Some(path) = &agent.start.config_file else {
        return Err(Failure::new(
            FailureKind::Usage,
            "there is no configuration file to write to",
        ));
    };
    write(path).map_err(Failure::from)
}
