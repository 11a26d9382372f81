//! The pages for LuCI: their own tests run in node, over a stand-in for LuCI's classes; here, that they
//! fit the program and the package's build.
#![expect(clippy::unwrap_used, reason = "a step of a test that fails is the test's failure")]

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

use crate::support::router;
use router::{Router, has, package, skip};

/// The directory of the tests for node.
fn scripts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/luci")
}

/// The package with the pages.
fn pages() -> PathBuf {
    package().join("luci-app-homing")
}

/// Runs node with `arguments` on `input`.
fn node(arguments: &[&str], input: &[u8]) -> Output {
    let mut command = Command::new("node");
    command.args(arguments).current_dir(scripts());
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    child.wait_with_output().unwrap()
}

/// Runs a file of tests in node.
#[track_caller]
fn passes(test: &str, file: &str) {
    if !has("node") {
        return skip(test, "needs node");
    }
    let done = node(&["--test", file], b"");
    let said = String::from_utf8_lossy(&done.stdout);
    assert!(done.status.success(), "{said}");
    assert!(!said.contains("# tests 0\n"), "{file} tests nothing: {said}");
}

#[test]
fn the_status_becomes_words() {
    passes("the_status_becomes_words", "facts.test.mjs");
}

#[test]
fn the_needs_of_providers_become_fields() {
    passes("the_needs_of_providers_become_fields", "needs.test.mjs");
}

#[test]
fn the_pages_show_text_and_ask_for_little() {
    passes("the_pages_show_text_and_ask_for_little", "pages.test.mjs");
}

#[test]
fn the_settings_are_those_of_the_router_and_hide_secrets() {
    passes("the_settings_are_those_of_the_router_and_hide_secrets", "settings.test.mjs");
}

#[test]
fn every_file_of_tests_for_node_is_run_here() {
    let here = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/luci.rs"));
    let here = here.unwrap();
    for entry in fs::read_dir(scripts()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let is_run = here.contains(&format!("\"{name}\");"));
        assert!(!name.ends_with(".test.mjs") || is_run, "{name} is not run");
    }
}

/// The files below `root`, from there on.
fn files(root: &Path) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    let mut left = vec![root.to_owned()];
    while let Some(directory) = left.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                left.push(path);
            } else {
                found.insert(path.strip_prefix(root).unwrap().to_owned());
            }
        }
    }
    found
}

#[test]
fn the_makefile_installs_the_pages_where_luci_looks() {
    let test = "the_makefile_installs_the_pages_where_luci_looks";
    if !has("make") {
        return skip(test, "needs make");
    }
    let tree = std::env::temp_dir().join(format!("homing-luci-{}", std::process::id()));
    let _ = fs::remove_dir_all(&tree);
    let applications = tree.join("feeds/luci/applications");
    fs::create_dir_all(&applications).unwrap();
    let copied = Command::new("cp").arg("-r").arg(pages()).arg(&applications).status().unwrap();
    assert!(copied.success());
    let stand_ins = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/openwrt");
    fs::copy(stand_ins.join("luci.mk"), tree.join("feeds/luci/luci.mk")).unwrap();
    fs::write(tree.join("rules.mk"), "").unwrap();
    let root = tree.join("root");
    fs::create_dir(&root).unwrap();
    let made = Command::new("make")
        .arg("-s")
        .arg("-C")
        .arg(applications.join("luci-app-homing"))
        .arg(format!("TOPDIR={}", tree.display()))
        .arg(format!("ROOT={}", root.display()))
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let said = String::from_utf8(made.stdout).unwrap();
    assert!(said.contains("\ndepends +luci-base +homing\narchitecture all\n"), "{said}");
    let installed = files(&root);
    for file in [
        "www/luci-static/resources/homing/facts.js",
        "www/luci-static/resources/view/homing/overview.js",
        "usr/share/luci/menu.d/luci-app-homing.json",
        "usr/share/rpcd/acl.d/luci-app-homing.json",
    ] {
        assert!(installed.contains(Path::new(file)), "{file} is not among {installed:?}");
    }
    fs::remove_dir_all(tree).unwrap();
}

#[test]
fn the_makefile_has_the_version_and_the_maintainer_of_the_other_package() {
    let [ours, other] = [pages(), package()]
        .map(|directory| fs::read_to_string(directory.join("Makefile")).unwrap());
    for key in ["PKG_VERSION:=", "PKG_MAINTAINER:=", "PKG_LICENSE:="] {
        let line = |text: &str| text.lines().find(|line| line.starts_with(key)).map(str::to_owned);
        assert!(line(&ours).is_some());
        assert_eq!(line(&ours), line(&other));
    }
    // OpenWrt's build looks for this in every Makefile, and would not see the package without it.
    assert!(ours.contains("call BuildPackage"));
}

#[test]
fn the_overview_understands_the_status_of_the_program() {
    let test = "the_overview_understands_the_status_of_the_program";
    if !has("node") {
        return skip(test, "needs node");
    }
    let Some(router) = Router::new(test) else { return };
    router.configure(
        "homing",
        "config homing 'main'\n\toption enabled '1'\n\nconfig host 'dev1'\n\
         \toption name 'dev1.dyn.example.com'\n\toption provider 'desec'\n\
         \toption token 'secret-of-dev1'\n\toption ipv6 'off'\n",
    );
    assert_eq!(router.service("start").code, 0);
    let access = fs::read_to_string(pages().join("root/usr/share/rpcd/acl.d/luci-app-homing.json"));
    let access: Value = serde_json::from_str(&access.unwrap()).unwrap();
    let commands = access["luci-app-homing"]["read"]["file"].as_object().unwrap();
    let command = "/usr/bin/homing status --json";
    assert!(commands.contains_key(command));
    let status = router.run(command);
    assert_eq!(status.code, 75, "{status:?}");
    assert!(!status.out.contains("secret-of-dev1"));
    let read = node(&["read_status.mjs"], status.out.as_bytes());
    let shown: Value = serde_json::from_slice(&read.stdout).unwrap();
    assert_eq!(shown["runs"], false, "{shown}");
    assert_eq!(shown["count"], "1 waiting", "{shown}");
    let host = &shown["hosts"][0];
    assert_eq!(host["name"], "dev1.dyn.example.com");
    assert_eq!(host["standing"]["words"], "Not updated yet.");
    assert_eq!(host["records"][1]["words"], "left alone");
}
