//! `history`: what was set when, and why, from the file of the last changes. Takes no lock and asks no
//! server.

use super::{Setup, err, out, show};
use crate::core::address::Addresses;
use crate::core::exit::Exit;
use crate::core::history::Change;
use crate::core::nearest::correction;
use crate::os::clock;
use crate::os::local::Local;
use crate::state;

/// Prints the changes, the newest last; of `host` alone if one is named.
pub fn run(setup: &Setup, host: Option<&str>, json: bool) -> Exit {
    let recorded = match state::recorded(&setup.state_dir) {
        Ok(recorded) => recorded,
        Err(error) => {
            err(&error.to_string());
            return Exit::Deferred;
        }
    };
    if recorded.damaged > 0 {
        let lines = if recorded.damaged == 1 { "line" } else { "lines" };
        let dir = setup.state_dir.display();
        err(&format!(
            "warning: {} {lines} of the history in {dir} cannot be read; the others follow, nothing to do",
            recorded.damaged
        ));
    }
    // A host that is no longer configured has a history as well.
    let wanted = host.map(|host| host.trim_end_matches('.').to_ascii_lowercase());
    let is_wanted =
        |change: &&Change| wanted.as_ref().is_none_or(|host| change.key.host.as_str() == host);
    let changes: Vec<_> = recorded.changes.iter().filter(is_wanted).collect();
    if let Some(host) = wanted.as_ref().filter(|_| changes.is_empty()) {
        let configured = setup.config.hosts.iter().map(|host| host.host.key.host.as_str());
        let known = configured.chain(recorded.changes.iter().map(|it| it.key.host.as_str()));
        let known: Vec<_> = known.collect();
        if !known.contains(&host.as_str()) {
            let fix = correction(host, known, "`homing status` lists the hosts");
            err(&format!("the configuration has no host {host}; {fix}"));
            return Exit::Usage;
        }
    }
    if json {
        changes.iter().for_each(|change| out(&state::line(change)));
        return Exit::Right;
    }
    if changes.is_empty() {
        out("no change is recorded yet");
    }
    let at = Local::here(clock::wall());
    table(&changes, at).iter().for_each(|line| out(line));
    Exit::Right
}

/// The changes in columns: when, host, family, from what to what, why, provider.
fn table(changes: &[&Change], at: Local) -> Vec<String> {
    let text = |addresses: &Option<Addresses>, nothing: &str| {
        addresses.as_ref().map_or_else(|| nothing.to_owned(), Addresses::to_string)
    };
    let rows = changes.iter().map(|change| {
        let (old, new) = (text(&change.old, "-"), text(&change.new, "removed"));
        [
            at.full(change.at),
            change.key.host.to_string(),
            change.family.to_string(),
            format!("{old} -> {new}"),
            change.key.provider.to_string(),
            show::why(change.why).to_owned(),
        ]
    });
    let rows: Vec<_> = rows.collect();
    let mut widths = [0; 6];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.chars().count().max(*width);
        }
    }
    let line = |row: &[String; 6]| {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect()
}
