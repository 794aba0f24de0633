//! What some tests need beyond Rust and a C compiler, and what becomes of them on a machine without it.
//!
//! Owns: [`Need`], how each is looked for, the list of tests that need it ([`tests!`]) and running them ([`run`]).
//! Refuses: to call a test passed that did not run.
//! Invariant: where something is missing the tests that need it are reported as ignored, by name and reason; where the
//! environment says `CI=true` they fail.

use std::net::UdpSocket;
use std::process::{Command, ExitCode, Stdio};

use libtest_mimic::{Arguments, Failed, Trial};

/// What a test may need.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    RedisServer,
    /// Mounts of its own, as a user without rights.
    MountNamespace,
    /// A network of its own, too.
    NetworkNamespace,
    /// Mounts of its own, and the port of name servers.
    NameServer,
}

impl Need {
    /// What is missing here; `None`: nothing.
    fn missing(self) -> Option<&'static str> {
        let (here, without) = match self {
            Self::RedisServer => (
                succeeds("redis-server", &["--version"]),
                "redis-server is not installed",
            ),
            Self::MountNamespace => (mounts(), "`unshare -Urm` is not allowed here"),
            Self::NetworkNamespace => (
                succeeds("unshare", &["-Urmn", "sh", "-c", NETWORK]),
                "`unshare -Urmn` is not allowed here, or `ip` is missing",
            ),
            Self::NameServer => (
                mounts() && UdpSocket::bind("127.53.0.1:53").is_ok(),
                "`unshare -Urm` or a server at port 53 is not allowed here",
            ),
        };
        (!here).then_some(without)
    }
}

/// As `offline` sets up its own.
const NETWORK: &str =
    "ip link set lo up && ip route add default dev lo && mount -t sysfs sysfs /sys";

fn mounts() -> bool {
    succeeds("unshare", &["-Urm", "mount", "--bind", "/tmp", "/tmp"])
}

fn succeeds(program: &str, args: &[&str]) -> bool {
    Command::new(program)
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// What becomes of a test.
#[derive(Debug, PartialEq, Eq)]
pub enum Fate {
    Runs,
    Ignored(&'static str),
    Fails(&'static str),
}

pub fn fate(missing: Option<&'static str>, ci: bool) -> Fate {
    match missing {
        None => Fate::Runs,
        Some(why) if ci => Fate::Fails(why),
        Some(why) => Fate::Ignored(why),
    }
}

/// A test by its name.
pub struct Test {
    name: &'static str,
    body: Box<dyn FnOnce() + Send>,
}

impl Test {
    /// `name`: with the binary's name before it.
    pub fn new<Kind>(name: &'static str, body: impl Body<Kind>) -> Self {
        Self {
            name: name.split_once("::").map_or(name, |(_, rest)| rest),
            body: body.boxed(),
        }
    }
}

/// A function that is a test: a plain one or an `async` one.
pub trait Body<Kind> {
    fn boxed(self) -> Box<dyn FnOnce() + Send>;
}

pub struct Plain;
pub struct Async;

impl<F: FnOnce() + Send + 'static> Body<Plain> for F {
    fn boxed(self) -> Box<dyn FnOnce() + Send> {
        Box::new(self)
    }
}

impl<F: FnOnce() -> R + Send + 'static, R: Future<Output = ()>> Body<Async> for F {
    fn boxed(self) -> Box<dyn FnOnce() + Send> {
        Box::new(|| {
            tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap()
                .block_on(self());
        })
    }
}

/// Names the tests of a module, in place of `#[test]`: the compiler warns of one that is missing here, since nothing calls
/// it.
#[allow(unused_macros, reason = "only two of the binaries name their tests")]
macro_rules! tests {
    ($($name:ident),* $(,)?) => {
        pub fn tests() -> Vec<$crate::support::need::Test> {
            vec![$($crate::support::need::Test::new(concat!(module_path!(), "::", stringify!($name)), $name)),*]
        }
    };
}

/// Runs tests with what they need, as the arguments of the command line ask for it.
#[allow(clippy::print_stderr, reason = "the reason must be visible")]
pub fn run(tests: impl IntoIterator<Item = (Need, Vec<Test>)>) -> ExitCode {
    let ci = std::env::var("CI").is_ok_and(|value| value == "true");
    let arguments = Arguments::from_args();
    let mut trials = Vec::new();
    for (need, tests) in tests {
        let fate = fate(need.missing(), ci);
        if let Fate::Ignored(why) = fate
            && !arguments.list
        {
            eprintln!("note: {} tests are ignored: {why}", tests.len());
        }
        trials.extend(tests.into_iter().map(|test| trial(test, &fate)));
    }
    libtest_mimic::run(&arguments, trials).exit_code()
}

fn trial(test: Test, fate: &Fate) -> Trial {
    let body = test.body;
    match *fate {
        Fate::Runs => Trial::test(test.name, move || {
            body();
            Ok(())
        }),
        Fate::Ignored(why) => Trial::test(test.name, move || Err(Failed::from(why)))
            .with_kind(why)
            .with_ignored_flag(true),
        Fate::Fails(why) => Trial::test(test.name, move || {
            Err(Failed::from(format!("{why}, and CI=true wants it")))
        }),
    }
}
