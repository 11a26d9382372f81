//! The files about the hosts, `metrics-file` and `status-page`: written whole, when something changed
//! and at least hourly, so that a Homing that does not run shows.
//!
//! Another thread writes them: a directory that hangs must not hold up the rounds.

use std::fs;
use std::io;
use std::path::Path;
use std::pin::Pin;
use std::rc::Rc;
use std::time::{Duration, SystemTime};

use super::view::View;
use super::{metrics, page};
use crate::config::Config;
use crate::config::problems::shown_path;
use crate::config::secret::for_shell;
use crate::core::time::Timestamp;
use crate::core::token::upkeep::Proof;
use crate::os::clock::monotonic;
use crate::os::disk::{self, Ownership};
use crate::os::hand;
use crate::os::local::Local;
use crate::os::reason::reason;
use crate::round::Engine;

/// How often the files are written at least.
const PROMISED: Duration = Duration::from_secs(60 * 60);

/// After what time they are written again although nothing changed, to keep the promise.
const EVERY: Duration = Duration::from_secs(55 * 60);

/// From what age on a file is written again although it says the same. Less than `EVERY`, after which
/// it is looked at again: it was written a little later than that time began.
const OLD: Duration = Duration::from_secs(50 * 60);

/// How long a write may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// The largest file that is compared with the new text, in bytes.
const LARGEST: u64 = 64 << 20;

/// A file being written, by its setting; the error is what went wrong, and the fix.
pub type Writing = (&'static str, Pin<Box<dyn Future<Output = Result<(), (String, String)>>>>);

/// The files as they were last written.
#[derive(Debug, Default)]
pub struct Files {
    /// What was shown.
    shown: Option<Shown>,
    /// When the files are to be written again, by the steady clock; `None` when there are none.
    due: Option<Duration>,
    /// When the last round was over.
    last_round: Timestamp,
}

/// What the files depend on.
#[derive(Debug)]
struct Shown {
    config: Rc<Config>,
    /// The state that was saved.
    state: Option<u64>,
    is_unsaved: bool,
    /// The receipts that speak against their tokens.
    unfit: Vec<(usize, Proof)>,
}

impl Files {
    /// When the files are to be written although nothing changed, by the steady clock.
    pub fn due(&self) -> Option<Duration> {
        self.due
    }

    /// Notes that a file was not written: the next [`writings`](Self::writings) have it, changed or not.
    pub fn write_again(&mut self) {
        self.shown = None;
    }

    /// The files to write by what `engine` knows now.
    pub fn writings(&mut self, engine: &Engine) -> Vec<Writing> {
        let reports = &engine.config.reports;
        let now = engine.clock.now();
        if engine.is_idle() && !engine.report().hosts.is_empty() {
            self.last_round = now;
        }
        if reports.metrics_file.is_none() && reports.status_page.is_none() {
            (self.shown, self.due) = (None, None);
            return Vec::new();
        }
        let (state, is_unsaved) =
            (engine.store.digest(), engine.report().storage_problem.is_some());
        let hosts = &engine.report().hosts;
        let unfit = hosts.iter().enumerate();
        let unfit = unfit.filter_map(|(at, host)| Some((at, host.unfit()?.clone()))).collect();
        let is_same = |shown: &Shown| {
            Rc::ptr_eq(&shown.config, &engine.config)
                && (shown.state, shown.is_unsaved) == (state, is_unsaved)
                && (shown.unfit == unfit || hosts.is_empty())
        };
        let is_due = self.due.is_none_or(|due| due <= monotonic());
        if !is_due && self.shown.as_ref().is_some_and(is_same) {
            return Vec::new();
        }
        let config = Rc::clone(&engine.config);
        self.shown = Some(Shown { config, state, is_unsaved, unfit });
        self.due = Some(monotonic() + EVERY);
        let view = View::of(engine, Local::here(now), now.after(PROMISED), self.last_round);
        let metrics = reports.metrics_file.as_ref().map(|path| {
            writing("metrics-file", path, metrics::text(&view), &metrics::VOLATILE, &engine.config)
        });
        let page = reports.status_page.as_ref().map(|path| {
            writing("status-page", path, page::text(&view), &page::VOLATILE, &engine.config)
        });
        metrics.into_iter().chain(page).collect()
    }
}

/// The writing of `text` to the file at `path`, in a thread of its own.
fn writing(
    topic: &'static str,
    path: &Path,
    text: String,
    volatile: &'static [&'static str],
    config: &Config,
) -> Writing {
    let (path, author) = (path.to_owned(), config.author());
    let written = async move {
        let target = path.clone();
        let work = tokio::task::spawn_blocking(move || {
            hand::serve(author);
            if is_fresh(&target, &text, volatile) {
                return Ok(());
            }
            // Others may read it as they could before; a new one everybody may read.
            disk::write_whole(&target, Ownership::of_shown(&target)?, text.as_bytes())
        });
        let result = match tokio::time::timeout(PATIENCE, work).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) | Err(_) => Err(io::ErrorKind::TimedOut.into()),
        };
        let problem = |error: io::Error| {
            (format!("cannot write {}: {}", shown_path(&path), reason(&error)), fix(&path, &error))
        };
        result.map_err(problem)
    };
    (topic, Box::pin(written))
}

/// Whether the file at `path` says the same as `text` and is not old; lines that begin with one of
/// `volatile` always differ.
fn is_fresh(path: &Path, text: &str, volatile: &[&str]) -> bool {
    let age = fs::metadata(path).and_then(|found| found.modified()).ok();
    let age = age.and_then(|written| SystemTime::now().duration_since(written).ok());
    if age.is_none_or(|age| age >= OLD) {
        return false;
    }
    let lasting = |line: &&str| !volatile.iter().any(|begin| line.starts_with(begin));
    let old = disk::read_text(path, LARGEST).ok().flatten();
    old.is_some_and(|old| old.lines().filter(lasting).eq(text.lines().filter(lasting)))
}

/// What a person can do where the file at `path` cannot be written.
fn fix(path: &Path, error: &io::Error) -> String {
    use io::ErrorKind::{
        NotFound, PermissionDenied, QuotaExceeded, ReadOnlyFilesystem, StorageFull,
    };

    let directory = disk::directory(path);
    let (shown, quoted) = (shown_path(directory), for_shell(directory));
    match error.kind() {
        NotFound => format!("run `mkdir -p {quoted}`"),
        PermissionDenied => format!(
            "let the user that runs Homing write to {shown}; a service of systemd also needs ReadWritePaths={shown}"
        ),
        ReadOnlyFilesystem => format!(
            "write to another directory than {shown}; a service of systemd needs ReadWritePaths={shown}"
        ),
        StorageFull | QuotaExceeded => format!("free some space in {shown}"),
        _ => format!("look at the directory {shown}"),
    }
}
