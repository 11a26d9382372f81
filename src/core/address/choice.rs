//! Choice: which of the kernel's addresses are published, and why each of the others is not.
//!
//! Pure: a snapshot of the kernel's addresses comes in, a verdict on each comes out. The sources say
//! which interfaces count; `address` knows which ranges may be published at all.

use std::cmp::Reverse;
use std::fmt;
use std::net::IpAddr;
use std::num::NonZeroUsize;
use std::time::Duration;

use super::{Addresses, Family, Special, special, unpublishable};
use crate::core::order::SortedSet;

/// An address as the kernel has it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct KernelAddress {
    /// The address itself: the local end of a point-to-point link.
    pub address: IpAddr,
    /// The length of its prefix in bits.
    pub prefix_length: u8,
    /// The name of its interface.
    pub interface: String,
    /// The number of its interface, which outlives a change of the name; 0 when unknown.
    pub index: u32,
    /// What the kernel notes about it.
    pub flags: Flags,
    /// How long it remains preferred; `None` is for ever.
    pub preferred: Option<Duration>,
    /// How long it remains valid; `None` is for ever.
    pub valid: Option<Duration>,
}

/// What the kernel notes about an address.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[expect(clippy::struct_excessive_bools, reason = "the kernel's flags are independent")]
pub struct Flags {
    /// Another machine of the link has it too (RFC 4862, section 5.4.5).
    pub dad_failed: bool,
    /// It is being phased out; not for new connections.
    pub deprecated: bool,
    /// Its interface is switched off.
    pub down: bool,
    /// Its interface has no carrier: no packet leaves or arrives by it. Set by the snapshot.
    pub no_carrier: bool,
    /// Its prefix is no longer renewed while another one of its interface is (see
    /// [`Renewals`](super::renewal::Renewals)). Set by the snapshot.
    pub outlived: bool,
    /// Not the first IPv4 address of its network on this interface.
    pub secondary: bool,
    /// Made for outgoing connections and soon replaced (RFC 8981).
    pub temporary: bool,
    /// Duplicate address detection has not ended, and it may not be used meanwhile (it is not
    /// optimistic, RFC 4429).
    pub tentative: bool,
}

/// The preferences of a source among its addresses.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Preferences {
    /// Whether private, shared, documentation and benchmarking addresses do where nothing is better.
    pub allow_private: bool,
    /// The greatest number of addresses to choose.
    pub count: NonZeroUsize,
    /// Whether temporary IPv6 addresses are better than stable ones.
    pub prefer_temporary: bool,
}

/// The verdict on one address.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum AddressVerdict {
    /// It is published.
    Chosen,
    /// It is not published, for this reason.
    PassedOver(Reason),
}

/// Why an address is not published.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Reason {
    /// Another machine has it too.
    DadFailed,
    /// It is deprecated and a better one is there.
    Deprecated,
    /// Its interface is switched off.
    Down,
    /// It is just as good as the chosen ones, which were preferred for this.
    JustAsGood(Tie),
    /// Its interface has no carrier, and a better one is there.
    NoCarrier,
    /// It is allowed but not global, and a global one is there.
    NotGlobal(Special),
    /// Its prefix is no longer renewed, and a better one is there.
    Outlived,
    /// It is a secondary one and a primary one is there.
    Secondary,
    /// It may not be published.
    Special(Special),
    /// It is stable and a temporary one is wanted.
    Stable,
    /// It is temporary and a stable one is there.
    Temporary,
    /// Duplicate address detection has not ended.
    Tentative,
}

/// The tie-break between addresses that are just as good.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Tie {
    /// The longer life time.
    LifeTime,
    /// The smaller number.
    Number,
    /// Being set at the provider.
    Set,
}

/// The chosen addresses, and the verdict on every address.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Choice {
    /// The addresses to publish.
    pub chosen: Option<Addresses>,
    /// Every address of the family with its verdict, in the kernel's order.
    pub judged: Vec<(KernelAddress, AddressVerdict)>,
    /// Whether a tentative address would be chosen if its duplicate address detection succeeded.
    pub awaits_verdict: bool,
}

/// The facts that can change a choice: everything that the kernel says except the life times, which
/// every router advertisement renews, and what follows from their renewals. Equal facts are no news.
#[derive(Clone, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Facts(SortedSet<(IpAddr, u8, u32, String, Flags)>);

impl Facts {
    /// The facts of `addresses`, in any order.
    pub fn of<'a>(addresses: impl IntoIterator<Item = &'a KernelAddress>) -> Self {
        let fact = |a: &KernelAddress| {
            let flags = Flags { outlived: false, ..a.flags };
            (a.address, a.prefix_length, a.index, a.interface.clone(), flags)
        };
        Self(addresses.into_iter().map(fact).collect())
    }
}

/// Chooses among the addresses of `family`; those of the other family are skipped.
///
/// Each row decides only between addresses that the rows above leave equal:
///
/// | question             | the better one                                         |
/// |----------------------|--------------------------------------------------------|
/// | may it be published? | yes; else never                                        |
/// | may it be used?      | yes; else never (interface down, duplicate, tentative) |
/// | global?              | global, before what `allow_private` lets in            |
/// | carrier?             | yes, before interfaces that are not plugged in         |
/// | stable? (IPv6)       | stable; temporary with `prefer_temporary`              |
/// | preferred?           | preferred, before deprecated                           |
/// | outlived?            | no, before those whose prefix is renewed no more       |
/// | primary? (IPv4)      | primary, before secondary                              |
/// | in `set_now`?        | the one that is set, however long the others live      |
/// | life time            | longer preferred, then longer valid                    |
/// | number               | the smaller                                            |
///
/// The rows down to *primary* make the class; the best `count` addresses of the best class are chosen.
/// Every router advertisement renews the remaining life times, so within a class the set address stays:
/// otherwise two prefixes would alternate for ever.
pub fn choose(
    addresses: &[KernelAddress],
    family: Family,
    preferences: Preferences,
    set_now: Option<&Addresses>,
) -> Choice {
    let own = addresses.iter().filter(|candidate| Family::of(candidate.address) == family);
    let ranked = own.map(|candidate| {
        let rank = Rank::of(candidate, preferences, set_now);
        (candidate, rank, excluded(candidate, preferences))
    });
    let ranked: Vec<_> = ranked.collect();
    let usable =
        || ranked.iter().filter(|(_, _, excluded)| excluded.is_none()).map(|(_, rank, _)| *rank);
    let next = |last: &Rank| usable().filter(|r| r > last && r.class() == last.class()).min();
    let mut last = usable().min();
    let mut room = preferences.count.get() - usize::from(last.is_some());
    // A few searches for the next best are less code than a sort.
    while room > 0
        && let Some(rank) = last.as_ref().and_then(next)
    {
        last = Some(rank);
        room -= 1;
    }
    let awaits_verdict = ranked.iter().any(|(_, rank, excluded)| {
        let wins = |last: Rank| *rank < last || room > 0 && rank.class() == last.class();
        *excluded == Some(Reason::Tentative) && last.is_none_or(wins)
    });
    let judge = |(candidate, rank, excluded): (&KernelAddress, Rank, Option<Reason>)| {
        let last = last.filter(|last| rank > *last);
        let reason = excluded.or_else(|| Some(rank.behind(&last?, candidate)));
        (candidate.clone(), reason.map_or(AddressVerdict::Chosen, AddressVerdict::PassedOver))
    };
    let judged: Vec<_> = ranked.into_iter().map(judge).collect();
    let chosen = judged.iter().filter(|(_, verdict)| *verdict == AddressVerdict::Chosen);
    let chosen = Addresses::new(chosen.map(|(candidate, _)| candidate.address));
    Choice { chosen, judged, awaits_verdict }
}

/// Why `candidate` cannot be chosen; `Tentative` only when nothing else is wrong with it.
fn excluded(candidate: &KernelAddress, preferences: Preferences) -> Option<Reason> {
    let Flags { dad_failed, down, tentative, .. } = candidate.flags;
    if let Some(special) = unpublishable(candidate.address, preferences.allow_private) {
        return Some(Reason::Special(special));
    }
    // The kernel leaves the tentative flag on an address whose detection has failed.
    let reasons =
        [(down, Reason::Down), (dad_failed, Reason::DadFailed), (tentative, Reason::Tentative)];
    reasons.into_iter().find_map(|(applies, reason)| applies.then_some(reason))
}

/// The rank of an address: the smaller, the better. The fields are the rows of the table.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
#[expect(clippy::struct_excessive_bools, reason = "each answers one question of the table")]
struct Rank {
    not_global: bool,
    no_carrier: bool,
    of_unwanted_kind: bool,
    deprecated: bool,
    outlived: bool,
    secondary: bool,
    not_set: bool,
    preferred: Reverse<Duration>,
    valid: Reverse<Duration>,
    address: IpAddr,
}

impl Rank {
    fn of(
        candidate: &KernelAddress,
        preferences: Preferences,
        set_now: Option<&Addresses>,
    ) -> Self {
        let Flags { deprecated, no_carrier, outlived, secondary, temporary, .. } = candidate.flags;
        let address = candidate.address;
        let life = |time: Option<Duration>| Reverse(time.unwrap_or(Duration::MAX));
        Self {
            not_global: special(address).is_some(),
            no_carrier,
            of_unwanted_kind: temporary != preferences.prefer_temporary,
            deprecated,
            outlived,
            secondary,
            not_set: !set_now.is_some_and(|set| set.contains(address)),
            preferred: life(candidate.preferred),
            valid: life(candidate.valid),
            address,
        }
    }

    /// The fields above the row *in `set_now`?*.
    fn class(&self) -> [bool; 6] {
        let Self { not_global, no_carrier, of_unwanted_kind, .. } = *self;
        let Self { deprecated, outlived, secondary, .. } = *self;
        [not_global, no_carrier, of_unwanted_kind, deprecated, outlived, secondary]
    }

    /// The first row of the table in which `candidate`, which has this rank, is behind `last`, the last
    /// one that is chosen.
    fn behind(&self, last: &Self, candidate: &KernelAddress) -> Reason {
        if let (Some(special), false) = (special(self.address), last.not_global) {
            return Reason::NotGlobal(special);
        }
        if self.no_carrier != last.no_carrier {
            Reason::NoCarrier
        } else if self.of_unwanted_kind != last.of_unwanted_kind {
            if candidate.flags.temporary { Reason::Temporary } else { Reason::Stable }
        } else if self.deprecated != last.deprecated {
            Reason::Deprecated
        } else if self.outlived != last.outlived {
            Reason::Outlived
        } else if self.secondary != last.secondary {
            Reason::Secondary
        } else if self.not_set != last.not_set {
            Reason::JustAsGood(Tie::Set)
        } else if (self.preferred, self.valid) != (last.preferred, last.valid) {
            Reason::JustAsGood(Tie::LifeTime)
        } else {
            Reason::JustAsGood(Tie::Number)
        }
    }
}

/// The flags in words, separated by commas: nothing when there are none.
impl fmt::Display for Flags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = [
            (self.dad_failed, "duplicate"),
            (self.deprecated, "deprecated"),
            (self.down, "down"),
            (self.no_carrier, "no carrier"),
            (self.outlived, "outlived"),
            (self.secondary, "secondary"),
            (self.temporary, "temporary"),
            (self.tentative, "tentative"),
        ];
        let set: Vec<_> =
            named.iter().filter(|(is_set, _)| *is_set).map(|(_, name)| *name).collect();
        f.write_str(&set.join(","))
    }
}

impl fmt::Display for AddressVerdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Chosen => f.write_str("chosen"),
            Self::PassedOver(reason) => write!(f, "passed over: {reason}"),
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DadFailed => f.write_str("another machine uses the same address"),
            Self::Deprecated => f.write_str("deprecated"),
            Self::Down => f.write_str("its interface is down"),
            Self::JustAsGood(tie) => write!(f, "just as good, but {tie}"),
            Self::NoCarrier => f.write_str("its interface has no carrier"),
            Self::NotGlobal(special) => write!(f, "{special}, and there is a global one"),
            Self::Outlived => {
                f.write_str("the router no longer announces its prefix, but announces another one")
            }
            Self::Secondary => f.write_str("secondary"),
            Self::Special(special) if special.may_be_allowed() => {
                write!(f, "{special}, and allow-private is off")
            }
            Self::Special(special) => write!(f, "{special}"),
            Self::Stable => f.write_str("stable, and a temporary one is preferred"),
            Self::Temporary => f.write_str("temporary"),
            Self::Tentative => {
                f.write_str("tentative: the kernel is still checking for duplicates")
            }
        }
    }
}

impl fmt::Display for Tie {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::LifeTime => "another one is valid for longer",
            Self::Number => "the other number is smaller",
            Self::Set => "another one is published now",
        })
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    const NO_FLAGS: Flags = Flags {
        dad_failed: false,
        deprecated: false,
        down: false,
        no_carrier: false,
        outlived: false,
        secondary: false,
        temporary: false,
        tentative: false,
    };
    const DEPRECATED: Flags = Flags { deprecated: true, ..NO_FLAGS };
    const SECONDARY: Flags = Flags { secondary: true, ..NO_FLAGS };
    const TEMPORARY: Flags = Flags { temporary: true, ..NO_FLAGS };
    const TENTATIVE: Flags = Flags { tentative: true, ..NO_FLAGS };

    const DEFAULT: Preferences =
        Preferences { allow_private: false, count: NonZeroUsize::MIN, prefer_temporary: false };
    const PRIVATE: Preferences = Preferences { allow_private: true, ..DEFAULT };
    const TWO: Preferences = Preferences { count: NonZeroUsize::new(2).unwrap(), ..DEFAULT };
    const EIGHT: Preferences = Preferences { count: NonZeroUsize::new(8).unwrap(), ..DEFAULT };

    fn parsed(address: &str) -> IpAddr {
        address.parse().unwrap()
    }

    fn with(address: &str, flags: Flags) -> KernelAddress {
        KernelAddress {
            address: parsed(address),
            prefix_length: 64,
            interface: "eth0".to_owned(),
            index: 2,
            flags,
            preferred: None,
            valid: None,
        }
    }

    fn plain(address: &str) -> KernelAddress {
        with(address, NO_FLAGS)
    }

    pub(in crate::core) fn living(address: &str, seconds: u64) -> KernelAddress {
        let life = Some(Duration::from_secs(seconds));
        KernelAddress { preferred: life, valid: life, ..plain(address) }
    }

    /// Chooses among `addresses`, in this order and turned round, with `set` at the provider.
    ///
    /// The family is that of the first address; addresses are separated by commas.
    #[track_caller]
    fn check(addresses: &[KernelAddress], want: Preferences, set: &str, expect: &str) -> Choice {
        let family = Family::of(addresses[0].address);
        let set = Addresses::new(set.split_terminator(',').map(parsed));
        let choice = choose(addresses, family, want, set.as_ref());
        let expect = Addresses::new(expect.split_terminator(',').map(parsed));
        assert_eq!(choice.chosen, expect, "{:#?}", choice.judged);
        let turned: Vec<_> = addresses.iter().rev().cloned().collect();
        assert_eq!(choose(&turned, family, want, set.as_ref()).chosen, expect, "turned round");
        choice
    }

    /// The reason why `address` was passed over.
    #[track_caller]
    fn reason(choice: &Choice, address: &str) -> Reason {
        let of = parsed(address);
        let verdict = choice.judged.iter().find(|(judged, _)| judged.address == of);
        match verdict.expect("every address is judged").1 {
            AddressVerdict::PassedOver(reason) => reason,
            AddressVerdict::Chosen => panic!("{address} was chosen"),
        }
    }

    #[test]
    fn a_global_address_comes_before_what_is_private() {
        let choice = check(&[plain("fd00::1"), plain("2a00::9")], PRIVATE, "fd00::1", "2a00::9");
        assert_eq!(reason(&choice, "fd00::1"), Reason::NotGlobal(Special::Private));
        let shared = with("2a00::9", Flags { deprecated: true, temporary: true, ..NO_FLAGS });
        check(&[plain("fd00::1"), shared], PRIVATE, "", "2a00::9");
    }

    #[test]
    fn private_addresses_are_chosen_only_when_allowed() {
        let choice = check(&[plain("fd00::1")], DEFAULT, "", "");
        assert_eq!(reason(&choice, "fd00::1"), Reason::Special(Special::Private));
        check(&[plain("fd00::1")], PRIVATE, "", "fd00::1");
        check(&[plain("192.168.1.2")], DEFAULT, "192.168.1.2", "");
        check(&[plain("192.168.1.2"), plain("8.8.8.8")], PRIVATE, "", "8.8.8.8");
        check(&[plain("fe80::1"), plain("::1")], PRIVATE, "fe80::1", "");
    }

    #[test]
    fn among_private_addresses_the_range_does_not_matter() {
        let addresses = [plain("10.0.0.1"), plain("100.64.0.1"), plain("192.0.2.1")];
        check(&addresses, PRIVATE, "192.0.2.1", "192.0.2.1");
        check(&addresses, PRIVATE, "100.64.0.1", "100.64.0.1");
    }

    #[test]
    fn a_stable_address_comes_before_a_temporary_one() {
        let addresses = [with("2a00::1", TEMPORARY), living("2a00::2", 9)];
        let choice = check(&addresses, DEFAULT, "2a00::1", "2a00::2");
        assert_eq!(reason(&choice, "2a00::1"), Reason::Temporary);
    }

    #[test]
    fn a_temporary_address_will_do_where_nothing_is_better() {
        check(&[with("2a00::1", TEMPORARY), plain("fd00::1")], PRIVATE, "", "2a00::1");
    }

    #[test]
    fn a_temporary_address_comes_first_when_it_is_preferred() {
        let want = Preferences { prefer_temporary: true, ..DEFAULT };
        let addresses = [with("2a00::1", TEMPORARY), plain("2a00::2")];
        let choice = check(&addresses, want, "2a00::2", "2a00::1");
        assert_eq!(reason(&choice, "2a00::2"), Reason::Stable);
        check(&[plain("8.8.8.8"), with("8.8.4.4", SECONDARY)], want, "8.8.4.4", "8.8.8.8");
    }

    #[test]
    fn a_temporary_address_that_rotates_changes_nothing() {
        let before = [with("2a00::5", TEMPORARY), plain("2a00::9")];
        let old = with("2a00::5", Flags { deprecated: true, ..TEMPORARY });
        let after = [with("2a00::1", TEMPORARY), old, plain("2a00::9")];
        check(&before, DEFAULT, "", "2a00::9");
        check(&after, DEFAULT, "2a00::9", "2a00::9");
    }

    #[test]
    fn the_deprecated_address_of_an_old_prefix_gives_way() {
        let addresses = [with("2a00:1::1", DEPRECATED), living("2a00:2::1", 60)];
        let choice = check(&addresses, DEFAULT, "2a00:1::1", "2a00:2::1");
        assert_eq!(reason(&choice, "2a00:1::1"), Reason::Deprecated);
    }

    #[test]
    fn a_deprecated_address_will_do_where_nothing_is_better() {
        check(&[with("2a00:1::1", DEPRECATED)], DEFAULT, "", "2a00:1::1");
        let addresses = [with("2a00:1::1", DEPRECATED), with("2a00:2::1", TEMPORARY)];
        check(&addresses, DEFAULT, "", "2a00:1::1");
    }

    #[test]
    fn an_address_without_a_carrier_will_do_where_nothing_is_better() {
        let dead = Flags { no_carrier: true, ..NO_FLAGS };
        let addresses = [with("2a00::1", dead), with("2a00::2", DEPRECATED)];
        let choice = check(&addresses, DEFAULT, "2a00::1", "2a00::2");
        assert_eq!(reason(&choice, "2a00::1"), Reason::NoCarrier);
        check(&[with("2a00::1", dead), plain("fd00::1")], PRIVATE, "", "2a00::1");
    }

    #[test]
    fn an_address_whose_prefix_is_outlived_gives_way_though_it_is_set_and_lives_longer() {
        let outlived = Flags { outlived: true, ..NO_FLAGS };
        let old = KernelAddress { flags: outlived, ..living("2a00:1::1", 86_400) };
        let choice =
            check(&[old.clone(), living("2a00:2::1", 60)], DEFAULT, "2a00:1::1", "2a00:2::1");
        assert_eq!(reason(&choice, "2a00:1::1"), Reason::Outlived);
        check(&[old.clone(), living("2a00:2::1", 60)], TWO, "2a00:1::1", "2a00:2::1");
        check(&[old.clone(), with("2a00:2::1", DEPRECATED)], DEFAULT, "", "2a00:1::1");
        check(&[old.clone(), with("2a00:2::1", TEMPORARY)], DEFAULT, "", "2a00:1::1");
        check(&[old], DEFAULT, "", "2a00:1::1");
    }

    #[test]
    fn the_address_that_is_set_stays_while_it_is_as_good_as_any() {
        let addresses = [plain("2a00::1"), living("2a00::2", 5), living("2a00::3", 7)];
        let choice = check(&addresses, DEFAULT, "2a00::2", "2a00::2");
        assert_eq!(reason(&choice, "2a00::1"), Reason::JustAsGood(Tie::Set));
        check(&[plain("8.8.4.4"), plain("8.8.8.8")], DEFAULT, "8.8.8.8", "8.8.8.8");
    }

    #[test]
    fn two_prefixes_do_not_flip_as_their_life_times_are_renewed() {
        let mut set = String::new();
        for second in 0..100 {
            let addresses =
                [living("2a00:1::1", 1800 - second % 7), living("2a00:2::1", 1800 - second % 5)];
            let choice = choose(
                &addresses,
                Family::V6,
                DEFAULT,
                Addresses::new(set.parse::<IpAddr>()).as_ref(),
            );
            let chosen = choice.chosen.unwrap().to_string();
            assert!(set.is_empty() || set == chosen, "flipped to {chosen} at {second}");
            set = chosen;
        }
    }

    #[test]
    fn a_first_choice_takes_the_longest_life_and_then_the_smallest_number() {
        let choice = check(&[living("2a00::1", 60), living("2a00::2", 61)], DEFAULT, "", "2a00::2");
        assert_eq!(reason(&choice, "2a00::1"), Reason::JustAsGood(Tie::LifeTime));
        check(&[living("2a00::1", u64::MAX), plain("2a00::2")], DEFAULT, "", "2a00::2");
        let valid = KernelAddress { valid: None, ..living("2a00::2", 60) };
        check(&[living("2a00::1", 60), valid], DEFAULT, "", "2a00::2");
        let choice = check(&[plain("2a00::1"), plain("2a00::2")], DEFAULT, "2a00::7", "2a00::1");
        assert_eq!(reason(&choice, "2a00::2"), Reason::JustAsGood(Tie::Number));
    }

    #[test]
    fn a_primary_ipv4_address_comes_before_a_secondary_one() {
        let addresses = [with("8.8.4.4", SECONDARY), plain("8.8.8.8")];
        let choice = check(&addresses, DEFAULT, "8.8.4.4", "8.8.8.8");
        assert_eq!(reason(&choice, "8.8.4.4"), Reason::Secondary);
    }

    #[test]
    fn an_address_in_use_elsewhere_or_on_an_interface_that_is_down_is_never_chosen() {
        let duplicate = Flags { dad_failed: true, tentative: true, ..NO_FLAGS };
        let down = Flags { down: true, ..NO_FLAGS };
        let addresses = [with("2a00::1", duplicate), with("2a00::2", down)];
        let choice = check(&addresses, DEFAULT, "2a00::1", "");
        assert_eq!(reason(&choice, "2a00::1"), Reason::DadFailed);
        assert_eq!(reason(&choice, "2a00::2"), Reason::Down);
        assert!(!choice.awaits_verdict);
    }

    #[test]
    fn a_tentative_address_is_awaited_when_it_would_win() {
        let new = with("2a00:2::1", TENTATIVE);
        let choice = check(&[with("2a00:1::1", DEPRECATED), new.clone()], DEFAULT, "", "2a00:1::1");
        assert!(choice.awaits_verdict);
        assert_eq!(reason(&choice, "2a00:2::1"), Reason::Tentative);
        assert!(check(std::slice::from_ref(&new), DEFAULT, "", "").awaits_verdict);
        assert!(
            check(&[plain("2a00:1::1"), new], DEFAULT, "2a00:2::1", "2a00:1::1").awaits_verdict
        );
    }

    #[test]
    fn a_tentative_address_that_could_not_win_is_not_awaited() {
        let set = plain("2a00::9");
        for hopeless in [
            with("2a00::1", TENTATIVE),
            with("2a00::1", Flags { temporary: true, ..TENTATIVE }),
            with("2a00::1", Flags { down: true, ..TENTATIVE }),
            with("fe80::1", TENTATIVE),
        ] {
            let choice = check(&[set.clone(), hopeless], DEFAULT, "2a00::9", "2a00::9");
            assert!(!choice.awaits_verdict, "{choice:?}");
        }
        assert!(!check(&[with("fe80::1", TENTATIVE)], DEFAULT, "", "").awaits_verdict);
    }

    #[test]
    fn a_new_prefix_takes_over_when_its_duplicate_address_detection_has_ended() {
        let old = with("2a00:1::1", DEPRECATED);
        let tentative = with("2a00:2::1", TENTATIVE);
        let during = check(&[old.clone(), tentative], DEFAULT, "2a00:1::1", "2a00:1::1");
        assert!(during.awaits_verdict);
        let after = check(&[old, plain("2a00:2::1")], DEFAULT, "2a00:1::1", "2a00:2::1");
        assert!(!after.awaits_verdict);
        assert_eq!(reason(&after, "2a00:1::1"), Reason::Deprecated);
    }

    #[test]
    fn a_preferred_temporary_address_is_followed_when_it_rotates() {
        let want = Preferences { prefer_temporary: true, ..DEFAULT };
        let old = with("2a00::5", Flags { deprecated: true, ..TEMPORARY });
        let addresses = [old.clone(), with("2a00::7", TEMPORARY), plain("2a00::1")];
        let choice = check(&addresses, want, "2a00::5", "2a00::7");
        assert_eq!(reason(&choice, "2a00::5"), Reason::Deprecated);
        let choice = check(&[old, plain("2a00::1")], want, "2a00::5", "2a00::5");
        assert_eq!(reason(&choice, "2a00::1"), Reason::Stable);
    }

    #[test]
    fn a_secondary_ipv4_address_that_is_promoted_is_chosen() {
        let before = [plain("8.8.8.8"), with("8.8.4.4", SECONDARY), with("8.8.4.5", SECONDARY)];
        check(&before, DEFAULT, "8.8.8.8", "8.8.8.8");
        check(&[plain("8.8.4.4"), with("8.8.4.5", SECONDARY)], DEFAULT, "8.8.8.8", "8.8.4.4");
        check(&before[1..], DEFAULT, "8.8.4.5", "8.8.4.5");
    }

    #[test]
    fn several_addresses_are_the_best_of_the_best_class() {
        let addresses = [
            living("2a00::1", 60),
            living("2a00::2", 70),
            living("2a00::3", 80),
            with("2a00::4", TEMPORARY),
            with("2a00::5", DEPRECATED),
            plain("fd00::1"),
        ];
        let choice = check(&addresses, TWO, "", "2a00::2,2a00::3");
        assert_eq!(reason(&choice, "2a00::1"), Reason::JustAsGood(Tie::LifeTime));
        assert_eq!(reason(&choice, "2a00::4"), Reason::Temporary);
        let choice = check(&addresses, EIGHT, "2a00::4", "2a00::1,2a00::2,2a00::3");
        assert_eq!(reason(&choice, "2a00::5"), Reason::Deprecated);
        check(&[plain("8.8.8.8"), with("8.8.4.4", SECONDARY)], TWO, "8.8.4.4", "8.8.8.8");
        check(&[with("2a00::4", TENTATIVE)], TWO, "", "");
    }

    #[test]
    fn of_several_addresses_those_that_are_set_stay() {
        let addresses = [plain("2a00::1"), living("2a00::2", 5), living("2a00::3", 7)];
        let choice = check(&addresses, TWO, "2a00::2,2a00::3", "2a00::2,2a00::3");
        assert_eq!(reason(&choice, "2a00::1"), Reason::JustAsGood(Tie::Set));
        check(&addresses, TWO, "2a00::2,2a00::9", "2a00::1,2a00::2");
        check(&addresses, DEFAULT, "2a00::2,2a00::3", "2a00::3");
    }

    #[test]
    fn a_tentative_address_is_awaited_when_there_is_room_for_it() {
        let addresses = [plain("2a00::1"), with("2a00::2", TENTATIVE)];
        assert!(check(&addresses, TWO, "2a00::1", "2a00::1").awaits_verdict);
        assert!(!check(&addresses, DEFAULT, "2a00::1", "2a00::1").awaits_verdict);
        let full = [plain("2a00::1"), plain("2a00::3"), with("2a00::2", TENTATIVE)];
        let set = "2a00::1,2a00::3";
        assert!(!check(&full, TWO, set, set).awaits_verdict);
        let worse = [plain("2a00::1"), with("2a00::2", Flags { temporary: true, ..TENTATIVE })];
        assert!(!check(&worse, TWO, "2a00::1", "2a00::1").awaits_verdict);
    }

    #[test]
    fn every_address_of_the_family_is_judged_in_the_order_given() {
        let addresses =
            [plain("fe80::1"), plain("8.8.8.8"), with("2a00::1", TEMPORARY), plain("2a00::2")];
        let choice = check(&addresses, DEFAULT, "", "2a00::2");
        let table: Vec<_> =
            choice.judged.iter().map(|(a, verdict)| format!("{} {verdict}", a.address)).collect();
        assert_eq!(
            table,
            ["fe80::1 passed over: link-local", "2a00::1 passed over: temporary", "2a00::2 chosen"]
        );
    }

    #[test]
    fn no_address_is_no_choice() {
        assert_eq!(choose(&[], Family::V6, DEFAULT, None), Choice::default());
        assert_eq!(choose(&[plain("8.8.8.8")], Family::V6, DEFAULT, None), Choice::default());
    }

    #[test]
    fn facts_know_neither_life_times_nor_order() {
        let facts = |addresses: &[KernelAddress]| Facts::of(addresses);
        let before = facts(&[living("2a00::1", 60), plain("8.8.8.8")]);
        assert_eq!(before, facts(&[plain("8.8.8.8"), living("2a00::1", 1800)]));
        assert_ne!(before, facts(&[plain("8.8.8.8")]));
        assert_ne!(before, facts(&[plain("8.8.8.8"), with("2a00::1", DEPRECATED)]));
        let renamed = KernelAddress { interface: "wan".to_owned(), ..plain("2a00::1") };
        assert_ne!(before, facts(&[plain("8.8.8.8"), renamed]));
    }

    #[test]
    fn flags_are_told_in_words() {
        assert_eq!(Flags { deprecated: true, ..TEMPORARY }.to_string(), "deprecated,temporary");
        assert_eq!(NO_FLAGS.to_string(), "");
    }
}
