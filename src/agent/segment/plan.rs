//! Whether a question has to be split, and what the split turn would do and cost.
//!
//! Owns: the quote of such a question, its route, and what happens when it does not fit a limit.
//! Refuses: sending; nothing here reserves money or writes to the store.

use tokio::sync::watch;

use super::layout::{self, Job, SplitLayout};
use super::words::Task;
use crate::chat::{Failure, FailureKind, Overflow, Scope, Selection, Usd};
use crate::gateway::{Ask, Gateway, PlanError, TooLong};
use crate::protocol::{AtLimit, Considered, Event, Quote, Refused, Route, RouteMode};

/// What sending this question would do, with the input split if necessary. Sends nothing and reserves nothing.
pub(in crate::agent) async fn quote(
    gateway: &Gateway,
    ask: &Ask,
    seam: Option<usize>,
) -> Result<Quote, Refused> {
    match gateway.quote(ask).await {
        // `too_long` comes with the error, so that each key press plans once.
        Err(PlanError {
            too_long: Some(too_long),
            ..
        }) if ask.overflow == Overflow::Segment => {
            let laid_out = match lay_out(gateway, ask, seam, too_long.clone()).await {
                // Sending would ask the user; this is what the user would be offered.
                Err(refused) if ask.proposes_at(&refused.failure) => {
                    lay_out(gateway, &ask.unasked(), seam, too_long).await
                }
                laid_out => laid_out,
            };
            laid_out.map(|(layout, route)| quote_of(layout, route))
        }
        quoted => quoted.map_err(Refused::from),
    }
}

/// The last event of a question that was to be split and does not fit a limit. It asks the user if there is one to ask.
/// Nothing is sent or stored yet.
pub(super) async fn at_limit(
    gateway: &Gateway,
    ask: &Ask,
    seam: Option<usize>,
    refused: Refused,
) -> Event {
    let Refused { failure, route } = refused;
    if !ask.asks_at(&failure) {
        return Event::Failed {
            failure,
            route,
            answer: None,
        };
    }
    let ladder = Ask {
        selection: Selection::Auto,
        ..ask.unasked()
    };
    let cheaper = quote(gateway, &ladder, seam).await.ok();
    // No raise is offered: the parts and the caps depend on what is left, so its amount would be a guess.
    Event::AtLimit(Box::new(AtLimit {
        text: ask.question.as_str().into(),
        failure,
        route,
        cheaper,
        raise: None,
    }))
}

/// The layout of a question that has to be split, with its route. `None`: the question needs no splitting, or fails for
/// another reason. Splitting may take a while; a stop ends it at once.
pub(super) async fn prepare(
    gateway: &Gateway,
    ask: &Ask,
    seam: Option<usize>,
    stop: &mut watch::Receiver<bool>,
) -> Result<Option<(SplitLayout, Route)>, Refused> {
    if ask.overflow != Overflow::Segment {
        return Ok(None);
    }
    let laid_out = async {
        let Some(too_long) = gateway.too_long(ask).await else {
            return Ok(None);
        };
        lay_out(gateway, ask, seam, too_long).await.map(Some)
    };
    tokio::select! {
        biased;
        // The user stops the turn, or the front end has gone.
        _ = stop.wait_for(|stopped| *stopped) => Err(Failure::new(FailureKind::Interrupted, "stopped").into()),
        laid_out = laid_out => laid_out,
    }
}

/// Splits a question that is too long for the windows of the candidates.
async fn lay_out(
    gateway: &Gateway,
    ask: &Ask,
    seam: Option<usize>,
    too_long: TooLong,
) -> Result<(SplitLayout, Route), Refused> {
    let parts = gateway.parts();
    let raised = ask
        .raise
        .filter(|raise| raise.scope == Scope::Request)
        .map_or(Usd::ZERO, |raise| raise.by);
    let job = Job {
        task: Task::of(&ask.question, seam),
        system: ask.system.clone(),
        params: ask.params,
        default_cap: parts.config.limits.max_output,
        per_request: parts.budget.limits.per_request.map(|limit| limit + raised),
        auto: ask.selection == Selection::Auto,
        downgrade: ask.selection == Selection::Auto && gateway.steps_down(ask),
    };
    let considered = too_long.considered.clone();
    let work = move || layout::plan(&too_long, &job).map(|layout| (layout, job.auto));
    let planned = tokio::task::spawn_blocking(work).await;
    let planned = planned.map_err(|_| {
        Failure::new(FailureKind::Request, "cutting the input failed").hint("see the log")
    });
    match planned? {
        Ok((layout, auto)) => {
            let route = route(&layout, auto, considered);
            Ok((layout, route))
        }
        Err(failure) => {
            let mode = if ask.selection == Selection::Auto {
                RouteMode::Auto
            } else {
                RouteMode::Pinned
            };
            let route = Route {
                mode,
                reason: "nothing fits".to_owned(),
                considered,
            };
            Err(Refused {
                failure,
                route: Some(route),
            })
        }
    }
}

fn route(layout: &SplitLayout, auto: bool, mut considered: Vec<Considered>) -> Route {
    for row in considered
        .iter_mut()
        .filter(|row| row.model == layout.model.id)
    {
        (row.worst_usd, row.skipped) = (layout.estimate.worst_usd, None);
    }
    let (mode, reason) = if auto {
        (
            RouteMode::Auto,
            format!("too long for every window, {}", layout.fitted()),
        )
    } else {
        (RouteMode::Pinned, "your choice".to_owned())
    };
    Route {
        mode,
        reason,
        considered,
    }
}

/// The layout as a quote to show.
fn quote_of(layout: SplitLayout, route: Route) -> Quote {
    Quote {
        model: layout.model.id.clone(),
        free: layout.model.price.as_ref().is_some_and(|price| price.free),
        context: layout.model.context,
        efforts: layout.model.dialect.efforts.clone(),
        estimate: layout.estimate,
        fitted: Some(layout.fitted()),
        left: layout.left,
        route,
        usual: None,
        others: Vec::new(),
        warm: None,
        kept: None,
    }
}
