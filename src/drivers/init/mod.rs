//! `init`: the first host, from options or answers to a configuration that `check` accepts.
//!
//! Writes two files, each whole or not at all and the configuration last, and replaces none. Ends with
//! `check` and with what to do next.

mod files;
mod questions;

use std::ffi::OsString;
use std::io::{self, IsTerminal as _};
use std::path::{Path, PathBuf};

use self::files::Found;
use self::questions::{Answers, Ask, Questions, SecretPlan};
use super::{Setup, err, out, run_check, run_token, start_log};
use crate::cli::table::{DEFAULT_CONFIG, PROGRAM};
use crate::cli::{self, Command, Common, InitCommand, Parsed};
use crate::config;
use crate::config::problems::shown_path;
use crate::config::secret::for_shell;
use crate::core::exit::Exit;
use crate::core::provider::Provider;
use crate::core::text::toml_string;
use crate::os::terminal;

/// Why nothing was written.
struct Stop {
    exit: Exit,
    what: String,
}

impl Stop {
    fn usage(what: impl Into<String>) -> Self {
        Self { exit: Exit::Usage, what: what.into() }
    }

    fn configuration(what: impl Into<String>) -> Self {
        Self { exit: Exit::Configuration, what: what.into() }
    }
}

/// Writes the first configuration, or shows what to add to the one that is there.
pub fn run(command: &InitCommand, common: Common) -> Exit {
    set_up(command, common).unwrap_or_else(|stop| {
        err(&stop.what);
        stop.exit
    })
}

fn set_up(command: &InitCommand, common: Common) -> Result<Exit, Stop> {
    let path = std::path::absolute(&common.config).map_err(|_| {
        Stop::usage("the working directory has gone; name a whole path by --config")
    })?;
    let common = Common { config: path, ..common };
    let path = &common.config;
    let found = files::found(path)?;
    let (mut own, asks) = (Vec::new(), io::stdin().is_terminal());
    if let Found::Configuration = found {
        let config = config::load(path);
        own.extend(config.iter().flat_map(super::providers::own).cloned());
        if asks {
            let path = shown_path(path);
            out(&format!("{path} is there and is left as it is: what to add to it is shown here."));
        }
    } else {
        files::may_be_written(path)?;
    }
    let mut ask = |question: &str, is_hidden| {
        if is_hidden { terminal::ask_hidden(question) } else { terminal::ask(question) }
    };
    let ask: Option<&mut Ask<'_>> = if asks { Some(&mut ask) } else { None };
    let mut questions = Questions::new(ask, &own);
    let answers = questions.answers(command)?;
    if let Found::Configuration = found {
        return Ok(show(&answers, path));
    }
    let secret_file = path.with_file_name(answers.file());
    let secret = questions.secret(command, &answers, &secret_file)?;
    questions.are_complete()?;
    let text = match &found {
        Found::Bare(text) if !text.trim().is_empty() => format!("{}\n\n", text.trim_end()),
        _ => format!(
            "# The first host, by `{PROGRAM} init`; homing.toml(5) explains every setting.\n\n"
        ),
    };
    let text = text + &state_dir(&common)? + &answers.text();
    files::write(path, &found, &text, &secret_file, &secret)?;
    Ok(finished(command, common, &secret))
}

/// Shows what to add to the configuration that is there, which is never changed.
fn show(answers: &Answers, path: &Path) -> Exit {
    let config = shown_path(path);
    err(&format!("{config} is there and is left as it is; add these lines at its end"));
    answers.text().trim_end().lines().for_each(out);
    let check = in_words("check", path);
    let file = for_shell(&path.with_file_name(answers.file()));
    if answers.can_be_issued() {
        let issue = in_words(&format!("token issue {}", answers.host), path);
        err(&format!("then run `{issue}`, and `{check}`"));
    } else if answers.has_secret() {
        err(&format!(
            "then put the secret alone on the first line of {file}, which nobody else may read \
             (`chmod 600 {file}`), and run `{check}`"
        ));
    } else {
        err(&format!("then run `{check}`"));
    }
    Exit::Usage
}

/// The section that names the state directory, where the default one is not meant.
fn state_dir(common: &Common) -> Result<String, Stop> {
    let is_usual = common.config == Path::new(DEFAULT_CONFIG);
    let is_root = rustix::process::geteuid().is_root();
    let directory = match &common.state_dir {
        Some(directory) => std::path::absolute(directory).unwrap_or_else(|_| directory.clone()),
        // Nobody else may use the default one, and this one moves with its configuration.
        None if !is_usual && !is_root => PathBuf::from("state"),
        None => return Ok(String::new()),
    };
    let text = directory.to_str().ok_or_else(|| {
        Stop::usage("--state-dir: the name is not UTF-8 text, which a configuration is")
    })?;
    Ok(format!("[daemon]\nstate-dir = {}\n\n", toml_string(text)))
}

/// Makes the token where it is still missing, checks everything, and says what to do next.
fn finished(command: &InitCommand, common: Common, secret: &SecretPlan) -> Exit {
    let (config, verbosity) = (common.config.clone(), common.verbosity);
    let setup = match Setup::load(common, false) {
        Ok(setup) => setup,
        Err(exit) => return exit,
    };
    start_log(&setup, &Command::Check);
    let host = setup.config.hosts.first().map(|host| host.host.key.host.to_string());
    let mut next = Vec::new();
    let mut issued = Exit::Right;
    if let (SecretPlan::Issue { now }, Some(host)) = (secret, host) {
        let words: [OsString; 3] = ["token".into(), "issue".into(), host.clone().into()];
        let file = command.management_token_file.as_ref();
        let file = file.map(|file| [OsString::from("--management-token-file"), file.into()]);
        let words = words.into_iter().chain(file.into_iter().flatten());
        let parsed = now.then(|| cli::parse(words, |_| None));
        let mut is_issued = false;
        if let Some(Ok(Parsed::Run(Command::Token(token), _))) = parsed {
            issued = run_token(&setup.config, &token, verbosity);
            is_issued = issued == Exit::Right;
        }
        if !is_issued {
            let command = format!("token issue {host}");
            next.push(("make the token", in_words(&command, &config)));
        }
    }
    let checked = run_check(setup);
    next.extend(files::next(&config));
    let width = next.iter().map(|(what, _)| what.len()).max().unwrap_or_default();
    out("next:");
    next.iter().for_each(|(what, line)| out(&format!("  {what:width$}  {line}")));
    issued.max(checked)
}

/// The line that runs `command` for the file `config`.
fn in_words(command: &str, config: &Path) -> String {
    if config == Path::new(DEFAULT_CONFIG) {
        return format!("sudo {PROGRAM} {command}");
    }
    format!("{PROGRAM} {command} --config {}", for_shell(config))
}

/// The entry of `providers` that `provider` is, for messages: its title, or its name.
fn title(provider: &Provider) -> &str {
    if provider.title.is_empty() { &provider.name } else { &provider.title }
}
