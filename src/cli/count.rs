//! `count`: tokens and price for each model, with no network.

use std::collections::HashMap;

use serde::Serialize;

use super::args::{CountArgs, Shared};
use super::table::{table, thousands};
use super::{done, input, output, setup};
use crate::catalog::{Model, Status};
use crate::chat::text::one_line;
use crate::chat::{Failure, Message, Role, Selection, Usd};
use crate::gateway::tokenizer;
use crate::tokens::{self, Count, Tokenizer};

#[derive(Serialize)]
struct Row {
    model: String,
    /// Of the text as one prompt, framing included.
    tokens: u64,
    /// No server counts more.
    upper_tokens: u64,
    exact: bool,
    encoding: Option<String>,
    /// What sending it would cost before any answer; null: no price is known.
    input_usd: Option<Usd>,
    context: Option<u64>,
    fits: bool,
}

pub(super) fn run(shared: &Shared, args: &CountArgs) -> Result<u8, Failure> {
    let core = setup::core(shared)?;
    let text = if args.files.is_empty() { input::stdin()? } else { read_all(args)? };
    let message = Message::new(Role::User, text);
    let mut counts: HashMap<Tokenizer, Count> = HashMap::new();
    let rows: Vec<Row> = chosen(&core, shared)?
        .iter()
        .map(|model| {
            let tokenizer = tokenizer(model);
            let count =
                *counts.entry(tokenizer).or_insert_with(|| tokens::conversation(tokenizer, std::iter::once(&message)));
            row(model, count)
        })
        .collect();
    done(if shared.json { output::json(&rows) } else { output::report(&as_table(&rows)) })
}

fn read_all(args: &CountArgs) -> Result<String, Failure> {
    Ok(args.files.iter().map(|path| input::file(path)).collect::<Result<Vec<_>, _>>()?.join("\n"))
}

/// The model that was named, else every current one.
fn chosen(core: &setup::Core, shared: &Shared) -> Result<Vec<Model>, Failure> {
    if let (Selection::Pinned(id), Some(_)) = (&core.selection, &shared.model) {
        return Ok(vec![core.gateway.model(id)?]);
    }
    let catalog = &core.gateway.parts().catalog;
    Ok(catalog.iter().filter(|m| m.status == Status::Current).cloned().collect())
}

fn row(model: &Model, count: Count) -> Row {
    Row {
        model: model.id.to_string(),
        tokens: count.tokens,
        upper_tokens: count.upper,
        exact: count.exact,
        encoding: model.encoding.map(|e| e.to_string()),
        input_usd: model.price.as_ref().map(|p| p.expected(count.tokens, 0)),
        context: model.context,
        fits: model.max_input.or(model.context).is_none_or(|holds| count.tokens < holds),
    }
}

fn as_table(rows: &[Row]) -> String {
    let line = |row: &Row| {
        let sign = if row.exact { "" } else { "~" };
        let price = row.input_usd.map_or("n/a".to_owned(), |usd| format!("{sign}${}", usd.short()));
        let fits = if row.fits { "" } else { "does not fit" };
        vec![
            one_line(&row.model).as_str().to_owned(),
            format!("{sign}{}", thousands(row.tokens)),
            price,
            row.context.map_or("n/a".to_owned(), thousands),
            fits.to_owned(),
        ]
    };
    table(&["model", ">tokens", ">input", ">context", ""], &rows.iter().map(line).collect::<Vec<_>>())
}
