//! How a rung, and each attempt on it, ended.

use tokio::sync::SemaphorePermit;

use crate::chat::Failure;
use crate::gateway::money::account::OpenCharge;
use crate::gateway::stream::reader::StreamEnd;
use crate::gateway::upstream::compat::CompatFix;
use crate::gateway::upstream::endpoints::EndpointPermit;
use crate::gateway::upstream::key_store::SelectedKey;
use crate::provider::WireError;

/// Why a rung gave no answer.
pub(in crate::gateway) enum RungFailure {
    /// This rung failed; the next one may be tried.
    Next(Failure),
    /// The provider is not asked now: the first says why, in words.
    Unavailable(String, Failure),
    /// The question is too long for it; one with a larger window may be tried.
    Larger(Failure),
    /// The exchange failed.
    Stop(Failure),
}

/// An answer that is still to be settled, and the permits that it holds until then.
pub(in crate::gateway) struct AttemptAnswer<'a> {
    pub(in crate::gateway) charge: OpenCharge,
    pub(in crate::gateway) end: StreamEnd,
    /// `ok`, or what went wrong in a few words.
    pub(in crate::gateway) outcome: String,
    /// Why it is no whole answer; `None` also when the user stopped it.
    pub(in crate::gateway) failure: Option<Failure>,
    /// The price belongs to another address than the one that was asked.
    pub(in crate::gateway) foreign_address: bool,
    pub(in crate::gateway) permits: Permits<'a>,
}

/// The right to use a provider and one of its addresses. The next request waits until it is dropped.
pub(in crate::gateway) type Permits<'a> = (Option<SemaphorePermit<'a>>, Option<EndpointPermit<'a>>);

/// How one attempt ended.
pub(in crate::gateway) enum AttemptEnd<'a> {
    Answered(Box<AttemptAnswer<'a>>),
    /// It could not be made at all.
    Blocked(RungFailure),
    /// It could not be made with this key, whose own limit is in the way.
    KeyAtLimit,
    /// The model is asked again, in a way that it accepts.
    Fixed(CompatFix),
    /// It failed before any part of the answer came.
    Failed(Box<WireError>, SelectedKey),
}
