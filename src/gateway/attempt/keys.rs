//! The keys of one rung: which is used next, and which are passed over.
//!
//! Owns: the keys whose own limit has no room for this request.
//! Refuses: to know how a key is picked (the provider's key ring does).
//! Invariant: a key whose limit refused the request is not picked again on this rung.

use crate::chat::Failure;
use crate::gateway::attempt::context::AttemptContext;
use crate::gateway::attempt::failure::no_key_has_room;
use crate::gateway::upstream::key_store::SelectedKey;
use crate::gateway::upstream::provider_state::NoKey;

/// The choice of keys on one rung.
#[derive(Default)]
pub(in crate::gateway) struct RungKeys {
    /// The indices of the keys whose own limit has no room, and how the last one refused the request.
    at_limit: Vec<usize>,
    refused: Option<Failure>,
    /// What other machines know of the keys was fetched.
    fetched: bool,
}

impl RungKeys {
    /// The next key. Before the first, other machines are asked what they know; the user is told once of a source whose
    /// key cannot be used.
    pub(in crate::gateway) async fn next(
        &mut self,
        context: &AttemptContext<'_>,
    ) -> Result<SelectedKey, NoKey> {
        let (services, provider) = (&context.services, context.provider);
        let model = &context.rung().model;
        let asked = services.reporter.began();
        if let (Some(peers), false) = (services.peers, self.fetched) {
            let (env, waiting) = (services.env, services.waiting);
            peers
                .fetch(provider, env, model.model(), waiting, asked, context.now())
                .await;
            self.fetched = true;
        }
        let key = provider
            .key(services.env, model, asked, context.now(), &self.at_limit)
            .await;
        for text in provider.untold_key_errors() {
            services.reporter.warn(text).await;
        }
        key
    }

    /// The limit of this key has no room for the request.
    pub(in crate::gateway) fn pass_over(&mut self, key: &SelectedKey, refused: Failure) {
        self.at_limit.push(key.index);
        self.refused = Some(refused);
    }

    /// Why no key is left when all were passed over.
    pub(in crate::gateway) fn take_refusal(&mut self) -> Failure {
        self.refused.take().unwrap_or_else(no_key_has_room)
    }

    /// Whether a key other than this one could be used now.
    pub(in crate::gateway) fn has_other(
        &self,
        context: &AttemptContext<'_>,
        key: &SelectedKey,
    ) -> bool {
        let model = context.rung().model.model();
        context
            .provider
            .with_ring(|ring| ring.has_other(key.index, model, &self.at_limit, context.now()))
            .unwrap_or(false)
    }
}
