//! `config::notify` of a build without pages: nobody is told, and the configuration is refused.

use std::path::Path;

use super::problems::Notes;
use super::secret::SecretPlace;
use super::table::Section;
use crate::core::feature::Feature;

/// One that is told of problems: there is none.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Notifier {}

impl Notifier {
    /// Never called.
    pub fn label(&self) -> &str {
        match *self {}
    }

    /// Never called.
    pub fn program(&self) -> &[String] {
        match *self {}
    }

    /// Never called.
    pub fn ca_file(&self) -> Option<&Path> {
        match *self {}
    }

    /// Never called.
    pub fn secret(&self) -> Option<&SecretPlace> {
        match *self {}
    }

    /// Never called.
    pub fn server(&self) -> Option<String> {
        match *self {}
    }

    /// Never called.
    pub fn destination(&self) -> String {
        match *self {}
    }

    /// Never called.
    pub fn problem(&self) -> Option<String> {
        match *self {}
    }

    /// Never called.
    pub fn draft(&self) -> Result<String, String> {
        match *self {}
    }
}

/// Notes that this build tells nobody.
pub(super) fn read_notifiers(
    top: &Section<'_>,
    report: &Section<'_>,
    _: (&Path, &Path),
    _: Option<u32>,
    notes: &mut Notes,
) -> Vec<Notifier> {
    for setting in [report.get("notify"), top.get("notify")].into_iter().flatten() {
        notes.add(setting.at, &setting.name, Feature::Pages.refusal("notify"));
    }
    Vec::new()
}
