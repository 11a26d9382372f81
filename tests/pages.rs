//! Manual pages and completions, read by the programs that will read them: mandoc, groff and man;
//! bash, zsh and fish. A program that is not there is skipped, and said so.
#![expect(clippy::unwrap_used, reason = "a step of a test that fails is the test's failure")]

use std::path::Path;
use std::process::{Command, Output};

use crate::support::{home, netns};
use home::Home;
use homing::cli::pages;
use homing::config;

/// Two hosts that need no file and send nothing.
const HOSTS: &str = r#"
[[host]]
name = ["dev1.example.com", "www.example.com"]
provider = "hosts-file"
path = "hosts"
ipv4 = "off"
"#;

/// The day of the package's pages: that of its changelog, as for the program's own.
const DAY: &str = "2026-11-22";

/// A directory with a configuration and every file of the package.
fn package() -> Home {
    let home = Home::new(HOSTS);
    for (name, text) in pages::files(DAY) {
        home.write(name, &text, 0o644);
    }
    home
}

/// Whether `program` is there; says for `test` when it is not.
#[track_caller]
fn is_there(test: &str, program: &str) -> bool {
    let there = Command::new("sh").args(["-c", "command -v \"$0\" >&2", program]).output().unwrap();
    if !there.status.success() {
        netns::skip(test, &format!("needs {program}"));
    }
    there.status.success()
}

/// A command in the package's directory that finds this build of Homing by its name.
fn command(package: &Home, program: &str) -> Command {
    let homing = Path::new(env!("CARGO_BIN_EXE_homing")).parent().unwrap().display();
    let path = std::env::var("PATH").unwrap_or_default();
    let mut command = Command::new(program);
    command.current_dir(package.path("")).env_clear();
    command.env("PATH", format!("{homing}:{path}")).env("LC_ALL", "C.UTF-8").env("TERM", "dumb");
    command.env("HOME", package.path(""));
    command
}

/// What `output` printed, after a run that ended well and had nothing to complain about.
#[track_caller]
fn quiet(output: &Output) -> String {
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && told.is_empty(), "{output:?}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

// ---- manual pages -------------------------------------------------------------------------------

const PAGES: [&str; 2] = ["homing.1", "homing.toml.5"];

/// The words of a page without what makes them bold.
fn plain(page: &str) -> String {
    ["\\fB", "\\fI", "\\fR"].iter().fold(page.to_owned(), |page, mark| page.replace(mark, ""))
}

#[test]
fn every_key_of_the_configuration_is_a_term_of_its_page() {
    let page = plain(&package().read("homing.toml.5"));
    let mut count = 0;
    for (header, keys) in config::keys() {
        for key in keys {
            let term = format!("\n{} = ", pages::roff::escaped(key));
            assert!(page.contains(&term), "{key} of {header}");
            count += 1;
        }
    }
    assert!(count > 60, "{count}");
}

#[test]
fn the_program_prints_what_packages_install() {
    let package = package();
    for (line, name) in [
        ("manual", "homing.1"),
        ("manual homing", "homing.1"),
        ("manual homing.toml", "homing.toml.5"),
        ("completions bash", "homing.bash"),
        ("completions fish", "homing.fish"),
        ("completions zsh", "_homing"),
    ] {
        let words: Vec<_> = line.split(' ').collect();
        let output = command(&package, "homing").args(words).output().unwrap();
        assert!(quiet(&output) == package.read(name), "`homing {line}` prints another {name}");
    }
}

#[test]
fn formatters_have_nothing_to_say_about_the_pages() {
    let test = "formatters_have_nothing_to_say_about_the_pages";
    let package = package();
    for (program, arguments) in [
        // The last kind it knows is a matter of taste: how long the lines of the source are.
        ("mandoc", &["-T", "lint", "-W", "warning"][..]),
        ("groff", &["-ww", "-man", "-Tutf8", "-z"]),
        ("man", &["--warnings", "-l"]),
    ] {
        if !is_there(test, program) {
            continue;
        }
        for page in PAGES {
            let output = command(&package, program).args(arguments).arg(page).output().unwrap();
            let shown = quiet(&output);
            assert!(program == "man" || shown.is_empty(), "{program}: {shown}");
            assert!(program != "man" || shown.contains("SEE ALSO"), "{shown}");
        }
    }
}

#[test]
fn what_man_shows_can_be_pasted() {
    if !is_there("what_man_shows_can_be_pasted", "man") {
        return;
    }
    let package = package();
    let mut shown = [String::new(), String::new()];
    for (page, shown) in PAGES.iter().zip(&mut shown) {
        *shown = quiet(&command(&package, "man").args(["-l", page]).output().unwrap());
    }
    for line in ["homing --once [--dry-run]", "'", "*/5 * * * *  homing --once"] {
        assert!(shown[0].contains(line), "{line}: {}", shown[0]);
    }
    for line in ["interval = \"5m\"", "web = [\"ipify\"", "    homing token issue dev1"] {
        assert!(shown[1].contains(line), "{line}: {}", shown[1]);
    }
    for odd in ['\u{2010}', '\u{2212}', '\u{2019}', '\u{201d}'] {
        assert!(!shown.concat().contains(odd), "{odd:?} is no character of a command");
    }
}

// ---- completions --------------------------------------------------------------------------------

/// What may be typed, and what has to be offered then, in the order of the alphabet.
///
/// The shells differ in what they do with a word that has an option in front of its `=`; that is for
/// their own tests.
const TYPED: [(&str, &[&str]); 12] = [
    ("homing tok", &["token"]),
    ("homing --on", &["--once"]),
    ("homing -v st", &["status"]),
    ("homing token r", &["revoke", "rotate"]),
    (
        "homing token issue --ma",
        &[
            "--management-password-file",
            "--management-token-file",
            "--management-user",
            "--max-age",
            "--max-unused",
        ],
    ),
    ("homing status --j", &["--json"]),
    ("homing check --j", &[]),
    ("homing --once --re", &["--refresh", "--retry-rejected"]),
    ("homing check --log-format j", &["journal", "json"]),
    ("homing providers cloudf", &["cloudflare"]),
    ("homing --config config.toml token audit d", &["dev1.example.com"]),
    ("homing token issue dev1.example.com --config config.toml w", &["www.example.com"]),
];

#[test]
fn bash_offers_what_may_follow() {
    // Bash takes `=` for a word of its own, as it does in COMP_WORDBREAKS.
    const ASK: &str = r#"
        . ./homing.bash
        read -r -a COMP_WORDS <<<"${1//=/ = }"
        [[ $1 == *' ' || $1 == *= ]] && COMP_WORDS+=('')
        COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
        _homing homing
        ((${#COMPREPLY[@]})) && printf '%s\n' "${COMPREPLY[@]}" | sort
        exit 0
    "#;
    if !is_there("bash_offers_what_may_follow", "bash") {
        return;
    }
    let package = package();
    quiet(&command(&package, "bash").args(["-n", "homing.bash"]).output().unwrap());
    let equals = [
        ("homing --log-format=t", &["text"][..]),
        ("homing --log-format=", &["journal", "json", "syslog", "text"]),
        ("homing --config=conf", &["config.toml"]),
        ("homing --config=config.toml token revoke ", &["dev1.example.com", "www.example.com"]),
        ("homing --max-age ", &[]),
    ];
    for (line, expect) in TYPED.into_iter().chain(equals) {
        let output = command(&package, "bash").args(["-c", ASK, "bash", line]).output().unwrap();
        let offered = quiet(&output);
        assert_eq!(offered.lines().collect::<Vec<_>>(), expect, "{line}");
    }
}

#[test]
fn fish_offers_what_may_follow() {
    if !is_there("fish_offers_what_may_follow", "fish") {
        return;
    }
    let package = package();
    quiet(&command(&package, "fish").args(["-n", "homing.fish"]).output().unwrap());
    let equals = [
        ("homing --log-format=t", &["--log-format=text"][..]),
        ("homing --config=config.toml token revoke w", &["www.example.com"]),
        ("homing --config conf", &["config.toml"]),
    ];
    for (line, expect) in TYPED.into_iter().chain(equals) {
        let ask = "source homing.fish; complete -C \"$argv[1]\"";
        let output = command(&package, "fish").args(["-N", "-c", ask, line]).output().unwrap();
        let offered = quiet(&output);
        let words = offered.lines().map(|line| line.split('\t').next().unwrap());
        assert_eq!(words.collect::<Vec<_>>(), expect, "{line}");
    }
}

#[test]
fn zsh_completes_what_is_typed() {
    // A real zsh on a terminal of its own. ^G hands over what the line has become.
    const ASK: &str = r#"
        zmodload zsh/zpty
        zpty z zsh -f -i
        zpty -w z "fpath=($PWD \$fpath); autoload -Uz compinit; compinit -u -D
            show() { print -r -- \"\$BUFFER\" >>shown; BUFFER= }
            zle -N show; bindkey '^G' show; print ready >shown"
        wait_for() {
            for try in {1..300}; do
                [[ -s shown && $(wc -l <shown) -ge $1 ]] && break
                while zpty -rt z; do :; done >/dev/null
                sleep 0.1
            done
        }
        wait_for 1
        for line; do
            zpty -w -n z "$line"$'\t\C-g'
        done
        wait_for $(($# + 1))
        zpty -d z
        cat shown
    "#;
    if !is_there("zsh_completes_what_is_typed", "zsh") {
        return;
    }
    let package = package();
    quiet(&command(&package, "zsh").args(["-n", "_homing"]).output().unwrap());
    let equals = [
        ("homing --log-format=t", &["--log-format=text"][..]),
        ("homing --config=conf", &["--config=config.toml"]),
    ];
    // A line becomes what all that may follow have in common.
    let lines: Vec<_> = TYPED.into_iter().chain(equals).collect();
    let mut ask = command(&package, "zsh");
    ask.args(["-f", "-c", ASK, "zsh"]).args(lines.iter().map(|(line, _)| line));
    let shown = quiet(&ask.output().unwrap());
    assert_eq!(shown.lines().count(), lines.len() + 1, "{shown}");
    for ((line, words), shown) in lines.into_iter().zip(shown.lines().skip(1)) {
        let (before, typed) = line.rsplit_once(' ').unwrap();
        let common = common(words).unwrap_or(typed);
        assert_eq!(shown.trim_end().trim_end_matches('='), format!("{before} {common}"), "{line}");
    }
}

/// What all of `words` begin with.
fn common<'a>(words: &[&'a str]) -> Option<&'a str> {
    let first = words.first()?;
    let is_shared = |end: &usize| words.iter().all(|word| word.starts_with(&first[..*end]));
    (0..=first.len()).rev().find(is_shared).map(|end| &first[..end])
}
