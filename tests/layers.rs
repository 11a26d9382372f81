//! Every file of `src/` stays in its room: these read the sources and fail when a room uses another
//! that the table in `lib.rs` does not name, when files use each other in a circle, and when the core
//! reaches for a clock, chance, a file, the network or another crate.
#![expect(clippy::unwrap_used, reason = "a step of a test that fails is the test's failure")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use crate::support::sources::{files, sources};

/// The rooms in the table of `lib.rs`, in its order, each with those that it may use.
fn rooms() -> Vec<(String, Vec<String>)> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/lib.rs");
    let text = fs::read_to_string(path).unwrap();
    let rows = text.lines().filter_map(|line| line.strip_prefix("//! | "));
    let room = |row: &str| {
        let cells: Vec<_> = row.split('|').map(str::trim).collect();
        let name = cells[0].trim_matches(['[', ']', '`']).to_owned();
        (name, cells[2].split(", ").filter(|name| !name.is_empty()).map(str::to_owned).collect())
    };
    rows.skip(2).map(room).collect()
}

#[test]
fn every_entry_of_src_is_a_row_of_the_table_and_uses_only_rows_above() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let name = |entry: &Path| entry.file_stem().unwrap().to_str().unwrap().to_owned();
    let entries = fs::read_dir(root).unwrap().map(|entry| name(&entry.unwrap().path()));
    let entries: BTreeSet<_> = entries.filter(|name| name != "lib").collect();
    let rooms = rooms();
    assert_eq!(rooms.iter().map(|(room, _)| room.clone()).collect::<BTreeSet<_>>(), entries);
    for (at, (room, may_use)) in rooms.iter().enumerate() {
        let above = |name: &String| rooms[..at].iter().any(|(above, _)| above == name);
        assert!(may_use.iter().all(above), "{room} uses a room that is not above it");
    }
}

#[test]
fn each_room_uses_those_of_its_row_and_no_other() {
    let rooms: BTreeMap<_, _> = rooms().into_iter().collect();
    let (mut found, mut used) = (Vec::new(), BTreeSet::new());
    for source in sources() {
        let Some(room) = source.module.first() else { continue };
        for (line, target) in source.uses {
            let Some(target) = target.first().filter(|target| *target != room) else { continue };
            used.insert((room.clone(), target.clone()));
            if !rooms[room].contains(target) {
                let path = source.path.display();
                found.push(format!("{path}:{line}: `{room}` must not use `{target}`"));
            }
        }
    }
    found.dedup();
    assert!(found.is_empty(), "rooms reach too far:\n{}", found.join("\n"));
    for (room, may_use) in rooms {
        for target in may_use {
            assert!(used.contains(&(room.clone(), target.clone())), "`{room}` uses no `{target}`");
        }
    }
}

#[test]
fn neither_files_nor_folders_use_each_other_in_a_circle() {
    let sources = sources();
    let is_folder = |path: &[String]| {
        sources.iter().any(|s| s.module.len() > path.len() && s.module.starts_with(path))
    };
    let (mut files, mut folders): (Uses, Uses) = Default::default();
    for source in &sources {
        for (_, target) in &source.uses {
            let (from, to) = (&source.module, target);
            let common = from.iter().zip(to).take_while(|(a, b)| a == b).count();
            // A folder and what is in it are one: the first declares the others.
            if common == from.len().min(to.len()) {
                continue;
            }
            files.entry(from.join("::")).or_default().insert(to.join("::"));
            let (from, to) = (&from[..=common], &to[..=common]);
            if is_folder(from) && is_folder(to) {
                folders.entry(from.join("::")).or_default().insert(to.join("::"));
            }
        }
    }
    assert!(files.len() > 100 && folders.len() > 10, "the sources are not where this test looks");
    for uses in [files, folders] {
        let circle = circle(uses);
        assert!(circle.is_empty(), "these use each other: {circle:?}");
    }
}

/// Who uses whom.
type Uses = BTreeMap<String, BTreeSet<String>>;

/// What is left of `uses` without those that use nobody and those that nobody uses: the circles, and
/// what lies between two of them.
fn circle(mut uses: Uses) -> Uses {
    loop {
        let before = uses.len();
        let names: BTreeSet<_> = uses.keys().cloned().collect();
        uses.values_mut().for_each(|others| others.retain(|name| names.contains(name)));
        let wanted: BTreeSet<_> = uses.values().flatten().cloned().collect();
        uses.retain(|name, others| wanted.contains(name) && !others.is_empty());
        if uses.len() == before {
            return uses;
        }
    }
}

#[test]
fn a_circle_is_found() {
    let uses = |pairs: &[(&str, &str)]| {
        let mut uses = Uses::new();
        for (from, to) in pairs {
            uses.entry((*from).to_owned()).or_default().insert((*to).to_owned());
        }
        circle(uses).into_keys().collect::<Vec<_>>()
    };
    assert!(uses(&[("a", "b"), ("b", "c"), ("a", "c")]).is_empty());
    assert_eq!(uses(&[("a", "b"), ("b", "c"), ("c", "b"), ("c", "d")]), ["b", "c"]);
}

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

/// What reads and makes messages may use besides: none of it does I/O.
const OF_MESSAGES: [&str; 3] = ["ring::", "roxmltree", "serde_json"];

/// Signs with RSA: ring asks for a source of chance there, though such a signature holds none.
const SIGNS_WITH_RSA: &str = "src/core/protocol/http/sign/keys.rs";

/// Where messages are read and made.
const MESSAGES: [&str; 2] = ["src/core/protocol", "src/core/wire"];

#[test]
fn the_core_uses_std_and_serde_alone() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let is_of_messages =
        |file: &Path| MESSAGES.iter().any(|room| file.starts_with(root.join(room)));
    let signs_with_rsa = |file: &Path| file == root.join(SIGNS_WITH_RSA);
    let found = reaching(&["src/core"], |file, word| {
        let may = is_of_messages(file) && OF_MESSAGES.contains(&word)
            || word == "rand::" && signs_with_rsa(file);
        !may
    });
    assert!(found.is_empty(), "the core reaches too far:\n{}", found.join("\n"));
}

#[test]
fn what_reads_other_clients_files_is_a_function_of_text() {
    // It may use more of the crate than the core does, and has a room called `toml`.
    let found = reaching(&["src/import"], |_, word| !matches!(word, "crate::" | "toml::"));
    assert!(found.is_empty(), "the import reaches too far:\n{}", found.join("\n"));
}

/// The lines below `rooms` that mention what they must not, of what `counts` there.
fn reaching(rooms: &[&str], counts: impl Fn(&Path, &str) -> bool) -> Vec<String> {
    let mut found = Vec::new();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for path in rooms.iter().flat_map(|room| files(&root.join(room))) {
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
            for (word, instead) in FORBIDDEN.into_iter().filter(|(word, _)| counts(&path, word)) {
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
    let files = files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src/core"));
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
