//! Probes a token with requests of its own: its rights as it sees them, and what the server allows it.
//!
//! Reads, `OPTIONS`, and writes whose content the server must refuse after it has looked at the
//! rights; nothing is ever stored. A 403 at the account's own endpoints proves nothing about
//! policies: a token without any gets it, too.

use std::cell::RefCell;
use std::fmt;

use super::job::{LONGEST_TTL, duties, without_unknown_job};
use crate::core::name::Hostname;
use crate::core::order::{self, SortedMap};
use crate::core::token::desec::audit::{judge_limits, judge_policies, of_deletion};
use crate::core::token::finding::Finding;
use crate::core::token::verdict::Weight;
use crate::core::token::{Api, Duty, Key, Policy, rows};
use crate::os::clock;
use crate::provider::Trouble;
use crate::provider::desec::{Account, WriteProbe};
use crate::receipt::Receipt;
use crate::token::show::{Audited, By};
use crate::token::subject::Subject;

/// The most neighbours of a host that are tried.
const MOST_NEIGHBOURS: usize = 20;

/// How many neighbours are tried before the records at each host.
const FIRST_NEIGHBOURS: usize = 3;

/// The most other zones that are tried.
const MOST_ZONES: usize = 10;

/// The writes that one run has tried in each zone, and their limit.
///
/// deSEC accepts 100 writes of a zone in an hour, by all tokens together: the hosts need them.
#[derive(Debug)]
pub struct Budget {
    is_thorough: bool,
    spent: RefCell<SortedMap<String, u32>>,
}

/// The most requests that count as writes to one zone, unless `--thorough` is given.
const MOST_WRITES: u32 = 15;

impl Budget {
    /// A budget with nothing spent, and no limit if `is_thorough`.
    pub fn new(is_thorough: bool) -> Self {
        Self { is_thorough, spent: RefCell::default() }
    }

    /// Takes one request to `zone` from the budget, if one is left.
    fn spend(&self, server: &str, zone: &Hostname) -> bool {
        let mut spent = self.spent.borrow_mut();
        let so_far = spent.entry(format!("{server} {zone}")).or_default();
        if *so_far >= MOST_WRITES && !self.is_thorough {
            return false;
        }
        *so_far += 1;
        true
    }

    /// The announcement before tokens are probed whose rows cannot be read.
    pub fn announcement(&self) -> &'static str {
        if self.is_thorough {
            "testing each token: about 35 invalid writes for each host; deSEC accepts 15 per \
                minute and 100 per hour in a zone"
        } else {
            "testing each token: at most 15 invalid writes for each zone (deSEC accepts 100 per \
                hour); --thorough tries more"
        }
    }
}

/// Properties that a token cannot see of itself; its receipt may hold the first two.
const NOT_VISIBLE: [&str; 4] = [
    IN_RECEIPT[0],
    IN_RECEIPT[1],
    "whether it acts on another account",
    "whether new zones would give it rights (auto_policy)",
];

/// What probes leave open: there are more names and types than can be tried.
const NOT_TRIED: &str = "single records that were not tested";

/// Those of [`NOT_VISIBLE`] that a receipt may hold.
const IN_RECEIPT: [&str; 2] = ["when it expires", "the networks that it works from"];

/// A name that does not exist, which stands for every such name.
const NO_NAME: &str = "homing-probe-no-such-name";

/// Audits a token by asking as the token itself.
pub async fn itself(account: &Account<'_>, subject: &Subject<'_>, budget: &Budget) -> Audited {
    let mut report = subject.report(By::Itself);
    // The receipt holds what the token was issued with.
    let issued = subject.receipt.as_ref().filter(|receipt| receipt.created.is_some());
    let known = if issued.is_some() { IN_RECEIPT.len() } else { 0 };
    report.not_visible = NOT_VISIBLE[known..].to_vec();
    if let Some(receipt) = issued {
        let (limits, expires) = (&receipt.limits, receipt.expires());
        report.findings.extend(judge_limits(limits, expires, clock::wall()));
    }
    if let Err(trouble) = account.greet().await {
        report.findings.push(if trouble.is_credential() {
            refused(subject)
        } else {
            Finding::untold("it is narrow", trouble)
        });
        return report;
    }
    report.is_valid = Some(true);
    let (findings, tried, left_out) = Default::default();
    let mut asked =
        ProbedToken { account, budget, findings, tried, left_out, policies_known: false };
    asked.manages_tokens().await;
    let duties = duties(account, subject, &mut asked.findings).await;
    let policies = match asked.own_policies(subject, &duties).await {
        Policies::Anothers => {
            report.is_anothers = true;
            report.id = None;
            None
        }
        Policies::Known(api, policies) => Some((api, policies)),
        Policies::Unknown => None,
    };
    asked.policies_known = policies.is_some();
    without_unknown_job(&mut asked.findings, subject.holder, &duties);
    if policies.is_none() {
        report.not_visible.push(NOT_TRIED);
    }
    // If rights are for updates alone, writes of records are refused for every record.
    let zones_safe = match &policies {
        Some((Api::Zones, policies)) => !policies.is_empty(),
        _ => !duties.is_empty() && asked.writes(&duties).await,
    };
    // The policies, where they are known, show what the right to delete zones allows.
    let deletion = match &policies {
        Some((Api::Rows, policies)) => of_deletion(policies),
        Some((Api::Zones, _)) | None if zones_safe => Finding::DeletesNothing,
        Some((Api::Zones, _)) | None => Finding::DeletesZones,
    };
    asked.zones(deletion).await;
    asked.aliases(&duties).await;
    if policies.is_none() {
        asked.unproven();
    }
    report.rows = policies.map(|(_, policies)| rows(&policies, &duties));
    report.duties = duties;
    report.tried = asked.tried;
    report.findings.append(&mut asked.findings);
    report
}

/// The finding for a secret that the server refuses: lapsed, if its receipt says so.
fn refused(subject: &Subject<'_>) -> Finding {
    let ends = subject.receipt.as_ref().and_then(Receipt::expires);
    if ends.is_some_and(|end| end <= clock::wall()) {
        return Finding::Lapsed;
    }
    Finding::untold(
        "it is narrow",
        "the server refuses it: it has expired, was deleted, or works from other networks only",
    )
}

/// A token that is being probed, with the results.
struct ProbedToken<'a> {
    account: &'a Account<'a>,
    budget: &'a Budget,
    findings: Vec<Finding>,
    tried: usize,
    /// The number of records that were skipped, to leave the hosts enough writes.
    left_out: usize,
    /// Whether the token's own policies could be read; they decide then.
    policies_known: bool,
}

/// The result of asking for a token's own policies.
enum Policies {
    /// The receipt's id is that of another token.
    Anothers,
    Known(Api, Vec<Policy>),
    Unknown,
}

impl ProbedToken<'_> {
    async fn manages_tokens(&mut self) {
        match self.account.manages_tokens().await {
            Ok(true) => self.findings.push(Finding::ManagesTokens),
            Ok(false) => {}
            Err(trouble) => self.untold("it may manage tokens", trouble),
        }
    }

    /// Reads and judges the token's own policies, if its receipt has the id.
    async fn own_policies(&mut self, subject: &Subject<'_>, duties: &[Duty]) -> Policies {
        let Some(id) = subject.id() else { return Policies::Unknown };
        let policies = match self.account.policies(id).await {
            Ok(policies) => policies,
            // The receipt is of another token, so it is ignored.
            Err(trouble) if trouble.is_forbidden() => return Policies::Anothers,
            Err(Trouble::NotThere(_)) => return Policies::Anothers,
            Err(trouble) => {
                self.untold("its policies are narrow", trouble);
                return Policies::Unknown;
            }
        };
        match self.account.api(id).await {
            Ok(api) => {
                self.findings.extend(judge_policies(&policies, duties, api));
                Policies::Known(api, policies)
            }
            Err(_) => Policies::Unknown,
        }
    }

    /// Notes that nothing was found, which proves nothing: there are more records than can be tried.
    fn unproven(&mut self) {
        if self.findings.iter().any(|finding| finding.weight() == Weight::TooPowerful) {
            return;
        }
        let more = match self.left_out {
            0 => String::new(),
            left => format!(" (--thorough tries {left} more)"),
        };
        self.untold(
            "it is narrow",
            format!(
                "its id is not known, so its rights cannot be read; the tests show only what was \
                    tested{more}"
            ),
        );
    }

    /// Adds a finding for each host that has an alias (CNAME), which blocks its records.
    async fn aliases(&mut self, duties: &[Duty]) {
        for duty in duties {
            let host = &duty.host;
            match self.account.has_record_set(&duty.zone, duty.subname(), "CNAME").await {
                Ok(true) => self.findings.push(Finding::HasAlias(host.clone())),
                Ok(false) => {}
                // An old server shows no records to tokens that may only update.
                Err(trouble) if trouble.is_forbidden() => {}
                Err(trouble) => self.untold(format!("{host} has no CNAME record"), trouble),
            }
        }
    }

    /// Tries writes of its own and other records; returns whether NS at every zone's apex is denied.
    ///
    /// If its policies are known, they decide: one write of each host shows that they are applied.
    async fn writes(&mut self, duties: &[Duty]) -> bool {
        let mut own_may = 0;
        let mut own_may_not = Vec::new();
        for duty in duties {
            let most = if self.policies_known { 1 } else { usize::MAX };
            for kind in duty.kinds().take(most) {
                match self.try_write(&duty.zone, duty.subname(), kind).await {
                    Some(WriteProbe::May) => own_may += 1,
                    Some(WriteProbe::MayNot) => own_may_not.push((duty.host.clone(), kind)),
                    Some(WriteProbe::Unclear(why)) if !self.policies_known => {
                        self.untold(format!("it may write {kind} of {}", duty.host), why);
                    }
                    Some(WriteProbe::Unclear(_)) | None => {}
                }
            }
        }
        let mut zones: Vec<&Hostname> = duties.iter().map(|duty| &duty.zone).collect();
        order::sort(&mut zones);
        zones.dedup();
        let mut safe = true;
        for zone in zones {
            safe &= self.delegation(zone).await;
            if !self.policies_known {
                self.around(zone, duties).await;
            }
        }
        if self.policies_known {
            return safe;
        }
        self.elsewhere(duties).await;
        if own_may > 0 {
            let lacks = |(host, kind)| Finding::Lacks { host, kind };
            self.findings.extend(own_may_not.into_iter().map(lacks));
        } else if let Some((host, kind)) = own_may_not.first() {
            // A token of an old server may have rights for updates alone, which no such write shows; a
            // complaint about the content of another record proves a right there all the same.
            self.untold(
                format!("it may write {kind} of {host}"),
                "it may not in this way, but an old server allows updates",
            );
        }
        safe
    }

    /// Whether the token may not write NS at the apex, which every zone has; `OPTIONS` tells.
    async fn delegation(&mut self, zone: &Hostname) -> bool {
        if !self.may_try(zone) {
            return false;
        }
        match self.account.offers_writing(zone, "", "NS").await {
            Ok(true) => {
                self.findings.push(Finding::MayWrite(Key::of(zone, "", "NS")));
                false
            }
            Ok(false) => true,
            Err(trouble) => {
                self.untold(format!("it may write NS of {zone}"), trouble);
                false
            }
        }
    }

    /// Tries records around the hosts in one zone, the likeliest first.
    async fn around(&mut self, zone: &Hostname, duties: &[Duty]) {
        let here = || duties.iter().filter(|duty| duty.zone == *zone);
        let own = |text: &str| text.to_owned();
        let mut targets: Vec<(String, &str)> =
            vec![(own(NO_NAME), "A"), (own(NO_NAME), "TXT"), (String::new(), "A"), (own("*"), "A")];
        let mut neighbours = self.neighbours(zone, duties).await;
        let others = neighbours.split_off(neighbours.len().min(FIRST_NEIGHBOURS));
        targets.append(&mut neighbours);
        for duty in here() {
            let subname = duty.subname();
            targets.push((own(subname), "TXT"));
            if !subname.is_empty() {
                targets.push((own(subname), "NS"));
            }
            targets.push((duty.below("_acme-challenge"), "TXT"));
            targets.push((duty.below("*"), "A"));
        }
        targets.push((String::new(), "TXT"));
        targets.extend(here().map(|duty| (own(duty.subname()), "CAA")));
        targets.push((own(NO_NAME), "AAAA"));
        targets.extend(others);
        let mut known: Vec<Key> = Vec::new();
        for (subname, kind) in targets {
            let record = Key::of(zone, &subname, kind);
            if !here().any(|duty| duty.covers(&record)) && !known.contains(&record) {
                self.try_foreign(zone, &subname, kind).await;
                known.push(record);
            }
        }
    }

    /// The other names of a zone, each with a type that may be there.
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
        let mut names: SortedMap<String, &str> = SortedMap::new();
        for set in sets {
            // No other record can be beside an alias.
            let kind = if set.kind == "CNAME" { "CNAME" } else { "A" };
            if !set.subname.is_empty() && !is_own(&set.subname) {
                names.insert(set.subname, kind);
            }
        }
        if names.len() > MOST_NEIGHBOURS {
            self.untold(
                format!("it may write the other names of {zone}"),
                format!("of {} only {MOST_NEIGHBOURS} are tried", names.len()),
            );
        }
        names.into_iter().take(MOST_NEIGHBOURS).collect()
    }

    /// Tries the hosts' names, and one that does not exist, in other zones of the account.
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
        if others.len() > MOST_ZONES {
            self.untold(
                "it may write in other zones",
                format!("of {} only {MOST_ZONES} were tried", others.len()),
            );
        }
        for zone in others.iter().take(MOST_ZONES) {
            for subname in [duty.subname(), NO_NAME] {
                for kind in ["A", "TXT"] {
                    self.try_foreign(zone, subname, kind).await;
                }
            }
        }
    }

    /// Tries to register and to delete zones.
    async fn zones(&mut self, deletion: Finding) {
        self.tried += 2;
        let creation = Finding::CreatesZones { writes_there: false };
        let created = self.account.probe_create_zone().await;
        let deleted = self.account.probe_delete_zone().await;
        for (tried, finding, what) in [
            (created, creation, "it may register zones"),
            (deleted, deletion, "it may delete zones"),
        ] {
            match tried {
                Ok(WriteProbe::May) => self.findings.push(finding),
                Ok(WriteProbe::MayNot) => {}
                Ok(WriteProbe::Unclear(why)) => self.untold(what, why),
                Err(trouble) => self.untold(what, trouble),
            }
        }
    }

    /// Tries a write that the token must not be able to make.
    async fn try_foreign(&mut self, zone: &Hostname, subname: &str, kind: &str) {
        let record = Key::of(zone, subname, kind);
        match self.try_write(zone, subname, kind).await {
            Some(WriteProbe::May) => self.findings.push(Finding::MayWrite(record)),
            Some(WriteProbe::Unclear(why)) => self.untold(format!("it may write {record}"), why),
            Some(WriteProbe::MayNot) | None => {}
        }
    }

    /// Whether one more request to `zone` is left in the budget; counts it as tried or as skipped.
    fn may_try(&mut self, zone: &Hostname) -> bool {
        let has_room = self.budget.spend(self.account.server(), zone);
        self.tried += usize::from(has_room);
        self.left_out += usize::from(!has_room);
        has_room
    }

    /// The answer to one impossible write, if the budget allows it.
    async fn try_write(
        &mut self,
        zone: &Hostname,
        subname: &str,
        kind: &str,
    ) -> Option<WriteProbe> {
        if !self.may_try(zone) {
            return None;
        }
        match self.account.probe_write(zone, subname, kind, LONGEST_TTL).await {
            Ok(probe) => Some(probe),
            Err(trouble) => {
                self.untold(format!("it may write {}", Key::of(zone, subname, kind)), trouble);
                None
            }
        }
    }

    fn untold(&mut self, what: impl Into<String>, why: impl fmt::Display) {
        self.findings.push(Finding::untold(what, why));
    }
}
