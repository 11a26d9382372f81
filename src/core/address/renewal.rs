//! Renewals: which prefixes of an interface their router no longer renews, without saying so.
//!
//! Pure: the kernel's list with its stamps and the results of earlier looks come in; what is outlived
//! by a sibling, and what is to be remembered, comes out. Called by the snapshot.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::choice::{Flags, KernelAddress};
use super::prefix::USUAL_LENGTH;
use super::special;
use crate::core::order;

/// A moment of the kernel's clock, in hundredths of a second since the machine was started. It stops in
/// a suspend, and wraps after 497 days (sooner on machines of 32 bits).
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Moment(pub u32);

impl Moment {
    /// Hundredths of a second since `earlier`; `None` if that is later.
    fn since(self, earlier: Self) -> Option<u32> {
        let passed = self.0.wrapping_sub(earlier.0);
        (passed <= u32::MAX / 2).then_some(passed)
    }
}

/// When the kernel got an address, and when its life times were last renewed (`IFA_CACHEINFO`).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Stamps {
    /// When the address was created.
    pub created: Moment,
    /// When its life times were last renewed.
    pub renewed: Moment,
}

/// An address with its stamps, where the kernel has any.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Listed {
    /// The address.
    pub address: KernelAddress,
    /// Its stamps.
    pub stamps: Option<Stamps>,
}

/// The results of earlier looks at prefixes that stand beside others on their interface, sorted by
/// prefix.
// A list: a tree for so few would be more code.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub struct Renewals(pub Vec<(Subnet, History)>);

/// A prefix of an interface.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Subnet {
    /// The number of the interface.
    pub index: u32,
    /// The first address of the prefix: of the /64 for IPv6.
    pub prefix: IpAddr,
}

/// What is known of the renewals of one prefix. Changed only while there is something to learn, so that
/// a router's steady advertisements cause no write to the disk.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct History {
    /// When the prefix was created: another moment is another prefix, or another start of the machine.
    pub created: Moment,
    /// The last renewal that was noted.
    pub noted: Moment,
    /// When the prefix was created, or was renewed again after a silence.
    pub begun: Moment,
    /// The longest time between two renewals, in hundredths of a second.
    pub longest: u32,
    /// How many such times were measured.
    pub measured: u8,
    /// Whether the prefix was outlived or deprecated at the last look.
    pub silent: bool,
}

/// A prefix of an interface at one look.
#[derive(Clone, Copy, Debug)]
struct RenewedPrefix {
    subnet: Subnet,
    /// Whether its addresses are global; only prefixes of the same kind are compared.
    global: bool,
    /// Whether it has an address that is usable and preferred.
    usable: bool,
    /// Whether all its addresses are deprecated.
    deprecated: bool,
    renewed: Moment,
    history: History,
}

const SECOND: u32 = 100;
/// How long a new or returned sibling must have been renewed before it outlives a silent prefix.
const PROVEN: u32 = 30 * SECOND;
/// How far apart the stamps of one advertisement may be.
const AT_ONCE: u32 = 1;
/// After how many of its own longest intervals a prefix counts as silent, if it was renewed together
/// with its sibling.
const SILENCE: u32 = 3;
/// The number of measured intervals that suffices to know the longest one.
const ENOUGH: u8 = 3;
/// The number of intervals after which no more are measured.
const PLENTY: u8 = 8;
/// The longest interval that routers may be set to (RFC 4861, section 6.2.1), for prefixes whose own
/// interval is not known.
const LONGEST: u32 = 1800 * SECOND;

impl Renewals {
    /// Marks the outlived addresses in `listed`, and returns the addresses with what is to be
    /// remembered of their prefixes.
    ///
    /// A prefix A is outlived by B, both of one interface and with an end of their life times, if
    ///
    /// | B                                                      | and                              |
    /// |--------------------------------------------------------|----------------------------------|
    /// | was new, or renewed again after a silence, since A was | B was renewed over 30 s since    |
    /// | was being renewed before A was last                    | three times A's longest interval |
    /// |                                                        | lie between their last renewals  |
    ///
    /// Addresses whose life times do not end, and those of `DHCPv6` (/128), take no part. A temporary
    /// address shares the fate of its prefix.
    pub fn judge(&self, listed: Vec<Listed>) -> (Vec<KernelAddress>, Self) {
        let mut prefixes = self.prefixes(&listed);
        let outlived: Vec<bool> = prefixes
            .iter()
            .map(|own| prefixes.iter().any(|other| other.usable && own.is_outlived_by(other)))
            .collect();
        for (prefix, outlived) in prefixes.iter_mut().zip(&outlived) {
            prefix.history = prefix.history.after(prefix.renewed, *outlived || prefix.deprecated);
        }
        let is_outlived = |address: &KernelAddress| {
            let subnet = subnet(address);
            prefixes.iter().zip(&outlived).any(|(prefix, outlived)| {
                *outlived && prefix.subnet == subnet && takes_part(address)
            })
        };
        let mark = |Listed { mut address, .. }: Listed| {
            address.flags.outlived = is_outlived(&address);
            address
        };
        let addresses = listed.into_iter().map(mark).collect();
        let has_sibling = |own: &&RenewedPrefix| prefixes.iter().any(|other| own.is_beside(other));
        let remembered = prefixes.iter().filter(has_sibling);
        let mut remembered: Vec<_> = remembered.map(|own| (own.subnet, own.history)).collect();
        // The list is the same in whatever order the kernel lists the addresses.
        order::sort_by_key(&mut remembered, |(subnet, _)| *subnet);
        (addresses, Self(remembered))
    }

    /// Takes over the histories from `newer` whose `begun` differs: their prefixes are renewed again.
    pub fn take_up_beginnings(&mut self, newer: &Self) {
        for (subnet, known) in &mut self.0 {
            if let Some(newer) = newer.of(*subnet).filter(|newer| newer.begun != known.begun) {
                *known = newer;
            }
        }
    }

    fn of(&self, subnet: Subnet) -> Option<History> {
        self.0.iter().find(|(of, _)| *of == subnet).map(|(_, history)| *history)
    }

    /// The prefixes of the stable addresses in `listed`, with their histories up to this look.
    fn prefixes(&self, listed: &[Listed]) -> Vec<RenewedPrefix> {
        let mut prefixes: Vec<RenewedPrefix> = Vec::new();
        for Listed { address, stamps } in listed {
            let Some(Stamps { created, renewed }) = *stamps else { continue };
            if address.flags.temporary || !takes_part(address) {
                continue;
            }
            let subnet = subnet(address);
            let Flags { dad_failed, deprecated, down, no_carrier, tentative, .. } = address.flags;
            let usable = !(dad_failed || deprecated || down || no_carrier || tentative);
            let global = special(address.address).is_none();
            match prefixes.iter_mut().find(|known| known.subnet == subnet) {
                Some(known) => {
                    known.usable |= usable;
                    known.deprecated &= deprecated;
                    if renewed.since(known.renewed).is_some() {
                        known.renewed = renewed;
                    }
                    if known.history.created.since(created).is_some() {
                        known.history.created = created;
                    }
                }
                None => {
                    let history = History::new(created, renewed);
                    prefixes.push(RenewedPrefix {
                        subnet,
                        global,
                        usable,
                        deprecated,
                        renewed,
                        history,
                    });
                }
            }
        }
        for prefix in &mut prefixes {
            let created = prefix.history.created;
            let known = self.of(prefix.subnet).filter(|known| {
                known.created == created && prefix.renewed.since(known.noted).is_some()
            });
            let fresh = History::new(created, prefix.renewed);
            prefix.history = known.map_or(fresh, |known| known.heard(prefix.renewed));
        }
        prefixes
    }
}

/// Whether `address` can outlive others and be outlived.
fn takes_part(address: &KernelAddress) -> bool {
    let ends = address.preferred.is_some() && address.valid.is_some();
    let is_leased = address.address.is_ipv6() && address.prefix_length == 128;
    ends && !is_leased
}

/// The prefix of `address`.
fn subnet(address: &KernelAddress) -> Subnet {
    let prefix = match address.address {
        IpAddr::V4(v4) => {
            let rest = 32_u32.saturating_sub(address.prefix_length.into());
            let mask = u32::MAX.checked_shl(rest).unwrap_or_default();
            IpAddr::V4(Ipv4Addr::from_bits(v4.to_bits() & mask))
        }
        IpAddr::V6(v6) => {
            let mask = u128::MAX << (128 - u32::from(USUAL_LENGTH));
            IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & mask))
        }
    };
    Subnet { index: address.index, prefix }
}

impl RenewedPrefix {
    /// Whether `other` is another prefix of the same interface and kind.
    fn is_beside(&self, other: &Self) -> bool {
        self.subnet != other.subnet
            && self.subnet.index == other.subnet.index
            && self.subnet.prefix.is_ipv4() == other.subnet.prefix.is_ipv4()
            && self.global == other.global
    }

    /// Whether `other` outlives this prefix, by the rule of [`Renewals::judge`].
    fn is_outlived_by(&self, other: &Self) -> bool {
        let ahead = |least: u32, since: Moment| {
            other.renewed.since(since).is_some_and(|ahead| ahead >= least)
        };
        if !self.is_beside(other) {
            false
        } else if other.history.begun.since(self.renewed).is_some_and(|later| later > AT_ONCE) {
            ahead(PROVEN, other.history.begun)
        } else {
            let interval = self.history.longest_interval(self.renewed);
            interval.is_some_and(|longest| ahead(longest.saturating_mul(SILENCE), self.renewed))
        }
    }
}

impl History {
    /// The history of a prefix at its first look.
    fn new(created: Moment, renewed: Moment) -> Self {
        Self { created, noted: renewed, begun: created, longest: 0, measured: 0, silent: false }
    }

    /// The history after a look that finds `renewed` as the last renewal.
    fn heard(self, renewed: Moment) -> Self {
        let gap = renewed.since(self.noted).unwrap_or_default();
        if gap == 0 {
            return self;
        }
        let longest = self.longest.max(gap);
        if self.silent {
            return Self { noted: renewed, begun: renewed, longest, silent: false, ..self };
        }
        if self.measured >= PLENTY {
            return self;
        }
        Self { noted: renewed, longest, measured: self.measured + 1, ..self }
    }

    /// The history after a look at which the prefix was `silent` or not.
    fn after(self, renewed: Moment, silent: bool) -> Self {
        let noted = if silent && !self.silent { renewed } else { self.noted };
        Self { noted, silent, ..self }
    }

    /// The longest time between two of its renewals until `renewed`, or an upper estimate; `None` when
    /// it was never renewed.
    fn longest_interval(&self, renewed: Moment) -> Option<u32> {
        if self.measured >= ENOUGH {
            return Some(self.longest);
        }
        let lived = renewed.since(self.created).filter(|lived| *lived > 0)?;
        Some(self.longest.max(lived).max(LONGEST))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::address::choice::tests::living;

    const MINUTE: u32 = 60;

    /// An address of the interface 2 that was `created` and last `renewed` so many seconds after the
    /// start of the machine.
    fn listed(address: &str, created: u32, renewed: u32) -> Listed {
        let moment = |seconds: u32| Moment(seconds.wrapping_mul(SECOND));
        let stamps = Stamps { created: moment(created), renewed: moment(renewed) };
        Listed { address: living(address, 86_400), stamps: Some(stamps) }
    }

    fn with(listed: Listed, change: impl FnOnce(&mut KernelAddress)) -> Listed {
        let mut listed = listed;
        change(&mut listed.address);
        listed
    }

    fn names(addresses: &[KernelAddress]) -> Vec<String> {
        let outlived = addresses.iter().filter(|address| address.flags.outlived);
        let mut names: Vec<_> = outlived.map(|address| address.address.to_string()).collect();
        names.sort();
        names
    }

    /// Checks which of `addresses` are outlived at a first look, in whatever order they come.
    #[track_caller]
    fn check(addresses: &[Listed], expect: &[&str]) {
        let turned: Vec<_> = addresses.iter().rev().cloned().collect();
        for addresses in [addresses.to_vec(), turned] {
            let (judged, _) = Renewals::default().judge(addresses);
            assert_eq!(names(&judged), expect);
        }
    }

    const OLD: &str = "2a00:1::1";
    const NEW: &str = "2a00:2::1";

    #[test]
    fn a_prefix_is_outlived_once_a_new_one_was_renewed_over_half_a_minute() {
        check(&[listed(OLD, 0, 600), listed(NEW, 700, 700)], &[]);
        check(&[listed(OLD, 0, 600), listed(NEW, 700, 729)], &[]);
        check(&[listed(OLD, 0, 600), listed(NEW, 700, 730)], &[OLD]);
        // One that was never renewed itself, but did not come in the same advertisement.
        check(&[listed(OLD, 600, 600), listed(NEW, 700, 730)], &[OLD]);
        check(&[listed(OLD, 600, 600), listed(NEW, 600, 690)], &[]);
        // As the kernel's count begins anew.
        let end = u32::MAX / SECOND;
        check(&[listed(OLD, 0, end - 9), listed(NEW, end, end + 40)], &[OLD]);
    }

    #[test]
    fn a_prefix_that_was_renewed_since_the_other_came_stays() {
        check(&[listed(OLD, 0, 701), listed(NEW, 700, 1300)], &[]);
        check(&[listed(OLD, 0, 1300), listed(NEW, 0, 1300)], &[]);
        check(&[listed(OLD, 0, 1300), listed(NEW, 1300, 1300)], &[]);
    }

    #[test]
    fn what_has_no_end_is_leased_or_elsewhere_takes_no_part() {
        let old = || listed(OLD, 0, 600);
        let new = || listed(NEW, 700, 900);
        let endless = |listed| with(listed, |a| (a.preferred, a.valid) = (None, None));
        let leased = |listed| with(listed, |a| a.prefix_length = 128);
        check(&[old(), new()], &[OLD]);
        for change in [endless, leased] {
            check(&[change(old()), new()], &[]);
            check(&[old(), change(new())], &[]);
        }
        check(&[old(), with(new(), |a| a.index = 3)], &[]);
        check(&[old(), with(new(), |a| a.valid = None)], &[]);
        check(&[old(), listed("fd00::1", 700, 900)], &[]);
        check(&[old(), Listed { stamps: None, ..new() }], &[]);
        // Two addresses of one prefix live and die together.
        check(&[old(), listed("2a00:1::2", 700, 900)], &[]);
        check(&[old(), listed("2a00:1::2", 0, 900), new()], &[]);
    }

    #[test]
    fn a_sibling_that_cannot_be_used_outlives_nobody() {
        for change in [
            |flags: &mut Flags| flags.tentative = true,
            |flags: &mut Flags| flags.dad_failed = true,
            |flags: &mut Flags| flags.deprecated = true,
            |flags: &mut Flags| flags.down = true,
        ] {
            let new = with(listed(NEW, 700, 900), |a| change(&mut a.flags));
            check(&[listed(OLD, 0, 600), new], &[]);
        }
    }

    #[test]
    fn a_temporary_address_shares_the_fate_of_its_prefix() {
        let temporary = |listed| with(listed, |a| a.flags.temporary = true);
        // The kernel gives a new temporary address the stamp of its prefix's last renewal.
        let (old, new) = (temporary(listed("2a00:1::7", 650, 600)), listed(NEW, 700, 900));
        check(&[listed(OLD, 0, 600), old.clone(), new], &[OLD, "2a00:1::7"]);
        // A new one of a prefix that is renewed seldom is no new prefix.
        let other = [listed(NEW, 0, 900), temporary(listed("2a00:2::7", 700, 900))];
        check(&[&[listed(OLD, 0, 600), old], &other[..]].concat(), &[]);
    }

    #[test]
    fn addresses_of_ipv4_with_an_end_are_judged_alike() {
        let of = |text: &str, created, renewed| {
            with(listed(text, created, renewed), |a| a.prefix_length = 24)
        };
        check(&[of("8.8.4.1", 0, 600), of("8.8.8.1", 700, 900)], &["8.8.4.1"]);
        check(&[of("8.8.4.1", 0, 600), of("8.8.4.2", 700, 900)], &[]);
    }

    /// A link whose prefixes are renewed, looked at now and then by somebody who publishes one.
    struct Link {
        /// For each prefix, its moments of renewal; the first is the one at which it came.
        renewals: [Vec<u32>; 2],
        known: Renewals,
        set: usize,
        /// When what is published changed.
        changes: Vec<u32>,
        /// How often what is remembered changed.
        writes: usize,
    }

    impl Link {
        fn new(old: impl IntoIterator<Item = u32>, new: impl IntoIterator<Item = u32>) -> Self {
            let renewals = [old.into_iter().collect(), new.into_iter().collect()];
            Self { renewals, known: Renewals::default(), set: 0, changes: vec![], writes: 0 }
        }

        /// Looks at those moments; what is set stays unless it alone is outlived.
        fn looked_at(mut self, moments: impl IntoIterator<Item = u32>) -> Self {
            for now in moments {
                let last = |renewals: &Vec<u32>| renewals.iter().copied().rfind(|at| *at <= now);
                let there = [OLD, NEW].into_iter().zip(&self.renewals);
                let there = there.filter_map(|(name, renewals)| {
                    Some(listed(name, *renewals.first()?, last(renewals)?))
                });
                let (judged, known) = self.known.judge(there.collect());
                self.writes += usize::from(known != self.known);
                self.known = known;
                let outlived = names(&judged);
                assert!(outlived.len() < 2, "{outlived:?} at {now}");
                if outlived.contains(&[OLD, NEW][self.set].to_owned()) {
                    self.set = 1 - self.set;
                    self.changes.push(now);
                }
            }
            self
        }
    }

    fn every(interval: u32, from: u32, to: u32) -> impl Iterator<Item = u32> {
        (from..to).step_by(interval as usize)
    }

    #[test]
    fn two_prefixes_that_are_both_renewed_do_not_flip_at_whatever_intervals() {
        for (one, other) in [(600, 600), (20, 600), (600, 20), (1800, 60), (60, 1800), (7, 200)] {
            for (from, look) in [(0, 300), (0, 7), (1, 60), (599, 300), (17, 1000)] {
                let day = 24 * 60 * MINUTE;
                let link = Link::new(every(one, 0, day), every(other, from, day));
                let link = link.looked_at(every(look, 0, day));
                // At most once: a new prefix looks like a router's that came back with it.
                let changes = &link.changes;
                assert!(changes.len() <= 1, "{one} {other} {from} {look}: {changes:?}");
                assert!(changes.iter().all(|at| *at <= 2 * one), "{one} {other}: {changes:?}");
                let sibling_is_late = from > 0 && other < one;
                assert!(changes.is_empty() || sibling_is_late, "{one} {other}: {changes:?}");
                assert!(link.writes <= 24, "{one} {other} {from} {look}: {}", link.writes);
            }
        }
    }

    #[test]
    fn a_router_that_goes_back_and_forth_is_followed_at_the_polls() {
        let old = every(600, 0, 7000).chain(every(600, 20_000, 30_000));
        let new = every(600, 7010, 19_500);
        let link = Link::new(old, new).looked_at(every(300, 0, 30_000));
        assert_eq!(link.changes, [7800, 20_700]);
    }

    #[test]
    fn of_two_that_were_both_renewed_the_silent_one_goes_after_three_of_its_intervals() {
        let link = Link::new(every(100, 0, 5050), every(70, 0, 9000));
        let link = link.looked_at(every(100, 0, 9000));
        assert_eq!(link.changes, [5400], "5000 was the last, and 300 later the other was renewed");
        // Looked at too seldom, the longest interval that routers may have counts.
        let link = Link::new(every(100, 0, 5050), every(70, 0, 21_000));
        let link = link.looked_at([4000, 6000, 10_300, 10_500, 12_000, 19_900, 20_200]);
        assert_eq!(link.changes, [20_200]);
        // What was never renewed may be somebody's own.
        let link = Link::new([10], every(70, 0, 90_000)).looked_at(every(300, 0, 90_000));
        assert_eq!(link.changes, [0; 0]);
    }

    #[test]
    fn a_wrong_guess_about_an_interval_is_made_once() {
        // A burst at the start, as routers do, and looks in the middle of it.
        let burst = |from: u32, interval| {
            [0, 5, 10, 16].into_iter().map(move |at| from + at).chain(every(interval, 500, 90_000))
        };
        let link = Link::new(burst(0, 600), burst(0, 150));
        let link = link.looked_at((0..20).chain(every(300, 300, 90_000)));
        assert!(link.changes.len() <= 1, "{:?}", link.changes);
    }

    #[test]
    fn a_prefix_alone_is_not_remembered() {
        let one = [listed(OLD, 0, 600), listed("fd00::1", 0, 600)];
        assert_eq!(Renewals::default().judge(one.to_vec()).1, Renewals::default());
        let two = [listed(OLD, 0, 600), listed(NEW, 0, 600)];
        let (_, known) = Renewals::default().judge(two.to_vec());
        assert_eq!(known.0.len(), 2);
        let after_a_restart = known.judge(vec![listed(OLD, 0, 30), listed(NEW, 1, 30)]).1;
        assert!(after_a_restart.0.iter().all(|(_, history)| history.measured == 0));
    }
}
