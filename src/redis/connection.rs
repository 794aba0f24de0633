//! The connection to Redis, which no request waits for longer than it must.
//!
//! Owns: connecting in the background, the one connection that all calls share, the time limits, and what is told of trouble.
//! Refuses: several servers; a cluster is one server of several parts. Waking up: nothing is sent unless somebody asks.
//! Invariant: a reply reaches the call that it answers, or nobody. The crate's multiplexed connection answers its calls in
//! the order in which they were written (`PipelineSink::send_result` takes the first of `in_flight`), and a call that was
//! dropped keeps its place there: its reply goes to a receiver that is gone (read in redis 1.8.1). A server that breaks that
//! order is found out by what stands inside each reply: a sealed answer names its key, a lease repeats its number.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use redis::{Cmd, FromRedisValue, Value};
use tokio::sync::Notify;

use super::gate::Gate;
use super::open::{self, Connection, Roots};
use super::{Away, Waiting};

/// The longest that a request waits for something that it can do without.
pub const PATIENCE: Duration = Duration::from_millis(100);
/// The longest that connecting takes, where patience is no longer.
const LIMIT: Duration = Duration::from_secs(1);

/// Where Redis is.
#[derive(Clone, PartialEq, Eq)]
pub struct Settings {
    /// As configured; may hold user and password.
    pub url: String,
    /// The address is one of several that share the keys.
    pub cluster: bool,
    /// Before every key.
    pub prefix: String,
    /// The longest wait for what a request can do without; [`PATIENCE`], but where a machine is slower than any user's.
    pub patience: Duration,
}

/// A Redis. Clones share one connection. Making one opens nothing.
#[derive(Clone)]
pub struct Redis {
    inner: Arc<Inner>,
    /// Of the request that its calls are for; `None`: each is waited for by itself.
    waiting: Option<Waiting>,
}

struct Inner {
    settings: Settings,
    /// Who vouches for a `rediss://` server; `None`: whoever the system trusts.
    roots: Option<Roots>,
    state: Mutex<State>,
    /// An attempt to connect has ended.
    ended: Notify,
    /// There is a trouble that nobody was told of.
    troubled: Notify,
}

#[derive(Default)]
struct State {
    connection: Option<Connection>,
    /// Counts the connections, so that the failure of an old one does not end a new one.
    number: u64,
    connecting: bool,
    /// How the last attempt to connect failed.
    failure: Option<Away>,
    gate: Gate,
    trouble: Option<Away>,
    told: Option<Away>,
}

impl Redis {
    pub fn new(settings: Settings) -> Self {
        Self::with(settings, None)
    }

    /// One whose certificate may also come from the authorities that `roots` gives.
    pub fn trusting(settings: Settings, roots: Roots) -> Self {
        Self::with(settings, Some(roots))
    }

    fn with(settings: Settings, roots: Option<Roots>) -> Self {
        let (ended, troubled) = (Notify::new(), Notify::new());
        let inner = Arc::new(Inner {
            settings,
            roots,
            state: Mutex::default(),
            ended,
            troubled,
        });
        Self {
            inner,
            waiting: None,
        }
    }

    /// The same, for one request: all its calls together are waited for no longer than [`Settings::patience`], but for
    /// those that it cannot go on without.
    #[must_use]
    pub fn within(&self, waiting: &Waiting) -> Self {
        Self {
            inner: Arc::clone(&self.inner),
            waiting: Some(waiting.clone()),
        }
    }

    /// The same, for calls that no request waits for.
    pub(super) fn behind(&self) -> Self {
        Self {
            inner: Arc::clone(&self.inner),
            waiting: None,
        }
    }

    /// Connects in the background, unless it is connected or was just found to be away.
    pub fn warm(&self) {
        let mut state = self.state();
        if state.connection.is_none() && state.trouble.is_none() && state.failure.is_none() {
            self.connect(&mut state);
        }
    }

    /// A value, without what lies beyond `most` bytes. `None`: there is none. Waits at most [`Settings::patience`].
    pub async fn get(&self, name: &str, most: usize) -> Result<Option<Vec<u8>>, Away> {
        // GET would send all of it, whoever wrote it and however long it is.
        let mut command = redis::cmd("GETRANGE");
        command.arg(self.key(name)).arg(0).arg(most);
        let value: Vec<u8> = self.ask(&command).await?;
        Ok(Some(value).filter(|value| !value.is_empty()))
    }

    /// Runs a script that gives a text for each of these keys, which are of one slot. Waits at most [`Settings::patience`].
    pub(super) async fn read(
        &self,
        script: &str,
        names: &[String],
        args: &[&str],
    ) -> Result<Vec<Vec<u8>>, Away> {
        let mut command = redis::cmd("EVAL");
        command.arg(script).arg(names.len());
        for name in names {
            command.arg(self.key(name));
        }
        let values: Vec<Vec<u8>> = self.ask(command.arg(args)).await?;
        if values.len() != names.len() {
            self.will_tell(&mut self.state(), &Away::Nonsense);
            return Err(Away::Nonsense);
        }
        Ok(values)
    }

    /// Keeps a value for a time. Waits at most [`Settings::patience`].
    pub async fn set(&self, name: &str, value: &[u8], ttl: Duration) -> Result<(), Away> {
        let mut command = redis::cmd("SET");
        command
            .arg(self.key(name))
            .arg(value)
            .arg("PX")
            .arg(milliseconds(ttl));
        self.ask(&command).await
    }

    /// Keeps a value for a time, where there is none; whether it did. Waits at most [`Settings::patience`].
    pub(super) async fn set_new(
        &self,
        name: &str,
        value: &[u8],
        ttl: Duration,
    ) -> Result<bool, Away> {
        let mut command = redis::cmd("SET");
        command
            .arg(self.key(name))
            .arg(value)
            .arg("NX")
            .arg("PX")
            .arg(milliseconds(ttl));
        Ok(self.ask::<Option<String>>(&command).await?.is_some())
    }

    /// Runs a script over one key that gives a number. Waits at most [`Settings::patience`].
    pub(super) async fn step(&self, script: &str, name: &str, args: &[&str]) -> Result<i64, Away> {
        let mut command = redis::cmd("EVAL");
        command.arg(script).arg(1).arg(self.key(name)).arg(args);
        self.ask(&command).await
    }

    /// Removes a value. Waits at most [`Settings::patience`].
    pub async fn remove(&self, name: &str) -> Result<(), Away> {
        let mut command = redis::cmd("DEL");
        command.arg(self.key(name));
        self.ask(&command).await
    }

    /// Runs a script over one key, as one step that nothing comes between. The caller cannot go on without it, so it is
    /// tried also while the server is left alone. Waits at most [`Settings::patience`] for the answer; where there is no
    /// connection yet, and no reason to think that there will be none, up to a second for that before. It may run although
    /// no answer comes.
    pub async fn run(
        &self,
        script: &str,
        name: &str,
        args: &[String],
    ) -> Result<Vec<String>, Away> {
        let mut command = redis::cmd("EVAL");
        command.arg(script).arg(1).arg(self.key(name)).arg(args);
        if !self.state().gate.is_closed(Instant::now()) {
            self.connected(&AtomicU64::new(0)).await?;
        }
        // Whoever cannot go on without it says so themselves.
        self.ask_within(&command, self.inner.settings.patience, false)
            .await
    }

    /// Whether it can be reached and read from, for whoever asks just that: waited for up to one second, also while it
    /// is left alone. Needs no other right than [`Redis::get`].
    pub async fn answers(&self) -> Result<(), Away> {
        let mut command = redis::cmd("GETRANGE");
        command.arg(self.key("doctor")).arg(0).arg(0);
        self.ask_within::<Vec<u8>>(&command, self.limit(), true)
            .await
            .map(drop)
    }

    /// What went wrong since the last call, in one line; each trouble is told once.
    pub fn trouble(&self) -> Option<String> {
        let mut state = self.state();
        let trouble = state.trouble.take()?;
        state.told = Some(trouble.clone());
        Some(trouble.to_string())
    }

    /// Comes back when something has gone wrong that nobody was told of.
    pub async fn troubled(&self) {
        let mut troubled = std::pin::pin!(self.inner.troubled.notified());
        troubled.as_mut().enable();
        if self.state().trouble.is_none() {
            troubled.await;
        }
    }

    /// The longest that a request waits for what it can do without.
    pub fn patience(&self) -> Duration {
        self.inner.settings.patience
    }

    fn limit(&self) -> Duration {
        LIMIT.max(self.inner.settings.patience)
    }

    /// As long as a user who asks for it waits: up to one second, also while the server is left alone.
    pub(super) async fn ask_patiently<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, Away> {
        self.ask_within(command, self.limit(), true).await
    }

    pub(super) fn is_cluster(&self) -> bool {
        self.inner.settings.cluster
    }

    pub(super) fn key(&self, name: &str) -> String {
        format!("{}{name}", self.inner.settings.prefix)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.inner
            .state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    async fn ask<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, Away> {
        let patience = self.inner.settings.patience;
        let left = self
            .waiting
            .as_ref()
            .map_or(Some(patience), |waiting| waiting.left(patience));
        let limit = left.ok_or(Away::LeftAlone)?;
        let began = Instant::now();
        if !self.state().gate.lets_through(began) {
            return Err(Away::LeftAlone);
        }
        let outcome = self.ask_within(command, limit, true).await;
        if let Some(waiting) = &self.waiting {
            // Also while it connects: the request goes on without it, the connection is there for the next.
            waiting.spent(
                began.elapsed(),
                matches!(outcome, Err(Away::Late | Away::Slow)),
            );
        }
        outcome
    }

    /// `tells`: a trouble is for the user to hear of.
    async fn ask_within<T: FromRedisValue>(
        &self,
        command: &Cmd,
        limit: Duration,
        tells: bool,
    ) -> Result<T, Away> {
        // Which connection it was on, also when nobody waited for its end.
        let on = AtomicU64::new(self.state().number);
        let talk = tokio::time::timeout(limit, self.talk(command, &on)).await;
        // Whoever had waited for other answers before was only here for a moment: that is no sign of a server that hangs.
        let late = if limit * 2 > self.inner.settings.patience {
            Away::Late
        } else {
            Away::Slow
        };
        let (outcome, number) = (talk.unwrap_or(Err(late)), on.into_inner());
        let outcome =
            outcome.and_then(|value| T::from_redis_value(value).map_err(|_| Away::Nonsense));
        if outcome.as_ref().is_err_and(Away::ends_connection) {
            // Half an answer of any length may still be on its way: it ends with the connection.
            self.end(number);
        }
        let mut state = self.state();
        if state.connecting && outcome.as_ref().is_err_and(|away| *away == Away::Late) {
            // It may still be found to be well: connecting goes on, and its end is what counts.
            if tells {
                self.will_tell(&mut state, &Away::Late);
            }
            return outcome;
        }
        match &outcome {
            // Something else under a name is the fault of whoever put it there.
            Ok(_) | Err(Away::OtherType) => state.gate.worked(),
            Err(Away::Slow) => {}
            Err(away) => state.gate.failed(*away == Away::Late, Instant::now()),
        }
        match &outcome {
            Ok(_) => state.told = state.told.take().filter(Away::is_of_a_command),
            Err(away) if tells => self.will_tell(&mut state, away),
            Err(_) => {}
        }
        outcome
    }

    /// Sends a command; once more over a new connection when the one at hand turns out to be dead. All commands here do
    /// the same when they are run twice, or whoever sends them looks again.
    async fn talk(&self, command: &Cmd, on: &AtomicU64) -> Result<Value, Away> {
        let mut connection = self.connected(on).await?;
        match connection.query(command).await {
            Err(error) if error.is_connection_dropped() => {}
            outcome => return outcome.map_err(Away::from),
        }
        self.end(on.load(Ordering::Relaxed));
        let mut connection = self.connected(on).await?;
        connection.query(command).await.map_err(Away::from)
    }

    /// Somebody is to be told, unless they were.
    fn will_tell(&self, state: &mut State, away: &Away) {
        if state.told.as_ref() != Some(away) {
            state.trouble = Some(away.clone());
            self.inner.troubled.notify_waiters();
        }
    }

    /// Forgets this connection, if it is still the one in use.
    fn end(&self, number: u64) {
        let mut state = self.state();
        if state.number == number {
            state.connection = None;
        }
    }

    /// The connection, after an attempt to connect if there is none.
    async fn connected(&self, on: &AtomicU64) -> Result<Connection, Away> {
        let mut ended = std::pin::pin!(self.inner.ended.notified());
        ended.as_mut().enable();
        {
            let mut state = self.state();
            if let Some(connection) = &state.connection {
                on.store(state.number, Ordering::Relaxed);
                return Ok(connection.clone());
            }
            self.connect(&mut state);
        }
        ended.await;
        let state = self.state();
        on.store(state.number, Ordering::Relaxed);
        match (&state.connection, &state.failure) {
            (Some(connection), _) => Ok(connection.clone()),
            (None, failure) => Err(failure.clone().unwrap_or(Away::Late)),
        }
    }

    /// Off the path of whoever asks: the attempt goes on when they have given up, and is there for the next.
    fn connect(&self, state: &mut State) {
        if std::mem::replace(&mut state.connecting, true) {
            return;
        }
        let redis = self.clone();
        tokio::spawn(async move {
            let Inner {
                settings, roots, ..
            } = &*redis.inner;
            let open = tokio::time::timeout(
                redis.limit(),
                open::open(settings, roots.clone(), redis.limit()),
            )
            .await;
            let opened = open.unwrap_or(Err(Away::Late));
            let mut state = redis.state();
            state.connecting = false;
            state.number += 1;
            match opened {
                Ok(connection) => (state.connection, state.failure) = (Some(connection), None),
                Err(away) => {
                    // A quick failure is counted by whoever waits for it; of a slow one nobody waits for the end.
                    if away == Away::Late {
                        state.gate.failed(true, Instant::now());
                    }
                    redis.will_tell(&mut state, &away);
                    (state.connection, state.failure) = (None, Some(away));
                }
            }
            drop(state);
            redis.inner.ended.notify_waiters();
        });
    }
}

/// As the server takes it.
fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis())
        .unwrap_or(u64::MAX)
        .clamp(1, 1 << 52)
}

impl std::fmt::Debug for Redis {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Redis")
    }
}

impl std::fmt::Debug for Settings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Settings")
            .field("cluster", &self.cluster)
            .field("prefix", &self.prefix)
            .finish_non_exhaustive()
    }
}
