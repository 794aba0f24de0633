//! `models`: what the catalogue knows.

use std::fmt::Write;

use serde::Serialize;

use super::args::{ModelsAction, Shared};
use super::table::{table, thousands};
use super::{done, output, setup};
use crate::catalog::{Model, Status, price};
use crate::chat::text::one_line;
use crate::chat::{Failure, Selection, Usd};
use crate::tokens::Encoding;

#[derive(Serialize)]
struct Row {
    model: String,
    /// US dollars per million tokens, like the next three; null: unknown.
    input_usd: Option<Usd>,
    cached_input_usd: Option<Usd>,
    cache_write_usd: Option<Usd>,
    output_usd: Option<Usd>,
    free: bool,
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

pub(super) fn run(shared: &Shared, action: Option<ModelsAction>) -> Result<u8, Failure> {
    let core = setup::core(shared)?;
    match action.unwrap_or(ModelsAction::List) {
        ModelsAction::List => {
            let rows: Vec<Row> = core.gateway.parts().catalog.iter().map(|model| row(&core, model)).collect();
            done(if shared.json { output::json(&rows) } else { output::report(&as_table(&rows)) })
        }
        ModelsAction::Show { name } => {
            let model = match setup::select(&core.gateway, &name) {
                Ok(Selection::Pinned(id)) => core.gateway.model(&id)?,
                Ok(Selection::Auto) => {
                    let ladder: Vec<String> =
                        core.loaded.config.router.ladder.iter().map(ToString::to_string).collect();
                    return done(output::report(&format!("auto: {}\n", one_line(&ladder.join(" > ")).as_str())));
                }
                // Without a key a name is still known.
                Err(failure) => known(&core, &name).ok_or(failure)?,
            };
            let row = row(&core, &model);
            done(if shared.json { output::json(&row) } else { output::report(&as_page(&row)) })
        }
    }
}

fn known(core: &setup::Core, name: &str) -> Option<Model> {
    match core.gateway.parts().catalog.by_bare_name(name).as_slice() {
        [one] => Some((*one).clone()),
        _ => None,
    }
}

fn row(core: &setup::Core, model: &Model) -> Row {
    let million = |usd: Usd| price::per_million(usd);
    let known = model.price.as_ref();
    Row {
        model: model.id.to_string(),
        input_usd: known.map(|p| million(p.input)),
        cached_input_usd: known.and_then(|p| p.cached_input).map(million),
        cache_write_usd: known.and_then(|p| p.cache_write).map(million),
        output_usd: known.map(|p| million(p.output)),
        free: known.is_some_and(|p| p.free),
        context: model.context,
        max_output: model.max_output,
        encoding: model.encoding.map(Encoding::as_str),
        reasoning: model.reasoning,
        tools: model.tools,
        vision: model.vision,
        efforts: model.dialect.efforts.iter().map(|e| e.as_str()).collect(),
        status: match &model.status {
            Status::Current => "current".to_owned(),
            Status::Deprecated => "deprecated".to_owned(),
            Status::Retired { since, instead: Some(instead) } => format!("retired on {since}, use {instead}"),
            Status::Retired { since, instead: None } => format!("retired on {since}"),
        },
        source: model.source.clone(),
        as_of: model.as_of.clone(),
        note: model.note.clone(),
        unusable: core.gateway.unusable(model.id.provider()),
    }
}

fn money(usd: Option<Usd>, free: bool) -> String {
    match usd {
        _ if free => "free".to_owned(),
        Some(usd) => format!("${usd}"),
        None => "n/a".to_owned(),
    }
}

fn as_table(rows: &[Row]) -> String {
    let line = |row: &Row| {
        let mut remark = if row.status == "current" { String::new() } else { row.status.clone() };
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
    let heads = ["model", ">in $/M", ">cached $/M", ">out $/M", ">context", ">max out", ""];
    table(&heads, &rows.iter().map(line).collect::<Vec<_>>())
}

fn as_page(row: &Row) -> String {
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
        ("context", count(row.context)),
        ("longest answer", count(row.max_output)),
        ("encoding", row.encoding.unwrap_or("not public: counts are estimates").to_owned()),
        ("reasoning", yes(row.reasoning)),
        ("efforts", row.efforts.join(", ")),
        ("tools", yes(row.tools)),
        ("vision", yes(row.vision)),
        ("status", row.status.clone()),
        ("source", format!("{} {}", row.source, row.as_of)),
        ("note", row.note.clone()),
        ("usable", row.unusable.clone().map_or("yes".to_owned(), |why| format!("no: {why}"))),
    ];
    let lines = pairs.iter().filter(|(_, value)| !value.trim().is_empty());
    let mut page = format!("{}\n", one_line(&row.model).as_str());
    for (name, value) in lines {
        // Writing to a `String` cannot fail.
        let _ = writeln!(page, "  {name:<15} {}", one_line(value).as_str());
    }
    page
}
