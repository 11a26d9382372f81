//! The line and the kernel: the addresses that the machine has, and those at which it is reached.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};

use homing::core::address::PerFamily;

use super::{Event, World};
use crate::years::MINUTE;
use crate::years::faults::Kind;
use crate::years::kernel::{CHECK, Prefix};

impl World {
    pub(super) fn renumber_v4(&mut self) {
        self.numbers += 1;
        let [high, low] = self.numbers.to_be_bytes();
        let new = Ipv4Addr::new(9, 9, high, low);
        match &mut self.behind_nat {
            // Nobody tells the machine.
            Some(public) => *public = new,
            None => {
                self.kernel.v4 = Some(new);
                self.after(0, Event::Kernel);
            }
        }
    }

    pub(super) fn renumber_v6(&mut self, withdrawn: bool) {
        let steady = self.steady();
        if self.kernel.prefixes.is_empty() {
            return;
        }
        if self.asleep_since.is_some() {
            // What was announced and given up while the machine slept never reached it.
            self.kernel.prefixes.retain(|prefix| !prefix.is_new(steady));
        }
        self.kernel.prefixes.iter_mut().for_each(|prefix| prefix.end(steady, withdrawn));
        self.bring_v6();
    }

    /// Announces a new prefix.
    pub(super) fn bring_v6(&mut self) {
        self.numbers += 1;
        let interval = (3 + self.chance.below(27)) * MINUTE;
        self.kernel.prefixes.push(Prefix::new(self.numbers, self.steady(), interval));
        self.after(0, Event::Kernel);
        self.after(CHECK, Event::Kernel);
    }

    pub(super) fn tell_of_kernel(&mut self) {
        let steady = self.steady();
        self.kernel.let_end(steady);
        if let Some(process) = &mut self.process {
            process.kernel_told = true;
        }
    }

    /// The addresses at which the machine is reached.
    pub(super) fn reached(&self) -> PerFamily<Option<IpAddr>> {
        let v4 = self.behind_nat.or(self.kernel.v4).filter(|_| self.kernel.carrier);
        PerFamily { v4: v4.map(IpAddr::V4), v6: self.kernel.reached_v6(self.steady()) }
    }

    /// Whether nothing outside can be reached.
    pub(super) fn is_cut_off(&self) -> bool {
        !self.kernel.carrier || self.is_active(Kind::Upstream).is_some()
    }

    pub(super) fn note_addresses(&mut self) {
        if self.is_off || self.asleep_since.is_some() {
            return;
        }
        let mut addresses: BTreeSet<IpAddr> = BTreeSet::new();
        if self.kernel.carrier {
            addresses.extend(self.kernel.addresses(self.steady()));
            addresses.extend(self.behind_nat.map(IpAddr::V4));
        }
        self.journal.note_addresses(self.now, addresses);
    }
}
