//! The zone of each host, asked of the account and never guessed; registered first where that is
//! wished by name.

use std::collections::BTreeSet;

use super::Desk;
use crate::account::Zone;
use crate::core::name::Hostname;
use crate::core::token::{Api, Duty, full_name};
use crate::exit::Exit;
use crate::token::Failure;
use crate::token::holder::Holder;

impl Desk<'_> {
    /// What the hosts' token is for, with the zone that the account names for each.
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
            return Err(Failure::new(
                Exit::Rejected,
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

    /// The zone that is responsible for `host`, registered first if that is wished.
    async fn zone(&mut self, host: &Hostname) -> Result<Hostname, Failure> {
        let owner = match self.account.zone_of(host).await {
            Ok(owner) => owner,
            Err(trouble) => {
                let failure = self.failed(&trouble, &format!("asking for the zone of {host}"));
                return Err(failure.leaving("nothing was changed"));
            }
        };
        let wish = self.command.create_domain.as_ref().filter(|zone| host.is_within(zone));
        match (owner, wish) {
            (Some(owner), None) => Ok(owner),
            // It is there already, or one that is still closer to the host.
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
                let parent = host.as_str().split_once('.').map_or("", |(_, parent)| parent);
                Err(Failure::new(
                    Exit::Rejected,
                    format!("no zone of this account holds {host}"),
                    format!(
                        "is this the management token of the right account? If so, register a zone \
                         first: `homing token issue {host} --create-domain {parent}`"
                    ),
                )
                .leaving("nothing was changed"))
            }
        }
    }

    /// Registers `zone`, and says what that means for its parent and for names that move into it.
    async fn register(&mut self, zone: &Hostname, owner: Option<&Hostname>) -> Result<(), Failure> {
        self.tell(&format!("+ zone {zone}"));
        if let Some(owner) = owner {
            let sets = self.account.record_sets(owner).await;
            let sets = sets.map_err(|trouble| self.failed(&trouble, "reading the parent zone"))?;
            let names: BTreeSet<String> = sets
                .iter()
                .map(|set| full_name(&set.subname, owner.as_str()))
                .filter(|name| name == zone.as_str() || name.ends_with(&format!(".{zone}")))
                .collect();
            for name in names {
                self.tell(&format!(
                    "  ! {name} moves from {owner} into the new zone, which is empty: its records \
                     must be set there again, and its token issued anew"
                ));
            }
        }
        if self.command.dry_run {
            return Ok(());
        }
        let made = match self.account.create_zone(zone).await {
            Ok(made) => made,
            Err(trouble) => {
                let doubt = trouble.leaves_doubt();
                let failure = self.failed(&trouble, &format!("registering {zone}"));
                return Err(failure.leaving(if doubt {
                    format!("it is not known whether the zone {zone} was registered")
                } else {
                    "nothing was changed".to_owned()
                }));
            }
        };
        self.tell(&format!("  {zone} is registered; put these records into its parent zone:"));
        self.tell_records(zone, &made);
        Ok(())
    }
    /// Tells again what belongs into the parent of a zone that is there already.
    async fn tell_keys(&self, zone: &Hostname) {
        // It is only a reminder; without it the token is as good.
        if let Ok(there) = self.account.zone(zone).await {
            self.tell(&format!("{zone} is registered already; its parent zone needs:"));
            self.tell_records(zone, &there);
        }
    }

    fn tell_records(&self, zone: &Hostname, shown: &Zone) {
        let records: Vec<&String> = shown.keys.iter().flat_map(|key| &key.ds).collect();
        if records.is_empty() {
            self.tell("  (the server shows none yet; see its web page)");
        }
        for record in records {
            self.tell(&format!("  {zone}. IN DS {record}"));
        }
    }
}
