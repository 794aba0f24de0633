//! What the router is asked: the rungs, and what is known of the request on each.

use super::PaceInput;
use crate::catalog::Model;
use crate::chat::{Effort, Params, Selection};
use crate::protocol::Left;
use crate::store::Health;
use crate::tokens::TokenCount;

/// A rung the router may take, with what is known of this request on it.
#[derive(Debug, Clone)]
pub struct Candidate<'a> {
    pub model: &'a Model,
    /// The effort that would be sent.
    pub effort: Option<Effort>,
    pub input: TokenCount,
    /// How far off `input` may be, as learned, in thousandths.
    pub band_permille: Option<u32>,
    /// Output tokens usual for this model and this kind of question.
    pub expected_output: u64,
    /// The output cap that past answers of this kind suggest.
    pub task_cap: Option<u64>,
    /// The tightest limit on it; `None`: no limit is set.
    pub left: Option<Left>,
    /// Why it cannot be used at all (`no key: set OPENAI_API_KEY`).
    pub unusable: Option<String>,
    pub health: Health,
}

/// What the router decides about.
#[derive(Debug, Clone)]
pub struct Query<'a> {
    pub selection: &'a Selection,
    /// Best first; just the one when a model is pinned.
    pub candidates: &'a [Candidate<'a>],
    pub params: &'a Params,
    /// The largest output cap when the user asked for none.
    pub default_cap: u64,
    /// When `auto` takes a lower rung to save money.
    pub downgrade: Downgrade,
    /// What was spent of the limits of day and month; `None`: it does not matter.
    pub pace: Option<&'a PaceInput>,
    /// Why these candidates, when the ladder could not be used.
    pub note: Option<&'a str>,
}

/// When `auto` takes a lower rung to save money.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Downgrade {
    /// Whenever the better one does not fit what is left.
    Freely,
    /// When the better one has too little room to answer; not when it does not fit at all, for then the user is asked.
    ForRoom,
    /// Never: the better one answers, as briefly as the money requires, or the question is refused.
    Never,
}
