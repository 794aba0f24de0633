//! Figures: the panel, and the list of models with their prices for the draft.

use std::collections::HashMap;

use super::Agent;
use crate::budget::Scope;
use crate::catalog::{Model, Status, price};
use crate::chat::{Message, ModelId, Role, Selection, Usd};
use crate::protocol::{Event, Meter, ModelRow, Panel};
use crate::store::Learned;

/// Points of a sparkline.
const POINTS: usize = 24;

impl Agent {
    /// Reads the standing figures and sends them.
    pub(super) async fn show_panel(&mut self) {
        let parts = self.gateway.parts();
        let (budget, run, now) = (parts.budget.clone(), parts.run.clone(), parts.clock.now());
        let id = self.session.id.clone();
        let read = self.with_store(move |db| {
            Ok((budget.status(db, Some(&id), &run, now)?, db.overview(now)?, db.recent(POINTS)?))
        });
        let read = read.await;
        let Some((scopes, overview, recent)) = self.told(read).await else { return };
        let meter = |scope| scopes.iter().find(|s| s.scope == scope).map_or_else(Meter::default, |s| s.meter);
        let panel = Panel {
            session: meter(Scope::Session),
            today: meter(Scope::Day),
            month: meter(Scope::Month),
            cache_hit: overview.cache_share(),
            saved: overview.saved,
            p50_ms: overview.ttft_p50_ms,
            p95_ms: overview.ttft_p95_ms,
            errors: overview.errors,
            recent_ttft_ms: recent.iter().filter_map(|pace| pace.ttft_ms).collect(),
            recent_tps: recent.iter().filter_map(|pace| pace.tokens_per_second).collect(),
        };
        self.emit(Event::Panel(Box::new(panel))).await;
    }

    /// Lists the models that can be asked, then the others, each with the price of this draft.
    pub(super) async fn list_models(&mut self, draft: &str) {
        let parts = self.gateway.parts();
        let now = parts.clock.now();
        let favourites = self.session.favourites.iter().filter_map(|selection| match selection {
            Selection::Pinned(id) => Some(id),
            Selection::Auto => None,
        });
        let unlisted = favourites.filter(|id| parts.catalog.get(id).is_none());
        let listed = parts.catalog.iter().map(|model| &model.id);
        // Through the gateway, so that a price that has ended since the start is not shown.
        let models: Vec<Model> = listed.chain(unlisted).filter_map(|id| self.gateway.model(id).ok()).collect();
        let ids: Vec<ModelId> = models.iter().map(|m| m.id.clone()).collect();
        let learned =
            self.with_store(move |db| ids.iter().map(|id| db.learned(id, now)).collect::<Result<Vec<_>, _>>()).await;
        let Some(learned) = self.told(learned).await else { return };
        let mut rows: Vec<ModelRow> = Vec::with_capacity(models.len() + 1);
        rows.push(self.auto_row());
        let conversation = self.session.conversation();
        let question = Message::new(Role::User, draft);
        let counted = tokio::task::spawn_blocking(move || {
            let mut counts = HashMap::new();
            let mut count = |model: &Model| {
                let tokenizer = crate::gateway::tokenizer(model);
                *counts.entry(tokenizer).or_insert_with(|| conversation.count(tokenizer, Some(&question)).tokens)
            };
            models.into_iter().map(|model| (count(&model), model)).collect::<Vec<_>>()
        });
        let Ok(counted) = counted.await else { return };
        rows.extend(counted.iter().zip(&learned).map(|((tokens, model), learned)| self.row(model, *tokens, learned)));
        rows.sort_by_key(|row| (row.id != Selection::Auto, row.unusable.is_some(), !row.favourite));
        self.emit(Event::Models(rows)).await;
    }

    fn auto_row(&self) -> ModelRow {
        ModelRow {
            id: Selection::Auto,
            favourite: self.session.favourites.contains(&Selection::Auto),
            rung: None,
            input: None,
            output: None,
            free: false,
            context: None,
            expected_usd: None,
            p50_ms: None,
            tps: None,
            unusable: None,
        }
    }

    fn row(&self, model: &Model, tokens: u64, learned: &Learned) -> ModelRow {
        let ladder = &self.gateway.parts().config.router.ladder;
        let per_million = |usd: Usd| price::per_million(usd);
        let model_price = model.price.as_ref();
        let expected_output = learned.expected_output.unwrap_or(crate::gateway::FIRST_GUESS);
        let unusable = match &model.status {
            Status::Retired { since, .. } => Some(format!("was retired on {since}")),
            _ if model.dialect.api == crate::catalog::Api::Responses => Some("needs the Responses API".to_owned()),
            _ => self.gateway.unusable(model.id.provider()),
        };
        ModelRow {
            id: Selection::Pinned(model.id.clone()),
            favourite: self.session.favourites.contains(&Selection::Pinned(model.id.clone())),
            rung: ladder.iter().position(|id| *id == model.id),
            input: model_price.map(|p| per_million(p.input)),
            output: model_price.map(|p| per_million(p.output)),
            free: model_price.is_some_and(|p| p.free),
            context: model.context,
            expected_usd: model_price.map(|p| p.expected(tokens, expected_output)),
            p50_ms: learned.ttft_p50_ms,
            tps: learned.tps_p50,
            unusable,
        }
    }
}
