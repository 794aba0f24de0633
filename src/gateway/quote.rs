//! What sending a question would do: the model, the price and what is kept.
//!
//! Owns: the quote of a draft.
//! Refuses: to send or to reserve.

use crate::gateway::answer_cache::AnswerCache;
use crate::gateway::ask::Ask;
use crate::gateway::plan::compare;
use crate::gateway::plan::plan_error::PlanError;
use crate::gateway::plan::planned::Tried;
use crate::gateway::plan::planner::Planner;
use crate::gateway::plan::window_fit::fit;
use crate::protocol::Quote;

/// What sending this would do. Sends nothing, reserves nothing.
pub(in crate::gateway) async fn quote(
    planner: &Planner<'_>,
    answers: AnswerCache<'_>,
    ask: &Ask,
) -> Result<Quote, PlanError> {
    let nothing = Tried::default();
    let compared = compare::compared(planner.models, ask);
    let ids: Vec<_> = compared.iter().map(|(model, _)| model.id.clone()).collect();
    let planned = match fit(planner, &mut ask.clone(), &nothing, compared.clone()).await {
        // Sending it asks the user, and this is what would be proposed.
        Err(error) if ask.proposes_at(&error.refused.failure) => {
            fit(planner, &mut ask.unasked(), &nothing, compared.clone()).await
        }
        planned => planned,
    }?;
    let (chosen, clock) = (&planned.plan.first, planner.models.clock);
    let kept = answers.quoted(ask, chosen, &compared, clock).await;
    let first = planned.model(&planned.plan.first.model);
    let warm = ask
        .last
        .as_ref()
        .and_then(|last| compare::warm(planner.models, last, clock.now()))
        .filter(|warm| warm.model != planned.plan.first.model);
    Ok(Quote {
        model: planned.plan.first.model.clone(),
        free: first.is_some_and(|m| m.price.as_ref().is_some_and(|p| p.free)),
        context: first.and_then(|m| m.context),
        efforts: first.map(|m| m.dialect.efforts.clone()).unwrap_or_default(),
        estimate: planned.plan.first.estimate,
        usual: planned.usual(),
        others: planned.others(&ids),
        route: planned.plan.route,
        fitted: planned.fitted,
        warm,
        kept,
        left: planned.left,
    })
}
