//! What an attempt is booked at when it ends.
//!
//! Owns: the choice between the server's price, the server's usage, and an upper bound of our own.
//! Refuses: to book less than may have been billed.
//! Invariant: an amount that is not the server's word is never below it; nor above the reservation, unless the server
//! wrote past its cap, or says that it used a dearer service tier than was asked for.

use crate::catalog::{Price, PriceOrigin, Served};
use crate::chat::usage::{Usage, UsageSource};
use crate::chat::{Cost, CostKind, Reply, Timestamp, Usd};
use crate::tokens::TokenCount;

/// Tokens that a server may have made before it noticed that nobody reads any more.
pub(in crate::gateway) const IN_FLIGHT: u64 = 64;

/// Who ended an attempt, and with that how much of it nobody here has seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Close {
    /// The stream came to its own end, and with it the server's last word.
    Whole,
    /// We left: the user stopped it, or it was past its cap. The server notices, and writes no more than is under way.
    Left,
    /// The network, a time limit or the server broke it, or words of it were lost on the way. Whoever made it may go on
    /// to the cap behind what broke, and bill all of it.
    Broken,
}

/// What is known of an attempt at its end.
#[derive(Debug, Clone, Copy)]
pub struct Known<'a> {
    pub price: Option<&'a Price>,
    /// The price belongs to another address than the one that was asked.
    pub foreign_address: bool,
    /// The model thinks out of sight, or wrote more than was read, so that nobody here can count what it made.
    pub hidden_output: bool,
    pub reserved: Option<Usd>,
    pub input: TokenCount,
    /// Our count of what arrived, reasoning included.
    pub output: TokenCount,
    pub output_cap: u64,
    /// The server wrote past the cap, so neither the cap nor the reservation bounds what it bills.
    pub past_cap: bool,
    pub reply: &'a Reply,
    pub close: Close,
    pub sent: Timestamp,
    pub ended: Timestamp,
}

/// The usage and the cost to book.
pub fn settle(known: &Known<'_>) -> (Usage, Cost) {
    let usage = known
        .reply
        .usage
        .unwrap_or_else(|| Usage::counted(known.input.tokens, known.output.tokens));
    (usage, cost(known, &usage))
}

fn cost(known: &Known<'_>, usage: &Usage) -> Cost {
    if let (Some(usd), true) = (known.reply.billed, known.close == Close::Whole) {
        return Cost::new(usd, CostKind::Billed);
    }
    let Some(price) = known.price else {
        return Cost::UNKNOWN;
    };
    if price.free {
        return Cost::FREE;
    }
    let tier = known.reply.service_tier.as_deref();
    let served = Served {
        tier,
        from: known.sent,
        to: known.ended,
    };
    let reported = (usage.source == UsageSource::Provider).then(|| price.settled(usage, &served));
    match reported {
        Some((usd, true)) if known.close == Close::Whole => {
            let sure = !(known.foreign_address && price.origin == PriceOrigin::Catalogue);
            Cost::new(
                usd,
                if sure {
                    CostKind::Exact
                } else {
                    CostKind::Estimated
                },
            )
        }
        // Whatever the tier or the hour was: the listed price is the least that an unknown one is taken to cost.
        Some((dearest, false)) if known.close == Close::Whole => {
            let bounded = known
                .reserved
                .map_or(dearest, |reserved| dearest.min(reserved));
            Cost::new(bounded.max(price.cost(usage)), CostKind::Estimated)
        }
        // Some servers report a rising usage with every piece: what they said last before a cut is no final word.
        reported => {
            let said = reported
                .map(|(usd, _)| usd)
                .max(known.reply.billed)
                .unwrap_or_default();
            Cost::new(upper_bound(known, price).max(said), CostKind::Estimated)
        }
    }
}

/// What the reasoning among these tokens cost, which is a part of the whole; `None`: there was none, or it has no price.
pub fn reasoning(known: &Known<'_>, usage: &Usage) -> Option<Usd> {
    let price = known.price.filter(|_| usage.reasoning > 0)?;
    let tier = known.reply.service_tier.as_deref();
    let served = Served {
        tier,
        from: known.sent,
        to: known.ended,
    };
    let without = Usage {
        output: usage.output.saturating_sub(usage.reasoning),
        ..*usage
    };
    Some(price.settled(usage, &served).0 - price.settled(&without, &served).0)
}

fn upper_bound(known: &Known<'_>, price: &Price) -> Usd {
    // More than was reserved only at a tier that the server says it used.
    let named = |output| {
        price.worst_at(
            known.reply.service_tier.as_deref(),
            known.input.upper,
            output,
        )
    };
    let written = match known.close {
        Close::Whole => known.output.upper,
        Close::Left | Close::Broken => known
            .output
            .upper
            .saturating_add(known.output.upper / 10)
            .saturating_add(IN_FLIGHT),
    };
    let bound = |output| price.worst(known.input.upper, output).max(named(output));
    if known.past_cap {
        // Out of sight it may have thought as much as it was allowed to, before it wrote all this.
        let hidden = if known.hidden_output {
            known.output_cap
        } else {
            0
        };
        return bound(written.saturating_add(hidden)).max(known.reserved.unwrap_or_default());
    }
    let most = known
        .reserved
        .map(|reserved| reserved.max(named(known.output_cap)));
    if known.hidden_output || known.close == Close::Broken {
        return most.unwrap_or_else(|| bound(known.output_cap));
    }
    let bound = bound(written.min(known.output_cap));
    most.map_or(bound, |most| bound.min(most))
}

#[cfg(test)]
mod tests;
