//! `check`: judges the configuration and the secrets, and prints the plan. It sends nothing to a
//! provider, saves nothing and takes no lock.

use std::path::Path;

use super::providers::destinations;
use super::{Setup, engine, say, show};
use crate::config::problems::shown_path;
use crate::config::secret::{self, SecretPlace, for_shell};
use crate::config::service;
use crate::config::{Config, HostConfig, ping_url};
use crate::confine;
use crate::core::exit::Exit;
use crate::core::round::{HostReport, Occasion};
use crate::core::secret::doubt;
use crate::core::source::{Service, SourceKind};
use crate::core::token::upkeep::Proof;
use crate::net::http;
use crate::os::local::Local;
use crate::os::{disk, program};
use crate::state::{self, StateAccess};

/// Checks the configuration, and prints what a round would do.
pub async fn run(setup: Setup) -> Exit {
    let path = setup.config.path.display().to_string();
    let (state_dir, is_verbose) = (setup.state_dir.clone(), setup.is_verbose());
    let mut engine = match engine(setup, StateAccess::ReadOnly, false) {
        Ok(engine) => engine,
        Err(exit) => return exit,
    };
    engine.rehearse(Occasion::default()).await;
    let at = Local::here(engine.clock.now());
    let mut report = std::mem::take(&mut engine.round.report);
    // Root can read what the service's user cannot.
    let service = service::ServiceUser::of(&engine.config.path, &state_dir);
    if let Some(service) = &service {
        for (host, host_report) in engine.config.hosts.iter().zip(&mut report.hosts) {
            let file = host.secret.as_ref().and_then(SecretPlace::file);
            let problem = file.and_then(|path| service.secret_problem(path));
            problem.into_iter().for_each(|problem| host_report.leave_out(problem));
        }
    }
    let exposure = state::exposure(&state_dir);
    let warnings = engine.config.warnings.iter().chain(&exposure);
    for line in warnings.chain(&show::side_effects(&engine.config)) {
        say(&format!("warning: {line}"));
    }
    doubts(&engine.config).iter().for_each(|line| say(&format!("hint: {line}")));
    wide(&engine.config).iter().for_each(|line| say(&format!("hint: {line}")));
    show::seen(&report).iter().for_each(|line| say(line));
    let hosts = &report.hosts;
    hosts.iter().flat_map(|host| show::expected(host, at)).for_each(|line| say(&line));
    report.drafts.iter().filter(|_| is_verbose).for_each(|line| say(line));
    hosts.iter().filter_map(|host| show::receipt(host, at)).for_each(|line| say(&line));
    let destinations = engine.config.hosts.iter();
    let destinations = destinations.filter_map(|host| destination(host, &engine.config));
    destinations.for_each(|line| say(&line));
    notifiers(&engine.config, is_verbose).iter().for_each(|line| say(line));
    confine::rehearsed(&engine.config, &state_dir).iter().for_each(|line| say(line));
    let unreadable = service.and_then(|service| service.config_problem(&engine.config.path));
    unreadable.iter().for_each(|problem| say(problem));
    let obstacles = obstacles(&engine.config, &state_dir);
    obstacles.iter().for_each(|problem| say(problem));
    let is_dead = |host: &HostReport| matches!(host.unfit(), Some(Proof::Revoked(_)));
    let left_out = report.hosts.iter().filter(|h| h.secret_problem.is_some() || is_dead(h)).count();
    if left_out > 0 {
        let hosts = if left_out == 1 { "1 host has" } else { &format!("{left_out} hosts have") };
        say(&format!("{path}: the configuration is right, but {hosts} no usable secret"));
        return Exit::Configuration;
    }
    if !obstacles.is_empty() {
        say(&format!(
            "{path}: the configuration is right, but it names files or programs that \
            cannot be used"
        ));
    }
    if unreadable.is_some() || !obstacles.is_empty() {
        return Exit::Configuration;
    }
    say(&format!("{path}: the configuration is right"));
    Exit::Right
}

/// The lines that say who is told of problems, with the request that would be sent if it `is_verbose`.
fn notifiers(config: &Config, is_verbose: bool) -> Vec<String> {
    let mut lines = Vec::new();
    for notifier in &config.reports.notify {
        let (label, destination) = (notifier.label(), notifier.destination());
        lines.push(format!("problems are reported by {label} to {destination}"));
        let draft = Some(notifier.draft()).filter(|_| is_verbose).and_then(Result::ok);
        lines.extend(draft.map(|draft| format!("  {draft}")));
    }
    lines
}

/// The line that says where updates of `host` go.
fn destination(host: &HostConfig, config: &Config) -> Option<String> {
    let used = host.sources.iter().filter(|(_, source)| source.is_some());
    let used: Vec<_> = used.map(|(family, _)| family).collect();
    let places = destinations(&config.providers[host.provider], &used);
    let place = match &host.path {
        Some(path) => shown_path(path),
        None if places.is_empty() => return None,
        None => places.join(" and "),
    };
    Some(format!("{}: updates to {place}", host.host.key.host))
}

/// The problems with what a run needs besides secrets, each problem once.
fn obstacles(config: &Config, state_dir: &Path) -> Vec<String> {
    let mut all: Vec<String> =
        state::obstacle(state_dir).map(|error| error.to_string()).into_iter().collect();
    let mut add = |problem: Option<String>| {
        all.extend(problem.filter(|problem| !all.contains(problem)));
    };
    let used = config.hosts.iter().map(|host| &config.providers[host.provider]);
    let of_providers = used.filter_map(|provider| provider.ca_file.as_deref().map(Path::new));
    let outside = config.sources.iter().filter_map(|source| match &source.kind {
        SourceKind::Outside(outside) => Some(&outside.services),
        _ => None,
    });
    let of_sources = outside.flatten().filter_map(|service| match service {
        Service::Web { ca_file, .. } => ca_file.as_deref(),
        Service::Dns(_) | Service::Gateway(_) | Service::Stun(_) => None,
    });
    for ca_file in of_providers.chain(of_sources) {
        add(http::ca_file_problem(ca_file));
    }
    for (key, program) in config.reports.programs() {
        let problem = program::obstacle(program);
        add(problem.map(|problem| format!("report.{key}: {problem}")));
    }
    for notifier in &config.reports.notify {
        let named = |problem| format!("report.notify: {}: {problem}", notifier.label());
        add(notifier.problem().map(named));
        add(notifier.ca_file().and_then(http::ca_file_problem));
    }
    for host in &config.hosts {
        let name = &host.host.key.host;
        let problem = program::obstacle(&host.on_change);
        add(problem.map(|problem| format!("{name}: on-change: {problem}")));
        add(host
            .path
            .as_deref()
            .and_then(|path| missing_directory(&format!("{name}: path"), path)));
    }
    let ping = config.reports.ping.as_ref().and_then(|ping| ping_url(&ping.place).err());
    add(ping.map(|problem| format!("report.ping-file: {problem}")));
    for (key, path) in config.reports.files() {
        add(missing_directory(&format!("report.{key}"), path));
    }
    all
}

/// The problem that the directory of the file at `path` is not there, after the name of its `setting`.
fn missing_directory(setting: &str, path: &Path) -> Option<String> {
    let directory = Some(disk::directory(path)).filter(|directory| !directory.is_dir())?;
    let quoted = for_shell(directory);
    Some(format!(
        "{setting}: the directory {} is not there; run `mkdir -p {quoted}`",
        directory.display()
    ))
}

/// The providers whose narrowest credential can change more than one name, in one line; `None` if there
/// are none.
fn wide(config: &Config) -> Option<String> {
    let mut names: Vec<&str> = Vec::new();
    for host in &config.hosts {
        let provider = &config.providers[host.provider];
        if provider.is_wide() && !names.contains(&&*provider.name) {
            names.push(&provider.name);
        }
    }
    let first = names.first()?;
    let all = names.join(", ");
    Some(format!(
        "even the narrowest credential of {all} can change more than one name; `homing providers \
            {first}` shows a way round"
    ))
}

/// The secrets that do not look like their provider's, each place once.
fn doubts(config: &Config) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    for host in &config.hosts {
        let Some(place) = &host.secret else { continue };
        let protocol = config.providers[host.provider].protocol;
        // An unreadable secret is reported elsewhere, and a key file has a form of its own.
        let Ok(secret) = secret::read_secret(place) else { continue };
        let doubt = match place {
            SecretPlace::KeyFile(_) | SecretPlace::WholeFile(_) => None,
            _ => doubt(&secret, protocol),
        };
        let name = &host.host.key.host;
        let line = doubt.map(|doubt| match place {
            SecretPlace::File(path) => format!("the content of {} {doubt}", shown_path(path)),
            _ => format!("{name}: its secret {doubt}"),
        });
        all.extend(line.filter(|line| !all.contains(line)));
    }
    all
}
