//! The installer of a release, with a release made here: what it installs, verifies, refuses and
//! removes. Everything goes below a prefix in a directory of the test's own.
#![expect(clippy::unwrap_used, reason = "a step of a test that fails is the test's failure")]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::home::{Home, Ran};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/packaging/install.sh");

/// What an archive of packaging/release holds beside the program.
const DOCUMENTS: [&str; 17] = [
    "README.md",
    "config.example.toml",
    "config.toml",
    "LICENSE-MIT",
    "LICENSE-APACHE",
    "third-party.txt",
    "homing.1",
    "homing.toml.5",
    "completions/homing.bash",
    "completions/_homing",
    "completions/homing.fish",
    "systemd/homing.service",
    "systemd/homing-once.service",
    "systemd/homing-once.timer",
    "systemd/sysusers.d/homing.conf",
    "contrib/docs/fleets.md",
    "contrib/fleet/hand-out",
];

/// What is installed for a person, below the prefix.
const INSTALLED: [&str; 13] = [
    "bin/homing",
    "share/bash-completion/completions/homing",
    "share/doc/homing/LICENSE-APACHE",
    "share/doc/homing/LICENSE-MIT",
    "share/doc/homing/README.md",
    "share/doc/homing/config.example.toml",
    "share/doc/homing/contrib/docs/fleets.md",
    "share/doc/homing/contrib/fleet/hand-out",
    "share/doc/homing/third-party.txt",
    "share/fish/vendor_completions.d/homing.fish",
    "share/man/man1/homing.1",
    "share/man/man5/homing.toml.5",
    "share/zsh/site-functions/_homing",
];

/// A directory with a release for one kind of machine, whose program says its version.
struct Release {
    home: Home,
    kind: &'static str,
}

impl Release {
    fn new(kind: &'static str, version: &str) -> Self {
        let release = Self { home: Home::new(""), kind };
        release.write(version);
        // In place of this machine's: the kind of machine is the test's choice.
        let uname = "#!/bin/sh\ncase $1 in -s) echo Linux ;; *) cat \"${0%/*}/machine\" ;; esac\n";
        fs::create_dir(release.home.path("tools")).unwrap();
        release.home.write("tools/uname", uname, 0o755);
        release.machine(kind);
        release
    }

    /// Makes the release's files.
    fn write(&self, version: &str) {
        let name = format!("homing-{version}-{}-linux", self.kind);
        let inside = self.home.path(&name);
        for document in DOCUMENTS {
            let path = inside.join(document);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, format!("{document} of {version}\n")).unwrap();
        }
        let program = format!("#!/bin/sh\necho homing {version}\n");
        self.home.write(&format!("{name}/homing"), &program, 0o755);
        fs::copy(SCRIPT, inside.join("install.sh")).unwrap();
        let release = self.home.path("release");
        let _ = fs::remove_dir_all(&release);
        fs::create_dir(&release).unwrap();
        let script = "tar -C \"$1\" -czf \"release/$2.tar.gz\" \"$2\" && cd release && \
                      sha256sum -- * >../sums && mv ../sums SHA256SUMS";
        let mut command = Command::new("sh");
        command.args(["-euc", script, "sh", "."]).arg(&name).current_dir(self.home.path("."));
        assert!(command.status().unwrap().success());
    }

    /// Lets this machine be one of another kind.
    fn machine(&self, kind: &str) {
        self.home.write("tools/machine", &format!("{kind}\n"), 0o644);
    }

    fn prefix(&self) -> PathBuf {
        self.home.path("prefix")
    }

    /// Runs the installer with `--prefix` and these arguments.
    fn run(&self, arguments: &[&str]) -> Ran {
        self.run_script(Path::new(SCRIPT), arguments)
    }

    fn run_script(&self, script: &Path, arguments: &[&str]) -> Ran {
        let path = std::env::var("PATH").unwrap();
        let mut command = Command::new("sh");
        command.arg(script).arg("--prefix").arg(self.prefix()).args(arguments);
        command.env("PATH", format!("{}:{path}", self.home.path("tools").display()));
        command.env("HOME", self.home.path("."));
        command.output().unwrap().into()
    }

    fn install(&self) -> Ran {
        self.run(&["--from", self.home.path("release").to_str().unwrap()])
    }

    /// Every file below the prefix.
    fn installed(&self) -> Vec<String> {
        let mut found = Vec::new();
        let mut open = vec![self.prefix()];
        while let Some(directory) = open.pop() {
            for entry in fs::read_dir(directory).into_iter().flatten() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    open.push(path);
                } else {
                    let name = path.strip_prefix(self.prefix()).unwrap();
                    found.push(name.to_str().unwrap().to_owned());
                }
            }
        }
        found.sort();
        found
    }
}

#[test]
fn a_release_is_installed_upgraded_and_removed() {
    let release = Release::new("x86_64", "0.9.0");
    let ran = release.install();
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(release.installed(), INSTALLED);
    let program = release.prefix().join("bin/homing");
    assert_eq!(fs::metadata(&program).unwrap().permissions().mode() & 0o777, 0o755);
    assert!(ran.out.starts_with("installed: homing 0.9.0 in "), "{ran:?}");
    // The next commands, with whole paths.
    for (before, after) in [("  ", " init"), ("  ", " check"), ("*/5 * * * *  ", " --once")] {
        let shown = format!("{before}{}{after}", program.display());
        assert!(ran.out.contains(&shown), "{shown}: {ran:?}");
    }

    release.write("0.9.1");
    let ran = release.install();
    assert!(ran.code == 0 && ran.out.starts_with("installed: homing 0.9.1 in "), "{ran:?}");
    assert_eq!(release.installed(), INSTALLED);

    let foreign = release.prefix().join("bin/another");
    fs::write(&foreign, "").unwrap();
    let ran = release.run(&["--uninstall"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(release.installed(), ["bin/another"]);
}

#[test]
fn an_unpacked_archive_installs_itself() {
    let release = Release::new("x86_64", "0.9.0");
    let script = release.home.path("homing-0.9.0-x86_64-linux/install.sh");
    let ran = release.run_script(&script, &[]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(release.installed(), INSTALLED);
}

#[test]
fn an_archive_that_was_changed_is_not_installed() {
    let release = Release::new("aarch64", "0.9.0");
    let archive = release.home.path("release/homing-0.9.0-aarch64-linux.tar.gz");
    let mut bytes = fs::read(&archive).unwrap();
    let whole = bytes.clone();
    *bytes.last_mut().unwrap() ^= 1;
    for changed in [&bytes[..], &whole[..whole.len() / 2], &[]] {
        fs::write(&archive, changed).unwrap();
        let ran = release.install();
        assert_eq!(ran.code, 1, "{ran:?}");
        assert!(ran.err.contains("is not what SHA256SUMS says"), "{ran:?}");
        assert_eq!(release.installed(), [""; 0]);
    }
    fs::remove_file(&archive).unwrap();
    let ran = release.install();
    assert!(ran.code == 1 && ran.err.contains("there is no "), "{ran:?}");
    assert_eq!(release.installed(), [""; 0]);
}

#[test]
fn the_archive_is_that_of_this_machine() {
    for (kind, machines) in [
        ("x86_64", &["x86_64", "amd64"][..]),
        ("aarch64", &["aarch64", "arm64"]),
        ("armv7", &["armv7l", "armv7hl", "armv8l"]),
    ] {
        let release = Release::new(kind, "0.9.0");
        for machine in machines {
            release.machine(machine);
            let ran = release.install();
            assert_eq!(ran.code, 0, "{machine}: {ran:?}");
        }
        release.machine("riscv64");
        let ran = release.install();
        assert!(ran.code == 1 && ran.err.contains("no program for riscv64"), "{ran:?}");
    }
    let release = Release::new("armv7", "0.9.0");
    release.machine("x86_64");
    let ran = release.install();
    assert!(ran.code == 1 && ran.err.contains("has no program for x86_64"), "{ran:?}");
    assert_eq!(release.installed(), [""; 0]);
}

#[test]
fn a_program_that_does_not_run_here_is_not_installed() {
    let release = Release::new("x86_64", "0.9.0");
    let name = "homing-0.9.0-x86_64-linux";
    release.home.write(&format!("{name}/homing"), "not a program", 0o755);
    let ran = release.run_script(&release.home.path(&format!("{name}/install.sh")), &[]);
    assert!(ran.code == 1 && ran.err.contains("does not run on this machine"), "{ran:?}");
    assert_eq!(release.installed(), [""; 0]);
}

#[test]
fn a_release_is_downloaded_with_what_is_there() {
    let release = Release::new("x86_64", "0.9.0");
    // In place of the network: the last word is the address, and the one before it names the file.
    let curl = "#!/bin/sh\nfor last; do before=$word word=$last; done\n\
                case $word in https://example.com/v1/*) ;; *) exit 22 ;; esac\n\
                cp \"${0%/*}/../release/${word##*/}\" \"$before\"\n";
    release.home.write("tools/curl", curl, 0o755);
    let ran = release.run(&["--from", "https://example.com/v1"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(release.installed(), INSTALLED);
    let ran = release.run(&["--from", "https://example.com/v2"]);
    assert!(
        ran.code == 1 && ran.err.contains("cannot download https://example.com/v2/"),
        "{ran:?}"
    );
}

#[test]
fn a_wrong_command_line_is_refused() {
    let release = Release::new("x86_64", "0.9.0");
    for arguments in [&["--form", "x"][..], &["--from"], &["--prefix", "relative"], &[]] {
        let ran = release.run(arguments);
        assert_eq!(ran.code, 64, "{arguments:?} {ran:?}");
        assert!(!ran.err.is_empty(), "{arguments:?}");
    }
    let ran = release.run(&["--help"]);
    assert!(ran.code == 0 && ran.out.contains("--uninstall"), "{ran:?}");
    assert_eq!(release.installed(), [""; 0]);
}
