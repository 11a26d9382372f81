//! Set-ups of other clients, turned into Homing configuration.
//!
//! Pure: text in, a [`Draft`] out, and the draft as text, without files, environment and network.
//! Called by the driver of `homing import`.

use std::fmt;
use std::time::Duration;

use self::address::Address;
use self::service::Service;
use crate::core::address::PerFamily;
use crate::core::secret::Secret;

mod address;
mod ddclient;
mod ddns_scripts;
mod harmless;
mod inadyn;
mod join;
mod names;
mod service;
mod target;
mod toml;
mod uci;
mod write;

pub use self::write::{SecretFile, Written};

/// A client whose configuration can be read.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Client {
    /// ddclient, of any version whose files are called `ddclient.conf`.
    Ddclient,
    /// inadyn 1 and 2.
    Inadyn,
    /// OpenWrt's ddns-scripts.
    DdnsScripts,
}

impl Client {
    /// Every client.
    pub const ALL: [Self; 3] = [Self::Ddclient, Self::Inadyn, Self::DdnsScripts];

    /// The client's name, as one writes it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Ddclient => "ddclient",
            Self::Inadyn => "inadyn",
            Self::DdnsScripts => "ddns-scripts",
        }
    }

    /// Where its configuration usually is.
    fn usual_file(self) -> &'static str {
        match self {
            Self::Ddclient => "/etc/ddclient.conf or /etc/ddclient/ddclient.conf",
            Self::Inadyn => "/etc/inadyn.conf",
            Self::DdnsScripts => "/etc/config/ddns",
        }
    }
}

/// A set-up as it was understood, before it is written as configuration.
#[derive(Clone, Debug)]
pub struct Draft {
    client: Client,
    interval: Option<Duration>,
    hosts: Vec<Host>,
    /// What concerns no host in particular.
    remarks: Vec<Remark>,
    /// Every secret of the file, whether it is used or not: no text may show one.
    hidden: Vec<Secret>,
}

/// Why a file is of no use.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Unusable {
    /// Every line of it is a comment.
    Comments(Client),
    /// Nothing in it is what this client's configuration is made of.
    Foreign(Client),
    /// It sets up no host.
    NoHosts(Client),
}

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Comments(client) | Self::Foreign(client) | Self::NoHosts(client)) = self;
        let (word, file) = (client.word(), client.usual_file());
        match self {
            Self::Comments(_) => write!(
                f,
                "every line in it is a comment, so it sets up nothing; name the file in use, for {word} mostly {file}"
            ),
            Self::Foreign(_) => {
                write!(f, "this is no configuration of {word}; name that file, mostly {file}")
            }
            Self::NoHosts(_) => {
                write!(f, "no host is set up in it; name the file in use, for {word} mostly {file}")
            }
        }
    }
}

impl std::error::Error for Unusable {}

/// Reads the configuration `text` of `client`.
///
/// What cannot be carried over is remarked in the draft; an error means that nothing can.
pub fn read_draft(client: Client, text: &str) -> Result<Draft, Unusable> {
    // Editors of some systems begin a file with a mark that means nothing.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty()).peekable();
    if lines.peek().is_some() && lines.all(|line| line.starts_with('#')) {
        return Err(Unusable::Comments(client));
    }
    let mut draft = match client {
        Client::Ddclient => ddclient::read_draft(text),
        Client::Inadyn => inadyn::read_draft(text),
        Client::DdnsScripts => ddns_scripts::read_draft(text),
    }?;
    if draft.hosts.is_empty() {
        return Err(Unusable::NoHosts(client));
    }
    for host in &mut draft.hosts {
        host.settle_login();
        host.settle_sources();
    }
    Ok(draft)
}

/// Names that are kept up to date in one way.
#[derive(Clone, Debug)]
struct Host {
    /// Where it begins in the old file.
    line: usize,
    names: Vec<String>,
    service: Service,
    username: Option<String>,
    credential: Credential,
    addresses: PerFamily<Address>,
    refresh: Option<Refresh>,
    on_change: Vec<String>,
    zone: Option<String>,
    ttl: Option<u32>,
    /// Why it is written as comments.
    left_out: Option<String>,
    remarks: Vec<Remark>,
}

impl Host {
    /// One that says nothing beyond its names and service.
    fn new(line: usize, names: Vec<String>, service: Service) -> Self {
        Self {
            line,
            names,
            service,
            username: None,
            credential: Credential::none(),
            addresses: PerFamily::from_fn(|_| Address::Auto),
            refresh: None,
            on_change: Vec::new(),
            zone: None,
            ttl: None,
            left_out: None,
            remarks: Vec::new(),
        }
    }

    /// Switches it off where a source could not be carried over.
    fn settle_sources(&mut self) {
        for address in [&self.addresses.v4, &self.addresses.v6] {
            let Address::Lost(why) = address else { continue };
            match &self.left_out {
                None => self.left_out = Some(why.clone()),
                Some(first) if first == why => {}
                Some(_) => self.remarks.push(Remark::to_do(self.line, why)),
            }
        }
    }

    /// Writes it as comments, for the first of the reasons that are given.
    fn leave_out(&mut self, reason: impl Into<String>) {
        self.left_out.get_or_insert(reason.into());
    }

    /// Forgets the login, which is or may be a secret, and writes the host as comments.
    fn drop_login(&mut self, reason: &str) {
        self.username = None;
        self.leave_out(reason);
    }
}

/// What a host proves itself with.
#[derive(Clone, Debug, Eq, PartialEq)]
enum Credential {
    /// A key file in BIND's form, which is there already.
    KeyFile(String),
    /// The old file does not have it, for this reason.
    Missing(String),
    /// It stands on this line of the old file.
    Text(Secret, usize),
    /// An environment variable holds it.
    Variable(String),
}

impl Credential {
    /// None at all.
    fn none() -> Self {
        Self::Missing("no password stands in the old file".to_owned())
    }

    /// The variable `name`, unless that is no usual name of one, since it may be the secret itself.
    fn variable(name: &str) -> Self {
        let begins = name.starts_with(|c: char| c.is_ascii_uppercase() || c == '_');
        let fits = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
        if begins && name.chars().all(fits) {
            return Self::Variable(name.to_owned());
        }
        let why = "what stands there for the name of an environment variable is none in capital letters, so it is \
                   not repeated here";
        Self::Missing(why.to_owned())
    }
}

/// How often an unchanged address is sent.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Refresh {
    Every(Duration),
    Never,
}

/// Something to say about the old file.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
struct Remark {
    /// The line that it is about.
    line: usize,
    text: String,
    /// Whether a person has to look.
    is_to_do: bool,
}

impl Remark {
    /// One that a person has to look at.
    fn to_do(line: usize, text: impl Into<String>) -> Self {
        Self { line, text: text.into(), is_to_do: true }
    }

    /// One that only informs.
    fn info(line: usize, text: impl Into<String>) -> Self {
        Self { line, text: text.into(), is_to_do: false }
    }
}

/// What becomes of a setting of the old file, with what to say of it.
enum Fate {
    /// Nothing is lost without it, for this reason.
    Needless(&'static str),
    /// It is lost: what to do in its place.
    Lost(&'static str),
    /// Something else counts in its place, and that suffices.
    Replaced(&'static str),
    /// What to do; the name of the setting is not repeated, as it may be a piece of a secret.
    Unnamed(&'static str),
    /// Where it is read, its values decide what to say.
    Used,
}

impl Fate {
    /// The fate of a setting that asks for something; one that does not is passed over.
    fn only_if(self, asks: bool) -> Self {
        if asks { self } else { Self::Used }
    }

    /// What to say of the setting `name`, which stands on `line`.
    fn remark(self, name: &str, line: usize) -> Option<Remark> {
        match self {
            Self::Needless(why) => Some(Remark::info(line, format!("{name} is not needed: {why}"))),
            Self::Lost(what) => Some(Remark::to_do(line, format!("{name}: {what}"))),
            Self::Replaced(what) => Some(Remark::info(line, format!("{name}: {what}"))),
            Self::Unnamed(what) => Some(Remark::to_do(line, what)),
            Self::Used => None,
        }
    }
}

/// Why a host is left out whose address was seen behind a proxy.
const BEHIND_PROXY: &str = "its address is the one that a web service saw behind a proxy, and Homing uses none; write ipv4 or ipv6";

/// What to say of a host that has IPv4 alone; joined with another, it has both.
const IPV4_ONLY: &str = "allow-ipv6 is set, and the hosts below publish IPv4 only, as inadyn did as far as one can see; to \
                         publish IPv6, too, delete ipv6 = \"off\"";

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// How often to look, within Homing's bounds and not below the old client's `floor`; a change is
/// remarked.
fn interval(asked: Duration, floor: Duration, line: usize, remarks: &mut Vec<Remark>) -> Duration {
    const LEAST: Duration = Duration::from_secs(10);
    let floor = floor.clamp(LEAST, DAY);
    let taken = asked.clamp(floor, DAY);
    if taken != asked {
        let (taken, floor) = (toml::duration(taken), toml::duration(floor));
        remarks.push(Remark::info(
            line,
            format!("the old client looked every {floor} at most, and Homing every day at least: {taken}"),
        ));
    }
    taken
}

/// How often to send unchanged addresses, if Homing does it so often at all.
fn refresh(asked: Duration, line: usize, remarks: &mut Vec<Remark>) -> Option<Refresh> {
    const MOST: Duration = Duration::from_secs(3650 * 24 * 60 * 60);
    if asked < DAY {
        let what = "Homing sends unchanged addresses daily at most, and by itself as often as the service \
                    needs it: left out";
        remarks.push(Remark::info(line, what));
        return None;
    }
    Some(if asked > MOST { Refresh::Never } else { Refresh::Every(asked) })
}

/// Whether `text` may be shown as a name, and is no secret that a missing quote or comma has moved.
fn is_name(text: &str) -> bool {
    const LONGEST: usize = 253;
    let fits = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_' | '*' | '@');
    !text.is_empty() && text.len() <= LONGEST && text.chars().all(fits)
}

#[cfg(test)]
mod tests;
