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

/// Tokens that a server may have generated before it noticed that the connection was closed.
pub(in crate::gateway) const IN_FLIGHT: u64 = 64;

/// Who ended an attempt; how much of its output was not seen here depends on that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Close {
    /// The stream came to its own end, with the server's last word on usage.
    Whole,
    /// We closed it: the user stopped it, or it was past its cap. The server notices, and writes no more than is under way.
    Left,
    /// The network, a time limit or the server broke it, or words of it were lost on the way. The model may have gone on
    /// to the cap behind the break, and all of it may be billed.
    Broken,
}

/// The figures of an attempt at its end.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AttemptFigures<'a> {
    pub(crate) price: Option<&'a Price>,
    /// The price belongs to another address than the one that was asked.
    pub(crate) foreign_address: bool,
    /// The model reasons out of sight, or wrote more than was read, so its output cannot be counted here.
    pub(crate) hidden_output: bool,
    pub(crate) reserved: Option<Usd>,
    pub(crate) input: TokenCount,
    /// Our count of what arrived, reasoning included.
    pub(crate) output: TokenCount,
    pub(crate) output_cap: u64,
    /// The server wrote past the cap, so neither the cap nor the reservation bounds what it bills.
    pub(crate) past_cap: bool,
    pub(crate) reply: &'a Reply,
    pub(crate) close: Close,
    pub(crate) sent: Timestamp,
    pub(crate) ended: Timestamp,
}

/// The usage and the cost to book.
pub(crate) fn settle(figures: &AttemptFigures<'_>) -> (Usage, Cost) {
    let usage = figures
        .reply
        .usage
        .unwrap_or_else(|| Usage::counted(figures.input.tokens, figures.output.tokens));
    (usage, cost(figures, &usage))
}

fn cost(figures: &AttemptFigures<'_>, usage: &Usage) -> Cost {
    if let (Some(usd), true) = (figures.reply.billed, figures.close == Close::Whole) {
        return Cost::new(usd, CostKind::Billed);
    }
    let Some(price) = figures.price else {
        return Cost::UNKNOWN;
    };
    if price.free {
        return Cost::FREE;
    }
    let tier = figures.reply.service_tier.as_deref();
    let served = Served {
        tier,
        from: figures.sent,
        to: figures.ended,
    };
    let reported = (usage.source == UsageSource::Provider).then(|| price.settled(usage, &served));
    match reported {
        Some((usd, true)) if figures.close == Close::Whole => {
            let sure = !(figures.foreign_address && price.origin == PriceOrigin::Catalogue);
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
        Some((dearest, false)) if figures.close == Close::Whole => {
            let bounded = figures
                .reserved
                .map_or(dearest, |reserved| dearest.min(reserved));
            Cost::new(bounded.max(price.cost(usage)), CostKind::Estimated)
        }
        // Some servers report a rising usage with every piece: what they said last before a cut is no final word.
        reported => {
            let said = reported
                .map(|(usd, _)| usd)
                .max(figures.reply.billed)
                .unwrap_or_default();
            Cost::new(upper_bound(figures, price).max(said), CostKind::Estimated)
        }
    }
}

/// What the reasoning among these tokens cost, which is a part of the whole; `None`: there was none, or it has no price.
pub(crate) fn reasoning(figures: &AttemptFigures<'_>, usage: &Usage) -> Option<Usd> {
    let price = figures.price.filter(|_| usage.reasoning > 0)?;
    let tier = figures.reply.service_tier.as_deref();
    let served = Served {
        tier,
        from: figures.sent,
        to: figures.ended,
    };
    let without = Usage {
        output: usage.output.saturating_sub(usage.reasoning),
        ..*usage
    };
    Some(price.settled(usage, &served).0 - price.settled(&without, &served).0)
}

fn upper_bound(figures: &AttemptFigures<'_>, price: &Price) -> Usd {
    // More than was reserved only at a tier that the server says it used.
    let named = |output| {
        price.worst_at(
            figures.reply.service_tier.as_deref(),
            figures.input.upper,
            output,
        )
    };
    let written = match figures.close {
        Close::Whole => figures.output.upper,
        Close::Left | Close::Broken => figures
            .output
            .upper
            .saturating_add(figures.output.upper / 10)
            .saturating_add(IN_FLIGHT),
    };
    let bound = |output| price.worst(figures.input.upper, output).max(named(output));
    if figures.past_cap {
        // Out of sight it may have thought as much as it was allowed to, before it wrote all this.
        let hidden = if figures.hidden_output {
            figures.output_cap
        } else {
            0
        };
        return bound(written.saturating_add(hidden)).max(figures.reserved.unwrap_or_default());
    }
    let most = figures
        .reserved
        .map(|reserved| reserved.max(named(figures.output_cap)));
    if figures.hidden_output || figures.close == Close::Broken {
        return most.unwrap_or_else(|| bound(figures.output_cap));
    }
    let bound = bound(written.min(figures.output_cap));
    most.map_or(bound, |most| bound.min(most))
}

#[cfg(test)]
mod tests;
