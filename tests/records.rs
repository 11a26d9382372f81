//! Nobody's records are lost: many thousand conversations of the protocol `http` with model services,
//! whose answers get lost before or after their effect, whose lists are late, and at which others
//! write at the same time. All is decided by a seed, so that a failure can be repeated.
#![expect(clippy::unwrap_used, reason = "a step of a test that fails is the test's failure")]

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use homing::core::address::{Addresses, Family, PerFamily};
use homing::core::memory::{Entry, Key, ZoneKey};
use homing::core::name::Hostname;
use homing::core::outcome::{Fault, Outcome, Rejection, Silence};
use homing::core::plan::{
    Details, Host, HostSettings, Request, TakeOver, Update, Use, WhenGone, Wish,
};
use homing::core::protocol::http::tree::Tree;
use homing::core::protocol::manners::Protocol;
use homing::core::protocol::step::{Ask, Heard, Moment, Step};
use homing::core::protocol::talk::{Job, Talk};
use homing::core::protocol::{Answer, Body, Credential, HttpRequest, Method, Verdict};
use homing::core::provider::Provider;
use homing::core::provider_key::ProviderKey;
use homing::core::secret::{Fingerprint, Secret};
use homing::core::settle::{Situation, note_earlier, sending, settle};
use homing::core::time::Timestamp;
use serde_json::{Value, json};

const ZONE: &str = "example.com";

/// The kinds of service, each with its entry.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Shape {
    /// Records with ids, in one list of the zone that has pages.
    Ids,
    /// The same without a step for changes, named by their values.
    Values,
    /// Sets that are replaced as a whole.
    Sets,
    /// The same, but a set has to be made before it can be replaced.
    MadeSets,
    /// Bare ids, asked for one by one, and changes that take effect by a commit.
    Bare,
}

const SHAPES: [Shape; 5] = [Shape::Ids, Shape::Values, Shape::Sets, Shape::MadeSets, Shape::Bare];

impl Shape {
    fn entry(self) -> Value {
        let row = r#"{"name":"{host}","type":"{type}","value":"{address}","ttl":{ttl}}"#;
        let set = r#"{"values":[{items}]}"#;
        let list = "/zones/{zone}/records";
        let of_set = "/zones/{zone}/sets/{label}/{type}";
        let rows = json!({ "get": list, "at": "rows", "id": "id", "name": "name", "type": "type",
            "value": "value", "ttl": "ttl", "next": "next as page" });
        let mut bare_rows = rows.clone();
        bare_rows.as_object_mut().unwrap().remove("id");
        match self {
            Self::Ids => json!({ "list": rows, "create": { "post": list, "json": row },
                "change": { "patch": "/records/{id}", "json": r#"{"value":"{address}"}"# },
                "remove": { "delete": "/records/{id}" } }),
            Self::Values => json!({ "list": bare_rows, "create": { "post": list, "json": row },
                "remove": { "post": "/zones/{zone}/removals", "json": row },
                "answer": { "unchanged": "409 code=duplicate" } }),
            Self::Sets => json!({ "list": { "get": of_set, "value": "values" }, "names": "label",
                "set": { "put": of_set, "json": set }, "item": "\"{address}\"",
                "remove": { "delete": of_set } }),
            Self::MadeSets => json!({ "list": { "get": of_set, "value": "values" },
                "names": "label", "create": { "post": of_set, "json": set },
                "set": { "put": of_set, "json": set }, "item": "\"{address}\"",
                "remove": { "delete": of_set } }),
            Self::Bare => json!({ "names": "label",
                "list": { "get": "/zones/{zone}/ids?type={type}&label={label}", "bare-ids": "true" },
                "each": { "get": "/records/{id}", "id": "id", "name": "label", "type": "type",
                    "value": "value" },
                "create": { "post": list, "json": row },
                "change": { "patch": "/records/{id}", "json": r#"{"value":"{address}"}"# },
                "remove": { "delete": "/records/{id}" },
                "commit": { "post": "/zones/{zone}/refresh" } }),
        }
    }

    fn provider(self) -> Provider {
        let mut provider = Protocol::Http.defaults("model".into());
        provider.set(ProviderKey::ApiUrl, "https://api.model.example/v1".into()).unwrap();
        let Value::Object(entry) = self.entry() else { panic!("no entry") };
        let settings =
            entry.iter().map(|(key, value)| (ProviderKey::named(key).unwrap(), tree(value)));
        provider.describe(settings.collect()).unwrap_or_else(|wrong| panic!("{wrong:?}"));
        provider
    }
}

fn tree(value: &Value) -> Tree {
    match value {
        Value::Array(list) => Tree::List(list.iter().map(tree).collect()),
        Value::Object(table) => Tree::Table(
            table.iter().map(|(name, value)| (Cow::Owned(name.clone()), tree(value))).collect(),
        ),
        scalar => Tree::Text(Cow::Owned(scalar.as_str().unwrap().to_owned())),
    }
}

/// A generator of numbers that a seed decides (`SplitMix64`).
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, count: usize) -> usize {
        usize::try_from(self.roll() % u64::try_from(count).unwrap()).unwrap()
    }

    /// True in one of `count` cases.
    fn one_in(&mut self, count: usize) -> bool {
        self.below(count) == 0
    }

    fn one_of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())]
    }
}

/// A record of the service.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
struct Row {
    id: u64,
    name: String,
    kind: String,
    value: String,
}

impl Row {
    fn address(&self) -> Option<IpAddr> {
        self.value.parse().ok()
    }

    fn is_of(&self, name: &str, kind: &str) -> bool {
        self.name.eq_ignore_ascii_case(name) && self.kind == kind
    }
}

/// What goes wrong in a run.
#[derive(Clone, Copy, Debug, Default)]
struct Weather {
    /// One request in so many goes wrong; none at 0.
    faults: usize,
    /// Whether lists show what was there before the last conversation.
    late_lists: bool,
    /// Whether somebody else writes between a list and a write.
    others: bool,
}

/// What one conversation may do, as the service sees it.
#[derive(Default)]
struct Rights {
    /// The names that are asked about, with what counts as ours and what may be taken over.
    hosts: Vec<(String, String, BTreeSet<IpAddr>, TakeOver)>,
    /// The rows that were shown.
    shown: Vec<Row>,
    writes: usize,
}

/// A model service.
struct Service {
    shape: Shape,
    rows: Vec<Row>,
    /// What late lists show.
    before: Vec<Row>,
    /// What has taken effect, where that takes a commit.
    live: Vec<Row>,
    next_id: u64,
    dice: Dice,
    weather: Weather,
    rights: Rights,
    log: Vec<String>,
}

/// What the service does with a request that is to go wrong.
#[derive(Clone, Copy, Debug)]
enum Mishap {
    Answer(u16, &'static str),
    AnswerAfterEffect(u16, &'static str),
    LostBefore,
    LostAfter,
    Unreachable,
}

const MISHAPS: [Mishap; 13] = [
    Mishap::Answer(403, r#"{"code":"forbidden"}"#),
    Mishap::Answer(409, r#"{"code":"conflict"}"#),
    Mishap::Answer(429, ""),
    Mishap::Answer(500, "oops"),
    Mishap::Answer(503, "<html>later</html>"),
    Mishap::Answer(200, "<html>a portal</html>"),
    Mishap::Answer(302, ""),
    Mishap::AnswerAfterEffect(200, "{\"torn"),
    Mishap::AnswerAfterEffect(502, "<html>gateway</html>"),
    Mishap::LostAfter,
    Mishap::LostAfter,
    Mishap::LostBefore,
    Mishap::Unreachable,
];

impl Service {
    fn label(name: &str) -> String {
        match name.strip_suffix(ZONE).unwrap() {
            "" => "@".into(),
            rest => rest.trim_end_matches('.').to_owned(),
        }
    }

    fn host(label: &str) -> String {
        if label == "@" { ZONE.into() } else { format!("{label}.{ZONE}") }
    }

    fn add(&mut self, name: &str, kind: &str, value: &str) {
        let (name, kind, value) = (name.to_owned(), kind.to_owned(), value.to_owned());
        self.rows.push(Row { id: self.next_id, name, kind, value });
        self.next_id += 1;
    }

    /// Hears a request, and answers it or not.
    fn hear(&mut self, request: &HttpRequest) -> Result<Answer, Silence> {
        let url = request.url.expose();
        let path = url.strip_prefix("https://api.model.example/v1").unwrap().to_owned();
        let body = request.body.as_ref().map(|body: &Body| body.parts().1.expose().to_owned());
        let mishap = (self.weather.faults > 0 && self.dice.one_in(self.weather.faults))
            .then(|| self.dice.one_of(&MISHAPS));
        // An empty answer to a write may be a success.
        let is_list = request.method == Method::Get;
        let mishap = match mishap {
            Some(_) if is_list && self.dice.one_in(3) => {
                Some(Mishap::Answer(200, self.dice.one_of(&["", "{}", "{\"rows\":{}}"])))
            }
            mishap => mishap,
        };
        let line = format!("{} {path} {}", request.method.as_str(), body.as_deref().unwrap_or(""));
        let answer = |(status, body): (u16, String)| {
            Ok(Answer { status, body: body.into_bytes(), ..Answer::default() })
        };
        let silence = |fault| Err(Silence::new(fault, "api.model.example did not answer"));
        let act = |service: &mut Self| {
            if request.method != Method::Get && service.weather.others && service.dice.one_in(4) {
                service.others_write();
            }
            service.act(request.method, &path, body.as_deref())
        };
        let result = match mishap {
            None => answer(act(self)),
            Some(Mishap::Answer(status, body)) => answer((status, body.to_owned())),
            Some(Mishap::AnswerAfterEffect(status, body)) => {
                act(self);
                answer((status, body.to_owned()))
            }
            Some(Mishap::LostBefore) => silence(Fault::Lost),
            Some(Mishap::LostAfter) => {
                act(self);
                silence(Fault::Lost)
            }
            Some(Mishap::Unreachable) => silence(Fault::Unreachable),
        };
        let seen = match &result {
            Ok(answer) => format!("{} {}", answer.status, String::from_utf8_lossy(&answer.body)),
            Err(silence) => silence.fault.word().to_owned(),
        };
        self.log.push(format!(
            "  {line} -> {seen} {}",
            mishap.map(|it| format!("({it:?})")).unwrap_or_default()
        ));
        result
    }

    /// Somebody else removes a record that was shown, or adds one where that can be told apart.
    fn others_write(&mut self) {
        let hosts: Vec<_> =
            self.rights.hosts.iter().map(|(name, kind, ..)| (name.clone(), kind.clone())).collect();
        let (name, kind) = hosts[self.dice.below(hosts.len())].clone();
        let is_set = matches!(self.shape, Shape::Sets | Shape::MadeSets);
        if self.dice.one_in(2) {
            self.log.push(format!("  somebody removes {name} {kind}"));
            self.rows.retain(|row| !row.is_of(&name, &kind) || !self.rights.shown.contains(row));
        } else if !is_set {
            self.log.push(format!("  somebody adds to {name} {kind}"));
            let value = foreign_value(&mut self.dice, &kind);
            self.add_others(&name, &kind, &value);
        }
    }

    /// Checks that `row` may be changed or removed in this conversation.
    fn check_right(&self, row: &Row) {
        let of = self.rights.hosts.iter().find(|(name, kind, ..)| row.is_of(name, kind));
        let Some((name, kind, own, take_over)) = of else {
            self.fail(&format!("a record that nobody asked about is changed: {row:?}"))
        };
        if row.address().is_some_and(|address| own.contains(&address)) {
            return;
        }
        let shown: Vec<_> = self.rights.shown.iter().filter(|it| it.is_of(name, kind)).collect();
        let is_only_one = shown.len() == 1 && shown[0].id == row.id;
        match take_over {
            TakeOver::Everything => {}
            TakeOver::OnlyOne if is_only_one => {}
            TakeOver::OnlyOne | TakeOver::Nothing => {
                self.fail(&format!("somebody's record is changed: {row:?} of {shown:?}"))
            }
        }
    }

    fn fail(&self, what: &str) -> ! {
        panic!(
            "{what}\n{:?} {:?}\n{:#?}\n{}",
            self.shape,
            self.weather,
            self.rows,
            self.log.join("\n")
        )
    }

    /// Somebody else adds a record between two conversations.
    fn others_come(&mut self) {
        if self.dice.one_in(6) && !self.rights.hosts.is_empty() {
            let at = self.dice.below(self.rights.hosts.len());
            let (name, kind) = (self.rights.hosts[at].0.clone(), self.rights.hosts[at].1.clone());
            let value = foreign_value(&mut self.dice, &kind);
            self.log.push(format!("somebody adds {value} to {name}"));
            self.add_others(&name, &kind, &value);
            (self.live, self.before) = (self.rows.clone(), self.rows.clone());
        }
    }

    /// Adds a record of somebody else; equal ones are only where they can be told apart.
    fn add_others(&mut self, name: &str, kind: &str, value: &str) {
        let is_equal = |row: &Row| row.is_of(name, kind) && row.value == value;
        let has_ids = matches!(self.shape, Shape::Ids | Shape::Bare);
        if has_ids || !self.rows.iter().any(is_equal) {
            self.add(name, kind, value);
        }
    }

    /// Notes that `rows` were shown; each counts as it was shown last.
    fn show(&mut self, rows: Vec<Row>) {
        for row in rows {
            self.rights.shown.retain(|other| other.id != row.id);
            self.rights.shown.push(row);
        }
    }

    /// Carries a request out; the status and the body of the answer.
    fn act(&mut self, method: Method, path: &str, body: Option<&str>) -> (u16, String) {
        let done = || (200, r#"{"ok":true}"#.to_owned());
        let gone = || (404, r#"{"code":"not_found"}"#.to_owned());
        let body: Value = body.map(|body| serde_json::from_str(body).unwrap()).unwrap_or_default();
        let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
        let words: Vec<&str> = path.split(['/', '?', '&']).skip(1).collect();
        if method != Method::Get {
            self.rights.writes += 1;
        }
        match (method, &words[..]) {
            (Method::Get, ["zones", ZONE, "records", rest @ ..]) => {
                const PAGE: usize = 4;
                let page = rest.first().and_then(|it| it.strip_prefix("page=")?.parse().ok());
                let page: usize = page.unwrap_or(1);
                if page == 1 {
                    self.rights.shown.clear();
                }
                let all = self.listed();
                let rows = all.iter().skip((page - 1) * PAGE).take(PAGE);
                let mut rows: Vec<_> = rows.cloned().collect();
                if self.dice.one_in(6) {
                    // The pages shift while they are read.
                    rows.extend(rows.first().cloned());
                }
                let next = (page * PAGE < all.len()).then_some(page + 1);
                let of_values = self.shape == Shape::Values;
                let shown: Vec<_> = rows.iter().map(|row| {
                    let id = if of_values { json!(row.value) } else { json!(row.id) };
                    // Some lists have a final dot, and keep the case of names.
                    let name = if row.id % 3 == 0 { format!("{}.", row.name.to_uppercase()) } else { row.name.clone() };
                    json!({ "id": id, "name": name, "type": row.kind, "value": row.value, "ttl": 300 })
                }).collect();
                self.show(rows);
                (200, json!({ "rows": shown, "next": next }).to_string())
            }
            (Method::Get, ["zones", ZONE, "ids", kind, label]) => {
                let kind = kind.strip_prefix("type=").unwrap();
                let name = Self::host(&decoded(label.strip_prefix("label=").unwrap()));
                let all = self.listed();
                // The service finds more than it was asked for.
                let is_near = |row: &&Row| row.name.ends_with(&name) && row.kind == kind;
                let ids: Vec<_> = all.iter().filter(is_near).map(|row| row.id).collect();
                self.rights.shown.retain(|row| !is_near(&row));
                (200, json!(ids).to_string())
            }
            (Method::Get, ["records", id]) => {
                let found = self.listed().into_iter().find(|row| row.id.to_string() == *id);
                let Some(row) = found else { return gone() };
                let label = Self::label(&row.name);
                let answer =
                    json!({ "id": row.id, "label": label, "type": row.kind, "value": row.value });
                self.show(vec![row]);
                (200, answer.to_string())
            }
            (Method::Post, ["zones", ZONE, "records"]) => {
                let (name, kind, value) = (text("name"), text("type"), text("value"));
                let equal = |row: &Row| row.is_of(&name, &kind) && row.value == value;
                if self.shape == Shape::Values && self.rows.iter().any(equal) {
                    return (409, r#"{"code":"duplicate"}"#.into());
                }
                self.add(&name, &kind, &value);
                (201, r#"{"ok":true}"#.into())
            }
            (Method::Post, ["zones", ZONE, "removals"]) => {
                let (name, kind, value) = (text("name"), text("type"), text("value"));
                let address: Option<IpAddr> = value.parse().ok();
                let is_one = |row: &Row| row.is_of(&name, &kind) && row.address() == address;
                let all: Vec<_> = self.rows.iter().filter(|row| is_one(row)).cloned().collect();
                if all.is_empty() {
                    return gone();
                }
                all.iter().for_each(|row| self.check_right(row));
                self.rows.retain(|row| !is_one(row));
                done()
            }
            (Method::Patch | Method::Delete, ["records", id]) => {
                let at = self.rows.iter().position(|row| row.id.to_string() == *id);
                let Some(at) = at else { return gone() };
                self.check_right(&self.rows[at]);
                if method == Method::Patch {
                    self.rows[at].value = text("value");
                } else {
                    self.rows.remove(at);
                }
                done()
            }
            (Method::Post, ["zones", ZONE, "refresh"]) => {
                self.live = self.rows.clone();
                (204, String::new())
            }
            (_, ["zones", ZONE, "sets", label, kind]) => {
                let name = Self::host(&decoded(label));
                self.act_on_set(method, &name, kind, &body)
            }
            _ => self.fail(&format!("an unknown request: {} {path}", method.as_str())),
        }
    }

    fn act_on_set(
        &mut self,
        method: Method,
        name: &str,
        kind: &str,
        body: &Value,
    ) -> (u16, String) {
        let gone = || (404, r#"{"code":"not_found"}"#.to_owned());
        let is_of_set = |row: &&Row| row.is_of(name, kind);
        if method == Method::Get {
            let rows: Vec<_> = self.listed().iter().filter(is_of_set).cloned().collect();
            let values: Vec<_> = rows.iter().map(|row| row.value.clone()).collect();
            self.rights.shown.retain(|row| !is_of_set(&row));
            self.show(rows);
            return if values.is_empty() {
                gone()
            } else {
                (200, json!({ "values": values }).to_string())
            };
        }
        let there: Vec<_> = self.rows.iter().filter(is_of_set).cloned().collect();
        let is_made = self.shape == Shape::MadeSets;
        match (method, there.is_empty()) {
            (Method::Delete, true) => return gone(),
            (Method::Put, true) if is_made => return gone(),
            (Method::Post, false) => return (409, r#"{"code":"exists"}"#.into()),
            _ => {}
        }
        let values = body["values"].as_array().cloned().unwrap_or_default();
        let values: Vec<_> =
            values.iter().map(|value| value.as_str().unwrap().to_owned()).collect();
        let remains = |row: &Row| {
            row.address().is_some_and(|it| values.iter().any(|value| value.parse() == Ok(it)))
        };
        there.iter().filter(|row| !remains(row)).for_each(|row| self.check_right(row));
        self.rows.retain(|row| !row.is_of(name, kind));
        values.iter().for_each(|value| self.add(name, kind, value));
        (200, r#"{"ok":true}"#.into())
    }

    fn listed(&self) -> Vec<Row> {
        if self.weather.late_lists { self.before.clone() } else { self.rows.clone() }
    }

    /// The addresses of a name that are in effect, sorted.
    fn held(&self, name: &str, kind: &str) -> Vec<String> {
        let rows = if self.shape == Shape::Bare { &self.live } else { &self.rows };
        let mut held: Vec<_> = rows
            .iter()
            .filter(|row| row.is_of(name, kind))
            .map(|row| {
                row.address().map_or_else(|| row.value.clone(), |address| address.to_string())
            })
            .collect();
        held.sort();
        held
    }
}

fn decoded(text: &str) -> String {
    text.replace("%2A", "*")
}

fn foreign_value(dice: &mut Dice, kind: &str) -> String {
    let last = u8::try_from(dice.below(3)).unwrap();
    match kind {
        "A" => Ipv4Addr::new(203, 0, 113, last).to_string(),
        "AAAA" => format!("2001:DB8:FFFF:0::{last}"),
        "CNAME" => "elsewhere.example.net.".into(),
        _ => format!("v=foreign{last}"),
    }
}

fn wanted(dice: &mut Dice, family: Family, may_remove: bool) -> Wish {
    if may_remove && dice.one_in(8) {
        return Wish::Remove;
    }
    let count = 1 + usize::from(dice.one_in(4));
    let addresses = (0..count).map(|_| {
        let last = u8::try_from(1 + dice.below(6)).unwrap();
        match family {
            Family::V4 => IpAddr::V4(Ipv4Addr::new(198, 18, 0, last)),
            Family::V6 => IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, last.into())),
        }
    });
    Wish::Set(Addresses::new(addresses).unwrap())
}

/// This machine: its hosts, what it remembers of them, and what they shall hold.
struct Machine {
    provider: Provider,
    hosts: Vec<Host>,
    entries: Vec<Entry>,
    wishes: Vec<PerFamily<Wish>>,
    now: u64,
}

impl Machine {
    /// Holds one conversation for `family`; returns the outcome of each host that it is about.
    fn converse(&mut self, service: &mut Service, family: Family) -> Vec<(usize, Outcome)> {
        self.now += 60;
        let now = Timestamp::from_secs(1_800_000_000 + self.now);
        let places: Vec<usize> =
            (0..self.hosts.len()).filter(|at| self.wishes[*at][family] != Wish::Leave).collect();
        if places.is_empty() {
            return Vec::new();
        }
        let mut updates = Vec::new();
        let mut details = Vec::new();
        service.rights = Rights::default();
        for &at in &places {
            let mut wishes = PerFamily::default();
            wishes[family] = self.wishes[at][family].clone();
            let known = Details::of(&self.hosts[at], Some(&self.entries[at]));
            let mut own: BTreeSet<IpAddr> = known.own[family].iter().copied().collect();
            if let Wish::Set(addresses) = &wishes[family] {
                own.extend(addresses.iter());
            }
            let take_over = self.hosts[at].take_over;
            // A removal takes what is ours alone, unless all is given.
            let take_over = match (&wishes[family], take_over) {
                (Wish::Remove, TakeOver::OnlyOne) => TakeOver::Nothing,
                (_, take_over) => take_over,
            };
            let name = self.hosts[at].key.host.as_str().to_owned();
            service.rights.hosts.push((name, family.record_type().to_owned(), own, take_over));
            details.push(known);
            note_earlier(&mut self.entries[at], &wishes);
            sending(&mut self.entries[at], &wishes, now);
            updates.push(Update { host: self.hosts[at].key.host.clone(), wishes });
        }
        service.log.push(format!(
            "{family}: {:?}",
            updates.iter().map(|it| &it.wishes[family]).collect::<Vec<_>>()
        ));
        let zone = ZoneKey { provider: "model".into(), zone: Some(ZONE.parse().unwrap()) };
        let request = Request {
            hosts: places.clone(),
            updates,
            ttl: None,
            conditions: Vec::new(),
            details,
            is_anew: false,
            zone,
            counts: Vec::new(),
            at: now,
        };
        let credential = Credential { login: String::new(), secret: Secret::new("s3cret") };
        let moment = Moment { now, clock_is_set: true, nonce: 1 };
        let job =
            Job { provider: &self.provider, credential: &credential, request: &request, moment };
        let snapshot = service.rows.clone();
        let (mut talk, mut step) = Talk::begin(&job);
        let mut asked = 0;
        let verdict = loop {
            match step {
                Step::Ask(Ask::Http(request)) => {
                    asked += 1;
                    assert!(asked < 500, "the conversation does not end");
                    step = talk.hear(service.hear(&request).map(Heard::Answer));
                }
                Step::Ask(_) => panic!("asks in another way"),
                Step::Done(verdict) => break verdict,
            }
        };
        service.before = snapshot;
        let outcomes = match verdict {
            Verdict::All(outcome) => vec![outcome; places.len()],
            Verdict::Each(outcomes) => outcomes,
            Verdict::NoLists(_) => panic!("no lists"),
        };
        assert_eq!(outcomes.len(), places.len());
        for ((&at, update), outcome) in places.iter().zip(&request.updates).zip(&outcomes) {
            service.log.push(format!("  = {} {outcome:?}", update.host));
            let situation = Situation {
                now,
                spread: 0.0,
                shared: false,
                fingerprint: Fingerprint(1),
                own_doing: false,
            };
            settle(&self.hosts[at], &mut self.entries[at], &update.wishes, outcome, &situation);
        }
        places.into_iter().zip(outcomes).collect()
    }
}

fn host(name: &str, take_over: TakeOver) -> Host {
    let settings = HostSettings {
        zone: Some(ZONE.parse().unwrap()),
        families: PerFamily { v4: Use::Auto, v6: Use::Auto },
        refresh: None,
        loses: PerFamily::default(),
        when_gone: WhenGone::Keep,
        bind: None,
        ttl: None,
        take_over,
        options: Vec::new(),
    };
    let key = Key { host: name.parse::<Hostname>().unwrap(), provider: "model".into() };
    Host { key, settings: settings.into() }
}

/// The records that no conversation is about: other names, and other types.
fn untouched(service: &Service, machine: &Machine) -> Vec<Row> {
    let is_ours = |row: &&Row| {
        machine.hosts.iter().any(|host| {
            Family::BOTH.into_iter().any(|it| row.is_of(host.key.host.as_str(), it.record_type()))
        })
    };
    service.rows.iter().filter(|row| !is_ours(row)).cloned().collect()
}

/// One run.
struct Run {
    dice: Dice,
    machine: Machine,
    service: Service,
    names: Vec<&'static str>,
    families: Vec<Family>,
    weather: Weather,
    take_over: TakeOver,
}

impl Run {
    fn new(seed: u64) -> Self {
        const NAMES: [&str; 6] = [
            "home.example.com",
            "a.home.example.com",
            "ome.example.com",
            "example.com",
            "*.example.com",
            "home-2.example.com",
        ];
        const TAKE_OVER: [TakeOver; 4] =
            [TakeOver::OnlyOne, TakeOver::OnlyOne, TakeOver::Everything, TakeOver::Nothing];
        let mut dice = Dice(seed);
        let shape = dice.one_of(&SHAPES);
        let weather = Weather {
            faults: dice.one_of(&[0, 2, 4, 8, 20]),
            late_lists: dice.one_in(6),
            others: dice.one_in(6),
        };
        let take_over = dice.one_of(&TAKE_OVER);
        let (count, first) = (1 + dice.below(3), dice.below(NAMES.len()));
        let names: Vec<&str> = (0..count).map(|at| NAMES[(first + at) % NAMES.len()]).collect();
        let machine = Machine {
            provider: shape.provider(),
            hosts: names.iter().map(|name| host(name, take_over)).collect(),
            entries: vec![Entry::default(); count],
            wishes: Vec::new(),
            now: 0,
        };
        let mut service = Service {
            shape,
            rows: Vec::new(),
            before: Vec::new(),
            live: Vec::new(),
            next_id: 1000,
            dice: Dice(dice.roll()),
            weather: Weather::default(),
            rights: Rights::default(),
            log: vec![format!("seed {seed}: {shape:?} {weather:?} {take_over:?} {names:?}")],
        };
        // The service holds records of others, at our names as well.
        for _ in 0..dice.below(12) {
            let name = dice.one_of(&NAMES);
            let kind = dice.one_of(&["A", "AAAA", "TXT", "MX"]);
            let is_at_ours = names.contains(&name) && ["A", "AAAA"].contains(&kind);
            if !is_at_ours || dice.one_in(3) {
                let value = foreign_value(&mut dice, kind);
                service.add_others(name, kind, &value);
            }
        }
        (service.before, service.live) = (service.rows.clone(), service.rows.clone());
        let families = if dice.one_in(2) { vec![Family::V4] } else { Family::BOTH.to_vec() };
        Self { dice, machine, service, names, families, weather, take_over }
    }

    /// Some changes in bad weather: what is said to be right is right.
    fn storm(&mut self) {
        let is_clear = !self.weather.late_lists && !self.weather.others;
        self.service.weather = self.weather;
        for day in 0..=self.dice.below(5) {
            let mut wishes = |_| {
                let mut wishes = PerFamily::default();
                for family in &self.families {
                    wishes[*family] = wanted(&mut self.dice, *family, day > 0);
                }
                wishes
            };
            self.machine.wishes = (0..self.names.len()).map(&mut wishes).collect();
            self.service.others_come();
            let times = self.dice.below(2);
            for family in (0..=times).flat_map(|_| self.families.clone()) {
                for (at, outcome) in self.machine.converse(&mut self.service, family) {
                    let is_success = matches!(outcome, Outcome::Updated | Outcome::Unchanged);
                    if is_clear && is_success && !self.is_right(at, family) {
                        let what = format!("{} is not as it is said to be", self.names[at]);
                        self.service.fail(&what);
                    }
                }
            }
        }
    }

    /// Whether the service holds exactly what is wished.
    fn is_right(&self, at: usize, family: Family) -> bool {
        match &self.machine.wishes[at][family] {
            Wish::Set(addresses) => {
                let held = self.service.held(self.names[at], family.record_type());
                let mut wanted: Vec<_> = addresses.iter().map(|it| it.to_string()).collect();
                wanted.sort();
                held == wanted
            }
            // Only what is our own is removed; the service checks that nothing else is.
            Wish::Leave | Wish::Remove => true,
        }
    }

    /// Whether somebody else's record is at the name.
    fn is_taken(&self, at: usize, family: Family) -> bool {
        let is_ours =
            |row: &Row| row.value.starts_with("198.18.") || row.value.starts_with("2001:db8::");
        let (name, kind) = (self.names[at], family.record_type());
        self.service.rows.iter().any(|row| row.is_of(name, kind) && !is_ours(row))
    }

    /// In good weather three conversations are enough, and the third one writes nothing.
    fn calm(&mut self) {
        self.service.weather = Weather::default();
        for family in self.families.clone() {
            let mut outcomes = Vec::new();
            for _ in 0..3 {
                outcomes = self.machine.converse(&mut self.service, family);
            }
            for (at, outcome) in outcomes {
                let what = match &outcome {
                    Outcome::Unchanged if self.is_right(at, family) => continue,
                    Outcome::Unchanged => "is not right in the end",
                    Outcome::Rejected(refusal)
                        if refusal.rejection == Rejection::Request
                            && self.take_over != TakeOver::Everything
                            && self.is_taken(at, family) =>
                    {
                        continue;
                    }
                    Outcome::Updated => "is written again and again",
                    Outcome::Deferred(_) | Outcome::Rejected(_) => "does not come to rest",
                };
                self.service.fail(&format!("{} {what}: {outcome:?}", self.names[at]));
            }
            if self.service.rights.writes > 0 {
                self.service.fail("something is written although all is right");
            }
        }
    }
}

#[test]
fn nobodys_records_are_lost_whatever_answers_are() {
    for seed in 0..4_000 {
        let mut run = Run::new(seed);
        let before = untouched(&run.service, &run.machine);
        run.storm();
        run.calm();
        if untouched(&run.service, &run.machine) != before {
            run.service.fail("records of others are not as before");
        }
    }
}
