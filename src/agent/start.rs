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
    pub open: Open,
    /// For a new chat. For a resumed one it is set only when the user named it; the same holds for `effort` and `system`.
    pub selection: Option<Selection>,
    pub default_selection: Selection,
    pub effort: Option<Effort>,
    /// As the user named it for this run; it applies to a resumed chat too.
    pub system: Option<String>,
    /// For a new chat.
    pub default_system: Option<String>,
    pub params: Params,
    pub favourites: Vec<Selection>,
    pub overflow: Overflow,
    /// The byte at which the material begins in the first prompt, when the prompt is made of several sources.
    pub seam: Option<usize>,
    /// Read and write the answer cache.
    pub cached: bool,
    pub refresh: bool,
    /// Whether a cached answer may be used after its time.
    pub stale: Stale,
    /// A front end with a screen wants the panel, the history and the recovered draft.
    pub screen: bool,
    /// The file that the screen's changes of settings are written to; `None`: they are not written.
    pub config_file: Option<std::path::PathBuf>,
}
