//! Scenes: the values that fill the places of a request, and the request that is made of them.

use std::borrow::Cow;
use std::net::IpAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::compare::Record;
use super::entry::{Entry, StepKind};
use super::reader::{BodyForm, Header, Step};
use super::signing;
use super::template::{Form, Missing, Template, Value};
use crate::core::address::{Family, PerFamily};
use crate::core::name::Hostname;
use crate::core::plan::{Details, Update, Wish};
use crate::core::protocol::step::Moment;
use crate::core::protocol::{Body, Credential, HttpRequest};
use crate::core::provider::Provider;
use crate::core::secret::Secret;
use crate::core::text::Text;

/// What a conversation knows from its beginning, and what answers brought.
#[derive(Debug)]
pub struct Session<'a> {
    /// The provider that is asked.
    pub provider: &'a Provider,
    /// Its entry.
    pub entry: &'a Entry,
    /// The credential to ask with.
    pub credential: &'a Credential,
    /// The moment of the conversation.
    pub moment: Moment,
    /// The values that answers brought, by name; each may be a secret.
    pub taken: Vec<(Text, Secret)>,
    /// The cookies of the session, in the form of the header `Cookie`.
    pub cookies: Option<Secret>,
    /// The number of requests so far.
    pub asked: u32,
    /// Whether requests are only shown: a value that an answer would bring is then `<its name>`.
    pub is_shown: bool,
}

/// What one request is about.
#[derive(Clone, Copy, Debug, Default)]
pub struct Scene<'a> {
    /// The host.
    pub host: Option<&'a Hostname>,
    /// Its wishes.
    pub wishes: Option<&'a PerFamily<Wish>>,
    /// What else is known of the host.
    pub details: Option<&'a Details>,
    /// Its zone.
    pub zone: Option<&'a Hostname>,
    /// The name that is tried as its zone.
    pub tried: Option<&'a str>,
    /// The family that the request is about, if it is about one.
    pub family: Option<Family>,
    /// The address that it is about.
    pub address: Option<IpAddr>,
    /// The listed record that it is about.
    pub record: Option<&'a Record>,
    /// All listed records.
    pub listed: &'a [Record],
    /// The id that a list of bare ids has.
    pub id: Option<&'a str>,
    /// Whether the request removes what is there.
    pub removes: bool,
    /// Whether the request, which is only shown, is about a record that a list would bring.
    pub is_listed: bool,
}

/// Why a request cannot be made, in words.
pub type Unfit = String;

impl<'a> Session<'a> {
    /// The session with `provider`, which `entry` describes.
    pub fn new(
        provider: &'a Provider,
        entry: &'a Entry,
        credential: &'a Credential,
        moment: Moment,
    ) -> Self {
        let (taken, cookies, asked, is_shown) = (Vec::new(), None, 0, false);
        Self { provider, entry, credential, moment, taken, cookies, asked, is_shown }
    }

    /// The request of `step` in `scene`; the error says which place has no value.
    pub fn request(&mut self, step: &Step, scene: &Scene<'_>) -> Result<HttpRequest, Unfit> {
        let request = self.unsigned(step, scene)?;
        Ok(self.signed(step, request))
    }

    /// `request`, which no step of the entry describes, with the entry's headers; not signed.
    #[cfg(feature = "tokens")]
    pub fn dressed(&self, mut request: HttpRequest) -> Result<HttpRequest, Unfit> {
        for Header { name, value } in &self.entry.headers {
            let scene = Scene::default();
            let text = value.fill(Form::Plain, &|name: &str| self.value(name, Form::Plain, &scene));
            request.headers.push((name.clone(), text.map_err(|missing| no_value(&missing))?));
        }
        Ok(request)
    }

    /// As [`Self::request`], without the signature: the pages of a list have one each.
    pub fn unsigned(&mut self, step: &Step, scene: &Scene<'_>) -> Result<HttpRequest, Unfit> {
        self.asked += 1;
        let value = |name: &str, form, body: Option<&Body>| match (name, body) {
            ("body-signature", Some(body)) => {
                let body = body.parts().1.expose();
                let text = signing::body_signature(self.secret(), self.key()?, body)?;
                Some(Value::Secret(Cow::Owned(Secret::new(&text))))
            }
            _ => self.value(name, form, scene),
        };
        let own: &[Header] = if step.is_bare { &[] } else { &self.entry.headers };
        let request = filled(step, own, &value)?;
        let is_wrong = request.body.as_ref().is_some_and(|body| !body.is_sound());
        if is_wrong && !self.is_shown {
            return Err("the body is not JSON with these values; check options".into());
        }
        let is_set = |wishes: &PerFamily<Wish>| wishes.map(|_, wish| matches!(wish, Wish::Set(_)));
        let via = scene.wishes.and_then(|wishes| self.provider.via(is_set(wishes)));
        let login = self.entry.step(StepKind::Login);
        let is_private = login.is_some_and(|login| std::ptr::eq(login, step));
        Ok(HttpRequest { via, is_private, ..request })
    }

    /// `request` of `step` with its signature, if the service wants one.
    pub fn signed(&self, step: &Step, request: HttpRequest) -> HttpRequest {
        let Some(sign) = self.entry.sign.as_ref().filter(|_| !step.is_bare) else {
            return request;
        };
        let parts: Vec<&str> =
            self.secret().expose().splitn(self.entry.secret_parts, ':').collect();
        sign.signed(request, self.credential, &parts, (self.unix(), self.nonce()))
    }

    /// The seconds since 1970.
    fn unix(&self) -> u64 {
        self.moment.now.millis() / 1000
    }

    /// A number that no other request has.
    fn nonce(&self) -> u128 {
        self.moment.nonce.wrapping_add(u128::from(self.asked))
    }

    fn secret(&self) -> &Secret {
        &self.credential.secret
    }

    /// The form of the key file that the secret is.
    fn key(&self) -> Option<&str> {
        self.entry.key.as_deref()
    }

    /// The value of a place, or in a request that is only shown what stands for it.
    fn value<'v>(&'v self, name: &str, form: Form, scene: &Scene<'v>) -> Option<Value<'v>> {
        let known = self.known_value(name, form, scene);
        let stands_for = || Value::Ready(format!("<{name}>").into());
        known.or_else(|| self.will_be_known(name, scene).then(stands_for))
    }

    /// Whether an answer will bring a value for a place of a request that is only shown.
    fn will_be_known(&self, name: &str, scene: &Scene<'_>) -> bool {
        let login = || self.entry.step(StepKind::Login);
        let is_taken = || login().is_some_and(|login| login.take.iter().any(|(it, _)| it == name));
        self.is_shown
            && match name {
                "address" | "id" | "olds" | "ttl" => scene.is_listed,
                "cookies" => login().is_some(),
                "label" | "zone" | "zone-id" => self.entry.finds_zone(),
                _ => (scene.is_listed && name.starts_with("old.")) || is_taken(),
            }
    }

    /// The value of a place, as far as it is known.
    fn known_value<'v>(&'v self, name: &str, form: Form, scene: &Scene<'v>) -> Option<Value<'v>> {
        let text = |text: &'v str| Some(Value::Text(Cow::Borrowed(text)));
        let owned = |text: String| Some(Value::Text(Cow::Owned(text)));
        let entry = self.entry;
        let family = scene.family;
        match name {
            "host" => text(scene.host?.as_str()),
            "zone" => text(scene.zone?.as_str()),
            "try" => text(scene.tried?),
            "label" => {
                let label = label(scene.host?, scene.zone?);
                text(if label.is_empty() { &entry.apex } else { label })
            }
            "zone-id" => {
                let details = scene.details?;
                text(details.option("zone-id").or(details.zone_id.as_deref())?)
            }
            "ipv4" => owned(addresses(scene.wishes?, Family::V4)?),
            "ipv6" => owned(addresses(scene.wishes?, Family::V6)?),
            "addresses" => {
                let wishes = scene.wishes?;
                let all = Family::BOTH.into_iter().filter_map(|family| addresses(wishes, family));
                owned(all.collect::<Vec<_>>().join(","))
            }
            "address" => owned(scene.address?.to_string()),
            "type" => text(self.record_type(family?)),
            "family" => text(if family? == Family::V4 { "4" } else { "6" }),
            "items" => {
                let Wish::Set(addresses) = &scene.wishes?[family?] else { return None };
                let all =
                    addresses.iter().map(|address| Scene { address: Some(address), ..*scene });
                self.joined(entry.item.as_ref()?, form, all)
            }
            "olds" => {
                let all = scene.listed.iter().map(|record| Scene {
                    address: record.address(),
                    record: Some(record),
                    ..*scene
                });
                self.joined(entry.item.as_ref()?, form, all)
            }
            "sets" => {
                let wishes = scene.wishes?;
                let set = |family: &Family| matches!(wishes[*family], Wish::Set(_));
                let all = Family::BOTH.into_iter().filter(set);
                let all = all.map(|family| Scene { family: Some(family), ..*scene });
                self.joined(entry.set_item.as_ref()?, form, all)
            }
            "id" => {
                let record = scene.record.or(scene.listed.first());
                text(scene.id.or(record.and_then(|record| record.id.as_deref()))?)
            }
            // The listed record's counts, unless the host has one.
            "ttl" if scene.is_listed && scene.details?.ttl.is_none() => None,
            "ttl" => owned(self.ttl(scene).to_string()),
            "own-ttl" => owned(entry.ttl.within(scene.details?.ttl?).to_string()),
            "login" => text(Some(&*self.credential.login).filter(|login| !login.is_empty())?),
            "secret" => Some(Value::Secret(Cow::Borrowed(&self.credential.secret))),
            "secret.1" | "secret.2" | "secret.3" => {
                let at = usize::from(name.as_bytes()[7] - b'1');
                let mut parts = self.credential.secret.expose().splitn(entry.secret_parts, ':');
                let part = parts.nth(at).filter(|part| !part.is_empty())?;
                Some(Value::Secret(Cow::Owned(Secret::new(part))))
            }
            "secret.family" => {
                let mut parts = self.credential.secret.expose().split_ascii_whitespace();
                let first = parts.next()?;
                let second = parts.next().filter(|_| family == Some(Family::V6));
                Some(Value::Secret(Cow::Owned(Secret::new(second.unwrap_or(first)))))
            }
            "basic" => {
                let Credential { login, secret } = self.credential;
                let pair = [login, ":", secret.expose()].concat();
                Some(Value::Secret(Cow::Owned(Secret::new(&STANDARD.encode(pair)))))
            }
            "cookies" => Some(Value::Secret(Cow::Borrowed(self.cookies.as_ref()?))),
            "unix" => owned(self.unix().to_string()),
            "unix+3600" => owned((self.unix() + 3600).to_string()),
            "nonce" => owned(format!("{:032x}", self.nonce())),
            _ => self.named_value(name, scene),
        }
    }

    /// The value of a place whose name is the entry's own.
    fn named_value<'v>(&'v self, name: &str, scene: &Scene<'v>) -> Option<Value<'v>> {
        if name == "jwt" {
            let value = |name: &str| self.value(name, Form::Json, scene);
            let claims = self.entry.jwt.as_ref()?.fill(Form::Json, &value).ok()?;
            let token = signing::jwt(self.secret(), self.key()?, claims.expose())?;
            return Some(Value::Secret(Cow::Owned(token)));
        }
        if let Some(field) = name.strip_prefix("key.") {
            let field = signing::field(self.secret(), self.key()?, field)?;
            return Some(Value::Text(Cow::Owned(field)));
        }
        if let Some(option) = name.strip_prefix("opt.") {
            return Some(Value::Text(Cow::Borrowed(scene.details?.option(option)?)));
        }
        if let Some(path) = name.strip_prefix("old.") {
            let path = super::path::Path::parse(path).ok()?;
            let found = path.find(&scene.record?.row).into_iter().next()?.to_string();
            return Some(Value::Ready(Cow::Owned(found)));
        }
        if let Some((_, taken)) = self.taken.iter().find(|(known, _)| known == name) {
            return Some(Value::Secret(Cow::Borrowed(taken)));
        }
        let (_, words) = self.entry.pairs.iter().find(|(known, _)| known == name)?;
        Some(Value::Text(Cow::Borrowed(&words[scene.family?])))
    }

    /// The word for the record type of `family`, which differs at some services.
    pub fn record_type(&self, family: Family) -> &str {
        let words = self.entry.pairs.iter().find(|(name, _)| name == "type");
        words.map_or_else(|| family.record_type(), |(_, words)| &words[family])
    }

    /// `item` for each scene, with the entry's glue between them.
    fn joined<'v>(
        &'v self,
        item: &Template,
        form: Form,
        scenes: impl Iterator<Item = Scene<'v>>,
    ) -> Option<Value<'v>> {
        let mut joined = None;
        for scene in scenes {
            let value = |name: &str| self.value(name, form, &scene);
            let next = item.fill(form, &value).ok()?;
            match &mut joined {
                None => joined = Some(next),
                Some(joined) => {
                    joined.push(&self.entry.glue);
                    joined.append(next);
                }
            }
        }
        joined.map(Value::Filled)
    }

    /// The time to live to state: the host's, else the listed record's, else the entry's; a removal
    /// names the listed record by all its fields.
    fn ttl(&self, scene: &Scene<'_>) -> u32 {
        let ttl = &self.entry.ttl;
        let own = scene.details.and_then(|details| details.ttl);
        let record = scene.record.or(scene.listed.first());
        let listed = record.and_then(|record| record.ttl);
        if let (true, Some(listed)) = (scene.removes, listed) {
            return listed;
        }
        ttl.within(own.or(listed).unwrap_or(ttl.default))
    }
}

impl<'a> Scene<'a> {
    /// The scene of an update in `zone`.
    pub fn of(
        update: &'a Update,
        details: Option<&'a Details>,
        zone: Option<&'a Hostname>,
    ) -> Self {
        let (host, wishes) = (Some(&update.host), Some(&update.wishes));
        Self { host, wishes, details, zone, ..Self::default() }
    }
}

/// The value of a place, by its name and the form in which it is written; in a header also by the body.
pub type ValueOf<'f, 'v> = dyn Fn(&str, Form, Option<&Body>) -> Option<Value<'v>> + 'f;

/// The request of `step`, with the `headers` before its own, whose places have the values of `value`. A
/// header without a value is left out. The error says which place has no value.
pub fn filled(
    step: &Step,
    headers: &[Header],
    value: &ValueOf<'_, '_>,
) -> Result<HttpRequest, Unfit> {
    let fill = |template: &Template, form, body: Option<&Body>| {
        let text = template.fill(form, &|name: &str| value(name, form, body));
        text.map_err(|missing| no_value(&missing))
    };
    // A whole URL that is a secret stands as it is.
    let form = if step.url.begins_with_secret() { Form::Plain } else { Form::Percent };
    let url = fill(&step.url, form, None)?;
    let body = match &step.body {
        None => None,
        Some((form, template)) => Some(match form {
            BodyForm::Form => Body::Form(fill(template, Form::Percent, None)?),
            BodyForm::Json => Body::Json(fill(template, Form::Json, None)?),
            BodyForm::Text => Body::Text(fill(template, Form::Plain, None)?),
            BodyForm::Xml => Body::Xml(fill(template, Form::Xml, None)?),
        }),
    };
    let mut all = Vec::new();
    for Header { name, value } in headers.iter().chain(&step.headers) {
        let text = fill(value, Form::Plain, body.as_ref())?;
        if !text.expose().is_empty() {
            all.push((name.clone(), text));
        }
    }
    let rest = HttpRequest::get(url, None);
    Ok(HttpRequest { method: step.method, body, headers: all, ..rest })
}

/// The message about a zone that is not known.
pub fn no_zone() -> Unfit {
    no_value(&Missing(Cow::Borrowed("zone")))
}

/// The message about a place without a value.
fn no_value(Missing(name): &Missing) -> Unfit {
    let name = match &**name {
        "zone" | "label" => "zone; write zone in its [[host]]",
        "jwt" | "body-signature" => "signature; check the key file",
        "zone-id" => "zone's id; write zone-id in its options",
        "login" | "basic" => "login; write username in its [[host]]",
        name => name.strip_prefix("opt.").unwrap_or(name),
    };
    ["nothing is sent: there is no value for the ", name].concat()
}

/// The parts of `update` that are compared and written at once: single families, or the whole host.
pub fn parts(entry: &Entry, update: &Update) -> Vec<Option<Family>> {
    let is_of_one_family = entry.is_of_one_family();
    let is_set = |family: &Family| matches!(update.wishes[*family], Wish::Set(_));
    let whole = (!is_of_one_family && Family::BOTH.iter().any(is_set)).then_some(None);
    let single = Family::BOTH.into_iter().filter(|family| match update.wishes[*family] {
        Wish::Leave => false,
        Wish::Remove => true,
        Wish::Set(_) => is_of_one_family,
    });
    whole.into_iter().chain(single.map(Some)).collect()
}

/// The part of `host` before `zone`, without the dot; empty at the zone's own name. A host that is not
/// within the zone has its whole name as label.
pub fn label<'h>(host: &'h Hostname, zone: &Hostname) -> &'h str {
    let inner = host.as_str().strip_suffix(zone.as_str()).filter(|_| host.is_within(zone));
    let rest = inner.unwrap_or(host.as_str());
    rest.strip_suffix('.').unwrap_or(rest)
}

fn addresses(wishes: &PerFamily<Wish>, family: Family) -> Option<String> {
    match &wishes[family] {
        Wish::Set(addresses) => Some(addresses.to_string()),
        Wish::Leave | Wish::Remove => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::address::Addresses;
    use crate::core::protocol::http::tree::Tree;
    use crate::core::protocol::manners::Protocol;
    use crate::core::provider_key::ProviderKey;
    use crate::core::secret::HIDDEN;

    #[test]
    fn a_secret_in_a_part_that_is_repeated_is_not_shown() {
        let text = |text: &str| Tree::Text(Cow::Owned(text.to_owned()));
        let table = |name: &str, value| Tree::Table(vec![(Cow::Owned(name.to_owned()), value)]);
        let post = vec![
            ("post".into(), text("https://dns.example.net/set")),
            ("json".into(), text("[{items}]")),
        ];
        let settings = vec![
            (ProviderKey::Set, Tree::Table(post)),
            (ProviderKey::Item, text(r#"{"ip":"{address}","key":"{secret}"}"#)),
            (ProviderKey::Answer, table("updated", text("200 json"))),
        ];
        let mut provider = Protocol::Http.defaults("x".into());
        provider.describe(settings).unwrap_or_else(|wrong| panic!("{wrong:?}"));
        let entry = provider.http.as_ref().unwrap();
        let secret = Secret::new("s3cret");
        let credential = Credential { login: String::new(), secret };
        let addresses = ["192.0.2.1", "192.0.2.2"].map(|address| address.parse().unwrap());
        let wishes =
            PerFamily { v4: Wish::Set(Addresses::new(addresses).unwrap()), v6: Wish::Leave };
        let host = "a.example.com".parse().unwrap();
        let update = Update { host, wishes };
        let scene = Scene { family: Some(Family::V4), ..Scene::of(&update, None, None) };
        let mut session = Session::new(&provider, entry, &credential, Moment::default());
        let request = session.request(entry.step(StepKind::Set).unwrap(), &scene).unwrap();
        let body = request.body.as_ref().unwrap().parts().1;
        let expect = |secret: &str| {
            let item = |address| format!(r#"{{"ip":"{address}","key":"{secret}"}}"#);
            format!("[{},{}]", item("192.0.2.1"), item("192.0.2.2"))
        };
        assert_eq!(body.expose(), expect("s3cret"));
        assert_eq!(body.to_string(), expect(HIDDEN));
        // Whoever sends it knows that it must not come back in a message.
        assert_eq!(body.secrets().count(), 2);
    }
}
