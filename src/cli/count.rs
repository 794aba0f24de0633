//! `count`: tokens and price for each model, with no network.

use std::collections::HashMap;

use serde::Serialize;

use super::args::{CountArgs, Shared};
use super::payload::{self, Payload};
use super::table::{table, thousands};
use super::{output, setup};
use crate::catalog::{Lifecycle, Model};
use crate::chat::text::one_line;
use crate::chat::{Failure, FailureKind, ModelId, Selection, Usd};
use crate::gateway::tokenizer;
use crate::store::{Db, EstimateHistory, FILE};
use crate::tokens::{self, Calibration, Framing, TokenCount, Tokenizer};

#[derive(Serialize)]
struct CountRow {
    model: String,
    /// Of all that would be sent, framing included; null: there are images, and how this model counts them is not known.
    tokens: Option<u64>,
    /// No server counts more.
    upper_tokens: Option<u64>,
    exact: bool,
    /// How far off `tokens` may be, in thousandths, as learned from the model's own usage.
    band_permille: Option<u32>,
    parts: TokenParts,
    encoding: Option<String>,
    /// What sending it would cost before any answer; null: no price is known.
    input_usd: Option<Usd>,
    free: bool,
    context: Option<u64>,
    fits: Option<bool>,
}

#[derive(Serialize)]
struct TokenParts {
    messages: u64,
    tools: u64,
    images: Option<u64>,
}

/// What was counted of the texts and the tools, without images.
#[derive(Clone, Copy)]
struct Counted {
    messages: TokenCount,
    tools: TokenCount,
}

pub(super) fn run(shared: &Shared, args: &CountArgs) -> Result<u8, Failure> {
    let core = setup::core(shared)?;
    let payload = payload::gather(args)?;
    let past = PastAnswers::open(&core);
    let mut counts: HashMap<(Tokenizer, Framing), Counted> = HashMap::new();
    let mut rows = Vec::new();
    for model in chosen(&core, shared)? {
        let method = (tokenizer(&model), framing(&model.id));
        let counted = match counts.get(&method) {
            Some(counted) => *counted,
            None => *counts.entry(method).or_insert(count(method, &payload)?),
        };
        let learned = past.learned(&model.id, method.0);
        rows.push(row(&model, counted, learned, &payload));
    }
    output::done(if shared.json {
        output::json(&rows)
    } else {
        output::report(&as_table(&rows, &payload))
    })
}

/// The first chat model framed its messages in its own way.
fn framing(model: &ModelId) -> Framing {
    if model.model() == "gpt-3.5-turbo-0301" {
        Framing::FIRST
    } else {
        Framing::PUBLISHED
    }
}

fn count(
    (tokenizer, framing): (Tokenizer, Framing),
    payload: &Payload,
) -> Result<Counted, Failure> {
    let messages = tokens::sent(
        tokenizer,
        framing,
        payload.messages.iter().map(payload::PayloadMessage::sent),
    );
    let messages = payload.loose.iter().fold(messages, |sum, text| {
        let tokens = tokens::count(tokenizer.encoding(), text);
        sum.plus(TokenCount {
            tokens,
            upper: text.len() as u64,
            exact: false,
        })
    });
    let tools = tokens::tools(tokenizer, &payload.tools).map_err(|error| {
        Failure::new(FailureKind::Usage, error.to_string()).hint("tools are as the API takes them")
    })?;
    Ok(Counted { messages, tools })
}

/// Past answers, from which a factor is learned for models whose tokenizer is not known.
struct PastAnswers(Option<Db>);

impl PastAnswers {
    /// Counting goes on when past answers cannot be read.
    fn open(core: &setup::Core) -> Self {
        let folder = &core.gateway.parts().data_dir;
        if !folder.join(FILE).exists() {
            return Self(None);
        }
        let db = Db::open(folder);
        if let Err(error) = &db {
            output::remark(&format!(
                "counted without what was learned from past answers: {}",
                Failure::from(error.clone())
            ));
        }
        Self(db.ok())
    }

    fn learned(&self, model: &ModelId, tokenizer: Tokenizer) -> Option<Calibration> {
        if matches!(tokenizer, Tokenizer::Known(_)) {
            return None;
        }
        let db = self.0.as_ref()?;
        EstimateHistory(db).calibration(model).ok().flatten()
    }
}

/// The model that was named, else every current one.
fn chosen(core: &setup::Core, shared: &Shared) -> Result<Vec<Model>, Failure> {
    if let (Selection::Pinned(id), Some(_)) = (&core.selection, &shared.model) {
        return Ok(vec![core.gateway.model(id)?]);
    }
    let catalog = &core.gateway.parts().catalog;
    Ok(catalog
        .iter()
        .filter(|m| m.status == Lifecycle::Current)
        .cloned()
        .collect())
}

fn row(
    model: &Model,
    counted: Counted,
    learned: Option<Calibration>,
    payload: &Payload,
) -> CountRow {
    let text = counted.messages.plus(counted.tools);
    let (words, band_permille) = learned.map_or((text.tokens, None), |learned| {
        let (tokens, band) = learned.apply(text.tokens);
        (tokens, Some(band))
    });
    let images = images(model, payload);
    let with = |n: u64| images.map(|images| n.saturating_add(images));
    let tokens = with(words);
    let holds = model.max_input.or(model.context);
    CountRow {
        model: model.id.to_string(),
        tokens,
        upper_tokens: with(text.upper.max(words)),
        exact: text.exact
            && (payload.images.is_empty() || model.images.is_some_and(tokens::ImageRule::is_exact)),
        band_permille,
        parts: TokenParts {
            messages: counted.messages.tokens,
            tools: counted.tools.tokens,
            images,
        },
        encoding: model.encoding.map(|e| e.to_string()),
        input_usd: model
            .price
            .as_ref()
            .zip(tokens)
            .map(|(p, tokens)| p.expected(tokens, 0)),
        free: model.price.as_ref().is_some_and(|p| p.free),
        context: model.context,
        fits: match (holds, tokens) {
            (None, _) => Some(true),
            (Some(holds), Some(tokens)) => Some(tokens < holds),
            // The words alone may be too many.
            (Some(holds), None) => Some(false).filter(|_| words >= holds),
        },
    }
}

/// Tokens of all images; `None`: this model has no published rule, or an image's size is not known.
fn images(model: &Model, payload: &Payload) -> Option<u64> {
    payload.images.iter().try_fold(0u64, |sum, image| {
        Some(sum.saturating_add(model.images?.tokens(image.size, image.detail)?))
    })
}

fn as_table(rows: &[CountRow], payload: &Payload) -> String {
    let line = |row: &CountRow| {
        let sign = if row.exact { "" } else { "~" };
        let band = row
            .band_permille
            .map_or(String::new(), |band| format!(" ±{} %", band.div_ceil(10)));
        let price = match row.input_usd {
            _ if row.free => "free".to_owned(),
            Some(usd) => format!("{sign}${}", usd.short()),
            None => "n/a".to_owned(),
        };
        let remark = match row.fits {
            Some(false) => "does not fit",
            _ if row.tokens.is_some() => "",
            _ if payload.images.iter().any(|image| image.size.is_none()) => {
                "an image lies elsewhere"
            }
            _ => "no published rule for images",
        };
        vec![
            one_line(&row.model).as_str().to_owned(),
            row.tokens.map_or("n/a".to_owned(), |tokens| {
                format!("{sign}{}{band}", thousands(tokens))
            }),
            price,
            row.context.map_or("n/a".to_owned(), thousands),
            remark.to_owned(),
        ]
    };
    table(
        &["model", ">tokens", ">input", ">context", ""],
        &rows.iter().map(line).collect::<Vec<_>>(),
    )
}
