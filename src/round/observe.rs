//! Observing: what a look has shown of each host, from the sources' answers and the hosts' access.

use std::path::Path;
use std::rc::Rc;

use crate::config::problems::shown_path;
use crate::config::{Config, HostBlock};
use crate::core::address::{Addresses, Family, PerFamily};
use crate::core::memory::share;
use crate::core::order::SortedSet;
use crate::core::plan::Seen;
use crate::core::provider::Provider;
use crate::core::round::{
    BlockFacts, FileText, HostAccess, Look, Observed, Occasion, Round, SecretProblem, Subject,
};
use crate::core::secret::Fingerprint;
use crate::net::http::server_of;
use crate::provider::hosts_file::read_hosts_file;
use crate::source::sights::Sights;
use crate::source::snapshot::Wanted;

/// Every host of `config` as rounds know it.
pub fn subjects(config: &Config) -> Vec<Subject> {
    let mut counts = vec![0_usize; config.providers.len()];
    config.hosts.iter().for_each(|host| counts[host.provider] += 1);
    let providers = config.providers.iter().zip(&counts);
    let known: Vec<(Rc<str>, Rc<str>)> = providers
        .map(|(provider, count)| match count {
            0 => Default::default(),
            _ => (provider.place().into(), server(provider).into()),
        })
        .collect();
    let facts = |block: &HostBlock| {
        let (place, server) = &known[block.provider];
        Rc::new(BlockFacts {
            provider: Rc::clone(&config.providers[block.provider]),
            server: Rc::clone(server),
            place: Rc::clone(place),
            path: block.path.as_deref().map(|path| shown_path(path).into()),
            has_company: counts[block.provider] > 1,
            has_hook: !block.on_change.is_empty(),
            is_verified: block.verify.is_some(),
            strict_token: block.strict_token,
        })
    };
    // The hosts of a block follow one another.
    let mut last: Option<(&HostBlock, Rc<BlockFacts>)> = None;
    let mut subjects = Vec::with_capacity(config.hosts.len());
    for (at, host) in config.hosts.iter().enumerate() {
        let own: &HostBlock = host;
        let block = match &last {
            Some((known, facts)) if std::ptr::eq(*known, own) => Rc::clone(facts),
            _ => Rc::clone(&last.insert((own, facts(own))).1),
        };
        subjects.push(Subject { at, host: Rc::clone(&host.host), block });
    }
    subjects
}

/// The server whose limits count: deSEC's update and API hosts share theirs. A file is its own.
fn server(provider: &Provider) -> String {
    let url = provider.api_url.as_deref().or(provider.update_url.as_deref());
    let name_server = || provider.name_server.as_ref().map(ToString::to_string);
    url.map(server_of).or_else(name_server).unwrap_or_else(|| provider.name.to_string())
}

/// What `sights` show of each host of `config`, whose `hosts` are known to `round`. `hash` is that of a
/// secret's problem. Files of hosts are read, each once.
pub fn look_of(
    config: &Config,
    sights: &Sights,
    round: &Round,
    hosts: Vec<(Subject, Result<Rc<HostAccess>, String>)>,
    occasion: Occasion,
    hash: impl Fn(&str) -> Fingerprint,
) -> Look {
    let mut detours = SortedSet::new();
    let mut files: Vec<(&Path, FileText)> = Vec::new();
    let mut observed = Vec::with_capacity(hosts.len());
    // Most hosts have the addresses of the host before them.
    let mut last: PerFamily<Option<Addresses>> = PerFamily::default();
    for ((subject, access), host) in hosts.into_iter().zip(&config.hosts) {
        let is_local = subject.provider.manners().is_local();
        let path = host.path.as_deref().filter(|_| is_local);
        let file = path.map(|path| match files.iter().find(|(known, _)| *known == path) {
            Some((_, text)) => Rc::clone(text),
            None => {
                let text = Rc::new(read_hosts_file(path));
                files.push((path, Rc::clone(&text)));
                text
            }
        });
        let set = round.set_of(&subject, file.as_ref());
        let wanted = |family| Wanted { config, host, family, set_now: set[family].as_ref() };
        let mut seen = PerFamily::from_fn(|family| sights.seen(wanted(family)));
        for family in Family::BOTH {
            if let Seen::Here(addresses) = &mut seen[family] {
                share(addresses, &mut last[family]);
            }
        }
        let around = seen.iter();
        detours.extend(around.filter_map(|(family, seen)| sights.detour(wanted(family), seen)));
        let access = access.map_err(|words| {
            let hash = Some(hash(&words));
            Box::new(SecretProblem { words, hash })
        });
        observed.push(Observed { subject, access, seen, file });
    }
    Look {
        hosts: observed,
        occasion,
        interval: config.daemon.interval,
        lessons: sights.lessons(config),
        renewals: sights.snapshot().ok().map(|snapshot| snapshot.renewals.clone()),
        detours,
    }
}
