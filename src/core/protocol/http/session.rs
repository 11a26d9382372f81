//! The conversation with a service: login, list, compare, write, commit; and the search for a zone.
//!
//! After a write has left, everything but a clear success is "could not confirm": the next
//! conversation lists first, so that a lost answer never makes a second record.

use std::collections::VecDeque;
use std::mem;
use std::net::IpAddr;
use std::time::Duration;

use serde_json::Value;

use super::answer::{self, Condition, Meaning, Rules, Seen};
use super::compare::{Case, Comparison, Record};
use super::entry::{Entry, StepKind};
use super::path::Paths;
use super::reader::{Next, Step as EntryStep};
use super::rows;
use super::scene::{Scene, Session, label, no_zone, parts};
use crate::core::address::Family;
use crate::core::name::Hostname;
use crate::core::outcome::{Deferral, Fault, Outcome, Rejection, Silence};
use crate::core::plan::{Details, Request, TakeOver, Update, Wish};
use crate::core::protocol::step::{Step, ZoneAnswer, ask};
use crate::core::protocol::{Answer, HttpRequest, Method, Verdict, origin, query_value};
use crate::core::secret::{Guarded, HIDDEN, Secret};

/// The most pages of a list.
const MOST_PAGES: usize = 20;

/// The most records of one host that are read one by one.
const MOST_EACH: usize = 20;

/// The most values of foreign records that a message names.
const MOST_NAMED: usize = 3;

/// The pause after a 429 without `Retry-After`.
const PAUSE: Duration = Duration::from_secs(5 * 60);

/// The conversation about the updates of one request.
#[derive(Debug)]
pub struct Conversation<'a> {
    session: Session<'a>,
    request: &'a Request,
    /// What is still to be done.
    tasks: VecDeque<Task>,
    /// How far each update is.
    progress: Vec<Progress>,
    /// The rows of each list that was read, or why there are none, by its URL; until something is
    /// written, because some services count their records anew.
    lists: Vec<(String, Result<Vec<Value>, Outcome>)>,
    stage: Stage,
}

/// The search for the zone of one host.
#[derive(Debug)]
pub struct Search<'a> {
    session: Session<'a>,
    host: &'a Hostname,
    details: &'a Details,
    /// The names that are tried, longest first.
    tries: Vec<&'a str>,
    /// The index of the name that is tried.
    at: usize,
    /// The request for the names, once login is over.
    pages: Option<Pages>,
}

/// How far one update is.
#[derive(Clone, Debug, Default)]
struct Progress {
    /// Its outcome, as far as it is known.
    outcome: Option<Outcome>,
    /// Whether the service holds other records now, or may hold them.
    has_changed: bool,
    /// Whether what the service holds has still to take effect by a commit.
    must_commit: bool,
}

/// A part of the updates that is compared and written at once: one family, or a whole host.
#[derive(Clone, Copy, Debug)]
struct Task {
    place: usize,
    family: Option<Family>,
    /// Whether its list was read again because a record had gone meanwhile.
    is_again: bool,
}

/// What the last request was for.
#[derive(Debug)]
enum Stage {
    Login,
    List(Task, Pages),
    Each { task: Task, ids: VecDeque<String>, found: Vec<Record> },
    Write { task: Task, writes: VecDeque<Write>, listed: Vec<Record> },
    Commit,
    Over,
}

/// The pages of a list.
#[derive(Debug)]
struct Pages {
    /// The request of the first page, without a signature.
    first: HttpRequest,
    /// The URLs that were asked for.
    seen: Vec<String>,
    rows: Vec<Value>,
}

/// One write.
#[derive(Clone, Debug)]
struct Write {
    kind: StepKind,
    address: Option<IpAddr>,
    record: Option<Record>,
}

impl<'a> Conversation<'a> {
    /// The conversation about `request`, and its first step.
    pub fn begin(session: Session<'a>, request: &'a Request) -> (Self, Step<Verdict>) {
        let mut tasks = VecDeque::new();
        for (place, update) in request.updates.iter().enumerate() {
            let families = parts(session.entry, update).into_iter();
            tasks.extend(families.map(|family| Task { place, family, is_again: false }));
        }
        let progress = vec![Progress::default(); request.updates.len()];
        let (lists, stage) = (Vec::new(), Stage::Over);
        let mut talk = Self { session, request, tasks, progress, lists, stage };
        let step = match talk.session.entry.step(StepKind::Login) {
            _ if talk.session.needs_clock() => talk.close(&unset_clock()),
            Some(login) => match talk.session.request(login, &talk.scene(None)) {
                Ok(request) => {
                    talk.stage = Stage::Login;
                    ask(request)
                }
                Err(unfit) => talk.close(&Outcome::rejected(Rejection::Request, unfit)),
            },
            None => talk.next_task(),
        };
        (talk, step)
    }

    /// The next step after the answer to the last one.
    pub fn hear(&mut self, heard: Result<Answer, Silence>) -> Step<Verdict> {
        match mem::replace(&mut self.stage, Stage::Over) {
            Stage::Login => match self.session.hear_login(heard) {
                Ok(()) => self.next_task(),
                Err(outcome) => self.close(&outcome),
            },
            Stage::List(task, pages) => self.hear_list(task, pages, heard),
            Stage::Each { task, ids, found } => self.hear_each(task, ids, found, heard),
            Stage::Write { task, writes, listed } => self.hear_write(task, writes, listed, heard),
            Stage::Commit => {
                let result = self.session.judge(StepKind::Commit, heard);
                if let Err((_, outcome)) = result {
                    self.doubt_what_is_written(&outcome);
                }
                self.verdict()
            }
            Stage::Over => self.verdict(),
        }
    }

    /// The scene of `task`; without a task, of the first host.
    fn scene(&self, task: Option<Task>) -> Scene<'a> {
        let place = task.map_or(0, |task| task.place);
        let request: &'a Request = self.request;
        let Some(update) = request.updates.get(place) else { return Scene::default() };
        let scene = Scene::of(update, request.details.get(place), request.zone.zone.as_ref());
        let family = task.and_then(|task| task.family);
        Scene { family, ..scene }
    }

    fn zone(&self) -> Option<&'a Hostname> {
        self.request.zone.zone.as_ref()
    }

    fn details(&self, task: Task) -> Option<&'a Details> {
        self.request.details.get(task.place)
    }

    fn update(&self, task: Task) -> &'a Update {
        &self.request.updates[task.place]
    }

    /// Begins the next task, or commits, or ends.
    fn next_task(&mut self) -> Step<Verdict> {
        let Some(task) = self.tasks.pop_front() else { return self.commit() };
        match self.session.entry.step(StepKind::List) {
            Some(list) => self.ask_for_list(task, list),
            None => self.write(task, Vec::new(), None),
        }
    }

    fn commit(&mut self) -> Step<Verdict> {
        let is_due = self.progress.iter().any(|progress| progress.must_commit);
        let commit = self.session.entry.step(StepKind::Commit).filter(|_| is_due);
        let Some(commit) = commit else { return self.verdict() };
        match self.session.request(commit, &self.scene(None)) {
            Ok(request) => {
                self.stage = Stage::Commit;
                ask(request)
            }
            Err(unfit) => {
                self.doubt_what_is_written(&Outcome::rejected(Rejection::Request, unfit));
                self.verdict()
            }
        }
    }

    fn verdict(&mut self) -> Step<Verdict> {
        let unknown = || Outcome::deferred(Fault::Unread, "no request was sent");
        let progress = mem::take(&mut self.progress).into_iter();
        let mut outcomes: Vec<_> = progress.map(|it| it.outcome.unwrap_or_else(unknown)).collect();
        Step::Done(match (outcomes.len(), outcomes.pop()) {
            (1, Some(outcome)) => Verdict::All(outcome),
            (_, last) => {
                outcomes.extend(last);
                Verdict::Each(outcomes)
            }
        })
    }

    /// Notes the outcome of `task`: of a host's outcomes the worst counts. Whatever went wrong, only a
    /// write that left can leave doubt.
    fn note(&mut self, task: Task, outcome: Outcome) {
        let progress = &mut self.progress[task.place];
        let outcome = match (outcome, progress.has_changed) {
            (Outcome::Unchanged, true) => Outcome::Updated,
            (outcome, true) => doubtful(outcome),
            (outcome, false) => without_doubt(outcome),
        };
        let is_worse =
            progress.outcome.as_ref().is_none_or(|before| severity(&outcome) > severity(before));
        if is_worse {
            progress.outcome = Some(outcome);
        }
    }

    /// Ends `task` with `outcome`, and everything where the outcome concerns all hosts.
    fn end_task(&mut self, task: Task, outcome: Outcome) -> Step<Verdict> {
        let concerns_all = match &outcome {
            Outcome::Updated | Outcome::Unchanged => false,
            // Nothing else gets through, or nothing else should be asked.
            Outcome::Deferred(Deferral { fault, .. }) => {
                fault.is_the_networks() || matches!(fault, Fault::Throttled | Fault::Skew)
            }
            Outcome::Rejected(refusal) => refusal.rejection.is_the_credentials(),
        };
        if !concerns_all {
            self.note(task, outcome);
            return self.next_task();
        }
        self.note(task, outcome.clone());
        self.close(&outcome)
    }

    /// Ends the conversation with `outcome` for everything that has none, after a commit if that is due
    /// and may succeed.
    fn close(&mut self, outcome: &Outcome) -> Step<Verdict> {
        let unasked = not_asked(outcome);
        for progress in &mut self.progress {
            progress.outcome.get_or_insert_with(|| unasked.clone());
        }
        for task in mem::take(&mut self.tasks) {
            self.note(task, unasked.clone());
        }
        match outcome {
            Outcome::Deferred(Deferral { fault: Fault::Lost, .. }) => self.commit(),
            _ => {
                self.doubt_what_is_written(outcome);
                self.verdict()
            }
        }
    }

    /// Takes back the success of what could not be committed.
    fn doubt_what_is_written(&mut self, cause: &Outcome) {
        if self.session.entry.step(StepKind::Commit).is_none() {
            return;
        }
        for progress in self.progress.iter_mut().filter(|progress| progress.must_commit) {
            if matches!(progress.outcome, Some(Outcome::Updated | Outcome::Unchanged)) {
                progress.outcome = Some(doubtful(cause.clone()));
            }
        }
    }

    fn ask_for_list(&mut self, task: Task, list: &EntryStep) -> Step<Verdict> {
        if list.name.is_some() && self.session.entry.names_are_labels && self.zone().is_none() {
            return self.end_task(task, unfit_outcome(no_zone()));
        }
        let request = match self.session.unsigned(list, &self.scene(Some(task))) {
            Ok(request) => HttpRequest { is_list: true, ..request },
            Err(unfit) => return self.end_task(task, unfit_outcome(unfit)),
        };
        let url = list_key(&request);
        if let Some((_, read)) = self.lists.iter().find(|(known, _)| *known == url) {
            return match read.clone() {
                Ok(rows) => self.have_rows(task, &rows),
                Err(outcome) => self.end_task(task, outcome),
            };
        }
        self.stage = Stage::List(task, Pages::new(request.clone()));
        ask(self.session.signed(list, request))
    }

    fn hear_list(
        &mut self,
        task: Task,
        mut pages: Pages,
        heard: Result<Answer, Silence>,
    ) -> Step<Verdict> {
        let Some(list) = self.session.entry.step(StepKind::List) else { return self.verdict() };
        let hosts: Vec<_> = (0..self.request.updates.len())
            .map(|place| self.scene(Some(Task { place, family: None, is_again: false })))
            .collect();
        let is_of_hosts = |row: &Value| {
            list.has_bare_ids || hosts.iter().any(|scene| self.session.is_named(list, row, scene))
        };
        match self.session.hear_page(StepKind::List, list, &mut pages, heard, &is_of_hosts) {
            Ok(Some(request)) => {
                self.stage = Stage::List(task, pages);
                ask(self.session.another(list, request))
            }
            Ok(None) => {
                self.lists.push((list_key(&pages.first), Ok(pages.rows.clone())));
                self.have_rows(task, &pages.rows)
            }
            Err((Meaning::Gone, _)) => self.have_records(task, Vec::new()),
            Err((Meaning::Forbidden, _)) if list.is_optional && self.may_write_unseen(task) => {
                self.write(task, Vec::new(), None)
            }
            Err((_, outcome)) => {
                self.lists.push((list_key(&pages.first), Err(outcome.clone())));
                self.end_task(task, outcome)
            }
        }
    }

    /// Whether the records of `task` may be written without a look at what is there.
    fn may_write_unseen(&self, task: Task) -> bool {
        let take_over = self.details(task).map(|details| details.take_over);
        !self.removes(task) && take_over != Some(TakeOver::Nothing)
    }

    /// Whether the records of `task` are to be removed.
    fn removes(&self, task: Task) -> bool {
        task.family.is_some_and(|family| self.update(task).wishes[family] == Wish::Remove)
    }

    /// Goes on with the rows of the list of `task`.
    fn have_rows(&mut self, task: Task, rows: &[Value]) -> Step<Verdict> {
        let Some(list) = self.session.entry.step(StepKind::List) else { return self.verdict() };
        if list.has_bare_ids {
            let ids: VecDeque<String> = rows.iter().map(scalar).collect();
            if ids.len() > MOST_EACH {
                let detail = format!("the list names more than {MOST_EACH} records of this host");
                return self.end_task(task, Outcome::rejected(Rejection::Request, detail));
            }
            return self.ask_for_each(task, ids, Vec::new());
        }
        let scene = self.scene(Some(task));
        let mut found: Vec<Record> = Vec::new();
        for family in Family::BOTH.into_iter().filter(|family| task.is_about(*family)) {
            let own = rows.iter().filter(|row| {
                self.session.is_named(list, row, &scene)
                    && self.session.is_typed(list, row, Some(family))
            });
            let of_both = list.kind.is_none() && task.family.is_none();
            let of_family = |record: &Record| {
                !of_both || record.address().is_none_or(|it| Family::of(it) == family)
            };
            let records = own.flat_map(|row| records(list, row, None)).filter(of_family);
            for record in records.map(|record| Record { family: Some(family), ..record }) {
                // Pages that shift meanwhile show a record twice.
                let is_same = |it: &Record| (&it.id, &it.value) == (&record.id, &record.value);
                if record.id.is_none() || !found.iter().any(is_same) {
                    found.push(record);
                }
            }
        }
        if list.name.is_none() && found.iter().any(|record| record.value.is_empty()) {
            // Perhaps no record at all: neither its name nor its address is there.
            let detail = "list: the answer has no address where the entry expects it";
            return self.end_task(task, Outcome::deferred(Fault::Unintelligible, detail));
        }
        self.have_records(task, found)
    }

    fn ask_for_each(
        &mut self,
        task: Task,
        mut ids: VecDeque<String>,
        found: Vec<Record>,
    ) -> Step<Verdict> {
        let each = self.session.entry.step(StepKind::Each);
        let (Some(each), Some(id)) = (each, ids.front()) else {
            return self.have_records(task, found);
        };
        let scene = Scene { id: Some(id), ..self.scene(Some(task)) };
        match self.session.request(each, &scene) {
            Ok(request) => {
                self.stage = Stage::Each { task, ids, found };
                ask(request)
            }
            Err(unfit) => {
                ids.clear();
                self.end_task(task, unfit_outcome(unfit))
            }
        }
    }

    fn hear_each(
        &mut self,
        task: Task,
        mut ids: VecDeque<String>,
        mut found: Vec<Record>,
        heard: Result<Answer, Silence>,
    ) -> Step<Verdict> {
        let Some(each) = self.session.entry.step(StepKind::Each) else { return self.verdict() };
        let id = ids.pop_front();
        match self.session.judge(StepKind::Each, heard) {
            Ok((_, _, tree)) => {
                let rows = each.at.find(&tree);
                // A record that cannot be read is not one that is not there.
                if !rows.iter().any(|row| is_readable(each, row)) {
                    let detail = "each: the answer has no record where the entry expects it";
                    return self.end_task(task, Outcome::deferred(Fault::Unintelligible, detail));
                }
                let scene = self.scene(Some(task));
                let rows = rows.into_iter().filter(|row| {
                    self.session.is_named(each, row, &scene)
                        && self.session.is_typed(each, row, task.family)
                });
                found.extend(rows.flat_map(|row| records(each, row, id.as_deref())));
            }
            // It has gone since the list was read.
            Err((Meaning::Gone, _)) => {}
            Err((_, outcome)) => return self.end_task(task, outcome),
        }
        self.ask_for_each(task, ids, found)
    }

    /// Compares the records that are there, and writes what differs.
    fn have_records(&mut self, task: Task, listed: Vec<Record>) -> Step<Verdict> {
        match self.compare(task, &listed) {
            Comparison::Equal => {
                // An earlier commit may have failed or got no answer.
                let families = Family::BOTH.into_iter().filter(|family| task.is_about(*family));
                let is_unconfirmed = |family: Family| {
                    self.details(task).is_some_and(|details| details.is_unconfirmed[family])
                };
                if families.into_iter().any(is_unconfirmed) {
                    self.progress[task.place].must_commit = true;
                }
                self.end_task(task, Outcome::Unchanged)
            }
            Comparison::Foreign(values) => {
                let outcome = foreign(&values, listed.len());
                self.end_task(task, outcome)
            }
            different @ Comparison::Different { .. } => self.write(task, listed, Some(different)),
        }
    }

    /// Compares `listed` with what is wanted, each family by itself.
    fn compare(&self, task: Task, listed: &[Record]) -> Comparison {
        let (update, details) = (self.update(task), self.details(task));
        let entry = self.session.entry;
        let ttl = details.and_then(|details| details.ttl).filter(|_| entry.changes_ttl());
        let ttl = ttl.map(|ttl| entry.ttl.within(ttl));
        let take_over = details.map(|details| details.take_over).unwrap_or_default();
        let (mut missing, mut surplus, mut other_ttl) = (Vec::new(), Vec::new(), Vec::new());
        for family in Family::BOTH.into_iter().filter(|family| task.is_about(*family)) {
            let wanted: Vec<_> = match &update.wishes[family] {
                Wish::Set(addresses) => addresses.iter().collect(),
                Wish::Remove if task.family.is_some() => Vec::new(),
                Wish::Leave | Wish::Remove => continue,
            };
            let of_family = |record: &&Record| record.family.is_none_or(|of| of == family);
            let listed: Vec<_> = listed.iter().filter(of_family).cloned().collect();
            let own = details.map(|details| &details.own[family][..]).unwrap_or_default();
            let case = Case { wanted: &wanted, listed: &listed, own, take_over, ttl };
            match case.compare() {
                Comparison::Equal => {}
                Comparison::Foreign(values) => return Comparison::Foreign(values),
                Comparison::Different { surplus: more, .. }
                    if self.removes(task)
                        && more.len() < listed.len()
                        && entry.is_of_whole(StepKind::Remove) =>
                {
                    // The request would remove the records of others as well.
                    let others = listed.into_iter().filter(|record| !more.contains(record));
                    return Comparison::Foreign(others.map(|record| record.value).collect());
                }
                Comparison::Different { missing: m, surplus: s, other_ttl: o } => {
                    missing.extend(m);
                    surplus.extend(s);
                    other_ttl.extend(o);
                }
            }
        }
        if missing.is_empty() && surplus.is_empty() && other_ttl.is_empty() {
            return Comparison::Equal;
        }
        Comparison::Different { missing, surplus, other_ttl }
    }

    /// Begins to write: what `difference` says, or everything where nothing is known of what is there.
    fn write(
        &mut self,
        task: Task,
        listed: Vec<Record>,
        difference: Option<Comparison>,
    ) -> Step<Verdict> {
        let removes = self.removes(task);
        let addresses: Option<Vec<IpAddr>> =
            task.family.and_then(|family| match &self.update(task).wishes[family] {
                Wish::Set(addresses) => Some(addresses.iter().collect()),
                Wish::Leave | Wish::Remove => None,
            });
        let entry = self.session.entry;
        let writes = match difference {
            Some(Comparison::Different { missing, surplus, other_ttl }) if removes => {
                debug_assert!(missing.is_empty() && other_ttl.is_empty());
                removals(entry, surplus)
            }
            Some(Comparison::Different { .. }) if entry.step(StepKind::Set).is_some() => {
                let is_new = listed.is_empty() && entry.step(StepKind::Create).is_some();
                let kind = if is_new { StepKind::Create } else { StepKind::Set };
                // A step with one address sets the one that is wanted.
                let address = addresses.and_then(|all| all.first().copied());
                VecDeque::from([Write { kind, address, record: None }])
            }
            Some(Comparison::Different { missing, surplus, other_ttl }) => {
                let wanted = addresses.unwrap_or_default();
                let is_alone = |it: &Record| is_single(entry, &listed, it, &wanted);
                let surplus = surplus.into_iter().filter(is_alone).collect();
                writes(entry, missing, surplus, other_ttl)
            }
            _ => {
                let kind = if removes { StepKind::Remove } else { StepKind::Set };
                let is_each = entry.step(kind).is_some_and(|step| step.has("address"));
                let write = |address| Write { kind, address, record: None };
                match addresses.filter(|_| is_each) {
                    Some(addresses) => addresses.into_iter().map(|it| write(Some(it))).collect(),
                    None => VecDeque::from([write(None)]),
                }
            }
        };
        self.ask_for_write(task, writes, listed)
    }

    fn ask_for_write(
        &mut self,
        task: Task,
        writes: VecDeque<Write>,
        listed: Vec<Record>,
    ) -> Step<Verdict> {
        let Some(write) = writes.front() else { return self.end_task(task, Outcome::Unchanged) };
        let Some(step) = self.session.entry.step(write.kind) else {
            let detail = ["the provider's entry has no step ", write.kind.key().word()].concat();
            return self.end_task(task, unfit_outcome(detail));
        };
        let scene = Scene {
            address: write.address.or(write.record.as_ref().and_then(Record::address)),
            record: write.record.as_ref(),
            listed: &listed,
            removes: write.kind == StepKind::Remove,
            ..self.scene(Some(task))
        };
        match self.session.request(step, &scene) {
            Ok(request) => {
                self.stage = Stage::Write { task, writes, listed };
                ask(request)
            }
            Err(unfit) => self.end_task(task, unfit_outcome(unfit)),
        }
    }

    fn hear_write(
        &mut self,
        task: Task,
        mut writes: VecDeque<Write>,
        listed: Vec<Record>,
        heard: Result<Answer, Silence>,
    ) -> Step<Verdict> {
        let Some(write) = writes.pop_front() else { return self.verdict() };
        let is_of_listed = !listed.is_empty();
        match (self.session.judge(write.kind, heard), write.kind) {
            (Ok((Meaning::Updated, ..)), _) => {
                let progress = &mut self.progress[task.place];
                (progress.has_changed, progress.must_commit) = (true, true);
                self.lists.clear();
            }
            // "There is such a record already": another one than the list showed.
            (Ok(_), StepKind::Change) if write.is_another_address() => {
                return self.look_again(task, "another record has the address already");
            }
            // What is to be removed has gone already.
            (Ok(_), _) | (Err((Meaning::Gone, _)), StepKind::Remove) => {}
            (Err((Meaning::Gone, _)), StepKind::Change | StepKind::Set) if is_of_listed => {
                return self.look_again(task, "a listed record does not exist");
            }
            (Err((_, outcome)), _) => {
                self.progress[task.place].has_changed |= leaves_doubt(&outcome);
                return self.end_task(task, outcome);
            }
        }
        self.ask_for_write(task, writes, listed)
    }

    /// Reads the list of `task` once more, because `why` shows that it has changed; a second time it is
    /// left to a later conversation, because some services show changes late.
    fn look_again(&mut self, task: Task, why: &str) -> Step<Verdict> {
        self.lists.clear();
        match self.session.entry.step(StepKind::List).filter(|_| !task.is_again) {
            Some(list) => self.ask_for_list(Task { is_again: true, ..task }, list),
            None => self.end_task(task, Outcome::deferred(Fault::Unintelligible, why)),
        }
    }
}

impl Task {
    fn is_about(self, family: Family) -> bool {
        self.family.is_none_or(|of| of == family)
    }
}

impl Write {
    /// Whether it gives a record another address than it had.
    fn is_another_address(&self) -> bool {
        self.record.as_ref().is_some_and(|record| record.address() != self.address)
    }
}

impl<'a> Search<'a> {
    /// The search for the zone of `host`, and its first step; `zone` is the configured one, whose id
    /// is to be found.
    pub fn begin(
        session: Session<'a>,
        host: &'a Hostname,
        details: &'a Details,
        zone: Option<&'a Hostname>,
    ) -> (Self, Step<ZoneAnswer>) {
        let tries = match zone {
            Some(zone) => vec![zone.as_str()],
            None => suffixes(host.as_str()),
        };
        let mut search = Self { session, host, details, tries, at: 0, pages: None };
        let entry = search.session.entry;
        let step = match (entry.step(StepKind::Find), entry.step(StepKind::Login)) {
            _ if search.session.needs_clock() => no_answer(unset_clock()),
            (None, _) => Step::Done(ZoneAnswer::Silent),
            (Some(_), Some(login)) => match search.session.request(login, &search.scene()) {
                Ok(request) => ask(request),
                Err(unfit) => no_answer(unfit_outcome(unfit)),
            },
            (Some(_), None) => search.ask(),
        };
        (search, step)
    }

    /// The next step after the answer to the last one.
    pub fn hear(&mut self, heard: Result<Answer, Silence>) -> Step<ZoneAnswer> {
        let Some(mut pages) = self.pages.take() else {
            return match self.session.hear_login(heard) {
                Ok(()) => self.ask(),
                Err(outcome) => no_answer(outcome),
            };
        };
        let Some(find) = self.session.entry.step(StepKind::Find) else {
            return Step::Done(ZoneAnswer::Silent);
        };
        let is_tried = |row: &Value| {
            let named = names(find, row);
            if find.has("try") {
                find.name.is_none() || named.iter().any(|name| is_equal(name, self.tries[self.at]))
            } else {
                named.iter().any(|name| self.tries.iter().any(|tried| is_equal(name, tried)))
            }
        };
        match self.session.hear_page(StepKind::Find, find, &mut pages, heard, &is_tried) {
            Ok(Some(request)) => {
                self.pages = Some(pages);
                ask(self.session.another(find, request))
            }
            Ok(None) => self.choose(find, &pages.rows),
            Err((Meaning::Gone | Meaning::Host, _)) if find.has("try") => self.next(),
            Err((Meaning::Gone | Meaning::Host, _)) => Step::Done(ZoneAnswer::NoZone),
            Err((_, outcome)) => no_answer(outcome),
        }
    }

    fn scene(&self) -> Scene<'a> {
        let tried = self.tries.get(self.at).copied();
        let details = Some(self.details);
        Scene { host: Some(self.host), details, tried, ..Scene::default() }
    }

    fn ask(&mut self) -> Step<ZoneAnswer> {
        let Some(find) = self.session.entry.step(StepKind::Find) else {
            return Step::Done(ZoneAnswer::Silent);
        };
        match self.session.unsigned(find, &self.scene()) {
            Ok(request) => {
                let request = HttpRequest { is_list: true, ..request };
                self.pages = Some(Pages::new(request.clone()));
                ask(self.session.signed(find, request))
            }
            Err(unfit) => no_answer(unfit_outcome(unfit)),
        }
    }

    /// Tries the next shorter name.
    fn next(&mut self) -> Step<ZoneAnswer> {
        self.at += 1;
        if self.at < self.tries.len() { self.ask() } else { Step::Done(ZoneAnswer::NoZone) }
    }

    /// Chooses the longest name among `rows` that holds the host.
    fn choose(&mut self, find: &EntryStep, rows: &[Value]) -> Step<ZoneAnswer> {
        let candidates = if find.has("try") { &self.tries[self.at..=self.at] } else { &self.tries };
        for tried in candidates {
            let row = rows.iter().find(|row| {
                let named = names(find, row);
                // A service that is asked for one zone need not repeat its name.
                (find.name.is_none() && !find.has_bare_ids && find.has("try"))
                    || named.iter().any(|name| is_equal(name, tried))
            });
            if let (Some(row), Ok(zone)) = (row, tried.parse()) {
                let id = find.id.as_ref().filter(|_| self.session.entry.needs_zone_id());
                let id = id.and_then(|id| id.text(row));
                let id = id.map(|id| id.rsplit('/').next().unwrap_or_default().to_owned());
                let id = id.filter(|id| is_id(id));
                return Step::Done(ZoneAnswer::Zone(zone, id));
            }
        }
        if find.has("try") { self.next() } else { Step::Done(ZoneAnswer::NoZone) }
    }
}

impl Session<'_> {
    /// `request`, one more of `step`, with its signature.
    fn another(&mut self, step: &EntryStep, request: HttpRequest) -> HttpRequest {
        self.asked += 1;
        self.signed(step, request)
    }

    /// Whether requests are signed with the time, which this machine does not know.
    pub fn needs_clock(&self) -> bool {
        let is_signed = self.entry.sign.is_some() || self.entry.key.is_some();
        is_signed && !self.moment.clock_is_set
    }

    /// Takes what the answer to the login brings.
    pub fn hear_login(&mut self, heard: Result<Answer, Silence>) -> Result<(), Outcome> {
        let cookies = heard.as_ref().map(|answer| answer.cookies.clone()).unwrap_or_default();
        let (_, _, tree) = self.judge(StepKind::Login, heard).map_err(|(_, outcome)| outcome)?;
        let Some(login) = self.entry.step(StepKind::Login) else { return Ok(()) };
        for (name, path) in &login.take {
            let Some(value) = path.text(&tree).filter(|value| !value.is_empty()) else {
                let detail = ["the answer to the login has no ", name].concat();
                return Err(Outcome::rejected(Rejection::Request, detail));
            };
            self.taken.push((name.clone(), Secret::new(&value)));
        }
        // What follows the value is for the client (RFC 6265, section 4.1.1).
        let pair = |cookie: &Secret| {
            cookie.expose().split(';').next().unwrap_or_default().trim().to_owned()
        };
        let pairs: Vec<String> = cookies.iter().map(pair).collect();
        self.cookies = (!pairs.is_empty()).then(|| Secret::new(&pairs.join("; ")));
        Ok(())
    }

    /// What the answer to a request of that kind means: a success with the answer's tree, or another
    /// meaning with the outcome.
    fn judge(
        &self,
        kind: StepKind,
        heard: Result<Answer, Silence>,
    ) -> Result<(Meaning, Answer, Value), (Meaning, Outcome)> {
        let answer = heard.map_err(|silence| (Meaning::Unintelligible, silence.into()))?;
        let tree = rows::tree_of(&answer.body);
        let meaning = self.meaning(kind, &answer, tree.as_ref());
        match meaning {
            Meaning::Updated | Meaning::Unchanged => {
                Ok((meaning, answer, tree.unwrap_or(Value::Null)))
            }
            _ => Err((meaning, outcome(kind.key().word(), meaning, &answer))),
        }
    }

    fn meaning(&self, kind: StepKind, answer: &Answer, tree: Option<&Value>) -> Meaning {
        let ok = self.entry.step(kind).map(|step| &step.ok[..]).unwrap_or_default();
        self.meaning_of(ok, answer, tree)
    }

    /// The meaning of an answer to a request with further conditions `ok` of success.
    pub fn meaning_of(&self, ok: &[Condition], answer: &Answer, tree: Option<&Value>) -> Meaning {
        let Entry { answers, otherwise, is_rest, has_pages, .. } = self.entry;
        let rules = Rules { answers, otherwise: *otherwise, rest: *is_rest, pages: *has_pages, ok };
        answer::meaning(answer, tree, &rules)
    }

    /// Adds the rows of an answer to `pages`; returns the request for the next page, if there is one.
    fn hear_page(
        &self,
        kind: StepKind,
        step: &EntryStep,
        pages: &mut Pages,
        heard: Result<Answer, Silence>,
        keep: &dyn Fn(&Value) -> bool,
    ) -> Result<Option<HttpRequest>, (Meaning, Outcome)> {
        let answer = heard.map_err(|silence| (Meaning::Unintelligible, silence.into()))?;
        let strange = |what: &str| {
            let detail = format!("{}: {what}", kind.key().word());
            (Meaning::Unintelligible, Outcome::deferred(Fault::Unintelligible, detail))
        };
        let mut can_be_read = false;
        let mut is_kept = |row: &Value| {
            can_be_read |= is_readable(step, row);
            keep(row) && step.filter.as_ref().is_none_or(|filter| filter.holds_on_row(row))
        };
        let read = rows::rows(&answer.body, &step.at, &mut is_kept);
        let (rows, rest, is_list) = match read {
            Ok(rows) => (rows.kept, Some(rows.rest), rows.found && (can_be_read || rows.seen == 0)),
            Err(what) if !answer.body.trim_ascii().is_empty() && is_success(answer.status) => {
                return Err(strange(what));
            }
            Err(_) => (Vec::new(), None, false),
        };
        let meaning = self.meaning(kind, &answer, rest.as_ref());
        if !matches!(meaning, Meaning::Updated | Meaning::Unchanged) {
            return Err((meaning, outcome(kind.key().word(), meaning, &answer)));
        }
        // An error that counts as success says "no records" in its own way.
        let says_none = step.ok.iter().any(|ok| ok.holds(&Seen::of(&answer, rest.as_ref())));
        if !is_list && !says_none {
            return Err(strange("the answer has no list where the entry expects it"));
        }
        pages.rows.extend(rows);
        let next =
            step.next.as_ref().and_then(|next| next_page(next, &answer, rest.as_ref()?, pages));
        match next {
            None => Ok(None),
            Some(Err(what)) => Err(strange(what)),
            Some(Ok(url)) => {
                pages.seen.push(url.expose().to_owned());
                Ok(Some(HttpRequest { url, ..pages.first.clone() }))
            }
        }
    }

    /// Whether `row` has the name of the scene's host; a row without a name is the host's.
    fn is_named(&self, step: &EntryStep, row: &Value, scene: &Scene<'_>) -> bool {
        let Some(paths) = &step.name else { return true };
        let Some(host) = scene.host else { return false };
        paths.texts(row).iter().any(|name| match (self.entry.names_are_labels, scene.zone) {
            (true, Some(zone)) => match label(host, zone) {
                "" => ["", "@", &*self.entry.apex].contains(&&**name),
                label => is_equal(name, label),
            },
            _ => is_equal(name, host.as_str()),
        })
    }

    /// Whether `row` has the type of `family`; a row without a type counts.
    fn is_typed(&self, step: &EntryStep, row: &Value, family: Option<Family>) -> bool {
        let (Some(paths), Some(family)) = (&step.kind, family) else { return true };
        let wanted = self.record_type(family);
        paths.texts(row).iter().any(|kind| kind.eq_ignore_ascii_case(wanted))
    }
}

impl Pages {
    fn new(first: HttpRequest) -> Self {
        let seen = vec![first.url.expose().to_owned()];
        Self { first, seen, rows: Vec::new() }
    }
}

/// The records in `row`: one for each of its values.
fn records(step: &EntryStep, row: &Value, id: Option<&str>) -> Vec<Record> {
    let id = step.id.as_ref().and_then(|paths| paths.text(row)).or(id.map(str::to_owned));
    let id = id.filter(|id| is_id(id));
    let ttl = step.ttl.as_ref().and_then(|paths| paths.text(row)?.parse().ok());
    let mut values = step.value.as_ref().map(|paths| paths.texts(row)).unwrap_or_default();
    let is_empty = step.value.as_ref().is_some_and(|paths| paths.lead_to_nothing(row));
    if values.is_empty() && !is_empty {
        // An alias, for example: somebody's record all the same.
        values.push(String::new());
    }
    let record = |value| Record { id: id.clone(), value, ttl, family: None, row: row.clone() };
    values.into_iter().map(record).collect()
}

/// The URL of the next page, if there is one; the error says why it is not asked for.
fn next_page(
    next: &Next,
    answer: &Answer,
    rest: &Value,
    pages: &Pages,
) -> Option<Result<Guarded, &'static str>> {
    let first = pages.first.url.expose();
    let server = origin(first);
    let is_value = |value: &String| !matches!(&**value, "" | "0" | "false" | "null");
    let whole = |url: String| -> Guarded {
        (if url.starts_with('/') { [server, &url].concat() } else { url }).into()
    };
    let url = match next {
        Next::Link => whole(answer.next.clone()?),
        Next::Value(path, name) => {
            let value = path.text(rest).filter(is_value)?;
            if name.is_empty() {
                whole(value)
            } else {
                let mut url = pages.first.url.clone();
                url.push(if first.contains('?') { "&" } else { "?" });
                url.push(name);
                url.push("=");
                url.push(&query_value(&value));
                url
            }
        }
    };
    Some(if url.expose().contains(HIDDEN) {
        Err("its next page has a secret in its URL")
    } else if !origin(url.expose()).eq_ignore_ascii_case(server) {
        Err("its next page is on another server")
    } else if pages.seen.iter().any(|seen| seen == url.expose()) {
        Err("its pages form a circle")
    } else if pages.seen.len() >= MOST_PAGES {
        Err("it has more than 20 pages")
    } else {
        Ok(url)
    })
}

/// The writes that remove `surplus`.
fn removals(entry: &Entry, surplus: Vec<Record>) -> VecDeque<Write> {
    let write = |record| Write { kind: StepKind::Remove, address: None, record: Some(record) };
    let most = if entry.is_of_whole(StepKind::Remove) { 1 } else { usize::MAX };
    surplus.into_iter().take(most).map(write).collect()
}

/// The writes that add what is `missing`, replace and remove the `surplus`, and write the time to live
/// of others, record by record.
fn writes(
    entry: &Entry,
    missing: Vec<IpAddr>,
    surplus: VecDeque<Record>,
    other_ttl: Vec<Record>,
) -> VecDeque<Write> {
    let write = |kind, address, record| Write { kind, address, record };
    let mut all = VecDeque::new();
    let (mut missing, mut surplus) = (VecDeque::from(missing), surplus);
    if entry.step(StepKind::Change).is_some() {
        all.extend(
            other_ttl
                .into_iter()
                .map(|record| write(StepKind::Change, record.address(), Some(record))),
        );
        while let (Some(address), Some(_)) = (missing.front(), surplus.front()) {
            let address = *address;
            missing.pop_front();
            all.push_back(write(StepKind::Change, Some(address), surplus.pop_front()));
        }
    }
    all.extend(missing.into_iter().map(|address| write(StepKind::Create, Some(address), None)));
    all.extend(surplus.into_iter().map(|record| write(StepKind::Remove, None, Some(record))));
    all
}

/// Whether a request about `record` leaves its equal in `listed`, if that is `wanted`: two without ids
/// of their own would go together.
fn is_single(entry: &Entry, listed: &[Record], record: &Record, wanted: &[IpAddr]) -> bool {
    let names_id = entry.step(StepKind::Remove).is_some_and(|it| it.has("id") || it.has_old());
    let is_equal = |other: &&Record| other.id == record.id;
    !record.address().is_some_and(|address| wanted.contains(&address))
        || names_id && record.id.is_some() && listed.iter().filter(is_equal).count() < 2
}

/// `answer` in words. Its media type says nothing, because services send JSON and words as web pages;
/// of XML, and of a page whose words have a meaning, the text without its tags is shown.
pub fn in_words(meaning: Meaning, answer: &Answer) -> String {
    const LOOKED_AT: usize = 4 * 1024;
    let body = &answer.body[..answer.body.len().min(LOOKED_AT)];
    let text = String::from_utf8_lossy(body);
    let has_tags = text.trim_start().starts_with('<') && meaning != Meaning::Unintelligible;
    let body = if has_tags { without_tags(&text) } else { text.into_owned() }.into_bytes();
    let Answer { status, ref location, repeats_secret, .. } = *answer;
    Answer { status, location: location.clone(), repeats_secret, body, ..Answer::default() }
        .summary()
}

/// `text` with a blank in place of each tag.
fn without_tags(text: &str) -> String {
    let mut words = String::new();
    for piece in text.split('<') {
        words.push_str(piece.split_once('>').map_or(piece, |(_, after)| after));
        words.push(' ');
    }
    words
}

/// The outcome of `meaning`, which is no success, of the request under `key`.
pub fn outcome(key: &str, meaning: Meaning, answer: &Answer) -> Outcome {
    let detail = [key, ": ", &in_words(meaning, answer)].concat();
    let rejected = |rejection| Outcome::rejected(rejection, detail.clone());
    let deferred = |fault| Outcome::deferred(fault, detail.clone());
    match meaning {
        Meaning::Abuse => rejected(Rejection::Abuse),
        Meaning::Agent => rejected(Rejection::Agent),
        Meaning::Feature => rejected(Rejection::Feature),
        Meaning::Skew => deferred(Fault::Skew),
        Meaning::Throttled => {
            let retry_after = Some(answer.retry_after.unwrap_or(PAUSE));
            Outcome::Deferred(Deferral { fault: Fault::Throttled, detail, retry_after })
        }
        Meaning::Credential => rejected(Rejection::Credential),
        Meaning::Forbidden => rejected(Rejection::Forbidden),
        Meaning::Gone | Meaning::Host => rejected(Rejection::Host),
        Meaning::Busy => deferred(Fault::Busy),
        Meaning::Server => {
            let retry_after = answer.retry_after;
            Outcome::Deferred(Deferral { fault: Fault::Server, detail, retry_after })
        }
        Meaning::Request => rejected(Rejection::Request),
        Meaning::Unchanged | Meaning::Updated | Meaning::Unintelligible => {
            deferred(Fault::Unintelligible)
        }
    }
}

/// The outcome of a conversation whose requests would be signed with a wrong time.
pub fn unset_clock() -> Outcome {
    let detail = "this machine's clock is not set, and requests are signed with the time";
    Outcome::deferred(Fault::Clock, detail)
}

/// The outcome of a request that cannot be made.
fn unfit_outcome(unfit: String) -> Outcome {
    Outcome::rejected(Rejection::Request, unfit)
}

/// `outcome` as "could not confirm": a part has been changed.
fn doubtful(outcome: Outcome) -> Outcome {
    let (fault, detail, retry_after) = match outcome {
        Outcome::Updated | Outcome::Unchanged => return outcome,
        Outcome::Deferred(Deferral { fault, .. }) if fault.leaves_doubt() => return outcome,
        Outcome::Deferred(Deferral { fault, detail, retry_after }) => {
            // A change of the network may end the wait.
            let fault = if fault.is_the_networks() { Fault::Lost } else { Fault::Server };
            (fault, detail, retry_after)
        }
        Outcome::Rejected(refusal) => (Fault::Server, refusal.detail, None),
    };
    let detail = ["a part was changed, then ", &detail].concat();
    Outcome::Deferred(Deferral { fault, detail, retry_after })
}

/// `outcome` without a doubt: no write has left.
fn without_doubt(outcome: Outcome) -> Outcome {
    match outcome {
        Outcome::Deferred(deferral) if deferral.fault.leaves_doubt() => {
            let is_the_networks = deferral.fault.is_the_networks();
            let fault = if is_the_networks { Fault::Unreachable } else { Fault::Unread };
            Outcome::Deferred(Deferral { fault, ..deferral })
        }
        outcome => outcome,
    }
}

/// The outcome for hosts that nothing was asked about, because `outcome` ended the conversation.
fn not_asked(outcome: &Outcome) -> Outcome {
    let mut unasked = without_doubt(outcome.clone());
    if let Outcome::Deferred(deferral) = &mut unasked {
        deferral.detail.insert_str(0, "not asked: a moment ago, ");
    }
    unasked
}

/// See [`Fault::leaves_doubt`].
fn leaves_doubt(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Deferred(deferral) if deferral.fault.leaves_doubt())
}

/// The answer to the question for a zone that failed with `outcome`.
fn no_answer(outcome: Outcome) -> Step<ZoneAnswer> {
    Step::Done(ZoneAnswer::Outcome(without_doubt(outcome)))
}

/// Whether `row` has a name and a type, as far as the entry says where they are, or is a bare id.
fn is_readable(step: &EntryStep, row: &Value) -> bool {
    let has =
        |paths: &Option<Paths>| paths.as_ref().is_none_or(|paths| !paths.texts(row).is_empty());
    if step.has_bare_ids {
        return row.is_string() || row.is_number();
    }
    has(&step.name) && has(&step.kind)
}

/// Whether `text` can be an id: an empty one, or a dot, would make the URL that of something else.
fn is_id(text: &str) -> bool {
    !text.bytes().all(|byte| byte == b'.')
}

/// The refusal to touch the records of others.
fn foreign(values: &[String], listed: usize) -> Outcome {
    let clean = |value: &String| -> String {
        let clean: String = value.chars().filter(|c| !c.is_control()).take(64).collect();
        if clean.is_empty() { "one without an address".to_owned() } else { clean }
    };
    let named: Vec<_> = values.iter().take(MOST_NAMED).map(clean).collect();
    let more = if values.len() > MOST_NAMED { " and others" } else { "" };
    let has = if listed > 1 { "several records, among them some" } else { "a record" };
    let detail = format!(
        "the name has {has} that Homing did not set: {}{more}; remove them at the provider, or write take-over = true in its [[host]] to replace them",
        named.join(", ")
    );
    Outcome::rejected(Rejection::Request, detail)
}

fn severity(outcome: &Outcome) -> u8 {
    match outcome {
        Outcome::Unchanged => 0,
        Outcome::Updated => 1,
        Outcome::Rejected(_) => 2,
        Outcome::Deferred(_) => 3,
    }
}

fn is_success(status: u16) -> bool {
    (200..300).contains(&status)
}

/// What names a list: its method, URL and body.
fn list_key(request: &HttpRequest) -> String {
    let body = request.body.as_ref().map(|body| body.parts().1.expose()).unwrap_or_default();
    let method = if request.method == Method::Get { "" } else { request.method.as_str() };
    [method, request.url.expose(), "\n", body].concat()
}

/// The names of a row, or the row itself where it is a bare name.
fn names(step: &EntryStep, row: &Value) -> Vec<String> {
    match &step.name {
        _ if step.has_bare_ids => vec![scalar(row)],
        Some(paths) => Paths::texts(paths, row),
        None => Vec::new(),
    }
}

fn scalar(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// Whether two names are equal, without regard to case and to a final dot.
fn is_equal(name: &str, other: &str) -> bool {
    name.strip_suffix('.').unwrap_or(name).eq_ignore_ascii_case(other)
}

/// Every suffix of `name` with a dot in it, longest first.
fn suffixes(name: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut rest = name;
    while let Some((_, after)) = rest.split_once('.') {
        found.push(rest);
        rest = after;
    }
    found
}
