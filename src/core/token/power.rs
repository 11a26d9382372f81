//! What the answers about a credential's powers mean. Pure.

use super::finding::Finding;
use crate::core::protocol::http::power_talk::{FoundPower, PowerReport};

/// The findings in `report`.
pub fn judge(report: &PowerReport) -> Vec<Finding> {
    let found = report.found.iter().map(|FoundPower { what, is_narrowest }| {
        if *is_narrowest {
            Finding::SharesPower(what.clone())
        } else {
            Finding::HasPower(what.clone())
        }
    });
    let untold =
        report.untold.iter().map(|(what, why)| Finding::untold(["it ", what].concat(), why));
    let nothing =
        (report.found.is_empty() && report.asked > 0).then_some(Finding::NotProven(report.asked));
    found.chain(untold).chain(nothing).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::token::finding::verdict;
    use crate::core::token::verdict::TokenVerdict;

    fn found(what: &str, is_narrowest: bool) -> FoundPower {
        FoundPower { what: what.to_owned(), is_narrowest }
    }

    #[track_caller]
    fn check(report: &PowerReport, expect: TokenVerdict, words: &[&str]) {
        let findings = judge(report);
        assert_eq!(verdict(&findings), expect);
        assert_eq!(findings.iter().map(ToString::to_string).collect::<Vec<_>>(), words);
    }

    #[test]
    fn a_power_is_too_much_unless_the_narrowest_credential_has_it() {
        let broad = PowerReport {
            found: vec![found("may read the account", false), found("may see another zone", true)],
            asked: 2,
            ..PowerReport::default()
        };
        let shared = "may see another zone, as even the narrowest credential can";
        check(&broad, TokenVerdict::TooPowerful, &["may read the account", shared]);
        let narrow = PowerReport { found: broad.found[1..].to_vec(), ..broad };
        check(&narrow, TokenVerdict::NotProven, &[shared]);
    }

    #[test]
    fn a_refusal_proves_nothing_and_silence_less() {
        let refused = PowerReport { asked: 2, ..PowerReport::default() };
        check(
            &refused,
            TokenVerdict::NotProven,
            &["nothing beyond its job was found (requests: 2)"],
        );
        let why = ("may read the account".to_owned(), "HTTP 500 with an empty body".to_owned());
        let half = PowerReport { asked: 1, untold: vec![why], ..PowerReport::default() };
        let untold = "not known whether it may read the account: HTTP 500 with an empty body";
        check(
            &half,
            TokenVerdict::Inconclusive,
            &[untold, "nothing beyond its job was found (requests: 1)"],
        );
    }
}
