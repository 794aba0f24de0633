//! What the attempts on a rung work with.
//!
//! Owns: nothing; it is a set of references that stay the same for the whole rung.
//! Refuses: anything that changes from attempt to attempt.

use tokio_util::sync::CancellationToken;

use crate::catalog::Model;
use crate::chat::{Clock, Params, Random, Request, Timestamp};
use crate::config::{Env, LimitsConfig};
use crate::gateway::ask::Ask;
use crate::gateway::plan::count::tokenizer;
use crate::gateway::plan::planned::Planned;
use crate::gateway::stream::reader::ReaderParts;
use crate::gateway::stream::reporter::Reporter;
use crate::gateway::upstream::peer_cooldowns::PeerCooldowns;
use crate::gateway::upstream::provider_state::ProviderState;
use crate::protocol::{Event, Fitted, Started};
use crate::provider::Wire;
use crate::redis::Waiting;
use crate::router::Rung;
use crate::store::Store;

/// What the attempts of one exchange work with.
#[derive(Clone, Copy)]
pub(in crate::gateway) struct AttemptServices<'a> {
    pub(in crate::gateway) wire: &'a Wire,
    pub(in crate::gateway) env: &'a Env,
    pub(in crate::gateway) limits: &'a LimitsConfig,
    pub(in crate::gateway) clock: &'a Clock,
    pub(in crate::gateway) random: &'a Random,
    pub(in crate::gateway) store: &'a Store,
    /// The machines that use the same keys.
    pub(in crate::gateway) peers: Option<&'a PeerCooldowns>,
    /// How long the exchange has waited for Redis.
    pub(in crate::gateway) waiting: &'a Waiting,
    pub(in crate::gateway) reporter: &'a Reporter<'a>,
    pub(in crate::gateway) stop: &'a CancellationToken,
}

/// What the attempts of one rung work with.
#[derive(Clone, Copy)]
pub(in crate::gateway) struct AttemptContext<'a> {
    pub(in crate::gateway) services: AttemptServices<'a>,
    pub(in crate::gateway) ask: &'a Ask,
    /// What was left out so that the question fits.
    pub(in crate::gateway) fitted: Option<Fitted>,
    pub(in crate::gateway) planned: &'a Planned,
    pub(in crate::gateway) model: &'a Model,
    pub(in crate::gateway) provider: &'a ProviderState,
    /// Whether `auto` may take a lower rung when a limit refuses this one.
    pub(in crate::gateway) steps_down: bool,
}

impl<'a> AttemptContext<'a> {
    pub(in crate::gateway) fn rung(&self) -> &'a Rung {
        &self.planned.plan.first
    }

    pub(in crate::gateway) fn now(&self) -> Timestamp {
        self.services.clock.now()
    }

    /// The question as this rung is asked it.
    pub(in crate::gateway) fn request(&self) -> Request {
        Request {
            model: self.rung().model.clone(),
            messages: self.ask.messages(),
            params: self.params(),
        }
    }

    /// The user's settings with the effort of this rung.
    pub(in crate::gateway) fn params(&self) -> Params {
        Params {
            effort: self.rung().effort,
            ..self.ask.params
        }
    }

    /// The event with which an answer begins. `key`: as it is shown.
    pub(in crate::gateway) fn started(&self, key: String) -> Event {
        let rung = self.rung();
        Event::Started(Box::new(Started {
            id: self.ask.answer.clone(),
            at: self.now(),
            model: rung.model.clone(),
            route: self.planned.plan.route.clone(),
            estimate: rung.estimate,
            fitted: self.fitted,
            effort: rung.effort,
            free: self.model.price.as_ref().is_some_and(|price| price.free),
            context: self.model.context,
            key,
        }))
    }

    /// What the answer is read with.
    pub(in crate::gateway) fn reader_parts(&self) -> ReaderParts<'a> {
        let estimate = &self.rung().estimate;
        ReaderParts {
            reporter: self.services.reporter,
            stop: self.services.stop,
            store: self.services.store,
            answer: &self.ask.answer,
            stored: self.ask.answers(),
            tokenizer: tokenizer(self.model),
            price: self.model.price.as_ref(),
            input_tokens: estimate.input_tokens,
            output_cap: estimate.output_cap,
        }
    }

    pub(in crate::gateway) async fn report_link(&self) {
        let link = self.provider.link(self.now());
        self.services.reporter.link(link).await;
    }
}
