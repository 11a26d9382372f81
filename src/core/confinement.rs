//! Confinement: what Homing has to reach, whether the granted access suffices, and both in words.
//!
//! Decides on paths as they are given; resolving links is the shell's work, and so is the confining
//! itself. Used for the daemon, for `--once` and for `check`.

use std::fmt;
use std::path::{Path, PathBuf};

use super::name::Hostname;
use super::order::SortedSet;

/// What Homing has to reach.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Needs {
    /// The directories below which it reads.
    pub read: SortedSet<PathBuf>,
    /// The directories below which it reads and writes.
    pub write: SortedSet<PathBuf>,
    /// The ports it connects to.
    pub ports: Ports,
}

/// TCP ports of servers.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Ports {
    /// Any port, because a server names the ports.
    Any,
    /// These ports.
    These(SortedSet<u16>),
}

/// Why Homing is not confined.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Unconfined {
    /// This source runs a program, which would be confined as well.
    Command(String),
    /// The kernel has Landlock, and it is turned off.
    Disabled,
    /// The kernel has no Landlock.
    Missing,
    /// This host runs a program, which would be confined as well.
    OnChange(Hostname),
    /// The program of this setting is run when a host has a problem, and would be confined as well.
    Report(&'static str),
    /// The system refused, in its words.
    Refused(String),
    /// systemd has started Homing and confines it.
    Systemd,
}

/// Directories that programs share: many files besides Homing's own lie below them.
const SHARED: [&str; 20] = [
    "/",
    "/boot",
    "/dev",
    "/etc",
    "/home",
    "/mnt",
    "/nix",
    "/opt",
    "/proc",
    "/root",
    "/run",
    "/srv",
    "/sys",
    "/tmp",
    "/usr",
    "/usr/local",
    "/usr/local/etc",
    "/var",
    "/var/lib",
    "/var/run",
];

impl Needs {
    /// These needs and those of `other` together.
    pub fn with(mut self, other: Self) -> Self {
        self.read.extend(other.read);
        self.write.extend(other.write);
        self.ports = match (self.ports, other.ports) {
            (Ports::These(mut ports), Ports::These(others)) => {
                ports.extend(others);
                Ports::These(ports)
            }
            (Ports::Any, _) | (_, Ports::Any) => Ports::Any,
        };
        self
    }

    /// Whether a process with this access can do all that `other` asks for.
    pub fn covers(&self, other: &Self) -> bool {
        other.beyond(self).is_empty()
    }

    /// The part of these needs that `held` does not cover.
    pub fn beyond(&self, held: &Self) -> Self {
        let reads = |path: &Path| is_below(path, &held.read) || is_below(path, &held.write);
        let ports = match (&self.ports, &held.ports) {
            (_, Ports::Any) => Ports::default(),
            (Ports::Any, Ports::These(_)) => Ports::Any,
            (Ports::These(ports), Ports::These(held)) => Ports::These(ports - held),
        };
        Self {
            read: self.read.iter().filter(|path| !reads(path)).cloned().collect(),
            write: self.write.iter().filter(|path| !is_below(path, &held.write)).cloned().collect(),
            ports,
        }
    }

    /// The part of these needs that `other` does not name itself; a directory above is not enough.
    pub fn without(&self, other: &Self) -> Self {
        let Self { ports, .. } = self.beyond(other);
        let read = self.read.iter().filter(|path| !other.write.contains(*path));
        let read = read.filter(|path| !other.read.contains(*path)).cloned().collect();
        Self { read, write: &self.write - &other.write, ports }
    }

    /// Whether nothing is needed.
    pub fn is_empty(&self) -> bool {
        self.read.is_empty() && self.write.is_empty() && self.ports == Ports::default()
    }

    /// A sentence about each shared directory that is opened because a file of the configuration lies
    /// in it; the directories that `system` reads are left out, because they are open in any case.
    pub fn breadth(&self, system: &Self) -> Vec<String> {
        let shared = |paths: &SortedSet<PathBuf>| -> Vec<PathBuf> {
            paths.iter().filter(|path| is_shared(path)).cloned().collect()
        };
        let read = shared(&self.read).into_iter().filter(|path| !is_below(path, &system.read));
        let read = read.map(|path| ("read", path));
        let written = shared(&self.write).into_iter().map(|path| ("write", path));
        let sentence = |(verb, path): (&str, PathBuf)| {
            let path = path.display();
            format!(
                "the sandbox may {verb} everything below {path}, because a configured \
                    file is in {path} itself; put the file into a directory of its own"
            )
        };
        read.chain(written).map(sentence).collect()
    }

    /// A sentence about each directory with nothing in it yet, if a directory above it is among the
    /// `opened` ones only because of it.
    pub fn awaited(&self, opened: &Self) -> Vec<String> {
        let open_anyway = [(&self.read, &opened.read), (&self.write, &opened.write)]
            .map(|(wanted, opened)| -> SortedSet<PathBuf> { wanted & opened });
        let [read, write] = &open_anyway;
        let nothing = SortedSet::new();
        let reads = self.read.iter().map(|path| ("read", path, &opened.read, read));
        let writes = self.write.iter().map(|path| ("write", path, &opened.write, &nothing));
        let sentence = |(verb, path, opened, more): (_, &PathBuf, &SortedSet<_>, &SortedSet<_>)| {
            let wide = path.ancestors().find(|path| opened.contains(*path))?;
            let is_told = !is_below(wide, more) && !is_below(wide, write);
            let (path, wide) = (path.display(), wide.display());
            is_told.then(|| {
                format!(
                    "the sandbox may {verb} everything below {wide}, because {path} does \
                    not exist yet; create it and restart Homing"
                )
            })
        };
        reads.chain(writes).filter_map(sentence).collect()
    }
}

impl Default for Ports {
    fn default() -> Self {
        Self::These(SortedSet::new())
    }
}

/// As `reads A, B; writes C; connects to TCP port 443`; directories below others are left out.
impl fmt::Display for Needs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let covered =
            |path: &Path| is_below_another(path, &self.read) || is_below(path, &self.write);
        let read: Vec<_> = self.read.iter().filter(|path| !covered(path)).collect();
        let outermost = |path: &&PathBuf| !is_below_another(path, &self.write);
        let write: Vec<_> = self.write.iter().filter(outermost).collect();
        let mut clauses = Vec::new();
        for (verb, paths) in [("reads", read), ("writes", write)] {
            if !paths.is_empty() {
                let paths: Vec<_> = paths.iter().map(|path| path.display().to_string()).collect();
                clauses.push(format!("{verb} {}", paths.join(", ")));
            }
        }
        match &self.ports {
            Ports::Any => clauses.push("connects to any TCP port".to_owned()),
            Ports::These(ports) if ports.is_empty() => {}
            Ports::These(ports) => {
                let noun = if ports.len() == 1 { "port" } else { "ports" };
                let ports: Vec<_> = ports.iter().map(u16::to_string).collect();
                clauses.push(format!("connects to TCP {noun} {}", ports.join(", ")));
            }
        }
        f.write_str(&clauses.join("; "))
    }
}

impl fmt::Display for Unconfined {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Command(source) => {
                write!(f, "the command of the source {source} would be limited, too")
            }
            Self::Disabled => f.write_str("the kernel's Landlock is turned off"),
            Self::Missing => f.write_str("the kernel has no Landlock"),
            Self::OnChange(host) => {
                write!(f, "the on-change program of {host} would be limited, too")
            }
            Self::Report(setting) => write!(f, "the {setting} program would be limited, too"),
            Self::Refused(why) => write!(f, "the kernel refuses Landlock's rules ({why})"),
            Self::Systemd => f.write_str("systemd sandboxes the service"),
        }
    }
}

/// Whether `path` is a directory that programs share, or the home of a person.
fn is_shared(path: &Path) -> bool {
    let is_home = path.parent() == Some(Path::new("/home"));
    is_home || SHARED.iter().any(|shared| Path::new(shared) == path)
}

/// Whether `path` is one of `paths`, or below one.
fn is_below(path: &Path, paths: &SortedSet<PathBuf>) -> bool {
    path.ancestors().any(|ancestor| paths.contains(ancestor))
}

/// Whether `path` is below one of `paths` other than itself.
fn is_below_another(path: &Path, paths: &SortedSet<PathBuf>) -> bool {
    path.parent().is_some_and(|parent| is_below(parent, paths))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn needs(read: &[&str], write: &[&str], ports: &[u16]) -> Needs {
        Needs {
            read: read.iter().map(PathBuf::from).collect(),
            write: write.iter().map(PathBuf::from).collect(),
            ports: Ports::These(ports.iter().copied().collect()),
        }
    }

    #[track_caller]
    fn check(held: &Needs, wanted: &Needs, lacking: &str) {
        assert_eq!(wanted.beyond(held).to_string(), lacking);
        assert_eq!(held.covers(wanted), lacking.is_empty());
    }

    #[test]
    fn a_directory_gives_what_is_below_it_and_no_more() {
        let held = needs(&["/etc"], &["/var/lib/homing"], &[]);
        check(&held, &needs(&["/etc", "/etc/homing"], &[], &[]), "");
        check(&held, &needs(&["/etc2", "/"], &[], &[]), "reads /");
        check(&held, &needs(&["/etc2"], &[], &[]), "reads /etc2");
        check(&held, &needs(&["/var/lib/homing"], &["/var/lib/homing/x"], &[]), "");
        check(&held, &needs(&[], &["/etc/homing"], &[]), "writes /etc/homing");
    }

    #[test]
    fn what_was_lacking_already_is_taken_out_by_its_name() {
        let lacking = needs(&["/a", "/b", "/c/d", "/e"], &["/a", "/f"], &[1, 2]);
        let before = needs(&["/b", "/c"], &["/e", "/f"], &[2]);
        assert_eq!(lacking.without(&before), needs(&["/a", "/c/d"], &["/a"], &[1]));
    }

    #[test]
    fn what_is_opened_for_something_to_come_is_told() {
        let wanted = needs(&["/etc", "/etc/keys", "/run/a/b"], &["/srv/a", "/state"], &[]);
        let opened = needs(&["/etc", "/run"], &["/srv", "/state"], &[]);
        let told = wanted.awaited(&opened);
        assert_eq!(told.len(), 2, "{told:?}");
        assert_eq!(
            told[0],
            "the sandbox may read everything below /run, because /run/a/b does not \
                exist yet; create it and restart Homing"
        );
        assert!(told[1].starts_with("the sandbox may write everything below /srv, "), "{told:?}");
        assert_eq!(opened.awaited(&opened), Vec::<String>::new());
    }

    #[test]
    fn ports_are_held_one_by_one_or_all() {
        let held = needs(&[], &[], &[53, 443]);
        check(&held, &needs(&[], &[], &[443]), "");
        check(&held, &needs(&[], &[], &[443, 8443]), "connects to TCP port 8443");
        let any = Needs { ports: Ports::Any, ..Needs::default() };
        check(&held, &any, "connects to any TCP port");
        check(&any, &held, "");
        check(&any, &any, "");
    }

    #[test]
    fn both_together_are_all_that_either_needs() {
        let both = needs(&["/a"], &["/b"], &[53]).with(needs(&["/c"], &[], &[443]));
        assert_eq!(both, needs(&["/a", "/c"], &["/b"], &[53, 443]));
        let any = Needs { ports: Ports::Any, ..Needs::default() };
        assert_eq!(both.clone().with(any.clone()).ports, Ports::Any);
        assert_eq!(any.with(both).ports, Ports::Any);
    }

    #[test]
    fn words_leave_out_what_lies_below_something_else() {
        let some = needs(&["/etc", "/etc/homing", "/state/a"], &["/state"], &[53, 443]);
        assert_eq!(some.to_string(), "reads /etc; writes /state; connects to TCP ports 53, 443");
        assert_eq!(needs(&["/"], &[], &[]).to_string(), "reads /");
        assert!(Needs::default().is_empty());
        assert_eq!(Needs::default().to_string(), "");
    }

    #[test]
    fn a_shared_directory_is_told_where_the_system_does_not_open_it_anyway() {
        let system = needs(&["/etc", "/usr/lib"], &[], &[]);
        let own = needs(&["/", "/etc", "/etc/homing"], &["/etc", "/var/lib/homing"], &[]);
        let told = own.breadth(&system);
        assert_eq!(told.len(), 2, "{told:?}");
        assert!(told[0].starts_with("the sandbox may read everything below /, "), "{told:?}");
        assert!(told[1].starts_with("the sandbox may write everything below /etc, "), "{told:?}");
        assert_eq!(needs(&["/home/me"], &["/var/lib"], &[]).breadth(&system).len(), 2);
        let narrow = needs(&["/etc/homing", "/home/me/dir"], &["/state"], &[]);
        assert_eq!(narrow.breadth(&system), Vec::<String>::new());
    }
}
