//! Limits of a token: which are asked for, whether the server set them, and how they are shown.

use crate::cli::{Ask, LimitsAsked};
use crate::core::order;
use crate::core::token::{EVERYWHERE, Limits, period};
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
