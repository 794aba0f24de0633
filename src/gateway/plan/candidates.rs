//! From a question to a plan: gather what the router needs, then let it choose.
//!
//! Owns: which models are candidates, how their tokens are counted (off the async threads), what money is left.
//! Refuses: to reserve; a plan holds no money.
//! Invariant: planning the same question twice, with nothing changed in between, gives the same plan.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::catalog::{Lifecycle, Model, ModelApi, Price, PriceOrigin, TierField};
use crate::chat::id::ExchangeId;
use crate::chat::{
    Effort, Failure, FailureKind, Message, ModelId, Params, Request, Role, Selection, Timestamp,
};
use crate::config::{LadderRung, OnLimit};
use crate::gateway::plan::inputs::{Asked, CandidateModel, PlanInputs};
use crate::gateway::plan::window_fit::{self, PlanError};
use crate::gateway::{Ask, Consult, Gateway};
use crate::protocol::{Fitted, Left, Spread};
use crate::provider::guide::{MODEL, OFFLINE};
use crate::provider::mapping;
use crate::router::{self, Candidate, Downgrade, Plan, Query, QuestionKind};
use crate::tokens::{Encoding, TokenCount, Tokenizer};

/// Bytes that are counted in less time than it takes to start a thread.
const AT_ONCE: usize = 4096;

/// A plan, with the models in it and the money it was made for.
#[derive(Debug, Clone)]
pub struct Planned {
    pub plan: Plan,
    pub left: Option<Left>,
    /// What was left out so that it fits.
    pub fitted: Option<Fitted>,
    pub(in crate::gateway) kind: QuestionKind,
    /// The rungs that were looked at, and behind them the models that are only compared with.
    pub(in crate::gateway) contenders: Vec<CandidateModel>,
}

impl Planned {
    /// Everything known of a model of the plan.
    pub fn model(&self, id: &ModelId) -> Option<&Model> {
        self.contender(id).map(|c| &c.model)
    }

    /// The other models whose window is known to be no larger than this one's.
    pub(in crate::gateway) fn not_larger(&self, than: &ModelId) -> Vec<ModelId> {
        let rungs = self.plan.fallbacks.iter().map(|rung| &rung.model);
        rungs
            .filter(|id| *id != than && !self.is_larger(id, than))
            .cloned()
            .collect()
    }

    /// Whether a fallback takes a longer question than this model.
    pub(in crate::gateway) fn has_larger(&self, than: &ModelId) -> bool {
        self.plan
            .fallbacks
            .iter()
            .any(|rung| self.is_larger(&rung.model, than))
    }

    fn is_larger(&self, id: &ModelId, than: &ModelId) -> bool {
        let window = |id: &ModelId| self.model(id).and_then(|model| model.context);
        window(id) > window(than)
    }

    /// Whether the first of the rungs that were looked at is not the one chosen.
    pub(in crate::gateway) fn steps_down(&self) -> bool {
        self.contenders.first().is_some_and(|best| {
            let first = &self.plan.first;
            (&best.model.id, best.effort) != (&first.model, first.effort)
        })
    }

    /// The input as counted for a model of the plan, before anything learned of the model is applied.
    pub(in crate::gateway) fn input(&self, id: &ModelId) -> TokenCount {
        self.contender(id).map(|c| c.counted).unwrap_or_default()
    }

    /// How long such answers of the chosen rung have been.
    pub(in crate::gateway) fn usual(&self) -> Option<Spread> {
        let first = &self.plan.first;
        let chosen = self
            .contenders
            .iter()
            .find(|c| c.model.id == first.model && c.effort == first.effort);
        router::spread(chosen?.lengths.as_ref())
    }

    /// What was looked at, with the effort of each.
    pub(in crate::gateway) fn rungs(&self) -> impl Iterator<Item = (ModelId, Option<Effort>)> {
        self.contenders
            .iter()
            .map(|contender| (contender.model.id.clone(), contender.effort))
    }

    fn contender(&self, id: &ModelId) -> Option<&CandidateModel> {
        self.contenders.iter().find(|c| c.model.id == *id)
    }
}

/// What an exchange has tried so far.
#[derive(Debug, Clone, Default)]
pub struct Tried {
    /// Whose charges count against the limit of one request.
    pub(in crate::gateway) exchange: Option<ExchangeId>,
    pub(in crate::gateway) models: Vec<ModelId>,
    /// Why the last of them gave no answer, when it was not even asked; in words.
    pub(in crate::gateway) why: Option<String>,
    /// What is planned is sent: then it is worth reading a key that has a limit of its own.
    pub(in crate::gateway) sends: bool,
    /// Plan as if no limit were set: for an answer that lies in the cache and costs nothing.
    pub(in crate::gateway) for_nothing: bool,
}

impl Gateway {
    /// Makes the plan for a question, without the models that were tried in vain.
    pub async fn plan(&self, ask: &Ask, tried: &Tried) -> Result<Planned, PlanError> {
        self.plan_beside(ask, tried, Vec::new()).await
    }

    /// As [`Self::plan`], and looks at these models too, though none of them is chosen.
    pub(in crate::gateway) async fn plan_beside(
        &self,
        ask: &Ask,
        tried: &Tried,
        beside: Vec<Asked>,
    ) -> Result<Planned, PlanError> {
        let now = self.parts.clock.now();
        let (mut rungs, mut note) = self.candidates(ask)?;
        rungs.retain(|(model, _)| !tried.models.contains(&model.id));
        if let Some(failed) = tried.models.last() {
            note = Some(
                tried
                    .why
                    .clone()
                    .unwrap_or_else(|| format!("{} failed", failed.model())),
            );
        }
        if ask.selection == Selection::Auto {
            note = self.past_the_missing(&mut rungs, now).or(note);
        }
        let places = rungs.len();
        let more: Vec<_> = beside
            .into_iter()
            .filter(|(m, _)| rungs.iter().all(|(rung, _)| rung.id != m.id))
            .collect();
        rungs.extend(more);
        let kind = router::kind(&ask.question);
        let PlanInputs {
            standing,
            pace,
            known,
        } = self.figures(ask, tried, &rungs, kind, now).await?;
        let counted = count(
            ask,
            rungs.iter().map(|(model, _)| tokenizer(model)).collect(),
        )
        .await?;
        let contenders: Vec<_> = rungs
            .into_iter()
            .zip(counted)
            .zip(known)
            .map(|((rung, count), known)| known.of(rung, count))
            .collect();
        let candidates: Vec<_> = contenders[..places]
            .iter()
            .map(|contender| Candidate {
                model: &contender.model,
                effort: contender.effort,
                input: contender.input,
                band_permille: contender.band_permille,
                expected_output: router::expected_output(contender.lengths.as_ref()),
                task_cap: router::task_cap(contender.lengths.as_ref()),
                left: standing
                    .left(&contender.model.id)
                    .filter(|_| !tried.for_nothing),
                unusable: self.unusable_for(ask, contender),
                health: contender.health,
            })
            .collect();
        let plan = router::plan(&Query {
            selection: &ask.selection,
            candidates: &candidates,
            params: &ask.params,
            default_cap: self.parts.config.limits.max_output,
            downgrade: self.downgrade(ask),
            pace: Some(&pace).filter(|_| self.parts.config.router.pace && !tried.for_nothing),
            note: note.as_deref(),
        });
        match plan {
            Ok(plan) => {
                let left = standing
                    .left(&plan.first.model)
                    .filter(|_| !tried.for_nothing);
                Ok(Planned {
                    plan,
                    left,
                    fitted: None,
                    kind,
                    contenders,
                })
            }
            Err(refusal) => {
                let left =
                    |model: &ModelId| standing.left_of_turn(model).filter(|_| !tried.for_nothing);
                Err(window_fit::unplanned(
                    *refusal,
                    &candidates,
                    &ask.params,
                    left,
                ))
            }
        }
    }

    /// When `auto` takes a lower rung unasked for the sake of money.
    fn downgrade(&self, ask: &Ask) -> Downgrade {
        match (self.parts.config.budget.on_limit, ask.consult) {
            (OnLimit::Refuse, _) => Downgrade::Never,
            (_, Consult::BeforeLowerRung) => Downgrade::ForRoom,
            (_, Consult::Never | Consult::WhenRefused) => Downgrade::Freely,
        }
    }

    /// Whether `auto` may take a lower rung unasked when the better one does not fit the money left.
    pub fn steps_down(&self, ask: &Ask) -> bool {
        self.downgrade(ask) == Downgrade::Freely
    }

    /// Leaves out the models that a server did not know a moment ago, while there is another; says which was the best.
    fn past_the_missing(&self, rungs: &mut Vec<Asked>, now: Timestamp) -> Option<String> {
        let missing = |model: &Model| {
            self.routes
                .get(model.id.provider())
                .is_some_and(|route| route.lacks(&model.id, now))
        };
        if rungs.iter().all(|(model, _)| missing(model)) {
            return None;
        }
        let best = rungs
            .first()
            .filter(|(model, _)| missing(model))
            .map(|(model, _)| model.id.clone());
        rungs.retain(|(model, _)| !missing(model));
        best.map(|id| format!("{} was not found at {}", id.model(), id.provider()))
    }

    /// The ladder as this question climbs it: an effort that the user set goes before those of the rungs, and what is
    /// then twice the same is there once.
    pub fn ladder(&self, effort: Option<Effort>) -> Vec<LadderRung> {
        let mut ladder: Vec<LadderRung> = Vec::new();
        for rung in &self.parts.config.router.ladder {
            let rung = LadderRung {
                effort: effort.or(rung.effort),
                ..rung.clone()
            };
            if !ladder.contains(&rung) {
                ladder.push(rung);
            }
        }
        ladder
    }

    fn unusable_for(&self, ask: &Ask, contender: &CandidateModel) -> Option<String> {
        let params = Params {
            effort: contender.effort,
            ..ask.params
        };
        self.unusable(contender.model.id.provider())
            .or_else(|| rejected(&params, &contender.model))
    }

    /// The rungs the router may choose from, best first, and a word on why it is these.
    pub(in crate::gateway) fn candidates(
        &self,
        ask: &Ask,
    ) -> Result<(Vec<Asked>, Option<String>), Failure> {
        let effort = ask.params.effort;
        if let Selection::Pinned(id) = &ask.selection {
            return Ok((vec![(self.model(id)?, effort)], None));
        }
        let ladder = self.ladder(effort);
        if ladder
            .iter()
            .any(|rung| self.unusable(rung.model.provider()).is_none())
        {
            let rung = |rung: LadderRung| Some((self.model(&rung.model).ok()?, rung.effort));
            return Ok((ladder.into_iter().filter_map(rung).collect(), None));
        }
        let dearest = self.dearest_first();
        if !dearest.is_empty() {
            let note = "no rung of the ladder has a key, so any priced model".to_owned();
            return Ok((
                dearest.into_iter().map(|model| (model, effort)).collect(),
                Some(note),
            ));
        }
        let guide = self.model(&ModelId::new(OFFLINE, MODEL))?;
        Ok((vec![(guide, effort)], Some("no key is set".to_owned())))
    }

    /// The priced models of the providers that have a key: the user's own first, then the catalogue's, dearest first.
    /// All of them: where money is short, it is the last one that fits.
    fn dearest_first(&self) -> Vec<Model> {
        let with_key = |id: &&ModelId| {
            let route = self.routes.get(id.provider());
            route.is_some_and(|r| r.provider.needs_key && r.missing_key(&self.parts.env).is_none())
        };
        let fit = |model: &Model| {
            model.status == Lifecycle::Current
                && model.dialect.api == ModelApi::Chat
                && model.price.is_some()
        };
        let as_of_now = |id: &ModelId| self.model(id).ok().filter(fit);
        let own = || self.parts.config.models.iter().map(|entry| &entry.id);
        let listed = self
            .parts
            .catalog
            .iter()
            .map(|model| &model.id)
            .filter(|id| own().all(|own| own != *id));
        let mut rest: Vec<_> = listed.filter(with_key).filter_map(as_of_now).collect();
        rest.sort_by_key(|model| std::cmp::Reverse(model.price.as_ref().map(|price| price.output)));
        own()
            .filter(with_key)
            .filter_map(as_of_now)
            .chain(rest)
            .collect()
    }

    /// What is known of a model, or what may be assumed of one that the catalogue does not know.
    pub fn model(&self, id: &ModelId) -> Result<Model, Failure> {
        let provider = self.routes.get(id.provider()).map(|route| &route.provider);
        let local = provider.is_some_and(|p| p.local);
        if let Some(known) = self.parts.catalog.get(id) {
            let mut model = known.clone();
            model.price = known.price_at(self.parts.clock.now());
            if model.dialect.tier_field == TierField::AtHome
                && provider.is_some_and(|p| !p.own_address)
            {
                model.dialect.tier_field = TierField::Always;
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
        Err(if nearest.is_empty() {
            failure
        } else {
            failure.hint(format!("did you mean {nearest}?"))
        })
    }
}

/// Why the model would reject a setting of the user's, in words that follow its name.
fn rejected(params: &Params, model: &Model) -> Option<String> {
    let messages = vec![Message::new(Role::User, "")];
    let request = Request {
        model: model.id.clone(),
        messages,
        params: *params,
    };
    let why = mapping::body(&request, &model.dialect, 1, true)
        .err()?
        .to_string();
    Some(
        why.strip_prefix(&format!("{} ", model.id))
            .map_or_else(|| why.clone(), str::to_owned),
    )
}

/// Counts the question with each tokenizer; where there is much to count, on a thread that may take its time.
async fn count(ask: &Ask, tokenizers: Vec<Tokenizer>) -> Result<Vec<TokenCount>, Failure> {
    let conversation = Arc::clone(&ask.conversation);
    let system = ask
        .system
        .clone()
        .map(|text| Message::new(Role::System, text));
    let (question, counts) = (ask.question.clone(), Arc::clone(&ask.counts));
    let bytes =
        ask.conversation.bytes() + question.len() + ask.system.as_ref().map_or(0, String::len);
    // Counted once with each.
    let different: HashSet<_> = tokenizers.iter().collect();
    let is_short = bytes * different.len() <= AT_ONCE;
    let work = move || {
        let mut known: HashMap<Tokenizer, TokenCount> = HashMap::new();
        let mut one = |tokenizer: Tokenizer| {
            *known.entry(tokenizer).or_insert_with(|| {
                let count = conversation
                    .count(tokenizer)
                    .plus(counts.count(tokenizer, &question));
                system.as_ref().map_or(count, |system| {
                    count.plus(crate::tokens::message(tokenizer, system))
                })
            })
        };
        tokenizers.into_iter().map(&mut one).collect()
    };
    if is_short {
        // To start a thread takes longer.
        return Ok(work());
    }
    tokio::task::spawn_blocking(work).await.map_err(|_| {
        Failure::new(FailureKind::Request, "counting the tokens failed").hint("see the log")
    })
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

#[cfg(test)]
mod tests;
