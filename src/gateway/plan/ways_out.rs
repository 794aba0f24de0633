//! The ways out of a limit: a cheaper rung, or more money for this one question.
//!
//! Owns: what is offered when a question does not fit, and by how much a limit would have to be raised.
//! Refuses: to reserve or to send; the user's choice is planned and reserved like any other question.
//! Invariant: what is offered fits, by a plan made with the money that is left at that moment.

use crate::chat::{Params, Selection, Usd};
use crate::gateway::ask::Ask;
use crate::gateway::plan::planned::Tried;
use crate::gateway::plan::planner::Planner;
use crate::gateway::plan::window_fit::fit;
use crate::protocol::Raise;
use crate::router::{MINIMUM_OUTPUT, Rung};

/// What can be done about a question that a limit has refused.
pub(in crate::gateway) struct WaysOut {
    /// The same question to a cheaper rung.
    pub(in crate::gateway) cheaper: Option<Ask>,
    pub(in crate::gateway) raise: Option<Raise>,
}

/// The ways out for a question without a raise, made by [`Ask::unasked`].
pub(in crate::gateway) async fn ways_out(planner: &Planner<'_>, plain: &Ask) -> WaysOut {
    WaysOut {
        cheaper: cheaper(planner, plain).await,
        raise: raise(planner, plain).await,
    }
}

/// The question to the best rung of the ladder that fits what is left and costs less at worst than what was asked for.
async fn cheaper(planner: &Planner<'_>, plain: &Ask) -> Option<Ask> {
    let ladder = Ask {
        selection: Selection::Auto,
        ..plain.clone()
    };
    let planned = fit(planner, &mut ladder.clone(), &Tried::default(), Vec::new())
        .await
        .ok()?;
    let no_limit = Tried {
        for_nothing: true,
        ..Tried::default()
    };
    let wanted = planner
        .plan(plain, &no_limit)
        .await
        .ok()
        .and_then(|planned| planned.plan.first.estimate.worst_usd);
    let is_free = |rung: &Rung| {
        planned
            .model(&rung.model)?
            .price
            .as_ref()
            .map(|price| price.free)
    };
    // Without a known price, everything counts as cheaper.
    let is_cheaper = |rung: &Rung| {
        wanted.is_none_or(|wanted| rung.estimate.worst_usd.is_some_and(|w| w < wanted))
    };
    let first = &planned.plan.first;
    let mut rungs = std::iter::once(first).chain(&planned.plan.fallbacks);
    let rung = rungs.find(|rung| is_cheaper(rung) || is_free(rung) == Some(true))?;
    if rung == first {
        return Some(ladder);
    }
    let params = Params {
        effort: rung.effort,
        ..plain.params
    };
    Some(Ask {
        selection: Selection::Pinned(rung.model.clone()),
        params,
        ..ladder
    })
}

/// The raise that lets the model answer which would be asked if there were no limit: enough for the worst case
/// with room for an answer of twice the expected length. `None` when one raise would not do: no price is known, or
/// a second limit is in the way.
async fn raise(planner: &Planner<'_>, plain: &Ask) -> Option<Raise> {
    let no_limit = Tried {
        for_nothing: true,
        ..Tried::default()
    };
    let wanted = planner.plan(plain, &no_limit).await.ok()?.plan.first;
    let useful = wanted
        .estimate
        .output_tokens
        .saturating_mul(2)
        .max(MINIMUM_OUTPUT);
    let cap = plain
        .params
        .max_output
        .unwrap_or_else(|| useful.min(wanted.estimate.output_cap));
    let params = Params {
        max_output: Some(cap),
        effort: wanted.effort,
        ..plain.params
    };
    let sized = Ask {
        params,
        selection: Selection::Pinned(wanted.model.clone()),
        ..plain.clone()
    };
    let needed = planner
        .plan(&sized, &no_limit)
        .await
        .ok()?
        .plan
        .first
        .estimate
        .worst_usd?;
    let left = planner.left(plain, &wanted.model).await?;
    let raise = Raise {
        scope: left.scope,
        by: two_digits_up(needed - left.usd)?,
    };
    let raised = Ask {
        raise: Some(raise),
        ..plain.clone()
    };
    let fits = planner.plan(&raised, &Tried::default()).await.ok()?;
    (fits.plan.first.model == wanted.model).then_some(raise)
}

/// Rounded up to two significant digits, so that what is shown is what is raised; `None` when nothing is missing.
fn two_digits_up(missing: Usd) -> Option<Usd> {
    let pico = u128::try_from(missing.pico())
        .ok()
        .filter(|pico| *pico > 0)?;
    let step = 10u128.pow(pico.ilog10().saturating_sub(1));
    i128::try_from(pico.div_ceil(step).checked_mul(step)?)
        .ok()
        .map(Usd::from_pico)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_raise_is_never_too_small_and_reads_as_it_is() {
        for (missing, raise) in [
            ("0.0064", Some("0.0064")),
            ("0.00641", Some("0.0065")),
            ("0.0996", Some("0.1")),
            ("12.3456", Some("13")),
            ("0.000000000001", Some("0.000000000001")),
            ("0", None),
            ("-1", None),
        ] {
            let found = two_digits_up(missing.parse().unwrap());
            assert_eq!(found, raise.map(|usd| usd.parse().unwrap()), "{missing}");
        }
    }
}
