//! `homing init` off a terminal: what it writes, that `check` accepts it for every built-in provider, and
//! that it overwrites nothing. Its questions are tested beside them.
#![expect(clippy::unwrap_used, reason = "a step of a test that fails is the test's failure")]

use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::support::{home, netns};
use home::{Home, Ran};
use homing::core::built_in;
use homing::core::feature::Feature;
use homing::core::protocol::manners::SecretKind;
use homing::core::provider::{Login, Provider};

const SECRET: &str = "s3cret-0f-the-h0st";

/// A place without any configuration yet.
struct Place {
    home: Home,
}

impl Place {
    fn new() -> Self {
        let home = Home::new("");
        home.secret("given", SECRET);
        Self { home }
    }

    fn config(&self) -> PathBuf {
        self.home.path("new/config.toml")
    }

    /// `homing COMMAND` for this place. The loopback interface has no address to be published, and nobody
    /// outside is asked.
    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_homing"));
        command.env_clear().args(words).arg("--config").arg(self.config());
        command.stdin(Stdio::null()).current_dir(self.home.path(""));
        command
    }

    fn run(&self, words: &[&str]) -> Ran {
        self.command(words).output().unwrap().into()
    }

    /// `homing init`, which must never show the secret.
    #[track_caller]
    fn init(&self, words: &[&str]) -> Ran {
        let own = ["--state-dir", "state", "--ipv4", "lo", "--ipv6", "off"];
        let ran = self.run(&[&["init"], words, &own].concat());
        assert!(!format!("{}{}", ran.out, ran.err).contains(SECRET), "{ran:?}");
        ran
    }

    fn read(&self, name: &str) -> String {
        self.home.read(&format!("new/{name}"))
    }

    fn mode(&self, name: &str) -> u32 {
        fs::metadata(self.home.path(name)).unwrap().permissions().mode() & 0o7777
    }

    /// The names of the files beside the configuration.
    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.home.path("new")).unwrap();
        let name = |entry: std::io::Result<fs::DirEntry>| entry.unwrap().file_name();
        let mut names: Vec<_> = entries.map(|e| name(e).into_string().unwrap()).collect();
        names.sort();
        names
    }
}

/// The options that a host at `provider` needs.
fn needed(provider: &Provider) -> Vec<String> {
    let manners = provider.manners();
    let mut words = Vec::new();
    let mut add = |option: &str, value: &str| words.extend([option.to_owned(), value.to_owned()]);
    match manners.secret {
        SecretKind::Nothing => {}
        SecretKind::Password => add("--password-file", "given"),
        SecretKind::Key | SecretKind::Token => add("--token-file", "given"),
    }
    if manners.secret == SecretKind::Password && provider.login == Login::Username {
        add("--username", "me");
    }
    let entry = provider.http.as_deref();
    if provider.zone.is_none() && entry.is_some_and(|it| it.names_zone() && !it.finds_zone()) {
        add("--zone", "example.com");
    }
    for option in entry.iter().flat_map(|entry| entry.required_options()) {
        add("--option", &format!("{option}=x"));
    }
    words
}

#[test]
fn what_init_writes_for_each_provider_passes_check() {
    let mut count = 0;
    for provider in built_in::all() {
        if provider.manners().feature.is_some_and(|feature| !feature.is_here()) {
            continue;
        }
        let place = Place::new();
        let domain = provider.zone.as_ref().map_or("example.com", |zone| zone.as_str());
        let (host, needed) = (format!("home.{domain}"), needed(&provider));
        let words: Vec<&str> = needed.iter().map(String::as_str).collect();
        let ran = place.init(&[&[&*host, "--provider", &provider.name], &words[..]].concat());
        let name = &provider.name;
        // A secret that is of another form is told of; all else is right.
        let (right, secret) = ("the configuration is right\n", "but 1 host has no usable secret\n");
        assert!(ran.out.contains(right) || ran.out.contains(secret), "{name}: {ran:#?}");
        assert_eq!(ran.code, if ran.out.contains(right) { 0 } else { 78 }, "{name}: {ran:#?}");
        assert!(ran.err.is_empty() && ran.out.contains("\nnext:\n"), "{name}: {ran:#?}");
        let again = place.run(&["check"]);
        assert_eq!(again.code, ran.code, "{name}: {again:#?}");
        count += 1;
    }
    assert!(count > 100, "{count}");
}

#[test]
fn the_files_are_their_owners_alone() {
    let place = Place::new();
    let mut command = place.command(&[
        "init",
        "dev1.dyn.example.com",
        "--provider",
        "desec",
        "--token-file",
        "-",
        "--state-dir",
        "state",
        "--ipv4",
        "lo",
        "--ipv6",
        "off",
    ]);
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    writeln!(child.stdin.take().unwrap(), "{SECRET}").unwrap();
    let ran = Ran::from(child.wait_with_output().unwrap());
    assert_eq!(ran.code, 0, "{ran:#?}");
    assert!(!ran.out.contains(SECRET), "{ran:#?}");
    assert_eq!(place.names(), ["config.toml", "dev1.dyn.example.com.token"]);
    assert_eq!(place.mode("new"), 0o700);
    assert_eq!(place.mode("new/config.toml"), 0o600);
    assert_eq!(place.mode("new/dev1.dyn.example.com.token"), 0o600);
    assert_eq!(place.read("dev1.dyn.example.com.token"), format!("{SECRET}\n"));
    let state = place.home.path("state");
    let expect = format!(
        "[daemon]\nstate-dir = \"{}\"\n\n[source.lo]\ninterface = \"lo\"\n\n[[host]]\n\
         name = \"dev1.dyn.example.com\"\nprovider = \"desec\"\n\
         token-file = \"dev1.dyn.example.com.token\"\nipv4 = \"lo\"\nipv6 = \"off\"\n",
        fs::canonicalize(place.home.path("")).unwrap().join("state").display()
    );
    let text = place.read("config.toml").replace(&state.display().to_string(), "STATE");
    let expect = expect.replace(&state.display().to_string(), "STATE");
    assert!(text.ends_with(&expect), "{text}\n{expect}");
    let config = place.config().display().to_string();
    assert!(ran.out.contains(&format!("homing --once --config {config}\n")), "{ran:#?}");
    assert!(ran.out.contains("*/5 * * * *  /"), "{ran:#?}");
}

#[test]
fn nothing_that_is_there_is_overwritten() {
    let place = Place::new();
    let words = ["a.example.com", "--provider", "dynu", "--username", "me"];
    let whole = [&words[..], &["--password-file", "given"]].concat();
    assert_eq!(place.init(&whole).code, 0);
    let before = (place.read("config.toml"), place.read("a.example.com.password"));
    let more = ["b.example.com", "--provider", "desec"];
    let ran = place.init(&more);
    assert_eq!(ran.code, 64, "{ran:#?}");
    assert_eq!(
        ran.out,
        "[source.lo]\ninterface = \"lo\"\n\n[[host]]\nname = \"b.example.com\"\nprovider = \"desec\"\n\
         token-file = \"b.example.com.token\"\nipv4 = \"lo\"\nipv6 = \"off\"\n"
    );
    let there = format!("{} is there and is left as it is", place.config().display());
    assert!(ran.err.contains(&there), "{ran:#?}");
    assert_eq!((place.read("config.toml"), place.read("a.example.com.password")), before);
    assert_eq!(place.names(), ["a.example.com.password", "config.toml"]);

    // A secret file of another run is used if it holds the same, and kept if it does not.
    fs::remove_file(place.config()).unwrap();
    assert_eq!(place.init(&whole).code, 0);
    fs::remove_file(place.config()).unwrap();
    place.home.secret("given", "another");
    let ran = place.init(&whole);
    assert_eq!(ran.code, 78, "{ran:#?}");
    assert!(ran.err.contains("a.example.com.password holds another password"), "{ran:#?}");
    assert_eq!(place.read("a.example.com.password"), before.1);
    assert_eq!(place.names(), ["a.example.com.password"]);
    // Without the option, or with that very file, it is what is meant.
    assert_eq!(place.init(&words).code, 0);
    fs::remove_file(place.config()).unwrap();
    let itself = [&words[..], &["--password-file", "new/a.example.com.password"]].concat();
    assert_eq!(place.init(&itself).code, 0);
}

#[test]
fn a_file_of_comments_alone_is_completed() {
    let place = Place::new();
    fs::create_dir(place.home.path("new")).unwrap();
    let comments = include_str!("../packaging/config.toml");
    place.home.write("new/config.toml", comments, 0o640);
    let ran = place.init(&["a.example.com", "--provider", "desec", "--token-file", "given"]);
    assert_eq!(ran.code, 0, "{ran:#?}");
    let text = place.read("config.toml");
    assert!(text.starts_with(comments.trim_end()), "{text}");
    assert!(text.contains("\n\n[daemon]\nstate-dir") && text.contains("\n[[host]]\n"), "{text}");
    assert_eq!(place.mode("new/config.toml"), 0o640);
}

#[test]
fn a_token_that_is_missing_is_issued_or_the_command_is_named() {
    let place = Place::new();
    let ran = place.init(&["a.example.com", "--provider", "desec"]);
    assert_eq!(ran.code, 78, "{ran:#?}");
    if !Feature::Tokens.is_here() {
        return;
    }
    let line = format!("homing token issue a.example.com --config {}", place.config().display());
    assert!(ran.out.contains(&line), "{ran:#?}");
    // A management token that is none is refused before anybody is asked: the issue was begun.
    let place = Place::new();
    place.home.write("management", "two\nlines\n", 0o600);
    let option = ["--management-token-file", "management"];
    let ran = place.init(&[&["a.example.com", "--provider", "desec"], &option[..]].concat());
    assert_eq!(ran.code, 78, "{ran:#?}");
    assert!(
        ran.err.contains("--management-token-file: management contains a line break"),
        "{ran:#?}"
    );
    assert!(ran.out.contains("homing token issue a.example.com"), "{ran:#?}");
    assert_eq!(place.names(), ["config.toml"]);
}

#[test]
fn what_is_missing_or_wrong_is_named_and_nothing_is_written() {
    let place = Place::new();
    for (words, code, expect) in [
        (&[][..], 64, "`homing init` needs HOST and --provider PROVIDER"),
        (&["a.b.c", "--provider", "twodns"], 64, "--provider: \"twodns\" is not"),
        (&["a.b.c", "--provider", "dyn"], 64, "is a part of"),
        (&["a.b.c", "--provider", "rfc2136"], 64, "--provider: \"rfc2136\" is not"),
        (&["a_b", "--provider", "desec"], 64, "HOST: name: \"a_b\" is not a host name"),
        (&["a.b.c", "--provider", "duckdns", "--token-file", "given"], 64, "HOST: "),
        (&["a.b.c", "--provider", "desec", "--username", "x"], 64, "--username: "),
        (&["a.b.c", "--provider", "desec", "--option", "x=y"], 64, "--option: "),
        (
            &["a.b.c", "--provider", "desec", "--token-file", "/nowhere"],
            78,
            "--token-file: /nowhere",
        ),
        (&["a.b.c", "--provider", "desec", "--config", "/nowhere/x/y"], 78, "mkdir -p /nowhere`"),
        (&["a.b.c", "--provider", "desec", "--config", "/dev/null"], 78, "not a regular file"),
        (&["a.b.c", "--provider", "desec", "--config", "/"], 78, "is a directory"),
    ] {
        // The last --config counts.
        let mut command = Command::new(env!("CARGO_BIN_EXE_homing"));
        command.env_clear().arg("init").arg("--config").arg(place.config()).args(words);
        let ran = Ran::from(
            command.current_dir(place.home.path("")).stdin(Stdio::null()).output().unwrap(),
        );
        assert_eq!(ran.code, code, "{words:?}: {ran:#?}");
        assert!(ran.err.contains(expect), "{words:?}: {ran:#?}");
        assert!(!Path::new(&place.home.path("new")).exists(), "{words:?}");
    }
}

/// What a person sees who answers each of these questions when it stands there; `None` without a program
/// that makes a terminal.
fn talk(place: &Place, words: &str, answers: &[(&str, &str)]) -> Option<(i32, String)> {
    let config = place.config().display().to_string();
    let line = format!("{} init {words} --config {config}", env!("CARGO_BIN_EXE_homing"));
    let mut command = Command::new("script");
    command.args(["-qec", &line, "/dev/null"]).env_clear().env("PATH", "/usr/bin:/bin");
    command.current_dir(place.home.path("")).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().ok()?;
    let (mut typed, mut shown) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let (mut text, mut answered) = (String::new(), 0);
    let mut answers = answers.iter();
    let mut next = answers.next();
    let mut buffer = [0; 1024];
    loop {
        let count = shown.read(&mut buffer).unwrap();
        if count == 0 {
            break;
        }
        text += &String::from_utf8_lossy(&buffer[..count]);
        if let Some((_, answer)) = next.filter(|(it, _)| text[answered..].contains(it)) {
            answered = text.len();
            // What is typed before the terminal is mute is thrown away.
            std::thread::sleep(Duration::from_millis(200));
            typed.write_all(answer.as_bytes()).unwrap();
            next = answers.next();
        }
    }
    assert!(next.is_none(), "{next:?} was not asked: {text}");
    Some((child.wait().unwrap().code().unwrap(), text))
}

#[test]
fn on_a_terminal_it_asks_and_shows_no_secret() {
    let place = Place::new();
    let secret = format!("{SECRET}\n");
    let questions = [
        ("DNS provider", "dyn\n"),
        ("DNS provider", "dynu\n"),
        ("Name to keep", "home.example.org\n"),
        ("Login at", "me\n"),
        ("IPv4 address", "lo\n"),
        ("IPv6 address", "off\n"),
        ("Password", &secret),
    ];
    let Some((code, text)) = talk(&place, "--state-dir state", &questions) else {
        return netns::skip("on_a_terminal_it_asks_and_shows_no_secret", "needs script");
    };
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("dynv6") && !text.contains(SECRET), "{text}");
    assert_eq!(place.read("home.example.org.password"), secret);
    assert!(place.read("config.toml").contains("username = \"me\"\n"), "{text}");

    // Nothing is written before the last answer.
    let place = Place::new();
    let refused = [&questions[..6], &[("Password", "\x03")]].concat();
    let (code, text) = talk(&place, "", &refused).unwrap();
    assert_eq!(code, 64, "{text}");
    assert!(text.contains("nothing was written") && !place.home.path("new").exists(), "{text}");
}
