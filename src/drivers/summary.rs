//! The daemon's state in one line for people, as `systemctl status` shows it.
//!
//! Counts the hosts by their state; holds no name and no secret.

use std::fmt::Write as _;

use crate::core::exit::Exit;
use crate::core::round::{HostReport, Report};
use crate::core::time::Timestamp;
use crate::os::local::Local;

/// The state of the daemon.
#[derive(Debug, Default)]
pub struct Status {
    /// The hosts by their state after the last round; empty before the first one is over.
    hosts: String,
    /// Whether the last reload failed, so that an older configuration is in force.
    pub outdated: bool,
}

impl Status {
    /// Notes the result of a round that is over `at` this moment.
    pub fn note(&mut self, report: &Report, at: Local) {
        let is_under_way = |host: &&HostReport| host.is_under_way;
        let others = report.hosts.iter().filter(|host| !is_under_way(host));
        self.hosts = hosts(others.map(|host| (host.standing, host.waits_until())), at);
        match report.hosts.iter().filter(is_under_way).count() {
            0 => {}
            // Writing to a String cannot fail.
            count => drop(write!(self.hosts, ", {count} being updated")),
        }
        if report.storage_problem.is_some() {
            self.hosts.push_str("; the state cannot be saved");
        }
    }

    /// The whole state in one line.
    pub fn line(&self) -> String {
        let hosts =
            if self.hosts.is_empty() { "the first round is under way" } else { &*self.hosts };
        if self.outdated {
            return format!(
                "the new configuration has a mistake, the old one stays in force; \
                {hosts}"
            );
        }
        hosts.to_owned()
    }
}

/// The number of hosts in each state, from each host's exit code and the end of its wait:
/// `3 hosts right, 1 waiting until 14:05 UTC`.
pub fn hosts(stands: impl Iterator<Item = (Exit, Option<Timestamp>)>, at: Local) -> String {
    let (mut right, mut waiting, mut rejected, mut left_out) = (0, 0, 0, 0);
    let mut until: Option<Timestamp> = None;
    for (standing, end) in stands {
        match standing {
            Exit::Right => right += 1,
            Exit::Deferred => {
                waiting += 1;
                until = until.into_iter().chain(end).min();
            }
            Exit::Rejected => rejected += 1,
            // No host has the exit code of a wrong command line.
            Exit::Usage | Exit::Configuration => left_out += 1,
        }
    }
    let mut text = format!("{right} host{} right", if right == 1 { "" } else { "s" });
    // Writing to a String cannot fail.
    if waiting > 0 {
        let _ = write!(text, ", {waiting} waiting");
        if let Some(until) = until {
            let the_first = if waiting > 1 { ", the first" } else { "" };
            let _ = write!(text, "{the_first} until {}", at.by_minute(until));
        }
    }
    if rejected > 0 {
        let _ = write!(text, ", {rejected} rejected: you must fix it, see `homing status`");
    }
    if left_out > 0 {
        let _ = write!(text, ", {left_out} left out for a wrong secret, see `homing check`");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::os::local::Clocks;

    /// 2027-01-15T14:00:00Z.
    const NOW: u64 = 1_800_021_600;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_secs(NOW + seconds)
    }

    fn local() -> Local {
        Local { now: at(0), clocks: Clocks::UTC }
    }

    #[track_caller]
    fn check(stands: &[(Exit, Option<u64>)], expect: &str) {
        let stands = stands.iter().map(|(exit, seconds)| (*exit, seconds.map(at)));
        assert_eq!(hosts(stands, local()), expect);
    }

    #[test]
    fn hosts_that_are_right_are_counted() {
        check(&[], "0 hosts right");
        check(&[(Exit::Right, None)], "1 host right");
        check(&[(Exit::Right, None); 3], "3 hosts right");
    }

    #[test]
    fn who_waits_is_told_with_the_minute_by_which_the_first_wait_is_over() {
        let right = (Exit::Right, None);
        let waits = |seconds| (Exit::Deferred, Some(seconds));
        check(&[right, right, right, waits(300)], "3 hosts right, 1 waiting until 14:05 UTC");
        check(&[waits(301)], "0 hosts right, 1 waiting until 14:06 UTC");
        check(&[right, (Exit::Deferred, None)], "1 host right, 1 waiting");
        let two = [waits(3600), (Exit::Deferred, None), waits(60)];
        check(&two, "0 hosts right, 3 waiting, the first until 14:01 UTC");
    }

    #[test]
    fn another_day_is_named() {
        let day = 24 * 60 * 60;
        check(&[(Exit::Deferred, Some(day - 1))], "0 hosts right, 1 waiting until 14:00 UTC");
        let tomorrow = "0 hosts right, 1 waiting until 2027-01-16 14:00 UTC";
        check(&[(Exit::Deferred, Some(day))], tomorrow);
    }

    #[test]
    fn what_only_a_person_can_do_says_so() {
        let stands = [
            (Exit::Right, None),
            (Exit::Rejected, Some(300)),
            (Exit::Deferred, Some(60)),
            (Exit::Configuration, None),
        ];
        let expect = "1 host right, 1 waiting until 14:01 UTC, 1 rejected: you must fix it, see \
            `homing status`, 1 left out for a wrong secret, see `homing check`";
        check(&stands, expect);
    }

    #[test]
    fn a_wrong_new_configuration_is_told_until_it_is_right() {
        let mut status = Status::default();
        assert_eq!(status.line(), "the first round is under way");
        let report = Report { storage_problem: Some("full".to_owned()), ..Report::default() };
        status.note(&report, local());
        assert_eq!(status.line(), "0 hosts right; the state cannot be saved");
        status.outdated = true;
        let expect = "the new configuration has a mistake, the old one stays in force; 0 hosts \
            right; the state cannot be saved";
        assert_eq!(status.line(), expect);
    }
}
