//! Confinement by the kernel's Landlock: the daemon does all of its work, and nothing else.
#![expect(clippy::unwrap_used, reason = "a step of a test that fails is the test's failure")]
#![cfg(target_os = "linux")]

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::Command;
use std::thread;

use crate::support::{home, netns, sandbox};
use home::{Daemon, Home, Signal, wait_until};
use homing::confine::Confinement;
use netns::{in_namespace, ip, skip};
use sandbox::{Account, Sandbox};

const HOST: &str = "dev1.dyn.example.com";

/// A sandbox without limits of pace, and a home with a host whose address is in the file `address`.
fn set_up() -> (Sandbox, Home) {
    let mut account = Account::new("owner@example.com");
    account.throttled = false;
    account.add_zone("dyn.example.com");
    account.add_host_token("dev1", "s3cret-of-dev1", &[HOST]).unwrap();
    let sandbox = Sandbox::start(account).unwrap();
    let home = Home::new(&config(&sandbox, "address"));
    home.secret("token", "s3cret-of-dev1");
    home.write("address", "198.51.100.1\n", 0o644);
    (sandbox, home)
}

fn config(sandbox: &Sandbox, file: &str) -> String {
    format!(
        "[provider.sandbox]\nprotocol = \"desec\"\nserver = \"{}\"\npace = \"off\"\n\n\
         [source.file]\nfile = \"{file}\"\nallow-private = true\n\n\
         [[host]]\nname = \"{HOST}\"\nprovider = \"sandbox\"\ntoken-file = \"token\"\n\
         ipv4 = \"file\"\nipv6 = \"off\"\n",
        sandbox.url()
    )
}

/// Whether the kernel has Landlock; without it a test says that it is skipped.
#[track_caller]
fn has_landlock(test: &str) -> bool {
    let ran = Home::new(&hosts_file("")).run(&["check"]);
    let has = !ran.out.contains("Landlock is turned off") && !ran.out.contains("has no Landlock");
    if !has {
        skip(test, "needs a kernel with Landlock");
    }
    has
}

/// A host that is kept in the file `hosts`, with `more` beside it.
fn hosts_file(more: &str) -> String {
    format!(
        "[source.here]\nstatic = \"198.51.100.7\"\nallow-private = true\n\n\
         [[host]]\nname = \"a.example\"\nprovider = \"hosts-file\"\npath = \"hosts\"\n\
         ipv4 = \"here\"\nipv6 = \"off\"\n{more}"
    )
}

/// A directory that no configuration names, removed with its home.
fn elsewhere() -> Home {
    let home = Home::new("");
    home.secret("token", "s3cret-of-dev1");
    home.write("address", "198.51.100.66\n", 0o644);
    home
}

#[track_caller]
fn wait_for_address(sandbox: &Sandbox, daemon: &Daemon, address: &str) {
    wait_until("update", || sandbox.records(HOST, "A") == [address], || daemon.log());
}

/// Lets the file `name` of `home` be replaced by one with `text`, as editors and tools do.
fn replace(home: &Home, name: &str, text: &str) {
    home.write("new", text, 0o600);
    fs::rename(home.path("new"), home.path(name)).unwrap();
}

#[test]
fn a_confined_daemon_does_all_of_its_work() {
    if !has_landlock("a_confined_daemon_does_all_of_its_work") {
        return;
    }
    let (sandbox, home) = set_up();
    let daemon = home.daemon();
    daemon.wait_for("running in a sandbox landlock=");
    wait_for_address(&sandbox, &daemon, "198.51.100.1");
    assert!(home.read("state/state.json").contains("198.51.100.1"));

    // A new token and a new address, each by a new file in the place of the old one.
    let rotate = |account: &mut Account| {
        account.tokens.clear();
        account.add_host_token("dev1", "an0ther-of-dev1", &[HOST]).unwrap();
    };
    sandbox.with_account(rotate);
    replace(&home, "token", "an0ther-of-dev1\n");
    replace(&home, "address", "198.51.100.2\n");
    daemon.signal(Signal::USR1);
    wait_for_address(&sandbox, &daemon, "198.51.100.2");

    // A host more in the directories that are known, and one that is kept in a file here.
    let more = "\n[[host]]\nname = \"b.example\"\nprovider = \"hosts-file\"\npath = \"state/hosts\"\n\
                ipv4 = \"file\"\nipv6 = \"off\"\n";
    let config = home.read("config.toml");
    replace(&home, "config.toml", &format!("{config}{more}"));
    daemon.signal(Signal::HUP);
    daemon.wait_for("configuration read again");
    wait_until("line", || home.read("state/hosts").contains("b.example"), || daemon.log());
    replace(&home, "address", "198.51.100.3\n");
    daemon.signal(Signal::USR1);
    wait_until("line", || home.read("state/hosts").contains("100.3"), || daemon.log());
    assert!(!daemon.log().contains("restart needed"), "{}", daemon.log());
    daemon.signal(Signal::TERM);
    assert_eq!(daemon.end().0, 0);
}

#[test]
fn a_run_of_once_is_confined_as_well() {
    if !has_landlock("a_run_of_once_is_confined_as_well") {
        return;
    }
    let (sandbox, home) = set_up();
    let ran = home.run(&["--once", "-v"]);
    assert_eq!(ran.code, 0, "{ran:#?}");
    assert!(ran.err.contains("running in a sandbox landlock="), "{}", ran.err);
    assert_eq!(sandbox.records(HOST, "A"), ["198.51.100.1"]);
    let ran = home.once();
    assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{ran:#?}");
}

/// Runs `work` on a thread that is confined to the needs of the configuration of `home`.
fn confined<T: Send>(home: &Home, work: impl FnOnce() -> T + Send) -> T {
    let (path, state) = (home.path("config.toml"), home.path("state"));
    fs::create_dir_all(&state).unwrap();
    let on_a_thread = || {
        let config = homing::config::load(&path).unwrap();
        let _confinement = Confinement::begin(&config, &state);
        work()
    };
    thread::scope(|scope| scope.spawn(on_a_thread).join().unwrap())
}

#[track_caller]
fn refused<T>(result: std::io::Result<T>) {
    assert_eq!(result.err().map(|error| error.kind()), Some(ErrorKind::PermissionDenied));
}

#[test]
fn files_elsewhere_are_neither_read_nor_written_nor_run() {
    if !has_landlock("files_elsewhere_are_neither_read_nor_written_nor_run") {
        return;
    }
    let (_sandbox, home) = set_up();
    let elsewhere = elsewhere();
    symlink(elsewhere.path("token"), home.path("link")).unwrap();
    confined(&home, || {
        assert!(fs::read(home.path("token")).is_ok());
        fs::write(home.path("state/new"), "text").unwrap();
        fs::rename(home.path("state/new"), home.path("state/old")).unwrap();
        fs::write(home.path("state/old"), "other").unwrap();
        fs::remove_file(home.path("state/old")).unwrap();
        assert!(fs::read_to_string("/etc/hosts").is_ok(), "names are still looked up");

        refused(fs::read(elsewhere.path("token")));
        refused(fs::read(home.path("link")));
        refused(fs::read_dir(elsewhere.path("")));
        refused(fs::write(elsewhere.path("new"), "text"));
        refused(fs::remove_file(elsewhere.path("token")));
        refused(File::options().write(true).truncate(true).open(home.path("token")));
        refused(fs::write(home.path("new"), "text"));
        refused(fs::remove_file(home.path("token")));
        refused(fs::create_dir(home.path("state/directory")));
        refused(symlink("/etc/shadow", home.path("state/link")));
        assert!(fs::rename(home.path("token"), home.path("state/token")).is_err());
        refused(fs::read_to_string("/proc/self/status"));
        refused(Command::new("/bin/true").status());
        refused(Command::new("/bin/sh").args(["-c", "true"]).status());
    });
    assert!(fs::read(elsewhere.path("token")).is_ok(), "the other threads are no sandbox");
}

#[test]
fn ports_that_are_not_in_use_are_neither_connected_to_nor_taken() {
    if !has_landlock("ports_that_are_not_in_use_are_neither_connected_to_nor_taken") {
        return;
    }
    let (sandbox, home) = set_up();
    let server: SocketAddr = sandbox.url().strip_prefix("http://").unwrap().parse().unwrap();
    let other = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let listens = TcpListener::bind("127.0.0.1:0").unwrap();
    confined(&home, || {
        assert!(TcpStream::connect(server).is_ok());
        let not_there = TcpStream::connect("127.0.0.1:53").map(drop);
        assert_ne!(not_there.map_err(|error| error.kind()), Err(ErrorKind::PermissionDenied));
        refused(TcpStream::connect(listens.local_addr().unwrap()));
        assert!(TcpListener::bind("127.0.0.1:0").is_ok(), "as a socket that is going to connect");
        refused(TcpListener::bind(other));
        assert!(UdpSocket::bind("127.0.0.1:0").unwrap().send_to(b"x", other).is_ok());
    });
    assert!(TcpStream::connect(listens.local_addr().unwrap()).is_ok());
}

#[test]
fn a_reload_that_needs_another_directory_keeps_the_old_configuration() {
    if !has_landlock("a_reload_that_needs_another_directory_keeps_the_old_configuration") {
        return;
    }
    let (sandbox, home) = set_up();
    let elsewhere = elsewhere();
    let daemon = home.daemon();
    wait_for_address(&sandbox, &daemon, "198.51.100.1");
    let forbidden = elsewhere.path("address");
    let old = home.read("config.toml");
    home.configure(&config(&sandbox, forbidden.to_str().unwrap()));
    daemon.signal(Signal::HUP);
    daemon.wait_for("restart needed: the Landlock sandbox does not allow");
    let directory = fs::canonicalize(elsewhere.path("")).unwrap();
    daemon.wait_for(&format!("lacking=\"reads {}\"", directory.display()));
    assert!(!daemon.log().contains("configuration read again"), "{}", daemon.log());
    replace(&home, "address", "198.51.100.4\n");
    daemon.signal(Signal::USR1);
    wait_for_address(&sandbox, &daemon, "198.51.100.4");

    // So does a reload with another port, with a program, or with a file to write.
    let port = old.replace(&sandbox.url(), "http://127.0.0.1:1");
    let source = old.replace("file = \"address\"", "command = [\"/bin/echo\", \"198.51.100.9\"]");
    let hook = format!("{old}on-change = [\"/bin/true\"]\n");
    for (config, lacking) in [
        (port, "lacking=\"connects to TCP port 1\""),
        (source, "lacking=\"the command of the source file"),
        (hook, "lacking=\"the on-change program of dev1.dyn.example.com"),
        (format!("{old}\n{}", hosts_file("")), "lacking=\"writes "),
    ] {
        replace(&home, "config.toml", &config);
        daemon.signal(Signal::HUP);
        daemon.wait_for(lacking);
    }
    assert!(!daemon.log().contains("configuration read again"), "{}", daemon.log());

    // What fits is taken, and a restart takes the rest.
    replace(&home, "config.toml", &old);
    daemon.signal(Signal::HUP);
    daemon.wait_for("configuration read again");
    drop(daemon);
    home.configure(&config(&sandbox, forbidden.to_str().unwrap()));
    let daemon = home.daemon();
    wait_for_address(&sandbox, &daemon, "198.51.100.66");
}

#[test]
fn a_link_that_leads_elsewhere_after_the_start_is_told_in_words() {
    if !has_landlock("a_link_that_leads_elsewhere_after_the_start_is_told_in_words") {
        return;
    }
    let (sandbox, home) = set_up();
    let elsewhere = elsewhere();
    let daemon = home.daemon();
    wait_for_address(&sandbox, &daemon, "198.51.100.1");
    for name in ["token", "address"] {
        fs::remove_file(home.path(name)).unwrap();
        symlink(elsewhere.path(name), home.path(name)).unwrap();
    }
    daemon.signal(Signal::USR1);
    daemon.wait_for(
        "restart needed: the Landlock sandbox allows only what Homing needed at its \
        start",
    );
    let directory = fs::canonicalize(elsewhere.path("")).unwrap();
    daemon.wait_for(&format!("lacking=\"reads {}\" fix=\"restart Homing\"", directory.display()));
    daemon.wait_for("Permission denied");
    for _ in 0..2 {
        daemon.signal(Signal::USR1);
        thread::sleep(std::time::Duration::from_millis(300));
    }
    assert_eq!(daemon.log().matches("restart needed").count(), 1, "{}", daemon.log());
    assert!(!daemon.log().contains("s3cret"), "{}", daemon.log());
    drop(daemon);
    let daemon = home.daemon();
    wait_for_address(&sandbox, &daemon, "198.51.100.66");
}

#[test]
fn a_directory_that_was_made_anew_is_told_in_words() {
    if !has_landlock("a_directory_that_was_made_anew_is_told_in_words") {
        return;
    }
    let (sandbox, home) = set_up();
    fs::create_dir(home.path("keys")).unwrap();
    fs::rename(home.path("token"), home.path("keys/token")).unwrap();
    let settled = Home::new("");
    let config = home.read("config.toml").replace("\"token\"", "\"keys/token\"");
    // So that the directory of the configuration does not open what is below it.
    settled.configure(&config.replace("\"keys/", &format!("\"{}/", home.path("keys").display())));
    settled.write("address", "198.51.100.1\n", 0o644);
    let daemon = settled.daemon();
    wait_for_address(&sandbox, &daemon, "198.51.100.1");
    fs::rename(home.path("keys"), home.path("old")).unwrap();
    fs::create_dir(home.path("keys")).unwrap();
    fs::copy(home.path("old/token"), home.path("keys/token")).unwrap();
    daemon.signal(Signal::USR1);
    daemon.wait_for("restart needed: the Landlock sandbox allows only");
    daemon.wait_for("/keys\" fix=\"restart Homing\"");
    // A reload cannot mend that, and is not refused for it; only what it would add is a reason.
    let old = settled.read("config.toml");
    let elsewhere = elsewhere();
    let forbidden = elsewhere.path("address");
    replace(&settled, "config.toml", &old.replace("\"address\"", &format!("{forbidden:?}")));
    daemon.signal(Signal::HUP);
    let directory = fs::canonicalize(elsewhere.path("")).unwrap();
    let lacking = format!("lacking=\"reads {}\"", directory.display());
    daemon.wait_for("restart needed: the Landlock sandbox does not allow");
    daemon.wait_for(&lacking);
    assert!(!daemon.log().contains("configuration read again"), "{}", daemon.log());
    replace(&settled, "config.toml", &old);
    daemon.signal(Signal::HUP);
    daemon.wait_for("configuration read again");
}

#[test]
fn what_comes_after_the_start_is_read() {
    let test = "what_comes_after_the_start_is_read";
    if !has_landlock(test) {
        return;
    }
    in_namespace(test, || {
        ip("link set lo up");
        let (sandbox, home) = set_up();
        let outside = Home::new("");
        let [root, link] = ["media", "link"].map(|name| outside.path(name));
        let real = fs::canonicalize(outside.path("")).unwrap();
        fs::create_dir(&root).unwrap();
        outside.write("media/other", "not empty\n", 0o644);
        symlink("media/late/deep", &link).unwrap();
        let mount = |at: &Path| {
            let mut mount = Command::new("mount");
            let status = mount.args(["-t", "tmpfs", "tmpfs"]).arg(at).status().unwrap();
            assert!(status.success(), "{}", at.display());
        };
        let late = root.join("late/deep");
        // Made later, mounted later on a directory that is made later, mounted on an empty one, and
        // where a link leads to by then.
        for (last, (file, is_there, is_mounted)) in [
            (late.join("address"), false, false),
            (late.join("address"), false, true),
            (late.join("address"), true, true),
            (link.join("address"), false, false),
        ]
        .into_iter()
        .enumerate()
        {
            if is_there {
                fs::create_dir_all(&late).unwrap();
            }
            let address = format!("198.51.100.{}", 30 + last);
            home.configure(&config(&sandbox, file.to_str().unwrap()));
            let wide = if is_there { "media/late" } else { "media" };
            let told = format!(
                "the sandbox may read everything below {0}/{wide}, because \
                    {0}/media/late/deep does not exist yet",
                real.display()
            );
            let checked = home.run(&["check"]);
            assert!(checked.out.contains(&told), "{checked:#?}");
            let daemon = home.daemon();
            daemon.wait_for(&told);
            daemon.wait_for("no address found");
            fs::create_dir_all(&late).unwrap();
            if is_mounted {
                mount(&late);
            }
            fs::write(late.join("address"), &address).unwrap();
            daemon.signal(Signal::HUP);
            wait_for_address(&sandbox, &daemon, &address);
            assert!(!daemon.log().contains("restart needed"), "{}", daemon.log());
            // Killed twice before it has the answer, it waits with its next update.
            daemon.wait_for("updated");
            drop(daemon);
            let checked = home.run(&["check"]);
            assert!(!checked.out.contains("does not exist yet"), "{checked:#?}");
            if is_mounted {
                assert!(Command::new("umount").arg(&late).status().unwrap().success());
            }
            fs::remove_dir_all(root.join("late")).unwrap();
        }
    });
}

#[test]
fn a_link_is_followed_at_the_start_and_by_every_step() {
    if !has_landlock("a_link_is_followed_at_the_start_and_by_every_step") {
        return;
    }
    let (sandbox, home) = set_up();
    let (first, second) = (elsewhere(), elsewhere());
    // As a store of secrets does it: a link to a link, the second of which is replaced.
    fs::remove_file(home.path("token")).unwrap();
    fs::remove_file(first.path("token")).unwrap();
    symlink(first.path("token"), home.path("token")).unwrap();
    symlink(second.path("token"), first.path("token")).unwrap();
    let daemon = home.daemon();
    wait_for_address(&sandbox, &daemon, "198.51.100.1");
    replace(&first, "token", "s3cret-of-dev1\n");
    replace(&home, "address", "198.51.100.5\n");
    daemon.signal(Signal::USR1);
    wait_for_address(&sandbox, &daemon, "198.51.100.5");
    assert!(!daemon.log().contains("restart needed"), "{}", daemon.log());
}

#[test]
fn a_user_program_is_not_confined_and_neither_is_what_it_belongs_to() {
    let command = "[source.run]\ncommand = [\"/bin/echo\", \"198.51.100.8\"]\nallow-private = true\n\n\
                   [[host]]\nname = \"b.example\"\nprovider = \"hosts-file\"\npath = \"hosts\"\n\
                   ipv4 = \"run\"\nipv6 = \"off\"\n";
    for (more, why) in [
        (command, "the command of the source run would be limited, too"),
        (
            "on-change = [\"/bin/true\"]\n",
            "the on-change program of a.example would be limited, too",
        ),
    ] {
        let home = Home::new(&hosts_file(more));
        let checked = home.run(&["check"]);
        assert_eq!(checked.code, 0, "{checked:#?}");
        assert!(checked.out.contains(&format!("no sandbox: {why}\n")), "{}", checked.out);
        let daemon = home.daemon();
        daemon.wait_for(&format!("no sandbox why=\"{why}\""));
        wait_until("line", || home.read("hosts").contains("example"), || daemon.log());
        assert!(!privileges(&daemon).contains("NoNewPrivs:\t1"), "{}", privileges(&daemon));
        assert!(!daemon.log().contains("on-change failed"), "{}", daemon.log());
    }
}

/// What the kernel shows of the daemon's process.
fn privileges(daemon: &Daemon) -> String {
    fs::read_to_string(format!("/proc/{}/status", daemon.pid())).unwrap()
}

#[test]
fn under_systemd_the_unit_confines() {
    let home = Home::new(&hosts_file(""));
    // systemd.exec(5): the number of the very process that systemd has started.
    let script = "export SYSTEMD_EXEC_PID=$$; exec \"$@\"";
    for (script, is_confined) in [(script, false), ("export SYSTEMD_EXEC_PID=1; exec \"$@\"", true)]
    {
        let homing = home.command(&["check"]);
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", script, "sh"]).arg(homing.get_program()).args(homing.get_args());
        let ran = home::Ran::from(shell.env_remove("NOTIFY_SOCKET").output().unwrap());
        let says = ran.out.contains("no sandbox: systemd sandboxes the service\n");
        assert_eq!(!says, is_confined, "{ran:#?}");
    }
}

#[test]
fn a_supervisor_confines_only_if_it_is_systemd() {
    let test = "a_supervisor_confines_only_if_it_is_systemd";
    if !has_landlock(test) {
        return;
    }
    in_namespace(test, || {
        let home = Home::new(&hosts_file(""));
        let mut mount = Command::new("mount");
        assert!(mount.args(["-t", "tmpfs", "tmpfs", "/run"]).status().unwrap().success());
        let name = format!("homing-test-{}", std::process::id());
        let address = std::os::unix::net::SocketAddr::from_abstract_name(&name).unwrap();
        let (with_file, without) = (home.path("notify"), format!("@{name}"));
        let ears = [
            (UnixDatagram::bind(&with_file).unwrap(), with_file.to_str().unwrap()),
            (UnixDatagram::bind_addr(&address).unwrap(), &without),
        ];
        for (is_systemd, says) in [
            (false, "running in a sandbox landlock="),
            (true, "no sandbox why=\"systemd sandboxes the service\""),
        ] {
            if is_systemd {
                fs::create_dir_all("/run/systemd/system").unwrap();
            }
            for (ear, name) in &ears {
                let mut command = home.command(&["-v"]);
                command.env("NOTIFY_SOCKET", name);
                let daemon = home.daemon_of(command);
                daemon.wait_until(says, |log| log.contains(&format!("Z {says}")));
                daemon.wait_for("the round is over");
                ear.set_read_timeout(Some(netns::SOON)).unwrap();
                let mut bytes = [0; 512];
                let length = ear.recv(&mut bytes).unwrap();
                assert!(bytes[..length].starts_with(b"READY=1"), "{}", daemon.log());
                assert!(!daemon.log().contains("cannot be notified"), "{}", daemon.log());
                drop(daemon);
                ear.set_nonblocking(true).unwrap();
                while ear.recv(&mut bytes).is_ok() {}
                ear.set_nonblocking(false).unwrap();
                let mut check = home.command(&["check"]);
                let ran = home::Ran::from(check.env("NOTIFY_SOCKET", name).output().unwrap());
                let says = ran.out.contains("no sandbox: systemd sandboxes the service\n");
                assert_eq!(says, is_systemd, "{ran:#?}");
            }
        }
        let alone = home.run(&["check"]);
        assert!(alone.out.contains("sandbox (unless started by systemd)"), "{alone:#?}");
    });
}

#[test]
fn check_says_what_will_hold() {
    if !has_landlock("check_says_what_will_hold") {
        return;
    }
    let (sandbox, home) = set_up();
    let port = sandbox.url().rsplit(':').next().unwrap().to_owned();
    let ran = home.run(&["check"]);
    assert_eq!(ran.code, 0, "{ran:#?}");
    let line = ran.out.lines().find(|line| line.starts_with("sandbox")).unwrap();
    let real = fs::canonicalize(home.path("")).unwrap();
    assert!(line.contains(" (Landlock ABI "), "{line}");
    let path = real.display();
    assert!(line.contains(&format!(", {path}, ")), "{line}");
    assert!(line.contains(&format!("; writes {path}/state; ")), "{line}");
    assert!(line.contains("reads /etc, "), "{line}");
    if abi(line) >= 4 {
        let mut ports = [53, port.parse::<u16>().unwrap()];
        ports.sort_unstable();
        assert!(line.ends_with(&format!("TCP ports {}, {}", ports[0], ports[1])), "{line}");
    }
    assert!(!ran.out.contains("everything below"), "{}", ran.out);
    assert!(!home.path("state").exists(), "it looks and changes nothing");

    home.configure(&hosts_file("").replace("\"hosts\"", "\"/etc/homing-test.hosts\""));
    let ran = home.run(&["check"]);
    let told = "the sandbox may write everything below /etc, because a configured \
        file is in /etc itself";
    assert!(ran.out.contains(told), "{}", ran.out);
    home.configure(&format!(
        "[source.router]\ngateway = \"192.0.2.1\"\n\n{}",
        hosts_file("").replace("\"here\"", "\"router\"").replace("[source.here]", "[source.other]")
    ));
    let ran = home.run(&["check"]);
    assert!(ran.out.contains("; connects to any TCP port\n"), "{}", ran.out);
}

fn abi(line: &str) -> u32 {
    let rest = line.split("(Landlock ABI ").nth(1).unwrap();
    rest.split(')').next().unwrap().parse().unwrap()
}

#[test]
fn older_kernels_give_what_they_have() {
    let test = "older_kernels_give_what_they_have";
    if !has_landlock(test) {
        return;
    }
    let (sandbox, home) = set_up();
    let library = home.path("old_kernel.so");
    if !home::library("old_kernel.c", &library) {
        return skip(test, "needs a C compiler");
    }
    for (version, said) in [
        ("-1", "no sandbox why=\"the kernel has no Landlock\""),
        ("0", "no sandbox why=\"the kernel's Landlock is turned off\""),
        ("1", "; connects to any TCP port"),
        ("3", "; connects to any TCP port"),
        ("4", "; connects to TCP ports 53, "),
        ("99", "running in a sandbox landlock=99 "),
    ] {
        let with = |mut command: Command| {
            command.env("LD_PRELOAD", &library).env("HOMING_TEST_LANDLOCK", version);
            command
        };
        let daemon = home.daemon_of(with(home.command(&["-v"])));
        daemon.wait_for(said);
        let address = format!("198.51.100.1{}", version.trim_start_matches('-'));
        replace(&home, "address", &format!("{address}\n"));
        daemon.signal(Signal::USR1);
        wait_for_address(&sandbox, &daemon, &address);
        let checked = home::Ran::from(with(home.command(&["check"])).output().unwrap());
        assert_eq!(checked.code, 0, "{checked:#?}");
        let what = match version.parse::<u32>() {
            Ok(4..) => format!("sandbox (Landlock ABI {version}): reads "),
            Ok(1..) => {
                format!("sandbox (Landlock ABI {version}, which cannot limit ports): reads ")
            }
            _ => "no sandbox: the kernel".to_owned(),
        };
        assert!(
            checked.out.replace(" (unless started by systemd)", "").contains(&what),
            "{checked:#?}"
        );
    }
}

/// A resolver at `at` that knows every name: all but `whoami.example.net` lead to itself.
fn resolver(at: Ipv4Addr, whoami: Ipv4Addr) {
    let socket = UdpSocket::bind((at, 53)).unwrap();
    thread::spawn(move || {
        let mut buffer = [0; 512];
        while let Ok((length, from)) = socket.recv_from(&mut buffer) {
            let Some(answer) = answer(&buffer[..length], at, whoami) else { continue };
            let _ = socket.send_to(&answer, from);
        }
    });
}

/// The answer to a query (RFC 1035, section 4.1) with one address, if it is asked for that.
fn answer(query: &[u8], own: Ipv4Addr, whoami: Ipv4Addr) -> Option<Vec<u8>> {
    let end = 12 + query.get(12..)?.iter().position(|byte| *byte == 0)? + 1;
    let question = query.get(12..end + 4)?;
    let is_a = query[end..end + 2] == [0, 1];
    let address = if question.starts_with(b"\x06whoami") { whoami } else { own };
    let mut answer = query[..2].to_vec();
    answer.extend([0x85, 0x80, 0, 1, 0, u8::from(is_a), 0, 0, 0, 0]);
    answer.extend(question);
    if is_a {
        answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4]);
        answer.extend(address.octets());
    }
    Some(answer)
}

#[test]
fn names_are_looked_up_by_the_resolver_that_is_named_now() {
    let test = "names_are_looked_up_by_the_resolver_that_is_named_now";
    if !has_landlock(test) {
        return;
    }
    in_namespace(test, || {
        ip("link set lo up");
        let (sandbox, home) = set_up();
        // `ip netns exec` gives its own mounts, but for files that it has put over those in /etc.
        let etc = netns::own_etc(&home);
        let name = |nameserver: Ipv4Addr| {
            let mut new = File::create(etc.join("resolv.conf.new")).unwrap();
            writeln!(new, "nameserver {nameserver}\noptions timeout:1 attempts:1").unwrap();
            fs::rename(etc.join("resolv.conf.new"), etc.join("resolv.conf")).unwrap();
        };
        // Not 127.0.0.1, which is asked where there is no resolv.conf.
        let [first, second] = [2, 3].map(|last| Ipv4Addr::new(127, 0, 0, last));
        resolver(first, Ipv4Addr::new(198, 51, 100, 21));
        resolver(second, Ipv4Addr::new(198, 51, 100, 22));
        name(first);
        let source = "dns = [{ server = \"ns.example.net\", name = \"whoami.example.net\" }]";
        let config = home.read("config.toml").replace("file = \"address\"", source);
        home.configure(&config.replace("127.0.0.1", "localhost"));
        let daemon = home.daemon();
        daemon.wait_for("running in a sandbox landlock=");
        wait_for_address(&sandbox, &daemon, "198.51.100.21");
        name(second);
        daemon.signal(Signal::USR1);
        wait_for_address(&sandbox, &daemon, "198.51.100.22");
        assert!(!daemon.log().contains("restart needed"), "{}", daemon.log());

        // A resolver elsewhere is told, because rules for its directory come too late.
        let elsewhere = elsewhere();
        elsewhere.write("resolv.conf", "nameserver 127.0.0.2\n", 0o644);
        fs::remove_file(etc.join("resolv.conf")).unwrap();
        symlink(elsewhere.path("resolv.conf"), etc.join("resolv.conf")).unwrap();
        daemon.signal(Signal::USR1);
        let directory = fs::canonicalize(elsewhere.path("")).unwrap();
        daemon.wait_for(&format!("lacking=\"reads {}\"", directory.display()));
    });
}

#[test]
fn too_few_descriptors_confine_nobody_rather_than_lock_homing_out() {
    let test = "too_few_descriptors_confine_nobody_rather_than_lock_homing_out";
    if !has_landlock(test) {
        return;
    }
    let (sandbox, home) = set_up();
    let (mut confined, mut refused) = (0, 0);
    for descriptors in 10..30 {
        let limited = format!("ulimit -n {descriptors}; exec \"$0\" \"$@\"");
        let own = home.command(&["-v"]);
        let mut command = Command::new("sh");
        command.args(["-c", &limited]).arg(own.get_program()).args(own.get_args());
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
        let daemon = home.daemon_of(command);
        // With the fewest, it cannot even begin.
        let is_over = |log: &str| log.contains("the round is over") || log.contains("homing: ");
        daemon.wait_until("end of the round", is_over);
        let log = daemon.log();
        if log.contains("running in a sandbox landlock=") {
            confined += 1;
            assert!(!log.contains("ermission denied"), "{descriptors} descriptors: {log}");
        } else if log.contains("no sandbox") {
            refused += 1;
        }
    }
    assert!(confined > 0 && refused > 0, "{confined} {refused}");
    assert_eq!(sandbox.records(HOST, "A"), ["198.51.100.1"]);
}

#[test]
fn a_state_directory_that_was_made_anew_is_told_with_the_fix() {
    if !has_landlock("a_state_directory_that_was_made_anew_is_told_with_the_fix") {
        return;
    }
    let (sandbox, home) = set_up();
    // So that the directory of the configuration does not open what is below it.
    let elsewhere = Home::new("");
    let state = elsewhere.path("state");
    let daemon = home.daemon_with(&["-v", "--state-dir", state.to_str().unwrap()]);
    wait_for_address(&sandbox, &daemon, "198.51.100.1");
    daemon.wait_until("end of the round", |log| log.contains("the round is over"));
    let removed = || fs::remove_dir_all(&state).is_ok();
    wait_until("removal", removed, || daemon.log());
    fs::create_dir(&state).unwrap();
    replace(&home, "address", "198.51.100.2\n");
    daemon.signal(Signal::USR1);
    daemon.wait_for("restart needed: the Landlock sandbox allows only");
    daemon.wait_for(&format!("restart Homing if {} was made anew", state.display()));
    assert!(!daemon.log().contains("sudo -u"), "{}", daemon.log());
    drop(daemon);
    // Whoever has a service manager leaves the restart to it.
    let supervised = || {
        let mut command = home.command(&["-v", "--state-dir", state.to_str().unwrap()]);
        command.env("NOTIFY_SOCKET", "@homing-test-nobody-listens");
        home.daemon_of(command)
    };
    let daemon = supervised();
    wait_for_address(&sandbox, &daemon, "198.51.100.2");
    daemon.wait_until("end of the round", |log| log.contains("the round is over"));
    wait_until("removal", removed, || daemon.log());
    fs::create_dir(&state).unwrap();
    replace(&home, "address", "198.51.100.3\n");
    daemon.signal(Signal::USR1);
    daemon.wait_for("stopping, so that the service manager restarts Homing");
    assert_eq!(daemon.end().0, 75);
    wait_for_address(&sandbox, &supervised(), "198.51.100.3");
}
