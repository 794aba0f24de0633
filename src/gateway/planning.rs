//! From a question to a plan: gather what the router needs, then let it choose.
//!
//! Owns: which models are candidates, how their tokens are counted (off the async threads), what money is left.
//! Refuses: to reserve; a plan holds no money.
//! Invariant: planning the same question twice, with nothing changed in between, gives the same plan.

use std::collections::HashMap;
use std::sync::Arc;

use super::{Ask, Gateway};
use crate::catalog::{Api, Model, Price, PriceOrigin, Status};
use crate::chat::id::ExchangeId;
use crate::chat::{Failure, FailureKind, Message, ModelId, Params, Request, Role, Selection, Timestamp};
use crate::config::OnLimit;
use crate::protocol::{Left, Refused};
use crate::provider::guide::{MODEL, OFFLINE};
use crate::provider::mapping;
use crate::router::{self, Candidate, Plan, Query};
use crate::store::Learned;
use crate::tokens::{Count, Encoding, Tokenizer};

/// Output expected of a model that has not answered yet, in tokens.
pub const FIRST_GUESS: u64 = 600;
/// Models looked at when no rung of the ladder has a key.
const FALLBACKS: usize = 8;

/// A plan, with the models in it and the money it was made for.
#[derive(Debug, Clone)]
pub struct Planned {
    pub plan: Plan,
    pub left: Option<Left>,
    models: Vec<(Model, Count)>,
}

impl Planned {
    /// Everything known of a model of the plan.
    pub fn model(&self, id: &ModelId) -> Option<&Model> {
        self.models.iter().find(|(m, _)| m.id == *id).map(|(m, _)| m)
    }

    /// The input as counted for a model of the plan.
    pub(super) fn input(&self, id: &ModelId) -> Count {
        self.models.iter().find(|(m, _)| m.id == *id).map(|(_, count)| *count).unwrap_or_default()
    }
}

/// What an exchange has tried so far.
#[derive(Debug, Clone, Default)]
pub struct Tried {
    /// Whose charges count against the limit of one request.
    pub(super) exchange: Option<ExchangeId>,
    pub(super) models: Vec<ModelId>,
    /// Plan as if no limit were set: for an answer that lies in the cache and costs nothing.
    pub(super) for_nothing: bool,
}

impl Gateway {
    /// Makes the plan for a question, without the models that were tried in vain.
    pub async fn plan(&self, ask: &Ask, tried: &Tried) -> Result<Planned, Refused> {
        let now = self.parts.clock.now();
        let (mut models, mut note) = self.candidates(ask)?;
        models.retain(|model| !tried.models.contains(&model.id));
        if let Some(failed) = tried.models.last() {
            note = Some(format!("{} failed", failed.model()));
        }
        let ids: Vec<ModelId> = models.iter().map(|m| m.id.clone()).collect();
        let (left, learned) = self.figures(ask, tried, ids, now).await?;
        let left = left.filter(|_| !tried.for_nothing);
        let counted = count(ask, models).await?;
        let candidates: Vec<_> = counted
            .iter()
            .zip(&learned)
            .map(|((model, input), learned)| Candidate {
                model,
                input: *input,
                expected_output: learned.expected_output.unwrap_or(FIRST_GUESS),
                unusable: self.unusable_for(ask, model),
            })
            .collect();
        let plan = router::plan(&Query {
            selection: &ask.selection,
            candidates: &candidates,
            params: &ask.params,
            default_cap: self.parts.config.limits.max_output,
            left: left.as_ref(),
            downgrade: self.parts.config.budget.on_limit != OnLimit::Refuse,
            note: note.as_deref(),
        });
        match plan {
            Ok(plan) => Ok(Planned { plan, left, models: counted }),
            Err(refusal) => Err(Refused { failure: refusal.failure, route: Some(refusal.route) }),
        }
    }

    fn unusable_for(&self, ask: &Ask, model: &Model) -> Option<String> {
        self.unusable(model.id.provider()).or_else(|| rejected(&ask.params, model))
    }

    /// The models the router may choose from, best first, and a word on why it is these.
    fn candidates(&self, ask: &Ask) -> Result<(Vec<Model>, Option<String>), Failure> {
        if let Selection::Pinned(id) = &ask.selection {
            return Ok((vec![self.model(id)?], None));
        }
        let ladder = &self.parts.config.router.ladder;
        if ladder.iter().any(|id| self.unusable(id.provider()).is_none()) {
            return Ok((ladder.iter().filter_map(|id| self.model(id).ok()).collect(), None));
        }
        let dearest = self.dearest_first();
        if let Some(first) = dearest.first() {
            let note = format!("no rung of the ladder has a key; best priced model of {}", first.id.provider());
            return Ok((dearest, Some(note)));
        }
        let guide = self.model(&ModelId::new(OFFLINE, MODEL))?;
        Ok((vec![guide], Some("no key is set".to_owned())))
    }

    /// The priced models of the providers that have a key: the user's own first, then the catalogue's, dearest first.
    fn dearest_first(&self) -> Vec<Model> {
        let with_key = |model: &&Model| {
            let route = self.routes.get(model.id.provider());
            route.is_some_and(|r| r.provider.needs_key && r.missing_key(&self.parts.env).is_none())
        };
        let fit =
            |model: &&Model| model.status == Status::Current && model.dialect.api == Api::Chat && model.price.is_some();
        let catalog = &self.parts.catalog;
        let own = || self.parts.config.models.iter().filter_map(|entry| catalog.get(&entry.id));
        let mut rest: Vec<_> = catalog.iter().filter(|m| own().all(|o| o.id != m.id)).collect();
        rest.sort_by_key(|m| std::cmp::Reverse(m.price.as_ref().map(|p| p.output)));
        own().chain(rest).filter(with_key).filter(fit).take(FALLBACKS).cloned().collect()
    }

    /// What is known of a model, or what may be assumed of one that the catalogue does not know.
    pub fn model(&self, id: &ModelId) -> Result<Model, Failure> {
        let provider = self.routes.get(id.provider()).map(|route| &route.provider);
        let local = provider.is_some_and(|p| p.local);
        if let Some(known) = self.parts.catalog.get(id) {
            let mut model = known.clone();
            if let Some(dated) = &model.dated {
                model.price = dated.at(self.parts.clock.now()).cloned();
            }
            return Ok(model);
        }
        if local || provider.is_some_and(|p| p.own_address) {
            let mut model = self.parts.catalog.unlisted(id);
            model.price = local.then(|| Price::free(PriceOrigin::User, ""));
            return Ok(model);
        }
        let nearest = self.parts.catalog.nearest(&id.to_string(), 3).join(", ");
        let failure = Failure::new(FailureKind::Usage, format!("there is no model {id}"));
        Err(if nearest.is_empty() { failure } else { failure.hint(format!("did you mean {nearest}?")) })
    }

    /// What is left of the tightest limit, and what has been learned of each model.
    async fn figures(
        &self,
        ask: &Ask,
        tried: &Tried,
        ids: Vec<ModelId>,
        now: Timestamp,
    ) -> Result<(Option<Left>, Vec<Learned>), Failure> {
        let budget = self.parts.budget.clone();
        let (session, exchange, run) = (ask.session.clone(), tried.exchange.clone(), self.parts.run.clone());
        let look = move |db: &mut crate::store::Db| {
            let left = budget.left(db, Some(&session), exchange.as_ref(), &run, now)?;
            let learned = ids.iter().map(|id| db.learned(id, now)).collect::<Result<Vec<_>, _>>()?;
            Ok((left, learned))
        };
        self.store().await?.run(look).await.map_err(Failure::from)
    }
}

/// Why the model would reject a setting of the user's, in words that follow its name.
fn rejected(params: &Params, model: &Model) -> Option<String> {
    let messages = vec![Message::new(Role::User, "")];
    let request = Request { model: model.id.clone(), messages, params: *params };
    let why = mapping::body(&request, &model.dialect, 1, true).err()?.to_string();
    Some(why.strip_prefix(&format!("{} ", model.id)).map_or_else(|| why.clone(), str::to_owned))
}

/// Counts the question for each model, on a thread that may take its time.
async fn count(ask: &Ask, models: Vec<Model>) -> Result<Vec<(Model, Count)>, Failure> {
    let conversation = Arc::clone(&ask.conversation);
    let system = ask.system.clone().map(|text| Message::new(Role::System, text));
    let question = ask.message();
    let work = move || {
        let mut counts: HashMap<Tokenizer, Count> = HashMap::new();
        let mut one = |model: Model| {
            let tokenizer = tokenizer(&model);
            let count = *counts.entry(tokenizer).or_insert_with(|| {
                let count = conversation.count(tokenizer, Some(&question));
                system.as_ref().map_or(count, |system| count.plus(crate::tokens::message(tokenizer, system)))
            });
            (model, count)
        };
        models.into_iter().map(&mut one).collect()
    };
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|_| Failure::new(FailureKind::Request, "counting the tokens failed").hint("see the log"))
}

/// How a model's input is counted: exact framing is published for the older chat models only.
pub fn tokenizer(model: &Model) -> Tokenizer {
    match model.encoding {
        None => Tokenizer::Guess(Encoding::O200kBase),
        Some(encoding) if model.encoding_assumed => Tokenizer::Guess(encoding),
        Some(encoding) if model.reasoning => Tokenizer::Assumed(encoding),
        Some(encoding) => Tokenizer::Known(encoding),
    }
}
