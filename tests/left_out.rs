//! What the real binary of a smaller build says of what it leaves out: which it is, where it was
//! asked for, and that there is another build.

#![cfg(not(any(
    feature = "cloud",
    feature = "import",
    feature = "init",
    feature = "international-names",
    feature = "landlock",
    feature = "manual",
    feature = "name-servers",
    feature = "pages",
    feature = "tokens"
)))]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers, too")]

#[path = "support/home.rs"]
mod home;

use std::process::Command;

use home::{Home, Ran};

fn homing(line: &str) -> Ran {
    let mut command = Command::new(env!("CARGO_BIN_EXE_homing"));
    command.args(line.split_whitespace()).output().unwrap().into()
}

#[test]
fn a_command_that_is_left_out_is_refused_by_name() {
    for line in [
        "token issue dev1.example.com",
        "token audit",
        "token rotate --all",
        "token",
        "init",
        "completions",
        "manual",
    ] {
        let Ran { code, out, err } = homing(line);
        assert_eq!((code, &*out), (64, ""), "{err}");
        let words = line.split(' ').take(2).collect::<Vec<_>>().join(" ");
        let expect = format!(
            "homing: this build of Homing does not include `homing {words}`; the full build has \
                it\n"
        );
        assert_eq!(err, expect);
    }
}

#[test]
fn an_option_that_is_left_out_is_refused_by_name() {
    let Ran { code, err, .. } = homing("check --management-token-file x");
    assert_eq!(code, 64, "{err}");
    assert!(err.contains("does not include `--management-token-file`; the full build"), "{err}");
}

#[test]
fn a_protocol_that_is_left_out_is_refused_with_its_place() {
    let home = Home::new(
        "[provider.ns]\nprotocol = \"rfc2136\"\nserver = \"192.0.2.53\"\n\n\
         [[host]]\nname = \"dev1.example.com\"\nprovider = \"ns\"\nkey-file = \"dev1.key\"\n",
    );
    let Ran { code, err, .. } = home.run(&["check"]);
    assert_eq!(code, 78, "{err}");
    let place = format!("{}:4: provider.ns.protocol", home.path("config.toml").display());
    let what = "this build of Homing does not include the protocol rfc2136; the full build has it";
    assert_eq!(err, format!("homing: {place}: {what}\n"));
}

#[test]
fn a_report_that_is_left_out_is_refused_with_its_place() {
    let home = Home::new(
        "[report]\nmetrics-file = \"m.prom\"\nstatus-page = \"s.html\"\n\
         notify = [{ service = \"ntfy\", topic = \"t\" }]\n\n\
         [[host]]\nname = \"dev1.example.com\"\nprovider = \"desec\"\ntoken = \"s3cret\"\n",
    );
    let Ran { code, err, .. } = home.run(&["check"]);
    assert_eq!(code, 78, "{err}");
    for (line, key) in [(4, "metrics-file"), (5, "status-page"), (6, "notify")] {
        let place = format!("{}:{line}: report.{key}", home.path("config.toml").display());
        let what = format!("this build of Homing does not include {key}; the full build has it");
        assert!(err.contains(&format!("{place}: {what}\n")), "{err}");
    }
}

#[test]
fn a_remedy_that_is_left_out_says_so() {
    let home = Home::new(
        "[[host]]\nname = \"dev1.example.com\"\nprovider = \"desec\"\ntoken = \"s3cret\"\nipv6 = \"off\"\n",
    );
    let Ran { out, err, .. } = home.run(&["status"]);
    let fix = "run `homing token audit dev1.example.com` where the full build is";
    assert!(out.contains(fix), "{out}{err}");
}

#[test]
fn letters_beyond_ascii_are_refused_with_the_other_form() {
    let host = |name: &str| {
        Home::new(&format!(
            "[[host]]\nname = \"{name}\"\nprovider = \"desec\"\ntoken = \"s3cret\"\nipv6 = \"off\"\n"
        ))
    };
    let Ran { code, err, .. } = host("b\u{fc}cher.example").run(&["check"]);
    assert_eq!(code, 78, "{err}");
    assert!(err.contains("config.toml:4: host[1].name: "), "{err}");
    assert!(
        err.contains("which this build of Homing does not support; write its xn-- form"),
        "{err}"
    );
    let Ran { code, out, .. } = host("xn--bcher-kva.example").run(&["check"]);
    assert_eq!(code, 0, "{out}");
    assert!(out.contains("no sandbox: this build of Homing has no Landlock\n"), "{out}");
}

#[test]
fn the_version_and_the_help_tell_what_is_left_out() {
    let rest = "import, init, international-names, landlock, manual, name-servers, pages, tokens)";
    for (line, first) in [("--version", "cloud, cloud-keys"), ("--help", "cloud")] {
        let Ran { code, out, .. } = homing(line);
        assert_eq!(code, 0);
        let words: Vec<_> = out.split_whitespace().collect();
        assert!(words.join(" ").contains(&format!("(without: {first}, {rest}")), "{out}");
    }
    let first = homing("--version").out;
    assert_eq!(first.lines().next(), Some(concat!("homing ", env!("CARGO_PKG_VERSION"))));
}
