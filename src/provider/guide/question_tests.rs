//! What a new user asks, and the section that must answer.

use super::answer::AnswerComposer;

const QUESTIONS: &[(&str, &str)] = &[
    // Money.
    ("how do I set a daily budget?", "Set a budget"),
    ("limit my monthly spending", "Set a budget"),
    ("How can I cap what one session may cost", "Set a budget"),
    ("what happens when the budget is used up?", "At the limit"),
    ("on_limit", "At the limit"),
    ("how much have I spent today?", "See what is left"),
    ("how much of my budget is left", "See what is left"),
    ("what does --max-usd do", "A cap for one run"),
    ("can two windows together exceed the budget", "Reservations"),
    ("what is a reservation", "Reservations"),
    ("warn me at 80 percent of the limit", "Budget alerts"),
    ("why is the price n/a", "Why a price is n/a"),
    (
        "what is the tilde in front of the price",
        "The marks of a price",
    ),
    ("what does ~ mean", "The marks of a price"),
    (
        "How much will my question cost before I send it?",
        "The price before sending",
    ),
    ("where do the prices come from", "Where prices come from"),
    (
        "the price of a model is wrong, how do I override it",
        "Set your own price",
    ),
    (
        "are reasoning tokens charged?",
        "Cached and reasoning tokens",
    ),
    ("count the tokens of a file", "Count tokens"),
    // Keys.
    ("how do I stop an answer", "Stop an answer"),
    ("cancel generation", "Stop an answer"),
    ("How do I quit?", "Quit"),
    ("exit the program", "Quit"),
    ("switch model with keyboard", "Change the model"),
    ("how do I change the model", "Change the model"),
    ("copy code block", "Copy messages and code"),
    ("how can i copy to the clipboard?", "Copy messages and code"),
    ("how do I insert a new line", "Send and new line"),
    (
        "shift-enter sends instead of a newline",
        "Send and new line",
    ),
    ("edit my previous message", "Edit an earlier message"),
    ("ask the question again with a better model", "Ask again"),
    ("scroll up", "Move in the transcript"),
    ("search my earlier prompts", "Earlier prompts"),
    (
        "show all keyboard shortcuts",
        "Help and the command palette",
    ),
    ("which slash commands are there?", "Slash commands"),
    ("write the prompt in vim", "Edit the draft"),
    ("hide the side panel", "Show or hide the panel"),
    ("enable the mouse", "Mouse and text selection"),
    ("change a keybinding", "Change a key binding"),
    // The screen.
    ("what does TTFT mean?", "The panel"),
    ("what is the receipt", "The receipt line"),
    // Models and providers.
    ("use ollama", "Use Ollama"),
    (
        "how do I run a local model with LM Studio",
        "Other local servers",
    ),
    ("which providers are supported?", "Known providers"),
    ("does it work with claude", "Known providers"),
    ("set my api key", "Set an API key"),
    ("can I use several API keys", "Several keys"),
    (
        "read the key from 1password",
        "Keys from a password manager",
    ),
    ("add a custom openai compatible server", "Add a provider"),
    ("OPENAI_BASE_URL", "Another address for OpenAI"),
    ("what does auto do", "Automatic choice"),
    ("list the available models", "List the models"),
    ("make the model think harder", "Thinking effort"),
    ("set the temperature", "Temperature"),
    ("how do I set a system prompt", "System message"),
    ("limit the length of the answer", "Length of answers"),
    (
        "use a model that is not in the catalogue",
        "Models outside the catalogue",
    ),
    // Scripts.
    ("what does exit code 3 mean", "Exit codes"),
    ("EXIT STATUS???", "Exit codes"),
    ("pipe a file into it", "Files and pipes"),
    ("json output for scripts", "JSON output"),
    (
        "use it in a shell script",
        "Ask from a script or the command line",
    ),
    ("dry run without sending", "Estimate without sending"),
    ("bash completion", "Shell completion"),
    // Chats.
    ("where are my chats stored", "Where chats are stored"),
    ("resume last chat", "Continue the last chat"),
    ("start a new conversation", "Start a new chat"),
    ("find text in an old chat", "Search old chats"),
    ("delete a chat", "Rename or delete a chat"),
    ("export chat to markdown", "Export a chat"),
    ("my terminal crashed, is my draft lost?", "After a crash"),
    // Cache and configuration.
    ("turn off the cache", "Turn the cache off"),
    ("what does the cache do", "What the cache does"),
    ("clear cache", "Look at the cache and clear it"),
    ("how long are answers cached", "How long answers are kept"),
    ("where is the config file", "Where the configuration is"),
    ("create a config file", "Create a configuration"),
    (
        "does a flag override the environment?",
        "Which setting wins",
    ),
    ("dark theme", "Colours and theme"),
    ("increase the timeout", "Time limits"),
    ("how many retries", "Retries"),
    // Trust and trouble.
    ("is there telemetry", "What is sent"),
    ("could my api key leak?", "How keys are protected"),
    ("delete all my data", "Delete everything"),
    ("error 429", "Too many requests"),
    ("I get 401 unauthorized", "Key refused"),
    ("why was my answer truncated", "The answer is cut short"),
    ("model not found", "Model not found"),
    ("can I send images?", "Not in this version"),
    ("does it support redis", "Share answers between machines"),
    ("how do I get a real language model", "Get a real model"),
    (
        "why does only the guide answer and not gpt",
        "The guide answers instead of a model",
    ),
    // In few words, or in other words.
    ("how can I make it cheaper", "Spend less"),
    ("what's the weekly limit", "Set a budget"),
    ("is my data sent to anyone?", "What is sent"),
    ("what is offline/guide", "Use it without a key"),
    ("can i use gemini", "Known providers"),
    ("what is p95", "The panel"),
    ("what is a rung", "The ladder"),
    ("stop paying for repeated questions", "What the cache does"),
    ("where are the logs", "What is stored"),
    ("send a pdf", "Not in this version"),
    ("use with jq", "JSON output"),
    ("my config has an error", "Check the configuration"),
    ("proxy", "A proxy or a company's certificate"),
    ("set default model", "Name a model"),
    ("undo", "Edit an earlier message"),
    ("does it resend the whole chat each turn?", "What is sent"),
    ("print the cost to a file", "Options for one run"),
    ("keyring", "Keys from the keyring"),
    ("is it open source", "What this program is"),
    // Slips of the finger.
    ("how do I set a bugdet", "Set a budget"),
    ("use olama", "Use Ollama"),
    ("swich the modle", "Change the model"),
    ("turn of teh cahce", "Turn the cache off"),
    ("clipbord", "Copy messages and code"),
];

#[test]
fn new_users_find_their_section() {
    let guide = AnswerComposer::new();
    let missed: Vec<String> = QUESTIONS
        .iter()
        .filter_map(|(question, expected)| {
            let found = guide.title(&[(*question).to_owned()]);
            (found != Some(expected))
                .then(|| format!("{question}: {found:?} instead of {expected:?}"))
        })
        .collect();
    assert!(
        missed.is_empty(),
        "{} of {} missed:\n{}",
        missed.len(),
        QUESTIONS.len(),
        missed.join("\n")
    );
}

#[test]
fn case_and_punctuation_change_nothing() {
    let guide = AnswerComposer::new();
    for (question, expected) in QUESTIONS {
        for form in [
            question.to_uppercase(),
            format!("  {}?!", question.to_lowercase()),
            format!("Please: {question} …"),
        ] {
            assert_eq!(
                guide.title(std::slice::from_ref(&form)),
                Some(*expected),
                "{form}"
            );
        }
    }
}
