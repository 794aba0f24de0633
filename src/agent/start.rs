//! How a front end starts the agent.

use crate::chat::{Effort, Overflow, Params, Selection};
use crate::gateway::Stale;

/// Which chat to open.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Open {
    #[default]
    New,
    /// The newest one.
    Latest,
    /// The one with this id, or with an id that starts like this.
    Id(String),
}

/// How to start.
#[derive(Debug, Clone, Default)]
pub struct Start {
    /// Which chat is opened.
    pub open: Open,
    /// For a new chat. For a resumed one it is set only when the user named it; the same holds for `effort` and `system`.
    pub selection: Option<Selection>,
    /// The model of new chats.
    pub default_selection: Selection,
    /// The effort of the command line; it is part of the chat that is opened.
    pub effort: Option<Effort>,
    /// As the user named it for this run; it applies to a resumed chat too.
    pub system: Option<String>,
    /// For a new chat.
    pub default_system: Option<String>,
    /// The parameters of every question of this run.
    pub params: Params,
    /// What F2 steps through besides `auto`.
    pub favourites: Vec<Selection>,
    /// What happens to a question that does not fit the window.
    pub overflow: Overflow,
    /// The byte at which the material begins in the first prompt, when the prompt is made of several sources.
    pub seam: Option<usize>,
    /// Read and write the answer cache.
    pub cached: bool,
    /// Ask past the cache, and keep the new answers.
    pub refresh: bool,
    /// Whether a cached answer may be used after its time.
    pub stale: Stale,
    /// A front end with a screen wants the panel, the history and the recovered draft.
    pub screen: bool,
    /// The file that the screen's changes of settings are written to; `None`: they are not written.
    pub config_file: Option<std::path::PathBuf>,
}
