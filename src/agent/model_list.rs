//! The list of models with their prices for the draft.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use super::state::Agent;
use crate::catalog::{Lifecycle, Model, price};
use crate::chat::{Failure, FailureKind, Message, ModelId, Role, Selection, Usage, Usd};
use crate::gateway::{Conversation, DraftTokenCounter, Gateway};
use crate::protocol::{Circuit, Event, Level, ModelRow, Notice};
use crate::store::{Db, Learned, PastExchanges};
use crate::tokens;

/// How long to wait for the servers of this machine, and how many models to list of one.
const LOCAL_TIMEOUT: Duration = Duration::from_millis(300);
const LOCAL_MODELS: usize = 100;

/// Lists the models that can be used, then the others, each with the price of this draft. Counting may take a while,
/// so it runs in the background; a newer list ends an older one.
pub(super) fn start(agent: &mut Agent, draft: Arc<str>) {
    if let Some(before) = agent.model_list_task.take() {
        before.abort();
    }
    let usage = agent
        .session
        .entries
        .iter()
        .rev()
        .find_map(|entry| Some(entry.answer.as_ref()?.usage));
    let list = ModelList {
        gateway: Arc::clone(&agent.gateway),
        favourites: agent.session.favourites.clone(),
        conversation: agent.session.conversation(),
        counts: Arc::clone(&agent.counts),
        system: agent.session.system.clone(),
        last: usage,
    };
    let events = agent.events.clone();
    agent.model_list_task = Some(tokio::spawn(async move {
        let event = match list.rows(&draft).await {
            Ok(rows) => Event::Models(rows),
            Err(failure) => Event::Notice(Notice {
                level: Level::Error,
                text: failure.to_string(),
            }),
        };
        let _ = events.send(event).await;
    }));
}

/// What the list of models is made from.
struct ModelList {
    gateway: Arc<Gateway>,
    favourites: Vec<Selection>,
    conversation: Arc<Conversation>,
    counts: Arc<DraftTokenCounter>,
    system: Option<String>,
    /// The tokens of the last answer.
    last: Option<Usage>,
}

impl ModelList {
    async fn rows(&self, draft: &str) -> Result<Vec<ModelRow>, Failure> {
        let parts = self.gateway.parts();
        let now = parts.clock.now();
        let favourites = self
            .favourites
            .iter()
            .filter_map(|selection| match selection {
                Selection::Pinned(id) => Some(id),
                Selection::Auto => None,
            });
        let local = self.local_models().await;
        let others = favourites.filter(|id| !local.contains(id));
        let unlisted = others
            .chain(&local)
            .filter(|id| parts.catalog.get(id).is_none());
        let listed = parts.catalog.iter().map(|model| &model.id);
        // Ask the gateway, because a price may have ended since the start.
        let models: Vec<Model> = listed
            .chain(unlisted)
            .filter_map(|id| self.gateway.model(id).ok())
            .collect();
        let ids: Vec<ModelId> = models.iter().map(|m| m.id.clone()).collect();
        let learn = move |db: &mut Db| {
            ids.iter()
                .map(|id| PastExchanges(db).learned(id, now))
                .collect::<Result<Vec<_>, _>>()
        };
        let learned = self
            .gateway
            .store()
            .await?
            .run(learn)
            .await
            .map_err(Failure::from)?;
        let conversation = Arc::clone(&self.conversation);
        let (question, draft_counter) = (draft.to_owned(), Arc::clone(&self.counts));
        let system = self
            .system
            .clone()
            .map(|text| Message::new(Role::System, text));
        let counted = tokio::task::spawn_blocking(move || {
            let mut counts = HashMap::new();
            let mut count = |model: &Model| {
                let tokenizer = crate::gateway::tokenizer(model);
                *counts.entry(tokenizer).or_insert_with(|| {
                    let count = conversation
                        .count(tokenizer)
                        .plus(draft_counter.count(tokenizer, &question));
                    system
                        .as_ref()
                        .map_or(count, |system| {
                            count.plus(tokens::message(tokenizer, system))
                        })
                        .tokens
                })
            };
            models
                .into_iter()
                .map(|model| (count(&model), model))
                .collect::<Vec<_>>()
        });
        let counted = counted.await.map_err(|_| {
            Failure::new(FailureKind::Request, "counting the tokens failed").hint("see the log")
        })?;
        let mut rows: Vec<ModelRow> = Vec::with_capacity(counted.len() + 1);
        rows.push(self.auto_row());
        for ((tokens, model), learned) in counted.iter().zip(&learned) {
            rows.push(self.row(model, *tokens, learned).await);
        }
        rows.sort_by_key(|row| {
            (
                row.id != Selection::Auto,
                row.unusable.is_some(),
                !row.favourite,
            )
        });
        Ok(rows)
    }

    /// The models of the servers that run on this machine. They are searched only when the user opens the list.
    async fn local_models(&self) -> Vec<ModelId> {
        let providers = &self.gateway.parts().providers;
        let servers =
            crate::provider::local_servers(self.gateway.wire(), providers, LOCAL_TIMEOUT).await;
        let models = servers.into_iter().flat_map(|server| {
            let provider = server.provider;
            server
                .models
                .into_iter()
                .take(LOCAL_MODELS)
                .map(move |model| ModelId::new(&provider, model))
        });
        // Skip models whose name would not parse back: they could not be selected.
        models
            .filter(|id| {
                id.to_string()
                    .parse::<ModelId>()
                    .is_ok_and(|read| read == *id)
            })
            .collect()
    }

    fn auto_row(&self) -> ModelRow {
        ModelRow {
            id: Selection::Auto,
            favourite: self.favourites.contains(&Selection::Auto),
            rung: None,
            input: None,
            output: None,
            free: false,
            context: None,
            expected_usd: None,
            last_usd: None,
            p50_ms: None,
            tps: None,
            circuit: Circuit::default(),
            unusable: None,
        }
    }

    async fn row(&self, model: &Model, tokens: u64, learned: &Learned) -> ModelRow {
        let ladder = &self.gateway.parts().config.router.ladder;
        let per_million = |usd: Usd| price::per_million(usd);
        let model_price = model.price.as_ref();
        let expected_output = learned
            .expected_output
            .unwrap_or(crate::gateway::FIRST_GUESS);
        let unusable = match &model.status {
            Lifecycle::Retired { since, .. } => Some(format!("was retired on {since}")),
            _ if model.dialect.api == crate::catalog::ModelApi::Responses => {
                Some("needs the Responses API".to_owned())
            }
            _ => self.gateway.unusable(model.id.provider()),
        };
        let circuit = match unusable {
            Some(_) => Circuit::default(),
            None => self.gateway.circuit(model.id.provider()).await,
        };
        ModelRow {
            id: Selection::Pinned(model.id.clone()),
            favourite: self
                .favourites
                .contains(&Selection::Pinned(model.id.clone())),
            rung: ladder.iter().position(|rung| rung.model == model.id),
            input: model_price.map(|p| per_million(p.input)),
            output: model_price.map(|p| per_million(p.output)),
            free: model_price.is_some_and(|p| p.free),
            context: model.context,
            expected_usd: model_price.map(|p| p.expected(tokens, expected_output)),
            last_usd: model_price.and_then(|p| self.last.as_ref().map(|usage| p.cost(usage))),
            p50_ms: learned.ttft_p50_ms,
            tps: learned.tps_p50,
            circuit,
            unusable,
        }
    }
}
