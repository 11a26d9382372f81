//! The package for OpenWrt: settings from UCI to TOML, the service, and the way from ddns-scripts.
//!
//! The package's own scripts run as they are, by busybox. What they ask of procd is recorded by a
//! stand-in; everything else is real.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use crate::support::router;
use router::{Done, Router, busybox, has, package, skip};
use toml::de::{DeTable, DeValue};

/// A host that is complete.
const HOST: &str = "config host 'dev1'\n\toption name 'dev1.dyn.example.com'\n\
                    \toption provider 'desec'\n\toption token 'secret-of-dev1'\n";
/// The service switched on.
const ON: &str = "config homing 'main'\n\toption enabled '1'\n";

/// `text` in the quotes of `uci export`.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

fn text(path: &Path) -> &str {
    path.to_str().expect("the path is UTF-8")
}

/// What the converter makes of what `uci export` prints: the configuration, or the complaints.
fn converted(export: &[u8]) -> Result<String, String> {
    let files = package().join("files");
    let (uci, toml) = (files.join("uci.awk"), files.join("toml.awk"));
    let arguments = ["awk", "-f", text(&uci), "-f", text(&toml)];
    let output = busybox(&arguments, export, &[]);
    let (out, err) = (String::from_utf8(output.stdout), String::from_utf8_lossy(&output.stderr));
    if output.status.success() {
        assert_eq!(err, "", "complaints, and a configuration all the same");
        return Ok(out.expect("the configuration is UTF-8"));
    }
    assert_eq!(out.as_deref(), Ok(""), "a configuration, and complaints");
    Err(err.into_owned())
}

/// The value at `section[0].key` of that TOML.
fn value_of<'a>(document: &'a DeTable<'a>, section: &str, key: &str) -> &'a DeValue<'a> {
    let blocks = document.get(section).expect("there is such a section").get_ref();
    let block = match blocks {
        DeValue::Array(blocks) => blocks[0].get_ref().as_table(),
        _ => blocks.as_table(),
    };
    let block = block.expect("a section is a table");
    block.get(key).unwrap_or_else(|| panic!("no {key} in {block:?}")).get_ref()
}

/// What a line of a host becomes.
#[track_caller]
fn becomes(option: &str, line: &str) {
    let made = converted(format!("{HOST}\t{option}\n").as_bytes()).expect("the option is right");
    assert!(made.lines().any(|made| made == line), "{option}: {made}");
}

/// What is said of a line of a host, and that nothing is made of it.
#[track_caller]
fn complains(option: &str, complaint: &str) {
    let said =
        converted(format!("{HOST}\t{option}\n").as_bytes()).expect_err("the option is wrong");
    assert!(said.starts_with(complaint), "{option}: {said}");
}

/// Numbers that look random and are the same in every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, most: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from((self.0 >> 33) % most as u64).expect("below most")
    }
}

#[test]
fn any_text_survives_the_way_from_uci_to_toml() {
    if !has("busybox") {
        return skip("any_text_survives_the_way_from_uci_to_toml", "needs busybox");
    }
    let pieces = [
        "'",
        "\"",
        "\\",
        "`id`",
        "$(touch /tmp/evaluated)",
        "${HOME}",
        "\n",
        "\t",
        "\r",
        "%s%n",
        "*",
        "?",
        "[[host]]",
        "--",
        "-e",
        "#",
        ";",
        "&",
        "|",
        ">",
        " ",
        "=",
        "'''",
        "\"\"\"",
        "\\u0041",
        "\\n",
        "option x 'y'",
        "\nconfig host 'x'\n",
        "]",
        "\u{1}",
        "\u{8}",
        "\u{c}",
        "\u{1b}",
        "\u{7f}",
        "\u{85}",
        "é",
        "\u{7ff}",
        "\u{800}",
        "漢",
        "\u{d7ff}",
        "\u{e000}",
        "\u{feff}",
        "\u{ffff}",
        "😀",
        "\u{10ffff}",
        "plain",
        "0",
        "/",
        "~",
        "!",
    ];
    let mut dice = Dice(20_261_122);
    let mut values: Vec<String> = pieces.iter().map(|piece| (*piece).to_owned()).collect();
    for _ in 0..400 {
        let length = 1 + dice.below(9);
        values.push((0..length).map(|_| pieces[dice.below(pieces.len())]).collect());
    }
    // As scalars and as elements of a list, both.
    let mut export = format!("package homing\n\n{HOST}");
    for value in &values {
        export.push_str(&format!("\tlist on_change {}\n", quoted(value)));
    }
    for value in &values {
        export.push_str(&format!("\nconfig host\n\toption username {}\n", quoted(value)));
    }
    let jail = "\nconfig homing 'main'\n\toption jail '0'\n";
    let made = converted(format!("{export}{jail}").as_bytes()).unwrap();
    let document = DeTable::parse(&made).unwrap();
    let list = value_of(document.get_ref(), "host", "on-change").as_array().unwrap();
    let list: Vec<_> = list.iter().map(|value| value.get_ref().as_str().unwrap()).collect();
    assert_eq!(list, values);
    let hosts = document.get_ref().get("host").unwrap().get_ref().as_array().unwrap();
    let names: Vec<_> = hosts[1..]
        .iter()
        .map(|host| host.get_ref().get("username").unwrap().get_ref().as_str().unwrap())
        .collect();
    assert_eq!(names, values);
}

#[test]
fn what_is_not_utf_8_is_refused_by_its_name() {
    if !has("busybox") {
        return skip("what_is_not_utf_8_is_refused_by_its_name", "needs busybox");
    }
    let wrong: [&[u8]; 10] = [
        b"\xff",
        b"a\x80",
        b"\xc3",
        b"\xc0\xaf",
        b"\xe0\x80\x80",
        b"\xed\xa0\x80",
        b"\xf0\x80\x80\x80",
        b"\xf4\x90\x80\x80",
        b"\xe6\xbc",
        b"\xf5\x80\x80\x80",
    ];
    for text in wrong {
        let mut export = b"config host 'dev1'\n\toption username '".to_vec();
        export.extend_from_slice(text);
        export.extend_from_slice(b"'\n");
        let said = converted(&export).unwrap_err();
        let expect = "homing.dev1.username is not UTF-8 text; write it anew in UTF-8\n";
        assert_eq!(said, expect, "{text:?}");
    }
}

#[test]
fn options_become_what_their_keys_want() {
    if !has("busybox") {
        return skip("options_become_what_their_keys_want", "needs busybox");
    }
    for word in ["1", "on", "true", "yes", "enabled"] {
        becomes(&format!("option strict_token '{word}'"), "strict-token = true");
    }
    for word in ["0", "off", "false", "no", "disabled"] {
        becomes(&format!("option strict_token '{word}'"), "strict-token = false");
    }
    becomes("option ttl '060'", "ttl = 60");
    becomes("option refresh '20d'", "refresh = \"20d\"");
    becomes("list verify_servers 'ns1.example.net'", "verify-servers = \"ns1.example.net\"");
    becomes("list on_change '/usr/libexec/notify'", "on-change = [\"/usr/libexec/notify\"]");
    // To UCI, what is empty is not there.
    let made = converted(format!("{HOST}\toption zone ''\n").as_bytes()).unwrap();
    assert!(!made.contains("zone"), "{made}");
}

#[test]
fn what_cannot_be_meant_is_told_with_its_place() {
    if !has("busybox") {
        return skip("what_cannot_be_meant_is_told_with_its_place", "needs busybox");
    }
    complains(
        "option tokem 'x'",
        "homing.dev1.tokem is not an option of `config host`; there are:",
    );
    complains("option verify 'maybe'", "homing.dev1.verify is neither on nor off");
    complains("option ttl '1e3'", "homing.dev1.ttl is not a whole number");
    complains("option ttl '-5'", "homing.dev1.ttl is not a whole number");
    complains("list zone 'a.example'\n\tlist zone 'b.example'", "homing.dev1.zone takes one value");
    complains("option path 'relative'", "homing.dev1.path is not a whole path");
    complains("option path '/tmp/a b/x'", "homing.dev1.path holds a blank");
    complains("option path '/tmp/x'", "homing.dev1.path lies in a directory that others share");
    complains("option path '/etc/config/x'", "homing.dev1.path lies in a directory that others");
    complains("option on_change '/bin/x y'", "homing.dev1.on_change holds blanks");
    // To procd, each of these is one path.
    let alike = "homing.dev1.path differs from another path in the jail only by";
    complains("option token_file '/tmp/wan-1/x'\n\toption path '/tmp/wan_1/y'", alike);
    complains("option path '/etc/homing-state/x'", alike);
    complains("option path '/var/run-homing/x'", alike);
    complains(
        "\nconfig homing 'main'\n\toption state_dir '/etc-hosts'",
        "homing.main.state_dir differs from another path",
    );
    complains("\nconfig hots 'x'", "homing.x is of no type that Homing knows");
    complains("\nconfig homing 'a'\n\nconfig homing 'b'", "homing.b is a second `config homing`");
    complains("\nconfig source 'cfg0a1b2c'", "homing.@source[0] has no name");
    // All at once, and no value among them.
    let several = "option tokem 'hidden'\n\toption verify 'maybe'\n\toption ttl 'hidden'";
    let said = converted(format!("{HOST}\t{several}\n").as_bytes()).unwrap_err();
    assert_eq!(said.lines().count(), 3, "{said}");
    assert!(!said.contains("hidden"), "{said}");
    assert!(converted(b"package homing\n").unwrap_err().starts_with("homing: no host is enabled"));
}

#[test]
fn without_a_jail_paths_may_lie_anywhere() {
    if !has("busybox") {
        return skip("without_a_jail_paths_may_lie_anywhere", "needs busybox");
    }
    let open = "\nconfig homing 'main'\n\toption jail '0'\n";
    let made = converted(format!("{HOST}\toption path '/tmp/a b'\n{open}").as_bytes()).unwrap();
    assert!(made.contains("path = \"/tmp/a b\"\n"), "{made}");
}

#[test]
fn the_scripts_are_right_for_busybox_and_shellcheck() {
    let test = "the_scripts_are_right_for_busybox_and_shellcheck";
    for program in ["busybox", "shellcheck"] {
        if !has(program) {
            return skip(test, &format!("needs {program}"));
        }
    }
    let scripts =
        ["init", "hotplug", "ntp", "uci-defaults"].map(|name| format!("files/homing.{name}"));
    for script in
        scripts.iter().map(String::as_str).chain(["files/from-ddns", "test.sh", "by-hand"])
    {
        let path = package().join(script);
        let syntax = busybox(&["ash", "-n", path.to_str().unwrap()], b"", &[]);
        assert!(syntax.status.success(), "{script}: {}", String::from_utf8_lossy(&syntax.stderr));
        let checked = Command::new("shellcheck").arg(&path).output().unwrap();
        assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stdout));
    }
}

#[test]
fn the_makefile_has_the_version_and_the_maintainer_of_the_program() {
    let makefile = fs::read_to_string(package().join("Makefile")).unwrap();
    let line = format!("PKG_VERSION:={}", env!("CARGO_PKG_VERSION"));
    assert!(makefile.lines().any(|found| found == line), "{line}");
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
    let manifest = fs::read_to_string(manifest).unwrap();
    let maintainer = manifest.lines().find_map(|line| line.strip_prefix("maintainer = "));
    let line = format!("PKG_MAINTAINER:={}", maintainer.unwrap().trim_matches('"'));
    assert!(makefile.lines().any(|found| found == line), "{line}");
}

#[test]
fn the_steps_of_the_readme_put_the_package_where_the_build_looks() {
    let test = "the_steps_of_the_readme_put_the_package_where_the_build_looks";
    let project = Path::new(env!("CARGO_MANIFEST_DIR"));
    if !(has("git") && has("make") && project.join(".git").exists()) {
        return skip(test, "needs git, make and a clone");
    }
    let readme = fs::read_to_string(package().join("README.md")).unwrap();
    let steps = readme.split("```sh\n").nth(1).unwrap().split("```").next().unwrap();
    let tree = std::env::temp_dir().join(format!("homing-openwrt-{}", std::process::id()));
    let _ = fs::remove_dir_all(&tree);
    for directory in ["feeds/packages/net", "feeds/luci/applications", "dl", "scripts"] {
        fs::create_dir_all(tree.join(directory)).unwrap();
    }
    let feeds = tree.join("scripts/feeds");
    fs::write(&feeds, "#!/bin/sh\n").unwrap();
    fs::set_permissions(&feeds, fs::Permissions::from_mode(0o755)).unwrap();
    let makefile = "package/homing/compile:\npackage/luci-app-homing/compile:\n";
    fs::write(tree.join("Makefile"), makefile).unwrap();
    let steps =
        steps.replace("/path/to/homing", text(project)).replace("/path/to/openwrt", text(&tree));
    let done = Command::new("sh").args(["-e", "-c", &steps]).current_dir("/").output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    assert!(tree.join("feeds/packages/net/homing/Makefile").exists());
    assert!(tree.join("feeds/luci/applications/luci-app-homing/Makefile").exists());
    // The build would take it for a package without its luci.mk.
    assert!(!tree.join("feeds/packages/net/homing/luci-app-homing").exists());
    let archive = tree.join(concat!("dl/homing-", env!("CARGO_PKG_VERSION"), ".tar.gz"));
    assert!(fs::metadata(archive).unwrap().len() > 0);
    fs::remove_dir_all(tree).unwrap();
}

/// The files and links of the package with their modes and contents, by their paths.
fn installed(router: &Router) -> BTreeMap<PathBuf, (u32, Vec<u8>)> {
    const READ: &str = "the router's files can be read";
    let mut found = BTreeMap::new();
    let mut open: Vec<_> = ["etc", "lib/upgrade", "usr"].map(|place| router.path(place)).into();
    while let Some(place) = open.pop() {
        for entry in fs::read_dir(place).expect(READ) {
            let path = entry.expect(READ).path();
            let metadata = fs::symlink_metadata(&path).expect(READ);
            if metadata.is_dir() {
                open.push(path);
                continue;
            }
            let content = if metadata.is_symlink() {
                fs::read_link(&path).expect(READ).into_os_string().into_encoded_bytes()
            } else {
                fs::read(&path).expect(READ)
            };
            found.insert(path, (metadata.mode() & 0o7777, content));
        }
    }
    found
}

#[test]
fn what_is_installed_by_hand_is_what_the_package_installs() {
    let test = "what_is_installed_by_hand_is_what_the_package_installs";
    let Some(router) = Router::new(test) else { return };
    let mut packaged = installed(&router);
    // OpenWrt removes it after the first start.
    assert!(packaged.remove(&router.path("etc/uci-defaults/95-homing")).is_some());
    let bytes = fs::read(router.path("usr/bin/homing")).unwrap();
    fs::write(router.path("tmp/program"), bytes).unwrap();
    let mut copy = Command::new("cp");
    copy.arg("-r").arg(package()).arg(router.path("tmp/homing"));
    assert!(copy.status().unwrap().success());

    let removed = router.run("/tmp/homing/by-hand --remove");
    assert_eq!((removed.code, &*removed.err), (0, ""), "{removed:?}");
    let settings = router.path("etc/config/homing");
    let left: Vec<_> = installed(&router).into_keys().filter(|path| named(path)).collect();
    assert_eq!(left, std::slice::from_ref(&settings));
    fs::remove_file(&settings).unwrap();
    router.write("etc/passwd", "root:x:0:0::/:/bin/ash\n", 0o644);
    router.write("etc/group", "root:x:0:\n", 0o644);

    let done = router.run("cd /tmp && homing/by-hand program");
    assert!(done.code == 0 && done.out.starts_with("installed: homing "), "{done:?}");
    for (file, user) in [("etc/passwd", "homing:x:468:468:"), ("etc/group", "homing:x:468:")] {
        assert_eq!(router.read(file).matches(user).count(), 1, "{file}");
        packaged.remove(&router.path(file));
    }
    let by_hand = installed(&router);
    for (path, file) in &packaged {
        assert!(by_hand.get(path) == Some(file), "{} differs", path.display());
    }
    let more = by_hand.keys().filter(|path| named(path) && !packaged.contains_key(*path));
    assert_eq!(more.count(), 0);

    // Once more, with settings that are somebody's.
    router.configure("homing", ON);
    let again = router.run("cd /tmp && homing/by-hand program");
    assert_eq!((again.code, router.read("etc/config/homing").as_str()), (0, ON), "{again:?}");
    assert_eq!(router.read("etc/passwd").matches("homing:x:").count(), 1);
    router.write("tmp/other", "not a program", 0o644);
    let other = router.run("cd /tmp && homing/by-hand other");
    assert!(other.code == 1 && other.err.contains("does not run on this router"), "{other:?}");
}

/// Whether a file is Homing's by its name or its directory's.
fn named(path: &Path) -> bool {
    let mut names = path.iter().rev().take(2);
    names.any(|name| name.to_str().is_some_and(|name| name.contains("homing")))
}

#[test]
fn the_feeds_test_passes_on_the_installed_package() {
    let Some(router) = Router::new("the_feeds_test_passes_on_the_installed_package") else {
        return;
    };
    let script = fs::read_to_string(package().join("test.sh")).unwrap();
    router.write("tmp/test.sh", &script, 0o755);
    let good = router.run(&format!("/tmp/test.sh homing {}", env!("CARGO_PKG_VERSION")));
    assert_eq!(good.code, 0, "{good:?}");
    assert_eq!(router.run("/tmp/test.sh homing 99.99.99").code, 1);
}

#[test]
fn nothing_runs_when_the_package_is_installed_and_not_configured() {
    let test = "nothing_runs_when_the_package_is_installed_and_not_configured";
    let Some(router) = Router::new(test) else { return };
    let metadata = fs::metadata(router.path("etc/config/homing")).unwrap();
    assert_eq!(metadata.mode() & 0o777, 0o600, "it will hold secrets");
    assert_eq!(router.service("start").code, 0);
    assert!(!router.read("tmp/procd").contains("open_instance"), "{}", router.read("tmp/procd"));
    assert!(router.read("tmp/log").contains("is switched off"), "{}", router.read("tmp/log"));
    // The triggers are there, so that the first right settings start it.
    assert!(router.read("tmp/procd").contains("add_reload_trigger [homing]"));
}

#[test]
fn every_setting_arrives_and_the_jail_shows_what_they_need() {
    let test = "every_setting_arrives_and_the_jail_shows_what_they_need";
    let Some(router) = Router::new(test) else { return };
    let every = include_str!("support/openwrt/every-setting.uci");
    router.run("mkdir -p /tmp/hosts /tmp/shared /tmp/reports; chown homing /tmp/hosts /tmp/shared /tmp/reports");
    router.run("mkdir -p /dev; : > /dev/log");
    router.configure("homing", every);
    let started = router.service("start");
    assert_eq!((started.code, &*router.read("tmp/log")), (0, ""), "{started:?}");
    let asked = router.read("tmp/procd");
    for line in [
        "add_jail [homing] [procfs] [ronly] [ubus] [log]",
        "add_jail_mount [/var/run/homing] [/etc/hosts]",
        "add_jail_mount [/etc/homing] [/tmp/wan] [/usr/libexec/wan-address] [/usr/libexec/tell] \
         [/usr/libexec/notify] [/usr/share/one] [/usr/share/two]",
        "add_jail_mount_rw [/etc/homing/elsewhere] [/tmp/reports] [/tmp/hosts] [/tmp/shared]",
    ] {
        assert!(asked.lines().any(|asked| asked == line), "{line}: {asked}");
    }
    // A key that the example lacks would not be known to be accepted.
    let table = fs::read_to_string(package().join("files/toml.awk")).unwrap();
    for line in table.lines().filter_map(|line| line.trim().strip_prefix("keys(\"")) {
        let words = line.split('"').nth(4).unwrap();
        for option in words.split(' ').map(|word| word.replace('-', "_")) {
            let is_there = |line: &str| line.split_whitespace().nth(1) == Some(&option);
            assert!(every.lines().any(is_there), "{option} is not in every-setting.uci");
        }
    }
}

#[test]
fn the_service_is_started_in_a_jail_as_its_own_user() {
    let Some(router) = Router::new("the_service_is_started_in_a_jail_as_its_own_user") else {
        return;
    };
    router.configure("homing", &format!("{ON}\n{HOST}"));
    let started = router.service("start");
    assert_eq!((started.code, &*started.err), (0, ""));
    let asked = router.take("tmp/procd");
    let expect = "open_service\n\
        open_instance\n\
        set_param [command] [/usr/bin/homing] [--config] [/var/run/homing/config.toml]\n\
        set_param [user] [homing]\n\
        set_param [group] [homing]\n\
        set_param [file] [/var/run/homing/config.toml]\n\
        set_param [reload_signal] [HUP]\n\
        set_param [respawn] [3600] [5] [0]\n\
        set_param [term_timeout] [10]\n\
        set_param [stdout] [1]\n\
        set_param [stderr] [1]\n\
        set_param [no_new_privs] [1]\n\
        add_jail [homing] [procfs] [ronly]\n\
        add_jail_mount [/var/run/homing] [/etc/hosts]\n\
        add_jail_mount\n\
        add_jail_mount_rw [/etc/homing/state]\n\
        close_instance\n\
        add_reload_trigger [homing]\n\
        add_raw_trigger [interface.*] [2000] [/etc/init.d/homing] [look]\n\
        close_service\n";
    assert_eq!(asked, expect);
    let owner = |path: &str| {
        let metadata = fs::metadata(router.path(path)).unwrap();
        (metadata.uid(), metadata.gid(), metadata.mode() & 0o777)
    };
    assert_eq!(owner("tmp/run/homing/config.toml"), (468, 468, 0o600));
    assert_eq!(owner("tmp/run/homing"), (0, 0, 0o755), "nobody else may put links there");
    assert_eq!(owner("etc/homing/state"), (468, 468, 0o700));
    // The commands find the configuration where they look for it.
    assert!(router.read("tmp/run/homing/config.toml").contains("\nlog-format = \"syslog\"\n"));
    let status = router.run("homing status");
    assert_eq!(status.code, 75, "{status:?}");
    assert!(status.out.contains("dev1.dyn.example.com"), "{status:?}");
}

#[test]
fn a_secret_arrives_whatever_it_holds_and_nothing_of_it_is_evaluated() {
    let test = "a_secret_arrives_whatever_it_holds_and_nothing_of_it_is_evaluated";
    let Some(router) = Router::new(test) else { return };
    let secret =
        "a'b\"c\\d$(touch /tmp/evaluated)`touch /tmp/evaluated`${PATH};touch /tmp/evaluated #%s*é";
    let host = "config host 'dev1'\n\toption name 'a.example.com'\n\toption provider 'dynu'\n\
                \toption username '-e'\n\toption password ";
    router.configure("homing", &format!("{ON}\n{host}{}\n", quoted(secret)));
    let started = router.service("start");
    assert_eq!((started.code, &*router.read("tmp/log")), (0, ""), "{started:?}");
    assert!(!router.path("tmp/evaluated").exists());
    let made = router.read("tmp/run/homing/config.toml");
    let document = DeTable::parse(&made).unwrap();
    let password = value_of(document.get_ref(), "host", "password");
    assert_eq!(password.as_str(), Some(secret));
    assert_eq!(value_of(document.get_ref(), "host", "username").as_str(), Some("-e"));
    // The other kind of quotes that UCI has.
    let other = secret.replace('\\', "\\\\").replace('"', "\\\"");
    router.configure("homing", &format!("{ON}\n{host}\"{other}\"\n"));
    assert_eq!(router.service("reload").code, 0);
    assert_eq!(router.read("tmp/run/homing/config.toml"), made);
}

#[test]
fn wrong_settings_are_told_and_start_nothing() {
    let Some(router) = Router::new("wrong_settings_are_told_and_start_nothing") else { return };
    let tell = |settings: &str| {
        router.configure("homing", &format!("{ON}\n{settings}"));
        let _ = router.take("tmp/log");
        let _ = router.take("tmp/procd");
        assert_eq!(router.service("start").code, 0, "a boot goes on");
        let asked = router.read("tmp/procd");
        assert!(!asked.contains("open_instance"), "{asked}");
        assert!(asked.contains("add_reload_trigger [homing]"), "{asked}");
        router.read("tmp/log")
    };
    // One of the converter's.
    let log = tell(&format!("{HOST}\toption tokem '1'\n"));
    assert!(log.starts_with("daemon.err homing.dev1.tokem is not an option"), "{log}");
    // Two of the program's own, in the words of UCI.
    let log = tell(&format!("{HOST}\toption ipv4 'nowhere'\n\toption refresh '3'\n"));
    let expect = "daemon.err homing.dev1.ipv4: \"nowhere\" is not a source; write \"auto\", \"off\", or a \
                  section [source.nowhere]\n\
                  daemon.err homing.dev1.refresh: \"3\" is not a duration; write it like \"20d\"\n";
    assert_eq!(log, expect);
    // One of uci's.
    let log = tell("config host 'a-b'\n");
    assert!(log.contains("daemon.err the settings in /etc/config/homing cannot be read"), "{log}");
    assert!(log.contains("Parse error"), "{log}");
    // No user, as after an installation that went wrong.
    router.write("etc/passwd", "root:x:0:0::/:/bin/ash\n", 0o644);
    let log = tell(HOST);
    assert!(log.contains("unknown user"), "{log}");
}

#[test]
fn a_directory_that_the_service_cannot_write_is_told() {
    let Some(router) = Router::new("a_directory_that_the_service_cannot_write_is_told") else {
        return;
    };
    let path = "config host 'a'\n\toption name 'a.example.internal'\n\
                \toption provider 'hosts-file'\n\toption path '/tmp/hosts/homing'\n";
    router.configure("homing", &format!("{ON}\n{path}"));
    let said = "daemon.warn the user homing cannot write in /tmp/hosts; make a directory for it: \
                mkdir, and chown homing\n";
    // Not there, of root, and its own.
    for (before, expect) in
        [("", said), ("mkdir /tmp/hosts", said), ("chown homing /tmp/hosts", "")]
    {
        router.run(before);
        assert_eq!(router.service("start").code, 0);
        assert_eq!(router.take("tmp/log"), expect, "{before}");
    }
}

#[test]
fn no_signal_is_sent_to_a_program_that_has_just_begun() {
    let Some(router) = Router::new("no_signal_is_sent_to_a_program_that_has_just_begun") else {
        return;
    };
    router.configure("homing", &format!("{ON}\n{HOST}"));
    router.write("proc/uptime", "100.98 50.00\n", 0o444);
    router.service("start");
    // As soon as the next second in uptime's first figure may be a hundredth away.
    for uptime in ["100.99 50.00\n", "101.00 50.00\n"] {
        router.write("proc/uptime", uptime, 0o444);
        let _ = router.take("tmp/procd");
        let begun = Instant::now();
        router.service("round");
        assert!(begun.elapsed() >= Duration::from_secs(1), "{uptime}");
        assert_eq!(router.take("tmp/procd"), "send_signal [homing] [*] [USR1]\n");
    }
}

#[test]
fn what_runs_goes_on_while_the_settings_are_wrong() {
    let Some(router) = Router::new("what_runs_goes_on_while_the_settings_are_wrong") else {
        return;
    };
    router.configure("homing", &format!("{ON}\n{HOST}"));
    router.service("start");
    let made = router.read("tmp/run/homing/config.toml");
    let instance = router.take("tmp/procd");
    router.configure("homing", &format!("{ON}\n{HOST}\toption ipv4 'nowhere'\n"));
    assert_eq!(router.service("reload").code, 1);
    assert_eq!(router.take("tmp/procd"), "", "procd is asked for nothing");
    assert!(
        router.read("tmp/log").ends_with("daemon.warn the settings from before stay in force\n")
    );
    // `start` must not end it either: with no instance in it, it would.
    router.service("start");
    assert_eq!(router.take("tmp/procd"), instance);
    assert_eq!(router.read("tmp/run/homing/config.toml"), made);
    // After a stop there is nothing that could go on.
    router.service("stop");
    router.service("start");
    assert!(!router.read("tmp/procd").contains("open_instance"));
}

#[test]
fn a_reload_restarts_only_for_a_new_jail() {
    let Some(router) = Router::new("a_reload_restarts_only_for_a_new_jail") else { return };
    let reload = |settings: &str| {
        router.configure("homing", settings);
        let _ = router.take("tmp/procd");
        assert_eq!(router.service("reload").code, 0, "{}", router.read("tmp/log"));
        router.read("tmp/procd")
    };
    router.configure("homing", &format!("{ON}\n{HOST}"));
    router.service("start");
    // The same and other settings: procd compares the files, and sends the signal.
    for settings in [format!("{ON}\n{HOST}"), format!("{ON}\toption interval '7m'\n\n{HOST}")] {
        let asked = reload(&settings);
        assert!(asked.starts_with("open_service\nopen_instance\n"), "{asked}");
    }
    // procd sends the signal for a new jail, too, which would be too little.
    let asked = reload(&format!("{ON}\tlist jail_mount '/usr/share/one'\n\n{HOST}"));
    assert!(asked.starts_with("kill [homing]\nopen_service\nopen_instance\n"), "{asked}");
    assert!(asked.contains("add_jail_mount [/usr/share/one]\n"), "{asked}");
    let asked = reload(&format!("{ON}\toption jail '0'\n\n{HOST}"));
    assert!(asked.starts_with("kill [homing]\n") && !asked.contains("jail"), "{asked}");
    // Nor does a restart by hand end what runs, for settings that are wrong.
    router.configure("homing", &format!("{ON}\n{HOST}\toption tokem 'x'\n"));
    let _ = router.take("tmp/procd");
    assert_eq!((router.service("restart").code, &*router.take("tmp/procd")), (1, ""));
    assert!(router.take("tmp/log").contains("stay in force"));
    router.configure("homing", &format!("{ON}\n{HOST}"));
    assert_eq!(router.service("restart").code, 0);
    assert!(router.take("tmp/procd").starts_with("kill [homing]\nopen_service\n"));
    // Switched off: an empty service ends what runs, whatever else is wrong.
    let asked =
        reload("config homing 'main'\n\toption enabled '0'\n\nconfig host 'x'\n\toption a 'b'\n");
    assert!(asked.contains("open_service\n") && !asked.contains("open_instance"), "{asked}");
    assert!(
        !router.path("tmp/run/homing/config.toml").exists(),
        "secrets of a service that is off"
    );
}

#[test]
fn a_state_directory_of_somebody_elses_is_left_alone() {
    let Some(router) = Router::new("a_state_directory_of_somebody_elses_is_left_alone") else {
        return;
    };
    let owner = |path: &str| fs::metadata(router.path(path)).unwrap().uid();
    router.configure("homing", &format!("{ON}\toption state_dir '/etc'\n\n{HOST}"));
    router.service("start");
    assert_eq!(owner("etc"), 0);
    router.configure("homing", &format!("{ON}\toption state_dir '/srv/deep/homing'\n\n{HOST}"));
    router.service("start");
    assert_eq!((owner("srv/deep"), owner("srv/deep/homing")), (0, 468));
    router.configure("homing", &format!("{ON}\toption state_dir '/srv/slash/homing//'\n\n{HOST}"));
    router.service("start");
    assert_eq!((owner("srv/slash"), owner("srv/slash/homing")), (0, 468));
    // An upgrade may have kept the package's own with the number of another user.
    router.configure("homing", &format!("{ON}\n{HOST}"));
    router.run(
        "mkdir -p /etc/homing/state; : > /etc/homing/state/x; chown -R 1234 /etc/homing/state",
    );
    router.service("start");
    assert_eq!((owner("etc/homing/state"), owner("etc/homing/state/x")), (468, 468));
}

/// What the scripts in the background have asked of procd by the time there is something, or by the
/// time that nothing more can come.
fn signals(router: &Router, wanted: bool) -> String {
    let end = Instant::now() + Duration::from_secs(if wanted { 10 } else { 1 });
    while Instant::now() < end {
        thread::sleep(Duration::from_millis(50));
        let asked = router.read("tmp/procd");
        if wanted && asked.contains("USR1") {
            break;
        }
    }
    router.take("tmp/procd")
}

#[test]
fn events_that_matter_begin_a_round() {
    let Some(router) = Router::new("events_that_matter_begin_a_round") else { return };
    let iface = "/etc/hotplug.d/iface/95-homing";
    let ntp = "/etc/hotplug.d/ntp/95-homing";
    // As hotplug-call does it, which waits for the script.
    let hotplug = |environment: &str, script: &str| {
        let done = router.run(&format!("export {environment}; ( . {script} )"));
        assert_eq!((done.code, &*done.err), (0, ""), "{environment}");
    };
    hotplug("ACTION=ifup INTERFACE=wan", iface);
    assert_eq!(signals(&router, false), "", "nothing runs yet");

    router.configure("homing", &format!("{ON}\n{HOST}"));
    router.service("start");
    let _ = router.take("tmp/procd");
    for (environment, script) in [
        ("ACTION=ifup INTERFACE=wan", iface),
        ("ACTION=ifupdate INTERFACE=wan IFUPDATE_ADDRESSES=1", iface),
        ("ACTION=ifupdate INTERFACE=wan6 IFUPDATE_PREFIXES=1", iface),
        ("ACTION=stratum", ntp),
    ] {
        hotplug(environment, script);
        assert_eq!(signals(&router, true), "send_signal [homing] [*] [USR1]\n", "{environment}");
    }
    for (environment, script) in [
        ("ACTION=ifdown INTERFACE=wan", iface),
        ("ACTION=ifupdate INTERFACE=wan IFUPDATE_DATA=1", iface),
        ("ACTION=ifup INTERFACE=loopback", iface),
        ("ACTION=periodic", ntp),
    ] {
        hotplug(environment, script);
        assert_eq!(signals(&router, false), "", "{environment}");
    }
    router.service("stop");
    let _ = router.take("tmp/procd");
    hotplug("ACTION=ifup INTERFACE=wan", iface);
    assert_eq!(signals(&router, false), "", "nothing runs any more");
}

#[test]
fn a_look_begins_a_round_only_when_an_interface_has_changed() {
    let test = "a_look_begins_a_round_only_when_an_interface_has_changed";
    let Some(router) = Router::new(test) else { return };
    let netifd = |address: &str, uptime: u32| {
        let dump = format!(
            "{{\n\t\"interface\": [\n\t\t{{\n\t\t\t\"interface\": \"wan\",\n\t\t\t\"up\": true,\n\
             \t\t\t\"uptime\": {uptime},\n\t\t\t\"updated\": [\n\t\t\t\t\"addresses{uptime}\"\n\t\t\t],\n\
             \t\t\t\"ipv6-address\": [\n\t\t\t\t{{\n\t\t\t\t\t\"address\": \"{address}\",\n\
             \t\t\t\t\t\"preferred\": {uptime},\n\t\t\t\t\t\"valid\": {uptime}\n\t\t\t\t}}\n\t\t\t]\n\t\t}}\n\t]\n}}\n"
        );
        router.write("tmp/interfaces", &dump, 0o644);
    };
    let look = || {
        assert_eq!(router.service("look").code & !1, 0);
        router.take("tmp/procd")
    };
    let round = "send_signal [homing] [*] [USR1]\n";
    router.configure("homing", &format!("{ON}\n{HOST}"));
    assert_eq!(look(), "", "nothing runs yet");
    router.service("start");
    let _ = router.take("tmp/procd");
    netifd("2001:db8::1", 1);
    assert_eq!(look(), round);
    // Router advertisements come all the time and say nothing new.
    netifd("2001:db8::1", 2);
    assert_eq!(look(), "");
    netifd("2001:db8::2", 3);
    assert_eq!(look(), round);
    // hotplug and the trigger tell of the same event.
    netifd("2001:db8::3", 4);
    router.service("round");
    assert_eq!(router.take("tmp/procd"), round);
    assert_eq!(look(), "");
    // Without an answer anything may have changed.
    fs::remove_file(router.path("tmp/interfaces")).unwrap();
    assert_eq!([look(), look()], [round, round]);
}

#[test]
fn other_resolvers_restart_what_is_in_a_jail() {
    let Some(router) = Router::new("other_resolvers_restart_what_is_in_a_jail") else { return };
    router.write("sbin/ujail", "", 0o755);
    router.configure("homing", &format!("{ON}\n{HOST}"));
    router.service("start");
    let start = router.take("tmp/procd");
    router.service("round");
    assert_eq!(router.take("tmp/procd"), "send_signal [homing] [*] [USR1]\n");
    // Another file takes its place, which the jail does not see.
    router.run("rm /tmp/resolv.conf; echo nameserver 192.0.2.1 > /tmp/resolv.conf");
    router.service("round");
    assert_eq!(router.take("tmp/procd"), format!("kill [homing]\n{start}"));
    router.service("round");
    assert_eq!(router.take("tmp/procd"), "send_signal [homing] [*] [USR1]\n");
    // Settings that were refused, or are half written, are not what it is started with.
    let made = router.read("tmp/run/homing/config.toml");
    router.configure("homing", &format!("{ON}\n{HOST}\toption tokem 'x'\n"));
    assert_eq!(router.service("reload").code, 1);
    assert_eq!(router.take("tmp/procd"), "");
    router.write("tmp/resolv.conf", "nameserver 192.0.2.3\n", 0o644);
    router.service("look");
    assert_eq!(router.take("tmp/procd"), format!("kill [homing]\n{start}"));
    assert_eq!(router.read("tmp/run/homing/config.toml"), made);
    router.service("round");
    assert_eq!(router.take("tmp/procd"), "send_signal [homing] [*] [USR1]\n");
    // Nor does a reload that leaves the process alone make its jail a new one.
    router.configure("homing", &format!("{ON}\n{HOST}"));
    router.write("tmp/resolv.conf", "nameserver 192.0.2.4\n", 0o644);
    assert_eq!(router.service("reload").code, 0);
    assert_eq!(router.take("tmp/procd"), start);
    router.service("round");
    assert_eq!(router.take("tmp/procd"), format!("kill [homing]\n{start}"));
    // Without a jail, the program sees it by itself.
    router.configure("homing", &format!("{ON}\toption jail '0'\n\n{HOST}"));
    router.service("restart");
    let _ = router.take("tmp/procd");
    router.write("tmp/resolv.conf", "nameserver 192.0.2.2\n", 0o644);
    router.service("round");
    assert_eq!(router.take("tmp/procd"), "send_signal [homing] [*] [USR1]\n");
}

#[test]
fn people_can_check_their_settings() {
    let Some(router) = Router::new("people_can_check_their_settings") else { return };
    router.configure("homing", &format!("{ON}\n{HOST}\toption ttl 'x'\n"));
    let wrong = router.service("check");
    assert_eq!((wrong.code, &*wrong.err), (78, "homing.dev1.ttl is not a whole number\n"));
    let off = "\toption ipv6 'off'\n\toption ipv4 'fixed'\n\n\
               config source 'fixed'\n\toption static '198.51.100.7'\n\toption allow_private '1'\n";
    router.configure("homing", &format!("{ON}\n{HOST}{off}"));
    let right = router.service("check");
    assert_eq!(right.code, 0, "{right:?}");
    assert!(right.out.contains("the configuration is right"), "{right:?}");
    assert_eq!(router.read("tmp/procd"), "", "nothing is started");
    assert!(!router.path("tmp/run/homing/config.toml").exists(), "nothing is put in force");
}

/// The way from ddns-scripts, and what it says.
fn migrate(router: &Router, services: &str) -> Done {
    router.configure("ddns", services);
    router.run("/usr/lib/homing/from-ddns")
}

/// One service of ddns-scripts.
fn service(name: &str, options: &[(&str, &str)]) -> String {
    let mut text = format!("config service '{name}'\n");
    for (option, value) in options {
        text.push_str(&format!("\toption {option} {}\n", quoted(value)));
    }
    text
}

/// What they all have.
const DDNS: [(&str, &str); 5] = [
    ("enabled", "1"),
    ("lookup_host", "home.example.com"),
    ("domain", "home.example.com"),
    ("username", "me@example.com"),
    ("password", "it's \"$(touch /tmp/evaluated)\" \\"),
];

#[test]
fn settings_of_ddns_scripts_are_carried_over_when_asked() {
    let test = "settings_of_ddns_scripts_are_carried_over_when_asked";
    let Some(router) = Router::new(test) else { return };
    let global = "config ddns 'global'\n\toption upd_privateip '0'\n\n";
    let v4 = [&DDNS[..], &[("service_name", "dyndns.org"), ("check_interval", "015")]].concat();
    let v6 = [
        &DDNS[..],
        &[("service_name", "dyndns.org"), ("use_ipv6", "1"), ("ip_source", "interface")],
        &[("ip_interface", "br-lan"), ("force_interval", "30"), ("force_unit", "days")],
    ]
    .concat();
    let done = migrate(&router, &format!("{global}{}{}", service("v4", &v4), service("v6", &v6)));
    assert_eq!(done.code, 0, "{done:?}");
    assert_eq!(done.err, "2 of 2 services are carried over\n");
    assert!(!router.path("tmp/evaluated").exists());
    let made = router.run("uci -n export homing").out;
    let expect = format!(
        "config source 'v6_source'\n\toption interface 'br-lan'\n\n\
         config host 'v4'\n\toption enabled '1'\n\tlist name 'home.example.com'\n\
         \toption provider 'dyn.com'\n\toption username 'me@example.com'\n\toption password {}\n\
         \toption ipv6 'v6_source'\n\toption refresh '2592000s'\n",
        quoted(DDNS[4].1)
    );
    assert!(made.contains(&expect), "{made}");
    assert!(made.contains("\toption interval '900s'\n"), "{made}");
    let metadata = fs::metadata(router.path("etc/config/homing")).unwrap();
    assert_eq!(metadata.mode() & 0o777, 0o600);
    // As a whole, they are settings that Homing starts with.
    router.run("sed -i \"s/enabled '0'/enabled '1'/\" /etc/config/homing");
    assert_eq!((router.service("start").code, &*router.read("tmp/log")), (0, ""));
    // A second time there is something to lose.
    let again = migrate(&router, &service("x", &v4));
    assert_eq!(again.code, 1);
    assert!(again.err.contains("has hosts already; nothing was changed"), "{again:?}");
}

#[test]
fn every_known_service_of_ddns_scripts_becomes_a_host_that_is_accepted() {
    let test = "every_known_service_of_ddns_scripts_becomes_a_host_that_is_accepted";
    let Some(router) = Router::new(test) else { return };
    let table = fs::read_to_string(package().join("files/from-ddns.awk")).unwrap();
    let mut services = String::new();
    let mut count = 0;
    let (same, other) = ("same(\"", "other(\"");
    let set = |name: &str| -> Vec<&str> {
        let end = format!("\", {name})");
        let calls = table.lines().filter_map(|line| line.trim().strip_prefix("mark(\""));
        calls.filter_map(|call| call.strip_suffix(&*end)).flat_map(str::split_whitespace).collect()
    };
    let refused = [set("left_out"), set("is_refused")].concat();
    let (labels, zones) = (set("is_label"), set("is_zone"));
    let (mut told, mut carried) = (String::new(), 0);
    for line in table.lines().map(str::trim) {
        let Some(rest) = line.strip_prefix(same).or_else(|| line.strip_prefix(other)) else {
            continue;
        };
        let mut words = rest.split('"');
        let (theirs, ours) = (words.next().unwrap(), words.nth(1).unwrap());
        if line.starts_with(same) {
            let known = router.run(&format!("homing providers {ours}"));
            assert_eq!(known.code, 0, "{ours}: {known:?}");
        }
        count += 1;
        let (mut host, login) = match ours {
            "cloudflare" => (format!("h{count}@example.com"), "Bearer"),
            "duckdns" | "ddo-jp" => (format!("h{count}"), "me"),
            _ if zones.contains(&ours) => (format!("h{count}.example.com"), "example.com"),
            _ => (format!("h{count}.example.com"), "me"),
        };
        if labels.contains(&ours) {
            host = format!("z{count}.example.com");
        }
        let mut options = DDNS.to_vec();
        options[1].1 = &host;
        options[2].1 = &host;
        options.push(("service_name", theirs));
        options.retain(|(name, _)| *name != "username");
        options.push(("username", login));
        if ours == "netcup" {
            options.push(("param_enc", "key"));
        }
        if ours == "blazingfast" {
            options.push(("param_opt", "service_id=1 zone_id=2 record_id=3"));
        }
        services.push_str(&service(&format!("s{count}"), &options));
        if refused.contains(&ours) {
            told.push_str(theirs);
        } else {
            carried += 1;
        }
    }
    let done = migrate(&router, &services);
    assert!(
        done.err.ends_with(&format!("{carried} of {count} services are carried over\n")),
        "{done:?}"
    );
    let lines = done.err.lines().filter(|line| line.contains(" is not carried over: "));
    assert_eq!(
        (lines.count(), done.err.lines().count() - 1),
        (count - carried, count - carried),
        "{done:?}"
    );
    assert!(!told.is_empty());
    router.run("sed -i \"s/enabled '0'/enabled '1'/\" /etc/config/homing");
    assert_eq!((router.service("start").code, &*router.read("tmp/log")), (0, ""));
}

#[test]
fn what_cannot_be_carried_over_is_told() {
    let Some(router) = Router::new("what_cannot_be_carried_over_is_told") else { return };
    router.write(
        "tmp/interfaces",
        "{\n\t\"interface\": [\n\t\t{\n\t\t\t\"interface\": \"wanb\",\n\t\t\t\"l3_device\": \"eth7\"\n\t\t}\n\t]\n}\n",
        0o644,
    );
    let named = |name: &str, host: &'static str, more: &[(&'static str, &'static str)]| {
        let mut options = DDNS.to_vec();
        options[1].1 = host;
        options[2].1 = host;
        options.extend_from_slice(more);
        service(name, &options)
    };
    let own = "http://[USERNAME]:[PASSWORD]@dyn.example.net/nic/update?system=x&hostname=[DOMAIN]&ip=[IP]";
    let services = [
        named("cf", "a.example.com", &[("service_name", "cloudflare.com-v4")]),
        named("script", "b.example.com", &[("update_script", "/usr/lib/ddns/mine.sh")]),
        named(
            "query",
            "c.example.com",
            &[("update_url", "https://x.example/abcdef0123456789?p=[PASSWORD]&ip=[IP]")],
        ),
        named("own", "d.example.com", &[("update_url", own), ("proxy", "192.0.2.1:80")]),
        named("web", "e.example.com", &[("service_name", "ovh.com"), ("ip_source", "web")]),
        named(
            "second",
            "f.example.com",
            &[("service_name", "ovh.com"), ("ip_network", "wanb"), ("bind_network", "wanb")],
        ),
        named(
            "insecure",
            "g.example.com",
            &[("service_name", "ovh.com"), ("cacert", "IGNORE"), ("force_interval", "0")],
        ),
        named("twice", "g.example.com", &[("service_name", "ovh.com")]),
        named(
            "from_script",
            "h.example.com",
            &[
                ("service_name", "desec.io"),
                ("ip_source", "script"),
                ("ip_script", "/usr/libexec/address -6 x"),
            ],
        ),
        named("down", "i.example.com", &[("service_name", "ovh.com"), ("ip_network", "wanc")]),
        named("wanc", "j.example.com", &[("service_name", "ovh.com"), ("bind_network", "wanc")]),
    ];
    let done = migrate(&router, &services.concat());
    let expect = "\
        ddns.cf is not carried over: the credential there does not work; `homing providers cloudflare` shows which one does\n\
        ddns.script is not carried over: it has an update_script of its own\n\
        ddns.query is not carried over: its update_url may hold a secret, or is of an unknown form; write a `config provider` with protocol http\n\
        ddns.own: its server is asked by https now, because the password would be readable on the way\n\
        ddns.own: the option proxy is not carried over\n\
        ddns.web: the address comes from Homing's own choice: the default ip_url could be forged\n\
        ddns.insecure: force_interval 0 is not carried over: Homing does not end after an update\n\
        ddns.insecure: cacert IGNORE is not carried over: Homing does not send a password to a server that it cannot verify\n\
        ddns.twice is left out: g.example.com at ovh is there already\n\
        ddns.from_script: ip_script runs as the user homing now, in a jail; name whatever else it needs in jail_mount of the `config homing`\n\
        ddns.down: the host down is switched off: the device of its ip_network wanc is not known now; write a `config source` wanc with its device as interface, and write enabled 1 in the host\n\
        ddns.wanc: the host wanc_2 is switched off: the device of its bind_network wanc is not known now; write it as bind, and write enabled 1 in the host\n\
        7 of 11 services are carried over\n\
        2 of the hosts are switched off until the missing devices are written down\n";
    assert_eq!(done.err, expect);
    let made = router.run("uci -n export homing").out;
    for part in [
        "config provider 'own_provider'\n\toption protocol 'dyndns2'\n\
         \toption update_url 'https://dyn.example.net/nic/update'\n\toption ipv4_parameter 'ip'\n\
         \toption ipv6_parameter 'ip'\n\toption query 'system=x'\n",
        "config source 'second_source'\n\toption interface 'eth7'\n",
        "\toption bind 'eth7'\n",
        "config source 'from_script_source'\n\tlist command '/usr/libexec/address'\n\tlist command '-6'\n",
        "\toption token ",
        // The name of one line is never set to the address of another, not even when the hosts are
        // switched on as they are.
        "config host 'down'\n\toption enabled '0'\n",
        "\toption ipv4 'wanc'\n",
        "config host 'wanc_2'\n\toption enabled '0'\n",
        "\toption bind 'wanc'\n",
    ] {
        assert!(made.contains(part), "{part}: {made}");
    }
    router.run("uci export homing | sed \"/^config homing/,/^$/s/'0'/'1'/\" > /tmp/x; cat /tmp/x > /etc/config/homing");
    assert_eq!((router.service("start").code, &*router.read("tmp/log")), (0, ""));
}

/// What one service of ddns-scripts becomes: whether its host is on, and where each address comes
/// from (`-` for nowhere, `auto`, or the kind of source).
#[cfg(feature = "import")]
type Meaning = (bool, [String; 2]);

/// Options of a service, and what it becomes; without words, its sources are not compared.
#[cfg(feature = "import")]
type Row = (&'static [(&'static str, &'static str)], bool, &'static str, &'static str);

/// What the package's converter makes of it.
#[cfg(feature = "import")]
fn on_a_router(router: &Router, service: &str) -> Option<Meaning> {
    router.write("etc/config/homing", "", 0o600);
    let done = migrate(router, service);
    if done.code != 0 {
        return None;
    }
    let made = router.run("uci -n export homing").out;
    let (sources, host) = made.split_once("config host ")?;
    let option = |name: &str| {
        let rest = host.split_once(&format!("\toption {name} '"))?.1;
        Some(rest.split('\'').next()?.to_owned())
    };
    let kind = |name: &str| match option(name).as_deref() {
        None => "auto".to_owned(),
        Some("off") => "-".to_owned(),
        Some(name) => {
            let section = sources.split_once(&format!("config source '{name}'\n\t"));
            let words = section.map(|(_, rest)| rest.split(' ').nth(1).unwrap_or_default());
            words.unwrap_or("missing").to_owned()
        }
    };
    Some((option("enabled").as_deref() == Some("1"), [kind("ipv4"), kind("ipv6")]))
}

/// What `homing import` makes of it.
#[cfg(feature = "import")]
fn imported(service: &str) -> Meaning {
    use homing::import::{self, Client};
    let problems = |text: &str| match homing::config::parse(Path::new("t"), text, false) {
        Ok(_) => Vec::new(),
        Err(problems) => problems.iter().map(str::to_owned).collect(),
    };
    let draft = import::read_draft(Client::DdnsScripts, service).expect("it is a service");
    let written = draft.written("ddns", Some("/s"), problems);
    let is_on = written.carried == 1;
    let text = if is_on { written.text } else { written.text.replace("\n#", "\n") };
    let (sources, host) = text.split_once("[[host]]").expect("it has a host");
    let kind = |name: &str| {
        let value = host.split_once(&format!("\n{name} = \"")).map(|(_, rest)| rest);
        match value.and_then(|rest| rest.split('"').next()) {
            None => "auto".to_owned(),
            Some("off") => "-".to_owned(),
            Some(name) => {
                let section = sources.split_once(&format!("[source.{name}]\n"));
                let word = section.and_then(|(_, rest)| rest.split(' ').next());
                word.unwrap_or("missing").to_owned()
            }
        }
    };
    (is_on, [kind("ipv4"), kind("ipv6")])
}

#[cfg(feature = "import")]
#[test]
fn the_router_and_the_command_understand_a_service_in_the_same_way() {
    let test = "the_router_and_the_command_understand_a_service_in_the_same_way";
    let Some(router) = Router::new(test) else { return };
    let rows: [Row; 21] = [
        (&[], true, "auto", "-"),
        (&[("use_ipv6", "1")], true, "-", "auto"),
        (&[("enabled", "0")], false, "auto", "-"),
        (&[("ip_source", "network"), ("ip_network", "wan")], true, "auto", "-"),
        (&[("ip_network", "wan6"), ("use_ipv6", "1")], true, "-", "auto"),
        (&[("ip_network", "wanb")], false, "missing", "-"),
        (&[("ip_network", "wanb"), ("use_ipv6", "1")], false, "-", "missing"),
        (&[("ip_source", "interface")], true, "interface", "-"),
        (&[("ip_source", "interface"), ("ip_interface", "br-lan")], true, "interface", "-"),
        (&[("ip_source", "script")], false, "missing", "-"),
        (&[("ip_source", "script"), ("ip_script", "/bin/a -6")], true, "command", "-"),
        (
            &[("ip_source", "script"), ("ip_script", "ip -6 addr | grep inet6 | cut -d/ -f1")],
            true,
            "command",
            "-",
        ),
        (&[("ip_source", "web"), ("ip_url", "https://ip.example.net/")], true, "web", "-"),
        (&[("ip_source", "web"), ("ip_url", "http://ip.example.net/")], true, "web", "-"),
        (
            &[("ip_source", "web"), ("ip_url", "https://ip.example.net/"), ("proxy", "p:80")],
            false,
            "",
            "",
        ),
        (&[("ip_source", "nonsense")], false, "missing", "-"),
        (&[("domain", "un_der.example.com")], true, "auto", "-"),
        (&[("domain", "home")], true, "auto", "-"),
        (&[("domain", "12345")], false, "auto", "-"),
        (&[("domain", "-a.example.com")], false, "auto", "-"),
        (&[("is_glue", "1"), ("retry_count", "3"), ("force_dnstcp", "1")], true, "auto", "-"),
    ];
    for (more, is_on, v4, v6) in rows {
        let mut options = DDNS.to_vec();
        options.push(("service_name", "ovh.com"));
        for (name, value) in more {
            options.retain(|(known, _)| known != name);
            options.push((name, value));
        }
        let section = service("s", &options);
        let router = on_a_router(&router, &section).unwrap_or_else(|| panic!("{section}"));
        let imported = imported(&section);
        assert_eq!((router.0, imported.0), (is_on, is_on), "{section}");
        if !v4.is_empty() {
            let expect = [v4.to_owned(), v6.to_owned()];
            assert_eq!((&router.1, &imported.1), (&expect, &expect), "{section}");
        }
    }
}

#[test]
fn the_way_from_ddns_scripts_makes_no_second_section_of_homings_own() {
    let test = "the_way_from_ddns_scripts_makes_no_second_section_of_homings_own";
    let Some(router) = Router::new(test) else { return };
    let options = [&DDNS[..], &[("service_name", "ovh.com"), ("check_interval", "20")]].concat();
    for (section, after) in [("", "main"), (" 'mine'", "mine")] {
        let before = format!("config homing{section}\n\toption migrate_ddns '1'\n");
        router.configure("homing", &before);
        let done = migrate(&router, &service("main", &options));
        assert_eq!(done.code, 0, "{done:?}");
        let made = router.read("etc/config/homing");
        assert_eq!(made.matches("config homing ").count(), 1, "{made}");
        assert!(!made.contains("migrate_ddns"), "{made}");
        let expect = format!("config homing '{after}'\n\toption interval '1200s'\n");
        assert!(made.contains(&expect), "{made}");
        assert_eq!((router.service("start").code, &*router.read("tmp/log")), (0, ""), "{made}");
    }
}

#[test]
fn two_clients_never_run_at_once_after_the_way_from_ddns_scripts() {
    let test = "two_clients_never_run_at_once_after_the_way_from_ddns_scripts";
    let Some(router) = Router::new(test) else { return };
    router.configure("homing", ON);
    router.write("etc/init.d/ddns", "#!/bin/sh\n[ \"$1\" = enabled ]\n", 0o755);
    let options = [&DDNS[..], &[("service_name", "ovh.com")]].concat();
    let done = migrate(&router, &service("home", &options));
    assert_eq!(done.code, 0, "{done:?}");
    assert!(done.err.contains("/etc/init.d/ddns stop; /etc/init.d/ddns disable"), "{done:?}");
    assert_eq!(router.run("uci get homing.main.enabled").out, "0\n");
}

#[test]
fn the_first_start_carries_over_only_what_is_asked_for() {
    let Some(router) = Router::new("the_first_start_carries_over_only_what_is_asked_for") else {
        return;
    };
    let defaults = "cd /etc/uci-defaults; ( . ./95-homing ); echo $?";
    let options = [&DDNS[..], &[("service_name", "ovh.com")]].concat();
    router.configure("ddns", &service("home", &options));
    let before = router.read("etc/config/homing");
    assert_eq!(router.run(defaults).out, "0\n");
    assert_eq!(router.read("etc/config/homing"), before, "nobody has asked");

    router.write("etc/config/homing", &format!("{ON}\toption migrate_ddns '1'\n"), 0o644);
    assert_eq!(router.run(defaults).out, "0\n");
    assert!(router.read("etc/config/homing").contains("config host 'home'"));
    assert!(!router.read("etc/config/homing").contains("migrate_ddns"), "it is done");
    assert!(router.read("tmp/log").contains("1 of 1 services are carried over"));
    // At a router's first start there is nobody yet who keeps what is logged.
    let said = router.read("etc/homing/from-ddns.log");
    assert_eq!(said, "1 of 1 services are carried over\n");
    let mode = fs::metadata(router.path("etc/config/homing")).unwrap().mode();
    assert_eq!(mode & 0o777, 0o600);

    // Nothing to carry over is no reason to run again at each boot.
    fs::remove_file(router.path("etc/config/ddns")).unwrap();
    router.configure("homing", &format!("{ON}\toption migrate_ddns '1'\n"));
    assert_eq!(router.run(defaults).out, "0\n");
}

#[test]
fn everything_that_the_package_has_is_installed() {
    let Some(router) = Router::new("everything_that_the_package_has_is_installed") else { return };
    let makefile = fs::read_to_string(package().join("Makefile")).unwrap();
    for file in fs::read_dir(package().join("files")).unwrap() {
        let name = file.unwrap().file_name().into_string().unwrap();
        assert!(makefile.contains(&format!("./files/{name} ")), "{name}");
    }
    let acl: serde_json::Value =
        serde_json::from_str(&router.read("usr/share/acl.d/homing.json")).unwrap();
    assert_eq!(acl["user"], "homing");
    assert_eq!(router.read("lib/upgrade/keep.d/homing"), "/etc/homing/\n");
    let link = fs::read_link(router.path("etc/homing/config.toml")).unwrap();
    assert_eq!(link, Path::new("/var/run/homing/config.toml"));
}
