//! Figures: the panel, and the list of models with their prices for the draft.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use super::Agent;
use crate::budget::{Scope, alerts};
use crate::catalog::{Model, Status, price};
use crate::chat::{Failure, FailureKind, Message, ModelId, Role, Selection, Usage, Usd};
use crate::gateway::{Conversation, DraftTokenCounter, Gateway};
use crate::protocol::{Circuit, Event, Level, Meter, ModelRow, Notice, Panel};
use crate::store::{Db, Learned};
use crate::tokens;

/// How long the servers of this machine are waited for, and the most models that are taken from one.
const NEAR: Duration = Duration::from_millis(300);
const NEAR_MODELS: usize = 100;
/// Points of a sparkline.
const POINTS: usize = 24;

impl Agent {
    /// Reads the standing figures and sends them.
    pub(super) async fn show_panel(&mut self) {
        let parts = self.gateway.parts();
        let (budget, run, now) = (self.gateway.budget(), parts.run.clone(), parts.clock.now());
        let id = self.session.id.clone();
        let read = self.with_store(move |db| {
            let scopes = [
                budget.status(db, Some(&id), &run, now)?,
                budget.group_status(db, None, now)?,
            ]
            .concat();
            Ok((scopes, db.overview(now)?, db.recent(POINTS)?))
        });
        let read = read.await;
        let Some((scopes, overview, recent)) = self.told(read).await else {
            return;
        };
        let meter = |scope| {
            scopes
                .iter()
                .find(|s| s.scope == scope)
                .map_or_else(Meter::default, |s| s.meter)
        };
        let panel = Panel {
            session: meter(Scope::Session),
            today: meter(Scope::Day),
            month: meter(Scope::Month),
            group_today: meter(Scope::GroupDay),
            group_month: meter(Scope::GroupMonth),
            cache_hit: overview.cache_share(),
            saved: overview.saved,
            saved_unknown: overview.saved_unknown,
            p50_ms: overview.ttft_p50_ms,
            p95_ms: overview.ttft_p95_ms,
            errors: overview.errors,
            recent_ttft_ms: recent.iter().filter_map(|pace| pace.ttft_ms).collect(),
            alerts: alerts(&scopes, &self.gateway.parts().config.budget.alerts),
            warm: self
                .session
                .last_answer()
                .and_then(|last| self.gateway.warm(&last, now)),
            recent_tps: recent
                .iter()
                .filter_map(|pace| pace.tokens_per_second)
                .collect(),
        };
        self.emit(Event::Panel(Box::new(panel))).await;
    }

    /// Tells of the limits that have passed one of the configured shares since anybody was told.
    pub(super) async fn tell_alerts(&self) {
        let parts = self.gateway.parts();
        let (budget, run, now) = (self.gateway.budget(), parts.run.clone(), parts.clock.now());
        let (id, shares) = (self.session.id.clone(), parts.config.budget.alerts.clone());
        let told = self
            .with_store(move |db| budget.tell(db, Some(&id), &run, &shares, now))
            .await;
        // A ledger that cannot be read is the turn's own failure; saying so twice helps nobody.
        match told {
            Ok(told) => {
                for alert in told {
                    self.emit(Event::Alert(alert)).await;
                }
            }
            Err(failure) => tracing::warn!(%failure, "no alert could be looked for"),
        }
    }

    /// Lists the models that can be asked, then the others, each with the price of this draft. Counting may take a
    /// while, so it is done beside the turn; a newer list ends an older one.
    pub(super) fn list_models(&mut self, draft: Arc<str>) {
        if let Some(before) = self.listing.take() {
            before.abort();
        }
        let usage = self
            .session
            .entries
            .iter()
            .rev()
            .find_map(|entry| Some(entry.answer.as_ref()?.usage));
        let list = List {
            gateway: Arc::clone(&self.gateway),
            favourites: self.session.favourites.clone(),
            conversation: self.session.conversation(),
            counts: Arc::clone(&self.counts),
            system: self.session.system.clone(),
            last: usage,
        };
        let events = self.events.clone();
        self.listing = Some(tokio::spawn(async move {
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
}

/// What a list of models is made from.
struct List {
    gateway: Arc<Gateway>,
    favourites: Vec<Selection>,
    conversation: Arc<Conversation>,
    counts: Arc<DraftTokenCounter>,
    system: Option<String>,
    /// The tokens of the last answer.
    last: Option<Usage>,
}

impl List {
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
        let near = self.near().await;
        let far = favourites.filter(|id| !near.contains(id));
        let unlisted = far
            .chain(&near)
            .filter(|id| parts.catalog.get(id).is_none());
        let listed = parts.catalog.iter().map(|model| &model.id);
        // Through the gateway, so that a price that has ended since the start is not shown.
        let models: Vec<Model> = listed
            .chain(unlisted)
            .filter_map(|id| self.gateway.model(id).ok())
            .collect();
        let ids: Vec<ModelId> = models.iter().map(|m| m.id.clone()).collect();
        let learn = move |db: &mut Db| {
            ids.iter()
                .map(|id| db.learned(id, now))
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
        let (question, known) = (draft.to_owned(), Arc::clone(&self.counts));
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
                        .plus(known.count(tokenizer, &question));
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

    /// The models of the servers that run on this machine. They are looked for when the user opens the list, at no other
    /// time.
    async fn near(&self) -> Vec<ModelId> {
        let providers = &self.gateway.parts().providers;
        let servers = crate::provider::local_servers(self.gateway.wire(), providers, NEAR).await;
        let models = servers.into_iter().flat_map(|server| {
            let provider = server.provider;
            server
                .models
                .into_iter()
                .take(NEAR_MODELS)
                .map(move |model| ModelId::new(&provider, model))
        });
        // What no name can be made of cannot be asked for either.
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
            Status::Retired { since, .. } => Some(format!("was retired on {since}")),
            _ if model.dialect.api == crate::catalog::Api::Responses => {
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
