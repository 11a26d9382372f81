//! Words for people: a report as lines of text. Used by `--once`, `check` and `status`.

use std::fmt::Write as _;
use std::time::Duration;

use crate::config::Config;
use crate::core::address::interface::InterfaceName;
use crate::core::address::{Addresses, Family, PerFamily};
use crate::core::feature;
use crate::core::memory::{Hold, HoldKind, SelfCheck, VerifyFinding};
use crate::core::name::Hostname;
use crate::core::outcome::{Outcome, Rejection};
use crate::core::plan::{Seen, Stand, Step, WhenGone, Why, Wish};
use crate::core::round::{HostReport, Matter, Report, TokenNews};
use crate::core::settle::News;
use crate::core::source::{Source, SourceKind};
use crate::core::time::Timestamp;
use crate::core::token::upkeep::{self, End, Known, NoTerms, Proof, Terms};
use crate::core::token::verdict::TokenVerdict;
use crate::core::verify::Drift;
use crate::os::local::Local;

/// One line for each different result of the sources, in the order of the hosts; hosts with the same
/// result for a family share it. Detours follow.
pub fn seen(report: &Report) -> Vec<String> {
    let mut lines: Vec<PerFamily<Option<String>>> = Vec::new();
    for report in &report.hosts {
        let seen = report.seen.map(|family, seen| match seen {
            Seen::Here(addresses) => Some(format!("{family} {addresses}")),
            Seen::Absent(reason) => Some(format!("no {family}: {reason}")),
            Seen::Unknown(reason) => Some(format!("{family} unknown: {reason}")),
            Seen::NotAsked => None,
        });
        let fits = |line: &&mut PerFamily<Option<String>>| {
            Family::BOTH.into_iter().all(|family| match (&line[family], &seen[family]) {
                (Some(known), Some(new)) => known == new,
                _ => true,
            })
        };
        match lines.iter_mut().find(fits) {
            Some(line) => {
                for family in Family::BOTH {
                    line[family] = line[family].take().or_else(|| seen[family].clone());
                }
            }
            None => lines.push(seen),
        }
    }
    let texts = lines.iter().map(|line| line.iter().filter_map(|(_, text)| text.as_deref()));
    let texts = texts.map(|texts| texts.collect::<Vec<_>>().join("; "));
    let texts = texts.filter(|text| !text.is_empty()).map(|text| format!("seen: {text}"));
    texts.chain(report.detours.iter().map(|detour| format!("note: {detour}"))).collect()
}

/// The addresses that a request states: `IPv4 192.0.2.1, IPv6 2001:db8::1`.
pub fn wishes(wishes: &PerFamily<Wish>, before: &PerFamily<Option<Addresses>>) -> String {
    let stated = wishes.iter().filter_map(|(family, wish)| match wish {
        Wish::Leave => None,
        Wish::Remove => Some(match &before[family] {
            Some(old) => format!("{family} removed (was {old})"),
            None => format!("{family} removed"),
        }),
        Wish::Set(addresses) => Some(match &before[family] {
            Some(old) if old != addresses => format!("{family} {addresses} (was {old})"),
            _ => format!("{family} {addresses}"),
        }),
    });
    stated.collect::<Vec<_>>().join(", ")
}

/// The reason for a request, in words.
pub fn why(why: Why) -> &'static str {
    match why {
        Why::First => "first update",
        Why::Back => "the address is back",
        Why::Changed => "the address changed",
        Why::Unconfirmed => "the last update was not confirmed",
        Why::Drifted => "somebody else has changed it",
        Why::Unverified => "a server of the zone does not have it",
        Why::Returned => "the address is back after a while",
        Why::Gone => "the address is gone",
        Why::Refresh => "so that it does not expire",
    }
}

/// A hold in one line: its kind, its detail and its end.
pub fn hold(hold: &Hold, at: Local) -> String {
    let is = match hold.kind {
        HoldKind::Backoff(_) | HoldKind::Throttled => "deferred",
        HoldKind::Rejected(_) => "rejected",
    };
    let mut text = format!("{is}, {}", hold.kind);
    if !hold.detail.is_empty() {
        let _ = write!(text, ": {}", hold.detail);
    }
    let until = hold.until.map(|until| at.moment(until));
    let _ = match (hold.kind, until) {
        (HoldKind::Rejected(_), None) => write!(text, "; will not retry until you fix it"),
        (HoldKind::Rejected(_), Some(until)) => {
            write!(text, "; will not retry until you fix it, or after {until}")
        }
        (_, Some(until)) => write!(text, "; next try after {until}"),
        (_, None) => Ok(()),
    };
    text
}

/// The results of one round for one host, a line each; with `everything` also those that are not new.
pub fn host(report: &HostReport, everything: bool, at: Local) -> Vec<String> {
    let name = &report.host.key.host;
    if let Some(problem) = &report.secret_problem {
        let tells = everything || report.newly_left_out;
        return Vec::from_iter(tells.then(|| format!("{name}: left out: {}", problem.words)));
    }
    let mut lines = Vec::new();
    let tell_hold = |lines: &mut Vec<String>, family: Option<Family>, held: &Hold| {
        let of = family.map(|family| format!(" {family}:")).unwrap_or_default();
        lines.push(format!("{name}:{of} {}", hold(held, at)));
        lines.push(format!("  fix: {}", held.remedy(name)));
    };
    let mut said_hold = false;
    for (place, answered) in report.answers.iter().enumerate() {
        let sent = wishes(&answered.wishes, &report.before);
        match (&answered.outcome, &answered.news) {
            (Outcome::Updated, News::Changed | News::Confirmed) => {
                lines.push(format!("{name}: updated: {sent}"));
            }
            (Outcome::Unchanged, News::Changed | News::Confirmed) => {
                lines.push(format!("{name}: unchanged, the provider had it already: {sent}"));
            }
            (_, News::Held(held)) => {
                said_hold = true;
                tell_hold(&mut lines, answered.family(), held);
            }
            // The results of the narrower requests follow.
            (_, News::Narrowed(_)) if place + 1 < report.answers.len() => {}
            (_, News::Narrowed(refusal)) => {
                let (what, detail) = (refusal.rejection, &refusal.detail);
                let line = format!("{name}: {what} ({detail}); trying each one alone");
                lines.push(line);
            }
            (_, News::StillHeld(_) | News::Changed | News::Confirmed) => {}
        }
    }
    if let Some(until) = report.queued_until.filter(|_| everything || report.newly_queued) {
        let until = at.moment(until);
        lines.push(format!(
            "{name}: waiting until {until} because of the provider's rate limit; \
            nothing to do"
        ));
    }
    lines.extend(report.drift.as_ref().map(|drift| format!("{name}: {}", changed(drift))));
    let verified = report.verified.as_ref();
    lines.extend(verified.map(|found| format!("{name}: {}", finding(&found.finding))));
    lines.extend(missing(report, everything));
    for (family, _) in report.seen_again.iter().filter(|(_, again)| **again) {
        if let (Seen::Here(addresses), true) = (&report.seen[family], report.answers.is_empty()) {
            lines.push(format!("{name}: {family} is seen again: {addresses}"));
        }
    }
    // Off a terminal it is printed only with a success, so that cron does not mail it at every run.
    let mut outcomes = report.answers.iter().map(|answered| &answered.outcome);
    let tells =
        everything || outcomes.any(|it| matches!(it, Outcome::Updated | Outcome::Unchanged));
    lines.extend(trouble(report).filter(|_| tells));
    if everything && !said_hold {
        for (family, held) in &report.holds {
            tell_hold(&mut lines, *family, held);
        }
    }
    if everything && lines.is_empty() {
        let set = report.before.iter().filter_map(|(family, set)| {
            set.as_ref().map(|addresses| format!("{family} {addresses}"))
        });
        lines.push(format!("{name}: up to date: {}", set.collect::<Vec<_>>().join(", ")));
    }
    lines
}

/// What the zone's own servers said after an update, in words.
pub fn finding(finding: &VerifyFinding) -> String {
    match finding {
        VerifyFinding::Right { servers, took, others } => {
            let s = if *servers == 1 { "" } else { "s" };
            let mut text = format!("verified at {servers} server{s}");
            if !took.is_zero() {
                let _ = write!(text, " in {:.1} s", took.as_secs_f64());
            }
            if !others.is_empty() {
                let _ = write!(text, "; {others}");
            }
            text
        }
        VerifyFinding::Wrong(words) => format!("not verified: {words}"),
    }
}

/// What the zone's own servers say about records that were set before, in words.
pub fn changed(drift: &Drift) -> String {
    match drift {
        Drift::PutRight(words) => {
            format!("changed by somebody else: {words}; corrected once")
        }
        Drift::Left(words, why) => format!("changed by somebody else: {words}; {why}"),
        Drift::Differ(words) => format!("not verified: {words}"),
        Drift::Over => "the zone's servers have the right addresses again".to_owned(),
    }
}

/// The note about another trouble of a host, if there is one.
fn trouble(report: &HostReport) -> Option<String> {
    let trouble = report.trouble.as_ref()?;
    Some(format!("{}: note: {trouble}", report.host.key.host))
}

/// The families that should be seen and are not; without `everything`, only the new ones.
fn missing(report: &HostReport, everything: bool) -> Vec<String> {
    let Some(step) = &report.step else { return Vec::new() };
    let missing = step.stands.iter().filter_map(|(family, stand)| match stand {
        Stand::Missing(reason) if everything || report.newly_missing[family] => {
            let lost = report.host.loses[family] && report.sent.is_some();
            let goes = match (report.host.when_gone, &report.seen[family]) {
                (WhenGone::Remove { after, .. }, Seen::Absent(_)) => Some(after),
                _ => None,
            };
            let what = match (&report.before[family], lost, goes) {
                (_, true, _) => {
                    "not found; the provider deletes its record with an update".to_owned()
                }
                (None, false, _) => "not set".to_owned(),
                (Some(_), false, None) => "left as it is".to_owned(),
                (Some(_), false, Some(after)) => {
                    let after = humantime::format_duration(after);
                    format!("unchanged until the address has been gone for {after}")
                }
            };
            Some(format!("{}: {family} {what}: {reason}", report.host.key.host))
        }
        _ => None,
    });
    missing.collect()
}

/// The requests that a round would send, for `check` and `--dry-run`.
pub fn expected(report: &HostReport, at: Local) -> Vec<String> {
    let name = &report.host.key.host;
    match report.step.as_ref().zip(report.sent) {
        Some((Step { wishes: sent, .. }, reason)) => {
            let (provider, by) = (&report.host.key.provider, by(report.host.bind));
            let mut lines = removals(report, sent, at);
            // The other record in a request that removes one is right already.
            if reason != Why::Gone {
                let rest = sent.map(|_, wish| match wish {
                    Wish::Remove => Wish::Leave,
                    Wish::Leave | Wish::Set(_) => wish.clone(),
                });
                let (rest, why) = (wishes(&rest, &report.before), why(reason));
                lines.push(format!("{name}: would send {rest} to {provider}{by}: {why}"));
            }
            lines.extend(missing(report, true));
            lines.extend(trouble(report));
            lines
        }
        None => host(report, true, at),
    }
}

/// The records that `sent` removes.
fn removals(report: &HostReport, sent: &PerFamily<Wish>, at: Local) -> Vec<String> {
    let removed = sent.iter().filter(|(_, wish)| **wish == Wish::Remove).map(|(family, _)| {
        let old = report.before[family].as_ref().map(|old| format!(" {old}")).unwrap_or_default();
        let since = report.gone_since[family].map(|since| at.moment(since));
        let since = since.map(|since| format!(" since {since}")).unwrap_or_default();
        let (host, provider) = (&report.host.key.host, &report.host.key.provider);
        let (record, by) = (family.record_type(), by(report.host.bind));
        format!("{host}: would remove {record}{old} at {provider}{by}: gone{since}")
    });
    removed.collect()
}

/// The interface of something that is bound to one: ` by wan2`.
pub fn by(bind: Option<InterfaceName>) -> String {
    bind.map(|name| format!(" by {name}")).unwrap_or_default()
}

/// The side effects to warn of: programs' users, families that are left out, unencrypted requests.
pub fn side_effects(config: &Config) -> Vec<String> {
    let mut lines: Vec<String> = programs_of_another(config).into_iter().collect();
    let mut add = |line: String| {
        if !lines.contains(&line) {
            lines.push(line);
        }
    };
    for host in &config.hosts {
        let provider = &config.providers[host.provider];
        for family in Family::BOTH {
            let Some(effect) = provider.side_effect(family) else { continue };
            add(match host.sources[family] {
                None => format!("{}: {family} is off, but {effect}", host.host.key.host),
                Some(_) => effect,
            });
        }
        let urls = [&provider.update_url, &provider.api_url];
        let plain = urls.into_iter().flatten().any(|url| url.starts_with("http:"));
        if provider.plain_http && plain {
            add(format!(
                "provider {}: requests and their secrets are sent unencrypted",
                provider.name
            ));
        }
    }
    lines
}

/// The warning that programs run as another user, while Homing runs as root.
fn programs_of_another(config: &Config) -> Option<String> {
    let is_program = |source: &Source| matches!(source.kind, SourceKind::Command(_));
    let hooks = config.hosts.iter().any(|host| !host.on_change.is_empty())
        || config.reports.programs().next().is_some();
    let user = config.programs_as.filter(|_| hooks || config.sources.iter().any(is_program))?;
    let path = config.path.display();
    Some(format!("its programs run as {user}, not as root, because {user} can change {path}"))
}

/// The news about a token, for `--once`.
pub fn token(news: &TokenNews, at: Local) -> Vec<String> {
    let host = &news.key.host;
    match &news.matter {
        Matter::Ends(end) | Matter::Ended(end) => {
            let line = format!("{host}: token: {}", expiry(End::At(*end), at));
            vec![line, format!("  fix: {}", renewal(news))]
        }
        Matter::Checked(check) if check.verdict == TokenVerdict::TooPowerful => {
            let line = format!("{host}: the token is {}: {}", check.verdict, check.powers);
            vec![line, format!("  fix: {}", too_powerful(news.is_issued).remedy(host))]
        }
        Matter::Checked(_) => Vec::new(),
    }
}

/// The rejection of a token that is too powerful, for its fix; whether Homing can make another.
pub fn too_powerful(is_issued: bool) -> Rejection {
    if is_issued { Rejection::TooPowerful } else { Rejection::TooBroad }
}

/// The fix for a token that ends.
pub fn renewal(news: &TokenNews) -> String {
    if news.is_issued {
        return feature::run_token("rotate", &news.key.host);
    }
    format!(
        "make another credential (`homing providers {}` says where), write it into the host's file, \
            and correct expires if the host has it",
        news.key.provider
    )
}

/// The end of a token, in words.
pub fn expiry(end: End, at: Local) -> String {
    const DAY: u64 = 24 * 60 * 60;
    let now = at.now;
    match end {
        End::Unknown => "expiry date unknown (not made by Homing)".to_owned(),
        End::Never => "never expires".to_owned(),
        End::At(end) => {
            let verb = if end > now { "expires" } else { "expired" };
            let when = match end.since(now).as_secs() / DAY {
                0 | 1 => relative(end, now),
                days => format!("in {days} days"),
            };
            format!("{verb} {when} ({})", at.moment(end))
        }
    }
}

/// How the words begin for a token that a receipt proves narrow.
const PROVEN: &str = "narrow (checked by `homing token issue` or `audit`";

/// What is known of a token's rights, in words; whether Homing can make another.
pub fn rights(
    host: &Hostname,
    terms: &Result<Terms, NoTerms>,
    check: Option<&SelfCheck>,
    is_issued: bool,
    at: Local,
) -> String {
    let now = at.now;
    match upkeep::known(terms, check) {
        Known::TooPowerful(powers) => {
            let fix = too_powerful(is_issued).remedy(host);
            format!("{}: {powers}; {fix}", TokenVerdict::TooPowerful)
        }
        Known::Narrow(checked) => {
            let is_proven = terms.as_ref().is_ok_and(|terms| terms.proof == Proof::Narrow);
            let ago = checked.map(|checked| relative(checked, now));
            match ago {
                Some(ago) if is_proven => format!("{PROVEN}, and again {ago})"),
                Some(ago) => format!("narrow (checked {ago})"),
                None => format!("{PROVEN})"),
            }
        }
        Known::NarrowToZone(checked) => format!(
            "{}; this provider cannot limit it further (checked {})",
            TokenVerdict::NarrowToZone,
            relative(checked, now)
        ),
        Known::Revoked(revoked) => {
            let fix = feature::run_token("issue", host);
            format!("revoked {} ({}): {fix}", relative(revoked, now), at.moment(revoked))
        }
        Known::Unavoidable(powers) => {
            format!("{powers}; the provider offers nothing narrower")
        }
        Known::Checked(checked) => {
            let ago = relative(checked, now);
            format!("a check found nothing beyond its job, which proves nothing (checked {ago})")
        }
        Known::Unproven(_) => {
            format!("its rights were not checked; {}", Rejection::Unproven.remedy(host))
        }
    }
}

/// The problem of a receipt beside a token file, or of its token by the receipt, if there is one.
pub fn receipt(report: &HostReport, at: Local) -> Option<String> {
    let host = &report.host.key.host;
    let fix = feature::run_token("issue", host);
    Some(match (report.unfit(), report.no_terms()) {
        (Some(Proof::Revoked(revoked)), _) => {
            format!("{host}: its token was revoked {}; {fix}", at.moment(*revoked))
        }
        (Some(Proof::Beyond(powers)), _) => {
            format!("{host}: its token is too powerful: {powers}; {fix}")
        }
        (Some(proof), _) => format!("{host}: {proof}; {fix}"),
        (None, None | Some(NoTerms::NoReceipt)) => return None,
        (None, Some(problem @ NoTerms::OfAnother)) => format!("{host}: {problem}; {fix}"),
        (None, Some(problem @ NoTerms::Unusable(_))) => format!("{host}: {problem}, or {fix}"),
    })
}

/// The time from `now` to a moment, in words: `in` a time, or a time `ago`.
pub fn relative(moment: Timestamp, now: Timestamp) -> String {
    if moment > now {
        format!("in {}", span(moment.since(now)))
    } else {
        format!("{} ago", span(now.since(moment)))
    }
}

/// A time in words, whose two largest units are exact enough: `2h 5m`.
pub fn span(time: Duration) -> String {
    let text = humantime::format_duration(Duration::from_secs(time.as_secs())).to_string();
    text.split(' ').take(2).collect::<Vec<_>>().join(" ")
}
