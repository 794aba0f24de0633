//! A turn whose input no window holds: split into parts, each answered, the answers joined.
//!
//! Owns: the order of the requests of such a turn, what is shown while they run, and how the turn ends.
//! Refuses: models, retries and money of a request; each goes through `Gateway::open` like any other.
//! Invariant: the whole is priced before the first request; an answer never stands for a part that has none.

mod layout;
mod outcome;
mod run;
mod split;
mod words;

use std::sync::Arc;

use tokio::sync::{mpsc, watch};

use crate::chat::{Failure, FailureKind, Overflow, Scope, Selection, Usd};
use crate::gateway::{Ask, Exchange, Gateway, PlanError, TooLong};
use crate::protocol::{AtLimit, Considered, EVENTS, Event, Quote, Refused, Route, RouteMode};
use layout::{Job, Layout};
use words::Task;

/// A turn under way.
pub(super) enum Turn {
    One(Exchange),
    Many(Requests),
}

/// Several requests, one after the other. Dropping it stops them.
pub(super) struct Requests {
    events: mpsc::Receiver<Event>,
    stop: watch::Sender<bool>,
}

impl Turn {
    /// Starts a turn. `seam` is where the material begins in the question, when whoever read it knows.
    pub(super) fn open(gateway: &Arc<Gateway>, ask: Ask, seam: Option<usize>) -> Self {
        if ask.overflow != Overflow::Segment {
            return Self::One(gateway.open(ask));
        }
        let (sender, events) = mpsc::channel(EVENTS);
        let (stop, stopped) = watch::channel(false);
        tokio::spawn(run::run(Arc::clone(gateway), ask, seam, sender, stopped));
        Self::Many(Requests { events, stop })
    }

    /// The next event; `None` after the last, which is `Finished`, `Failed` or `AtLimit`.
    pub(super) async fn next(&mut self) -> Option<Event> {
        match self {
            Self::One(exchange) => exchange.next().await,
            Self::Many(requests) => requests.events.recv().await,
        }
    }

    /// Asks it to stop. The last event follows as soon as what arrived is settled and stored.
    pub(super) fn stop(&self) {
        match self {
            Self::One(exchange) => exchange.stop(),
            Self::Many(requests) => drop(requests.stop.send(true)),
        }
    }
}

/// What sending this would do, split if that is what it takes. Sends nothing, reserves nothing.
pub(super) async fn quote(
    gateway: &Gateway,
    ask: &Ask,
    seam: Option<usize>,
) -> Result<Quote, Refused> {
    match gateway.quote(ask).await {
        // Planned once for each key, whatever comes of it.
        Err(PlanError {
            too_long: Some(too_long),
            ..
        }) if ask.overflow == Overflow::Segment => {
            let laid_out = match lay_out(gateway, ask, seam, too_long.clone()).await {
                // Sending it asks the user, and this is what would be proposed.
                Err(refused) if ask.proposes_at(&refused.failure) => {
                    lay_out(gateway, &ask.unasked(), seam, too_long).await
                }
                laid_out => laid_out,
            };
            laid_out.map(|(layout, route)| layout.quote(route))
        }
        quoted => quoted.map_err(Refused::from),
    }
}

/// The limits have no room for a question that was to be split: the user says what to do, where there is a user to ask.
/// Nothing is sent or stored yet.
async fn at_limit(gateway: &Gateway, ask: &Ask, seam: Option<usize>, refused: Refused) -> Event {
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
    // By how much to raise which limit would be a guess: the parts and the caps follow from what is left.
    Event::AtLimit(Box::new(AtLimit {
        text: ask.question.as_str().into(),
        failure,
        route,
        cheaper,
        raise: None,
    }))
}

/// The layout of a question that has to be split, with the reason for its model; `None`: it goes as it is, or not at
/// all for another reason. Cutting takes its time; a stop is answered at once.
async fn prepare(
    gateway: &Gateway,
    ask: &Ask,
    seam: Option<usize>,
    stop: &mut watch::Receiver<bool>,
) -> Result<Option<(Layout, Route)>, Refused> {
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
        // Told, or nobody is there any more to tell.
        _ = stop.wait_for(|stopped| *stopped) => Err(Failure::new(FailureKind::Interrupted, "stopped").into()),
        laid_out = laid_out => laid_out,
    }
}

/// The parts of a question that is too long, for the rooms that there are.
async fn lay_out(
    gateway: &Gateway,
    ask: &Ask,
    seam: Option<usize>,
    too_long: TooLong,
) -> Result<(Layout, Route), Refused> {
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

fn route(layout: &Layout, auto: bool, mut considered: Vec<Considered>) -> Route {
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

impl Layout {
    fn quote(self, route: Route) -> Quote {
        Quote {
            model: self.model.id.clone(),
            free: self.model.price.as_ref().is_some_and(|price| price.free),
            context: self.model.context,
            efforts: self.model.dialect.efforts.clone(),
            estimate: self.estimate,
            fitted: Some(self.fitted()),
            left: self.left,
            route,
            usual: None,
            others: Vec::new(),
            warm: None,
            kept: None,
        }
    }
}
