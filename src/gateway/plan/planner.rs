//! From a question to a plan: gather what the router needs, then let it choose.
//!
//! Owns: what planning borrows from the gateway, the money left for a plan, and the query to the router.
//! Refuses: to reserve; a plan holds no money.
//! Invariant: planning the same question twice, with nothing changed in between, gives the same plan.

use std::time::Instant;

use crate::budget::{Budget, ChargePlace, GroupBudget, Spending};
use crate::catalog::Model;
use crate::chat::{Failure, Message, ModelId, Params, Request, Role, Selection};
use crate::config::OnLimit;
use crate::gateway::ask::{Ask, Consult};
use crate::gateway::plan::count::{count, tokenizer};
use crate::gateway::plan::inputs::{CandidateModel, HistoryQuery, InputsQuery, PlanInputs};
use crate::gateway::plan::models::{ModelAndEffort, Models};
use crate::gateway::plan::plan_error::{self, PlanError};
use crate::gateway::plan::planned::{Planned, Tried};
use crate::gateway::upstream::provider_state::ProviderState;
use crate::protocol::Left;
use crate::provider::mapping;
use crate::router::{self, Candidate, Downgrade, Query, QuestionKind};
use crate::store::{Db, LazyStore};

/// Makes plans, with what it borrows from the gateway.
#[derive(Clone, Copy)]
pub(in crate::gateway) struct Planner<'a> {
    pub(in crate::gateway) models: Models<'a>,
    /// Without the limits of single keys, which are known once the keys are read.
    pub(in crate::gateway) limits: &'a Budget,
    /// The id of this run of the program.
    pub(in crate::gateway) run: &'a str,
    pub(in crate::gateway) store: &'a LazyStore,
    pub(in crate::gateway) group_budget: Option<&'a GroupBudget>,
}

impl<'a> Planner<'a> {
    /// Makes the plan for a question, without the models that were tried in vain.
    pub(in crate::gateway) async fn plan(
        &self,
        ask: &Ask,
        tried: &Tried,
    ) -> Result<Planned, PlanError> {
        self.plan_beside(ask, tried, Vec::new()).await
    }

    /// As [`Self::plan`], and looks at these models too, though none of them is chosen.
    pub(in crate::gateway) async fn plan_beside(
        &self,
        ask: &Ask,
        tried: &Tried,
        beside: Vec<ModelAndEffort>,
    ) -> Result<Planned, PlanError> {
        let (mut models, note) = self.rungs(ask, tried)?;
        let choices = models.len();
        let is_no_rung =
            |(model, _): &ModelAndEffort| models.iter().all(|(rung, _)| rung.id != model.id);
        let compared: Vec<_> = beside.into_iter().filter(is_no_rung).collect();
        models.extend(compared);
        let kind = router::kind(&ask.question);
        let PlanInputs {
            standing,
            pace,
            histories,
        } = self.inputs(ask, tried, &models, kind).await?;
        let tokenizers = models.iter().map(|(model, _)| tokenizer(model)).collect();
        let counts = count(ask, tokenizers).await?;
        let models: Vec<CandidateModel> = models
            .into_iter()
            .zip(counts)
            .zip(histories)
            .map(|((model, count), history)| history.candidate(model, count))
            .collect();
        let candidates: Vec<_> = models[..choices]
            .iter()
            .map(|model| Candidate {
                model: &model.model,
                effort: model.effort,
                input: model.input,
                band_permille: model.band_permille,
                expected_output: router::expected_output(model.lengths.as_ref()),
                task_cap: router::task_cap(model.lengths.as_ref()),
                left: standing
                    .left(&model.model.id)
                    .filter(|_| !tried.for_nothing),
                unusable: self.unusable_for(ask, model),
                health: model.health,
            })
            .collect();
        let config = self.models.config;
        let plan = router::plan(&Query {
            selection: &ask.selection,
            candidates: &candidates,
            params: &ask.params,
            default_cap: config.limits.max_output,
            downgrade: self.downgrade(ask),
            pace: Some(&pace).filter(|_| config.router.pace && !tried.for_nothing),
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
                    candidates: models,
                })
            }
            Err(refusal) => {
                let left =
                    |model: &ModelId| standing.left_of_turn(model).filter(|_| !tried.for_nothing);
                Err(plan_error::from_refusal(
                    *refusal,
                    &candidates,
                    &ask.params,
                    left,
                ))
            }
        }
    }

    /// The rungs that are left to choose from, and why it is these.
    fn rungs(
        &self,
        ask: &Ask,
        tried: &Tried,
    ) -> Result<(Vec<ModelAndEffort>, Option<String>), Failure> {
        let (mut rungs, mut note) = self.models.candidates(ask)?;
        rungs.retain(|(model, _)| !tried.models.contains(&model.id));
        if let Some(failed) = tried.models.last() {
            let why = tried.why.clone();
            note = Some(why.unwrap_or_else(|| format!("{} failed", failed.model())));
        }
        if ask.selection == Selection::Auto {
            let now = self.models.clock.now();
            note = self.models.drop_missing(&mut rungs, now).or(note);
        }
        Ok((rungs, note))
    }

    async fn inputs(
        &self,
        ask: &Ask,
        tried: &Tried,
        models: &[ModelAndEffort],
        kind: QuestionKind,
    ) -> Result<PlanInputs, Failure> {
        let now = self.models.clock.now();
        self.read_keys(models, !tried.sends).await;
        let query = InputsQuery {
            budget: self.budget_of_plan(),
            session: ask.session.clone(),
            exchange: tried.exchange.clone(),
            run: self.run.to_owned(),
            raise: ask.raise,
            confined: self.group_budget.is_some_and(GroupBudget::is_away),
            kind,
            models: models.iter().map(HistoryQuery::of).collect(),
            now,
        };
        let read = move |db: &mut Db| PlanInputs::read(db, &query);
        self.store
            .open()
            .await?
            .run(read)
            .await
            .map_err(Failure::from)
    }

    /// When `auto` takes a lower rung unasked for the sake of money.
    fn downgrade(&self, ask: &Ask) -> Downgrade {
        match (self.models.config.budget.on_limit, ask.consult) {
            (OnLimit::Refuse, _) => Downgrade::Never,
            (_, Consult::BeforeLowerRung) => Downgrade::ForRoom,
            (_, Consult::Never | Consult::WhenRefused) => Downgrade::Freely,
        }
    }

    /// Whether `auto` may take a lower rung unasked when the better one does not fit the money left.
    pub(in crate::gateway) fn steps_down(&self, ask: &Ask) -> bool {
        self.downgrade(ask) == Downgrade::Freely
    }

    fn unusable_for(&self, ask: &Ask, candidate: &CandidateModel) -> Option<String> {
        let params = Params {
            effort: candidate.effort,
            ..ask.params
        };
        self.models
            .unusable(candidate.model.id.provider())
            .or_else(|| rejected(&params, &candidate.model))
    }

    /// The budget, with the limits of the keys that have been read so far.
    pub(in crate::gateway) fn budget(&self) -> Budget {
        let mut budget = self.limits.clone();
        for state in self.configured() {
            state.limit_keys(&mut budget.limits);
        }
        budget
    }

    /// As [`Self::budget`], for a plan: a provider with an unlimited key can be used whatever its other keys have left.
    fn budget_of_plan(&self) -> Budget {
        let mut budget = self.limits.clone();
        for state in self.configured().filter(|state| !state.has_unlimited_key()) {
            state.limit_keys(&mut budget.limits);
        }
        budget
    }

    /// The providers of the configuration, in its order.
    fn configured(&self) -> impl Iterator<Item = &'a ProviderState> {
        let providers = self.models.providers;
        let written = self.models.config.providers.iter();
        written.filter_map(move |provider| providers.get(&provider.name))
    }

    /// The providers of the configuration that have a limit on a key.
    pub(in crate::gateway) fn limiting_keys(&self) -> impl Iterator<Item = &'a ProviderState> {
        self.configured().filter(|state| state.limits_a_key())
    }

    /// Reads the keys of the providers of these models that have a limit on a key, so that a plan knows it; `at_hand`:
    /// only when that takes no time. A key that cannot be read is reported by the attempt that needs it.
    async fn read_keys(&self, models: &[ModelAndEffort], at_hand: bool) {
        for state in self.limiting_keys() {
            let is_asked = models
                .iter()
                .any(|(model, _)| model.id.provider() == state.provider.name);
            if is_asked && (!at_hand || state.keys_are_at_hand()) {
                let _ = state.key_store(self.models.env, Instant::now()).await;
            }
        }
    }

    /// The tightest limit on a model as it stands now.
    pub(in crate::gateway) async fn left(&self, ask: &Ask, model: &ModelId) -> Option<Left> {
        let (budget, now) = (self.budget(), self.models.clock.now());
        let (session, run) = (ask.session.clone(), self.run.to_owned());
        let look = move |db: &mut Db| {
            let place = ChargePlace {
                session: Some(&session),
                exchange: None,
                run: &run,
            };
            Spending(&budget).standing(db, &place, None, now)
        };
        let store = self.store.open().await.ok()?;
        store.run(look).await.ok()?.left(model)
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
