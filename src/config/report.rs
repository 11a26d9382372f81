//! `[report]`: what is reported about the hosts, how and to whom, from keys to values.

use std::time::Duration;

use super::problems::Notes;
use super::table::{Section, SectionKind};
use super::value;

/// The reports that the user wants.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Reports {
    /// The program to run when a host has a problem, and when it is right again; empty for none.
    pub on_problem: Vec<String>,
    /// How long a host must be deferred until that is reported as a problem.
    pub problem_after: Duration,
}

impl Default for Reports {
    fn default() -> Self {
        Self { on_problem: Vec::new(), problem_after: Duration::from_secs(15 * 60) }
    }
}

impl Reports {
    /// Whether anything is to be told of problems and their ends.
    pub fn tells_of_problems(&self) -> bool {
        !self.on_problem.is_empty()
    }
}

/// Reads `[report]` of the file in `top`.
pub(super) fn read_reports(top: &Section<'_>, notes: &mut Notes) -> Reports {
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
    reports.problem_after = after.unwrap_or(reports.problem_after);
    reports
}
