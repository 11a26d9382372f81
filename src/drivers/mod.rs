//! The drivers: daemon, `--once` and the commands that only look. Each is thin over the round.
//!
//! The daemon writes to the log, the commands to standard output.

mod address;
mod block;
mod check;
mod daemon;
mod history;
#[cfg_attr(not(feature = "import"), path = "../left_out/import.rs")]
mod import;
#[cfg_attr(not(feature = "init"), path = "../left_out/init.rs")]
mod init;
mod news;
mod once;
mod providers;
mod reports;
mod secret_watch;
mod show;
mod signals;
mod status;
mod summary;

use std::future::Future;
use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::pin::{Pin, pin};
use std::time::Duration;

use crate::cli::{Command, Common, Parsed, TokenCommand};
use crate::config::{self, Config};
use crate::core::exit::Exit;
use crate::core::round::{Report, Round};
use crate::core::source::{Source, SourceKind};
use crate::os::clock::Clock;
use crate::os::hand;
use crate::os::log::{self, Format, Level};
use crate::os::say::{err, out};
use crate::os::styled::out_wrapped;
use crate::os::waiting::Waiting;
use crate::round::Engine;
use crate::state::{
    DAEMON, Loaded, StateAccess, StateError, Store, is_new_wrong, is_news, right_again,
};
use crate::token;

/// The default directory for state.
const STATE_DIR: &str = "/var/lib/homing";

/// The input of every command that reads the configuration.
#[derive(Debug)]
struct Setup {
    config: Config,
    state_dir: PathBuf,
    common: Common,
}

impl Setup {
    /// Reads the configuration, or prints all its problems; for cron once and not at every run.
    fn load(common: Common, is_cron: bool) -> Result<Self, Exit> {
        let config = config::load(&common.config).map_err(|problems| {
            let what = problems.to_string();
            let dir = || state_dir(&common, config::stated_state_dir(&common.config).as_ref());
            if !is_cron || is_new_wrong(&dir(), &what) {
                err(what.trim_end());
            }
            Exit::Configuration
        })?;
        let state_dir = state_dir(&common, config.daemon.state_dir.as_ref());
        if is_cron {
            right_again(&state_dir);
        }
        Ok(Self { config, state_dir, common })
    }

    /// Whether `-q` was given.
    fn quiet(&self) -> bool {
        self.common.verbosity < 0
    }

    /// Whether `-v` was given.
    fn is_verbose(&self) -> bool {
        self.common.verbosity > 0
    }
}

/// Runs the command that the command line names.
pub fn run(arguments: impl IntoIterator<Item = std::ffi::OsString>) -> Exit {
    let (command, common) = match crate::cli::parse(arguments, |name| std::env::var_os(name)) {
        Ok(Parsed::Run(command, common)) => (command, common),
        Ok(Parsed::Show(text)) => {
            text.trim_end().lines().for_each(out);
            return Exit::Right;
        }
        Err(error) => {
            err(&error.to_string());
            return Exit::Usage;
        }
    };
    if let Command::Providers(name) = &command {
        return providers::run(name.as_deref(), &common.config);
    }
    if let Command::Import(command) = &command {
        return import::run(command, common.verbosity < 0);
    }
    if let Command::Init(command) = &command {
        return init::run(command, common);
    }
    // cron mails what a run prints.
    let is_cron = matches!(&command, Command::Once(options) if !options.dry_run)
        && !std::io::stderr().is_terminal();
    let setup = match Setup::load(common, is_cron) {
        Ok(setup) => setup,
        Err(exit) => return exit,
    };
    start_log(&setup, &command);
    if matches!(command, Command::Daemon | Command::Once(_)) {
        hand::give_up_rights(binds(&setup.config));
    }
    match command {
        Command::Daemon => awaited(pin!(daemon::run(setup))),
        Command::Once(options) => awaited(pin!(once::run(setup, options))),
        Command::Check => run_check(setup),
        Command::Address => awaited(pin!(address::run(setup))),
        Command::History { host, json } => history::run(&setup, host.as_deref(), json),
        Command::Status { json, hosts } => status::run(&setup, json, &hosts),
        Command::Init(_) | Command::Providers(_) | Command::Import(_) => Exit::Right,
        Command::Token(command) => run_token(&setup.config, &command, setup.common.verbosity),
    }
}

/// Runs a token command. It is awaited here alone: each place that makes its future would have the
/// code of all these commands once more.
#[cfg_attr(
    not(feature = "tokens"),
    expect(clippy::trivially_copy_pass_by_ref, reason = "without tokens there is no such command")
)]
fn run_token(config: &Config, command: &TokenCommand, verbosity: i8) -> Exit {
    awaited(pin!(token::run(config, command, verbosity)))
}

/// Runs `homing check`; awaited here alone for the same reason.
fn run_check(setup: Setup) -> Exit {
    awaited(pin!(check::run(setup)))
}

/// Starts the log. A configured `syslog` is for the daemon alone: commands print their warnings.
fn start_log(setup: &Setup, command: &Command) {
    let common = &setup.common;
    let asked = common.log.map(|level| level.shifted(common.verbosity));
    let level = asked.unwrap_or_else(|| match command {
        Command::Daemon => setup.config.daemon.log.shifted(common.verbosity),
        _ => Level::Warn.shifted(common.verbosity.saturating_mul(2)),
    });
    let is_daemon = matches!(command, Command::Daemon);
    let is_for_it = |format: &Format| is_daemon || *format != Format::Syslog;
    let format = common.log_format.or(setup.config.daemon.log_format.filter(is_for_it));
    log::start(format, level);
}

/// Runs `work` on a runtime of one thread. It is pinned, because the daemon's future is large, and
/// `dyn`, because the runtime's code for each type of future is large.
fn awaited(work: Pin<&mut dyn Future<Output = Exit>>) -> Exit {
    // The resolver's thread is not waited for at the end: a look-up that hangs must not outlast a stop.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .thread_keep_alive(Duration::from_secs(1))
        .build();
    match runtime {
        Ok(runtime) => {
            let exit = runtime.block_on(work);
            runtime.shutdown_background();
            exit
        }
        Err(error) => {
            err(&format!("the runtime does not start: {error}"));
            Exit::Deferred
        }
    }
}

/// Whether `config` binds a host or a source to an interface.
fn binds(config: &Config) -> bool {
    let source = |source: &Source| matches!(&source.kind, SourceKind::Outside(outside) if outside.bind.is_some());
    config.hosts.iter().any(|host| host.host.bind.is_some()) || config.sources.iter().any(source)
}

/// The directory for state: the caller's, else the configuration's, else the default.
fn state_dir(common: &Common, of_config: Option<&PathBuf>) -> PathBuf {
    let of_config = of_config.filter(|_| common.state_dir.is_none());
    hand::state_is_the_callers(of_config.is_none());
    let asked = common.state_dir.as_ref().or(of_config);
    asked.cloned().unwrap_or_else(|| STATE_DIR.into())
}

/// The engine of a command, with its state read; an obstacle is reported. One that `watches` looks
/// more than once.
fn engine(setup: Setup, access: StateAccess, watches: bool) -> Result<Engine, Exit> {
    let mut store = Store::open(&setup.state_dir, access).map_err(|error| {
        if is_worth_telling(&error, access) {
            err(&error.to_string());
        }
        Exit::Deferred
    })?;
    let loaded = match store.load() {
        Ok(loaded) => loaded,
        // A command that only looks can show a lot without the state.
        Err(error) if access == StateAccess::ReadOnly => {
            err(&format!("continuing without the state: {error}"));
            Loaded::default()
        }
        Err(error) => {
            err(&error.to_string());
            return Err(Exit::Deferred);
        }
    };
    if let Some(damage) = &loaded.damage {
        let fix = "nothing to do: every address is sent again once";
        tracing::warn!(damage, fix, "the state file is damaged");
    }
    let clock = Clock::new(loaded.memory.newest(), loaded.memory.reckoning);
    let waiting = if setup.quiet() { Waiting::SILENT } else { Waiting::on_a_terminal() };
    let round = Round::new(loaded.memory, watches);
    Ok(Engine::new(setup.config, round, store, clock, waiting))
}

/// Whether to report why the state cannot be used; cron's mails name a holder of its lock once, not at
/// every run beside a daemon.
fn is_worth_telling(error: &StateError, access: StateAccess) -> bool {
    match (error, access) {
        (StateError::Held { dir, holder }, StateAccess::Locked { who }) if who != DAEMON => {
            std::io::stderr().is_terminal() || is_news(dir, holder)
        }
        _ => true,
    }
}

/// Prints a line for people, on a terminal wrapped at words.
fn say(line: &str) {
    out_wrapped(line, None);
}

/// Prints the problems of a round with the state and with on-change programs.
fn tell_problems(report: &Report) {
    if let Some(problem) = &report.storage_problem {
        err(problem);
    }
    for (key, problem) in &report.hook_problems {
        err(&format!("{}: on-change: {problem}", key.host));
    }
}
