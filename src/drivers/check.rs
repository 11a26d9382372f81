//! `check`: the configuration and the secrets judged, and the plan printed; nothing is sent to a
//! provider, nothing is saved, no lock is taken.

use std::path::Path;

use super::{Setup, engine, out, show};
use crate::config::HostConfig;
use crate::config::secret::SecretPlace;
use crate::config::service::Service;
use crate::confine;
use crate::exit::Exit;
use crate::round::Occasion;
use crate::state::Access;

/// Checks, and prints what a round would do.
pub async fn run(setup: Setup) -> Exit {
    let path = setup.config.path.display().to_string();
    let state_dir = setup.state_dir.clone();
    let mut engine = match engine(setup, Access::ReadOnly) {
        Ok(engine) => engine,
        Err(exit) => return exit,
    };
    let (mut report, _) = engine.rehearse(Occasion::default()).await;
    // Root can read what the service's user cannot.
    let service = Service::of(&engine.config.path, &state_dir);
    if let Some(service) = &service {
        for (host, host_report) in engine.config.hosts.iter().zip(&mut report.hosts) {
            let problem = secret_file(host).and_then(|path| service.secret_problem(path));
            problem.into_iter().for_each(|problem| host_report.leave_out(problem));
        }
    }
    for line in engine.config.warnings.iter().chain(&show::side_effects(&engine.config)) {
        out(&format!("warning: {line}"));
    }
    show::seen(&report.hosts).iter().for_each(|line| out(line));
    report.hosts.iter().flat_map(show::expected).for_each(|line: String| out(&line));
    report.hosts.iter().filter_map(show::receipt).for_each(|line| out(&line));
    confine::rehearsed(&engine.config, &state_dir).iter().for_each(|line| out(line));
    let unreadable = service.and_then(|service| service.config_problem(&engine.config.path));
    unreadable.iter().for_each(|problem| out(problem));
    let left_out = report.hosts.iter().filter(|host| host.secret_problem.is_some()).count();
    if left_out > 0 {
        let hosts = if left_out == 1 { "1 host has" } else { &format!("{left_out} hosts have") };
        out(&format!("{path}: the configuration is right, but {hosts} no usable secret"));
        return Exit::Configuration;
    }
    if unreadable.is_some() {
        return Exit::Configuration;
    }
    out(&format!("{path}: the configuration is right"));
    Exit::Right
}

/// The file that the secret of `host` stands in, if it has one.
fn secret_file(host: &HostConfig) -> Option<&Path> {
    match host.secret.as_ref()? {
        SecretPlace::File(path) | SecretPlace::KeyFile(path) => Some(path),
        SecretPlace::Credential(_) | SecretPlace::Environment(_) | SecretPlace::Inline(_) => None,
    }
}
