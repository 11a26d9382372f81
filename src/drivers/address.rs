//! `address`: what every source sees now, which address it would publish, and why each other one
//! was refused. Users paste this output into a forum: it shows no secret.

use std::num::NonZeroUsize;

use super::show::by;
use super::{Setup, engine, out};
use crate::config::{Config, SourceRef};
use crate::core::address::choice::{
    AddressVerdict, Choice, KernelAddress, Preferences, Reason, choose,
};
use crate::core::address::interface::InterfaceName;
use crate::core::address::{Addresses, Family, special};
use crate::core::exit::Exit;
use crate::core::order;
use crate::core::plan::Seen;
use crate::core::round::{HostReport, Occasion};
use crate::core::source::{Interface, Outside, Service, SourceKind};
use crate::os::kernel::Interface as Present;
use crate::source::snapshot::{Snapshot, Wanted};
use crate::state::StateAccess;

/// Prints the kernel's addresses and routes, and the result of each source.
pub async fn run(setup: Setup) -> Exit {
    let mut engine = match engine(setup, StateAccess::ReadOnly, false) {
        Ok(engine) => engine,
        Err(exit) => return exit,
    };
    let sights = engine.rehearse(Occasion::default()).await;
    let report = engine.report();
    match sights.snapshot() {
        Ok(snapshot) => {
            tell_kernel(snapshot, &report.hosts);
            tell_lines(snapshot);
            report.detours.iter().for_each(|detour| out(&format!("  {detour}")));
        }
        Err(reason) => out(&format!("kernel: {reason}")),
    }
    for (place, source) in engine.config.sources.iter().enumerate() {
        out("");
        out(&format!("source {}: {}", source.name, kind(&source.kind)));
        let users = users(&engine.config, |used| used == SourceRef::Named(place));
        for (family, at) in users {
            let (host, told) = (&engine.config.hosts[at], &report.hosts[at]);
            let (seen, set_now) = (&told.seen[family], told.before[family].as_ref());
            let wanted = Wanted { config: &engine.config, host, family, set_now };
            match sights.choice(wanted, source) {
                Some(choice) if !choice.judged.is_empty() => {
                    let neighbour = has_neighbour(&source.kind).then_some(seen);
                    tell_choice(&choice, family, neighbour);
                }
                _ => tell_seen(seen, family),
            }
        }
    }
    let mut told: Vec<(usize, Option<InterfaceName>)> = Vec::new();
    for (family, at) in users(&engine.config, |used| used == SourceRef::Auto) {
        let host = &engine.config.hosts[at];
        let (provider, bind) = (host.provider, host.host.bind);
        if !told.contains(&(provider, bind)) {
            let name = &engine.config.providers[provider].name;
            out("");
            out(&format!("auto, for provider {name}{}:", by(bind)));
        }
        told.push((provider, bind));
        if sights.snapshot().is_ok() {
            tell_seen(&report.hosts[at].seen[family], family);
        }
    }
    Exit::Right
}

/// The hosts whose source of a family `is_meant`: the first of each provider, interface and family.
fn users(config: &Config, is_meant: impl Fn(SourceRef) -> bool) -> Vec<(Family, usize)> {
    let mut users: Vec<(Family, usize)> = Vec::new();
    for (at, host) in config.hosts.iter().enumerate() {
        for family in Family::BOTH {
            let meant = host.sources[family].is_some_and(&is_meant);
            let same = |(known, other): &(Family, usize)| {
                let other = &config.hosts[*other];
                let same_line = other.host.bind == host.host.bind;
                *known == family && other.provider == host.provider && same_line
            };
            if meant && !users.iter().any(same) {
                users.push((family, at));
            }
        }
    }
    users
}

fn kind(kind: &SourceKind) -> String {
    match kind {
        // Arguments may hold a secret.
        SourceKind::Command(arguments) => {
            let rest = if arguments.len() > 1 { " …" } else { "" };
            format!("command {}{rest}", arguments.first().map(String::as_str).unwrap_or_default())
        }
        SourceKind::File(path) => format!("file {}", path.display()),
        SourceKind::Interface(interface) => described(interface),
        SourceKind::Outside(outside) => services(outside),
        SourceKind::Static(_) => "static".to_owned(),
    }
}

/// The services of a source in the order of asking, each kind after its key.
fn services(outside: &Outside) -> String {
    let kinds = outside.services.chunk_by(|one, other| one.key() == other.key());
    let named = |services: &[Service]| {
        let names: Vec<_> = services.iter().map(ToString::to_string).collect();
        let names = names.join(", ");
        match services {
            [Service::Gateway(None)] => names,
            _ => format!("{} {names}", services.first().map(Service::key).unwrap_or_default()),
        }
    };
    let named: Vec<_> = kinds.map(named).collect();
    let agreement = match outside.agree {
        1 => String::new(),
        agree => format!(", {agree} must agree"),
    };
    format!("{}{agreement}{}", named.join("; "), by(outside.bind))
}

fn described(Interface { name, count, neighbour }: &Interface) -> String {
    let Some(neighbour) = neighbour else {
        let several = if count.get() > 1 { format!(", up to {count}") } else { String::new() };
        return format!("interface {name}{several}");
    };
    let length = neighbour.prefix_length.map(|length| format!("/{length}")).unwrap_or_default();
    let suffix = neighbour.suffix.as_address();
    format!("interface {name}, its prefix{length} with the suffix {suffix}")
}

/// Prints the addresses of this machine: first the chosen ones, then those set for one of `hosts`.
fn tell_kernel(snapshot: &Snapshot, hosts: &[HostReport]) {
    if snapshot.addresses.is_empty() {
        return;
    }
    out("addresses of this machine:");
    for family in Family::BOTH {
        let count = NonZeroUsize::MIN;
        let preferences = Preferences { allow_private: true, count, prefer_temporary: false };
        let set = hosts.iter().filter_map(|host| host.before[family].as_ref());
        let set = Addresses::new(set.flat_map(Addresses::iter));
        let is_set = |a: &KernelAddress| set.as_ref().is_some_and(|set| set.contains(a.address));
        let choice = choose(&snapshot.addresses, family, preferences, set.as_ref());
        for (address, verdict) in first(&choice, is_set) {
            let why = match (special(address.address), verdict) {
                (Some(special), _) => special.to_string(),
                // An address that is set for another host is as right as the chosen one.
                (
                    None,
                    AddressVerdict::Chosen | AddressVerdict::PassedOver(Reason::JustAsGood(_)),
                ) if is_set(address) => "public, set now".to_owned(),
                (None, AddressVerdict::PassedOver(reason)) => reason.to_string(),
                (None, AddressVerdict::Chosen) => "public".to_owned(),
            };
            out(&format!("  {}  {why}", describe(address)));
        }
        match &snapshot.routes[family] {
            None => out(&format!("  no default route for {family}")),
            Some(route) => {
                let source = route.source.map(|source| source.to_string());
                let source =
                    source.unwrap_or_else(|| "an address of the system's choice".to_owned());
                let mut owners = snapshot.addresses.iter().filter(|a| a.index == route.index);
                let name = owners.next().map_or("?", |owner| owner.interface.as_str());
                out(&format!("  {family} leaves by {name} from {source}"));
            }
        }
    }
}

/// Prints what the kernel says about the interfaces that something is bound to.
fn tell_lines(snapshot: &Snapshot) {
    for (name, line) in &snapshot.lines {
        match line.interface {
            None => out(&format!("  there is no interface {name}")),
            Some(Present { up: false, .. }) => out(&format!("  the interface {name} is down")),
            Some(_) => {
                for (family, route) in line.routes.iter() {
                    let source = route.as_ref().and_then(|route| route.source);
                    out(&match (route, source) {
                        (None, _) => format!("  no default route for {family} by {name}"),
                        (Some(_), Some(source)) => {
                            format!("  {family} by {name} leaves from {source}")
                        }
                        (Some(_), None) => format!("  {family} by {name} leaves"),
                    });
                }
            }
        }
    }
}

/// The addresses of a choice in order: the chosen ones, then those that are `set`, then the others.
fn first(
    choice: &Choice,
    set: impl Fn(&KernelAddress) -> bool,
) -> Vec<&(KernelAddress, AddressVerdict)> {
    let mut judged: Vec<_> = choice.judged.iter().collect();
    order::sort_by_key(&mut judged, |(address, verdict)| match verdict {
        AddressVerdict::Chosen => 0,
        AddressVerdict::PassedOver(_) if set(address) => 1,
        AddressVerdict::PassedOver(_) => 2,
    });
    judged
}

fn describe(address: &KernelAddress) -> String {
    let text = format!("{}/{}", address.address, address.prefix_length);
    format!("{:16} {text:43}", address.interface)
}

/// Whether another machine's address is published in place of the interface's own.
fn has_neighbour(kind: &SourceKind) -> bool {
    matches!(kind, SourceKind::Interface(Interface { neighbour: Some(_), .. }))
}

/// Prints the verdict on each address; `neighbour` is what gets published if only the prefix is used.
fn tell_choice(choice: &Choice, family: Family, neighbour: Option<&Seen>) {
    for (address, verdict) in first(choice, |_| false) {
        let verdict = match verdict {
            AddressVerdict::Chosen if neighbour.is_some() => "provides the prefix".to_owned(),
            AddressVerdict::Chosen => "would be published".to_owned(),
            AddressVerdict::PassedOver(reason) => format!("refused: {reason}"),
        };
        out(&format!("  {}  {verdict}", describe(address)));
    }
    match (&choice.chosen, neighbour) {
        (None, _) => out(&format!("  {family}: nothing to publish")),
        (Some(_), Some(seen)) => tell_seen(seen, family),
        (Some(_), None) => {}
    }
}

fn tell_seen(seen: &Seen, family: Family) {
    out(&match seen {
        Seen::Here(addresses) => format!("  {family} {addresses}  would be published"),
        Seen::Absent(reason) => format!("  {family} absent: {reason}"),
        Seen::Unknown(reason) => format!("  {family} unknown: {reason}"),
        Seen::NotAsked => format!("  {family} not asked"),
    });
}
