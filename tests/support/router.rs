//! A root directory as OpenWrt has it, made by the package's own Makefile, with stand-ins for procd
//! and uci.
//!
//! Only busybox's applets of OpenWrt's default are in it. Needs root (for chroot), busybox and make;
//! without them a test says that it is skipped, and with `HOMING_TESTS=all` that is a failure.

#![allow(dead_code, reason = "each test that includes this module uses another part of it")]

use std::fs;
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::support::home;

/// What a test's own steps say when they fail.
const OWN: &str = "a test's own step works";

/// The applets that OpenWrt's busybox has by default (package/utils/busybox/Config-defaults.in), as
/// far as a service may want them.
const APPLETS: &str = "[ [[ ash awk basename cat chgrp chmod chown clear cmp cp cut date dd df \
    dirname du echo egrep env expr false fgrep find flock free fsync grep gunzip gzip head hexdump \
    id ifconfig ip kill killall ln lock ls md5sum mkdir mkfifo mknod mktemp mv nc netstat nice \
    nslookup pgrep pidof ping ping6 printf ps pwd readlink rm rmdir route sed seq sh sha256sum sleep \
    sort start-stop-daemon strings sync tail tar tee test time top touch tr traceroute true umount \
    uname uniq uptime wc which xargs yes zcat";

/// How many there have been.
static COUNT: AtomicU32 = AtomicU32::new(0);

/// The root directory; removed when the test ends well.
pub struct Router {
    root: PathBuf,
}

/// What a command in it printed and how it ended.
#[derive(Debug)]
pub struct Done {
    pub code: i32,
    pub out: String,
    pub err: String,
}

/// The directory of the package.
pub fn package() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/openwrt")
}

/// The directory of the stand-ins.
fn stand_ins() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/openwrt")
}

/// Whether `program` is on this machine's path.
pub fn has(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|directory| directory.join(program).exists())
}

/// Says that `test` proves nothing here, which is a failure where everything has to be there.
#[track_caller]
pub fn skip(test: &str, lacking: &str) {
    let all = std::env::var_os("HOMING_TESTS").is_some_and(|tests| tests == "all");
    assert!(!all, "{lacking}");
    let _ = writeln!(std::io::stderr(), "SKIPPED: {test}: {lacking}");
}

/// Runs one of busybox's applets on `input`, outside of any router.
pub fn busybox(arguments: &[&str], input: &[u8], environment: &[(&str, &Path)]) -> Output {
    let mut command = Command::new("busybox");
    command.args(arguments).env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command.env("LC_ALL", "C").envs(environment.iter().copied());
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect(OWN);
    // Those that do not read it to the end are right to end.
    let _ = child.stdin.take().expect(OWN).write_all(input);
    child.wait_with_output().expect(OWN)
}

impl Router {
    /// A router with the package on it, for the test of that name; `None` after saying why not.
    #[track_caller]
    pub fn new(test: &str) -> Option<Self> {
        if !rustix::process::geteuid().is_root() {
            skip(test, "needs root");
            return None;
        }
        for program in ["busybox", "chroot", "ldd", "make"] {
            if !has(program) {
                skip(test, &format!("needs {program}"));
                return None;
            }
        }
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("homing-router-{}-{number}", std::process::id());
        let router = Self { root: std::env::temp_dir().join(name) };
        router.furnish();
        router.install();
        Some(router)
    }

    /// What is on every router.
    fn furnish(&self) {
        let _ = fs::remove_dir_all(&self.root);
        for directory in
            ["bin", "dev", "etc/config", "etc/rc.d", "lib", "proc", "sbin", "tmp/run", "usr/bin"]
        {
            fs::create_dir_all(self.path(directory)).expect(OWN);
        }
        symlink("tmp", self.path("var")).expect(OWN);
        symlink("/tmp/resolv.conf", self.path("etc/resolv.conf")).expect(OWN);
        self.write("tmp/resolv.conf", "nameserver 127.0.0.1\n", 0o644);
        self.write("dev/null", "", 0o666);
        self.write("etc/passwd", "root:x:0:0::/:/bin/ash\nhoming:x:468:468::/:/bin/false\n", 0o644);
        self.write("etc/group", "root:x:0:\nhoming:x:468:\n", 0o644);
        self.program(&which("busybox"), "bin/busybox");
        let built_in = busybox(&["--list"], b"", &[]).stdout;
        let built_in = String::from_utf8_lossy(&built_in).into_owned();
        for applet in APPLETS.split_whitespace() {
            if built_in.lines().any(|line| line == applet) {
                symlink("busybox", self.path("bin").join(applet)).expect(OWN);
            }
        }
        for (name, place) in [
            ("rc.common", "etc/rc.common"),
            ("uci", "sbin/uci"),
            ("uci.awk", "lib/uci.awk"),
            ("logger", "usr/bin/logger"),
            ("ubus", "bin/ubus"),
        ] {
            let text = fs::read_to_string(stand_ins().join(name)).expect(OWN);
            self.write(place, &text, 0o755);
        }
    }

    /// Lets the package's Makefile install it.
    fn install(&self) {
        let build = self.path("build");
        let feed = build.join("feed/net/homing");
        for directory in [feed.join("files"), build.join("feed/lang/rust"), build.join("bin")] {
            fs::create_dir_all(directory).expect(OWN);
        }
        for file in ["Makefile", "files"] {
            let from = package().join(file);
            let status = Command::new("cp").arg("-r").arg(from).arg(&feed).status().expect(OWN);
            assert!(status.success());
        }
        fs::copy(stand_ins().join("rules.mk"), build.join("rules.mk")).expect(OWN);
        fs::write(build.join("package.mk"), "").expect(OWN);
        fs::write(build.join("feed/lang/rust/rust-package.mk"), "").expect(OWN);
        let homing = build.join("bin/homing");
        let binary = Path::new(env!("CARGO_BIN_EXE_homing"));
        if fs::hard_link(binary, &homing).is_err() {
            home::copy_program(binary, &homing);
        }
        let made = Command::new("make")
            .arg("-s")
            .arg("-C")
            .arg(&feed)
            .arg(format!("TOPDIR={}", build.display()))
            .arg(format!("PKG_INSTALL_DIR={}", build.display()))
            .arg(format!("ROOT={}", self.root.display()))
            .output()
            .expect(OWN);
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        self.libraries(binary);
        fs::remove_dir_all(&build).expect(OWN);
    }

    /// Puts a program of this machine there, with its libraries.
    fn program(&self, from: &Path, place: &str) {
        home::copy_program(from, &self.path(place));
        self.libraries(from);
    }

    fn libraries(&self, program: &Path) {
        let output = Command::new("ldd").arg(program).output().expect(OWN);
        let text = String::from_utf8_lossy(&output.stdout);
        for library in text.split_whitespace().filter(|word| word.starts_with('/')) {
            let place = self.path(library.trim_start_matches('/'));
            fs::create_dir_all(place.parent().expect(OWN)).expect(OWN);
            fs::copy(library, place).expect(OWN);
        }
    }

    /// Where that path of the router's is on this machine.
    pub fn path(&self, path: &str) -> PathBuf {
        self.root.join(path.trim_start_matches('/'))
    }

    pub fn write(&self, path: &str, text: &str, mode: u32) {
        let path = self.path(path);
        home::write(&path, text, mode);
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect(OWN);
    }

    /// What stands in a file; empty when there is none.
    pub fn read(&self, path: &str) -> String {
        fs::read_to_string(self.path(path)).unwrap_or_default()
    }

    /// What stands in a file since the last time.
    pub fn take(&self, path: &str) -> String {
        let text = self.read(path);
        let _ = fs::remove_file(self.path(path));
        text
    }

    /// Runs a line of shell on the router.
    pub fn run(&self, line: &str) -> Done {
        let output = Command::new("chroot")
            .arg(&self.root)
            .args(["/bin/ash", "-c", line])
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .stdin(Stdio::null())
            .output()
            .expect(OWN);
        Done {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Runs an action of the package's init script.
    pub fn service(&self, action: &str) -> Done {
        self.run(&format!("/etc/init.d/homing {action}"))
    }

    /// Writes `/etc/config/NAME`.
    pub fn configure(&self, name: &str, text: &str) {
        self.write(&format!("etc/config/{name}"), text, 0o600);
    }
}

fn which(program: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut places = std::env::split_paths(&path).map(|directory| directory.join(program));
    places.find(|place| place.exists()).expect(OWN)
}

impl Drop for Router {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let _ = fs::remove_dir_all(&self.root);
        }
    }
}
