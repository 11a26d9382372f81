//! `[source.NAME]`: the source of an address, from keys to a value.
//!
//! Whether a source's addresses may be published depends on the hosts that use it, so the parent
//! calls that check last.

use std::io::Read;
use std::net::{IpAddr, Ipv4Addr};
use std::num::NonZeroUsize;
use std::path::Path;

use super::problems::{Notes, quoted, shown_path};
use super::table::{Section, SectionKind, Setting};
use super::{resolver, suffix, url, value};
use crate::core::address::echo::{self, Echo};
use crate::core::address::{Addresses, Family, unpublishable};
use crate::core::source::{Interface, Outside, Service, Source, SourceKind};
use crate::core::wire::stun::PORT as STUN_PORT;
use crate::os::disk::open_regular;

/// A source as it is written.
pub(super) struct SourceSection {
    /// Its name.
    pub(super) name: String,
    /// The source, unless its kind is unknown.
    pub(super) source: Option<Source>,
    /// The start of its section, in bytes.
    at: usize,
    /// The addresses that are known already, with the names and places of their settings.
    known: Vec<(String, usize, IpAddr)>,
}

/// The kinds of hosts that use a source.
#[derive(Clone, Copy, Default)]
pub(super) struct Usage {
    /// Whether a host at a provider on the Internet uses it.
    pub(super) public: bool,
    /// Whether a host in a local file uses it.
    pub(super) local: bool,
}

/// The keys that select the kind; a source has exactly one of them, or several of [`OUTSIDE`].
const KINDS: [&str; 8] =
    ["interface", "gateway", "web", "stun", "dns", "static", "file", "command"];

/// The keys that name services outside, which may be combined.
const OUTSIDE: [&str; 4] = ["web", "stun", "dns", "gateway"];

/// The keys that only some kinds have.
const EXTRAS: [(&str, &[&str]); 8] = [
    ("agree", &OUTSIDE),
    ("bind", &OUTSIDE),
    ("ca-file", &["web"]),
    ("count", &["interface"]),
    ("prefer-temporary", &["interface"]),
    ("prefix-length", &["interface"]),
    ("suffix", &["interface"]),
    ("suffix-mac", &["interface"]),
];

/// Reads one section.
pub(super) fn read_source(
    name: &str,
    section: &mut Section<'_>,
    base: &Path,
    notes: &mut Notes,
) -> SourceSection {
    section.check_keys(SectionKind::Source, notes);
    if let Err(wrong) = value::entry_name(name) {
        notes.add(section.at, &*section.name, wrong);
    }
    if matches!(name, "auto" | "off") {
        let what = "cannot be a source's name: it has another meaning in a host; choose another";
        notes.add(section.at, &*section.name, what);
    }
    let allow_private = section.flag("allow-private", notes).unwrap_or_default();
    let prefer_temporary = section.flag("prefer-temporary", notes).unwrap_or_default();
    let mut known = Vec::new();
    let kind = kind(section, base, &mut known, notes);
    let source =
        kind.map(|kind| Source { name: name.to_owned(), kind, allow_private, prefer_temporary });
    SourceSection { name: name.to_owned(), source, at: section.at, known }
}

fn kind(
    section: &Section<'_>,
    base: &Path,
    known: &mut Vec<(String, usize, IpAddr)>,
    notes: &mut Notes,
) -> Option<SourceKind> {
    let given: Vec<_> = KINDS.iter().filter_map(|key| Some((*key, section.get(key)?))).collect();
    let are_outside = given.iter().all(|(key, _)| OUTSIDE.contains(key));
    let [(key, setting), rest @ ..] = &given[..] else {
        let what = format!("has no kind; add one of: {}", KINDS.join(", "));
        section.lacks(&KINDS, what, notes);
        return None;
    };
    if !(rest.is_empty() || are_outside) {
        let several = given.iter().map(|(key, _)| *key).collect::<Vec<_>>().join(" and ");
        let mut what = format!("has {several}; keep one of them");
        if given.iter().any(|(key, _)| OUTSIDE.contains(key)) {
            what += &format!("; only {} can be combined", OUTSIDE.join(", "));
        }
        notes.add(section.at, &*section.name, what);
        return None;
    }
    for (extra, kinds) in EXTRAS {
        let fits = given.iter().any(|(key, _)| kinds.contains(key));
        if let Some(setting) = section.get(extra).filter(|_| !fits) {
            let what = format!("is for {} sources only; remove it", kinds.join(", "));
            notes.add(setting.at, &setting.name, what);
        }
    }
    match *key {
        _ if are_outside => outside(section, base, notes).map(SourceKind::Outside),
        "interface" => interface(section, setting, notes).map(SourceKind::Interface),
        "static" => addresses(setting, known, notes).map(SourceKind::Static),
        "file" => {
            let path = setting.parsed(notes, |text| value::path(text, base))?;
            let place = |address| (setting.name.to_string(), setting.at, address);
            known.extend(first_addresses(&path).into_iter().map(place));
            Some(SourceKind::File(path))
        }
        _ => {
            let example = "[\"/usr/local/bin/address\", \"an argument\"]";
            let command = setting.texts(example, notes)?;
            if command.first().is_none_or(String::is_empty) {
                let what = format!("is empty; name a program: {example}");
                notes.add(setting.at, &setting.name, what);
                return None;
            }
            Some(SourceKind::Command(command))
        }
    }
}

fn interface(section: &Section<'_>, setting: &Setting<'_>, notes: &mut Notes) -> Option<Interface> {
    /// The limit keeps requests and the state small.
    const MOST: usize = 8;
    let name = setting.parsed(notes, str::parse);
    let count = section.get("count").map_or(Some(1), |count| count.number(1, MOST, notes));
    let neighbour = suffix::read_neighbour(section, notes);
    Some(Interface { name: name?, count: NonZeroUsize::new(count?)?, neighbour })
}

/// The services outside of a source, in the order of the file.
fn outside(section: &Section<'_>, base: &Path, notes: &mut Notes) -> Option<Outside> {
    let ca_file = section.parsed("ca-file", notes, |text| value::path(text, base));
    let mut services = Some(Vec::new());
    let mut count = 0;
    for (key, setting) in section.settings() {
        if !OUTSIDE.contains(&key) {
            continue;
        }
        let items = setting.items();
        count += items.len();
        if items.is_empty() {
            notes.add(setting.at, &setting.name, "is empty; name at least one service");
            services = None;
        }
        for item in &items {
            let service = match key {
                "web" => web(item, ca_file.as_deref(), notes),
                "stun" => {
                    item.parsed(notes, |text| value::server(text, STUN_PORT)).map(Service::Stun)
                }
                "gateway" => gateway(item, notes),
                _ => resolver::read_resolver(item, notes).map(Service::Dns),
            };
            match (service, &mut services) {
                (Some(service), Some(services))
                    if services.iter().any(|known| service.meets(known)) =>
                {
                    notes.add(item.at, &item.name, "is already in the list; remove it");
                }
                (Some(service), Some(services)) => services.push(service),
                _ => services = None,
            }
        }
    }
    // An empty list was reported already.
    let agree = section.get("agree").filter(|_| count > 0);
    let agree = agree.map(|agree| agree.number(1, count, notes));
    let bind = section.get("bind").map(|bind| bind.parsed(notes, str::parse));
    Some(Outside {
        services: services?,
        agree: agree.unwrap_or(Some(1))?,
        bind: bind.map_or(Some(None), |bind| bind.map(Some))?,
    })
}

/// A web service: the name of a built-in one, or an address.
fn web(item: &Setting<'_>, ca_file: Option<&Path>, notes: &mut Notes) -> Option<Service> {
    let text = item.text(notes)?;
    let echo = if text.contains("://") {
        notes.keep(item.at, &item.name, url::check_web(text))?;
        Echo::at(text.to_owned())
    } else {
        let hint = "for another service write its https:// address";
        let unknown = |text: &str| value::not_built_in("web service", text, echo::titles(), hint);
        item.parsed(notes, |text| Echo::built_in(text).ok_or_else(|| unknown(text)))?
    };
    Some(Service::Web { echo, ca_file: ca_file.map(Path::to_owned) })
}

fn gateway(item: &Setting<'_>, notes: &mut Notes) -> Option<Service> {
    const EXAMPLE: &str = "write true for the default route's, or its address: \"192.168.1.1\"";
    if item.value.as_bool() == Some(true) {
        return Some(Service::Gateway(None));
    }
    let address = |text: &str| match text.parse::<Ipv4Addr>() {
        Ok(address)
            if address.is_unspecified() || address.is_multicast() || address.is_broadcast() =>
        {
            Err(format!("is not a machine's address; {EXAMPLE}"))
        }
        Ok(address) => Ok(address),
        Err(_) => Err(format!("is not the IPv4 address of a gateway; {EXAMPLE}")),
    };
    if !item.value.is_str() {
        notes.add(item.at, &item.name, format!("is not a gateway; {EXAMPLE}"));
        return None;
    }
    item.parsed(notes, address).map(|address| Service::Gateway(Some(address)))
}

fn addresses(
    setting: &Setting<'_>,
    known: &mut Vec<(String, usize, IpAddr)>,
    notes: &mut Notes,
) -> Option<Vec<IpAddr>> {
    let items = setting.items();
    if items.is_empty() {
        notes.add(setting.at, &setting.name, "is empty; write at least one address");
    }
    let example = "is not an address; write it like \"192.0.2.1\" or \"2001:db8::1\"";
    let mut addresses = Some(Vec::new());
    for item in &items {
        let address = item.parsed(notes, |text| text.parse::<IpAddr>().map_err(|_| example));
        match (address, &mut addresses) {
            (Some(address), Some(addresses)) => {
                known.push((item.name.to_string(), item.at, address));
                addresses.push(address);
            }
            _ => addresses = None,
        }
    }
    addresses
}

/// The addresses on the first line of the file at `path`, if there are any now.
fn first_addresses(path: &Path) -> Vec<IpAddr> {
    const MOST: u64 = 4096;
    let Ok(Some((file, _))) = open_regular(path) else { return Vec::new() };
    let mut bytes = Vec::new();
    if file.take(MOST).read_to_end(&mut bytes).is_err() {
        return Vec::new();
    }
    let text = String::from_utf8_lossy(&bytes);
    let line = text.lines().next().unwrap_or_default();
    line.split_whitespace().filter_map(|word| word.parse().ok()).collect()
}

impl SourceSection {
    /// Notes known addresses that must not be published, for this use of the source.
    pub(super) fn check_usage(&self, usage: Usage, notes: &mut Notes) {
        let Some(source) = &self.source else { return };
        if !usage.public && !usage.local {
            let setting = format!("source.{}", self.name);
            let what = "no host uses it; write its name as a host's ipv4 or ipv6";
            notes.warn(self.at, &setting, what);
        }
        // A local file may hold addresses that the Internet must not see.
        let may_be_private = source.allow_private || (usage.local && !usage.public);
        for (setting, at, address) in &self.known {
            let Some(special) = unpublishable(*address, may_be_private) else { continue };
            let holder = match &source.kind {
                SourceKind::File(path) => format!("{} holds {address}, which is", shown_path(path)),
                SourceKind::Command(_)
                | SourceKind::Interface(_)
                | SourceKind::Outside(_)
                | SourceKind::Static(_) => format!("{} is", quoted(&address.to_string())),
            };
            let fix = if special.may_be_allowed() {
                "write another, or set allow-private = true in this section"
            } else {
                "write another"
            };
            notes.add(*at, setting, format!("{holder} {special} and must not be published; {fix}"));
        }
    }

    /// Why the source can never have an address of `family`, with the fix; `None` when it can.
    pub(super) fn lacks(&self, family: Family) -> Option<String> {
        let lacks =
            |fix: &str| Some(format!("the source {} has no {family} address; {fix}", self.name));
        match &self.source.as_ref()?.kind {
            SourceKind::Static(_) | SourceKind::Outside(_) if self.most(family) == 0 => {
                lacks("add one, or write \"off\"")
            }
            SourceKind::Interface(Interface { neighbour: Some(_), .. }) if family == Family::V4 => {
                lacks("a suffix is for IPv6; write another source, or \"off\"")
            }
            SourceKind::Outside(outside) if outside.able(family) < outside.agree => {
                let (able, agree) = (outside.able(family), outside.agree);
                Some(format!(
                    "{agree} services of the source {} must agree, and only {able} can return an \
                        {family} address; add another, write a smaller agree, or write \"off\" here",
                    self.name
                ))
            }
            SourceKind::Command(_)
            | SourceKind::File(_)
            | SourceKind::Interface(_)
            | SourceKind::Outside(_)
            | SourceKind::Static(_) => None,
        }
    }

    /// The most addresses of `family` that the source can find.
    pub(super) fn most(&self, family: Family) -> usize {
        match self.source.as_ref().map(|source| &source.kind) {
            Some(SourceKind::Interface(interface)) => interface.count.get(),
            Some(SourceKind::Static(addresses)) => {
                let own = addresses.iter().copied().filter(|a| Family::of(*a) == family);
                Addresses::new(own).map_or(0, |own| own.iter().count())
            }
            Some(SourceKind::Outside(outside)) => usize::from(outside.able(family) > 0),
            Some(SourceKind::Command(_) | SourceKind::File(_)) | None => 1,
        }
    }
}
