//! The offer after a question that no provider could be reached for.
//!
//! Owns: its coming, taking a way, leaving it.
//! Refuses: to act by itself: every way is a key press, and trying again may cost money.
//! Invariant: the draft is left as it is; one command is sent for one key.

use super::submit;
use crate::protocol::{Command, Degraded, Offer};
use crate::tui::app::App;
use crate::tui::msg::Effect;
use crate::tui::rescue::Rescue;

pub(crate) fn offered(app: &mut App, offer: Offer) {
    app.rescue = Some(Rescue::new(offer, app.now));
}

pub(crate) fn take(app: &mut App, way: Degraded) -> Vec<Effect> {
    if app.busy() || !app.rescue.as_ref().is_some_and(|rescue| rescue.has(way)) {
        app.info(if app.rescue.is_some() && !app.busy() {
            "no answer was kept"
        } else {
            "nothing is offered now"
        });
        return Vec::new();
    }
    submit::awaits(app);
    vec![Effect::Send(Command::TakeOffer(way))]
}
