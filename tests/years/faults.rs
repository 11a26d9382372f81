//! Faults: what goes wrong in a simulated world, and when.
//!
//! Each kind has a random stream of its own, so that a kind that is switched off leaves the others as
//! they are. Faults come in cycles: some hours of them, then quiet in which everything has to get right.

use std::collections::BTreeSet;

use super::{DAY, HOUR, MINUTE, Millis, SECOND};
use crate::support::chance::Chance;

/// The length of a cycle.
pub const CYCLE: Millis = 3 * DAY;

/// The part of a cycle in which faults begin, and that in which the last one ends.
const BEGINS: Millis = 40 * HOUR;
const ENDS: Millis = 44 * HOUR;

/// The kinds of faults, and of what is no fault and has to be borne even so.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Kind {
    /// The line gets another IPv4 address.
    Addresses,
    /// A provider has too many requests at this instant.
    Busy,
    /// The wall clock is set ahead or back, and put right again.
    ClockJumps,
    /// The machine starts without a clock that is set.
    ClockUnset,
    /// A credential is refused until a person replaces it.
    Credentials,
    /// The router starts anew with another prefix and never withdraws the old one.
    DeadPrefixes,
    /// Nothing can be saved.
    DiskFull,
    /// Somebody else changes a record whose servers are asked.
    Drifts,
    /// A service outside tells a wrong address.
    EchoesLie,
    /// Some services outside do not answer.
    EchoesSilent,
    /// The machine has no IPv6.
    FamilyGone,
    /// The process is killed.
    Kills,
    /// The process is killed again and again, a moment after its start.
    KillsInARow,
    /// The line has no carrier.
    Link,
    /// Answers of a provider are lost, with and without what they were about.
    LostAnswers,
    /// Other machines use up what a provider allows a zone.
    Neighbours,
    /// A provider cannot be reached.
    Outage,
    /// A provider, or somebody before it, answers with web pages.
    Pages,
    /// The machine loses its power.
    PowerLoss,
    /// The line gets another prefix, and the old one is withdrawn.
    Prefixes,
    /// A credential may not write one host.
    Rights,
    /// A provider fails with an error of its own, with and without what it was asked for.
    ServerErrors,
    /// A person sends signals.
    Signals,
    /// A provider takes its time.
    Slowness,
    /// The state is gone at the next start.
    StateLost,
    /// The machine is suspended.
    Suspends,
    /// The line leads nowhere, although it has a carrier.
    Upstream,
    /// A tunnel takes the default route of IPv4.
    Vpn,
}

impl Kind {
    /// All kinds; a new one comes last, so that the others keep their chance.
    pub const ALL: [Self; 28] = [
        Self::Addresses,
        Self::Busy,
        Self::ClockJumps,
        Self::ClockUnset,
        Self::Credentials,
        Self::DeadPrefixes,
        Self::DiskFull,
        Self::EchoesLie,
        Self::EchoesSilent,
        Self::FamilyGone,
        Self::Kills,
        Self::KillsInARow,
        Self::Link,
        Self::LostAnswers,
        Self::Neighbours,
        Self::Outage,
        Self::Pages,
        Self::PowerLoss,
        Self::Prefixes,
        Self::Rights,
        Self::ServerErrors,
        Self::Signals,
        Self::Slowness,
        Self::StateLost,
        Self::Suspends,
        Self::Upstream,
        Self::Vpn,
        Self::Drifts,
    ];

    /// The mean time between two of a kind, and the shortest and the longest time that one lasts.
    fn habit(self) -> (Millis, Millis, Millis) {
        match self {
            Self::Addresses => (5 * HOUR, 0, 0),
            Self::Prefixes => (9 * HOUR, 0, 0),
            Self::DeadPrefixes => (30 * HOUR, 0, 0),
            Self::Kills => (6 * HOUR, SECOND, MINUTE),
            Self::KillsInARow => (40 * HOUR, MINUTE, 20 * MINUTE),
            Self::PowerLoss => (20 * HOUR, 20 * SECOND, HOUR),
            Self::StateLost => (60 * HOUR, 5 * SECOND, MINUTE),
            Self::Signals => (8 * HOUR, 0, 0),
            Self::Suspends => (16 * HOUR, MINUTE, 9 * HOUR),
            Self::ClockJumps => (18 * HOUR, 5 * SECOND, 5 * HOUR),
            Self::ClockUnset => (40 * HOUR, 30 * SECOND, 3 * HOUR),
            Self::DiskFull => (20 * HOUR, MINUTE, 4 * HOUR),
            Self::Link => (10 * HOUR, SECOND, 3 * HOUR),
            Self::Upstream => (18 * HOUR, MINUTE, 3 * HOUR),
            Self::FamilyGone => (24 * HOUR, MINUTE, 6 * HOUR),
            Self::Vpn => (20 * HOUR, MINUTE, 6 * HOUR),
            Self::EchoesLie => (10 * HOUR, MINUTE, 8 * HOUR),
            Self::EchoesSilent => (10 * HOUR, MINUTE, 5 * HOUR),
            Self::Credentials => (30 * HOUR, 10 * MINUTE, 12 * HOUR),
            Self::Drifts => (60 * HOUR, 0, 0),
            Self::Rights => (50 * HOUR, 10 * MINUTE, 6 * HOUR),
            Self::Neighbours => (18 * HOUR, 10 * MINUTE, 6 * HOUR),
            Self::Busy | Self::Pages => (14 * HOUR, SECOND, 2 * HOUR),
            Self::LostAnswers | Self::ServerErrors => (8 * HOUR, MINUTE, 4 * HOUR),
            Self::Outage => (9 * HOUR, MINUTE, 6 * HOUR),
            Self::Slowness => (10 * HOUR, MINUTE, 5 * HOUR),
        }
    }
}

/// One fault.
#[derive(Clone, Copy, Debug)]
pub struct Fault {
    /// Its kind.
    pub kind: Kind,
    /// When it begins.
    pub begin: Millis,
    /// When it ends; the same moment where it only happens.
    pub end: Millis,
    /// What else about it is chance.
    pub choice: u64,
}

/// The faults of `kinds` in the first `days`, in the order in which they begin.
pub fn schedule(seed: u64, kinds: &BTreeSet<Kind>, days: u64) -> Vec<Fault> {
    let mut faults: Vec<Fault> = kinds.iter().flat_map(|kind| of_kind(seed, *kind, days)).collect();
    faults.sort_by_key(|fault| (fault.begin, fault.kind));
    faults
}

fn of_kind(seed: u64, kind: Kind, days: u64) -> Vec<Fault> {
    let stream = Kind::ALL.iter().position(|known| *known == kind).unwrap_or_default();
    let mut chance = Chance::of(seed, stream as u64);
    let (gap, shortest, longest) = kind.habit();
    let mut faults = Vec::new();
    for cycle in (0..days * DAY).step_by(usize::try_from(CYCLE).unwrap_or(usize::MAX)) {
        let mut begin = cycle;
        loop {
            begin += gap / 4 + chance.below(gap * 3 / 2);
            let whole = longest - shortest;
            // Short faults are as frequent as long ones.
            let part = whole >> chance.below(6);
            let lasts = shortest + chance.below(part + 1);
            let choice = chance.below(u64::MAX);
            if begin >= cycle + BEGINS {
                break;
            }
            let end = (begin + lasts).min(cycle + ENDS);
            faults.push(Fault { kind, begin, end, choice });
            begin = end;
        }
    }
    faults.retain(|fault| fault.begin < days * DAY);
    faults
}
