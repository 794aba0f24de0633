//! Asking again in the way that a model takes, and knowing it from then on.
//!
//! Owns: when a mend is made, what the user hears of it, and its keeping: in memory, and in the store for later runs.
//! Refuses: to judge a refusal (`mends` does) and to pass the number of retries.
//! Invariant: a mend is kept only after an answer has shown that it helps, and forgotten after a month.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::catalog::Dialect;
use crate::chat::{Params, Request, Role, Timestamp};
use crate::gateway::attempt::run::AttemptContext;
use crate::gateway::exchange::ExchangeRun;
use crate::gateway::upstream::compat::{Asked, CompatFix, CompatFixes, mend};
use crate::protocol::{Event, Level, Notice};
use crate::provider::{Endpoint, WireError};

/// Servers learn too: after this time a parameter is tried again.
const KEPT_FOR: Duration = Duration::from_hours(30 * 24);

/// The mends of one model, as the store keeps them.
#[derive(Serialize, Deserialize)]
struct Kept {
    mends: CompatFixes,
    since: Timestamp,
}

/// The name under which the mends of a model at an address are kept: behind two addresses of one provider there may be
/// two servers of different age.
fn name(on: &AttemptContext<'_>, endpoint: &Endpoint) -> String {
    format!("mends of {} at {}", on.rung.model, endpoint.base_url())
}

impl AttemptContext<'_> {
    /// How the model is asked: the question's settings and the model's dialect, mended.
    pub(in crate::gateway) fn mended(&self, params: Params) -> (Params, Dialect) {
        let (params, dialect, _) = self.mends.applied(params, &self.model.dialect);
        (params, dialect)
    }
}

impl ExchangeRun {
    /// Finds what was learned before of the model at the address that is asked now.
    pub(in crate::gateway) async fn recall_mends(
        &self,
        on: &mut AttemptContext<'_>,
        endpoint: &Endpoint,
    ) {
        let name = name(on, endpoint);
        on.made = CompatFixes::default();
        on.mends = if let Some(known) = on.route.mends_of(&name) {
            known
        } else {
            let kept = self.kept_mends(name.clone()).await;
            on.route.keep_mends(&name, kept.clone());
            kept
        };
    }

    async fn kept_mends(&self, name: String) -> CompatFixes {
        let Ok(store) = self.gateway.store().await else {
            return CompatFixes::default();
        };
        let kept = store.run(move |db| db.remembered::<Kept>(&name)).await;
        let kept = kept.inspect_err(
            |error| tracing::warn!(%error, "what was learned of a model cannot be read"),
        );
        let fresh = |kept: &Kept| self.now().since(kept.since) < KEPT_FOR;
        kept.ok()
            .flatten()
            .filter(fresh)
            .map(|kept| kept.mends)
            .unwrap_or_default()
    }

    /// The mend of a refusal, if there is one and an attempt is left for it.
    pub(in crate::gateway) fn mend_for(
        &self,
        on: &AttemptContext<'_>,
        error: &WireError,
    ) -> Option<CompatFix> {
        let made = u32::try_from(self.attempts.len()).unwrap_or(u32::MAX);
        if made >= self.gateway.parts.config.limits.retries {
            return None;
        }
        let Request {
            params, messages, ..
        } = self.request(on.rung);
        let (params, dialect) = on.mended(params);
        let system = messages.iter().any(|message| message.role == Role::System);
        mend(
            error,
            &Asked {
                params: &params,
                dialect: &dialect,
                system,
            },
            &on.made,
        )
    }

    /// Asks the next time as mended.
    pub(in crate::gateway) fn take_mend(on: &mut AttemptContext<'_>, mend: CompatFix) {
        tracing::info!(model = %on.rung.model, "asked again {mend}");
        on.made.add(mend);
        on.mends.add(mend);
        on.waited = Duration::ZERO;
    }

    /// The server has taken the request as mended: the user hears what of theirs was left out, and it is asked like that
    /// from now on.
    pub(in crate::gateway) async fn keep_mends(&self, on: &AttemptContext<'_>) {
        let (.., left_out) = on
            .mends
            .applied(self.request(on.rung).params, &on.model.dialect);
        for words in left_out {
            let text = format!("{} {words}", on.rung.model);
            self.emit(Event::Notice(Notice {
                level: Level::Warning,
                text,
            }))
            .await;
        }
        let Some(endpoint) = on.endpoint.filter(|_| !on.made.is_empty()) else {
            return;
        };
        let name = name(on, endpoint);
        on.route.keep_mends(&name, on.mends.clone());
        let kept = Kept {
            mends: on.mends.clone(),
            since: self.now(),
        };
        let Ok(store) = self.gateway.store().await else {
            return;
        };
        tokio::select! {
            biased;
            // In the queue of the store from the start: a stop leaves it there.
            written = store.run(move |db| db.remember(&name, &kept)) => if let Err(error) = written {
                tracing::warn!(%error, "what was learned of a model cannot be kept");
            },
            () = self.stop.cancelled() => {}
        }
    }
}
