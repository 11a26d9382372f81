//! `status`: what is set, what waits and until when, from the state alone. Takes no lock and asks no
//! server; the exit code is that of the state that it shows.

use std::borrow::Cow;
use std::rc::Rc;

use serde::Serialize;

use super::{Setup, err, out, show};
use crate::config::HostConfig;
use crate::core::address::standing::{self, ServiceStanding};
use crate::core::address::{Family, PerFamily};
use crate::core::exit::Exit;
use crate::core::memory::{Entry, HoldKind, Memory, SelfCheck, Verification, VerifyFinding, Word};
use crate::core::name::Hostname;
use crate::core::nearest::correction;
use crate::core::plan::Use;
use crate::core::provider::Provider;
use crate::core::round::HostAccess;
use crate::core::time::Timestamp;
use crate::core::token::upkeep::{self, End, Known, Terms};
use crate::os::clock::{Clock, rfc3339_seconds};
use crate::os::local::Local;
use crate::os::say::ascii_json;
use crate::os::styled::{Style, out_wrapped};
use crate::round::{CredentialReader, take_places};
use crate::state::{self, Store};

/// The form that scripts read; `version` grows when a field changes its meaning.
#[derive(Serialize)]
struct Status<'a> {
    version: u8,
    /// The moment of the answer, by this machine's clock.
    at: String,
    daemon: &'static str,
    hosts: Vec<HostStatus<'a>>,
    /// The services that are asked last for now.
    services: Vec<ServiceStatus<'a>>,
}

#[derive(Serialize)]
struct ServiceStatus<'a> {
    service: &'a str,
    family: &'static str,
    reason: &'static str,
    since: String,
    until: String,
}

#[derive(Serialize)]
struct HostStatus<'a> {
    host: &'a str,
    provider: &'a str,
    ipv4: RecordStatus,
    ipv6: RecordStatus,
    outcome: Option<&'static str>,
    hold: Option<HoldStatus<'a>>,
    /// The moment since which it waits for its turn in the provider's pace; left out where it does not.
    #[serde(skip_serializing_if = "Option::is_none")]
    waiting: Option<String>,
    refresh: Option<String>,
    /// The end of the host's token; known only with a receipt.
    expires: Option<String>,
    /// What is known of the host's token; left out where no receipt is about it, and no check found
    /// anything against it.
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<TokenForm>,
    /// What the zone's own servers said last; left out where they were not asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    verified: Option<Verified<'a>>,
}

/// A host's token: its known rights, when its server last accepted it, and when it lapses without
/// use.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct TokenForm {
    rights: &'static str,
    revoked: Option<String>,
    last_used: Option<String>,
    idle_end: Option<String>,
}

/// What the zone's own servers said: how many hold what is set, and how many seconds after the update
/// if that was watched; or what is wrong.
#[derive(Serialize)]
struct Verified<'a> {
    at: String,
    servers: Option<u32>,
    took: Option<f64>,
    wrong: Option<&'a str>,
}

/// One record: what is set, and since when. `set` is null when nothing was ever set, and empty when
/// the record was removed `since` then.
#[derive(Serialize)]
struct RecordStatus {
    set: Option<Vec<String>>,
    since: Option<String>,
    /// Whether the host leaves this family alone; left out where it does not.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    off: bool,
}

/// Why a host waits: `reason` is a word for programs, `words` and `detail` are for people.
#[derive(Serialize)]
struct HoldStatus<'a> {
    kind: &'static str,
    reason: &'static str,
    until: Option<String>,
    words: String,
    detail: &'a str,
    fix: Cow<'static, str>,
}

/// Prints the state of the hosts called `names`, or of every configured host where there are none.
pub fn run(setup: &Setup, json: bool, names: &[Hostname]) -> Exit {
    if let Some(name) =
        names.iter().find(|name| hosts_of(setup, std::slice::from_ref(name)).is_empty())
    {
        let known = setup.config.hosts.iter().map(|host| host.host.key.host.as_str());
        let fix = correction(name.as_str(), known, "run `homing status` to see its hosts");
        err(&format!("{} has no host {name}; {fix}", setup.config.path.display()));
        return Exit::Usage;
    }
    let opened = Store::open(&setup.state_dir, state::StateAccess::ReadOnly);
    let loaded = opened.and_then(|mut store| Ok((store.load()?, store)));
    let (mut memory, store) = match loaded {
        Ok((loaded, store)) => {
            // On standard error, so that the output for scripts keeps its form.
            loaded.damage.iter().for_each(|damage| err(damage));
            (loaded.memory, store)
        }
        Err(error) => {
            err(&error.to_string());
            return Exit::Deferred;
        }
    };
    let clock = Clock::new(memory.newest(), memory.reckoning);
    let now = clock.now();
    take_places(&setup.config, &store, &mut memory, now);
    let mut reader = CredentialReader::new(&store);
    let daemon = if state::running_daemon(&setup.state_dir).is_some() { "running" } else { "none" };
    let provider = |host: &HostConfig| &setup.config.providers[host.provider];
    let with_token = |host| (host, TokenStatus::of(host, provider(host), &mut reader));
    let hosts: Vec<_> = hosts_of(setup, names).into_iter().map(with_token).collect();
    let exit = |(host, token): &(&HostConfig, TokenStatus)| standing(host, token, &memory, now);
    if json {
        let hosts = hosts.iter().map(|(host, token)| machine_form(host, &memory, token, now));
        let services = aside(&memory, now).map(|(service, standing)| ServiceStatus {
            service: &service.name,
            family: service.family.key(),
            reason: standing.fault.word(),
            since: stamp(standing.since),
            until: stamp(standing.until),
        });
        let (hosts, services) = (hosts.collect(), services.collect());
        match serde_json::to_string(&Status { version: 1, at: stamp(now), daemon, hosts, services })
        {
            Ok(text) => out(&ascii_json(&text)),
            Err(error) => err(&error.to_string()),
        }
    } else {
        out(if daemon == "running" { "daemon: running" } else { "daemon: not running" });
        let at = Local::here(now);
        for (host, token) in &hosts {
            tell(host, provider(host), memory.entry(&host.host.key), at);
            token.tell(host, &memory, at);
        }
        for (standing::ServiceId { name, family }, standing) in aside(&memory, now) {
            let (until, detail) = (at.moment(standing.until), &standing.detail);
            out_wrapped(&format!("skipped until {until}: {name} ({family}): {detail}"), None);
        }
        let (count, style) = counted(hosts.iter().map(exit));
        out_wrapped(&count, Some(style));
    }
    Exit::worst(hosts.iter().map(exit))
}

/// The hosts called `names`, in the order of the configuration; all where there are no names.
fn hosts_of<'a>(setup: &'a Setup, names: &[Hostname]) -> Vec<&'a HostConfig> {
    let is_asked = |host: &&HostConfig| names.is_empty() || names.contains(&host.host.key.host);
    setup.config.hosts.iter().filter(is_asked).collect()
}

/// How many hosts are right, wait, are rejected and are left out, from each host's exit code:
/// `58 right, 1 waits, 1 rejected`; with the style of the worst.
fn counted(exits: impl Iterator<Item = Exit>) -> (String, Style) {
    let (mut right, mut waiting, mut rejected, mut left_out) = (0, 0, 0, 0);
    for exit in exits {
        match exit {
            Exit::Right => right += 1,
            Exit::Deferred => waiting += 1,
            Exit::Rejected => rejected += 1,
            // No host has the exit code of a wrong command line.
            Exit::Usage | Exit::Configuration => left_out += 1,
        }
    }
    let mut text = format!("{right} right");
    if waiting > 0 {
        text.push_str(&format!(", {waiting} wait{}", if waiting == 1 { "s" } else { "" }));
    }
    if rejected > 0 {
        text.push_str(&format!(", {rejected} rejected"));
    }
    if left_out > 0 {
        text.push_str(&format!(", {left_out} left out"));
    }
    let style = match (waiting, rejected + left_out) {
        (0, 0) => Style::Good,
        (_, 0) => Style::Doubtful,
        _ => Style::Bad,
    };
    (text, style)
}

/// A moment as scripts read it.
fn stamp(moment: Timestamp) -> String {
    rfc3339_seconds(moment).to_string()
}

/// The services outside that are asked last for now.
fn aside(
    memory: &Memory,
    now: Timestamp,
) -> impl Iterator<Item = (&standing::ServiceId, &ServiceStanding)> {
    memory.services.iter().filter(move |(_, standing)| standing.is_aside(now))
}

/// The exit code for a host: that of its records or of its token, whichever is weightier; that of a
/// wrong configuration where the last round left the host out for its secret.
pub fn standing(host: &HostConfig, token: &TokenStatus, memory: &Memory, now: Timestamp) -> Exit {
    let entry = memory.entry(&host.host.key);
    let left_out = entry.and_then(|entry| entry.left_out).map(|_| Exit::Configuration);
    let rejected = token.needs_a_person(memory).then_some(Exit::Rejected);
    Exit::worst([of_records(host, entry, now)].into_iter().chain(left_out).chain(rejected))
}

/// The exit code for the records of a host.
fn of_records(host: &HostConfig, entry: Option<&Entry>, now: Timestamp) -> Exit {
    let Some(entry) = entry else { return Exit::Deferred };
    let held = entry.holds(now).map(|(_, hold)| Exit::from(hold.kind));
    let used = Family::BOTH.into_iter().filter(|&family| host.host.families[family] != Use::Off);
    let records: Vec<_> = used.map(|family| &entry.families[family]).collect();
    let never_right = records.iter().all(|record| record.set.is_none() && record.removed.is_none());
    let doubtful = records.iter().any(|record| record.sent.is_some());
    let missing = records.iter().any(|record| record.missing_since.is_some());
    let waits = never_right || doubtful || missing || entry.queued_since.is_some();
    // A wait that is over is no success: only the next round shows the result.
    let last = entry.last.map(|(word, _)| match word {
        Word::Updated | Word::Unchanged => Exit::Right,
        // A rejected update that is not held any more is sent again.
        Word::Deferred | Word::Rejected => Exit::Deferred,
    });
    Exit::worst(held.chain(last).chain(waits.then_some(Exit::Deferred)))
}

/// The moment at which unchanged addresses are sent next.
pub fn refresh(host: &HostConfig, entry: &Entry) -> Option<Timestamp> {
    let period = host.host.refresh?;
    let sets = entry.families.iter().filter_map(|(_, record)| record.set.as_ref());
    sets.map(|set| set.confirmed.after(period)).min()
}

/// A host's token, if its provider has tokens, shows what a credential can do, or the configuration says
/// when it ends; and if its secret can be read.
pub struct TokenStatus {
    /// Whether its provider has tokens with receipts.
    has_receipts: bool,
    /// Whether `homing token` can make another.
    is_issued: bool,
    access: Option<Rc<HostAccess>>,
}

impl TokenStatus {
    pub fn of(host: &HostConfig, provider: &Provider, reader: &mut CredentialReader<'_>) -> Self {
        let manners = provider.manners();
        let has_receipts = manners.has_receipts();
        let is_one = has_receipts || manners.has_powers || host.expires.is_some();
        let access = if is_one { reader.access(host, provider).ok() } else { None };
        Self { has_receipts, is_issued: manners.tokens.is_some(), access }
    }

    fn terms(&self) -> Option<&Terms> {
        self.access.as_ref()?.terms.as_ref().ok()
    }

    pub fn end(&self, memory: &Memory) -> End {
        self.access.as_ref().map(|access| access.end(self.check(memory))).unwrap_or_default()
    }

    fn check<'a>(&self, memory: &'a Memory) -> Option<&'a SelfCheck> {
        let access = self.access.as_ref()?;
        memory.tokens.get(&access.identity)?.check_of(access.about)
    }

    fn known<'a>(&'a self, memory: &'a Memory) -> Option<Known<'a>> {
        Some(upkeep::known(&self.access.as_ref()?.terms, self.check(memory)))
    }

    /// The moment at which its server last accepted it; unknown before the first confirmed update.
    fn last_used(&self, memory: &Memory, entry: Option<&Entry>) -> Option<Timestamp> {
        let sets = entry?.families.iter().filter_map(|(_, record)| record.set.as_ref());
        let confirmed = sets.map(|set| set.confirmed).max()?;
        let token = memory.tokens.get(&self.access.as_ref()?.identity)?;
        Some(confirmed.max(token.spoke))
    }

    /// The moment at which it lapses if it is not used before.
    fn idle_end(&self, last_used: Option<Timestamp>) -> Option<Timestamp> {
        Some(last_used?.after(self.terms()?.max_unused?))
    }

    /// Whether a person must act: it is dead, or too powerful where a narrower token is available.
    fn needs_a_person(&self, memory: &Memory) -> bool {
        self.known(memory).is_some_and(|known| known.needs_a_person())
    }

    /// Why a person must act, and the fix, if one must.
    #[cfg(feature = "pages")]
    pub fn problem(&self, host: &Hostname, memory: &Memory, at: Local) -> Option<String> {
        let access = self.access.as_ref().filter(|_| self.needs_a_person(memory))?;
        Some(show::rights(host, &access.terms, self.check(memory), self.is_issued, at))
    }

    fn tell(&self, host: &HostConfig, memory: &Memory, at: Local) {
        let now = at.now;
        let is_revoked = matches!(self.known(memory), Some(Known::Revoked(_)));
        let mut life: Vec<String> = Vec::new();
        let end = self.end(memory);
        if !is_revoked && (self.has_receipts || end != End::Unknown) {
            life.push(show::expiry(end, at));
        }
        let last_used = self.last_used(memory, memory.entry(&host.host.key));
        let last_used = last_used.filter(|_| self.has_receipts);
        life.extend(last_used.map(|used| format!("last used {}", show::relative(used, now))));
        let idle_end = self.idle_end(last_used).filter(|_| !is_revoked);
        life.extend(idle_end.map(|end| format!("expires {} if unused", show::relative(end, now))));
        if !life.is_empty() {
            out_wrapped(&format!("  token: {}", life.join("; ")), None);
        }
        let check = self.check(memory);
        let is_told = self.has_receipts || check.is_some();
        if let Some(access) = self.access.as_ref().filter(|_| is_told) {
            let (name, terms) = (&host.host.key.host, &access.terms);
            let rights = show::rights(name, terms, check, self.is_issued, at);
            out_wrapped(&format!("  token: {rights}"), None);
        }
    }

    fn form(&self, host: &HostConfig, memory: &Memory) -> Option<TokenForm> {
        let known = self.known(memory)?;
        let is_unknown = matches!(known, Known::Unproven(_));
        if self.terms().is_none() && (is_unknown || self.has_receipts && !known.needs_a_person()) {
            return None;
        }
        let last_used = self.last_used(memory, memory.entry(&host.host.key));
        Some(TokenForm {
            rights: known.word(),
            revoked: match known {
                Known::Revoked(at) => Some(stamp(at)),
                _ => None,
            },
            last_used: last_used.map(stamp),
            idle_end: self.idle_end(last_used).map(stamp),
        })
    }
}

fn machine_form<'a>(
    host: &'a HostConfig,
    memory: &'a Memory,
    token: &TokenStatus,
    now: Timestamp,
) -> HostStatus<'a> {
    let nothing = Entry::default();
    let known = memory.entry(&host.host.key);
    let entry = known.unwrap_or(&nothing);
    let PerFamily { v4, v6 } = entry.families.map(|family, record| {
        let off = host.host.families[family] == Use::Off;
        match &record.set {
            Some(set) => RecordStatus {
                set: Some(set.addresses.iter().map(|address| address.to_string()).collect()),
                since: Some(stamp(set.since)),
                off,
            },
            None => RecordStatus {
                set: record.removed.map(|_| Vec::new()),
                since: record.removed.map(stamp),
                off,
            },
        }
    });
    let hold = known.and_then(|entry| entry.holds(now).next());
    let hold = hold.map(|(_, hold)| HoldStatus {
        kind: hold.kind.word(),
        reason: hold.kind.reason(),
        until: hold.until.map(stamp),
        words: hold.kind.to_string(),
        detail: &hold.detail,
        fix: hold.remedy(&host.host.key.host),
    });
    let verified = known.and_then(|entry| verified(host, entry));
    let verified = verified.map(|Verification { at, finding, .. }| {
        let at = stamp(*at);
        match finding {
            VerifyFinding::Right { servers, took, .. } => {
                let took = (!took.is_zero()).then_some(took.as_secs_f64());
                Verified { at, servers: Some(*servers), took, wrong: None }
            }
            VerifyFinding::Wrong(words) => {
                Verified { at, servers: None, took: None, wrong: Some(words) }
            }
        }
    });
    HostStatus {
        host: host.host.key.host.as_str(),
        provider: &host.host.key.provider,
        ipv4: v4,
        ipv6: v6,
        outcome: entry.last.map(|(word, _)| word.as_str()),
        waiting: entry.queued_since.filter(|_| hold.is_none()).map(stamp),
        hold,
        refresh: refresh(host, entry).map(stamp),
        token: token.form(host, memory),
        expires: match token.end(memory) {
            End::At(end) => Some(stamp(end)),
            End::Never | End::Unknown => None,
        },
        verified,
    }
}

/// What the zone's own servers said, if they are asked.
fn verified<'a>(host: &HostConfig, entry: &'a Entry) -> Option<&'a Verification> {
    entry.verified.as_deref().filter(|_| host.verify.is_some())
}

fn tell(host: &HostConfig, provider: &Provider, entry: Option<&Entry>, at: Local) {
    let now = at.now;
    out(&format!("{} ({})", host.host.key.host, provider.name));
    let Some(entry) = entry else {
        out("  never updated");
        return;
    };
    for (family, record) in entry.families.iter() {
        if host.host.families[family] == Use::Off {
            out(&format!("  {family}  off"));
            continue;
        }
        let mut text = match (&record.set, record.removed) {
            (None, None) => format!("  {family}  not set"),
            (None, Some(removed)) => {
                format!("  {family}  removed {}", show::relative(removed, now))
            }
            (Some(set), _) => {
                let (since, confirmed) =
                    (show::relative(set.since, now), show::relative(set.confirmed, now));
                format!("  {family}  {}  set {since}, confirmed {confirmed}", set.addresses)
            }
        };
        match record.sent.as_ref().map(|sent| &sent.addresses) {
            Some(Some(addresses)) => {
                text.push_str(&format!("; {addresses} sent, not confirmed"));
            }
            Some(None) => text.push_str("; its removal sent, not confirmed"),
            None => {}
        }
        if let Some(since) = record.missing_since {
            text.push_str(&format!("; not seen since {}", show::relative(since, now)));
        }
        out_wrapped(&text, None);
    }
    if let Some(Verification { at: checked, finding, .. }) = verified(host, entry) {
        let checked = show::relative(*checked, now);
        out_wrapped(&format!("  {} ({checked})", show::finding(finding)), None);
    }
    if entry.left_out.is_some() {
        out_wrapped("  left out, its secret cannot be used", Some(Style::Bad));
        out("  fix: run `homing check`");
    }
    for (family, hold) in entry.holds(now) {
        let of = family.map(|family| format!("{family}: ")).unwrap_or_default();
        let style = match hold.kind {
            HoldKind::Rejected(_) => Style::Bad,
            HoldKind::Backoff(_) | HoldKind::Throttled => Style::Doubtful,
        };
        let left = hold.until.filter(|until| *until > now);
        let left =
            left.map(|until| format!(" ({})", show::relative(until, now))).unwrap_or_default();
        out_wrapped(&format!("  {of}{}{left}", show::hold(hold, at)), Some(style));
        out_wrapped(&format!("  fix: {}", hold.remedy(&host.host.key.host)), None);
    }
    if let Some(since) = entry.queued_since.filter(|_| entry.holds(now).next().is_none()) {
        out(&format!("  waiting {} for the rate limit", show::span(now.since(since))));
    }
    if let Some(next) = refresh(host, entry) {
        out(&format!("  next refresh {}", show::relative(next, now)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_counts_hosts_and_its_colour_is_that_of_the_worst() {
        use Exit::{Deferred, Rejected, Right};
        let check = |exits: &[Exit], expect: &str, style: Style| {
            assert_eq!(counted(exits.iter().copied()), (expect.to_owned(), style));
        };
        check(&[Right, Right], "2 right", Style::Good);
        check(&[Right, Deferred], "1 right, 1 waits", Style::Doubtful);
        check(&[Deferred, Rejected, Deferred, Right], "1 right, 2 wait, 1 rejected", Style::Bad);
        let left_out = [Right, Exit::Configuration];
        check(&left_out, "1 right, 1 left out", Style::Bad);
        check(&[], "0 right", Style::Good);
    }
}
