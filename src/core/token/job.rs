//! Jobs: what a credential is for, where its provider makes one for each host or zone.

use super::{Api, Duty, Rule, wanted};
use crate::core::name::Hostname;
use crate::core::order;
use crate::core::time::Timestamp;

/// A credential's job at one host.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Record {
    /// The duty.
    pub duty: Duty,
    /// The id of its zone at the provider, such as `Z0123456789`.
    pub zone_id: String,
    /// Whether its records may be deleted, too; for this they must be listed first.
    pub removes: bool,
}

/// A credential's job: its hosts, and the limits that it has.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Job {
    /// The hosts' records, at least one.
    pub records: Vec<Record>,
    /// When it ends, in whole seconds.
    pub expires: Option<Timestamp>,
    /// The networks that it may be used from; `None` is everywhere.
    pub subnets: Option<Vec<String>>,
}

impl Job {
    /// The duties of the hosts.
    pub fn duties(&self) -> Vec<Duty> {
        self.records.iter().map(|record| record.duty.clone()).collect()
    }

    /// The zones of the hosts, sorted, each once.
    pub fn zones(&self) -> Vec<Hostname> {
        zones_of(&self.duties())
    }

    /// What it allows, in the form of rules.
    pub fn rules(&self) -> Vec<Rule> {
        let mut rules = wanted(Api::Rows, &self.duties());
        rules.retain(|rule| !rule.is_default());
        rules
    }
}

/// The zones of `duties`, sorted, each once.
pub fn zones_of(duties: &[Duty]) -> Vec<Hostname> {
    let mut zones: Vec<Hostname> = duties.iter().map(|duty| duty.zone.clone()).collect();
    order::sort(&mut zones);
    zones.dedup();
    zones
}
