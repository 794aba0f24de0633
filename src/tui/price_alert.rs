//! When the next turn has become dear.
//!
//! Owns: [`PriceAlert`], the memory behind the amber price in the panel.
//! Refuses: prices; they come with the receipts.
//! Invariant: the alert is for one turn; after that the doubled price is the new base.

use std::collections::BTreeMap;

use crate::chat::{ModelId, Usd};

/// The next turn's price against what this chat was used to pay on the same model.
///
/// The base of a model is the expected price of the first receipt that this chat had for it. The cue is on while the
/// expected price of the newest receipt is at least twice the base of its model. When a question is sent while the cue
/// is on, the user has seen it: the first receipt after that turn is the model's new base. An unknown price and a price
/// of zero are no base and give no cue.
#[derive(Debug, Default)]
pub(crate) struct PriceAlert {
    bases: BTreeMap<ModelId, Usd>,
    on: Option<ModelId>,
    /// The cue was on when the turn under way began.
    seen: Option<ModelId>,
}

impl PriceAlert {
    /// A receipt has come. While a turn is under way it prices a draft that the answer will change: it counts for the
    /// cue, but sets no base.
    pub(crate) fn quoted(&mut self, model: &ModelId, expected: Option<Usd>, busy: bool) {
        self.on = None;
        let Some(price) = expected.filter(|usd| *usd > Usd::ZERO) else {
            return;
        };
        if !busy && self.seen.take_if(|seen| seen == model).is_some() {
            self.bases.insert(model.clone(), price);
        }
        let base = match self.bases.get(model) {
            Some(base) => *base,
            None if busy => return,
            None => *self.bases.entry(model.clone()).or_insert(price),
        };
        if price >= base.times(2) {
            self.on = Some(model.clone());
        }
    }

    /// A question is sent.
    pub(crate) fn asked(&mut self) {
        self.seen = self.on.clone();
    }

    pub(crate) fn is_on(&self) -> bool {
        self.on.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_doubled_price_is_a_cue_for_one_turn() {
        let mut cue = PriceAlert::default();
        let (big, small) = (ModelId::new("p", "big"), ModelId::new("p", "small"));
        for (what, model, price, on) in [
            ("the first price is the base", &big, Some(100), false),
            ("dearer, but not twice", &big, Some(199), false),
            ("twice", &big, Some(200), true),
            ("a shorter draft", &big, Some(150), false),
            (
                "another model has a base of its own",
                &small,
                Some(10),
                false,
            ),
            ("and does not move the first one's", &big, Some(230), true),
            ("unknown is no cue", &big, None, false),
            ("free is none", &big, Some(0), false),
            ("twice again", &big, Some(240), true),
            ("asked", &big, Some(0), false),
            ("after that turn: the new base", &big, Some(260), false),
            ("twice the new base", &big, Some(520), true),
        ] {
            if what == "asked" {
                cue.quoted(&big, Some(Usd::from_pico(240)), false);
                cue.asked();
                cue.quoted(&big, Some(Usd::from_pico(250)), true);
                assert!(cue.is_on(), "not yet: the answer is on its way");
                continue;
            }
            cue.quoted(model, price.map(Usd::from_pico), false);
            assert_eq!(cue.is_on(), on, "{what}");
        }
    }
}
