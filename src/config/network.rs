//! The file of extra certificates: its path, and whether it can hold certificates.
//!
//! Owns: the full path of `network.extra_ca_file`, and the first check of the file.
//! Refuses: checking the certificates themselves; the HTTP client does that.
//! Invariant: after [`resolve`] the path is absolute and the file held a PEM certificate.

use std::io::Read;
use std::path::Path;

use super::NetworkConfig;
use super::env::Env;

/// All certificates that systems trust together are about 250 KB.
const LARGEST: u64 = 4 << 20;
const BEGIN: &[u8] = b"-----BEGIN CERTIFICATE-----";

/// Makes the path absolute and looks at the file. The error says the cause and what to do.
pub(super) fn resolve(
    network: &mut NetworkConfig,
    config_file: &Path,
    env: &Env,
) -> Result<(), String> {
    let Some(written) = &network.extra_ca_file else {
        return Ok(());
    };
    let path = match (
        written.strip_prefix("~"),
        env.get("HOME"),
        config_file.parent(),
    ) {
        (Ok(rest), Some(home), _) => Path::new(home).join(rest),
        (_, _, Some(folder)) => folder.join(written),
        _ => written.clone(),
    };
    let path = std::path::absolute(&path)
        .map_err(|error| format!("expected the name of a file: {error}"))?;
    check(&path)?;
    network.extra_ca_file = Some(path);
    Ok(())
}

fn check(path: &Path) -> Result<(), String> {
    let shown = path.display();
    let unreadable =
        |error: std::io::Error| format!("the certificates in {shown} cannot be read: {error}");
    // Check the type before opening: opening a pipe would wait for its other end.
    let found = std::fs::metadata(path).map_err(unreadable)?;
    if !found.is_file() {
        return Err(format!(
            "{shown} is not a file: name a file of certificates in PEM form"
        ));
    }
    if found.len() > LARGEST {
        return Err(format!(
            "{shown} is larger than 4 MiB, so it is no file of certificates"
        ));
    }
    let mut bytes = Vec::new();
    let read =
        std::fs::File::open(path).and_then(|file| file.take(LARGEST).read_to_end(&mut bytes));
    read.map_err(unreadable)?;
    if bytes.trim_ascii().is_empty() {
        return Err(format!(
            "{shown} is empty: put certificates in PEM form into it, or take this line out"
        ));
    }
    if !bytes.windows(BEGIN.len()).any(|window| window == BEGIN) {
        return Err(format!(
            "{shown} holds no certificate in PEM form (`-----BEGIN CERTIFICATE-----`): convert it with openssl x509"
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Overrides, load};

    /// What `config.toml` says, with this as its extra file of certificates.
    fn loaded(written: &str, content: Option<&str>) -> Result<std::path::PathBuf, String> {
        let home = tempfile::tempdir().unwrap();
        if let Some(content) = content {
            std::fs::write(home.path().join("ca.pem"), content).unwrap();
        }
        let file = home.path().join("config.toml");
        std::fs::write(&file, format!("[network]\nextra_ca_file = \"{written}\"\n")).unwrap();
        let env = Env::from_pairs([("HOME", home.path().to_str().unwrap())])
            .with_folders(home.path(), home.path());
        match load(&Overrides::default(), &env) {
            Ok(loaded) => Ok(loaded.config.network.extra_ca_file.unwrap()),
            Err(error) => Err(error
                .to_string()
                .replace(home.path().to_str().unwrap(), "HOME")),
        }
    }

    #[test]
    fn the_file_is_found_beside_the_configuration_and_at_home() {
        let pem = Some("words\n-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
        for written in ["ca.pem", "~/ca.pem", "./ca.pem"] {
            let path = loaded(written, pem).unwrap();
            assert!(
                path.is_absolute() && path.ends_with("ca.pem"),
                "{}",
                path.display()
            );
        }
    }

    #[test]
    fn an_unusable_file_is_refused_with_its_location_and_what_to_do() {
        for (written, content, cause) in [
            (
                "ca.pem",
                None,
                "the certificates in HOME/ca.pem cannot be read: No such file",
            ),
            ("ca.pem", Some(""), "HOME/ca.pem is empty: put certificates"),
            ("ca.pem", Some(" \n"), "HOME/ca.pem is empty"),
            (
                "ca.pem",
                Some("0\u{82}binary"),
                "HOME/ca.pem holds no certificate in PEM form",
            ),
            (".", None, "is not a file"),
            ("", None, "expected a text that is not empty"),
        ] {
            let error = loaded(written, content).unwrap_err();
            assert!(
                error.starts_with("HOME/config.toml:2:17: ") && error.contains(cause),
                "{error}"
            );
            assert!(!error.contains('\n'));
        }
    }
}
