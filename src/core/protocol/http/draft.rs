//! Drafts: the requests that a conversation would make, as far as they are known before any answer.
//!
//! Made of the same templates as the conversation's own; a value that only an answer brings is shown
//! as `<its name>`. Nothing is sent.

use std::net::IpAddr;

use super::entry::StepKind;
use super::scene::{Scene, Session, parts};
use crate::core::address::Family;
use crate::core::name::Hostname;
use crate::core::plan::{Details, Request, Wish};

/// Drafts in the order in which they would be sent, each in one line without secrets, such as `create
/// (if there is no record): POST https://…`.
struct Drafts<'a> {
    session: Session<'a>,
    all: Vec<String>,
}

/// The requests that would search the zone of `host`; `zone` is the configured one, whose id is to be
/// found.
pub fn of_search(
    session: Session<'_>,
    host: &Hostname,
    details: &Details,
    zone: Option<&Hostname>,
) -> Vec<String> {
    let mut drafts = Drafts::new(session);
    let scene = Scene { host: Some(host), details: Some(details), ..Scene::default() };
    let tried = Some(zone.unwrap_or(host).as_str());
    drafts.add(StepKind::Login, "", &scene);
    let tries_others = zone.is_none()
        && drafts.session.entry.step(StepKind::Find).is_some_and(|find| find.has("try"));
    let when = if tries_others { "then its shorter endings" } else { "" };
    drafts.add(StepKind::Find, when, &Scene { tried, ..scene });
    drafts.all
}

/// The requests that would fulfil `request`. What a list brings decides which writes follow; each of
/// them is drafted, with its condition.
pub fn of_updates(session: Session<'_>, request: &Request) -> Vec<String> {
    let mut drafts = Drafts::new(session);
    let scene = |place: usize| {
        let zone = request.zone.zone.as_ref();
        Scene::of(&request.updates[place], request.details.get(place), zone)
    };
    if request.updates.is_empty() {
        return Vec::new();
    }
    drafts.add(StepKind::Login, "", &scene(0));
    for (place, update) in request.updates.iter().enumerate() {
        for family in parts(drafts.session.entry, update) {
            drafts.add_part(&Scene { family, ..scene(place) }, family.map(|it| &update.wishes[it]));
        }
    }
    let is_listed = drafts.session.entry.step(StepKind::List).is_some();
    drafts.add(StepKind::Commit, if is_listed { "after a write" } else { "" }, &scene(0));
    drafts.all
}

impl<'a> Drafts<'a> {
    fn new(session: Session<'a>) -> Self {
        Self { session: Session { is_shown: true, ..session }, all: Vec::new() }
    }

    /// Adds what is done about one family, or about a whole host where there is no wish of one.
    fn add_part(&mut self, scene: &Scene<'_>, wish: Option<&Wish>) {
        let entry = self.session.entry;
        self.add(StepKind::List, "", scene);
        let compares = entry.step(StepKind::List).is_some();
        let listed = Scene { is_listed: compares, ..*scene };
        self.add(StepKind::Each, "each id of the list", &listed);
        let when = |condition| if compares { condition } else { "" };
        if wish == Some(&Wish::Remove) {
            let own = |family: Family| scene.details?.own[family].first().copied();
            let scene = Scene { address: scene.family.and_then(own), removes: true, ..listed };
            self.add(StepKind::Remove, when("if the record is there"), &scene);
            return;
        }
        let has = |kind| entry.step(kind).is_some();
        let addresses: Vec<IpAddr> = match wish {
            Some(Wish::Set(addresses)) => addresses.iter().collect(),
            Some(Wish::Leave | Wish::Remove) | None => Vec::new(),
        };
        let mut add = |kind: StepKind, condition, scene: &Scene<'_>| {
            let is_each = entry.step(kind).is_some_and(|step| step.has("address"));
            let count = if is_each { addresses.len() } else { 1 };
            for address in (0..count.max(1)).map(|at| addresses.get(at).copied()) {
                self.add(kind, when(condition), &Scene { address, ..*scene });
            }
        };
        if compares {
            add(StepKind::Create, "if there is no record", scene);
        }
        let differs = if has(StepKind::Create) {
            "if the record differs"
        } else {
            "unless the record is right"
        };
        if has(StepKind::Set) {
            add(StepKind::Set, differs, &listed);
        } else if has(StepKind::Change) {
            add(StepKind::Change, differs, &listed);
        } else {
            let scene = Scene { removes: true, ..listed };
            self.add(StepKind::Remove, "for each other record", &scene);
        }
    }

    /// Adds the step of that kind in `scene`, if the service has it and it is not there already: hosts
    /// and families share a list.
    fn add(&mut self, kind: StepKind, when: &str, scene: &Scene<'_>) {
        let Some(step) = self.session.entry.step(kind) else { return };
        let text = match self.session.request(step, scene) {
            Ok(request) => request.to_string(),
            Err(unfit) => unfit,
        };
        let (open, close) = if when.is_empty() { ("", "") } else { (" (", ")") };
        let line = [kind.key().word(), open, when, close, ": ", &text].concat();
        if !self.all.contains(&line) {
            self.all.push(line);
        }
    }
}
