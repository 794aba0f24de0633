//! A fault as one row of the table: how it is made, and what must come of it.
//!
//! Owns: [`Row`] and the words in which rows are written: [`Gets`] for the caller, [`Books`] for the ledger.
//! Refuses: to run anything (`play` does) and to judge (`verdict` does).
//! Invariant: a row says everything that is expected of it; what it does not say is the same for all rows.

use crate::faults::play::Seen;
use crate::support::server::{Answer, Script, Server, Step};

/// The model that is asked where a row says nothing else.
pub const MODEL: &str = "gpt-5-mini";
/// A whole answer in four pieces, and what of it has come after two.
pub const WHOLE: &str = "abcdefgh";
pub const HALF: &str = "abcd";

/// What the caller gets.
pub struct Gets {
    pub exit: i32,
    pub kind: Option<&'static str>,
    pub finish: Option<&'static str>,
    pub text: String,
    /// Stands in the line on standard error.
    pub words: &'static str,
}

/// The whole answer, status 0.
pub fn answer(text: &str) -> Gets {
    Gets {
        exit: 0,
        kind: None,
        finish: Some("stop"),
        text: text.to_owned(),
        words: "",
    }
}

/// What had arrived, marked as cut, status 4.
pub fn cut(text: &str, words: &'static str) -> Gets {
    Gets {
        exit: 4,
        kind: Some("cut"),
        finish: Some("cut"),
        text: text.to_owned(),
        words,
    }
}

/// The request was refused, status 1.
pub fn refused(words: &'static str) -> Gets {
    Gets {
        exit: 1,
        kind: Some("request"),
        finish: None,
        text: String::new(),
        words,
    }
}

/// Nothing came, and the server or the way to it is to blame: status 1.
pub fn unavailable(words: &'static str) -> Gets {
    Gets {
        kind: Some("unavailable"),
        ..refused(words)
    }
}

/// What the ledger holds in the end.
#[derive(Clone, Copy)]
pub enum Books {
    /// Nothing: every hold was released.
    Nothing,
    /// The server's bill to the last digit.
    Bill,
    /// So many holds of this model, in full.
    Full(usize, &'static str),
    /// As `Full`, and the bill for what was answered.
    FullAndBill(usize, &'static str),
    /// More than the hold, because the server wrote more than it was allowed to.
    AboveHold,
    /// As `Bill`, and above the hold, because the server bills more than it was allowed to.
    BillAboveHold,
}

/// One more thing that must hold; `Err` says what is wrong.
pub type Check = Box<dyn Fn(&Seen) -> Result<(), String> + Send>;

pub struct Row {
    pub fault: &'static str,
    /// The providers by name; `None`: no server listens there.
    pub servers: Vec<(&'static str, Option<Script>)>,
    /// Hosts that must not hear of it.
    pub traps: Vec<Server>,
    /// Tables of the configuration.
    pub toml: String,
    pub args: Vec<&'static str>,
    /// How often it is asked; the last one is judged by what it got, the servers by all.
    pub times: usize,
    /// Its memory is looked at.
    pub heavy: bool,
    pub gets: Gets,
    /// The models asked for, in order, at whatever server.
    pub sees: Vec<&'static str>,
    /// Attempts that no server sees, because none listened.
    pub unseen: usize,
    pub books: Books,
    pub also: Vec<Check>,
}

impl Row {
    /// A provider with these answers in turn. What is not said: one request, nothing booked, the whole answer.
    pub fn new(fault: &'static str, answers: impl IntoIterator<Item = Answer>) -> Self {
        Self::of(fault, Script::each(answers))
    }

    pub fn of(fault: &'static str, script: Script) -> Self {
        Self::at(fault, Some(script))
    }

    /// `None`: no server listens at its address.
    pub fn at(fault: &'static str, script: Option<Script>) -> Self {
        Self {
            fault,
            servers: vec![("openai", script)],
            traps: Vec::new(),
            toml: String::new(),
            args: vec!["-m", MODEL],
            times: 1,
            heavy: false,
            gets: answer(WHOLE),
            sees: vec![MODEL],
            unseen: 0,
            books: Books::Bill,
            also: Vec::new(),
        }
    }

    /// Goes wrong once, then answers.
    pub fn once(fault: &'static str, failure: Answer) -> Self {
        Self::new(fault, [failure, whole()]).requests(2)
    }

    #[must_use]
    pub fn gets(mut self, gets: Gets) -> Self {
        self.gets = gets;
        self
    }

    /// So many requests for [`MODEL`].
    #[must_use]
    pub fn requests(self, n: usize) -> Self {
        self.sees(vec![MODEL; n])
    }

    #[must_use]
    pub fn sees(mut self, models: impl Into<Vec<&'static str>>) -> Self {
        self.sees = models.into();
        self
    }

    #[must_use]
    pub fn unseen(mut self, attempts: usize) -> Self {
        self.unseen = attempts;
        self
    }

    #[must_use]
    pub fn books(mut self, books: Books) -> Self {
        self.books = books;
        self
    }

    /// One hold of [`MODEL`], in full.
    #[must_use]
    pub fn books_all(self) -> Self {
        self.books(Books::Full(1, MODEL))
    }

    #[must_use]
    pub fn books_nothing(self) -> Self {
        self.books(Books::Nothing)
    }

    /// Instead of `-m gpt-5-mini`.
    #[must_use]
    pub fn asks(mut self, args: impl Into<Vec<&'static str>>) -> Self {
        self.args = args.into();
        self
    }

    #[must_use]
    pub fn config(mut self, toml: &str) -> Self {
        self.toml.push_str(toml);
        self
    }

    /// Time limits short enough to be seen, long enough for a busy machine.
    #[must_use]
    pub fn impatient(self) -> Self {
        self.config("[limits]\nfirst_token_timeout = \"4s\"\nidle_timeout = \"4s\"\n")
    }

    /// `auto` over these models.
    #[must_use]
    pub fn ladder(self, rungs: &[&str]) -> Self {
        self.config(&format!("[router]\npace = false\nladder = {rungs:?}\n"))
            .asks(["-m", "auto"])
    }

    /// A second provider, `other`, with the model `backup`.
    #[must_use]
    pub fn beside(mut self, script: Script) -> Self {
        self.servers.push(("other", Some(script)));
        self
    }

    #[must_use]
    pub fn traps(mut self, trap: Server) -> Self {
        self.traps.push(trap);
        self
    }

    #[must_use]
    pub fn times(mut self, times: usize) -> Self {
        self.times = times;
        self
    }

    #[must_use]
    pub fn heavy(mut self) -> Self {
        self.heavy = true;
        self
    }

    #[must_use]
    pub fn also(mut self, check: impl Fn(&Seen) -> Result<(), String> + Send + 'static) -> Self {
        self.also.push(Box::new(check));
        self
    }
}

/// The answer that a server gives which is well.
pub fn whole() -> Answer {
    Answer::text(WHOLE).usage(20, 4)
}

/// An event of a stream that carries a piece of text.
pub fn piece(text: &str) -> Step {
    Step::event(&serde_json::json!({"choices": [{"index": 0, "delta": {"content": text}}]}))
}
