//! The user's `[[models]]` on top of the catalogue.
//!
//! Owns: what an entry adds or overrides, and the check that its price is not a slip of a million.
//! Refuses: reading the configuration file; entries come from `config`, which knows their place in it.
//! Invariant: a user's price replaces the whole price of a model, and a 0 in it means free of charge for that part.

use std::collections::BTreeMap;

use super::price::{per_million, per_token};
use super::{Model, Price, PriceOrigin, TierField};
use crate::chat::{ModelId, ServiceTier, Usd};
use crate::config::ModelEntry;

/// A price this many times the catalogue's, or less than this part of it, is taken for a slip.
const SLIP: u64 = 100;
const SOURCE: &str = "your configuration";

/// An entry of `[[models]]` that is impossible.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("[[models]] `{id}`: {problem}")]
pub struct CatalogError {
    pub(crate) id: ModelId,
    pub(crate) problem: Box<Problem>,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Problem {
    #[error("it is given twice; keep one table")]
    Twice,
    #[error(
        "the price has no {0}; give input and output together, in US dollars per million tokens"
    )]
    MissingPart(&'static str),
    #[error("{key} = {value} is no price: {cause}", cause = super::price::NotAPrice)]
    NotAPrice { key: &'static str, value: Usd },
    #[error("it has both a price and free = true; keep one")]
    FreeAndPriced,
    #[error(
        "{key} = {value} is over {SLIP} times off the catalogue's {listed}; prices are US dollars per million tokens, \
         not per token; if it is right, add confirmed = true"
    )]
    FarOff {
        key: &'static str,
        value: Usd,
        listed: Usd,
    },
    #[error("max_output = {max_output} is more than context = {context}")]
    OutputOverContext { max_output: u64, context: u64 },
    #[error("{0} = 0 leaves no room for a request; leave it out when it is not known")]
    NoRoom(&'static str),
    #[error("unknown encoding `{name}`; {cause}", cause = crate::tokens::encoding::UnknownEncoding)]
    UnknownEncoding { name: String },
    #[error(
        "no price is known for service_tier = \"{tier}\" of this model; {}",
        priced(offered)
    )]
    NoTierPrice {
        tier: &'static str,
        offered: Vec<&'static str>,
    },
    #[error(
        "service_tier = \"{0}\" needs the catalogue's price, because the price of the tier beside your own price is not known; leave input and output out, or the tier"
    )]
    TierOfOwnPrice(&'static str),
    #[error("service_tier = \"{0}\" would be ignored by the provider; leave the line out")]
    TierIgnored(&'static str),
    #[error("it has efforts but reasoning = false")]
    EffortsWithoutReasoning,
    #[error("the alias `{0}` would hide another name; an alias has no slash and is not auto")]
    AliasHidesAName(String),
    #[error("the alias `{alias}` already means `{taken_by}`")]
    AliasTaken { alias: String, taken_by: ModelId },
}

impl Problem {
    /// The key of the entry that it is about.
    fn key(&self) -> &'static str {
        match self {
            Self::Twice | Self::MissingPart(_) => "id",
            Self::NotAPrice { key, .. } | Self::FarOff { key, .. } | Self::NoRoom(key) => key,
            Self::FreeAndPriced => "free",
            Self::OutputOverContext { .. } => "max_output",
            Self::UnknownEncoding { .. } => "encoding",
            Self::NoTierPrice { .. } | Self::TierOfOwnPrice(_) | Self::TierIgnored(_) => {
                "service_tier"
            }
            Self::EffortsWithoutReasoning => "efforts",
            Self::AliasHidesAName(_) | Self::AliasTaken { .. } => "alias",
        }
    }
}

impl CatalogError {
    /// The key of the entry that is wrong.
    pub(crate) fn key(&self) -> &'static str {
        self.problem.key()
    }
}

/// Applies the user's entries: known models keep their place, new ones go to the end in the file's order, with what
/// `unlisted` assumes of them.
pub(super) fn apply_all(
    entries: &[ModelEntry],
    models: &mut Vec<Model>,
    aliases: &mut BTreeMap<String, ModelId>,
    unlisted: impl Fn(&ModelId) -> Model,
) -> Result<(), CatalogError> {
    for (n, entry) in entries.iter().enumerate() {
        let refuse = |problem| CatalogError {
            id: entry.id.clone(),
            problem: Box::new(problem),
        };
        if entries[..n].iter().any(|earlier| earlier.id == entry.id) {
            return Err(refuse(Problem::Twice));
        }
        name(entry, aliases).map_err(refuse)?;
        if let Some(model) = models.iter_mut().find(|model| model.id == entry.id) {
            override_with(model, entry).map_err(refuse)?;
            continue;
        }
        let mut model = unlisted(&entry.id);
        SOURCE.clone_into(&mut model.source);
        override_with(&mut model, entry).map_err(refuse)?;
        models.push(model);
    }
    Ok(())
}

/// Adds the entry's alias, if it has one.
fn name(entry: &ModelEntry, aliases: &mut BTreeMap<String, ModelId>) -> Result<(), Problem> {
    let Some(alias) = &entry.alias else {
        return Ok(());
    };
    if alias.is_empty() || alias == "auto" || alias.contains('/') {
        return Err(Problem::AliasHidesAName(alias.clone()));
    }
    if let Some(taken_by) = aliases.get(alias) {
        return Err(Problem::AliasTaken {
            alias: alias.clone(),
            taken_by: taken_by.clone(),
        });
    }
    aliases.insert(alias.clone(), entry.id.clone());
    Ok(())
}

fn override_with(model: &mut Model, entry: &ModelEntry) -> Result<(), Problem> {
    if let Some(price) = user_price(entry)? {
        if !entry.confirmed && !price.free {
            refuse_slip(model, entry)?;
        }
        model.price = Some(price);
        model.dated = None;
    } else if entry.confirmed {
        // The user confirms the listed price, at any address.
        model
            .prices_mut()
            .for_each(|price| price.origin = PriceOrigin::User);
    }
    if let Some(tier) = entry.service_tier {
        choose_tier(model, entry, tier)?;
    }
    override_limits(model, entry)?;
    if let Some(name) = &entry.encoding {
        let encoding = name
            .parse()
            .map_err(|_| Problem::UnknownEncoding { name: name.clone() })?;
        model.encoding = Some(encoding);
        model.encoding_assumed = false;
    }
    model.tools = entry.tools.unwrap_or(model.tools);
    model.vision = entry.vision.unwrap_or(model.vision);
    override_efforts(model, entry)
}

/// A tier is paid for by every request from now on, so its price must be known for the budget.
fn choose_tier(model: &mut Model, entry: &ModelEntry, tier: ServiceTier) -> Result<(), Problem> {
    let name = tier.as_str();
    if tier != ServiceTier::Default {
        if parts(entry).iter().any(|(_, value)| value.is_some()) {
            return Err(Problem::TierOfOwnPrice(name));
        }
        if model.dialect.tier_field == TierField::Ignored {
            return Err(Problem::TierIgnored(name));
        }
        let listed = model
            .price
            .as_ref()
            .or(model.dated.as_ref().map(|dated| &dated.before));
        let tiers = listed.map(|price| price.tiers).unwrap_or_default();
        // With `auto` the provider may choose its dearest tier.
        let dearest = if tier == ServiceTier::Auto {
            ServiceTier::Priority
        } else {
            tier
        };
        if tiers.of(dearest).is_none() {
            let offered = tiers
                .iter()
                .map(|(tier, _)| tier)
                .filter(|tier| *tier != ServiceTier::Batch);
            return Err(Problem::NoTierPrice {
                tier: name,
                offered: offered.map(ServiceTier::as_str).collect(),
            });
        }
    }
    model.choose_tier(tier);
    Ok(())
}

/// What may be chosen instead.
fn priced(offered: &[&str]) -> String {
    if offered.is_empty() {
        "leave the line out".into()
    } else {
        format!("it has one for {}", offered.join(" and "))
    }
}

/// The price that the entry states, if it states one.
fn user_price(entry: &ModelEntry) -> Result<Option<Price>, Problem> {
    let given: Vec<Usd> = parts(entry)
        .into_iter()
        .filter_map(|(_, value)| value)
        .collect();
    let nothing_to_pay = given.iter().all(|value| *value == Usd::ZERO);
    if entry.free {
        let free = Price {
            source: SOURCE.into(),
            ..Price::free(PriceOrigin::User, "")
        };
        return if nothing_to_pay {
            Ok(Some(free))
        } else {
            Err(Problem::FreeAndPriced)
        };
    }
    if given.is_empty() {
        return Ok(None);
    }
    let each = |key, value: Option<Usd>| -> Result<Option<Usd>, Problem> {
        value
            .map(|value| per_token(value).map_err(|_| Problem::NotAPrice { key, value }))
            .transpose()
    };
    let input = each("input", entry.input)?.ok_or(Problem::MissingPart("input"))?;
    let output = each("output", entry.output)?.ok_or(Problem::MissingPart("output"))?;
    Ok(Some(Price {
        cached_input: each("cached_input", entry.cached_input)?,
        cache_write: each("cache_write", entry.cache_write)?,
        free: nothing_to_pay,
        source: SOURCE.into(),
        ..Price::flat(input, output, PriceOrigin::User)
    }))
}

fn parts(entry: &ModelEntry) -> [(&'static str, Option<Usd>); 4] {
    [
        ("input", entry.input),
        ("cached_input", entry.cached_input),
        ("cache_write", entry.cache_write),
        ("output", entry.output),
    ]
}

/// A price per token where one per million belongs (or the other way round) would make budgets meaningless.
fn refuse_slip(model: &Model, entry: &ModelEntry) -> Result<(), Problem> {
    let Some(listed) = model
        .price
        .as_ref()
        .or(model.dated.as_ref().map(|dated| &dated.before))
    else {
        return Ok(());
    };
    let listed = [
        Some(listed.input),
        listed.cached_input,
        listed.cache_write,
        Some(listed.output),
    ];
    for ((key, value), listed) in parts(entry).into_iter().zip(listed) {
        let (Some(value), Some(listed)) = (value, listed.map(per_million)) else {
            continue;
        };
        // A 0, on either side, means free and is no slip.
        let free = value == Usd::ZERO || listed == Usd::ZERO;
        if !free && (value > listed.times(SLIP) || value.times(SLIP) < listed) {
            return Err(Problem::FarOff { key, value, listed });
        }
    }
    Ok(())
}

fn override_limits(model: &mut Model, entry: &ModelEntry) -> Result<(), Problem> {
    for (key, limit) in [("context", entry.context), ("max_output", entry.max_output)] {
        if limit == Some(0) {
            return Err(Problem::NoRoom(key));
        }
    }
    if let Some(context) = entry.context {
        // The other limits of the catalogue assumed its own window.
        model.context = Some(context);
        model.max_input = model.max_input.map(|limit| limit.min(context));
        model.max_output = model.max_output.map(|limit| limit.min(context));
    }
    model.max_output = entry.max_output.or(model.max_output);
    match (model.max_output, model.context) {
        (Some(max_output), Some(context)) if max_output > context => {
            Err(Problem::OutputOverContext {
                max_output,
                context,
            })
        }
        _ => Ok(()),
    }
}

fn override_efforts(model: &mut Model, entry: &ModelEntry) -> Result<(), Problem> {
    let efforts = entry.efforts.as_deref().unwrap_or_default();
    match entry.reasoning {
        Some(false) if !efforts.is_empty() => return Err(Problem::EffortsWithoutReasoning),
        Some(false) => {
            model.reasoning = false;
            model.dialect.efforts.clear();
        }
        Some(true) => model.reasoning = true,
        None => model.reasoning |= !efforts.is_empty(),
    }
    model.reasoning_stated |= model.reasoning || entry.reasoning.is_some();
    if entry.efforts.is_some() {
        model.dialect.efforts = efforts.to_vec();
    }
    Ok(())
}

#[cfg(test)]
mod tests;
