//! What a write of record sets changes, and whether it may.
//!
//! Pure; used by `rrsets`. Each item is looked at in this order: shape and limits, CNAME,
//! permission, content; and all items are in order or none is stored. Sentences and order: deSEC,
//! recorded August 2026.

use std::collections::BTreeSet;

use super::account::{Entry, RecordSet, Zone};
use super::api::Api;
use super::call::{Call, Refusal};
use super::content;
use super::fields::{Fields, subname_complaints};
use super::json::Value;
use super::token::Token;

/// The longest time that a resolver may be told to keep an answer.
pub const MAXIMUM_TTL: u32 = 86_400;

/// Whether the token's policies let it write this record set.
pub fn may_write(call: &Call<'_>, token: &Token, zone: &str, subname: &str, kind: &str) -> bool {
    match call.account.api {
        Api::Current => token.may_write(zone, subname, kind),
        Api::Legacy => true, // else it had not been let in
    }
}

/// One record set to be written; without values it is removed.
pub struct Change {
    /// Its type.
    pub kind: String,
    /// What is to be there.
    pub records: RecordSet,
    /// Its name inside the zone.
    pub subname: String,
}

impl Change {
    /// Performs it.
    pub fn store(&self, call: &mut Call<'_>, zone: &str) {
        call.account.write(zone, &self.subname, &self.kind, self.records.clone(), call.now);
    }
}

/// A write that is being judged.
pub struct Write<'a> {
    /// What is asked, and of which account.
    pub call: &'a Call<'a>,
    /// Who asks.
    pub token: &'a Token,
    /// Where.
    pub zone: &'a Zone,
}

impl Write<'_> {
    /// What `items` want, if all of them are in order. The first one that is denied decides, even
    /// if others are wrong.
    pub fn judge(&self, items: &[Value], alone: bool) -> Result<Vec<Change>, Refusal> {
        let mut changes = Vec::new();
        let mut complaints = Vec::new();
        for index in 0..items.len() {
            match self.judge_item(items, index, alone) {
                Ok(change) => {
                    changes.extend(change);
                    complaints.push(Value::Object(Vec::new()));
                }
                Err(Refusal::Invalid(complaint)) => complaints.push(complaint),
                Err(other) => return Err(other),
            }
        }
        let fine = |complaint: &Value| *complaint == Value::Object(Vec::new());
        if complaints.iter().all(fine) {
            Ok(changes)
        } else if alone {
            Err(Refusal::Invalid(complaints.remove(0)))
        } else {
            Err(Refusal::Invalid(Value::List(complaints)))
        }
    }

    /// What one of `items` wants; `None` if that is so already.
    fn judge_item(
        &self,
        items: &[Value],
        index: usize,
        alone: bool,
    ) -> Result<Option<Change>, Refusal> {
        let item = &items[index];
        if !matches!(item, Value::Object(_)) {
            let is = item.type_name();
            let text = format!("Invalid data. Expected a dictionary, but got {is}.");
            return Err(Refusal::request(text));
        }
        let mut fields = Fields::of(item, false);
        if !alone {
            fields.required("subname");
        }
        fields.required("type");
        let subname = fields.text("subname", 178).unwrap_or_default();
        fields.complain("subname", &subname_complaints(&subname));
        let kind = fields.text("type", 10).unwrap_or_default();
        if fields.raw("type").is_some() {
            let complaint = content::kind_complaint(&kind);
            fields.complain("type", &complaint.into_iter().collect::<Vec<_>>());
        }
        fields.finish()?;
        let same = |other: &Value| key(other) == Some((subname.as_str(), kind.as_str()));
        let twins =
            items.iter().enumerate().filter(|(place, other)| *place != index && same(other));
        let twins: Vec<String> = twins.map(|(place, _)| place.to_string()).collect();
        if !twins.is_empty() {
            let places = twins.join(", ");
            let text =
                format!("Same subname and type as in position(s) {places}, but must be unique.");
            return Err(Refusal::request(text));
        }
        let before = self.zone.entry(&subname, &kind);
        let posted = self.call.request.method == "POST";
        if posted && before.is_some() {
            let text = "Another RRset with the same subdomain and type exists for this domain. \
                        (Try modifying it.)";
            return Err(Refusal::request(text));
        }
        if before.is_none() && is_removal(item) && !posted {
            let allowed = may_write(self.call, self.token, &self.zone.name, &subname, &kind);
            return if allowed { Ok(None) } else { Err(Refusal::policy()) };
        }
        if !is_removal(item) {
            self.meet_cname(items, &subname, &kind)?;
        }
        self.records(item, &subname, &kind, before).map(Some)
    }

    /// What `item` wants of a record set that is there.
    pub fn judge_one(&self, item: &Value, subname: &str, kind: &str) -> Result<Change, Refusal> {
        let mut fields = Fields::of(item, true);
        for (name, is) in [("subname", subname), ("type", kind)] {
            if fields.raw(name).is_some_and(|value| *value != Value::from(is)) {
                fields.complain(name, &["Can only be written on create.".to_owned()]);
            }
        }
        fields.finish()?;
        self.records(item, subname, kind, self.zone.entry(subname, kind))
    }

    /// TTL and contents, with permission asked in between.
    fn records(
        &self,
        item: &Value,
        subname: &str,
        kind: &str,
        before: Option<&Entry>,
    ) -> Result<Change, Refusal> {
        let method = self.call.request.method.as_str();
        let partial = (method == "PATCH" && before.is_some()) || is_removal(item);
        let mut fields = Fields::of(item, partial);
        fields.required("records");
        let values = fields.texts("records");
        if method == "POST" && is_removal(item) {
            fields.complain("records", &["This field must not be empty when using POST.".into()]);
        }
        fields.required("ttl");
        let minimum = self.zone.minimum_ttl;
        let ttl = fields.number("ttl");
        match ttl {
            Some(ttl) if ttl < u64::from(minimum) => {
                let text = format!("Ensure this value is greater than or equal to {minimum}.");
                fields.complain("ttl", &[text]);
            }
            Some(ttl) if ttl > u64::from(MAXIMUM_TTL) => {
                let text = format!("Ensure this value is less than or equal to {MAXIMUM_TTL}.");
                fields.complain("ttl", &[text]);
            }
            Some(_) | None => {}
        }
        fields.finish()?;
        if !may_write(self.call, self.token, &self.zone.name, subname, kind) {
            return Err(Refusal::policy());
        }
        let known = before.map(|entry| &entry.records);
        let ttl = ttl.and_then(|ttl| u32::try_from(ttl).ok()).or(known.map(|set| set.ttl));
        let values = match values {
            Some(values) => self.contents(subname, kind, &values)?,
            None => known.map(|set| set.values.clone()).unwrap_or_default(),
        };
        let records = RecordSet { ttl: ttl.unwrap_or(minimum), values };
        Ok(Change { kind: kind.to_owned(), records, subname: subname.to_owned() })
    }

    fn contents(
        &self,
        subname: &str,
        kind: &str,
        values: &[String],
    ) -> Result<BTreeSet<String>, Refusal> {
        if kind == "CNAME" && subname.is_empty() && !values.is_empty() {
            return Err(Refusal::request("CNAME RRset cannot have empty subname."));
        }
        let mut contents = BTreeSet::new();
        for value in values {
            let value = content::canonical(kind, value).map_err(Refusal::request)?;
            let address = value.parse().ok().filter(|_| kind == "A");
            if let Some(address) = address
                && self.call.account.is_blocked(&self.zone.name, address)
            {
                return Err(Refusal::request(format!("IP address {address} not allowed.")));
            }
            if !contents.insert(value) {
                return Err(Refusal::request("Duplicate: records must be semantically unique"));
            }
        }
        Ok(contents)
    }

    /// A CNAME stands alone: in the zone as it is, and in what the request makes of it.
    fn meet_cname(&self, items: &[Value], subname: &str, kind: &str) -> Result<(), Refusal> {
        let removed = |kind: &str| {
            items.iter().any(|item| key(item) == Some((subname, kind)) && is_removal(item))
        };
        let conflicts =
            |other: &str| other != kind && [kind, other].contains(&"CNAME") && !removed(other);
        let stored = self.zone.entries().filter(|(known, _, _)| *known == subname);
        let stored: BTreeSet<&str> =
            stored.map(|(_, kind, _)| kind).filter(|k| conflicts(k)).collect();
        let asked = items.iter().filter_map(key).filter(|(known, _)| *known == subname);
        let asked: BTreeSet<&str> = asked.map(|(_, kind)| kind).filter(|k| conflicts(k)).collect();
        let asked: BTreeSet<&str> = asked.difference(&stored).copied().collect();
        let named = [("database", stored), ("request", asked)];
        let named =
            named.into_iter().filter(|(_, kinds)| !kinds.is_empty()).map(|(place, kinds)| {
                let kinds: Vec<&str> = kinds.into_iter().collect();
                format!("{place} ({})", kinds.join(", "))
            });
        let named: Vec<String> = named.collect();
        if named.is_empty() {
            return Ok(());
        }
        Err(Refusal::request(format!(
            "RRset with conflicting type present at same subname: {}. (No other RRsets are allowed \
             alongside CNAME.)",
            named.join(", ")
        )))
    }
}

/// The subname and type of an item, so far as they can be read.
fn key(item: &Value) -> Option<(&str, &str)> {
    let text = |name: &str| match item.get(name) {
        Some(Value::String(text)) => Some(text.as_str()),
        _ => None,
    };
    Some((text("subname").unwrap_or_default(), text("type")?))
}

fn is_removal(item: &Value) -> bool {
    matches!(item.get("records"), Some(Value::List(values)) if values.is_empty())
}
