//! Follows the turn under way: updates the chat from each event and passes the event on.

use super::state::Agent;
use super::{continuing, limit, outage, panel, receipt};
use crate::chat::{Failure, FailureKind, Role};
use crate::protocol::{Answer, Entry, Event};
use crate::store::ChatLog;

/// Handles the next event of the turn; `None` means that its task died without a last event.
pub(super) async fn on_event(agent: &mut Agent, event: Option<Event>) {
    let Some(mut event) = event else {
        agent.turn = None;
        let failure = Failure::new(FailureKind::Request, "the exchange ended unexpectedly")
            .hint("see the log");
        agent
            .emit(Event::Failed {
                failure,
                route: None,
                answer: None,
            })
            .await;
        return;
    };
    if let Event::Failed {
        failure,
        answer: None,
        ..
    } = &mut event
    {
        *failure = outage::with_hint(agent, failure.clone()).await;
    }
    update_chat(agent, &event).await;
    let over = matches!(
        event,
        Event::Finished(_) | Event::Failed { .. } | Event::AtLimit(_)
    );
    // Finding alerts waits for the ledger. A user who pressed Esc gets the last event first.
    let stopped = agent.start.screen
        && matches!(&event, Event::Failed { failure, answer: None, .. } if failure.kind == FailureKind::Interrupted);
    if over && !stopped {
        panel::report_alerts(agent).await;
    }
    agent.emit(event).await;
    if !over {
        return;
    }
    agent.turn = None;
    if stopped {
        panel::report_alerts(agent).await;
    }
    if agent.start.screen {
        panel::show(agent).await;
        receipt::refresh(agent);
        continuing::offer(agent);
    }
}

/// What the event changes in the chat and in what the user may do next.
async fn update_chat(agent: &mut Agent, event: &Event) {
    match event {
        Event::Prompted { id, text, at } => {
            let first = agent.session.title.is_empty();
            agent.session.push(Entry {
                id: id.clone(),
                role: Role::User,
                text: text.to_string(),
                reasoning: String::new(),
                at: *at,
                answer: None,
            });
            if first {
                agent.emit(Event::Titled(agent.session.title.clone())).await;
            }
        }
        Event::Started(_) => hide_replaced(agent).await,
        Event::Finished(answer)
        | Event::Failed {
            answer: Some(answer),
            ..
        } => {
            agent.retry = None;
            add_answer(agent, answer);
        }
        Event::Failed {
            failure,
            answer: None,
            ..
        } => {
            outage::offer_alternatives(agent, failure);
            restore_replaced(agent).await;
        }
        Event::AtLimit(at) => limit::keep_question(agent, at),
        _ => {}
    }
}

/// The new answer has begun: hide the one that it replaces. The store keeps it as a branch.
async fn hide_replaced(agent: &mut Agent) {
    let Some(retry) = &mut agent.retry else {
        return;
    };
    if retry.replaced.is_empty() {
        retry.replaced = agent.session.split_off(retry.prompt_index + 1);
        agent.show_session(Vec::new()).await;
    }
}

/// The retry failed without an answer: show what was in view before.
async fn restore_replaced(agent: &mut Agent) {
    let Some(retry) = agent
        .retry
        .take()
        .filter(|retry| !retry.replaced.is_empty())
    else {
        return;
    };
    for entry in retry.replaced {
        agent.session.push(entry);
    }
    if let Some(tip) = agent.session.head() {
        let id = agent.session.id.clone();
        let shown = agent
            .with_store(move |db| ChatLog(db).show_branch(&id, &tip))
            .await;
        agent.report(shown).await;
    }
    agent.show_session(Vec::new()).await;
}

fn add_answer(agent: &mut Agent, answer: &Answer) {
    agent.session.push(Entry {
        id: answer.id.clone(),
        role: Role::Assistant,
        text: answer.text.clone(),
        reasoning: answer.reasoning.clone(),
        at: agent.gateway.parts().clock.now(),
        answer: Some(answer.facts.clone()),
    });
}

/// Stops the turn under way and follows it to its end.
pub(super) async fn end_turn(agent: &mut Agent) {
    if let Some(turn) = &agent.turn {
        turn.stop();
    }
    while let Some(turn) = &mut agent.turn {
        let event = turn.next().await;
        on_event(agent, event).await;
    }
}
