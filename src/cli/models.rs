//! `models`: what the catalogue knows.

use std::fmt::Write;

use serde::Serialize;

use super::args::{ModelsAction, Shared};
use super::table::{table, thousands};
use super::{output, setup};
use crate::catalog::{DatedPrice, Lifecycle, Model, Price, TermPrice, price};
use crate::chat::text::one_line;
use crate::chat::{Failure, Selection, ServiceTier, Usd};
use crate::tokens::Encoding;

#[derive(Serialize)]
struct ModelFacts {
    model: String,
    /// US dollars per million tokens, like the next three; null: unknown.
    input_usd: Option<Usd>,
    cached_input_usd: Option<Usd>,
    cache_write_usd: Option<Usd>,
    output_usd: Option<Usd>,
    free: bool,
    /// The service tier that requests ask for.
    service_tier: &'static str,
    /// What is dearer or cheaper than the prices above.
    terms: Vec<PriceTerm>,
    /// The last day (UTC) of the prices, also when it is past and nothing followed; null: no end is known.
    price_until: Option<String>,
    context: Option<u64>,
    max_output: Option<u64>,
    encoding: Option<&'static str>,
    reasoning: bool,
    tools: bool,
    vision: bool,
    efforts: Vec<&'static str>,
    status: String,
    source: String,
    as_of: String,
    note: String,
    /// Why it cannot be asked now; null: it can.
    unusable: Option<String>,
}

/// Other prices of the model, and what they hold for.
#[derive(Serialize)]
struct PriceTerm {
    /// `flex`, `batch`, `priority`, `fast`, `off_peak` or `long_context`.
    name: &'static str,
    /// When it holds, in words; empty: when the tier is asked for, or the answer names it.
    when: String,
    input_usd: Usd,
    output_usd: Usd,
}

pub(super) fn run(shared: &Shared, action: Option<ModelsAction>) -> Result<u8, Failure> {
    let core = setup::core(shared)?;
    match action.unwrap_or(ModelsAction::List) {
        ModelsAction::List => {
            let rows: Vec<ModelFacts> = core
                .gateway
                .parts()
                .catalog
                .iter()
                .map(|model| row(&core, model))
                .collect();
            output::done(if shared.json {
                output::json(&rows)
            } else {
                output::report(&as_table(&rows))
            })
        }
        ModelsAction::Show { name } => {
            let model = match setup::select(&core.gateway, &name) {
                Ok(Selection::Pinned(id)) => core.gateway.model(&id)?,
                Ok(Selection::Auto) => {
                    let ladder: Vec<String> = core
                        .loaded
                        .config
                        .router
                        .ladder
                        .iter()
                        .map(ToString::to_string)
                        .collect();
                    return output::done(output::report(&format!(
                        "auto: {}\n",
                        one_line(&ladder.join(" > ")).as_str()
                    )));
                }
                // A model without a key is still in the catalogue.
                Err(failure) => known(&core, &name).ok_or(failure)?,
            };
            let row = row(&core, &model);
            output::done(if shared.json {
                output::json(&row)
            } else {
                output::report(&as_page(&row))
            })
        }
    }
}

fn known(core: &setup::Core, name: &str) -> Option<Model> {
    match core.gateway.parts().catalog.by_bare_name(name).as_slice() {
        [one] => Some((*one).clone()),
        _ => None,
    }
}

fn row(core: &setup::Core, model: &Model) -> ModelFacts {
    let million = |usd: Usd| price::per_million(usd);
    let known = model.price.as_ref();
    ModelFacts {
        model: model.id.to_string(),
        input_usd: known.map(|p| million(p.input)),
        cached_input_usd: known.and_then(|p| p.cached_input).map(million),
        cache_write_usd: known.and_then(|p| p.cache_write).map(million),
        output_usd: known.map(|p| million(p.output)),
        free: known.is_some_and(|p| p.free),
        service_tier: known.map_or(ServiceTier::Default, |p| p.tier).as_str(),
        terms: known.map(terms).unwrap_or_default(),
        price_until: model
            .dated
            .as_ref()
            .and_then(|dated| last_day(dated, known)),
        context: model.context,
        max_output: model.max_output,
        encoding: model.encoding.map(Encoding::as_str),
        reasoning: model.reasoning,
        tools: model.tools,
        vision: model.vision,
        efforts: model.dialect.efforts.iter().map(|e| e.as_str()).collect(),
        status: match &model.status {
            Lifecycle::Current => "current".to_owned(),
            Lifecycle::Deprecated => "deprecated".to_owned(),
            Lifecycle::Retired {
                since,
                instead: Some(instead),
            } => format!("retired on {since}, use {instead}"),
            Lifecycle::Retired {
                since,
                instead: None,
            } => format!("retired on {since}"),
        },
        source: model.source.clone(),
        as_of: model.as_of.clone(),
        note: model.note.clone(),
        unusable: core.gateway.unusable(model.id.provider()),
    }
}

fn terms(price: &Price) -> Vec<PriceTerm> {
    let million = |usd: Usd| price::per_million(usd);
    let share = |name, when, share: TermPrice| PriceTerm {
        name,
        when,
        input_usd: million(share.input),
        output_usd: million(
            share
                .output
                .unwrap_or_else(|| price.output.in_proportion(share.input, price.input)),
        ),
    };
    let tiers = price
        .tiers
        .iter()
        .map(|(tier, of)| share(tier.as_str(), String::new(), of));
    let hours = price.off_peak.iter().map(|off_peak| {
        let span = |(start, end): &(u8, u8)| format!("{start:02}-{end:02}");
        let peak = off_peak
            .peak_hours
            .iter()
            .map(span)
            .collect::<Vec<_>>()
            .join(" and ");
        share("off_peak", format!("outside {peak} UTC"), off_peak.share)
    });
    let long = price.long.iter().map(|long| PriceTerm {
        name: "long_context",
        when: format!("above {} tokens of input", thousands(long.above)),
        input_usd: million(long.input),
        output_usd: million(long.output),
    });
    tiers.chain(hours).chain(long).collect()
}

/// The day before a price ends, or ended. The price that follows it has no end.
fn last_day(dated: &DatedPrice, now: Option<&Price>) -> Option<String> {
    if now.is_some_and(|now| dated.after.as_ref() == Some(now)) {
        return None;
    }
    let last = jiff::Timestamp::from_millisecond(dated.until.0.saturating_sub(1)).ok()?;
    Some(last.to_zoned(jiff::tz::TimeZone::UTC).date().to_string())
}

fn money(usd: Option<Usd>, free: bool) -> String {
    match usd {
        _ if free => "free".to_owned(),
        Some(usd) => format!("${usd}"),
        None => "n/a".to_owned(),
    }
}

fn as_table(rows: &[ModelFacts]) -> String {
    let line = |row: &ModelFacts| {
        let mut remark = if row.status == "current" {
            String::new()
        } else {
            row.status.clone()
        };
        if remark.is_empty() && row.unusable.is_some() {
            remark.push_str("no key");
        }
        vec![
            one_line(&row.model).as_str().to_owned(),
            money(row.input_usd, row.free),
            money(row.cached_input_usd, row.free),
            money(row.output_usd, row.free),
            row.context.map_or("n/a".to_owned(), thousands),
            row.max_output.map_or("n/a".to_owned(), thousands),
            remark,
        ]
    };
    let heads = [
        "model",
        ">in $/M",
        ">cached $/M",
        ">out $/M",
        ">context",
        ">max out",
        "",
    ];
    table(&heads, &rows.iter().map(line).collect::<Vec<_>>())
}

/// How many lines of a page are about the price.
const PRICES: usize = 6;

fn as_page(row: &ModelFacts) -> String {
    let yes = |b: bool| if b { "yes" } else { "no" }.to_owned();
    let count = |n: Option<u64>| n.map_or("n/a".to_owned(), |n| format!("{} tokens", thousands(n)));
    let price = |usd: Option<Usd>| match usd {
        Some(usd) if !row.free => format!("${usd} per million tokens"),
        other => money(other, row.free),
    };
    let pairs = [
        ("input", price(row.input_usd)),
        ("cached input", price(row.cached_input_usd)),
        ("cache write", price(row.cache_write_usd)),
        ("output", price(row.output_usd)),
        ("price until", row.price_until.clone().unwrap_or_default()),
        ("service tier", row.service_tier.to_owned()),
        ("context", count(row.context)),
        ("longest answer", count(row.max_output)),
        (
            "encoding",
            row.encoding
                .unwrap_or("not public: counts are estimates")
                .to_owned(),
        ),
        ("reasoning", yes(row.reasoning)),
        ("efforts", row.efforts.join(", ")),
        ("tools", yes(row.tools)),
        ("vision", yes(row.vision)),
        ("status", row.status.clone()),
        ("source", format!("{} {}", row.source, row.as_of)),
        ("note", row.note.clone()),
        (
            "usable",
            row.unusable
                .clone()
                .map_or("yes".to_owned(), |why| format!("no: {why}")),
        ),
    ];
    let (prices, rest) = pairs.split_at(PRICES);
    let all = prices
        .iter()
        .cloned()
        .chain(row.terms.iter().map(term_line))
        .chain(rest.iter().cloned());
    let mut page = format!("{}\n", one_line(&row.model).as_str());
    for (name, value) in all.filter(|(_, value)| !value.trim().is_empty()) {
        // Writing to a `String` cannot fail.
        let _ = writeln!(
            page,
            "  {:<15} {}",
            name.replace('_', " "),
            one_line(&value).as_str()
        );
    }
    page
}

/// The name of other prices, and what they are.
fn term_line(term: &PriceTerm) -> (&'static str, String) {
    let when = if term.when.is_empty() {
        String::new()
    } else {
        format!(", {}", term.when)
    };
    let (input, output) = (term.input_usd, term.output_usd);
    (
        term.name,
        format!("${input} in, ${output} out per million tokens{when}"),
    )
}
