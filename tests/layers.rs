//! The core stays pure: this reads its sources and fails when they reach for a clock, chance, a
//! file, the network or another crate.
#![expect(clippy::unwrap_used, reason = "a step of a test that fails is the test's failure")]

use std::fs;
use std::path::{Path, PathBuf};

/// What the pure core must not mention, and what to do instead.
const FORBIDDEN: [(&str, &str); 25] = [
    ("tokio", "await in the shell"),
    ("reqwest", "return an HttpRequest"),
    ("rustls", "return an HttpRequest"),
    ("netlink", "take KernelAddress values"),
    ("rustix", "ask the kernel in the shell"),
    ("serde_json", "parse in the shell"),
    ("toml::", "parse in config"),
    ("roxmltree", "read XML in the shell"),
    ("humantime", "take a Duration"),
    ("tracing", "return a value that the driver logs"),
    ("async ", "await in the shell"),
    (".await", "await in the shell"),
    ("::now()", "take the moment as an argument"),
    ("Instant", "take a Timestamp"),
    ("SystemTime", "take a Timestamp"),
    ("std::fs", "read files in the shell"),
    ("std::io", "read and write in the shell"),
    ("std::env", "read the environment in the shell"),
    ("std::process", "run programs in the shell"),
    ("std::thread", "there is one thread"),
    ("TcpStream", "connect in the shell"),
    ("UdpSocket", "connect in the shell"),
    ("ring::", "take the fingerprint or the spread as an argument"),
    ("rand::", "take the spread as an argument"),
    ("crate::", "use crate::core only"),
];

#[test]
fn the_core_uses_std_and_serde_alone() {
    let found = reaching(&["src/core"], |_| true);
    assert!(found.is_empty(), "the core reaches too far:\n{}", found.join("\n"));
}

#[test]
fn what_reads_other_clients_files_is_a_function_of_text() {
    // It may use more of the crate than the core does, and has a room called `toml`.
    let found = reaching(&["src/import"], |word| !matches!(word, "crate::" | "toml::"));
    assert!(found.is_empty(), "the import reaches too far:\n{}", found.join("\n"));
}

/// The lines below `rooms` that mention what they must not, of what `counts` there.
fn reaching(rooms: &[&str], counts: impl Fn(&str) -> bool) -> Vec<String> {
    let mut found = Vec::new();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for path in rooms.iter().flat_map(|room| sources(&root.join(room))) {
        // Tests may use what they like.
        if path.ends_with("tests.rs") {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        for (place, line) in text.lines().enumerate() {
            // Tests at the foot of a file may use what they like; comments may name anything.
            if line.trim() == "#[cfg(test)]" {
                break;
            }
            let code = line.split("//").next().unwrap_or_default().replace("crate::core", "");
            for (word, instead) in FORBIDDEN.into_iter().filter(|(word, _)| counts(word)) {
                if mentions(&code, word) {
                    let path = path.display();
                    found.push(format!("{path}:{}: `{word}`: {instead}", place + 1));
                }
            }
        }
    }
    found
}

#[test]
fn the_core_is_where_this_test_looks() {
    let files = sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src/core"));
    for name in ["plan.rs", "settle.rs", "desec.rs", "dyndns2.rs"] {
        assert!(files.iter().any(|file| file.ends_with(name)), "{name} has moved");
    }
}

/// Whether `code` holds `word` on its own, not as a part of a longer name.
fn mentions(code: &str, word: &str) -> bool {
    let in_name = |c: char| c.is_alphanumeric() || c == '_';
    code.match_indices(word).any(|(place, _)| {
        let before = code[..place].chars().next_back().is_some_and(in_name);
        let after = code[place + word.len()..].chars().next().is_some_and(in_name);
        !(before && word.starts_with(in_name) || after && word.ends_with(in_name))
    })
}

/// The Rust files below `directory`.
fn sources(directory: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}
