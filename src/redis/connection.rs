//! The connection to Redis, which no request waits for longer than it must.
//!
//! Owns: connecting in the background, the one connection that all calls share, the time limits, and what is told of trouble.
//! Refuses: several servers (a cluster counts as one); background traffic: nothing is sent without a call.
//! Invariant: a reply reaches the call that it answers, or is dropped. The crate's multiplexed connection answers its calls in
//! the order in which they were written (`PipelineSink::send_result` takes the first of `in_flight`), and a call that was
//! dropped keeps its place there: its reply goes to a receiver that is gone (read in redis 1.8.1). A server that breaks that
//! order is found out by what stands inside each reply: a sealed answer names its key, a lease repeats its number.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use redis::{Cmd, FromRedisValue, Value};
use tokio::sync::Notify;

use super::failure::Away;
use super::gate::Gate;
use super::open::{self, Roots, ServerConnection};
use super::settings::RedisSettings;
use super::waiting::Waiting;

/// The longest that connecting takes, where patience is no longer.
const LIMIT: Duration = Duration::from_secs(1);

/// A Redis. Clones share one connection. Making one opens nothing.
#[derive(Clone)]
pub struct Redis {
    inner: Arc<SharedConnection>,
    /// Of the request that its calls are for; `None`: each is waited for by itself.
    waiting: Option<Waiting>,
}

struct SharedConnection {
    settings: RedisSettings,
    /// Authorities trusted for a `rediss://` server; `None`: only those that the system trusts.
    roots: Option<Roots>,
    state: Mutex<ConnectionState>,
    /// An attempt to connect has ended.
    ended: Notify,
    /// There is a trouble that was not told yet.
    troubled: Notify,
}

#[derive(Default)]
struct ConnectionState {
    connection: Option<ServerConnection>,
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
    /// Opens no connection.
    pub fn new(settings: RedisSettings) -> Self {
        Self::with(settings, None)
    }

    /// One whose certificate may also come from the authorities that `roots` gives.
    pub(crate) fn trusting(settings: RedisSettings, roots: Roots) -> Self {
        Self::with(settings, Some(roots))
    }

    fn with(settings: RedisSettings, roots: Option<Roots>) -> Self {
        let (ended, troubled) = (Notify::new(), Notify::new());
        let inner = Arc::new(SharedConnection {
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

    /// The same, for one request: all its calls together are waited for no longer than [`RedisSettings::patience`], but for
    /// those that it cannot go on without.
    #[must_use]
    pub(crate) fn within(&self, waiting: &Waiting) -> Self {
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
    pub(crate) fn warm(&self) {
        let mut state = self.state();
        if state.connection.is_none() && state.trouble.is_none() && state.failure.is_none() {
            self.connect(&mut state);
        }
    }

    /// The first `most` bytes of a value, and one more. `None`: there is none. Waits at most [`RedisSettings::patience`].
    pub async fn get(&self, name: &str, most: usize) -> Result<Option<Vec<u8>>, Away> {
        // GET would send the whole value, however long another user made it.
        let mut command = redis::cmd("GETRANGE");
        command.arg(self.key(name)).arg(0).arg(most);
        let value: Vec<u8> = self.ask(&command).await?;
        Ok(Some(value).filter(|value| !value.is_empty()))
    }

    /// Runs a script that gives a text for each of these keys, which are of one slot. Waits at most [`RedisSettings::patience`].
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

    /// Keeps a value for a time. Waits at most [`RedisSettings::patience`].
    pub async fn set(&self, name: &str, value: &[u8], ttl: Duration) -> Result<(), Away> {
        let mut command = redis::cmd("SET");
        command
            .arg(self.key(name))
            .arg(value)
            .arg("PX")
            .arg(milliseconds(ttl));
        self.ask(&command).await
    }

    /// Keeps a value for a time, where there is none; whether it did. Waits at most [`RedisSettings::patience`].
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

    /// Runs a script over one key that gives a number. Waits at most [`RedisSettings::patience`].
    pub(super) async fn step(&self, script: &str, name: &str, args: &[&str]) -> Result<i64, Away> {
        let mut command = redis::cmd("EVAL");
        command.arg(script).arg(1).arg(self.key(name)).arg(args);
        self.ask(&command).await
    }

    /// Removes a value. Waits at most [`RedisSettings::patience`].
    pub(crate) async fn remove(&self, name: &str) -> Result<(), Away> {
        let mut command = redis::cmd("DEL");
        command.arg(self.key(name));
        self.ask(&command).await
    }

    /// Runs a script over one key, as one step that nothing comes between. The caller cannot go on without it, so it is
    /// tried also while the server is left alone. Waits at most [`RedisSettings::patience`] for the answer; where there is no
    /// connection yet, and no reason to think that there will be none, up to a second for that before. It may run although
    /// no answer comes.
    pub(crate) async fn run(
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
        // The caller reports the failure itself, because it cannot go on.
        self.ask_within(&command, self.inner.settings.patience, false)
            .await
    }

    /// Whether it can be reached and read from, for a command that asks only that: waits up to one second, also while it
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

    /// Returns when there is a trouble that was not told yet.
    pub(crate) async fn troubled(&self) {
        let mut troubled = std::pin::pin!(self.inner.troubled.notified());
        troubled.as_mut().enable();
        if self.state().trouble.is_none() {
            troubled.await;
        }
    }

    /// The longest that a request waits for what it can do without.
    pub(crate) fn patience(&self) -> Duration {
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

    fn state(&self) -> MutexGuard<'_, ConnectionState> {
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

    /// `tells`: a trouble is told to the user.
    async fn ask_within<T: FromRedisValue>(
        &self,
        command: &Cmd,
        limit: Duration,
        tells: bool,
    ) -> Result<T, Away> {
        // Which connection it used, also when the call timed out.
        let on = AtomicU64::new(self.state().number);
        let talk = tokio::time::timeout(limit, self.talk(command, &on)).await;
        // A request that had spent most of its patience before waited only briefly: that does not show that the server hangs.
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
            // Another type under a name is not the server's fault.
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

    /// Sends a command, and once more over a new connection when the present one is dead. Every command here may run twice,
    /// or its caller checks the outcome.
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

    /// Keeps a trouble to be told, unless it was told already.
    fn will_tell(&self, state: &mut ConnectionState, away: &Away) {
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
    async fn connected(&self, on: &AtomicU64) -> Result<ServerConnection, Away> {
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

    /// Connects in a task of its own: the attempt goes on when the caller has given up, and serves the next call.
    fn connect(&self, state: &mut ConnectionState) {
        if std::mem::replace(&mut state.connecting, true) {
            return;
        }
        let redis = self.clone();
        tokio::spawn(async move {
            let SharedConnection {
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
                    // The waiting call counts a quick failure; no call waits for the end of a slow one.
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
