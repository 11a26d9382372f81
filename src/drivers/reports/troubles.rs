//! Troubles: the reports that failed, each to be told of once.

use std::borrow::Cow;

use tracing::{info, warn};

use crate::core::order::SortedMap;

/// The reports that failed when they were last made, by their setting.
#[derive(Debug)]
pub struct Troubles {
    /// Whether they are logged; `--once` prints them, because it has to know what earlier runs printed.
    is_logging: bool,
    /// What went wrong, and what to do about it.
    all: SortedMap<Cow<'static, str>, (String, String)>,
}

impl Troubles {
    /// No troubles yet.
    pub fn new(is_logging: bool) -> Self {
        Self { is_logging, all: SortedMap::new() }
    }

    /// Notes how the report of the setting `topic` went, and logs what is new: a failure, another one,
    /// or that it works again.
    pub fn note(&mut self, topic: Cow<'static, str>, fix: &str, result: Result<(), String>) {
        match result {
            Ok(()) => {
                if self.all.remove(&topic).is_some() && self.is_logging {
                    info!("{topic} works again");
                }
            }
            Err(problem) if self.all.get(&topic).is_some_and(|(known, _)| *known == problem) => {}
            Err(problem) => {
                if self.is_logging {
                    warn!(problem, fix, "{topic} failed");
                }
                self.all.insert(topic, (problem, fix.to_owned()));
            }
        }
    }

    /// The troubles in lines: what failed, why, and what to do about it.
    pub fn lines(&self) -> Vec<String> {
        let line = |(topic, (problem, fix)): (&Cow<'static, str>, &(String, String))| {
            format!("warning: {topic}: {problem}; {fix}")
        };
        self.all.iter().map(line).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_that_works_again_is_no_trouble_any_more() {
        let mut troubles = Troubles::new(false);
        troubles.note("ping".into(), "look", Err("no answer".to_owned()));
        troubles.note("metrics-file".into(), "free some space", Err("the disk is full".to_owned()));
        assert_eq!(
            troubles.lines(),
            [
                "warning: metrics-file: the disk is full; free some space",
                "warning: ping: no answer; look",
            ]
        );
        troubles.note("ping".into(), "look", Ok(()));
        troubles.note("metrics-file".into(), "free some space", Err("no right".to_owned()));
        assert_eq!(troubles.lines(), ["warning: metrics-file: no right; free some space"]);
    }
}
