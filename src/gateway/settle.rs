//! What an attempt is booked at when it ends.
//!
//! Owns: the choice between the server's price, the server's usage, and an upper bound of our own.
//! Refuses: to book less than may have been billed.
//! Invariant: an amount that is not the server's word is never below it and never above the reservation.

use crate::catalog::{Price, PriceOrigin};
use crate::chat::usage::{Usage, UsageSource};
use crate::chat::{Cost, CostKind, Reply, Usd};
use crate::tokens::Count;

/// Tokens that a server may have made before it noticed that nobody reads any more.
const IN_FLIGHT: u64 = 64;

/// What is known of an attempt at its end.
#[derive(Debug, Clone, Copy)]
pub struct Known<'a> {
    pub price: Option<&'a Price>,
    /// The price belongs to another address than the one that was asked.
    pub foreign_address: bool,
    /// The model thinks out of sight, so that nobody here can count what it made.
    pub hidden_output: bool,
    pub reserved: Option<Usd>,
    pub input: Count,
    /// Our count of what arrived, reasoning included.
    pub output: Count,
    pub output_cap: u64,
    pub reply: &'a Reply,
    /// The stream came to its own end, and with it the server's last word.
    pub complete: bool,
}

/// The usage and the cost to book.
pub fn settle(known: &Known<'_>) -> (Usage, Cost) {
    let usage = known.reply.usage.unwrap_or_else(|| Usage::counted(known.input.tokens, known.output.tokens));
    (usage, cost(known, &usage))
}

fn cost(known: &Known<'_>, usage: &Usage) -> Cost {
    if let (Some(usd), true) = (known.reply.billed, known.complete) {
        return Cost::new(usd, CostKind::Billed);
    }
    let Some(price) = known.price else { return Cost::UNKNOWN };
    if price.free {
        return Cost::FREE;
    }
    let reported = (usage.source == UsageSource::Provider).then(|| price.cost(usage));
    match reported {
        Some(usd) if known.complete => {
            let sure = !(known.foreign_address && price.origin == PriceOrigin::Catalogue);
            Cost::new(usd, if sure { CostKind::Exact } else { CostKind::Estimated })
        }
        // Some servers report a rising usage with every piece: what they said last before a cut is no final word.
        reported => {
            let said = reported.max(known.reply.billed).unwrap_or_default();
            Cost::new(upper_bound(known, price).max(said), CostKind::Estimated)
        }
    }
}

fn upper_bound(known: &Known<'_>, price: &Price) -> Usd {
    if let (true, Some(reserved)) = (known.hidden_output, known.reserved) {
        return reserved;
    }
    let output = if known.complete {
        known.output.upper
    } else {
        known.output.upper.saturating_add(known.output.upper / 10).saturating_add(IN_FLIGHT)
    };
    let bound = price.worst(known.input.upper, output.min(known.output_cap));
    known.reserved.map_or(bound, |reserved| bound.min(reserved))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn price() -> Price {
        Price {
            input: Usd::from_pico(1_000_000),
            cached_input: Some(Usd::from_pico(100_000)),
            cache_write: None,
            output: Usd::from_pico(10_000_000),
            long: None,
            free: false,
            origin: PriceOrigin::Catalogue,
            as_of: "2026-01-01".into(),
        }
    }

    fn count(tokens: u64) -> Count {
        Count { tokens, upper: tokens, exact: true }
    }

    fn known<'a>(price: Option<&'a Price>, reply: &'a Reply) -> Known<'a> {
        Known {
            price,
            foreign_address: false,
            hidden_output: false,
            reserved: Some(Usd::from_pico(1_000_000_000)),
            input: count(100),
            output: count(10),
            output_cap: 90,
            reply,
            complete: true,
        }
    }

    #[test]
    fn the_servers_word_comes_first() {
        let usage = Usage {
            uncached_input: 60,
            cached_input: 40,
            cache_write: 0,
            output: 7,
            reasoning: 0,
            source: UsageSource::Provider,
        };
        let price = price();
        let counted = Reply::default();
        let exact = Reply { usage: Some(usage), ..Reply::default() };
        let billed = Reply { billed: Some(Usd::from_pico(5)), ..exact.clone() };
        let free = Price::free(PriceOrigin::User, "");
        let estimated = |pico| Cost::new(Usd::from_pico(pico), CostKind::Estimated);
        for (name, known, expected) in [
            ("billed", known(Some(&price), &billed), Cost::new(Usd::from_pico(5), CostKind::Billed)),
            ("usage", known(Some(&price), &exact), Cost::new(Usd::from_pico(134_000_000), CostKind::Exact)),
            ("counted", known(Some(&price), &counted), estimated(200_000_000)),
            (
                "interrupted: what may be in flight is booked too",
                Known { complete: false, ..known(Some(&price), &counted) },
                estimated(100_000_000 + 10_000_000 * 75),
            ),
            (
                "a usage before a cut is no final word",
                Known { complete: false, ..known(Some(&price), &exact) },
                estimated(100_000_000 + 10_000_000 * 75),
            ),
            (
                "never above the cap",
                Known { complete: false, output: count(80), ..known(Some(&price), &counted) },
                estimated(1_000_000_000),
            ),
            (
                "hidden reasoning: nobody can say, so all of it",
                Known { hidden_output: true, ..known(Some(&price), &counted) },
                estimated(1_000_000_000),
            ),
            ("another address", Known { foreign_address: true, ..known(Some(&price), &exact) }, estimated(134_000_000)),
            ("no price", known(None, &exact), Cost::UNKNOWN),
            ("free", known(Some(&free), &counted), Cost::FREE),
        ] {
            assert_eq!(settle(&known).1, expected, "{name}");
        }
    }
}
