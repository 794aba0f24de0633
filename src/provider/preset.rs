//! The providers that are known by name: with a key in the usual variable they need no configuration.
//!
//! Owns: names, addresses and the usual key variables.
//! Refuses: models and prices (the catalogue has them).
//! Invariant: names are unique, addresses end without a slash, local ones are loopback and all others HTTPS.

/// A provider known by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Preset {
    /// The part of a model's name before the slash.
    pub name: &'static str,
    /// The OpenAI-compatible base address.
    pub(crate) base_url: &'static str,
    /// The variables that usually hold its key; the first one that is set counts.
    pub key_variables: &'static [&'static str],
    /// Runs on this machine, needs no key and costs nothing.
    pub local: bool,
}

const fn hosted(
    name: &'static str,
    base_url: &'static str,
    key_variables: &'static [&'static str],
) -> Preset {
    Preset {
        name,
        base_url,
        key_variables,
        local: false,
    }
}

const fn local(
    name: &'static str,
    base_url: &'static str,
    key_variables: &'static [&'static str],
) -> Preset {
    Preset {
        name,
        base_url,
        key_variables,
        local: true,
    }
}

/// All presets, in the order in which they are listed.
pub const PRESETS: &[Preset] = &[
    hosted("openai", "https://api.openai.com/v1", &["OPENAI_API_KEY"]),
    hosted(
        "anthropic",
        "https://api.anthropic.com/v1",
        &["ANTHROPIC_API_KEY"],
    ),
    hosted(
        "gemini",
        "https://generativelanguage.googleapis.com/v1beta/openai",
        &["GEMINI_API_KEY", "GOOGLE_API_KEY"],
    ),
    hosted(
        "deepseek",
        "https://api.deepseek.com/v1",
        &["DEEPSEEK_API_KEY"],
    ),
    hosted("mistral", "https://api.mistral.ai/v1", &["MISTRAL_API_KEY"]),
    hosted("xai", "https://api.x.ai/v1", &["XAI_API_KEY"]),
    hosted("groq", "https://api.groq.com/openai/v1", &["GROQ_API_KEY"]),
    hosted(
        "openrouter",
        "https://openrouter.ai/api/v1",
        &["OPENROUTER_API_KEY"],
    ),
    hosted(
        "together",
        "https://api.together.xyz/v1",
        &["TOGETHER_API_KEY"],
    ),
    hosted(
        "qwen",
        "https://dashscope-intl.aliyuncs.com/compatible-mode/v1",
        &["DASHSCOPE_API_KEY"],
    ),
    hosted(
        "moonshot",
        "https://api.moonshot.ai/v1",
        &["MOONSHOT_API_KEY"],
    ),
    hosted("zai", "https://api.z.ai/api/paas/v4", &["ZAI_API_KEY"]),
    hosted("minimax", "https://api.minimax.io/v1", &["MINIMAX_API_KEY"]),
    hosted(
        "cerebras",
        "https://api.cerebras.ai/v1",
        &["CEREBRAS_API_KEY"],
    ),
    hosted(
        "llama",
        "https://api.llama.com/compat/v1",
        &["LLAMA_API_KEY"],
    ),
    local("ollama", "http://127.0.0.1:11434/v1", &[]),
    local("lmstudio", "http://127.0.0.1:1234/v1", &[]),
    local(
        "llamacpp",
        "http://127.0.0.1:8080/v1",
        &["LLAMA_CPP_API_KEY"],
    ),
    local("vllm", "http://127.0.0.1:8000/v1", &["VLLM_API_KEY"]),
];

/// The preset of this name.
pub(crate) fn preset(name: &str) -> Option<&'static Preset> {
    PRESETS.iter().find(|preset| preset.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider::Endpoint;

    #[test]
    fn every_preset_has_a_usable_address_and_its_own_name() {
        for (n, preset) in PRESETS.iter().enumerate() {
            let endpoint = Endpoint::parse(preset.name, preset.base_url, false).unwrap();
            assert_eq!(endpoint.base_url(), preset.base_url);
            assert_eq!(endpoint.is_loopback(), preset.local, "{}", preset.name);
            assert_eq!(preset.base_url.starts_with("https://"), !preset.local);
            assert!(preset.local || !preset.key_variables.is_empty());
            assert!(
                PRESETS[n + 1..]
                    .iter()
                    .all(|other| other.name != preset.name),
                "{}",
                preset.name
            );
        }
    }
}
