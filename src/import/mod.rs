//! Imports the configuration of other clients as Homing configuration.
//!
//! Pure: turns text into a [`Draft`], and the draft into text, without files, environment and network.
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
mod form;
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

    /// The client's name, as a user writes it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Ddclient => "ddclient",
            Self::Inadyn => "inadyn",
            Self::DdnsScripts => "ddns-scripts",
        }
    }

    /// The usual path of its configuration.
    fn usual_file(self) -> &'static str {
        match self {
            Self::Ddclient => "/etc/ddclient.conf or /etc/ddclient/ddclient.conf",
            Self::Inadyn => "/etc/inadyn.conf",
            Self::DdnsScripts => "/etc/config/ddns",
        }
    }
}

/// A configuration as it was read, before it is written as Homing's.
#[derive(Clone, Debug)]
pub struct Draft {
    client: Client,
    interval: Option<Duration>,
    hosts: Vec<Host>,
    /// The remarks that concern no single host.
    remarks: Vec<Remark>,
    /// Every secret in the file, used or not: none may be shown.
    hidden: Vec<Secret>,
}

/// The reason why a file cannot be imported.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Unusable {
    /// Every line is a comment.
    Comments(Client),
    /// No part of the file is of this client's format.
    Foreign(Client),
    /// The file has no host.
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
                write!(f, "this is not a configuration of {word}; name that file, mostly {file}")
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
/// Settings that cannot be carried over get a remark; an error means that none can.
pub fn read_draft(client: Client, text: &str) -> Result<Draft, Unusable> {
    // Some editors begin a file with a byte order mark.
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
        // A login or a part of an address may have become the secret.
        draft.hidden.extend(host.secret().cloned());
    }
    Ok(draft)
}

/// Names that are updated in the same way.
#[derive(Clone, Debug)]
struct Host {
    /// The line in the old file where it starts.
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
    /// What else the service wants, by name.
    options: Vec<(String, String)>,
    /// The reason why it is written as comments.
    left_out: Option<String>,
    remarks: Vec<Remark>,
}

impl Host {
    /// A host with only names and a service.
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
            options: Vec::new(),
            left_out: None,
            remarks: Vec::new(),
        }
    }

    /// Leaves the host out if one of its sources could not be carried over.
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

    /// Writes it as comments; the first reason is kept.
    fn leave_out(&mut self, reason: impl Into<String>) {
        self.left_out.get_or_insert(reason.into());
    }

    /// Removes the login, which is or may be a secret, and writes the host as comments.
    fn drop_login(&mut self, reason: &str) {
        self.username = None;
        self.leave_out(reason);
    }
}

/// The credential of a host.
#[derive(Clone, Debug, Eq, PartialEq)]
enum Credential {
    /// A key file in BIND's form that exists already.
    KeyFile(String),
    /// The old file does not have it; the reason.
    Missing(String),
    /// The secret, and its line in the old file.
    Text(Secret, usize),
    /// The name of an environment variable that holds it.
    Variable(String),
}

impl Credential {
    /// No credential at all.
    fn none() -> Self {
        Self::Missing("the old file has no password".to_owned())
    }

    /// The variable `name`, unless it looks unusual, since it may be the secret itself.
    fn variable(name: &str) -> Self {
        let begins = name.starts_with(|c: char| c.is_ascii_uppercase() || c == '_');
        let fits = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
        if begins && name.chars().all(fits) {
            return Self::Variable(name.to_owned());
        }
        let why = "its environment variable is not a name in capital letters, so it is not \
            repeated here";
        Self::Missing(why.to_owned())
    }
}

/// How often an unchanged address is sent.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Refresh {
    Every(Duration),
    Never,
}

/// A remark about the old file.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
struct Remark {
    /// The line that the remark is about.
    line: usize,
    text: String,
    /// Whether a person has to act.
    is_to_do: bool,
}

impl Remark {
    /// A remark that a person has to act on.
    fn to_do(line: usize, text: impl Into<String>) -> Self {
        Self { line, text: text.into(), is_to_do: true }
    }

    /// A remark that only informs.
    fn info(line: usize, text: impl Into<String>) -> Self {
        Self { line, text: text.into(), is_to_do: false }
    }
}

/// The fate of a setting of the old file, with the text of its remark.
enum Fate {
    /// It is not needed, for this reason.
    Needless(&'static str),
    /// It is lost; the text says what to do instead.
    Lost(&'static str),
    /// Another setting or behaviour replaces it, which is enough.
    Replaced(&'static str),
    /// The text says what to do; the setting's name may be part of a secret and is not shown.
    Unnamed(&'static str),
    /// It is read elsewhere, where its value decides on remarks.
    Used,
}

impl Fate {
    /// This fate if the setting asks for something; else no remark.
    fn only_if(self, asks: bool) -> Self {
        if asks { self } else { Self::Used }
    }

    /// The remark about the setting `name` on `line`, if there is one.
    fn remark(self, name: &str, line: usize) -> Option<Remark> {
        match self {
            Self::Needless(why) => Some(Remark::info(line, format!("{name} is dropped: {why}"))),
            Self::Lost(what) => Some(Remark::to_do(line, format!("{name}: {what}"))),
            Self::Replaced(what) => Some(Remark::info(line, format!("{name}: {what}"))),
            Self::Unnamed(what) => Some(Remark::to_do(line, what)),
            Self::Used => None,
        }
    }
}

/// The reason to leave out a host whose address was seen behind a proxy.
const BEHIND_PROXY: &str = "its address is the one that a web service saw behind a proxy, and Homing uses none; write ipv4 or ipv6";

/// The remark about a host with IPv4 only; removed when it is joined with another, which adds IPv6.
const IPV4_ONLY: &str = "the hosts below publish only IPv4, as inadyn did; to publish IPv6, too, \
    delete ipv6 = \"off\"";

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// The interval between looks, within Homing's bounds and not below the old client's `floor`; a change
/// gets a remark.
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

/// The interval for sending unchanged addresses; `None`, with a remark, if it is under a day.
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

/// Whether `text` may be shown as a name, and is not a secret that a missing quote or comma moved.
fn is_name(text: &str) -> bool {
    const LONGEST: usize = 253;
    let fits = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_' | '*' | '@');
    !text.is_empty() && text.len() <= LONGEST && text.chars().all(fits)
}

#[cfg(test)]
mod tests;
