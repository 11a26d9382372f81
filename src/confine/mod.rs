//! Confinement of the running program to what its configuration needs, by the kernel's Landlock.
//!
//! Owns the rules and what they are made of; changes nothing of what Homing does, and its failure
//! ends nothing. Called by the daemon, by `--once`, and by `check`, which only tries it.

#[cfg(target_os = "linux")]
mod landlock;
mod needs;

use std::collections::BTreeMap;
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
use crate::core::source::SourceKind;

/// The first version of the kernel's rules that knows ports.
const PORTS_SINCE: i32 = 4;

/// How the program is confined, from its start to its end.
#[derive(Debug)]
pub struct Confinement {
    state_dir: PathBuf,
    held: Result<KernelRules, Unconfined>,
    /// What had to be opened because something was not there yet, in sentences.
    awaited: Vec<String>,
    /// What was lacking at the last report.
    told: Option<String>,
}

/// What the kernel leaves the program.
#[derive(Debug, Default)]
struct KernelRules {
    needs: Needs,
    /// The directories of the rules; others may have taken their paths by now.
    identities: BTreeMap<PathBuf, Identity>,
    /// The version of the kernel's rules.
    abi: i32,
}

/// A directory as the kernel knows it; device and inode, which no other has while a rule is for it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Identity(u64, u64);

impl Confinement {
    /// Confines this thread, and all that it starts from now on, to what `config` needs with the state
    /// in `state_dir`, unless something hinders that.
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

    /// Logs what holds: as information for a daemon, else as a detail.
    pub fn announce(&self, is_daemon: bool) {
        match &self.held {
            Ok(KernelRules { needs, abi, .. }) if is_daemon => {
                info!(landlock = abi, reach = %needs, "confined");
                self.awaited.iter().for_each(|sentence| info!("{sentence}"));
            }
            Err(Unconfined::Refused(why)) if is_daemon => {
                warn!(
                    why,
                    fix = "nothing to do; Homing goes on as without Landlock",
                    "not confined"
                );
            }
            Err(why) if is_daemon => info!(%why, "not confined"),
            Ok(KernelRules { needs, abi, .. }) => {
                debug!(landlock = abi, reach = %needs, "confined");
            }
            Err(why) => debug!(%why, "not confined"),
        }
    }

    /// What `new` needs that is out of reach without a restart, unless `old`, the configuration in
    /// force, lacks it as well.
    pub fn forbids(&self, old: &Config, new: &Config) -> Option<String> {
        let held = self.held.as_ref().ok()?;
        if let Some(program) = program(new) {
            return Some(program.to_string());
        }
        let lacking = |config| held.lacking(&needs::of(config, &self.state_dir));
        in_words(&lacking(new).without(&lacking(old)))
    }

    /// Logs what `config` and the system need and is out of reach by now, once until that changes.
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
                "restart needed: Landlock keeps Homing to what it needed at its start"
            );
        }
        self.told = lacking;
        self.told.is_some()
    }
}

impl KernelRules {
    /// What of `needs` is out of reach; a directory that has taken another's place is.
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

/// How a daemon with `config` would be confined, a line for each thing to know; this thread is not.
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
            // Rules are for the thread that asks for them, and go with it.
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
        Err(why) => vec![format!("not confined: {why}")],
        Ok((abi, needs)) => {
            let unless = if systemd_runs() { " unless systemd starts it" } else { "" };
            let but = if abi < PORTS_SINCE { ", which cannot limit ports" } else { "" };
            let first = format!("confined{unless} (Landlock ABI {abi}{but}): {needs}");
            [first].into_iter().chain(breadth).collect()
        }
    }
}

/// Why a program with `config` is not to be confined.
fn hindrance(config: &Config) -> Option<Unconfined> {
    // The unit's settings are stricter, and a person may loosen them without asking Homing.
    // Others speak to NOTIFY_SOCKET as well, such as the runtimes of containers, and confine nothing.
    let by_systemd = env::var("SYSTEMD_EXEC_PID")
        .is_ok_and(|pid| pid == std::process::id().to_string())
        || notify_socket().is_some() && systemd_runs();
    program(config).or_else(|| by_systemd.then_some(Unconfined::Systemd))
}

/// Whether systemd is the system's manager, as `sd_booted(3)` finds out.
fn systemd_runs() -> bool {
    Path::new("/run/systemd/system").is_dir()
}

/// Where a supervisor hears, if there is one (`sd_notify(3)`).
fn notify_socket() -> Option<OsString> {
    env::var_os("NOTIFY_SOCKET").filter(|socket| !socket.is_empty())
}

/// Whether a supervisor hears at a socket without a file.
fn has_abstract_supervisor() -> bool {
    notify_socket().is_some_and(|socket| socket.as_bytes().starts_with(b"@"))
}

/// The first program of the user's in `config`, whose needs are not known.
fn program(config: &Config) -> Option<Unconfined> {
    let runs = |kind: &SourceKind| matches!(kind, SourceKind::Command(_));
    let source = config.sources.iter().find(|source| runs(&source.kind));
    let host = config.hosts.iter().find(|host| !host.on_change.is_empty());
    source
        .map(|source| Unconfined::Command(source.name.clone()))
        .or_else(|| host.map(|host| Unconfined::OnChange(host.host.key.host.clone())))
}

/// Elsewhere there is no such thing.
#[cfg(not(target_os = "linux"))]
fn restrict(_: &Needs, _: bool) -> Result<KernelRules, Unconfined> {
    Err(Unconfined::Missing)
}
