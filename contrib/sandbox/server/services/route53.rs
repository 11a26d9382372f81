//! Amazon Route 53's API of 2013: record sets in XML, and every request is signed.
//!
//! Rests on AWS's reference, on recorded conversations (dns-lexicon, 2022) and on the words of faults
//! that users of other clients report. Lists begin at a name and go on to the next one. AWS allows
//! five requests a second; how many at once is not documented, here it is twenty.

use std::collections::BTreeSet;
use std::time::Duration;

use roxmltree::{Document, Node};

use super::super::calendar::timestamp;
use super::super::chance;
use super::super::http::Answer;
use super::iam::{self, Caller, Context};
use super::pace::Limit;
use super::signature::{self, Fault, Key};
use super::world::{Record, World, Zone, content};
use super::{Call, Issued, OWN_ZONES, Reach, Service};

pub const SERVICE: Service = Service {
    answer,
    has_ipv6: true,
    issued: Some(Issued { has_login: false, is_only_way: false, noun: "key", reach: Reach::Host }),
    limit: Some(Limit::Bucket(20, Duration::from_millis(200))),
    login: Some(login),
    name: "route53",
    needs_zone: false,
    path: "/2013-04-01",
    secret,
    title: "Amazon Route 53",
    too_often,
    zones: OWN_ZONES,
};

const NAMESPACE: &str = "https://route53.amazonaws.com/doc/2013-04-01/";

/// A new id of an access key.
pub fn login() -> String {
    format!("AKIA{}", chance::text(16, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"))
}

/// A new secret of an access key.
pub fn secret() -> String {
    let letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789/+";
    chance::text(40, letters)
}

fn too_often(_wait: Duration) -> Answer {
    error(400, "Throttling", "Rate exceeded")
}

/// What signatures at this account must be made with.
pub fn key(world: &World) -> Key<'_> {
    let (id, secret) = (&world.login, &world.secret);
    Key { id, region: "us-east-1", secret, service: "route53" }
}

/// The service that a request is for: all of them are at one server here.
fn service(call: &Call<'_>) -> &'static str {
    match iam::form(&call.request.body).get("Action").map(String::as_str) {
        _ if call.request.path != "/" => "route53",
        Some("GetCallerIdentity") => "sts",
        _ => "iam",
    }
}

/// Whose signature a request has.
fn caller(call: &mut Call<'_>) -> Result<Caller, Fault> {
    let service = service(call);
    let id = signature::key_id(call.request).unwrap_or_default().to_owned();
    let (caller, secret) = match call.world.iam.known(&id, call.now) {
        Some((name, secret)) => (Caller::User(name), secret),
        None => (Caller::Own, call.world.secret.clone()),
    };
    let id = if caller == Caller::Own { call.world.login.clone() } else { id };
    let key = Key { id: &id, region: "us-east-1", secret: &secret, service };
    signature::check(call.request, key, call.now).map(|()| caller)
}

/// Whether the caller may do that, which only the policies of users limit.
fn authorized(
    call: &mut Call<'_>,
    caller: &Caller,
    action: &str,
    resource: &str,
    mut context: Context,
) -> Result<(), Answer> {
    let Caller::User(name) = caller else { return Ok(()) };
    context.insert("aws:currenttime".to_owned(), vec![iam::date(call.now)]);
    context.insert("aws:sourceip".to_owned(), vec![call.client.ip().to_string()]);
    let action = format!("route53:{action}");
    if call.world.iam.decision(name, &action, resource, &context) == "allowed" {
        return Ok(());
    }
    let arn = call.world.iam.user(name).arn();
    Err(error(403, "AccessDenied", &iam::not_authorized(&arn, &action, resource)))
}

/// What a change says to the conditions of policies: names, types and actions.
fn context(body: &[u8]) -> Context {
    let changes = changes(body).unwrap_or_default();
    let all = |value: fn(&Change) -> String| {
        let mut values: Vec<String> = changes.iter().map(value).collect();
        values.sort();
        values.dedup();
        values
    };
    let key = |name: &str| format!("route53:changeresourcerecordsets{name}");
    [
        (key("normalizedrecordnames"), all(|change| change.name.replace('*', "\\052"))),
        (key("recordtypes"), all(|change| change.kind.clone())),
        (key("actions"), all(|change| change.action.clone())),
    ]
    .into()
}

fn answer(call: &mut Call<'_>) -> Answer {
    let caller = match caller(call) {
        Ok(caller) => caller,
        Err(fault) => {
            return match fault {
                Fault::Incomplete(text) => error(400, "IncompleteSignature", &text),
                Fault::Mismatch(text) => error(403, "SignatureDoesNotMatch", &text),
                Fault::Missing => {
                    error(403, "MissingAuthenticationToken", "Missing Authentication Token")
                }
                Fault::UnknownKey => {
                    let text = "The security token included in the request is invalid.";
                    error(403, "InvalidClientTokenId", text)
                }
            };
        }
    };
    if call.request.path == "/" {
        return iam::answer(call, &caller);
    }
    let path = call.path();
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    let method = call.request.method.clone();
    let zone = path
        .get(1)
        .filter(|_| path.len() > 1)
        .map_or("*".to_owned(), |id| format!("arn:aws:route53:::hostedzone/{id}"));
    let (action, said) = match (method.as_str(), &path[..]) {
        ("GET", ["hostedzonesbyname"]) => ("ListHostedZonesByName", Context::new()),
        ("GET", ["hostedzone"]) => ("ListHostedZones", Context::new()),
        ("GET", _) => ("ListResourceRecordSets", Context::new()),
        _ => ("ChangeResourceRecordSets", context(&call.request.body)),
    };
    if let Err(refusal) = authorized(call, &caller, action, &zone, said) {
        return refusal;
    }
    match (method.as_str(), &path[..]) {
        ("GET", ["hostedzonesbyname"]) => zones_by_name(call),
        ("GET", ["hostedzone"]) => {
            let zones: String = call.world.zones.iter().map(zone_shown).collect();
            let middle = format!(
                "<HostedZones>{zones}</HostedZones><IsTruncated>false</IsTruncated>\
                 <MaxItems>100</MaxItems>"
            );
            page("ListHostedZonesResponse", &middle)
        }
        (method, ["hostedzone", id, "rrset" | "rrset/"]) => {
            let Some(at) = call.world.zones.iter().position(|zone| zone_id(zone) == *id) else {
                return error(
                    404,
                    "NoSuchHostedZone",
                    &format!("No hosted zone found with ID: {id}"),
                );
            };
            match method {
                "GET" => list(call, &call.world.zones[at]),
                "POST" => change(call, at),
                _ => unknown_operation(),
            }
        }
        _ => unknown_operation(),
    }
}

/// The order of AWS's lists: by the last label first.
fn order(name: &str) -> Vec<String> {
    name.trim_end_matches('.').to_lowercase().rsplit('.').map(str::to_owned).collect()
}

fn zones_by_name(call: &Call<'_>) -> Answer {
    let from = call.parameter("dnsname").map(order).unwrap_or_default();
    let most = number(call, "maxitems", 100);
    let mut zones: Vec<&Zone> = call.world.zones.iter().collect();
    zones.sort_by_key(|zone| (order(&zone.name), zone.id));
    zones.retain(|zone| order(&zone.name) >= from);
    let next = zones.get(most).map(|zone| {
        let id = zone_id(zone);
        format!(
            "<NextDNSName>{}.</NextDNSName><NextHostedZoneId>{id}</NextHostedZoneId>",
            zone.name
        )
    });
    let shown: String = zones.into_iter().take(most).map(zone_shown).collect();
    let is_cut = next.is_some();
    let next = next.unwrap_or_default();
    let asked =
        call.parameter("dnsname").map(|name| format!("<DNSName>{}</DNSName>", escaped(name)));
    let asked = asked.unwrap_or_default();
    page(
        "ListHostedZonesByNameResponse",
        &format!(
            "<HostedZones>{shown}</HostedZones>{asked}<IsTruncated>{is_cut}</IsTruncated>{next}\
             <MaxItems>{most}</MaxItems>"
        ),
    )
}

fn list(call: &Call<'_>, zone: &Zone) -> Answer {
    let (name, kind) = (call.parameter("name"), call.parameter("type"));
    if name.is_none() && kind.is_some() {
        return error(400, "InvalidInput", "The input is not valid: type without name");
    }
    let from = (name.map(order).unwrap_or_default(), kind.unwrap_or_default());
    let most = number(call, "maxitems", 300);
    let keys: BTreeSet<(Vec<String>, &str, &str)> =
        zone.records.iter().map(|it| (order(&it.name), &*it.kind, &*it.name)).collect();
    let mut keys = keys.iter().filter(|(labels, kind, _)| (labels, *kind) >= (&from.0, from.1));
    let shown: String =
        keys.by_ref().take(most).map(|(_, kind, name)| set_shown(zone, name, kind)).collect();
    let next = keys.next().map(|(_, kind, name)| {
        let name = escaped_name(name);
        format!("<NextRecordName>{name}</NextRecordName><NextRecordType>{kind}</NextRecordType>")
    });
    let is_cut = next.is_some();
    let next = next.unwrap_or_default();
    page(
        "ListResourceRecordSetsResponse",
        &format!(
            "<ResourceRecordSets>{shown}</ResourceRecordSets><IsTruncated>{is_cut}</IsTruncated>\
             {next}<MaxItems>{most}</MaxItems>"
        ),
    )
}

fn number(call: &Call<'_>, name: &str, usual: usize) -> usize {
    call.parameter(name).and_then(|text| text.parse().ok()).unwrap_or(usual).clamp(1, usual)
}

/// One change of a batch.
struct Change {
    action: String,
    kind: String,
    name: String,
    ttl: u32,
    values: Vec<String>,
}

/// Makes all the changes that the request holds, or none.
fn change(call: &mut Call<'_>, at: usize) -> Answer {
    let Some(changes) = changes(&call.request.body) else {
        let text = "Unexpected request body: it is no ChangeResourceRecordSetsRequest";
        return error(400, "InvalidInput", text);
    };
    let mut zone = call.world.zones[at].clone();
    let faults: Vec<String> =
        changes.iter().filter_map(|change| make(call.world, &mut zone, change).err()).collect();
    if !faults.is_empty() {
        return error(400, "InvalidChangeBatch", &format!("[{}]", faults.join(", ")));
    }
    call.world.zones[at] = zone;
    let id = call.world.number();
    let now = timestamp(call.now);
    let (id, now) = (format!("/change/C{id:013}"), format!("{}Z", &now[..23]));
    page(
        "ChangeResourceRecordSetsResponse",
        &format!(
            "<ChangeInfo><Id>{id}</Id><Status>PENDING</Status><SubmittedAt>{now}</SubmittedAt>\
             </ChangeInfo>"
        ),
    )
}

/// The changes of a request's body; `None` if it is another.
fn changes(body: &[u8]) -> Option<Vec<Change>> {
    let document = Document::parse(std::str::from_utf8(body).ok()?).ok()?;
    let root = document.root_element();
    if !root.has_tag_name((NAMESPACE, "ChangeResourceRecordSetsRequest")) {
        return None;
    }
    let changes = child(child(root, "ChangeBatch")?, "Changes")?;
    let change = |node: Node<'_, '_>| {
        let set = child(node, "ResourceRecordSet")?;
        let records = child(set, "ResourceRecords")?;
        let values =
            records.children().filter(Node::is_element).map(|record| text(record, "Value"));
        Some(Change {
            action: text(node, "Action")?,
            kind: text(set, "Type")?,
            name: text(set, "Name")?.trim_end_matches('.').to_lowercase(),
            ttl: text(set, "TTL")?.parse().ok()?,
            values: values.collect::<Option<_>>()?,
        })
    };
    let changes: Option<Vec<Change>> =
        changes.children().filter(Node::is_element).map(change).collect();
    changes.filter(|changes| !changes.is_empty())
}

fn child<'a, 'b>(node: Node<'a, 'b>, name: &str) -> Option<Node<'a, 'b>> {
    node.children().find(|child| child.has_tag_name((NAMESPACE, name)))
}

fn text(node: Node<'_, '_>, name: &str) -> Option<String> {
    child(node, name)?.text().map(|text| text.trim().to_owned())
}

/// Makes one change in `zone`, or says why it cannot be.
fn make(world: &mut World, zone: &mut Zone, change: &Change) -> Result<(), String> {
    let Change { action, kind, name, ttl, values } = change;
    let whole = escaped_name(name);
    let set = format!("resource record set [name='{whole}', type='{kind}']");
    if !zone.covers(name) {
        return Err(format!("RRSet with DNS name {whole} is not permitted in zone {}.", zone.name));
    }
    let known: BTreeSet<(&str, u32)> =
        zone.set(name, kind).map(|record| (record.content.as_str(), record.ttl)).collect();
    match action.as_str() {
        "DELETE" => {
            if known.is_empty() {
                return Err(format!("Tried to delete {set} but it was not found"));
            }
            let said: BTreeSet<(&str, u32)> =
                values.iter().map(|value| (value.as_str(), *ttl)).collect();
            if said != known {
                let text = "but the values provided do not match the current values";
                return Err(format!("Tried to delete {set} {text}"));
            }
            zone.remove_set(name, kind);
            return Ok(());
        }
        "CREATE" if !known.is_empty() => {
            return Err(format!("Tried to create {set} but it already exists"));
        }
        "CREATE" | "UPSERT" => {}
        _ => return Err(format!("Invalid action: {action}")),
    }
    let mut new: Vec<String> = Vec::new();
    for value in values {
        let Some(value) = content(kind, value) else {
            let (family, fault) = if kind == "A" { ("IPv4", "4") } else { ("IPv6", "6") };
            return Err(format!(
                "Invalid Resource Record: 'FATAL problem: {kind}RRDATAIllegalIPv{fault}Address \
                 (Value is not a valid {family} address) encountered with '{value}''"
            ));
        };
        if new.contains(&value) {
            return Err(format!("Duplicate Resource Record: '{value}'"));
        }
        new.push(value);
    }
    if new.is_empty() {
        return Err(format!("Tried to {action} {set} without values"));
    }
    zone.remove_set(name, kind);
    for content in new {
        let record = Record {
            content,
            id: world.number(),
            kind: kind.clone(),
            name: name.clone(),
            ttl: *ttl,
            ..Record::default()
        };
        zone.records.push(record);
    }
    Ok(())
}

/// The id of a zone, such as `Z0000432480876`.
pub fn zone_id(zone: &Zone) -> String {
    format!("Z{:013}", zone.id)
}

fn zone_shown(zone: &Zone) -> String {
    let Zone { is_private, name, .. } = zone;
    let (id, count) = (zone_id(zone), zone.records.len());
    format!(
        "<HostedZone><Id>/hostedzone/{id}</Id><Name>{name}.</Name><CallerReference>sandbox-{id}\
         </CallerReference><Config><PrivateZone>{is_private}</PrivateZone></Config>\
         <ResourceRecordSetCount>{count}</ResourceRecordSetCount></HostedZone>"
    )
}

fn set_shown(zone: &Zone, name: &str, kind: &str) -> String {
    let ttl = zone.set(name, kind).next().map(|record| record.ttl).unwrap_or_default();
    let value = |value: &str| {
        let value = escaped(value);
        format!("<ResourceRecord><Value>{value}</Value></ResourceRecord>")
    };
    let values: String = zone.values(name, kind).map(value).collect();
    let name = escaped_name(name);
    format!(
        "<ResourceRecordSet><Name>{name}</Name><Type>{kind}</Type><TTL>{ttl}</TTL>\
         <ResourceRecords>{values}</ResourceRecords></ResourceRecordSet>"
    )
}

/// A name as AWS writes it: with its final dot, and `*` by its number.
fn escaped_name(name: &str) -> String {
    format!("{}.", escaped(name).replace('*', "\\052"))
}

/// A text in XML.
pub fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

fn unknown_operation() -> Answer {
    error(404, "UnknownOperationException", "")
}

fn page(root: &str, middle: &str) -> Answer {
    let body = format!("<?xml version=\"1.0\"?>\n<{root} xmlns=\"{NAMESPACE}\">{middle}</{root}>");
    Answer::new(200, "text/xml", &body)
}

fn error(status: u16, code: &str, message: &str) -> Answer {
    let (message, id) = (escaped(message), chance::uuid());
    let body = format!(
        "<?xml version=\"1.0\"?>\n<ErrorResponse xmlns=\"{NAMESPACE}\"><Error><Type>Sender</Type>\
         <Code>{code}</Code><Message>{message}</Message></Error><RequestId>{id}</RequestId>\
         </ErrorResponse>"
    );
    Answer::new(status, "text/xml", &body)
}
