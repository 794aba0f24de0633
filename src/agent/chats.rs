//! Chats: opening, resuming, renaming, listing; and the choices that belong to a chat.

use std::sync::Arc;

use super::session::Session;
use super::{Agent, Open};
use crate::chat::{Effort, Failure, FailureKind, Overflow, Selection, SessionId};
use crate::config::edit;
use crate::protocol::{Event, Level};
use crate::store::{ChatList, ChatLog, ChatSearch, Db, StoreError};

/// Prompts kept at hand for Up and Ctrl-R.
const HISTORY: usize = 500;
/// Chats in a list.
const LISTED: usize = 200;

impl Agent {
    pub(super) async fn with_store<T: Send + 'static>(
        &self,
        f: impl FnOnce(&mut Db) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, Failure> {
        self.gateway
            .store()
            .await?
            .run(f)
            .await
            .map_err(Failure::from)
    }

    /// Opens the chat that the user asked for.
    pub(super) async fn open(&mut self) -> Result<(), Failure> {
        let id = match self.start.open.clone() {
            Open::New => None,
            Open::Latest => self.with_store(|db| ChatList(db).latest_session()).await?,
            Open::Id(prefix) => Some(
                self.with_store(move |db| ChatList(db).find_session(&prefix))
                    .await?,
            ),
        };
        if let Some(id) = id {
            self.load(id).await?;
        } else if self.start.open == Open::Latest {
            self.notice(
                Level::Info,
                "there is no chat to go on with; this is a new one",
            )
            .await;
        }
        if self.start.screen {
            self.furnish().await;
        }
        Ok(())
    }

    /// What a screen shows besides the chat: history, panel, and a draft that a crash left behind.
    async fn furnish(&mut self) {
        let history = self
            .with_store(|db| ChatList(db).prompt_history(HISTORY))
            .await;
        let history = self.told(history).await;
        self.show_session(history.clone().unwrap_or_default()).await;
        if history.is_none() {
            return;
        }
        if self.session.entries.is_empty() {
            let (id, setting, now) = (
                self.session.id.clone(),
                self.session.setting(),
                self.gateway.parts().clock.now(),
            );
            let draft = self
                .with_store(move |db| ChatList(db).adopt_draft(&id, &setting, now))
                .await;
            if let Some(Some(text)) = self.told(draft).await {
                self.emit(Event::DraftRestored(text)).await;
            }
        }
        self.show_panel().await;
        self.quote_again();
        self.offer();
        // Answers that a killed process left behind become findable; nothing waits for it.
        let folded = self.with_store(|db| ChatLog(db).fold_dead_streams()).await;
        if let Ok(answers @ 1..) = folded {
            tracing::info!(answers, "answers of an earlier run were cut and are kept");
        }
    }

    async fn load(&mut self, id: SessionId) -> Result<(), Failure> {
        let mut chat = self.with_store(move |db| ChatLog(db).chat(&id)).await?;
        let draft = std::mem::take(&mut chat.draft);
        let favourites = self.session.favourites.clone();
        self.session = Session::resumed(chat, &self.start, favourites);
        if self.start.screen && !draft.is_empty() {
            self.emit(Event::DraftRestored(draft)).await;
        }
        Ok(())
    }

    /// Sends the chat as it is. `history` may be empty: then the front end keeps what it has.
    pub(super) async fn show_session(&self, history: Vec<String>) {
        self.emit(Event::Session(Box::new(self.session.view(history))))
            .await;
    }

    pub(super) async fn new_chat(&mut self) {
        self.end_turn().await;
        let favourites = std::mem::take(&mut self.session.favourites);
        self.session = Session::new(&self.gateway, &self.start);
        self.session.favourites = favourites;
        self.opened().await;
    }

    pub(super) async fn resume(&mut self, id: SessionId) {
        self.end_turn().await;
        // What was named on the command line was meant for the chat that it opened.
        (self.start.selection, self.start.effort, self.start.system) = (None, None, None);
        let loaded = self.load(id).await;
        if self.told(loaded).await.is_some() {
            self.opened().await;
        }
    }

    async fn opened(&mut self) {
        self.show_session(Vec::new()).await;
        self.show_panel().await;
        self.quote_again();
        self.offer();
    }

    pub(super) async fn rename(&mut self, title: String) {
        if self.session.entries.is_empty() {
            self.notice(Level::Info, "a chat gets its name with its first prompt")
                .await;
            return;
        }
        let (id, name) = (self.session.id.clone(), title.clone());
        let renamed = self
            .with_store(move |db| ChatList(db).rename_session(&id, &name))
            .await;
        if self.told(renamed).await.is_some() {
            self.session.title.clone_from(&title);
            self.emit(Event::Titled(title)).await;
        }
    }

    pub(super) async fn list_sessions(&self, query: String) {
        let list = move |db: &mut Db| {
            if query.trim().is_empty() {
                ChatList(db).list_sessions(LISTED)
            } else {
                ChatSearch(db).search_sessions(&query, LISTED)
            }
        };
        let rows = self.with_store(list).await;
        if let Some(rows) = self.told(rows).await {
            self.emit(Event::Sessions(rows)).await;
        }
    }

    /// Keeps what is being written. A chat without a message holds its draft and stands in no list.
    pub(super) async fn save_draft(&mut self, text: &Arc<str>) {
        let (id, setting, now) = (
            self.session.id.clone(),
            self.session.setting(),
            self.gateway.parts().clock.now(),
        );
        let text = Arc::clone(text);
        let saved = self
            .with_store(move |db| ChatList(db).save_draft(&id, &setting, &text, now))
            .await;
        self.told(saved).await;
    }

    pub(super) async fn select(&mut self, selection: Selection) {
        if let Selection::Pinned(id) = &selection {
            let known = self.gateway.model(id);
            if self.told(known).await.is_none() {
                return;
            }
        }
        self.session.selection = selection;
        self.chosen().await;
    }

    pub(super) async fn set_effort(&mut self, effort: Option<Effort>) {
        self.session.effort = effort;
        self.chosen().await;
    }

    pub(super) async fn set_system(&mut self, system: Option<String>) {
        self.session.system = system.filter(|text| !text.trim().is_empty());
        self.chosen().await;
    }

    /// A cache that the configuration turned off cannot be turned on from here.
    pub(super) async fn set_cached(&mut self, on: bool) {
        if on && self.gateway.parts().cache.is_none() {
            self.notice(
                Level::Warning,
                "no answers are kept: set `enabled = true` in [cache] and start again",
            )
            .await;
            return;
        }
        self.session.cached = on;
        self.emit(Event::Choice(self.session.choice())).await;
        self.quote_again();
    }

    pub(super) async fn fit(&mut self, overflow: Overflow) {
        self.session.overflow = overflow;
        self.emit(Event::Choice(self.session.choice())).await;
        self.quote_again();
    }

    /// Stores what the chat is asked with, and prices the draft anew.
    async fn chosen(&mut self) {
        // A chat that is not stored yet takes it along with its first prompt.
        let (id, setting) = (self.session.id.clone(), self.session.setting());
        let stored = self
            .with_store(move |db| ChatList(db).set_setting(&id, &setting))
            .await;
        self.told(stored).await;
        self.emit(Event::Choice(self.session.choice())).await;
        self.quote_again();
        self.offer();
    }

    pub(super) async fn set_default(&mut self, selection: Selection) {
        let text = selection.to_string();
        let written = self.write_config(|path| edit::set_string(path, "model", &text));
        if self.told(written).await.is_some() {
            self.notice(Level::Info, format!("{text} is the model of new chats"))
                .await;
            self.start.default_selection = selection;
        }
    }

    pub(super) async fn toggle_favourite(&mut self, selection: Selection) {
        let favourites = &mut self.session.favourites;
        match favourites.iter().position(|f| *f == selection) {
            Some(at) => drop(favourites.remove(at)),
            None => favourites.push(selection),
        }
        let names: Vec<String> = self
            .session
            .favourites
            .iter()
            .map(ToString::to_string)
            .collect();
        let written = self.write_config(|path| edit::set_list(path, "favourites", &names));
        self.told(written).await;
        self.emit(Event::Choice(self.session.choice())).await;
    }

    fn write_config(
        &self,
        write: impl FnOnce(&std::path::Path) -> Result<(), crate::config::ConfigError>,
    ) -> Result<(), Failure> {
        let Some(path) = &self.start.config_file else {
            return Err(Failure::new(
                FailureKind::Usage,
                "there is no configuration file to write to",
            ));
        };
        write(path).map_err(Failure::from)
    }
}
