//! Services: how each one wants to be told, described as data, and what its answers mean.
//!
//! The built-in ones are texts that build.rs makes of `core/notify.toml`; those of users come from the
//! configuration, and both are read here in the same way.

use std::borrow::Cow;
use std::fmt;

use super::message::{Message, PLACES};
use crate::core::protocol::http::answer::{Meaning, Rules, meaning, tree_of};
use crate::core::protocol::http::reader::{Step, Wrong, unknown};
use crate::core::protocol::http::scene::filled;
use crate::core::protocol::http::template::{Form, Value};
use crate::core::protocol::http::tree::{Tree, parts};
use crate::core::protocol::{Answer, Body, HttpRequest};
use crate::core::secret::Secret;
use crate::core::text::Text;

/// Two parts for each service, in the order of `core/notify.toml`: its name, and its settings as a tree.
const BUILT_IN: &str = include_str!(concat!(env!("OUT_DIR"), "/notify.txt"));

/// The place of the service's address.
const SERVER: &str = "opt.server";

/// A service that takes messages by one request.
#[derive(Clone)]
pub struct Service {
    /// Its name in the configuration.
    pub name: Text,
    /// Its name in messages.
    pub title: Text,
    /// Where it is, if there is one place.
    pub server: Option<Text>,
    /// What may be said of it.
    pub options: Vec<Text>,
    /// The settings that it was made of.
    settings: Vec<(Text, Tree)>,
    /// The request.
    step: Step,
}

/// What a request is filled with besides the message.
#[derive(Clone, Copy, Debug)]
pub struct Account<'a> {
    /// Where the service is, without a slash at the end.
    pub server: Option<&'a str>,
    /// The secret, if there is one.
    pub secret: Option<&'a Secret>,
    /// The options with their values.
    pub options: &'a [(Text, String)],
}

/// The names of the built-in services, sorted as in their table.
pub fn names<'a>() -> impl Iterator<Item = &'a str> {
    built_in().map(|(name, _)| -> &'a str { name })
}

/// The built-in service called `name`.
pub fn named(name: &str) -> Option<Service> {
    let (name, settings) = built_in().find(|(known, _)| *known == name)?;
    let Tree::Table(settings) = Tree::decode(settings) else { return None };
    Service::read(Cow::Borrowed(name), settings).ok()
}

fn built_in() -> impl Iterator<Item = (&'static str, &'static str)> {
    let mut parts = parts(BUILT_IN);
    std::iter::from_fn(move || Some((parts.next()?, parts.next()?)))
}

impl Service {
    /// The keys of its settings.
    pub const KEYS: [&str; 4] = ["options", "send", "server", "title"];

    /// The service `name` of `settings`; the error is the first problem.
    pub fn read(name: Text, settings: Vec<(Text, Tree)>) -> Result<Self, Wrong> {
        let wrong = |key: &str, what: &str| Wrong { key: key.to_owned(), what: what.to_owned() };
        let find = |key: &str| settings.iter().find(|(known, _)| known == key).map(|(_, it)| it);
        let text = |key: &str| match find(key).map(Tree::text) {
            Some(None) => Err(wrong(key, "must be text in quotes")),
            text => Ok(text.flatten().cloned()),
        };
        let options = match find("options").map(Tree::texts) {
            None => Vec::new(),
            Some(None) => return Err(wrong("options", "must be a list of names")),
            Some(Some(options)) => options.into_iter().cloned().collect(),
        };
        let send = find("send").ok_or_else(|| {
            wrong(
                "send",
                "is missing; write send = { post = \"https://…\", json = '…', ok = \"200\" }",
            )
        })?;
        let step = Step::read(send, "send", &["{", SERVER, "}"].concat())?;
        let (title, server) = (text("title")?.unwrap_or_else(|| name.clone()), text("server")?);
        let service = Self { name, title, server, options, settings, step };
        service.check()?;
        Ok(service)
    }

    /// Finds what is wrong with it as a whole.
    fn check(&self) -> Result<(), Wrong> {
        let wrong = |key: &str, what: String| Err(Wrong { key: key.to_owned(), what });
        if self.step.ok.is_empty() {
            let what =
                "is missing: Homing has to know which answer is a success; write ok = \"200 …\"";
            return wrong("send.ok", what.to_owned());
        }
        let options: Vec<_> = self.options.iter().map(|name| ["opt.", name].concat()).collect();
        let options = options.iter().map(String::as_str);
        let known: Vec<&str> =
            PLACES.into_iter().chain(["secret", SERVER]).chain(options).collect();
        for template in self.step.templates() {
            let mut strange = None;
            template.visit_names(&mut |name, _| {
                if !known.contains(&name) && strange.is_none() {
                    strange = Some(unknown("place", name, &known));
                }
            });
            if let Some(what) = strange {
                return wrong("send", what);
            }
        }
        if !self.step.has_right_json() {
            return wrong("send.json", "is not JSON after its places have values".to_owned());
        }
        Ok(())
    }

    /// What its secret is called, `url` where it is a whole URL; `None` where it takes none.
    pub fn secret(&self) -> Option<&'static str> {
        let word = if self.step.url.begins_with_secret() { "url" } else { "token" };
        self.step.has("secret").then_some(word)
    }

    /// Whether it needs its secret.
    pub fn needs_secret(&self) -> bool {
        self.needs("secret")
    }

    /// Whether it is at a server that is to be named, or may be.
    pub fn has_server(&self) -> bool {
        self.step.has(SERVER)
    }

    /// Whether it cannot do without the option `name`.
    pub fn needs_option(&self, name: &str) -> bool {
        self.needs(&["opt.", name].concat())
    }

    fn needs(&self, name: &str) -> bool {
        let mut is_needed = false;
        for template in self.step.templates() {
            template.visit_names(&mut |known, needed| is_needed |= needed && known == name);
        }
        is_needed
    }

    /// The fixed beginning of the URL; empty where a setting decides it.
    pub fn fixed_start(&self) -> &str {
        self.step.url.fixed_start()
    }

    /// The request that brings `message`; the error says what it lacks.
    pub fn request(&self, message: &Message, account: Account<'_>) -> Result<HttpRequest, String> {
        let value = |name: &str, form: Form, _: Option<&Body>| match name {
            "secret" => Some(Value::Secret(Cow::Borrowed(account.secret?))),
            SERVER => Some(Value::Ready(account.server?.into())),
            _ => match name.strip_prefix("opt.") {
                None => message.value(name, form),
                Some(option) => {
                    let (_, text) = account.options.iter().find(|(known, _)| known == option)?;
                    Some(Value::Text(text.as_str().into()))
                }
            },
        };
        let request = filled(&self.step, &[], &value)?;
        if request.body.as_ref().is_some_and(|body| !body.is_sound()) {
            return Err("the body is not JSON with these values; check the options".to_owned());
        }
        // Some options are as good as a secret, such as a topic.
        Ok(HttpRequest { is_private: true, ..request })
    }

    /// Whether `answer` says that the message was taken; the error says what it is instead.
    pub fn judge(&self, answer: &Answer) -> Result<(), String> {
        let tree = tree_of(&answer.body);
        let (rest, pages, otherwise) = (false, false, None);
        let rules = Rules { answers: &[], otherwise, rest, pages, ok: &self.step.ok };
        match meaning(answer, tree.as_ref(), &rules) {
            Meaning::Updated => Ok(()),
            _ => Err(format!("{} answers {}", self.title, answer.summary())),
        }
    }
}

impl PartialEq for Service {
    fn eq(&self, other: &Self) -> bool {
        (&self.name, &self.settings) == (&other.name, &other.settings)
    }
}

impl Eq for Service {}

impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Tree {
        Tree::Text(Cow::Owned(text.to_owned()))
    }

    /// The service whose `send` has these settings.
    fn service(send: &[(&'static str, &str)]) -> Result<Service, Wrong> {
        let send = send.iter().map(|(key, value)| (Cow::Borrowed(*key), text(value))).collect();
        let options = Tree::List(vec![text("number")]);
        let settings =
            vec![(Cow::Borrowed("options"), options), (Cow::Borrowed("send"), Tree::Table(send))];
        Service::read("mine".into(), settings)
    }

    #[track_caller]
    fn refuses(send: &[(&'static str, &str)], key: &str, what: &str) {
        let wrong = service(send).unwrap_err();
        assert!(wrong.key == key && wrong.what.contains(what), "{wrong:?}");
    }

    #[test]
    fn every_built_in_service_is_right() {
        assert_eq!(names().count(), 10);
        for name in names() {
            let service = named(name).unwrap_or_else(|| panic!("{name}"));
            assert!(service.secret().is_some() && !service.title.is_empty(), "{name}");
        }
        assert!(!named("ntfy").unwrap().needs_secret());
        assert_eq!(named("slack").unwrap().secret(), Some("url"));
        assert_eq!(named("gotify").unwrap().secret(), Some("token"));
        let pushover = named("pushover").unwrap();
        assert!(pushover.needs_option("user") && !pushover.needs_option("device"));
    }

    #[test]
    fn a_service_of_a_user_is_checked_before_it_is_needed() {
        let (post, ok) = (("post", "https://sms.example/send"), ("ok", "200"));
        assert!(service(&[post, ("form", "n={opt.number}&t={text}"), ok]).is_ok());
        refuses(&[post, ("form", "t={text}")], "send.ok", "which answer is a success");
        refuses(&[post, ("form", "t={txt}"), ok], "send", "did you mean text?");
        refuses(&[post, ("form", "n={opt.nmber}"), ok], "send", "did you mean opt.number?");
        refuses(&[post, ("json", "{\"t\":{text}"), ok], "send.json", "is not JSON");
        refuses(&[post, ok, ("jsn", "x")], "send.jsn", "did you mean json?");
        refuses(&[("json", "{}"), ok], "send", "has no request");
        refuses(&[("post", "send"), ok], "send.post", "must begin with");
        assert_eq!(Service::read("x".into(), Vec::new()).unwrap_err().key, "send");
    }

    #[test]
    fn values_cannot_leave_their_places() {
        let service = service(&[
            ("post", "/to/{opt.number}"),
            ("headers", "X-Key: {?secret Bearer {secret}}"),
            ("json", "{\"t\":\"{text}\"}"),
            ("ok", "200"),
        ]);
        let service = service.unwrap_or_else(|wrong| panic!("{wrong:?}"));
        let message = Message::trial();
        let options = [(Cow::Borrowed("number"), "1/..?a=\"b".to_owned())];
        let secret = Secret::new("t0p");
        let server = Some("https://a.example/base");
        let account = Account { server, secret: Some(&secret), options: &options };
        let request = service.request(&message, account).unwrap();
        assert_eq!(request.url.expose(), "https://a.example/base/to/1%2F..%3Fa%3D%22b");
        assert_eq!(request.headers[0].1.expose(), "Bearer t0p");
        assert!(!format!("{request:?}").contains("t0p"));
        let without = Account { secret: None, ..account };
        assert_eq!(service.request(&message, without).unwrap().headers.len(), 0);
        let nowhere = Account { server: None, ..account };
        assert!(service.request(&message, nowhere).unwrap_err().ends_with("value for the server"));
    }
}
