//! The questions of `init`: what is known of the host from options, and asked for otherwise.
//!
//! Off a terminal nothing is asked: all that is missing is named at once. The configuration's own
//! parser judges every answer.

use std::io;
use std::path::Path;

use super::{Stop, err, out, title};
use crate::cli::InitCommand;
use crate::config::handed::HandedSecret;
use crate::config::problems::shown_path;
use crate::config::problems_in;
use crate::config::secret::{SecretPlace, one_line, read_secret};
use crate::core::address::{Family, PerFamily};
use crate::core::exit::Exit;
use crate::core::feature::Feature;
use crate::core::order::SortedSet;
use crate::core::protocol::manners::{Issuer, SecretKind};
use crate::core::provider::Provider;
use crate::core::secret::Secret;
use crate::drivers::block::{Block, wants_username, wants_zone};
use crate::drivers::providers;
use crate::os::reason::reason;

/// Asks one question; the second argument is whether the answer is hidden. `None` refuses it.
pub(super) type Ask<'a> = dyn FnMut(&str, bool) -> io::Result<Option<String>> + 'a;

/// The questions, and what is still missing where nobody can be asked.
pub(super) struct Questions<'a> {
    ask: Option<&'a mut Ask<'a>>,
    /// The providers of the configuration that is there.
    own: &'a [Provider],
    missing: Vec<&'static str>,
}

/// What is known of the host.
pub(super) struct Answers {
    pub provider: Provider,
    pub host: String,
    username: Option<String>,
    zone: Option<String>,
    options: Vec<(String, String)>,
    /// The sources of the host, by their names.
    sources: PerFamily<Option<String>>,
    /// The sections of these sources.
    sections: SortedSet<String>,
}

/// How the host gets its secret.
pub(super) enum SecretPlan {
    /// It needs none.
    Nothing,
    /// The file is there already.
    InPlace,
    /// `homing token issue` makes it; `now` if its management token can be had.
    Issue {
        /// Whether that is to be done at once.
        now: bool,
    },
    /// It is written into the file.
    Write(Secret),
}

impl Answers {
    fn new(provider: Provider) -> Self {
        Self {
            provider,
            host: String::new(),
            username: None,
            zone: None,
            options: Vec::new(),
            sources: PerFamily::default(),
            sections: SortedSet::new(),
        }
    }

    /// The host and its sources as configuration.
    pub fn text(&self) -> String {
        let sections: String = self.sections.iter().map(String::as_str).collect();
        let file = self.file();
        let block = Block {
            name: Some(&self.host).filter(|host| !host.is_empty()).map(String::as_str),
            username: self.username.as_deref(),
            file: Some(&file),
            zone: self.zone.as_deref(),
            options: &self.options,
            sources: &self.sources,
            ..Block::new(&self.provider)
        };
        sections + &block.text()
    }

    /// The name of the file of its secret, or of the addresses where it needs none. It lies beside the
    /// configuration.
    pub fn file(&self) -> String {
        let (key, _) = Block::new(&self.provider).secret_setting();
        let name = self.host.trim_end_matches('.').replace('*', "wildcard");
        match key.strip_suffix("-file") {
            Some(kind) => format!("{name}.{kind}"),
            None => "homing.hosts".to_owned(),
        }
    }

    /// Whether the host needs a secret.
    pub fn has_secret(&self) -> bool {
        self.provider.manners().secret != SecretKind::Nothing
    }

    /// Whether `homing token issue` can make its token without more settings.
    pub fn can_be_issued(&self) -> bool {
        Feature::Tokens.is_here() && self.provider.manners().tokens == Some(Issuer::Account)
    }

    /// The first problem with what is known, as the end of a sentence.
    fn flaw(&self) -> Option<String> {
        problems_in(&self.text()).into_iter().next()
    }
}

impl<'a> Questions<'a> {
    /// Questions by `ask`, if anybody can be asked.
    pub fn new(ask: Option<&'a mut Ask<'a>>, own: &'a [Provider]) -> Self {
        Self { ask, own, missing: Vec::new() }
    }

    /// All but the secret, from `command` or by asking.
    pub fn answers(&mut self, command: &InitCommand) -> Result<Answers, Stop> {
        let Some(provider) = self.provider(command.provider.as_deref())? else {
            self.missing.push("--provider PROVIDER (`homing providers` lists them)");
            if command.host.is_none() {
                self.missing.insert(0, "HOST");
            }
            return Err(self.incomplete());
        };
        let is_own = self.own.contains(&provider);
        let mut answers = Answers::new(provider);
        // The configuration that describes the provider is not known to the parser here.
        let flaw = |answers: &Answers| if is_own { None } else { answers.flaw() };
        self.host(command, &mut answers, &flaw)?;
        let title = title(&answers.provider).to_owned();
        let is_wanted = wants_username(&answers.provider);
        let question = format!("Login at {title}: ");
        let given = command.username.as_deref();
        self.setting(is_wanted, given, "--username NAME", &question, |text| {
            answers.username = Some(text.to_owned());
            flaw(&answers)
        })?;
        let is_wanted = wants_zone(&answers.provider);
        let question = format!("Domain at {title} that {} is in: ", answers.host);
        let given = command.zone.as_deref();
        self.setting(is_wanted, given, "--zone ZONE", &question, |text| {
            answers.zone = Some(text.to_owned());
            flaw(&answers)
        })?;
        self.options(command, &mut answers, &flaw)?;
        self.sources(command, &mut answers, &flaw)?;
        Ok(answers)
    }

    /// The provider that `given` names, else the one that is asked for; `None` if nobody can be asked.
    fn provider(&mut self, given: Option<&str>) -> Result<Option<Provider>, Stop> {
        let mut given = given.map(str::to_owned);
        loop {
            let name = match given.take() {
                Some(name) => name,
                None if self.ask.is_none() => return Ok(None),
                None => {
                    self.asked("DNS provider (its name or a part of it; only Enter lists all): ")?
                }
            };
            if name.is_empty() {
                providers::list(self.own);
                continue;
            }
            let mut found = providers::matching(&name, self.own);
            let what = match &found[..] {
                [_] => {
                    let provider = found.remove(0);
                    let lacking = provider.manners().feature.filter(|feature| !feature.is_here());
                    match lacking {
                        None => return Ok(Some(provider)),
                        Some(feature) => {
                            feature.refusal(&format!("the provider {}", provider.name))
                        }
                    }
                }
                [] => {
                    providers::unknown(&name, self.own);
                    format!("{name:?} is not the name of a provider")
                }
                several => {
                    providers::show_several(several);
                    format!("{name:?} is a part of {} names; write one of them", several.len())
                }
            };
            self.refused("--provider", &what)?;
        }
    }

    /// The name of the host.
    fn host(
        &mut self,
        command: &InitCommand,
        answers: &mut Answers,
        flaw: &dyn Fn(&Answers) -> Option<String>,
    ) -> Result<(), Stop> {
        let domain = answers.provider.zone.as_ref().map_or("example.com", |zone| zone.as_str());
        let question = format!("Name to keep up to date (such as home.{domain}): ");
        self.text(command.host.as_deref(), "HOST", &question, |text| {
            text.clone_into(&mut answers.host);
            flaw(answers)
        })
    }

    /// The options that the provider asks for, and those that are given.
    fn options(
        &mut self,
        command: &InitCommand,
        answers: &mut Answers,
        flaw: &dyn Fn(&Answers) -> Option<String>,
    ) -> Result<(), Stop> {
        answers.options.clone_from(&command.options);
        if let Some(what) = flaw(answers).filter(|_| !command.options.is_empty()) {
            return Err(Stop::usage(format!("--option: {what}")));
        }
        let entry = answers.provider.http.clone();
        for name in entry.iter().flat_map(|entry| entry.required_options()) {
            if command.options.iter().any(|(known, _)| known == name) {
                continue;
            }
            let option = "--option NAME=VALUE (`homing providers` says which)";
            let question = format!("{name} (the provider asks for it): ");
            self.text(None, option, &question, |text| {
                answers.options.retain(|(known, _)| known != name);
                answers.options.push((name.to_owned(), text.to_owned()));
                flaw(answers)
            })?;
        }
        Ok(())
    }

    /// The sources of both families.
    fn sources(
        &mut self,
        command: &InitCommand,
        answers: &mut Answers,
        flaw: &dyn Fn(&Answers) -> Option<String>,
    ) -> Result<(), Stop> {
        let entry = answers.provider.http.clone();
        let mut is_first = true;
        for family in Family::BOTH {
            let given = command.sources[family].as_deref();
            let lacks = entry.as_ref().is_some_and(|entry| !entry.families[family]);
            if given.is_none() && (self.ask.is_none() || lacks) {
                continue;
            }
            if given.is_none() && std::mem::take(&mut is_first) {
                out(
                    "Where the addresses come from: auto finds them, web asks services on the web,",
                );
                out(
                    "gateway asks the router (IPv4), off leaves a record alone; or a network interface.",
                );
            }
            let option = if family == Family::V4 { "--ipv4 SOURCE" } else { "--ipv6 SOURCE" };
            let before = answers.sections.clone();
            self.with_default(given, option, &format!("{family} address [auto]: "), |text| {
                let (name, section) = source(if text.is_empty() { "auto" } else { text }, family);
                answers.sources[family] = name;
                answers.sections = before.iter().cloned().chain(section).collect();
                flaw(answers)
            })?;
        }
        Ok(())
    }

    /// How the host gets its secret, whose file is at `path`.
    pub fn secret(
        &mut self,
        command: &InitCommand,
        answers: &Answers,
        path: &Path,
    ) -> Result<SecretPlan, Stop> {
        let kind = match answers.provider.manners().secret {
            SecretKind::Nothing => return Ok(SecretPlan::Nothing),
            SecretKind::Password => "password",
            SecretKind::Key | SecretKind::Token => "token",
        };
        let is_key = answers.provider.http.as_ref().is_some_and(|entry| entry.key.is_some());
        let place = |path: &Path| {
            let path = path.to_owned();
            if is_key { SecretPlace::WholeFile(path) } else { SecretPlace::File(path) }
        };
        let shown = shown_path(path);
        let held = if std::fs::symlink_metadata(path).is_ok() {
            let held = read_secret(&place(path));
            Some(held.map_err(|error| Stop::configuration(error.to_string()))?)
        } else {
            None
        };
        let given = match &command.secret_file {
            None => None,
            Some((_, file)) if held.is_some() && is_same(file, path) => None,
            Some((_, file)) if is_key => {
                let read = read_secret(&place(file));
                Some(read.map_err(|error| Stop::configuration(error.to_string()))?)
            }
            Some((option, file)) => {
                let handed = HandedSecret { option, name: kind, word: kind };
                Some(handed.in_file(file).map_err(Stop::configuration)?)
            }
        };
        match (held, given) {
            (Some(held), Some(given)) if held != given => Err(Stop::configuration(format!(
                "{shown} holds another {kind} and is left as it is; move it away, or leave \
                 --{kind}-file out to use it"
            ))),
            (Some(_), _) => {
                out(&format!("{shown}: used as it is"));
                Ok(SecretPlan::InPlace)
            }
            (None, Some(given)) => Ok(SecretPlan::Write(given)),
            (None, None) => self.typed(kind, is_key, command, answers),
        }
    }

    /// The secret that is typed, or its making; a missing one is noted where nobody can be asked.
    fn typed(
        &mut self,
        kind: &str,
        is_key: bool,
        command: &InitCommand,
        answers: &Answers,
    ) -> Result<SecretPlan, Stop> {
        let has_management = command.management_token_file.is_some()
            || std::env::var_os(crate::cli::table::MANAGEMENT_VARIABLE).is_some();
        let can_be_issued = answers.can_be_issued();
        if can_be_issued && (has_management || self.ask.is_none()) {
            return Ok(SecretPlan::Issue { now: has_management });
        }
        if self.ask.is_none() || is_key {
            let option = match kind {
                "password" => "--password-file FILE (- is standard input)",
                _ => "--token-file FILE (- is standard input)",
            };
            self.missing.push(option);
            return Err(self.incomplete());
        }
        let provider = &answers.provider;
        for (what, text) in [("credential", &provider.credential), ("page", &provider.page)] {
            if !text.is_empty() {
                providers::wrapped(&format!("{what:11}"), text);
            }
        }
        let form = providers::secret_form(provider);
        let hint = if can_be_issued { "; only Enter makes one" } else { "" };
        let what = if kind == "password" { "Password" } else { "Token" };
        let question = format!("{what}{form} (it is not shown{hint}): ");
        loop {
            let typed = self.hidden(&question)?;
            if typed.is_empty() && can_be_issued {
                return Ok(SecretPlan::Issue { now: true });
            }
            match one_line(typed.as_bytes()) {
                Ok(secret) => return Ok(SecretPlan::Write(secret)),
                Err(flaw) => err(&format!("the input {flaw}")),
            }
        }
    }

    /// Fails if anything is missing.
    pub fn are_complete(&self) -> Result<(), Stop> {
        if self.missing.is_empty() { Ok(()) } else { Err(self.incomplete()) }
    }

    fn incomplete(&self) -> Stop {
        let what = match &self.missing[..] {
            [first @ .., last] if !first.is_empty() => format!("{} and {last}", first.join(", ")),
            all => all.concat(),
        };
        let asks = if self.ask.is_some() { "" } else { "; on a terminal it asks for that" };
        Stop::usage(format!("`homing init` needs {what}{asks}"))
    }

    /// A setting that only some providers want; where it is not wanted it is not asked for.
    fn setting(
        &mut self,
        is_wanted: bool,
        given: Option<&str>,
        option: &'static str,
        question: &str,
        mut keep: impl FnMut(&str) -> Option<String>,
    ) -> Result<(), Stop> {
        if is_wanted {
            return self.text(given, option, question, keep);
        }
        let name = option.split(' ').next().unwrap_or_default();
        let flaw = given.and_then(&mut keep);
        flaw.map_or(Ok(()), |flaw| Err(Stop::usage(format!("{name}: {flaw}"))))
    }

    /// A text that is not empty; see [`Self::with_default`].
    fn text(
        &mut self,
        given: Option<&str>,
        option: &'static str,
        question: &str,
        mut keep: impl FnMut(&str) -> Option<String>,
    ) -> Result<(), Stop> {
        if given.is_none() && self.ask.is_none() {
            if !self.missing.contains(&option) {
                self.missing.push(option);
            }
            return Ok(());
        }
        self.with_default(given, option, question, |text| match text {
            "" => Some("an empty answer is none; Ctrl-C ends this".to_owned()),
            text => keep(text),
        })
    }

    /// Gives `keep` the text of an option, else the answer to `question`, until it finds no flaw.
    fn with_default(
        &mut self,
        given: Option<&str>,
        option: &str,
        question: &str,
        mut keep: impl FnMut(&str) -> Option<String>,
    ) -> Result<(), Stop> {
        let mut given = given.map(str::to_owned);
        loop {
            let text = match given.take() {
                Some(text) => text,
                None => self.asked(question)?,
            };
            match keep(&text) {
                None => return Ok(()),
                Some(flaw) => self.refused(option, &flaw)?,
            }
        }
    }

    /// Says what is wrong with an answer; without anybody to ask again it is the end.
    fn refused(&self, option: &str, what: &str) -> Result<(), Stop> {
        if self.ask.is_none() {
            let name = option.split(' ').next().unwrap_or_default();
            return Err(Stop::usage(format!("{name}: {what}")));
        }
        err(what);
        Ok(())
    }

    fn asked(&mut self, question: &str) -> Result<String, Stop> {
        self.answer(question, false).map(|answer| answer.trim().to_owned())
    }

    fn hidden(&mut self, question: &str) -> Result<String, Stop> {
        self.answer(question, true)
    }

    fn answer(&mut self, question: &str, is_hidden: bool) -> Result<String, Stop> {
        let refused = || Stop { exit: Exit::Usage, what: "nothing was written".to_owned() };
        let ask = self.ask.as_mut().ok_or_else(refused)?;
        let answer = ask(question, is_hidden).map_err(|error| {
            Stop::usage(format!("the terminal gives no answer: {}", reason(&error)))
        })?;
        answer.ok_or_else(refused)
    }
}

/// Whether both paths lead to one file.
fn is_same(one: &Path, other: &Path) -> bool {
    let real = |path: &Path| std::fs::canonicalize(path).ok();
    real(one).is_some() && real(one) == real(other)
}

/// The name that a host gives for the source `word` of `family` (none for the default), and the section
/// of that name.
fn source(word: &str, family: Family) -> (Option<String>, Option<String>) {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    let (name, setting) = match word {
        "auto" => return (None, None),
        "off" => return (Some(word.to_owned()), None),
        "gateway" => ("router".to_owned(), "gateway = true".to_owned()),
        "web" => ("web".to_owned(), "web = [\"ipify\", \"icanhazip\"]\nagree = 2".to_owned()),
        interface => {
            let setting = format!("interface = {}", crate::core::text::toml_string(interface));
            let is_plain = !interface.is_empty() && interface.chars().all(is_plain);
            let other = format!("interface-{}", family.key());
            (if is_plain { interface.to_owned() } else { other }, setting)
        }
    };
    let section = format!("[source.{name}]\n{setting}\n\n");
    (Some(name), Some(section))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::built_in;

    /// Answers to the questions with these beginnings, in their order.
    fn answered(command: &InitCommand, talk: &[(&str, &str)]) -> (Answers, Option<String>) {
        let mut talk = talk.iter();
        let mut ask = |question: &str, _: bool| {
            let (begin, answer) = talk.next().expect(question);
            assert!(question.starts_with(begin), "{question}");
            Ok(Some((*answer).to_owned()))
        };
        let mut questions = Questions::new(Some(&mut ask), &[]);
        let answers = questions.answers(command).unwrap_or_else(|stop| panic!("{}", stop.what));
        let path = Path::new("/nowhere").join(answers.file());
        let plan = questions.secret(command, &answers, &path);
        let secret = match plan.unwrap_or_else(|stop| panic!("{}", stop.what)) {
            SecretPlan::Write(secret) => Some(secret.expose().to_owned()),
            _ => None,
        };
        assert_eq!(talk.len(), 0);
        (answers, secret)
    }

    #[test]
    fn only_what_is_missing_is_asked_and_again_where_it_is_wrong() {
        let command = InitCommand { host: Some("box.example.org".into()), ..Default::default() };
        let (answers, secret) = answered(
            &command,
            &[
                ("DNS provider", "frobnicate"),
                ("DNS provider", "dynu"),
                ("Login at Dynu", ""),
                ("Login at Dynu", "me"),
                ("IPv4 address", ""),
                ("IPv6 address", "eth0.7"),
                ("Password", ""),
                ("Password", "hunter2"),
            ],
        );
        assert_eq!(
            answers.text(),
            "[source.interface-ipv6]\ninterface = \"eth0.7\"\n\n[[host]]\nname = \"box.example.org\"\n\
             provider = \"dynu\"\nusername = \"me\"\npassword-file = \"box.example.org.password\"\n\
             ipv6 = \"interface-ipv6\"\n"
        );
        assert_eq!(secret.as_deref(), Some("hunter2"));
    }

    #[test]
    fn what_the_provider_does_not_want_is_refused_and_not_asked_for() {
        let mut ask = |question: &str, _: bool| panic!("{question}");
        let text = |text: &str| Some(text.to_owned());
        let (host, provider) = (text("dev1.dyn.example.com"), text("desec"));
        let command = InitCommand { host, provider, username: text("me"), ..Default::default() };
        let stop = Questions::new(Some(&mut ask), &[]).answers(&command).err();
        let what = stop.map(|stop| stop.what).unwrap_or_default();
        assert!(what.starts_with("--username: "), "{what}");
    }

    #[test]
    fn a_part_of_a_name_lists_what_matches() {
        let (answers, _) = answered(
            &InitCommand::default(),
            &[
                ("DNS provider", ""),
                ("DNS provider", "cloud"),
                ("DNS provider", "cloudflare"),
                ("Name to keep", "a_b"),
                ("Name to keep", "home.example.com"),
                ("IPv4 address", "gateway"),
                ("IPv6 address", "gateway"),
                ("IPv6 address", "off"),
                ("Token", "s3cret"),
            ],
        );
        let text = answers.text();
        assert!(text.starts_with("[source.router]\ngateway = true\n\n[[host]]\n"), "{text}");
        assert!(text.ends_with("ipv4 = \"router\"\nipv6 = \"off\"\n"), "{text}");
    }

    #[test]
    fn off_a_terminal_everything_that_is_missing_is_named() {
        let missing = |command: &InitCommand| {
            let mut questions = Questions::new(None, &[]);
            let answers = match questions.answers(command) {
                Ok(answers) => answers,
                Err(stop) => return stop.what,
            };
            let path = Path::new("/nowhere/x");
            match questions.secret(command, &answers, path).map(|_| ()) {
                Ok(()) => {
                    questions.are_complete().map_or_else(|stop| stop.what, |()| String::new())
                }
                Err(stop) => stop.what,
            }
        };
        let end = "; on a terminal it asks for that";
        let mut command = InitCommand::default();
        let expect =
            "`homing init` needs HOST and --provider PROVIDER (`homing providers` lists them)";
        assert_eq!(missing(&command), [expect, end].concat());
        command.provider = Some("dynu".into());
        let expect = "`homing init` needs HOST, --username NAME and --password-file FILE (- is standard input)";
        assert_eq!(missing(&command), [expect, end].concat());
        command.host = Some("a_b".into());
        assert!(missing(&command).starts_with("HOST: name: \"a_b\" is not a host name"));
        command.provider = Some("cloud".into());
        assert!(missing(&command).starts_with("--provider: \"cloud\" is a part of "));
        command.provider = Some("desec".into());
        command.host = Some("dev1.dyn.example.com".into());
        assert_eq!(missing(&command), "");
    }

    #[test]
    fn every_built_in_provider_can_be_written() {
        for provider in built_in::all() {
            if provider.manners().feature.is_some_and(|feature| !feature.is_here()) {
                continue;
            }
            let domain = provider.zone.as_ref().map_or("example.com", |zone| zone.as_str());
            let host = format!("home.{domain}");
            let mut answers = Answers::new(provider);
            answers.host = host;
            assert_eq!(answers.flaw(), None, "{}", answers.text());
        }
    }
}
