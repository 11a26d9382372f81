//! `--once`: one round, then exit; made for cron, which mails what is printed.
//!
//! Off a terminal it prints what is new and nothing else; on a terminal also the state of every host.

use std::io::IsTerminal;
use std::path::Path;

use super::reports::Reporter;
use super::signals::{Stop, within_last_words};
use super::{Setup, engine, err, say, show};
use crate::cli::Once;
use crate::confine::Confinement;
use crate::core::exit::Exit;
use crate::core::ping::Pinged;
use crate::core::round::{Occasion, Report};
use crate::os::clock::{parse_rfc3339, rfc3339};
use crate::os::local::Local;
use crate::round::Engine;
use crate::state::{self, StateAccess};

/// The file with the warning that a run printed last: cron mails what is printed.
const WARNED: &str = "homing.warned";

/// The file with the reports that failed in the last run.
const TROUBLES: &str = "homing.troubles";

/// The file with the last ping of a run, which is only there if there are pings.
const PINGED: &str = "homing.pinged";

/// Runs one round.
pub async fn run(setup: Setup, options: Once) -> Exit {
    let access =
        if options.dry_run { StateAccess::ReadOnly } else { StateAccess::Locked { who: "once" } };
    let (quiet, is_verbose) = (setup.quiet(), setup.is_verbose());
    let state_dir = setup.state_dir.clone();
    let mut engine = match engine(setup, access, false) {
        Ok(engine) => engine,
        Err(exit) => return exit,
    };
    let occasion = Occasion {
        refresh: options.refresh,
        retry_rejected: options.retry_rejected,
        ..Occasion::default()
    };
    if options.dry_run {
        engine.rehearse(occasion).await;
        let at = Local::here(engine.clock.now());
        let report = engine.report();
        if !quiet {
            show::seen(report).iter().for_each(|line| say(line));
            let hosts = report.hosts.iter();
            hosts.flat_map(|host| show::expected(host, at)).for_each(|line| say(&line));
            report.drafts.iter().filter(|_| is_verbose).for_each(|line| say(line));
        }
        return report.exit();
    }
    if let Some(exposure) = state::exposure(&state_dir)
        && (std::io::stderr().is_terminal() || !state::is_said(&state_dir, WARNED, &exposure))
    {
        err(&format!("warning: {exposure}"));
    }
    Confinement::begin(&engine.config, &state_dir).announce(false);
    engine.round.check_tokens();
    let is_first = engine.memory().hosts.values().all(|entry| entry.last.is_none());
    if !perform(&mut engine, occasion).await {
        return Exit::Deferred;
    }
    let report = engine.report();
    if !quiet {
        let at = Local::here(engine.clock.now());
        tell(report, std::io::stdout().is_terminal(), at);
        let tokens = report.tokens.iter().flat_map(|news| show::token(news, at));
        tokens.for_each(|line| say(&line));
        let did_something = report.hosts.iter().any(|host| !host.answers.is_empty());
        let is_read = std::io::stdout().is_terminal();
        if is_first && did_something && is_read && report.exit() == Exit::Right {
            say(
                "next: run this from cron, or leave out --once to keep watching; `homing status` shows what is set",
            );
        }
    }
    super::tell_problems(report);
    let exit = report.exit();
    report_events(&mut engine, &state_dir).await;
    // The program ends: to free each of ten thousand hosts would take a twentieth of its time.
    std::mem::forget(engine.round);
    exit
}

/// Makes the reports of a round; one that fails is told of once, not at every run.
async fn report_events(engine: &mut Engine, state_dir: &Path) {
    let mut reporter = Reporter::new(false);
    // What is told cannot be remembered: each run would tell it again.
    if engine.report().storage_problem.is_some() {
        engine.take_events();
    }
    reporter.pinged = state::said(state_dir, PINGED).and_then(|text| pinged_in(&text));
    reporter.begin(engine);
    if let Some(pinged) = reporter.pinged {
        state::is_said(state_dir, PINGED, &in_words(pinged));
    }
    let mut stop = Stop::listen();
    tokio::select! {
        () = engine.waiting.during("waiting for the reports", reporter.finish()) => {}
        () = stop.asked() => {}
    }
    let troubles = reporter.troubles(&state::said(state_dir, TROUBLES).unwrap_or_default());
    if troubles.is_empty() {
        return state::forget_said(state_dir, TROUBLES);
    }
    let is_said = || state::is_said(state_dir, TROUBLES, &troubles.join("\n"));
    if std::io::stderr().is_terminal() || !is_said() {
        troubles.iter().for_each(|line| err(line));
    }
}

/// Performs one round, which a signal cuts short; false when its requests then take too long. A
/// request that is not answered is remembered as sent without an answer.
async fn perform(engine: &mut Engine, occasion: Occasion) -> bool {
    let mut stop = Stop::listen();
    tokio::select! {
        () = engine.perform(occasion) => return true,
        () = stop.asked() => engine.stop(),
    }
    // Before the look nothing is known about any host.
    within_last_words(engine).await && !engine.report().hosts.is_empty()
}

/// Prints what is new, or with `everything` the state of every host.
fn tell(report: &Report, everything: bool, at: Local) {
    let lines: Vec<String> =
        report.hosts.iter().flat_map(|host| show::host(host, everything, at)).collect();
    if !lines.is_empty() {
        show::seen(report).iter().chain(&lines).for_each(|line| say(line));
    }
}

/// A ping as the state directory has it: `right 2027-01-15T08:00:00.000Z`.
fn in_words(Pinged { at, was_right }: Pinged) -> String {
    format!("{} {}", if was_right { "right" } else { "wrong" }, rfc3339(at))
}

/// The ping in such a text.
fn pinged_in(text: &str) -> Option<Pinged> {
    let (word, at) = text.trim().split_once(' ')?;
    Some(Pinged { at: parse_rfc3339(at)?, was_right: word == "right" })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::time::Timestamp;

    #[test]
    fn a_ping_is_read_as_it_was_written() {
        for was_right in [true, false] {
            let pinged = Pinged { at: Timestamp::from_millis(1_800_000_000_001), was_right };
            assert_eq!(pinged_in(&in_words(pinged)), Some(pinged));
        }
        assert_eq!(pinged_in("right now"), None);
    }
}
