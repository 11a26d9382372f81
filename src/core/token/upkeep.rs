//! Upkeep: when a token must be used so that it does not expire, when to warn of its end, and
//! whether a strict host may use it.
//!
//! Functions of the receipt, the memory and the moment; the round sends and reports.

use std::fmt;
use std::time::Duration;

use super::finding::{Finding, verdict};
use super::verdict::{TokenVerdict, WARN_AHEAD, Weight};
use crate::core::memory::{SelfCheck, TokenEntry};
use crate::core::outcome::{Refusal, Rejection};
use crate::core::secret::Fingerprint;
use crate::core::time::Timestamp;

/// The terms of a token, from its receipt.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Terms {
    /// When it expires by its age.
    pub end: End,
    /// The longest time without use, if it has such a limit.
    pub max_unused: Option<Duration>,
    /// What the receipt proves for the host that uses the token.
    pub proof: Proof,
}

/// What a receipt proves of its token for one host.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum Proof {
    /// The token is too powerful: an audit found that it could do this.
    Beyond(String),
    /// Nothing: the receipt is about a token of this other server.
    Elsewhere(String),
    /// The token is narrow, by its issue or an audit.
    Narrow,
    /// The token is as narrow as its provider offers, which is its zone: by an issue or an audit at this
    /// moment.
    NarrowToZone(Timestamp),
    /// Nothing: no audit of the token has ended well.
    #[default]
    Nothing,
    /// Nothing for this host: the receipt is about these hosts.
    OfOthers(String),
    /// The token was revoked at this moment.
    Revoked(Timestamp),
}

/// What a check found out about a token.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct TokenFacts {
    /// The findings about its rights.
    pub findings: Vec<Finding>,
    /// When it expires, if its server says so.
    pub end: Option<Timestamp>,
}

/// The moment at which a token expires by its age.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum End {
    /// At this moment.
    At(Timestamp),
    /// It has no end.
    Never,
    /// The end is not known.
    #[default]
    Unknown,
}

/// Why there is no receipt for a secret.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum NoTerms {
    /// There is no receipt.
    NoReceipt,
    /// The receipt beside the token file is about another secret.
    OfAnother,
    /// The receipt beside the token file cannot be used, for this reason.
    Unusable(String),
}

impl End {
    /// This end or `other`, whichever is sooner.
    pub fn or_sooner(self, other: Timestamp) -> Self {
        match self {
            Self::At(end) => Self::At(end.min(other)),
            Self::Never | Self::Unknown => Self::At(other),
        }
    }
}

/// The longest time between two uses of a token, unless its own limit is shorter.
const SILENCE: Duration = Duration::from_secs(7 * DAY);

/// The shortest time between two requests that only keep a token alive.
const LEAST_SILENCE: Duration = Duration::from_secs(60);

/// The wait until such a request is repeated after it failed.
const UNHEARD: Duration = Duration::from_secs(60 * 60);

const DAY: u64 = 24 * 60 * 60;

/// When a token must be used next, so that it never expires for lack of use.
pub fn greet_at(token: &TokenEntry, max_unused: Option<Duration>) -> Timestamp {
    let third = max_unused.map_or(SILENCE, |longest| longest / 3);
    let silent = token.spoke.after(third.clamp(LEAST_SILENCE, SILENCE));
    let rested = token.unheard.map(|at| at.after(UNHEARD)).unwrap_or_default();
    silent.max(rested)
}

/// Whether to warn of a token's end now; `warned` is the moment of the last warning.
pub fn warns(end: End, warned: Option<Timestamp>, now: Timestamp) -> bool {
    warnings(end).any(|at| at <= now && warned.is_none_or(|warned| warned < at))
}

/// The moment of the next warning of a token's end.
pub fn next_warning(end: End, now: Timestamp) -> Option<Timestamp> {
    warnings(end).find(|&at| at > now)
}

/// The moments to warn of an end, earliest first: well ahead, daily in the last three days, at the end.
fn warnings(end: End) -> impl Iterator<Item = Timestamp> {
    let ahead = [WARN_AHEAD.as_secs(), 3 * DAY, 2 * DAY, DAY, 0];
    let end = match end {
        End::At(end) => Some(end),
        End::Never | End::Unknown => None,
    };
    let before = move |seconds| Some(end?.before(Duration::from_secs(seconds)));
    ahead.into_iter().filter_map(before)
}

/// The self-check to remember: `facts` about the token with the fingerprint `about`.
pub fn self_check(facts: &TokenFacts, about: Fingerprint, at: Timestamp) -> SelfCheck {
    let TokenFacts { findings, end } = facts;
    let shared = |finding: &Finding| matches!(finding, Finding::SharesPower(_));
    let powers = Some(powers(findings)).filter(|beyond| !beyond.is_empty());
    let powers = powers.unwrap_or_else(|| worst_of(findings, shared));
    SelfCheck { about, at, verdict: verdict(findings), powers, end: *end }
}

/// The findings beyond the job in words: the worst few, and how many more; empty if there are none.
pub fn powers(findings: &[Finding]) -> String {
    worst_of(findings, |finding| finding.weight() == Weight::TooPowerful)
}

/// The first few findings that `is_meant`, in words, and how many more there are.
fn worst_of(findings: &[Finding], is_meant: impl Fn(&Finding) -> bool) -> String {
    const MOST_TOLD: usize = 3;
    let beyond = findings.iter().filter(|finding| is_meant(finding));
    let mut powers: Vec<String> = beyond.map(Finding::to_string).collect();
    let more = powers.len().saturating_sub(MOST_TOLD);
    powers.truncate(MOST_TOLD);
    if more > 0 {
        powers.push(format!("and {more} more"));
    }
    powers.join("; ")
}

/// What is known of a token's rights, from its receipt and from its last self-check.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Known<'a> {
    /// It can do its job and nothing else: seen at this moment, or proven by its issue or an audit.
    Narrow(Option<Timestamp>),
    /// It writes addresses of every name in its zone, which is all that its server can bind it to.
    NarrowToZone(Timestamp),
    /// It was revoked at this moment.
    Revoked(Timestamp),
    /// It can do this beyond its job.
    TooPowerful(&'a str),
    /// It can do this beyond its job, and its server offers nothing narrower.
    Unavoidable(&'a str),
    /// A check at this moment found nothing beyond its job, which proves nothing.
    Checked(Timestamp),
    /// Nothing is proven, for this reason.
    Unproven(String),
}

/// What is known of a token; `check` is of this secret and receipt.
pub fn known<'a>(terms: &'a Result<Terms, NoTerms>, check: Option<&'a SelfCheck>) -> Known<'a> {
    let seen = |verdict| check.filter(|check| check.verdict == verdict);
    let proof = match terms {
        Ok(Terms { proof: Proof::Revoked(at), .. }) => return Known::Revoked(*at),
        Ok(terms) => Ok(&terms.proof),
        Err(no_terms) => Err(no_terms.to_string()),
    };
    if let Some(check) = seen(TokenVerdict::TooPowerful) {
        return Known::TooPowerful(&check.powers);
    }
    if let Ok(Proof::Beyond(powers)) = proof {
        return Known::TooPowerful(powers);
    }
    match (seen(TokenVerdict::Narrow), seen(TokenVerdict::NarrowToZone), proof) {
        (Some(check), ..) => Known::Narrow(Some(check.at)),
        (None, Some(check), _) => Known::NarrowToZone(check.at),
        (None, None, Ok(Proof::Narrow)) => Known::Narrow(None),
        (None, None, Ok(Proof::NarrowToZone(at))) => Known::NarrowToZone(*at),
        _ if let Some(check) = seen(TokenVerdict::NotProven) => match &*check.powers {
            "" => Known::Checked(check.at),
            powers => Known::Unavoidable(powers),
        },
        (None, None, Ok(proof)) => Known::Unproven(proof.to_string()),
        (None, None, Err(why)) => Known::Unproven(why),
    }
}

impl Known<'_> {
    /// The word for it in `status --json`.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Narrow(_) => TokenVerdict::Narrow.word(),
            Self::NarrowToZone(_) => TokenVerdict::NarrowToZone.word(),
            Self::Revoked(_) => "revoked",
            Self::TooPowerful(_) => TokenVerdict::TooPowerful.word(),
            Self::Unavoidable(_) => "narrowest-offered",
            Self::Checked(_) | Self::Unproven(_) => TokenVerdict::NotProven.word(),
        }
    }

    /// Whether a person must act: the token is revoked, or too powerful although a narrower one
    /// can be had (every server that shows what a token may do has one).
    pub fn needs_a_person(&self) -> bool {
        match self {
            Self::Revoked(_) | Self::TooPowerful(_) => true,
            Self::Checked(_)
            | Self::Narrow(_)
            | Self::NarrowToZone(_)
            | Self::Unavoidable(_)
            | Self::Unproven(_) => false,
        }
    }
}

/// Why a strict host must not use its credential, which has no receipt, if so: a check found that it
/// can do more than its job. There is no proof of the contrary.
pub fn refusal_by(check: Option<&SelfCheck>) -> Option<Refusal> {
    let powers = check.map(|check| &*check.powers).filter(|powers| !powers.is_empty())?;
    Some(Refusal { rejection: Rejection::TooBroad, detail: powers.to_owned() })
}

/// Why a strict host must not use its token, if so; `check` is of this secret and receipt.
///
/// A self-check is no proof: only `issue` and `audit` see enough for one.
pub fn refusal(terms: &Result<Terms, NoTerms>, check: Option<&SelfCheck>) -> Option<Refusal> {
    let refused = |rejection, detail: String| Some(Refusal { rejection, detail });
    if let Known::TooPowerful(powers) = known(terms, check) {
        return refused(Rejection::TooPowerful, powers.to_owned());
    }
    match terms {
        Ok(Terms { proof: Proof::Narrow | Proof::NarrowToZone(_), .. }) => None,
        Ok(Terms { proof, .. }) => refused(Rejection::Unproven, proof.to_string()),
        Err(no_terms) => refused(Rejection::Unproven, no_terms.to_string()),
    }
}

impl Proof {
    /// Whether the receipt speaks against the token, or was never about it.
    pub fn is_against_it(&self) -> bool {
        match self {
            Self::Beyond(_) | Self::Elsewhere(_) | Self::OfOthers(_) | Self::Revoked(_) => true,
            Self::Narrow | Self::NarrowToZone(_) | Self::Nothing => false,
        }
    }
}

impl fmt::Display for Proof {
    /// Why there is a proof or none, without its moment.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Beyond(powers) => f.write_str(powers),
            Self::Elsewhere(server) => write!(f, "its receipt belongs to a token of {server}"),
            Self::Narrow | Self::NarrowToZone(_) => {
                f.write_str("it was checked by `homing token issue` or `audit`")
            }
            Self::Nothing => f.write_str("no audit of it has succeeded"),
            Self::OfOthers(hosts) if hosts.is_empty() => f.write_str("its receipt names no host"),
            Self::OfOthers(hosts) => write!(f, "its receipt is for {hosts}, not for this host"),
            Self::Revoked(_) => f.write_str("it was revoked"),
        }
    }
}

impl fmt::Display for NoTerms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoReceipt => f.write_str("there is no receipt beside its file"),
            Self::OfAnother => f.write_str("the receipt beside its file belongs to another secret"),
            Self::Unusable(why) => f.write_str(why),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Key;
    use super::*;

    const HOUR: Duration = Duration::from_secs(60 * 60);

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_secs(1_800_000_000 + seconds)
    }

    fn days(days: u64) -> Duration {
        Duration::from_secs(days * DAY)
    }

    /// The moments at which a token greets in `length` when it is looked at each `step`, and every
    /// `heard`th greeting is heard.
    fn greetings(
        max_unused: Option<Duration>,
        step: Duration,
        length: Duration,
        heard: usize,
    ) -> Vec<Timestamp> {
        let mut token = TokenEntry { spoke: at(0), ..TokenEntry::default() };
        let mut moments = Vec::new();
        let mut now = at(0);
        while now < at(0).after(length) {
            if greet_at(&token, max_unused) <= now {
                moments.push(now);
                token.unheard = Some(now);
                if moments.len() % heard == 0 {
                    token = TokenEntry { spoke: now, ..TokenEntry::default() };
                }
            }
            now = now.after(step);
        }
        moments
    }

    fn longest_gap(moments: &[Timestamp]) -> Duration {
        moments.windows(2).map(|pair| pair[1].since(pair[0])).max().unwrap_or_default()
    }

    #[test]
    fn in_ten_years_no_token_is_silent_for_longer_than_it_may_be() {
        let years = days(3650);
        let weekly = greetings(None, HOUR, years, 1);
        assert_eq!((weekly.len(), longest_gap(&weekly)), (521, days(7)));
        assert_eq!(greetings(Some(days(365)), HOUR, years, 1), weekly);
        let short = greetings(Some(days(6)), HOUR, years, 1);
        assert_eq!(longest_gap(&short), days(2));
    }

    #[test]
    fn a_token_that_is_not_heard_tries_hourly_and_no_more() {
        let minute = Duration::from_secs(60);
        let moments = greetings(None, minute, days(8), usize::MAX);
        assert_eq!((moments.len(), longest_gap(&moments)), (24, HOUR));
        assert_eq!(moments[0], at(7 * DAY));
    }

    #[test]
    fn a_limit_of_nothing_makes_no_flood() {
        let token = TokenEntry { spoke: at(0), ..TokenEntry::default() };
        assert_eq!(greet_at(&token, Some(Duration::ZERO)), at(60));
    }

    /// The moments of the warnings about a token that ends after `length`, looked at each `step`.
    fn warned(length: Duration, step: Duration) -> Vec<Timestamp> {
        let end = End::At(at(0).after(length));
        let (mut warned, mut moments, mut now) = (None, Vec::new(), at(0));
        while now < at(0).after(length + days(365)) {
            if warns(end, warned, now) {
                warned = Some(now);
                moments.push(now);
            }
            now = now.after(step);
        }
        moments
    }

    #[test]
    fn an_end_is_told_two_weeks_ahead_then_daily_in_the_last_three_days_and_when_it_comes() {
        let expect = [351, 362, 363, 364, 365].map(|day| at(day * DAY));
        assert_eq!(warned(days(365), HOUR), expect);
        // Cron once a day, at another time of the day.
        let daily = warned(days(365) + HOUR, days(1));
        assert_eq!(daily, [352, 363, 364, 365, 366].map(|day| at(day * DAY)));
    }

    #[test]
    fn a_short_life_and_a_long_sleep_give_one_warning_for_what_was_missed() {
        assert_eq!(warned(days(2), HOUR), [0, 1, 2].map(|day| at(day * DAY)));
        assert_eq!(warned(days(365), days(400)), [at(400 * DAY)]);
    }

    #[test]
    fn a_new_end_is_warned_of_anew() {
        let (before, later) = (Some(at(0)), End::At(at(100 * DAY)));
        assert!(!warns(later, before, at(80 * DAY)));
        assert!(warns(later, before, at(87 * DAY)));
        assert!(!warns(End::Never, None, at(0)) && !warns(End::Unknown, None, at(0)));
    }

    #[test]
    fn the_next_warning_is_known() {
        let end = End::At(at(100 * DAY));
        assert_eq!(next_warning(end, at(0)), Some(at(86 * DAY)));
        assert_eq!(next_warning(end, at(86 * DAY)), Some(at(97 * DAY)));
        assert_eq!(next_warning(end, at(100 * DAY)), None);
        assert_eq!(next_warning(End::Never, at(0)), None);
    }

    #[test]
    fn the_worst_few_powers_are_told() {
        let may_write = |kind: &str| {
            let (zone, subname) = (Some("example.com".to_owned()), Some(String::new()));
            Finding::MayWrite(Key { zone, subname, kind: Some(kind.to_owned()) })
        };
        let check = |findings: &[Finding]| {
            let facts = TokenFacts { findings: findings.to_vec(), end: None };
            self_check(&facts, Fingerprint(1), at(0))
        };
        let told = |findings: &[Finding]| check(findings).powers;
        let findings = ["NS", "TXT", "MX", "CAA", "DS"].map(may_write);
        assert_eq!(
            told(&findings),
            "may write NS of example.com itself (tested); may write TXT of example.com itself (tested); \
             may write MX of example.com itself (tested); and 2 more"
        );
        let narrow = check(&[Finding::NoExpiry]);
        assert_eq!((narrow.verdict, narrow.powers.as_str()), (TokenVerdict::Narrow, ""));
    }

    #[test]
    fn a_strict_host_uses_only_what_is_proven_and_was_not_found_too_powerful() {
        let rejection = |terms: &Result<Terms, NoTerms>, check: Option<&SelfCheck>| {
            refusal(terms, check).map(|refusal| refusal.rejection)
        };
        let check = |verdict| SelfCheck {
            about: Fingerprint(1),
            at: at(0),
            verdict,
            powers: "may write NS of example.com itself".to_owned(),
            end: None,
        };
        let terms = |proof| Ok(Terms { end: End::Never, max_unused: None, proof });
        let (proven, unproven) = (terms(Proof::Narrow), terms(Proof::Nothing));
        assert_eq!(rejection(&proven, None), None);
        assert_eq!(rejection(&proven, Some(&check(TokenVerdict::Narrow))), None);
        let too_powerful = check(TokenVerdict::TooPowerful);
        assert_eq!(rejection(&proven, Some(&too_powerful)), Some(Rejection::TooPowerful));
        let beyond = terms(Proof::Beyond("may write NS of example.com itself".to_owned()));
        assert_eq!(rejection(&beyond, None), Some(Rejection::TooPowerful));
        assert_eq!(
            rejection(&beyond, Some(&check(TokenVerdict::Narrow))),
            Some(Rejection::TooPowerful)
        );
        let others = terms(Proof::OfOthers("dev2.example.com".to_owned()));
        let (revoked, elsewhere) = (Proof::Revoked(at(0)), Proof::Elsewhere("https://x".into()));
        let no_proofs = [unproven, others, terms(revoked), terms(elsewhere)];
        let no_terms = [Err(NoTerms::NoReceipt), Err(NoTerms::OfAnother)];
        for terms in no_proofs.into_iter().chain(no_terms) {
            assert_eq!(rejection(&terms, None), Some(Rejection::Unproven), "{terms:?}");
            let narrow = check(TokenVerdict::Narrow);
            assert_eq!(rejection(&terms, Some(&narrow)), Some(Rejection::Unproven), "{terms:?}");
        }
    }
}
