//! Asking as the token itself: what it sees of its own rights, and what the server would let it do.
//!
//! Reads, `OPTIONS`, and writes whose content the server must refuse after it has looked at the
//! rights; nothing is ever stored. A 403 at the account's own endpoints proves nothing about
//! policies: a token without any gets it, too.

use std::collections::BTreeMap;
use std::fmt;

use super::audit::{aliases, duties, without_unknown_job};
use super::issue::LONGEST_TTL;
use super::show::{Audited, By};
use super::subject::Subject;
use crate::account::{Account, Probe, Trouble};
use crate::clock;
use crate::core::name::Hostname;
use crate::core::token::audit::{Finding, judge_limits, judge_policies};
use crate::core::token::{Api, Duty, Key, Policy, allowed};
use crate::receipt::Receipt;

/// The most neighbours of a host that are tried, so that the zone's limit is not used up.
const MOST_NEIGHBOURS: usize = 20;

/// As many of them are tried where the policies are known: everything together is within what the
/// server takes in a minute.
const FEW_NEIGHBOURS: usize = 2;

/// The most other zones that are tried.
const MOST_ZONES: usize = 10;

/// The types that give away more than an address: certificates and delegations.
const POWERFUL: [&str; 3] = ["TXT", "NS", "CAA"];

/// What a token cannot see of itself; the first of it may stand in its receipt.
const NOT_VISIBLE: [&str; 4] = [
    IN_RECEIPT[0],
    IN_RECEIPT[1],
    "whether it acts on another account",
    "whether new zones would give it rights (auto_policy)",
];

/// What probes leave open: there are more names and types than can be tried.
const NOT_TRIED: &str = "single records that nobody tried";

/// What of that a receipt tells.
const IN_RECEIPT: [&str; 2] = ["when it expires", "the networks that it works from"];

/// A name that nobody has, in place of every name that is not there.
const NO_NAME: &str = "homing-probe-no-such-name";

/// Audits a token by asking as the token itself.
pub async fn itself(account: &Account<'_>, subject: &Subject<'_>) -> Audited {
    let mut report = subject.report(By::Itself);
    // What it was issued with, its receipt still tells.
    let issued = subject.receipt.as_ref().filter(|receipt| receipt.created.is_some());
    let known = if issued.is_some() { IN_RECEIPT.len() } else { 0 };
    report.not_visible = NOT_VISIBLE[known..].to_vec();
    if let Some(receipt) = issued {
        let (limits, expires) = (&receipt.limits, receipt.expires());
        report.findings.extend(judge_limits(limits, expires, clock::wall()));
    }
    match account.greet().await {
        Ok(()) => {}
        Err(trouble) if trouble.is_credential() => {
            report.findings.push(refused(subject));
            return report;
        }
        Err(trouble) => {
            report.findings.push(Finding::untold("it is narrow", trouble));
            return report;
        }
    }
    let mut asked = Asked { account, findings: Vec::new(), tried: 0, policies_known: false };
    asked.manages_tokens().await;
    let duties = duties(account, subject, &mut asked.findings).await;
    let policies = asked.own_policies(subject, &duties).await;
    asked.policies_known = policies.is_some();
    without_unknown_job(&mut asked.findings, subject.holder, &duties);
    if policies.is_none() {
        report.not_visible.push(NOT_TRIED);
    }
    // Where rights are for updates alone, writes of records are refused whatever they are about.
    let zones_safe = match &policies {
        Some((Api::Zones, policies)) => !policies.is_empty(),
        _ => !duties.is_empty() && asked.writes(&duties).await,
    };
    asked.zones(zones_safe).await;
    asked.findings.extend(aliases(account, &duties).await);
    report.allows = policies.map(|(_, policies)| allowed(&policies)).unwrap_or_default();
    report.tried = asked.tried;
    report.findings.append(&mut asked.findings);
    report
}

/// What it means that the server does not take a secret: that its time is over, if its receipt says
/// so; else it may be as powerful as ever from elsewhere.
fn refused(subject: &Subject<'_>) -> Finding {
    let ends = subject.receipt.as_ref().and_then(Receipt::expires);
    if ends.is_some_and(|end| end <= clock::wall()) {
        return Finding::Lapsed;
    }
    Finding::untold(
        "it is narrow",
        "the server refuses it: it has lapsed, was deleted, or works from other networks only",
    )
}

/// A question round with one token.
struct Asked<'a> {
    account: &'a Account<'a>,
    findings: Vec<Finding>,
    tried: usize,
    /// Whether its own policies could be read: then they tell, and the rest confirms.
    policies_known: bool,
}

impl Asked<'_> {
    async fn manages_tokens(&mut self) {
        match self.account.manages_tokens().await {
            Ok(true) => self.findings.push(Finding::ManagesTokens),
            Ok(false) => {}
            Err(trouble) => self.untold("it may manage tokens", trouble),
        }
    }

    /// Reads and judges its own policies, if its receipt tells its id.
    async fn own_policies(
        &mut self,
        subject: &Subject<'_>,
        duties: &[Duty],
    ) -> Option<(Api, Vec<Policy>)> {
        let id = subject.id()?;
        let policies = match self.account.policies(id).await {
            Ok(policies) => policies,
            // The receipt is another token's: as without one.
            Err(trouble) if trouble.is_forbidden() => return None,
            Err(Trouble::NotThere(_)) => return None,
            Err(trouble) => {
                self.untold("its policies are narrow", trouble);
                return None;
            }
        };
        let api = self.account.api(id).await.ok()?;
        self.findings.extend(judge_policies(&policies, duties, api));
        Some((api, policies))
    }

    /// Tries writes, its own and others; returns whether the apex of every zone is denied it.
    async fn writes(&mut self, duties: &[Duty]) -> bool {
        let mut own_may = 0;
        let mut own_may_not = Vec::new();
        for duty in duties {
            for kind in duty.kinds() {
                match self.try_write(&duty.zone, duty.subname(), kind).await {
                    Some(Probe::May) => own_may += 1,
                    Some(Probe::MayNot) => own_may_not.push((duty.host.clone(), kind)),
                    Some(Probe::Unclear(why)) => self.unclear_record(duty, kind, why),
                    None => {}
                }
            }
        }
        if own_may == 0 && !own_may_not.is_empty() && !self.policies_known {
            // A token that may not even do its job may be one of an old server, whose rights are
            // for updates alone and cannot be tried this way.
            self.untold(
                "it may do more than it must",
                "it may not write its own records by this way, so others prove nothing",
            );
            return false;
        }
        if !self.policies_known {
            let lacks = |(host, kind)| Finding::Lacks { host, kind };
            self.findings.extend(own_may_not.into_iter().map(lacks));
        }
        let mut zones: Vec<&Hostname> = duties.iter().map(|duty| &duty.zone).collect();
        zones.sort_unstable();
        zones.dedup();
        let mut safe = true;
        for zone in zones {
            safe &= self.around(zone, duties).await;
        }
        self.elsewhere(duties).await;
        safe
    }

    /// Tries what is around the hosts in one zone; returns whether its apex is denied.
    async fn around(&mut self, zone: &Hostname, duties: &[Duty]) -> bool {
        let here = || duties.iter().filter(|duty| duty.zone == *zone);
        let mut targets: Vec<(String, &str)> = Vec::new();
        for duty in here() {
            let subname = duty.subname();
            // Where the policies are known, two of them confirm what those say.
            let most = if self.policies_known { 2 } else { POWERFUL.len() };
            for kind in POWERFUL.into_iter().take(most) {
                if !(subname.is_empty() && kind == "NS") {
                    targets.push((subname.to_owned(), kind));
                }
            }
            targets.push((below("_acme-challenge", subname), "TXT"));
            targets.push((below("*", subname), "A"));
        }
        for kind in ["A", "AAAA", "TXT"] {
            targets.push((NO_NAME.to_owned(), kind));
        }
        targets.extend([(String::new(), "A"), (String::new(), "TXT"), ("*".to_owned(), "A")]);
        targets.extend(self.neighbours(zone, duties).await);
        let mut known: Vec<(String, &str)> = Vec::new();
        for (subname, kind) in targets {
            let covers = |duty: &Duty| duty.covers(Some(zone.as_str()), Some(&subname), Some(kind));
            if here().any(covers) || known.contains(&(subname.clone(), kind)) {
                continue;
            }
            self.try_foreign(zone, &subname, kind).await;
            known.push((subname, kind));
        }
        // The one record set that every zone has; asked in the other way.
        self.tried += 1;
        match self.account.offers_writing(zone, "", "NS").await {
            Ok(true) => {
                self.may_write(zone, "", "NS");
                false
            }
            Ok(false) => true,
            Err(trouble) => {
                self.untold(format!("it may write NS of {zone}"), trouble);
                false
            }
        }
    }

    /// The other names of a zone, each with a type that can stand there.
    async fn neighbours(
        &mut self,
        zone: &Hostname,
        duties: &[Duty],
    ) -> Vec<(String, &'static str)> {
        let sets = match self.account.record_sets(zone).await {
            Ok(sets) => sets,
            Err(trouble) => {
                self.untold(format!("it may write the other names of {zone}"), trouble);
                return Vec::new();
            }
        };
        let is_own = |subname: &str| {
            duties.iter().any(|duty| duty.zone == *zone && duty.subname() == subname)
        };
        let mut names: BTreeMap<String, &str> = BTreeMap::new();
        for set in sets {
            // Beside an alias no other record can stand.
            let kind = if set.kind == "CNAME" { "CNAME" } else { "A" };
            if !set.subname.is_empty() && !is_own(&set.subname) {
                names.insert(set.subname, kind);
            }
        }
        let most = if self.policies_known { FEW_NEIGHBOURS } else { MOST_NEIGHBOURS };
        if names.len() > most && !self.policies_known {
            self.untold(
                format!("it may write the other names of {zone}"),
                format!("of {} only {most} were tried", names.len()),
            );
        }
        names.into_iter().take(most).collect()
    }

    /// Tries the hosts' names, and one that nobody has, in other zones of the account.
    async fn elsewhere(&mut self, duties: &[Duty]) {
        let zones = match self.account.zones().await {
            Ok(zones) => zones,
            Err(trouble) => {
                self.untold("it may write in other zones", trouble);
                return;
            }
        };
        let Some(duty) = duties.first() else { return };
        let others = zones.iter().filter_map(|zone| zone.name.parse::<Hostname>().ok());
        let others: Vec<Hostname> =
            others.filter(|zone| duties.iter().all(|duty| duty.zone != *zone)).collect();
        if others.len() > MOST_ZONES && !self.policies_known {
            self.untold(
                "it may write in other zones",
                format!("of {} only {MOST_ZONES} were tried", others.len()),
            );
        }
        for zone in others.iter().take(MOST_ZONES) {
            self.try_foreign(zone, duty.subname(), "A").await;
            if !self.policies_known {
                self.try_foreign(zone, duty.subname(), "TXT").await;
                self.try_foreign(zone, NO_NAME, "A").await;
                self.try_foreign(zone, NO_NAME, "TXT").await;
            }
        }
    }

    /// Tries to register and to delete zones.
    async fn zones(&mut self, apex_is_denied: bool) {
        self.tried += 2;
        let create = self.account.probe_create_zone().await;
        let delete = self.account.probe_delete_zone().await;
        match create {
            Ok(Probe::May) => self.findings.push(Finding::CreatesZones { writes_there: false }),
            Ok(Probe::MayNot) => {}
            Ok(Probe::Unclear(why)) => self.untold("it may register zones", why),
            Err(trouble) => self.untold("it may register zones", trouble),
        }
        match delete {
            Ok(Probe::May) if apex_is_denied => self.findings.push(Finding::DeletesNothing),
            Ok(Probe::May) => self.findings.push(Finding::DeletesZones),
            Ok(Probe::MayNot) => {}
            Ok(Probe::Unclear(why)) => self.untold("it may delete zones", why),
            Err(trouble) => self.untold("it may delete zones", trouble),
        }
    }

    /// Tries a write that it must not be able to make.
    async fn try_foreign(&mut self, zone: &Hostname, subname: &str, kind: &str) {
        match self.try_write(zone, subname, kind).await {
            Some(Probe::May) => self.may_write(zone, subname, kind),
            Some(Probe::Unclear(why)) if !self.policies_known => {
                self.untold(format!("it may write {}", Key::of(zone, subname, kind)), why);
            }
            Some(Probe::MayNot | Probe::Unclear(_)) | None => {}
        }
    }

    fn may_write(&mut self, zone: &Hostname, subname: &str, kind: &str) {
        self.findings.push(Finding::MayWrite(Key::of(zone, subname, kind)));
    }

    /// What one impossible write shows.
    async fn try_write(&mut self, zone: &Hostname, subname: &str, kind: &str) -> Option<Probe> {
        self.tried += 1;
        match self.account.probe_write(zone, subname, kind, LONGEST_TTL).await {
            Ok(probe) => Some(probe),
            Err(trouble) => {
                self.untold(format!("it may write {}", Key::of(zone, subname, kind)), trouble);
                None
            }
        }
    }

    fn unclear_record(&mut self, duty: &Duty, kind: &str, why: String) {
        if !self.policies_known {
            self.untold(format!("it may write {kind} of {}", duty.host), why);
        }
    }

    fn untold(&mut self, what: impl Into<String>, why: impl fmt::Display) {
        self.findings.push(Finding::untold(what, why));
    }
}

/// The name `label` below `subname`.
fn below(label: &str, subname: &str) -> String {
    if subname.is_empty() { label.to_owned() } else { format!("{label}.{subname}") }
}
