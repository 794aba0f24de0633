//! The chat screen: the program as a person uses it.

use super::args::{AskArgs, Shared};
use super::{input, no_runtime, output, setup};
use crate::chat::{Failure, FailureKind};
use crate::config::{Config, Env, Theme};
use crate::tui::{self, Exit, Options};

pub(super) fn run(shared: &Shared, args: &AskArgs) -> Result<u8, Failure> {
    let prompt = input::prompt(&args.words, &args.files)?;
    let core = setup::core(shared)?;
    let options = options(&core, prompt);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|error| no_runtime(&error))?;
    let exit = runtime.block_on(async {
        let handle = core.spawn(core.start(shared, true));
        tui::run(handle, options).await
    });
    runtime.shutdown_background();
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
        kitty: env.get("TERM") != Some("linux"),
        keys: keys.clone(),
        prompt: Some(prompt).filter(|text| !text.trim().is_empty()),
        editor: own("VISUAL").or_else(|| own("EDITOR")),
        scratch: core.loaded.locations.data_dir.clone(),
    }
}
