//! A directory with a configuration, in which the real binary is run.

#![allow(dead_code, reason = "each test that includes this module uses another part of it")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use rustix::process::Pid;
pub use rustix::process::Signal;

/// A host at the sandbox of [`Home::at`], with its token in `token`.
pub const DEV1: &str = r#"
[[host]]
name = "dev1.dyn.example.com"
provider = "sandbox"
token-file = "token"
ipv4 = "here"
ipv6 = "here"
"#;

/// A host whose source and hook are programs: each writes into a file of its own in `DIR` what the
/// commands `SAY` print.
pub const PROGRAMS: &str = r#"
[[host]]
name = "dev1.dyn.example.com"
provider = "hosts-file"
path = "hosts"
ipv4 = "said"
ipv6 = "off"
on-change = ["sh", "-c", "{ SAY; } >DIR/hook"]

[source.said]
command = ["sh", "-c", "{ SAY; } >DIR/source; echo 198.51.100.7"]
allow-private = true
"#;

/// A directory of its own, removed when the test ends well.
pub struct Home {
    directory: PathBuf,
}

/// What a run printed and how it ended.
#[derive(Debug)]
pub struct Ran {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Home {
    /// A new directory with `config` as its `config.toml`; state goes into `state` beside it.
    pub fn new(config: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("homing-test-{}-{number}", std::process::id());
        let directory = std::env::temp_dir().join(name);
        // What a test that failed has left, whose process had the same number.
        let _ = fs::remove_dir_all(&directory);
        fs::create_dir_all(&directory).expect("a test's own step works");
        let home = Self { directory };
        home.configure(config);
        home
    }

    /// A configuration of hosts at a sandbox: `[[host]]` blocks come from `hosts`.
    pub fn at(server: &str, hosts: &str) -> Self {
        let home = Self::new(&format!(
            "[provider.sandbox]\nprotocol = \"desec\"\nserver = \"{server}\"\n\n\
             [source.here]\nstatic = [\"198.51.100.7\", \"2001:db8::7\"]\nallow-private = true\n\n\
             {hosts}"
        ));
        home.secret("token", "s3cret-of-dev1");
        home
    }

    /// Replaces the configuration; a state directory is added when it names none.
    pub fn configure(&self, config: &str) {
        let state =
            if config.contains("[daemon]") { "" } else { "[daemon]\nstate-dir = \"state\"\n" };
        self.write("config.toml", &format!("{state}{config}"), 0o600);
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    pub fn write(&self, name: &str, text: &str, mode: u32) {
        let path = self.path(name);
        write(&path, text, mode);
        fs::set_permissions(&path, fs::Permissions::from_mode(mode))
            .expect("a test's own step works");
    }

    /// Writes a secret file that only its owner can read.
    pub fn secret(&self, name: &str, secret: &str) {
        self.write(name, &format!("{secret}\n"), 0o600);
    }

    pub fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    /// The command with this home's configuration and no environment to mislead it.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_homing"));
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("TZ", "UTC0")
            .args(arguments)
            .arg("--config")
            .arg(self.path("config.toml"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    pub fn run(&self, arguments: &[&str]) -> Ran {
        self.command(arguments).output().expect("a test's own step works").into()
    }

    /// Runs `homing --once`.
    #[track_caller]
    pub fn once(&self) -> Ran {
        self.run(&["--once"])
    }

    /// Starts the daemon; its log goes to `log` in the directory.
    pub fn daemon(&self) -> Daemon {
        self.daemon_with(&["-v"])
    }

    /// Starts the daemon with these arguments.
    pub fn daemon_with(&self, arguments: &[&str]) -> Daemon {
        self.daemon_of(self.command(arguments))
    }

    /// Starts the daemon by this command.
    pub fn daemon_of(&self, mut command: Command) -> Daemon {
        let log = fs::File::create(self.path("log")).expect("a test's own step works");
        let child =
            command.stderr(log).stdout(Stdio::null()).spawn().expect("a test's own step works");
        Daemon { child, log: self.path("log") }
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let _ = fs::remove_dir_all(&self.directory);
        }
    }
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

/// Runs a command of a shell on a terminal of its own, which controls it; all that it prints is in
/// `out`.
pub fn on_a_terminal(command: &str) -> Ran {
    let mut script = Command::new("script");
    script.args(["-qec", command, "/dev/null"]).stdin(Stdio::null());
    script.output().expect("script(1) of bsdutils is there").into()
}

/// A running daemon, ended when dropped.
pub struct Daemon {
    child: Child,
    log: PathBuf,
}

impl Daemon {
    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_child(&self.child);
        rustix::process::kill_process(pid, signal).expect("the daemon runs");
    }

    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Waits until the log holds `text`.
    #[track_caller]
    pub fn wait_for(&self, text: &str) {
        self.wait_until(text, |log| log.contains(text));
    }

    #[track_caller]
    pub fn wait_until(&self, what: &str, is_there: impl Fn(&str) -> bool) {
        wait_until(what, || is_there(&self.log()), || self.log());
    }

    /// Waits for the daemon's own end and returns its exit code and how long that took.
    #[track_caller]
    pub fn end(mut self) -> (i32, Duration) {
        let begun = Instant::now();
        let status = self.child.wait().expect("a test's own step works");
        (status.code().unwrap_or(-1), begun.elapsed())
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits up to ten seconds for `is_there`; then fails showing `evidence`.
#[track_caller]
pub fn wait_until(what: &str, is_there: impl Fn() -> bool, evidence: impl Fn() -> String) {
    let begun = Instant::now();
    while !is_there() {
        assert!(begun.elapsed() < Duration::from_secs(10), "no {what} in:\n{}", evidence());
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Writes `text` to the file at `path`, which is a program where `mode` says so.
pub fn write(path: &Path, text: &str, mode: u32) {
    if mode & 0o111 == 0 {
        return fs::write(path, text).expect("a test's own step works");
    }
    let draft = path.with_extension("draft");
    fs::write(&draft, text).expect("a test's own step works");
    copy_program(&draft, path);
    fs::remove_file(draft).expect("a test's own step works");
}

/// Copies what is going to be run by another process: one of another test that begins while this one
/// had the file open for writing would hold it open, and the kernel runs no such file (`ETXTBSY`).
pub fn copy_program(from: &Path, to: &Path) {
    let status = Command::new("cp").arg(from).arg(to).status().expect("a test's own step works");
    assert!(status.success(), "{} cannot be copied", from.display());
}

/// README and the pages that it names.
pub fn pages() -> Vec<PathBuf> {
    let pages = fs::read_dir(project().join("contrib/docs")).expect("pages");
    let pages = pages.map(|entry| entry.expect("a page").path());
    let pages = pages.filter(|page| page.extension().is_some_and(|extension| extension == "md"));
    pages.chain([project().join("README.md")]).collect()
}

/// The directory of the project.
pub fn project() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Checks that `text` is what the project's `file` holds, which a test of `module` makes;
/// `HOMING_WRITE=1` writes it first.
#[track_caller]
pub fn is_made(file: &str, text: &str, module: &str) {
    let path = project().join(file);
    if std::env::var_os("HOMING_WRITE").is_some() {
        fs::write(&path, text).expect("a test's own step works");
    }
    let written = fs::read_to_string(&path).unwrap_or_default();
    let fix = format!("HOMING_WRITE=1 cargo test --test all {module}::");
    assert!(written == text, "{file} is out of date; run `{fix}`");
}

/// Makes the library of a source in C beside this file, to be preloaded; false where there is no C
/// compiler.
pub fn library(source: &str, at: &Path) -> bool {
    let source = project().join("tests/support").join(source);
    let mut compiler = Command::new("cc");
    compiler.args(["-O1", "-shared", "-fPIC", "-o"]).arg(at).arg(source);
    compiler.status().is_ok_and(|status| status.success())
}
