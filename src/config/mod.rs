//! The configuration: reads a file into values that need no further check, or reports every problem.
//!
//! Owns the format of the configuration and the rules of secret files. Changes and sends nothing;
//! reads only its own file and those that `file` sources name. Called by the drivers.

#[cfg(test)]
mod for_luci;
mod foreign;
#[cfg(any(feature = "init", feature = "tokens"))]
pub mod handed;
mod host;
#[cfg_attr(not(feature = "pages"), path = "../left_out/notify.rs")]
mod notify;
#[cfg(feature = "tokens")]
pub mod part;
pub mod problems;
mod provider;
mod report;
mod resolver;
pub mod secret;
pub mod service;
mod source;
mod suffix;
mod table;
mod url;
mod value;

use std::io::{self, ErrorKind, Read};
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use toml::de::DeTable;

use self::host::Context;
pub use self::notify::Notifier;
#[cfg(feature = "pages")]
pub use self::notify::{Mail, Recipient, Way};
use self::problems::Notes;
pub use self::problems::Problems;
pub use self::report::{Ping, Reports, ping_url};
pub use self::secret::SecretPlace;
use self::source::Usage;
use self::table::{Section, SectionKind, Setting};
use crate::core::address::PerFamily;
use crate::core::feature::Feature;
use crate::core::order::SortedMap;
use crate::core::plan::Host;
use crate::core::provider::Provider;
use crate::core::source::Source;
use crate::core::time::Timestamp;
use crate::core::verify::Verify;
use crate::os::disk::{author, authorship, open_named};
use crate::os::hand::{self, Author};
use crate::os::log::{Format, Level};
use crate::os::reason::{SHORTAGE, is_shortage, reason};
use crate::os::user::User;

/// Every allowed key, with the header of its section; for the manual page.
pub fn keys() -> impl Iterator<Item = (&'static str, &'static [&'static str])> {
    let sections = SectionKind::ALL.into_iter().filter(|place| *place != SectionKind::Top);
    sections.map(|place| (place.header(), place.keys().known))
}

/// A valid configuration.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Config {
    /// The file of the configuration.
    pub path: PathBuf,
    /// Settings of the program as a whole.
    pub daemon: Daemon,
    /// What is reported, how and to whom.
    pub reports: Reports,
    /// The named sources, in the order of the file.
    pub sources: Vec<Source>,
    /// The user's providers in the order of the file, then the built-in ones that hosts use.
    pub providers: Vec<Rc<Provider>>,
    /// The hosts, in the order of the file; at least one.
    pub hosts: Vec<HostConfig>,
    /// The user who runs its programs; `None` is the user who runs Homing. Root runs no program that
    /// another user can choose.
    pub programs_as: Option<User>,
    /// Settings that are allowed but probably not meant, with their places.
    pub warnings: Vec<String>,
}

/// Settings of the program as a whole.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Daemon {
    /// The state directory, if the configuration names one.
    pub state_dir: Option<PathBuf>,
    /// The interval of the slow poll, which runs besides the events.
    pub interval: Duration,
    /// How long the kernel must be quiet before a round.
    pub settle: Duration,
    /// The level of the log.
    pub log: Level,
    /// The form of the log; `None` chooses the form for its reader.
    pub log_format: Option<Format>,
}

/// The source of a host's addresses of one family.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum SourceRef {
    /// The address that this machine uses towards the Internet.
    Auto,
    /// The source at that index in [`Config::sources`].
    Named(usize),
}

/// A host as configured, with all that its block says.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct HostConfig {
    /// The facts that decisions need; `refresh` and `zone` are its own or its provider's.
    pub host: Rc<Host>,
    block: Rc<HostBlock>,
}

/// What the hosts of one block share.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct HostBlock {
    /// The index of its provider in [`Config::providers`].
    pub provider: usize,
    /// The source of each family; `None` is `off`.
    pub sources: PerFamily<Option<SourceRef>>,
    /// The place of its secret; `None` only where the protocol needs no secret.
    pub secret: Option<SecretPlace>,
    /// Its login, if one is set.
    pub username: Option<String>,
    /// The file to write (`hosts-file`); always set for that protocol.
    pub path: Option<PathBuf>,
    /// The program to run after a change, with its arguments; empty for none.
    pub on_change: Vec<String>,
    /// Whether a token must be proven narrow before anything is sent with it.
    pub strict_token: bool,
    /// When its credential expires, if its owner wrote that down.
    pub expires: Option<Timestamp>,
    /// How the zone's own servers are asked whether they have the new addresses; `None` if not.
    pub verify: Option<Verify>,
}

impl Deref for HostConfig {
    type Target = HostBlock;

    fn deref(&self) -> &HostBlock {
        &self.block
    }
}

impl HostConfig {
    /// The file of its token, if its provider has receipts; the receipt is beside it.
    pub fn token_file(&self, provider: &Provider) -> Option<&Path> {
        match &self.secret {
            Some(SecretPlace::File(path)) if provider.manners().has_receipts() => Some(path),
            _ => None,
        }
    }
}

impl Default for Daemon {
    fn default() -> Self {
        Self {
            state_dir: None,
            interval: Duration::from_secs(5 * 60),
            settle: Duration::from_millis(100),
            log: Level::default(),
            log_format: None,
        }
    }
}

/// Loads the configuration from the regular file at `path`, of at most 16 MiB.
///
/// After this, the thread uses the paths in it with the rights of the user who can change it.
pub fn load(path: &Path) -> Result<Config, Problems> {
    let problem = |what: &str| Problems::of_file(path, what);
    let unreadable = |error: io::Error| match error.kind() {
        ErrorKind::NotFound => problem(if Feature::Init.is_here() {
            "does not exist; write it with `homing init`, or name another with --config FILE"
        } else {
            "does not exist; make it from config.example.toml, or name another with --config FILE"
        }),
        _ if is_shortage(&error) => {
            problem(&format!("cannot be read: {}; {SHORTAGE}", reason(&error)))
        }
        ErrorKind::PermissionDenied => {
            problem("cannot be read (permission denied); use sudo, or make Homing's user its owner")
        }
        _ => problem(&format!("cannot be read: {}", reason(&error))),
    };
    if path.is_dir() {
        let file = problems::shown_path(&path.join("config.toml"));
        return Err(problem(&format!("is a directory; name the file in it, such as {file}")));
    }
    let (file, metadata) = open_named(path)
        .map_err(unreadable)?
        .ok_or_else(|| problem("is not a regular file; a configuration is read more than once"))?;
    let mut bytes = Vec::new();
    file.take(MOST + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > MOST {
        return Err(problem(
            "is larger than 16 MiB and cannot be a configuration; name the right file",
        ));
    }
    let text = String::from_utf8(bytes).map_err(|error| {
        let before = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = before.split(|byte| *byte == b'\n').count();
        problem(&format!("is not UTF-8 text (line {line}); save it as UTF-8"))
    })?;
    let programs_as = author(path, &metadata);
    hand::serve(authorship(programs_as, path));
    let config = read_config(path, &text, secret::check_exposure(&metadata).err())?;
    Ok(Config { programs_as, ..config })
}

impl Config {
    /// Makes this thread use the paths in it with the rights of its author, as [`load`] does.
    pub fn serve(&self) {
        hand::serve(self.author());
    }

    /// The user with whose rights the paths in it are used; `None` for the user of this process.
    pub(crate) fn author(&self) -> Option<Author> {
        authorship(self.programs_as, &self.path)
    }
}

/// The state directory that the file at `path` names, even if the rest of the file is wrong.
pub fn stated_state_dir(path: &Path) -> Option<PathBuf> {
    let (mut file, mut bytes) = (open_named(path).ok()??.0.take(MOST), Vec::new());
    file.read_to_end(&mut bytes).ok()?;
    let text = String::from_utf8(bytes).ok()?;
    let (document, _) = DeTable::parse_recoverable(&text);
    let state_dir = document.get_ref().get("daemon")?.get_ref().get("state-dir")?;
    let text = state_dir.get_ref().as_str()?;
    value::path(text, path.parent().unwrap_or(Path::new(""))).ok()
}

/// The largest size of a configuration, in bytes, which also limits the work of parsing it: a hundred
/// thousand hosts with a block each.
const MOST: u64 = 16 * 1024 * 1024;

/// Parses the configuration `text`, as if it were in the file at `path`.
///
/// Secrets are allowed in it if `is_private`.
pub fn parse(path: &Path, text: &str, is_private: bool) -> Result<Config, Problems> {
    read_config(path, text, (!is_private).then_some(0o600))
}

/// The problems of `text` as configuration, without the places: no file with them exists yet.
pub fn problems_in(text: &str) -> Vec<String> {
    let place = Path::new("-");
    let Err(problems) = parse(place, text, true) else { return Vec::new() };
    let sentence = |problem: &str| {
        let what = problem.split_once(": ").map_or(problem, |(_, what)| what);
        let what = what
            .strip_prefix("host[")
            .and_then(|rest| rest.split_once("]."))
            .map_or(what, |(_, rest)| rest);
        what.to_owned()
    };
    problems.iter().map(sentence).collect()
}

/// As [`parse`]; `exposed` is the mode that the file should have, if others may read it.
fn read_config(path: &Path, text: &str, exposed: Option<u32>) -> Result<Config, Problems> {
    let parts = parts(text);
    // The problems of a part alone may be none of the whole, and others of the whole are missing.
    if parts.len() > 1
        && let Ok(config) = read_parts(path, text, &parts, exposed)
    {
        return Ok(config);
    }
    read_parts(path, text, &[text], exposed)
}

/// The parts of `text` to be read one after the other, because the parser's tables take twenty times
/// the room of their text: what stands before the hosts, then some hosts at a time.
///
/// Only where all hosts come last. A text in quotes that spans lines may be cut, but is wrong then.
fn parts(text: &str) -> Vec<&str> {
    /// The least size of a part, in bytes: each costs the parser some work of its own.
    const LEAST: usize = 8 * 1024;
    let (mut parts, mut begin, mut at) = (Vec::new(), 0, 0);
    for line in text.split_inclusive('\n') {
        if line.starts_with("[[host]]") && (parts.is_empty() || at - begin >= LEAST) {
            parts.push(&text[begin..at]);
            begin = at;
        } else if line.starts_with('[') && !line.starts_with("[[host]]") && !parts.is_empty() {
            return vec![text];
        }
        at += line.len();
    }
    parts.push(&text[begin..]);
    parts
}

/// Reads the `parts` of `text`, of which all but the first hold nothing but hosts.
fn read_parts(
    path: &Path,
    text: &str,
    parts: &[&str],
    exposed: Option<u32>,
) -> Result<Config, Problems> {
    let apart = || Problems::of_file(path, "cannot be read in parts");
    let (head, tail) = parts.split_first().ok_or_else(apart)?;
    let mut notes = Notes::new(path, text);
    let (document, errors) = DeTable::parse_recoverable(head);
    let is_whole = note_syntax(&errors, &mut notes);
    let problems_of = |problems| foreign::hint(path, text).map_or(problems, Problems::single);
    if let (false, Some(problems)) = (is_whole, notes.take_problems()) {
        return Err(problems_of(problems));
    }

    let base = path.parent().unwrap_or(Path::new(""));
    let mut top = Section::top(document.get_ref());
    top.check_keys(SectionKind::Top, &mut notes);
    let daemon = daemon(&top, base, &mut notes);
    let reports = report::read_reports(&top, (path, base), exposed, &mut notes);
    let sources: Vec<_> = entries(&top, "source", &mut notes)
        .iter_mut()
        .map(|(name, section)| source::read_source(name, section, base, &mut notes))
        .collect();
    let providers = entries(&top, "provider", &mut notes)
        .iter_mut()
        .map(|(name, section)| provider::read_provider(name, section, base, &mut notes))
        .collect();
    let mut context = Context {
        file: path,
        base,
        exposed,
        sources: &sources,
        usage: vec![Usage::default(); sources.len()],
        providers,
        seen: SortedMap::new(),
        blocks: 0,
    };
    let mut hosts = Vec::new();
    if tail.is_empty() {
        context.read_blocks(&top, &mut hosts, &mut notes);
    } else if top.get("host").is_some() {
        return Err(apart());
    }
    let mut before = *head;
    for part in tail {
        notes.begin += before.len();
        before = part;
        let (document, errors) = DeTable::parse_recoverable(part);
        note_syntax(&errors, &mut notes);
        let top = Section::top(document.get_ref());
        top.check_hosts_alone(&mut notes);
        context.read_blocks(&top, &mut hosts, &mut notes);
    }
    notes.begin = 0;
    hosts.shrink_to_fit();
    for (entry, usage) in sources.iter().zip(&context.usage) {
        entry.check_usage(*usage, &mut notes);
    }
    let providers = context.providers.into_iter().filter_map(|entry| entry.provider).collect();
    if let Some(problems) = notes.take_problems() {
        return Err(problems_of(problems));
    }
    let sources = sources.into_iter().filter_map(|entry| entry.source).collect();
    let (path, warnings) = (path.to_owned(), notes.warnings);
    Ok(Config { path, daemon, reports, sources, providers, hosts, programs_as: None, warnings })
}

/// Notes text that is not TOML; returns whether the rest was understood as it was meant.
///
/// Values without quotes do no harm to the rest; after any other error, settings may be missing or
/// be in the wrong section, and complaints about them would mislead.
fn note_syntax(errors: &[toml::de::Error], notes: &mut Notes) -> bool {
    let mut is_whole = true;
    for error in errors {
        let at = error.span().map_or(0, |span| span.start);
        let told = error.message();
        let known = SYNTAX.iter().find(|(begin, ..)| told.starts_with(begin));
        match known {
            Some((_, words, harmless)) => {
                is_whole &= *harmless;
                notes.add_syntax(at, words);
            }
            None => {
                is_whole = false;
                notes.add_syntax(at, format!("is not valid TOML: {told}"));
            }
        }
    }
    is_whole
}

/// The beginnings of the parser's messages, our words for them, and whether the rest can be trusted.
const SYNTAX: [(&str, &str, bool); 10] = [
    (
        "string values must be quoted",
        "this value needs double quotes, as in name = \"host.example.com\"",
        true,
    ),
    ("invalid boolean", "write true or false, in small letters and without quotes", true),
    (
        "duplicate key",
        "this setting or section appears twice; keep one (only [[host]], with two brackets, may \
            be repeated)",
        false,
    ),
    (
        "invalid basic string",
        "a text has no closing quote, or contains a character that is not allowed",
        false,
    ),
    (
        "invalid literal string",
        "a text has no closing quote, or contains a character that is not allowed",
        false,
    ),
    ("unclosed", "a bracket is opened here and not closed", false),
    ("key with no value", "expected: key = value", false),
    ("invalid unquoted key", "expected: key = value", false),
    (
        "missing escaped value",
        "write a backslash twice within double quotes, or use single quotes",
        false,
    ),
    ("unexpected key or value", "this line has more than one setting", false),
];

/// `[daemon]`.
fn daemon(top: &Section<'_>, base: &Path, notes: &mut Notes) -> Daemon {
    let mut daemon = Daemon::default();
    let section = top.get("daemon").and_then(|setting| setting.section("[daemon]", notes));
    let Some(mut section) = section else { return daemon };
    section.check_keys(SectionKind::Daemon, notes);
    daemon.state_dir = section.parsed("state-dir", notes, |text| value::path(text, base));
    for (key, slot, bounds) in [
        ("interval", &mut daemon.interval, value::INTERVAL),
        ("settle", &mut daemon.settle, value::SETTLE),
    ] {
        let duration = section.parsed(key, notes, |text| value::duration(text, &bounds));
        *slot = duration.unwrap_or(*slot);
    }
    daemon.log = section.parsed("log", notes, str::parse).unwrap_or_default();
    daemon.log_format = section.parsed("log-format", notes, str::parse);
    daemon
}

/// The named sections `[KIND.NAME]`, in the order of the file.
fn entries<'a>(top: &Section<'a>, kind: &str, notes: &mut Notes) -> Vec<(&'a str, Section<'a>)> {
    let header = format!("[{kind}.NAME]");
    let Some(all) = top.get(kind).and_then(|setting| setting.section(&header, notes)) else {
        return Vec::new();
    };
    let named =
        |(name, setting): (&'a str, Setting<'a>)| Some((name, setting.section(&header, notes)?));
    all.settings().into_iter().filter_map(named).collect()
}

#[cfg(test)]
mod tests;
