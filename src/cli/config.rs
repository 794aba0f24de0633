//! `config`: where the file is, writing one, checking it, and what is in force.

use serde::Serialize;

use super::args::{ConfigAction, Shared};
use super::{output, setup};
use crate::chat::{Clock, Failure, FailureKind};
use crate::config::{self, Env, edit};
use crate::tui::keymap::Keymap;

#[derive(Serialize)]
struct SettingRow {
    key: String,
    value: String,
    origin: String,
}

pub(super) fn run(shared: &Shared, action: &ConfigAction) -> Result<u8, Failure> {
    let env = Env::from_process();
    let overrides = setup::overrides(shared);
    match action {
        ConfigAction::Path => {
            let path = config::locate(&overrides, &env)?
                .config_file
                .display()
                .to_string();
            output::done(if shared.json {
                output::json(&serde_json::json!({ "path": path }))
            } else {
                output::report(&format!(
                    "{}\n",
                    crate::chat::text::one_line(&path).as_str()
                ))
            })
        }
        ConfigAction::Init => {
            let path = config::locate(&overrides, &env)?.config_file;
            edit::init(&path)?;
            let shown = path.display().to_string();
            output::done(output::report(&format!(
                "{} written\n",
                crate::chat::text::one_line(&shown).as_str()
            )))
        }
        ConfigAction::Check => output::done(output::report(&check(shared, &env)?)),
        ConfigAction::Show => {
            let loaded = setup::load(shared, &env)?;
            output::done(if shared.json {
                let row = |s: config::EffectiveSetting| SettingRow {
                    key: s.key,
                    value: s.value,
                    origin: s.origin.to_string(),
                };
                output::json(
                    &config::settings(&loaded)
                        .into_iter()
                        .map(row)
                        .collect::<Vec<_>>(),
                )
            } else {
                output::report(crate::chat::text::sanitise(&config::show(&loaded)).as_str())
            })
        }
    }
}

/// Reads everything that the configuration says, and answers in one line.
fn check(shared: &Shared, env: &Env) -> Result<String, Failure> {
    let loaded = setup::load(shared, env)?;
    setup::catalog(&loaded, &Clock::system())?;
    Keymap::new(&loaded.config.keys)
        .map_err(|error| Failure::new(FailureKind::Usage, format!("[keys]: {error}")))?;
    // Addresses and the model's name are checked where everything is put together.
    setup::core(shared)?;
    let file = &loaded.locations;
    let what = if file.config_found {
        "is in order"
    } else {
        "does not exist; the built-in values hold"
    };
    let shown = file.config_file.display().to_string();
    Ok(format!(
        "{} {what}\n",
        crate::chat::text::one_line(&shown).as_str()
    ))
}
