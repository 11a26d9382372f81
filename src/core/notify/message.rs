//! Messages: events in words for people, one message for all that happened at once.

use std::borrow::Cow;
use std::hash::{DefaultHasher, Hash, Hasher};

use crate::core::address::Family;
use crate::core::memory::Word;
use crate::core::problem::EventKind;
use crate::core::protocol::http::template::{Form, Value};
use crate::core::protocol::shortened;
use crate::core::round::Event;
use crate::core::time::Timestamp;
use crate::core::wire::calendar::iso8601;

/// The most hosts that a message names for one reason.
const NAMED: usize = 5;

/// The most reasons that a message gives.
const REASONS: usize = 3;

/// The longest title and the longest text, in characters: Pushover takes 250 and 1024.
const LONGEST: (usize, usize) = (200, 1000);

/// A message to people.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Message {
    /// What has happened; `None` for a test.
    kind: Option<EventKind>,
    /// It in one line.
    pub title: String,
    /// It in sentences, a line each.
    pub text: String,
    /// The hosts.
    hosts: Vec<String>,
    /// The outcome that the first host is in.
    outcome: &'static str,
    /// The problem of the first host; empty after a recovery.
    reason: String,
    /// The fix for it.
    fix: String,
    /// Since when the first host was not right, in UTC.
    since: String,
}

/// The places of a message in a template.
pub const PLACES: [&str; 13] = [
    "count",
    "event",
    "fix",
    "host",
    "hosts",
    "id",
    "outcome",
    "problem",
    "reason",
    "recovered",
    "since",
    "text",
    "title",
];

impl Message {
    /// The message about `events`, which are all of one kind; `None` if there are none. Its text has
    /// moments as `shown` to people.
    pub fn about(events: &[Event], shown: &dyn Fn(Timestamp) -> String) -> Option<Self> {
        let first = events.first()?;
        let text = match first.kind {
            EventKind::Problem => problems(events, shown),
            EventKind::Recovered => recoveries(events, shown),
        };
        Some(Self {
            kind: Some(first.kind),
            title: shortened(&title(first, events.len()), LONGEST.0),
            text: shortened(&text, LONGEST.1),
            hosts: events.iter().map(|event| event.key.host.to_string()).collect(),
            outcome: first.outcome.as_str(),
            reason: first.reason.clone(),
            fix: first.fix.clone(),
            since: iso8601(first.since),
        })
    }

    /// A message that tries whether a service can be reached.
    pub fn trial() -> Self {
        Self {
            kind: None,
            title: "Homing can reach you".to_owned(),
            text: "This is a test. Homing will report problems of your hosts here.".to_owned(),
            hosts: Vec::new(),
            outcome: "",
            reason: String::new(),
            fix: String::new(),
            since: String::new(),
        }
    }

    /// The value of the place `name` in a text of that form; an empty one counts as none.
    pub fn value(&self, name: &str, form: Form) -> Option<Value<'_>> {
        let is = |kind| if self.kind == Some(kind) { "1" } else { "" };
        let text = match name {
            "event" => self.kind.map_or("test", EventKind::word),
            "fix" => &self.fix,
            "host" => self.hosts.first().map_or("", String::as_str),
            "outcome" => self.outcome,
            "problem" => is(EventKind::Problem),
            "reason" => &self.reason,
            "recovered" => is(EventKind::Recovered),
            "since" => &self.since,
            "text" => &self.text,
            "title" => &self.title,
            "count" => return Some(Value::Text(self.hosts.len().to_string().into())),
            "id" => return Some(Value::Text(format!("homing{:016x}", self.id()).into())),
            // Names of hosts need no escapes in any form.
            "hosts" => {
                let between = if form == Form::Json { "\",\"" } else { "," };
                return Some(Value::Ready(self.hosts.join(between).into()));
            }
            _ => return None,
        };
        Some(Value::Text(Cow::Borrowed(text)))
    }

    /// A number that is the same whenever this message is tried again.
    fn id(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        (&self.title, &self.text, &self.hosts).hash(&mut hasher);
        hasher.finish()
    }
}

fn title(first: &Event, count: usize) -> String {
    let (who, is) = match count {
        1 => (first.key.host.to_string(), "is"),
        _ => (format!("{count} hosts"), "are"),
    };
    match first.kind {
        EventKind::Recovered => format!("{who} {is} up to date again"),
        EventKind::Problem if count == 1 && first.outcome == Word::Rejected => {
            format!("{who} is rejected")
        }
        EventKind::Problem => format!("{who} {is} not up to date"),
    }
}

/// A sentence for each reason with its hosts, and the fix.
fn problems(events: &[Event], shown: &dyn Fn(Timestamp) -> String) -> String {
    let mut groups: Vec<Vec<&Event>> = Vec::new();
    for event in events {
        let is_same = |group: &&mut Vec<&Event>| {
            group.iter().any(|it| (&it.reason, &it.fix) == (&event.reason, &event.fix))
        };
        match groups.iter_mut().find(is_same) {
            Some(group) => group.push(event),
            None => groups.push(vec![event]),
        }
    }
    let mut lines = Vec::new();
    for group in groups.iter().take(REASONS) {
        let [first, ..] = group[..] else { continue };
        let have = if group.len() == 1 { "has" } else { "have" };
        let (names, since) = (names(group), shown(since(group)));
        let reason = sentence(&first.reason);
        lines.push(format!("{names} {have} not been up to date since {since}: {reason}"));
        if !first.fix.is_empty() {
            lines.push(format!("Fix: {}", sentence(&first.fix)));
        }
    }
    let rest: usize = groups.iter().skip(REASONS).map(Vec::len).sum();
    if rest > 0 {
        let hosts = if rest == 1 { "1 more host is" } else { &format!("{rest} more hosts are") };
        lines.push(format!("{hosts} not up to date; `homing status` shows why."));
    }
    lines.join("\n")
}

/// Who is right again, and since when they were not.
fn recoveries(events: &[Event], shown: &dyn Fn(Timestamp) -> String) -> String {
    let all: Vec<&Event> = events.iter().collect();
    let (names, since) = (names(&all), shown(since(&all)));
    let is = if let [event] = events {
        let set = Family::BOTH.into_iter().filter_map(|family| event.set[family].as_ref());
        let set: Vec<_> = set.map(ToString::to_string).collect();
        let with = if set.is_empty() { "" } else { " with " };
        format!("is up to date again{with}{}", set.join(" and "))
    } else {
        "are up to date again".to_owned()
    };
    format!("{names} {is}. The problem began at {since}.")
}

/// The hosts of `events`: all of a few, or the first ones and the number of the others.
fn names(events: &[&Event]) -> String {
    let shown: Vec<_> = events.iter().take(NAMED).map(|event| event.key.host.as_str()).collect();
    match (events.len().saturating_sub(NAMED), &shown[..]) {
        (0, [others @ .., last]) if !others.is_empty() => {
            format!("{} and {last}", others.join(", "))
        }
        (0, _) => shown.concat(),
        (rest, _) => format!("{} and {rest} more", shown.join(", ")),
    }
}

/// When the first of `events` began.
fn since(events: &[&Event]) -> Timestamp {
    events.iter().map(|event| event.since).min().unwrap_or_default()
}

/// `text` with a full stop.
fn sentence(text: &str) -> String {
    format!("{}.", text.trim_end_matches('.'))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::core::address::{Addresses, PerFamily};
    use crate::core::memory::Key;

    /// A problem of the host `name`, or the end of one where `reason` is empty.
    pub(in crate::core::notify) fn event(name: &str, reason: &str) -> Event {
        let is_over = reason.is_empty();
        let set = Addresses::new(["192.0.2.1".parse().unwrap()]);
        Event {
            key: Key { host: name.parse().unwrap(), provider: "desec".into() },
            kind: if is_over { EventKind::Recovered } else { EventKind::Problem },
            outcome: if is_over { Word::Updated } else { Word::Rejected },
            reason: reason.to_owned(),
            fix: if is_over { String::new() } else { "replace the token".to_owned() },
            since: Timestamp::from_secs(1_800_000_000),
            set: PerFamily { v4: set, v6: None },
            before: PerFamily::default(),
        }
    }

    fn about(events: &[Event]) -> Option<Message> {
        Message::about(events, &iso8601)
    }

    fn many(count: usize, reason: &str) -> Vec<Event> {
        (0..count).map(|at| event(&format!("h{at}.example.com"), reason)).collect()
    }

    #[test]
    fn a_problem_says_who_since_when_why_and_what_to_do() {
        let message = about(&[event("a.example.com", "the token is refused")]).unwrap();
        assert_eq!(message.title, "a.example.com is rejected");
        assert_eq!(
            message.text,
            "a.example.com has not been up to date since 2027-01-15T08:00:00Z: the token is \
             refused.\nFix: replace the token."
        );
        let deferred = Event { outcome: Word::Deferred, ..event("a.example.com", "no answer") };
        assert_eq!(about(&[deferred]).unwrap().title, "a.example.com is not up to date");
    }

    #[test]
    fn an_end_says_what_is_set_and_when_the_problem_began() {
        let message = about(&[event("a.example.com", "")]).unwrap();
        assert_eq!(message.title, "a.example.com is up to date again");
        assert_eq!(
            message.text,
            "a.example.com is up to date again with 192.0.2.1. The problem began at \
             2027-01-15T08:00:00Z."
        );
        let message = about(&many(2, "")).unwrap();
        assert_eq!(message.title, "2 hosts are up to date again");
        assert!(message.text.starts_with("h0.example.com and h1.example.com are up to date again"));
    }

    #[test]
    fn many_hosts_are_one_message_that_names_the_first_and_the_number() {
        let message = about(&many(1000, "HTTP 503")).unwrap();
        assert_eq!(message.title, "1000 hosts are not up to date");
        assert_eq!(
            message.text,
            "h0.example.com, h1.example.com, h2.example.com, h3.example.com, h4.example.com and 995 \
             more have not been up to date since 2027-01-15T08:00:00Z: HTTP 503.\nFix: replace the \
             token."
        );
        let different: Vec<_> =
            (0..7).map(|at| event(&format!("h{at}.example.com"), &format!("why {at}"))).collect();
        let text = about(&different).unwrap().text;
        assert_eq!(text.lines().count(), 7, "{text}");
        assert!(text.ends_with("\n4 more hosts are not up to date; `homing status` shows why."));
        assert!(
            text.starts_with("h0.example.com has not") && text.contains(": why 2.\n"),
            "{text}"
        );
    }

    #[test]
    fn a_message_is_never_longer_than_a_service_takes() {
        let long = event(&format!("{0}.{0}.{0}.example.com", "x".repeat(63)), &"é".repeat(2000));
        let message = about(&[long]).unwrap();
        assert!(message.title.chars().count() <= 250 && message.text.chars().count() <= 1024);
        assert_eq!(about(&[]), None);
    }

    #[test]
    fn every_place_has_a_value_and_the_id_is_that_of_the_message() {
        let message = about(&many(2, "why")).unwrap();
        for name in PLACES {
            assert!(message.value(name, Form::Plain).is_some(), "{name}");
        }
        assert!(message.value("secret", Form::Plain).is_none());
        let hosts = |form| message.value("hosts", form).unwrap();
        assert_eq!(hosts(Form::Plain), Value::Ready("h0.example.com,h1.example.com".into()));
        assert_eq!(hosts(Form::Json), Value::Ready("h0.example.com\",\"h1.example.com".into()));
        let id = |message: &Message| message.value("id", Form::Plain).map(|it| format!("{it:?}"));
        assert_eq!(id(&message), id(&message.clone()));
        assert_ne!(id(&message), id(&Message::trial()));
    }
}
