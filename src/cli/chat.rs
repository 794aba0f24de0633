//! The chat screen.

use super::args::{AskArgs, Shared};
use super::runtime::with_one_worker;
use super::{input, output, setup};
use crate::chat::{Failure, FailureKind, Timestamp};
use crate::config::{Config, Env, Theme};
use crate::tui::{self, Exit, Options};

pub(super) fn run(shared: &Shared, args: &AskArgs) -> Result<u8, Failure> {
    let prompt = input::prompt(&args.words, &args.files)?;
    let core = setup::core(shared)?;
    let options = options(&core, prompt.text);
    let exit = with_one_worker(async {
        let handle = core.spawn(core.start(shared, true));
        tui::run(handle, options).await
    })?;
    let exit: Exit = exit.map_err(|error| Failure::new(FailureKind::Usage, error.to_string()))?;
    if let Some(line) = exit.farewell() {
        let _ = output::report(&format!("{line}\n"));
    }
    match exit.failure {
        Some(failure) => Err(failure),
        None => Ok(exit.status),
    }
}

fn options(core: &setup::Core, prompt: String) -> Options {
    let Config { ui, keys, .. } = &core.loaded.config;
    let env: &Env = &core.gateway.parts().env;
    let own = |name: &str| env.get(name).map(str::to_owned);
    Options {
        theme: match ui.theme {
            Theme::Auto => "auto",
            Theme::Dark => "dark",
            Theme::Light => "light",
        }
        .to_owned(),
        colorfgbg: own("COLORFGBG"),
        no_color: env.get("NO_COLOR").is_some(),
        panel: ui.panel,
        mouse: ui.mouse,
        notify: ui.notify,
        time_of_day,
        kitty: env.get("TERM") != Some("linux"),
        keys: keys.clone(),
        prompt: Some(prompt).filter(|text| !text.trim().is_empty()),
        editor: own("VISUAL").or_else(|| own("EDITOR")),
        scratch: core.loaded.locations.data_dir.clone(),
    }
}

/// `14:32` where the user is.
fn time_of_day(at: Timestamp) -> String {
    let zoned =
        jiff::Timestamp::from_millisecond(at.0).map(|at| at.to_zoned(jiff::tz::TimeZone::system()));
    zoned
        .map(|at| at.strftime("%H:%M").to_string())
        .unwrap_or_default()
}
