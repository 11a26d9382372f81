//! The daemon's log of its rounds: each fact once, when it becomes true, not once a round.

use std::time::{Duration, Instant};

use tracing::{debug, error, info, warn};

use super::show::{self, why};
use crate::core::address::standing::{ServiceId, Standings};
use crate::core::address::{Addresses, Family, PerFamily};
use crate::core::memory::{Hold, HoldKind, Key, VerifyFinding};
use crate::core::order::{SortedMap, SortedSet};
use crate::core::outcome::{Outcome, Rejection};
use crate::core::plan::{Reason, Seen, Stand, WhenGone, Why, Wish};
use crate::core::round::{Answered, HostReport, Matter, Report, TokenNews};
use crate::core::settle::News as Settled;
use crate::core::token::verdict::TokenVerdict;
use crate::core::verify::Drift;
use crate::os::clock::rfc3339_seconds;

/// The fix for servers that do not hold what was set.
const VERIFY_FIX: &str = "check that all servers of the zone have the same records, or write \
    verify = false";

/// The time for which a cause that was reported and then over is not reported again.
const A_WHILE: Duration = Duration::from_secs(60 * 60);

/// The time after which a missing address is reported even for such a cause.
const LASTING: Duration = Duration::from_secs(4 * 60);

/// The last text about each topic that goes on for a while.
#[derive(Debug, Default)]
pub struct News {
    said: SortedMap<String, String>,
    /// The families that should be seen and are not.
    missing: Vec<Missing>,
    /// The moment at which each cause of a missing family was last reported.
    causes: Vec<(Cause, Instant)>,
}

/// A family that should be seen and is not.
#[derive(Debug)]
struct Missing {
    key: Key,
    family: Family,
    since: Instant,
    reason: Reason,
    told: bool,
}

/// The reason why a family is not seen, and the time after which its record is removed for that.
#[derive(Clone, Debug, PartialEq)]
struct Cause {
    family: Family,
    reason: Reason,
    after: Option<Duration>,
}

impl News {
    /// Logs what is new in `report`.
    pub fn log(&mut self, report: &Report) {
        self.said("storage", report.storage_problem.as_deref(), |problem| {
            error!(problem, fix = "make the state directory writable", "the state cannot be saved");
        });
        for (key, problem) in &report.hook_problems {
            warn!(host = %key.host, problem, fix = "run the on-change program by hand", "on-change failed");
        }
        self.services(&report.services);
        for host in &report.hosts {
            self.host(host);
        }
        self.missing(&report.hosts, Instant::now());
        let detours = report.detours.iter().map(String::as_str).collect::<Vec<_>>().join("; ");
        self.said("detours", Some(detours.as_str()).filter(|text| !text.is_empty()), |detail| {
            info!(detail, "published the address outside a tunnel");
        });
        report.tokens.iter().for_each(token);
    }

    /// Logs the services that are asked last for now, each once until it works or fails in another way.
    fn services(&mut self, standings: &Standings) {
        let topic =
            |service: &ServiceId| format!("service {} {}", service.family.key(), service.name);
        let told = standings.keys().map(topic).collect::<SortedSet<_>>();
        self.said.retain(|topic, _| !topic.starts_with("service ") || told.contains(topic));
        for (service, standing) in standings {
            let ServiceId { name, family } = service;
            let (family, detail, fix) = (family.key(), &standing.detail, standing.fault.remedy());
            let until = rfc3339_seconds(standing.until).to_string();
            self.said(&topic(service), Some(standing.fault.word()), |reason| {
                warn!(
                    service = name,
                    family, reason, detail, until, fix, "service skipped for now"
                );
            });
        }
    }

    fn host(&mut self, report: &HostReport) {
        let (host, provider) = (&report.host.key.host, &*report.host.key.provider);
        let topic = |what: &str| format!("{what} {host} {provider}");
        let problem = report.secret_problem.as_ref().map(|problem| &*problem.words);
        self.said(&topic("secret"), problem, |problem| {
            warn!(%host, provider, problem, "left out");
        });
        self.said(&topic("trouble"), report.trouble.as_deref(), |trouble| {
            warn!(%host, provider, "{trouble}");
        });
        if let Some(drift) = &report.drift {
            drifted(report, drift);
        }
        for answered in report.news() {
            settled(report, answered);
        }
        self.verified(report);
        if let Some(until) = report.queued_until.filter(|_| report.newly_queued) {
            let until = rfc3339_seconds(until).to_string();
            info!(%host, provider, until, "waiting for the rate limit");
        }
        let of_hold = |family: Option<Family>| {
            format!("{} {}", topic("hold"), family.map_or("", Family::key))
        };
        for (family, hold) in &report.holds {
            self.said(&of_hold(*family), Some(hold.kind.reason()), |_| {
                // A hold of an earlier run is logged after a start; one of this round with its answer.
                if report.answers.is_empty() {
                    held(report, hold);
                }
            });
        }
        if report.holds.is_empty() {
            for family in [None, Some(Family::V4), Some(Family::V6)] {
                self.said.remove(&of_hold(family));
            }
        }
        let Some(step) = &report.step else { return };
        for (family, stand) in step.stands.iter() {
            let absent = match stand {
                Stand::Absent(reason) => Some(&**reason),
                _ => None,
            };
            let family_topic = format!("{} {}", topic("absent"), family.key());
            self.said(&family_topic, absent, |reason| {
                info!(%host, provider, family = family.key(), reason, "nothing to publish");
            });
        }
    }

    /// Logs the families that should be seen and are not, by their causes, and those seen again. A
    /// cause that comes and goes is logged at most once in [`A_WHILE`], and when it lasts.
    fn missing(&mut self, reports: &[HostReport], now: Instant) {
        let mut missing: Vec<(Cause, Vec<&HostReport>)> = Vec::new();
        let mut again: PerFamily<Vec<&HostReport>> = PerFamily::default();
        self.causes.retain(|(_, at)| now - *at < A_WHILE);
        for report in reports {
            let Some(step) = &report.step else { continue };
            for (family, stand) in step.stands.iter() {
                let mut all = self.missing.iter();
                let known = all.position(|of| of.family == family && of.key == report.host.key);
                let reason = match stand {
                    Stand::Missing(reason) => reason,
                    Stand::Held(_) | Stand::NotAsked => continue,
                    Stand::Absent(_) | Stand::Off | Stand::Right | Stand::Wanted(_) => {
                        let known = known.map(|at| self.missing.swap_remove(at));
                        let is_seen = matches!(report.seen[family], Seen::Here(_));
                        if is_seen && known.is_some_and(|known| known.told) {
                            again[family].push(report);
                        }
                        continue;
                    }
                };
                // A record that was never set is not removed.
                let after =
                    match (report.host.when_gone, &report.seen[family], &report.before[family]) {
                        (WhenGone::Remove { after, .. }, Seen::Absent(_), Some(_)) => Some(after),
                        _ => None,
                    };
                let cause = Cause { family, reason: reason.clone(), after };
                let at = known.unwrap_or_else(|| {
                    let (key, reason) = (report.host.key.clone(), reason.clone());
                    self.missing.push(Missing { key, family, since: now, reason, told: false });
                    self.missing.len() - 1
                });
                let known = &mut self.missing[at];
                if known.reason != *reason {
                    (known.reason, known.told) = (reason.clone(), false);
                }
                let told_lately = self.causes.iter().any(|(told, _)| *told == cause);
                if known.told || told_lately && now - known.since < LASTING {
                    continue;
                }
                known.told = true;
                match missing.iter_mut().find(|(known, _)| *known == cause) {
                    Some((_, reports)) => reports.push(report),
                    None => missing.push((cause, vec![report])),
                }
            }
        }
        for (cause, reports) in missing {
            let Cause { family, reason, after } = &cause;
            let (host, provider) = whose(&reports);
            let fix = "run `homing address`";
            let after_text = after.map(|after| humantime::format_duration(after).to_string());
            let goes = match after {
                Some(_) => "no address any more; the record will be removed if this lasts",
                None => "no address found; the record is unchanged",
            };
            let (family_key, after_text) = (family.key(), after_text.as_deref());
            let reason = &**reason;
            warn!(host, provider, family = family_key, reason, fix, after = after_text, "{goes}");
            self.causes.retain(|(known, _)| *known != cause);
            self.causes.push((cause, now));
        }
        for (family, reports) in again.iter().filter(|(_, reports)| !reports.is_empty()) {
            let (host, provider) = whose(reports);
            let addresses = reports.first().and_then(|report| match &report.seen[family] {
                Seen::Here(addresses) => Some(addresses.to_string()),
                _ => None,
            });
            info!(host, provider, family = family.key(), addresses, "address seen again");
        }
    }

    /// Logs what the zone's own servers said after an update.
    fn verified(&mut self, report: &HostReport) {
        let (host, provider) = (&report.host.key.host, &*report.host.key.provider);
        let topic = format!("verified {host} {provider}");
        let verified = report.verified.as_ref().filter(|_| report.newly_verified);
        match verified.map(|verified| &verified.finding) {
            None => {}
            Some(VerifyFinding::Right { servers, took, others }) => {
                self.said(&topic, None, |_| {});
                let took = (!took.is_zero()).then(|| format!("{:.1} s", took.as_secs_f64()));
                info!(%host, provider, servers, took, others, "verified at the zone's servers");
            }
            Some(VerifyFinding::Wrong(detail)) => self.said(&topic, Some(detail), |detail| {
                warn!(%host, provider, detail, fix = VERIFY_FIX, "not verified at the zone's servers");
            }),
        }
    }

    /// Calls `say` with `text` when it differs from the last one about `topic`; `None` ends the topic.
    fn said(&mut self, topic: &str, text: Option<&str>, say: impl FnOnce(&str)) {
        match text {
            None => {
                self.said.remove(topic);
            }
            Some(text) if self.said.get(topic).map(String::as_str) == Some(text) => {}
            Some(text) => {
                self.said.insert(topic.to_owned(), text.to_owned());
                say(text);
            }
        }
    }
}

/// The names of hosts and of their providers, each once, separated by commas.
fn whose(reports: &[&HostReport]) -> (String, String) {
    let hosts: Vec<_> = reports.iter().map(|report| report.host.key.host.to_string()).collect();
    let providers =
        reports.iter().map(|report| &*report.host.key.provider).collect::<SortedSet<_>>();
    (hosts.join(", "), providers.into_iter().collect::<Vec<_>>().join(", "))
}

/// Logs the result of one answer.
fn settled(report: &HostReport, answered: &Answered) {
    let (host, provider) = (&report.host.key.host, &*report.host.key.provider);
    let reason = report.sent.unwrap_or(Why::Changed);
    let (ipv4, ipv6) = (stated(&answered.wishes.v4), stated(&answered.wishes.v6));
    match (&answered.outcome, &answered.news) {
        (Outcome::Updated, Settled::Changed) => {
            info!(%host, provider, ipv4, ipv6, why = why(reason), "updated");
        }
        (Outcome::Unchanged, Settled::Changed) => {
            info!(%host, provider, ipv4, ipv6, "unchanged: the provider had it already");
        }
        (_, Settled::Changed | Settled::Confirmed) => {
            info!(%host, provider, ipv4, ipv6, why = why(reason), "confirmed");
        }
        (_, Settled::Held(hold)) => held(report, hold),
        (_, Settled::StillHeld(hold)) => {
            debug!(%host, provider, reason = hold.kind.reason(), detail = hold.detail, "still waiting");
        }
        (_, Settled::Narrowed(refusal)) => {
            info!(%host, provider, detail = refusal.detail, "refused together; asking for each one");
        }
    }
}

/// Logs what the zone's own servers say about records that were set before.
fn drifted(report: &HostReport, drift: &Drift) {
    const FIX: &str = "find out who else updates the host; `homing status` shows what is set";
    let (host, provider) = (&report.host.key.host, &*report.host.key.provider);
    match drift {
        Drift::PutRight(detail) => {
            warn!(%host, provider, detail, fix = FIX, "changed by somebody else; corrected once");
        }
        Drift::Left(detail, why) => {
            warn!(%host, provider, detail, why, fix = FIX, "changed by somebody else");
        }
        Drift::Differ(detail) => {
            warn!(%host, provider, detail, fix = VERIFY_FIX, "not verified at the zone's servers");
        }
        Drift::Over => info!(%host, provider, "the zone's servers have the right addresses again"),
    }
}

/// Logs what is new about a token.
fn token(news: &TokenNews) {
    let (host, provider) = (&news.key.host, &*news.key.provider);
    match &news.matter {
        Matter::Checked(check) => match check.verdict {
            TokenVerdict::TooPowerful => {
                let fix = &*show::too_powerful(news.is_issued).remedy(host);
                warn!(%host, provider, powers = check.powers, fix, "the token is TOO POWERFUL");
            }
            TokenVerdict::NotProven if !check.powers.is_empty() => {
                info!(%host, provider, powers = check.powers, "the credential can do more than its \
                    job; the provider offers nothing narrower");
            }
            TokenVerdict::NotProven => {
                debug!(%host, provider, "the credential was not found too powerful");
            }
            TokenVerdict::Inconclusive => {
                let fix = &*Rejection::Unproven.remedy(host);
                info!(%host, provider, fix, "the token's rights were not checked");
            }
            TokenVerdict::NarrowToZone => {
                debug!(%host, provider, "the token can change only its zone; the provider offers \
                    no smaller right");
            }
            TokenVerdict::Narrow | TokenVerdict::Dead => {
                debug!(%host, provider, "the token can change only its hosts");
            }
        },
        Matter::Ends(end) | Matter::Ended(end) => {
            let is_over = matches!(&news.matter, Matter::Ended(_));
            let what = if is_over { "the token has expired" } else { "the token expires soon" };
            let end = rfc3339_seconds(*end).to_string();
            let fix = show::renewal(news);
            warn!(%host, provider, end, fix, "{what}");
        }
    }
}

/// Logs a hold.
fn held(report: &HostReport, hold: &Hold) {
    let (host, provider) = (&report.host.key.host, &*report.host.key.provider);
    let until = hold.until.map(|until| rfc3339_seconds(until).to_string());
    let until = until.unwrap_or_else(|| "you fix it".to_owned());
    let (reason, detail, fix) = (hold.kind.reason(), &hold.detail, &*hold.remedy(host));
    let is = match hold.kind {
        HoldKind::Rejected(_) => "rejected",
        HoldKind::Backoff(_) | HoldKind::Throttled => "deferred",
    };
    warn!(%host, provider, reason, detail, until, fix, "update {is}");
}

/// A wish as a log field: the addresses, `removed`, or `left alone`.
fn stated(wish: &Wish) -> String {
    match wish {
        Wish::Leave => "unchanged".to_owned(),
        Wish::Remove => "removed".to_owned(),
        Wish::Set(addresses) => Addresses::to_string(addresses),
    }
}
