//! Limits of a token: which are asked for, whether the server set them, and how they are shown.

use crate::cli::{Ask, LimitsAsked, TokenAction, TokenCommand};
use crate::core::order;
use crate::core::time::Timestamp;
use crate::core::token::{EVERYWHERE, Limits, SHORTEST, period};
use crate::os::clock::{self, rfc3339_seconds};
use crate::receipt::Receipt;
use crate::token::Failure;

/// Refuses limits that differ from those that were sent.
pub fn check_limits(is: &Limits, should: &Limits) -> Result<(), Failure> {
    if is == should {
        return Ok(());
    }
    Err(Failure::rejected(
        format!(
            "the server made of the limits: {} (asked for: {})",
            in_words(is),
            in_words(should)
        ),
        "ask for limits that it takes",
    ))
}

/// The limits that a token should have; a limit that the command does not name stays.
pub fn asked(asked: &LimitsAsked, is: &Limits) -> Limits {
    fn one<T: Clone>(asked: &Ask<T>, is: Option<&T>) -> Option<T> {
        match asked {
            Ask::Keep => is.cloned(),
            Ask::Lift => None,
            Ask::Set(limit) => Some(limit.clone()),
        }
    }
    let mut subnets = one(&asked.subnets, is.subnets.as_ref());
    if let Some(subnets) = &mut subnets {
        order::sort(subnets);
    }
    // A list of all networks is the same as no limit, and the server shows it as none.
    subnets = subnets.filter(|subnets| !EVERYWHERE.iter().eq(subnets.iter()));
    Limits {
        max_age: one(&asked.max_age, is.max_age.as_ref()),
        max_unused: one(&asked.max_unused, is.max_unused.as_ref()),
        subnets,
    }
}

/// The limits for the credential of `receipt`, and when they end: a life that stays keeps its end.
pub fn limits_of(
    command: &TokenCommand,
    receipt: Option<&Receipt>,
    now: Timestamp,
) -> Result<(Limits, Option<Timestamp>), Failure> {
    let before = receipt.map(|receipt| receipt.limits.clone()).unwrap_or_default();
    let limits = asked(&command.limits, &before);
    if limits.subnets.as_ref().is_some_and(Vec::is_empty) {
        return Err(Failure::usage(
            "--allow-subnet: without any network it cannot be used",
            "name a network, or any",
        ));
    }
    let kept = receipt.and_then(Receipt::expires).filter(|end| {
        command.action == TokenAction::Issue
            && limits.max_age == before.max_age
            && *end > now.after(SHORTEST)
    });
    let end = limits.max_age.map(|age| kept.unwrap_or_else(|| now.after(age)));
    Ok((limits, end))
}

/// How long a credential lasts, in words.
pub fn until(end: Option<Timestamp>) -> String {
    match end {
        Some(end) => format!("works until {}", rfc3339_seconds(end)),
        None => "has no end".to_owned(),
    }
}

/// The warning about the networks of `limits`, which a machine whose address changes may leave.
pub fn warning(limits: &Limits) -> Option<String> {
    let subnets = limits.subnets.as_ref()?.join(", ");
    Some(format!("  ! it works only from {subnets}: after a change of address it may be refused"))
}

/// The moment in whole seconds, as receipts and providers have it.
pub fn whole_now() -> Timestamp {
    Timestamp::from_secs(clock::wall().millis() / 1000)
}

/// The limits in words.
pub fn in_words(limits: &Limits) -> String {
    let mut words = Vec::new();
    if let Some(age) = limits.max_age {
        words.push(format!("lives {}", period(age)));
    }
    if let Some(unused) = limits.max_unused {
        words.push(format!("unused at most {}", period(unused)));
    }
    if let Some(subnets) = &limits.subnets {
        words.push(match subnets.as_slice() {
            [] => "from no network".to_owned(),
            subnets => format!("from {}", subnets.join(", ")),
        });
    }
    if words.is_empty() { "no limits".to_owned() } else { words.join("; ") }
}

pub fn with_limits(limits: &Limits) -> String {
    if *limits == Limits::default() { String::new() } else { format!(" ({})", in_words(limits)) }
}
