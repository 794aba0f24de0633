//! Building a question from the chat's state, and opening its turn.
//!
//! Owns: what a question ([`Ask`]) is made of, the retry of the last one, the choice of a higher rung.

use std::sync::Arc;

use super::segment::Turn;
use super::session::message_id;
use super::state::{Agent, Retry};
use crate::chat::{Effort, ModelId, Overflow, Params, Selection};
use crate::config::{LadderRung, OnLimit};
use crate::gateway::{Ask, Consult};
use crate::protocol::{Event, Level};

/// Sends a prompt. While an answer streams, nothing is sent: the front end queues.
pub(super) async fn send(agent: &mut Agent, text: Arc<str>) {
    if agent.warn_if_busy().await {
        agent.emit(Event::DraftRestored(text.to_string())).await;
        return;
    }
    if text.trim().is_empty() {
        return;
    }
    let ask = new_ask(agent, &text);
    begin(agent, ask);
}

/// Opens a turn. Whether the user is asked at a limit follows from the settings of this moment.
pub(super) fn begin(agent: &mut Agent, ask: Ask) {
    let ask = Ask {
        consult: consult(agent),
        ..ask
    };
    open_turn(agent, ask);
}

/// Opens a turn with the question as it is.
pub(super) fn open_turn(agent: &mut Agent, ask: Ask) {
    if let Some(offer) = agent.continuation_task.take() {
        offer.abort();
    }
    agent.unreachable = None;
    agent.current_ask = Some(ask.clone());
    agent.turn = Some(Turn::open(&agent.gateway, ask, agent.start.seam));
}

/// Asks the last question again without the cache, on the next higher rung if `rung_up`.
pub(super) async fn retry(agent: &mut Agent, rung_up: bool) {
    let index = agent.session.last_prompt().filter(|_| agent.turn.is_none());
    let Some(index) = index else {
        agent
            .notice(Level::Info, "there is no question to ask again")
            .await;
        return;
    };
    // The finished parts of a split turn that was cut are in the cache: ask only for the missing ones.
    let resumes_split = agent.session.overflow == Overflow::Segment && agent.session.last_was_cut();
    let mut ask = Ask {
        refresh: !resumes_split,
        ..ask_again(agent, index)
    };
    if rung_up {
        let Some(rung) = rung_above(agent) else {
            agent
                .notice(
                    Level::Info,
                    "the last answer already came from the top of the ladder",
                )
                .await;
            return;
        };
        ask.selection = Selection::Pinned(rung.model);
        ask.params.effort = rung.effort;
    }
    agent.retry = Some(Retry::of(index));
    begin(agent, ask);
}

/// The question of the entry at this index, asked again.
pub(super) fn ask_again(agent: &mut Agent, index: usize) -> Ask {
    let text = Arc::from(agent.session.entries[index].text.as_str());
    let prompt = agent.session.entries[index].id.clone();
    let conversation = agent.session.conversation_before(index);
    // A counter of its own, so that the counts of the draft are kept.
    Ask {
        conversation,
        counts: Arc::default(),
        prompt,
        stored: true,
        ..new_ask(agent, &text)
    }
}

/// The usable rung above that of the last answer.
fn rung_above(agent: &Agent) -> Option<LadderRung> {
    let ladder = agent.gateway.ladder(agent.session.effort);
    let (last, effort) = agent.session.last_rung()?;
    let usable = |rung: &&LadderRung| agent.gateway.unusable(rung.model.provider()).is_none();
    above(&ladder, &last, effort)
        .iter()
        .rev()
        .find(usable)
        .cloned()
}

/// A question with this text and the settings of the chat.
pub(super) fn new_ask(agent: &mut Agent, text: &Arc<str>) -> Ask {
    let random = &agent.gateway.parts().random;
    Ask {
        session: agent.session.id.clone(),
        selection: agent.session.selection.clone(),
        setting: agent.session.setting(),
        params: Params {
            effort: agent.session.effort,
            ..agent.start.params
        },
        system: agent.session.system.clone(),
        question: text.to_string(),
        parent: agent.session.head(),
        prompt: message_id(random),
        stored: false,
        answer: message_id(random),
        overflow: agent.session.overflow,
        step: None,
        raise: None,
        last: agent.session.last_answer(),
        consult: consult(agent),
        favourites: agent.session.pinned_favourites(),
        cached: agent.session.cached,
        refresh: agent.start.refresh,
        stale: agent.start.stale,
        conversation: agent.session.conversation(),
        counts: Arc::clone(&agent.counts),
    }
}

/// Whether the user is asked at a limit; never without a screen.
pub(super) fn consult(agent: &Agent) -> Consult {
    let asks = agent.start.screen && agent.gateway.parts().config.budget.on_limit == OnLimit::Ask;
    match (asks, agent.session.goes_lower) {
        (false, _) => Consult::Never,
        (true, true) => Consult::WhenRefused,
        (true, false) => Consult::BeforeLowerRung,
    }
}

/// The rungs above that of an answer. When no rung has the answer's effort, it counts as the best rung of its model, so
/// that the next one up is another model. A model without a rung counts as below all of them.
fn above<'a>(
    ladder: &'a [LadderRung],
    model: &ModelId,
    effort: Option<Effort>,
) -> &'a [LadderRung] {
    let exact = ladder
        .iter()
        .position(|rung| rung.model == *model && rung.effort == effort);
    let index = exact
        .or_else(|| ladder.iter().position(|rung| rung.model == *model))
        .unwrap_or(ladder.len());
    &ladder[..index]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_one_up_goes_to_the_next_rung_even_of_the_same_model() {
        let ladder =
            ["p/big high", "p/big low", "p/small"].map(|rung| rung.parse::<LadderRung>().unwrap());
        for (model, effort, up) in [
            ("p/small", None, Some("p/big low")),
            ("p/big", Some(Effort::Low), Some("p/big high")),
            ("p/big", Some(Effort::High), None),
            ("p/big", None, None),
            ("p/other", None, Some("p/small")),
        ] {
            let found = above(&ladder, &model.parse().unwrap(), effort)
                .last()
                .map(ToString::to_string);
            assert_eq!(found.as_deref(), up, "{model} {effort:?}");
        }
    }
}
