//! Confinement of the running program to what its configuration needs, by the kernel's Landlock.
//!
//! Owns the rules and the needs that they are made of; does not change what Homing does, and ends
//! nothing when it fails. Called by the daemon, by `--once`, and by `check`, which only tries it.

#[cfg(target_os = "linux")]
mod landlock;
mod needs;

use std::env;
use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::thread;

use tracing::{debug, info, warn};

#[cfg(target_os = "linux")]
use self::landlock::restrict;
use crate::config::Config;
use crate::core::confinement::{Needs, Unconfined};
use crate::core::order::SortedMap;
use crate::core::source::SourceKind;

/// The first version of the kernel's rules that has rules for ports.
const PORTS_SINCE: i32 = 4;

/// The confinement of the program, from its start to its end.
#[derive(Debug)]
pub struct Confinement {
    state_dir: PathBuf,
    held: Result<KernelRules, Unconfined>,
    /// Sentences on directories that were opened because a path in them does not exist yet.
    awaited: Vec<String>,
    /// The missing needs of the last report.
    told: Option<String>,
}

/// The access that the kernel allows the program.
#[derive(Debug, Default)]
struct KernelRules {
    needs: Needs,
    /// The directories that the rules are for; other directories may be at their paths now.
    identities: SortedMap<PathBuf, Identity>,
    /// The version of the kernel's rules.
    abi: i32,
}

/// A directory's device and inode, which no other directory has while a rule is for it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Identity(u64, u64);

impl Confinement {
    /// Confines this thread, and all that it starts later, to the needs of `config` and of
    /// the state in `state_dir`, unless something prevents that.
    pub fn begin(config: &Config, state_dir: &Path) -> Self {
        let (held, awaited) = match hindrance(config) {
            Some(hindrance) => (Err(hindrance), Vec::new()),
            None => {
                let wanted = needs::of(config, state_dir).with(needs::of_system());
                let opened = needs::opened(&wanted, state_dir);
                (restrict(&opened, has_abstract_supervisor()), wanted.awaited(&opened))
            }
        };
        Self { state_dir: state_dir.to_owned(), held, awaited, told: None }
    }

    /// Logs the confinement: as information for a daemon, else as a detail.
    pub fn announce(&self, is_daemon: bool) {
        match &self.held {
            Ok(KernelRules { needs, abi, .. }) if is_daemon => {
                info!(landlock = abi, reach = %needs, "running in a sandbox");
                self.awaited.iter().for_each(|sentence| info!("{sentence}"));
            }
            Err(Unconfined::Refused(why)) if is_daemon => {
                warn!(why, fix = "nothing to do; Homing runs without a sandbox", "no sandbox");
            }
            Err(why) if is_daemon => info!(%why, "no sandbox"),
            Ok(KernelRules { needs, abi, .. }) => {
                debug!(landlock = abi, reach = %needs, "running in a sandbox");
            }
            Err(why) => debug!(%why, "no sandbox"),
        }
    }

    /// The needs of `new` that are not allowed without a restart, except those that `old`, the
    /// configuration in force, lacks as well.
    pub fn forbids(&self, old: &Config, new: &Config) -> Option<String> {
        let held = self.held.as_ref().ok()?;
        if let Some(program) = program(new) {
            return Some(program.to_string());
        }
        let lacking = |config| held.lacking(&needs::of(config, &self.state_dir));
        in_words(&lacking(new).without(&lacking(old)))
    }

    /// Logs the needs of `config` and the system that are not allowed by now, once until they change.
    /// Returns whether a restart is needed.
    pub fn explain(&mut self, config: &Config) -> bool {
        let Ok(held) = &self.held else { return false };
        let needs = needs::of(config, &self.state_dir).with(needs::of_system());
        let lacking = in_words(&held.lacking(&needs));
        if let Some(lacking) =
            lacking.as_ref().filter(|lacking| self.told.as_ref() != Some(lacking))
        {
            warn!(
                lacking,
                fix = "restart Homing",
                "restart needed: the Landlock sandbox allows only what Homing needed at its start"
            );
        }
        self.told = lacking;
        self.told.is_some()
    }
}

impl KernelRules {
    /// The part of `needs` that is not allowed; a directory that replaced another is part of it.
    fn lacking(&self, needs: &Needs) -> Needs {
        let stands = |path: &&PathBuf| self.identities.get(*path).copied() == Identity::at(path);
        let Needs { read, write, ports } = &self.needs;
        let held = Needs {
            read: read.iter().filter(stands).cloned().collect(),
            write: write.iter().filter(stands).cloned().collect(),
            ports: ports.clone(),
        };
        needs.beyond(&held)
    }
}

/// The missing needs in words, if there are any.
fn in_words(lacking: &Needs) -> Option<String> {
    (!lacking.is_empty()).then(|| lacking.to_string())
}

impl Identity {
    fn at(path: &Path) -> Option<Self> {
        fs::metadata(path).ok().map(|about| Self(about.dev(), about.ino()))
    }
}

/// The confinement of a daemon with `config`, one line per fact; does not confine this thread.
pub fn rehearsed(config: &Config, state_dir: &Path) -> Vec<String> {
    let own = needs::of(config, state_dir);
    let system = needs::of_system();
    let mut breadth = own.breadth(&system);
    let held = match hindrance(config) {
        Some(hindrance) => Err(hindrance),
        None => {
            let wanted = own.with(system);
            let all = needs::opened(&wanted, state_dir);
            breadth.extend(wanted.awaited(&all));
            // Rules are for the thread that sets them, and end with it.
            let tried = thread::scope(|scope| {
                let attempt = thread::Builder::new()
                    .spawn_scoped(scope, || restrict(&all, has_abstract_supervisor()));
                attempt.map(thread::ScopedJoinHandle::join)
            });
            let failed = || Unconfined::Refused("there is no thread to try them".to_owned());
            let held = tried.ok().and_then(Result::ok).unwrap_or_else(|| Err(failed()));
            held.map(|held| (held.abi, Needs { ports: held.needs.ports, ..all }))
        }
    };
    match held {
        Err(why) => vec![format!("no sandbox: {why}")],
        Ok((abi, needs)) => {
            let unless = if systemd_runs() { " (unless started by systemd)" } else { "" };
            let but = if abi < PORTS_SINCE { ", which cannot limit ports" } else { "" };
            let first = format!("sandbox{unless} (Landlock ABI {abi}{but}): {needs}");
            [first].into_iter().chain(breadth).collect()
        }
    }
}

/// The reason why a program with `config` must not be confined; `None` if there is none.
fn hindrance(config: &Config) -> Option<Unconfined> {
    // The unit's settings are stricter, and an administrator may change them without Homing.
    // Others also set NOTIFY_SOCKET, such as the runtimes of containers, and confine nothing.
    let by_systemd = env::var("SYSTEMD_EXEC_PID")
        .is_ok_and(|pid| pid == std::process::id().to_string())
        || notify_socket().is_some() && systemd_runs();
    program(config).or_else(|| by_systemd.then_some(Unconfined::Systemd))
}

/// Whether systemd is the system's manager, found out like `sd_booted(3)`.
fn systemd_runs() -> bool {
    Path::new("/run/systemd/system").is_dir()
}

/// The socket of the supervisor, if there is one (`sd_notify(3)`).
fn notify_socket() -> Option<OsString> {
    env::var_os("NOTIFY_SOCKET").filter(|socket| !socket.is_empty())
}

/// Whether the supervisor's socket has no file.
fn has_abstract_supervisor() -> bool {
    notify_socket().is_some_and(|socket| socket.as_bytes().starts_with(b"@"))
}

/// The first program in `config` that the user chose; its needs are not known.
fn program(config: &Config) -> Option<Unconfined> {
    let runs = |kind: &SourceKind| matches!(kind, SourceKind::Command(_));
    let source = config.sources.iter().find(|source| runs(&source.kind));
    let host = config.hosts.iter().find(|host| !host.on_change.is_empty());
    let report = config.reports.programs().next();
    source
        .map(|source| Unconfined::Command(source.name.clone()))
        .or_else(|| host.map(|host| Unconfined::OnChange(host.host.key.host.clone())))
        .or_else(|| report.map(|(setting, _)| Unconfined::Report(setting)))
}

/// Other systems have no Landlock.
#[cfg(not(target_os = "linux"))]
fn restrict(_: &Needs, _: bool) -> Result<KernelRules, Unconfined> {
    Err(Unconfined::Missing)
}
