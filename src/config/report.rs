//! `[report]`: what is reported about the hosts, how and to whom, from keys to values.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::problems::Notes;
use super::table::{Section, SectionKind};
use super::value;
use crate::core::feature::Feature;

/// The reports that the user wants.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Reports {
    /// The program to run when a host has a problem, and when it is right again; empty for none.
    pub on_problem: Vec<String>,
    /// How long a host must be deferred until that is reported as a problem.
    pub problem_after: Duration,
    /// The file to write for Prometheus, if one is wanted.
    pub metrics_file: Option<PathBuf>,
    /// The page to write for people, if one is wanted.
    pub status_page: Option<PathBuf>,
}

impl Default for Reports {
    fn default() -> Self {
        Self {
            on_problem: Vec::new(),
            problem_after: Duration::from_secs(15 * 60),
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
        !self.on_problem.is_empty()
    }
}

/// Reads `[report]` of the file in `top`; relative paths begin in `base`.
pub(super) fn read_reports(top: &Section<'_>, base: &Path, notes: &mut Notes) -> Reports {
    let mut reports = Reports::default();
    let section = top.get("report").and_then(|setting| setting.section("[report]", notes));
    let Some(mut section) = section else { return reports };
    section.check_keys(SectionKind::Report, notes);
    if let Some(setting) = section.get("on-problem") {
        reports.on_problem = setting.program(notes);
    }
    let after =
        section.parsed("problem-after", notes, |text| value::duration(text, &value::PROBLEM_AFTER));
    if let Some(setting) = section.get("problem-after").filter(|_| !reports.tells_of_problems()) {
        let what = "means nothing without on-problem; write that as well, or remove this line";
        notes.warn(setting.at, &setting.name, what);
    }
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
