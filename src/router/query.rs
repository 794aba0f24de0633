//! What the router is asked: the rungs, and what is known of the request on each.

use super::PaceInput;
use crate::catalog::Model;
use crate::chat::{Effort, Params, Selection};
use crate::protocol::Left;
use crate::store::Health;
use crate::tokens::TokenCount;

/// A rung the router may take, with what is known of this request on it.
#[derive(Debug, Clone)]
pub(crate) struct Candidate<'a> {
    pub(crate) model: &'a Model,
    /// The effort that would be sent.
    pub(crate) effort: Option<Effort>,
    pub(crate) input: TokenCount,
    /// How far off `input` may be, as learned, in thousandths.
    pub(crate) band_permille: Option<u32>,
    /// Output tokens usual for this model and this kind of question.
    pub(crate) expected_output: u64,
    /// The output cap that past answers of this kind suggest.
    pub(crate) task_cap: Option<u64>,
    /// The tightest limit on it; `None`: no limit is set.
    pub(crate) left: Option<Left>,
    /// Why it cannot be used at all (`no key: set OPENAI_API_KEY`).
    pub(crate) unusable: Option<String>,
    pub(crate) health: Health,
}

/// What the router decides about.
#[derive(Debug, Clone)]
pub(crate) struct Query<'a> {
    pub(crate) selection: &'a Selection,
    /// Best first; just the one when a model is pinned.
    pub(crate) candidates: &'a [Candidate<'a>],
    pub(crate) params: &'a Params,
    /// The largest output cap when the user asked for none.
    pub(crate) default_cap: u64,
    /// When `auto` takes a lower rung to save money.
    pub(crate) downgrade: Downgrade,
    /// What was spent of the limits of day and month; `None`: it does not matter.
    pub(crate) pace: Option<&'a PaceInput>,
    /// Why these candidates, when the ladder could not be used.
    pub(crate) note: Option<&'a str>,
}

/// When `auto` takes a lower rung to save money.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Downgrade {
    /// Whenever the better one does not fit what is left.
    Freely,
    /// When the better one has too little room to answer; not when it does not fit at all, for then the user is asked.
    ForRoom,
    /// Never: the better one answers, as briefly as the money requires, or the question is refused.
    Never,
}
