//! `[report]`: what is reported about the hosts, how and to whom, from keys to values.

use std::path::{Path, PathBuf};
use std::time::Duration;

use toml::de::DeTable;

use super::notify::{Notifier, read_notifiers};
use super::problems::Notes;
use super::secret::{self, SecretPlace};
use super::table::{Section, SectionKind};
use super::{host, url, value};
use crate::core::feature::Feature;
use crate::core::ping::PingService;
use crate::core::secret::Secret;

/// The reports that the user wants.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Reports {
    /// The program to run when a host has a problem, and when it is right again; empty for none.
    pub on_problem: Vec<String>,
    /// Those who are told of problems and their ends.
    pub notify: Vec<Notifier>,
    /// How long a host must be deferred until that is reported as a problem.
    pub problem_after: Duration,
    /// The monitoring service to tell after rounds, if there is one.
    pub ping: Option<Ping>,
    /// The file to write for Prometheus, if one is wanted.
    pub metrics_file: Option<PathBuf>,
    /// The page to write for people, if one is wanted.
    pub status_page: Option<PathBuf>,
}

/// A monitoring service that is told that all is right.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Ping {
    /// The place of its URL, which is a secret.
    pub place: SecretPlace,
    /// The least time between two pings that say the same.
    pub interval: Duration,
    /// The kind of service.
    pub service: PingService,
}

/// The URL of a ping at `place`, read now; the error shows nothing of it.
pub fn ping_url(place: &SecretPlace) -> Result<Secret, String> {
    secret::read_reported(place, "the URL of the ping", true)
}

impl Default for Reports {
    fn default() -> Self {
        Self {
            on_problem: Vec::new(),
            notify: Vec::new(),
            problem_after: Duration::from_secs(15 * 60),
            ping: None,
            metrics_file: None,
            status_page: None,
        }
    }
}

impl Reports {
    /// The files that are written about the hosts, each with its setting.
    pub fn files(&self) -> impl Iterator<Item = (&'static str, &Path)> {
        let all = [("metrics-file", &self.metrics_file), ("status-page", &self.status_page)];
        all.into_iter().filter_map(|(key, path)| Some((key, path.as_deref()?)))
    }

    /// Whether anything is to be told of problems and their ends.
    pub fn tells_of_problems(&self) -> bool {
        !self.on_problem.is_empty() || !self.notify.is_empty()
    }

    /// The programs that are run for reports, each with the name of its setting.
    pub fn programs(&self) -> impl Iterator<Item = (&'static str, &[String])> {
        let of_notify = self.notify.iter().map(|notifier| ("notify", notifier.program()));
        let all = std::iter::once(("on-problem", &*self.on_problem)).chain(of_notify);
        all.filter(|(_, program)| !program.is_empty())
    }
}

/// Reads `[report]` of `file` in `top`; relative paths begin in `base`. `exposed` is the mode that the
/// file should have, if others may read it.
pub(super) fn read_reports(
    top: &Section<'_>,
    (file, base): (&Path, &Path),
    exposed: Option<u32>,
    notes: &mut Notes,
) -> Reports {
    let mut reports = Reports::default();
    let empty = DeTable::new();
    let section = top.get("report").and_then(|setting| setting.section("[report]", notes));
    let mut section = section.unwrap_or_else(|| Section::top(&empty));
    section.check_keys(SectionKind::Report, notes);
    reports.notify = read_notifiers(top, &section, (file, base), exposed, notes);
    if let Some(setting) = section.get("on-problem") {
        reports.on_problem = setting.program(notes);
    }
    let after =
        section.parsed("problem-after", notes, |text| value::duration(text, &value::PROBLEM_AFTER));
    if let Some(setting) = section.get("problem-after").filter(|_| !reports.tells_of_problems()) {
        let what = "has no effect without on-problem or notify; add one, or remove this line";
        notes.warn(setting.at, &setting.name, what);
    }
    reports.ping = ping(&section, (file, base), exposed, notes);
    for (key, slot) in
        [("metrics-file", &mut reports.metrics_file), ("status-page", &mut reports.status_page)]
    {
        let Some(setting) = section.get(key) else { continue };
        if Feature::Pages.is_here() {
            *slot = setting.parsed(notes, |text| value::path(text, base));
        } else {
            notes.add(setting.at, &setting.name, Feature::Pages.refusal(key));
        }
    }
    if let Some(setting) = section.get("status-page")
        && reports.status_page.is_some()
        && reports.status_page == reports.metrics_file
    {
        let what = "is the same file as metrics-file; name another";
        notes.add(setting.at, &setting.name, what);
    }
    reports.problem_after = after.unwrap_or(reports.problem_after);
    reports
}

/// The settings of the ping.
fn ping(
    section: &Section<'_>,
    (file, base): (&Path, &Path),
    exposed: Option<u32>,
    notes: &mut Notes,
) -> Option<Ping> {
    let interval =
        section.parsed("ping-interval", notes, |text| value::duration(text, &value::PING_INTERVAL));
    let service = section.parsed("ping-service", notes, service);
    let inline = section.get("ping").and_then(|setting| {
        let url = host::inline(&setting, (file, exposed), "ping-file", notes)?;
        let checked = url::check_ping(url.expose());
        notes.keep(setting.at, &setting.name, checked).map(|()| SecretPlace::Inline(url))
    });
    let in_file = section.parsed("ping-file", notes, |text| value::path(text, base));
    if let (Some(setting), Some(_)) = (section.get("ping-file"), section.get("ping")) {
        notes.add(setting.at, &setting.name, "names a second URL beside ping; keep one of them");
    }
    let place = inline.or(in_file.map(SecretPlace::File));
    if section.get("ping").or(section.get("ping-file")).is_none() {
        for setting in ["ping-interval", "ping-service"].iter().filter_map(|key| section.get(key)) {
            let what = "has no effect without ping-file; add that, or remove this line";
            notes.warn(setting.at, &setting.name, what);
        }
    }
    let interval = interval.unwrap_or(Ping::INTERVAL);
    Some(Ping { place: place?, interval, service: service.unwrap_or_default() })
}

impl Ping {
    /// The interval unless the configuration has another.
    pub const INTERVAL: Duration = Duration::from_secs(5 * 60);
}

/// The kind of service that `text` names.
fn service(text: &str) -> Result<PingService, String> {
    let all = PingService::ALL;
    let words = PingService::ALL.map(PingService::word).join(", ");
    all.into_iter()
        .find(|service| service.word() == text)
        .ok_or_else(|| format!("is no kind of service; write one of: {words}"))
}
