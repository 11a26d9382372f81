//! The zone of each host, named by the account and never guessed; registered first if the command
//! names it.

use super::DesecIssuer;
use crate::core::name::Hostname;
use crate::core::nearest::nearest;
use crate::core::order::SortedSet;
use crate::core::outcome::{Refusal, Rejection};
use crate::core::token::{Api, Duty, GIVEN_AWAY, full_name, is_public, zone_to_register};
use crate::provider::Trouble;
use crate::provider::desec::Zone;
use crate::token::Failure;
use crate::token::holder::Holder;

impl DesecIssuer<'_> {
    /// The duties of the hosts' token, with the zone that the account names for each host.
    pub(super) async fn duties(&mut self, holder: &Holder<'_>) -> Result<Vec<Duty>, Failure> {
        let mut duties = Vec::new();
        for host in &holder.hosts {
            let families = host.host.in_use();
            if !families.v4 && !families.v6 {
                continue;
            }
            let name = &host.host.key.host;
            let zone = self.zone(name).await?;
            duties.push(Duty { host: name.clone(), zone, families });
        }
        if let Some(duty) = duties.iter().find(|duty| self.api == Api::Zones && !duty.is_zone()) {
            let (host, zone) = (&duty.host, &duty.zone);
            return Err(Failure::rejected(
                format!(
                    "this server can bind a token to a whole zone only: one for {host} could write \
                     {zone} and every name below it"
                ),
                format!(
                    "make {host} a zone of its own: `homing token issue {host} --create-domain \
                     {host}`"
                ),
            )
            .leaving("nothing was changed"));
        }
        Ok(duties)
    }

    /// The zone that is responsible for `host`, registered first if the command asks for it.
    async fn zone(&mut self, host: &Hostname) -> Result<Hostname, Failure> {
        let owner = self.account.zone_of(host).await.map_err(|trouble| {
            let failure = self.failed(&trouble, &format!("asking for the zone of {host}"));
            failure.leaving("nothing was changed")
        })?;
        let wish = self.command.create_domain.as_ref().filter(|zone| host.is_within(zone));
        match (owner, wish) {
            (Some(owner), None) => Ok(owner),
            // The zone is there already, or a zone that is closer to the host.
            (Some(owner), Some(wish)) if owner.is_within(wish) => {
                if owner == *wish {
                    self.tell_keys(&owner).await;
                }
                Ok(owner)
            }
            (owner, Some(wish)) => {
                let wish = wish.clone();
                self.register(&wish, owner.as_ref()).await?;
                Ok(wish)
            }
            (None, None) => {
                let next = match self.meant(host).await {
                    Some((meant, zone)) => format!(
                        "did you mean {meant}? This account has the zone {zone}: correct the name \
                         in its [[host]]"
                    ),
                    None => format!(
                        "is this the management token of the right account? If so, register a zone \
                         first: `homing token issue {host} --create-domain {}`",
                        zone_to_register(host)
                    ),
                };
                let what = format!("no zone of this account holds {host}");
                Err(Failure::rejected(what, next).leaving("nothing was changed"))
            }
        }
    }

    /// A correction of `host` and its zone: a zone of the account that is close to an end of `host`.
    async fn meant(&self, host: &Hostname) -> Option<(String, String)> {
        // If the zones cannot be listed, there is no guess.
        let zones = self.account.zones().await.ok()?;
        let mut end = host.as_str();
        loop {
            let labels = |name: &str| name.matches('.').count();
            let alike = zones.iter().map(|zone| zone.name.as_str());
            let alike = alike.filter(|zone| labels(zone) == labels(end) && labels(zone) > 0);
            if let Some(zone) = nearest(end, alike) {
                let before = host.as_str().strip_suffix(end)?;
                return Some((format!("{before}{zone}"), zone.to_owned()));
            }
            (_, end) = end.split_once('.')?;
        }
    }

    /// Registers `zone`; prints what its parent needs and which names move into it.
    async fn register(&mut self, zone: &Hostname, owner: Option<&Hostname>) -> Result<(), Failure> {
        self.tell(&format!("+ zone {zone}"));
        if let Some(owner) = owner {
            let sets = self.account.record_sets(owner).await;
            let sets = sets.map_err(|trouble| self.failed(&trouble, "reading the parent zone"))?;
            let names = sets
                .iter()
                .map(|set| full_name(&set.subname, owner.as_str()))
                .filter(|name| name == zone.as_str() || name.ends_with(&format!(".{zone}")));
            for name in names.collect::<SortedSet<_>>() {
                self.tell(&format!(
                    "  ! {name} moves from {owner} into the new zone, which is empty: its records \
                     must be set there again, and its token issued anew"
                ));
            }
        }
        if self.command.dry_run {
            self.tell(&format!("  {}", above(zone, owner)));
            return Ok(());
        }
        let made = self.account.create_zone(zone).await;
        let made = made.map_err(|trouble| self.not_registered(zone, &trouble))?;
        self.registered.push(zone.clone());
        let is_moved = |host: &Hostname| host.is_within(zone);
        for holder in self.neighbours.iter().filter(|holder| holder.names().iter().any(is_moved)) {
            // The holders of this run do this themselves, once their tokens are fixed.
            let _ = holder.file().map(crate::receipt::void);
        }
        self.tell(&format!("  {zone} is registered; {}", above(zone, owner)));
        self.tell_records(zone, &made).await;
        Ok(())
    }

    /// Why a zone was not registered, and what to do instead.
    fn not_registered(&mut self, zone: &Hostname, trouble: &Trouble) -> Failure {
        let doing = format!("registering {zone}");
        let failure = match trouble {
            // At the account's limit of zones, registering another one first does not help.
            Trouble::Rejected(Refusal { rejection: Rejection::Forbidden, detail })
                if detail.contains("limit") =>
            {
                Failure::rejected(
                    format!("{doing}: {trouble}"),
                    "delete a zone that is not needed any more, or ask the provider's support for more",
                )
            }
            Trouble::Rejected(Refusal { rejection: Rejection::Request, .. }) => {
                let failure = self.failed(trouble, &doing);
                let another = zone_to_register(zone);
                if is_public(zone.as_str()) {
                    failure.then(
                        "there anybody registers names, so nobody can have it: name a zone below \
                         it, such as the host's own name",
                    )
                } else if another == zone.as_str() {
                    failure.then(
                        "if somebody else has registered it at this provider, or a zone above or \
                         below it, ask the provider's support",
                    )
                } else {
                    failure.then(format!(
                        "if {another} is yours, register it first; else ask the provider's support"
                    ))
                }
            }
            _ => self.failed(trouble, &doing),
        };
        failure.leaving(if trouble.leaves_doubt() {
            format!("it is not known whether the zone {zone} was registered")
        } else {
            "nothing was changed".to_owned()
        })
    }

    /// Prints, once in a run, the records that the parent of an existing zone needs.
    async fn tell_keys(&mut self, zone: &Hostname) {
        if self.registered.contains(zone) || self.reminded.contains(zone) {
            return;
        }
        self.reminded.push(zone.clone());
        // It is only a reminder; the token is good without it.
        if let Ok(there) = self.account.zone(zone).await {
            let parent = zone.as_str().split_once('.').and_then(|(_, parent)| parent.parse().ok());
            let owner = match parent {
                Some(parent) => self.account.zone_of(&parent).await.ok().flatten(),
                None => None,
            };
            self.tell(&format!("{zone} is registered already; {}", above(zone, owner.as_ref())));
            self.tell_records(zone, &there).await;
        }
    }

    async fn tell_records(&self, zone: &Hostname, shown: &Zone) {
        if is_given_away(zone) {
            return;
        }
        let servers = self.account.name_servers(zone).await.unwrap_or_default();
        let mut records: Vec<String> =
            servers.iter().map(|server| format!("{zone}. IN NS {server}")).collect();
        for key in shown.keys.iter().flat_map(|key| &key.ds) {
            let record = format!("{zone}. IN DS {key}");
            if !records.contains(&record) {
                records.push(record);
            }
        }
        if records.is_empty() {
            self.tell("  (the server shows none yet; see its web page)");
        }
        records.iter().for_each(|record| self.tell(&format!("  {record}")));
    }
}

/// Whether the server itself writes the records that `zone` needs into its parent.
fn is_given_away(zone: &Hostname) -> bool {
    zone.as_str().split_once('.').is_some_and(|(_, above)| above == GIVEN_AWAY)
}

/// The steps that make the names of `zone` resolve; `owner` is the zone of the account that would hold
/// its name without it.
fn above(zone: &Hostname, owner: Option<&Hostname>) -> String {
    let parent = zone.as_str().split_once('.').map_or("", |(_, parent)| parent);
    match owner {
        _ if is_given_away(zone) => {
            format!("nothing else is to be done: the server puts it into {parent} itself")
        }
        Some(owner) => format!(
            "its parent zone is {owner}, which this account has: put these NS and DS records there, \
             or no name in {zone} resolves"
        ),
        None if is_public(parent) => format!(
            "its parent zone {parent} is not in this account: give these NS and DS records to the \
             registrar of {zone}, or no name in it resolves"
        ),
        None => format!(
            "its parent zone is not in this account: put these NS and DS records where {parent} is \
             served, or no name in {zone} resolves"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_new_zone_needs_above_it_depends_on_whose_that_is() {
        let told = |zone: &str, owner: Option<&str>| {
            let owner = owner.map(|owner| owner.parse().unwrap());
            above(&zone.parse().unwrap(), owner.as_ref())
        };
        let below = told("kid.example.com", Some("example.com"));
        assert!(below.starts_with("its parent zone is example.com, which this account has:"));
        let elsewhere = told("kid.example.com", None);
        assert!(
            elsewhere.contains("not in this account: put") && elsewhere.contains(" example.com is")
        );
        assert!(told("example.com", None).contains("to the registrar of example.com"));
        assert!(told("example.co.uk", None).contains("to the registrar of example.co.uk"));
        let given = "nothing else is to be done: the server puts it into dedyn.io itself";
        assert_eq!(told("x.dedyn.io", None), given);
        assert!(told("a.x.dedyn.io", Some("x.dedyn.io")).contains("is x.dedyn.io, which"));
    }
}
