//! What each file of `src/` uses of the others, read from its `use` declarations and its paths.
//!
//! Reads words, not meaning: what a name leads to by a re-export counts as the module that it is
//! named by. Used by the test of the rooms.
#![expect(clippy::unwrap_used, reason = "a step of a test that fails is the test's failure")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// A module, from the crate's root.
pub type Module = Vec<String>;

/// A file of `src/`.
pub struct Source {
    /// Its path from the project's root.
    pub path: PathBuf,
    /// The module that it is.
    pub module: Module,
    /// The modules that it uses outside of its tests, each with the line.
    pub uses: Vec<(usize, Module)>,
}

/// Every file of `src/` but those of tests.
pub fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |path: PathBuf| {
        let text = fs::read_to_string(&path).unwrap();
        let path = path.strip_prefix(root).unwrap().to_owned();
        (module(&path, &text), path, text)
    };
    let mut paths = files(&root.join("src"));
    paths.retain(|path| !path.ends_with("tests.rs"));
    paths.sort();
    let read: Vec<_> = paths.into_iter().map(read).collect();
    let known: BTreeSet<Module> = read.iter().map(|(module, ..)| module.clone()).collect();
    let source = |(module, path, text): (Module, PathBuf, String)| {
        let uses = uses(&text, &module, &known);
        Source { path, module, uses }
    };
    read.into_iter().map(source).collect()
}

/// The Rust files below `directory`.
pub fn files(directory: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(self::files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}

/// The module that the file at `path` is; what stands for one that is left out names it first.
fn module(path: &Path, text: &str) -> Module {
    if path.starts_with("src/left_out") {
        return text.split('`').nth(1).unwrap().split("::").map(str::to_owned).collect();
    }
    let path = path.with_extension("");
    let names = path.iter().skip(1).map(|name| name.to_str().unwrap().to_owned());
    names.filter(|name| name != "mod" && name != "lib").collect()
}

/// The modules among `known` that `text`, the file of `module`, uses.
fn uses(text: &str, module: &Module, known: &BTreeSet<Module>) -> Vec<(usize, Module)> {
    let tokens = without_tests(tokens(text, false));
    let mut uses = Vec::new();
    // The modules within the file around a token, with how many braces are open around each.
    let (mut within, mut depth): (Vec<(&str, usize)>, usize) = (Vec::new(), 0);
    let mut at = 0;
    while at < tokens.len() {
        let (line, token) = tokens[at];
        let next = |ahead: usize| tokens.get(at + ahead).map_or("", |(_, token)| *token);
        match token {
            "{" => depth += 1,
            "}" => {
                depth -= 1;
                within.pop_if(|(_, around)| *around == depth);
            }
            "mod" if next(2) == "{" => within.push((next(1), depth)),
            _ => {}
        }
        let is_declared = token == "use";
        let is_path = is_word(token) && next(1) == "::";
        if !is_declared && !is_path {
            at += 1;
            continue;
        }
        let start = at + usize::from(is_declared);
        let (paths, end) = tree(&tokens, start, &[]);
        let here = within.iter().map(|(name, _)| (*name).to_owned());
        let here: Module = module.iter().cloned().chain(here).collect();
        let targets = paths.iter().filter_map(|path| target(path, &here, known));
        uses.extend(targets.filter(|target| target != module).map(|target| (line, target)));
        at = end.max(at + 1);
    }
    uses
}

/// The module among `known` that `path`, written in the module `here`, leads to; `None` when that is
/// another crate's or what was imported above.
fn target(path: &[&str], here: &Module, known: &BTreeSet<Module>) -> Option<Module> {
    let supers = path.iter().filter(|name| **name == "super").count();
    let base = match path[0] {
        "crate" | "homing" => &[],
        "self" | "super" => &here[..here.len() - supers],
        child => {
            let child: Module = here.iter().cloned().chain([child.to_owned()]).collect();
            if known.contains(&child) { &here[..] } else { return None }
        }
    };
    let names = path.iter().filter(|name| !["crate", "homing", "self", "super"].contains(name));
    let mut whole: Module =
        base.iter().cloned().chain(names.map(|name| (*name).to_owned())).collect();
    while !known.contains(&whole) {
        whole.pop()?;
    }
    Some(whole)
}

/// The paths of the tree of `use` that begins at token `at`, below `before`, and where it ends.
fn tree<'a>(
    tokens: &[(usize, &'a str)],
    mut at: usize,
    before: &[&'a str],
) -> (Vec<Vec<&'a str>>, usize) {
    let mut path = before.to_vec();
    let mut paths = Vec::new();
    while let Some((_, token)) = tokens.get(at) {
        match *token {
            "::" => {}
            "{" => {
                while tokens[at].1 != "}" {
                    let (more, end) = tree(tokens, at + 1, &path);
                    paths.extend(more);
                    at = end;
                }
                return (paths, at + 1);
            }
            word if is_word(word) && tokens[at - 1].1 != "as" && word != "as" => {
                // A word that no `::` comes before belongs to the path only where that begins.
                if path.len() > before.len() && tokens[at - 1].1 != "::" {
                    break;
                }
                path.push(word);
            }
            word if is_word(word) => {}
            _ => break,
        }
        at += 1;
    }
    if path.len() > before.len() {
        paths.push(path);
    }
    (paths, at)
}

fn is_word(token: &str) -> bool {
    token.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

/// `tokens` without the items that only tests have.
fn without_tests(tokens: Vec<(usize, &str)>) -> Vec<(usize, &str)> {
    let mut kept = Vec::new();
    let mut rest = tokens.into_iter().peekable();
    while let Some(token) = rest.next() {
        kept.push(token);
        let last = kept[kept.len().saturating_sub(5)..].iter().map(|(_, text)| *text);
        if !last.eq(["[", "cfg", "(", "test", ")"]) {
            continue;
        }
        let mut open = 0_usize;
        for (_, text) in rest.by_ref() {
            match text {
                "{" => open += 1,
                "}" if open == 1 => break,
                "}" => open -= 1,
                ";" if open == 0 => break,
                _ => {}
            }
        }
    }
    kept
}

/// The texts in quotes of the file at `path` with their lines, without those that only tests or readers
/// of the sources see: reasons of lints, and why something cannot fail.
pub fn texts(path: &Path) -> Vec<(usize, String)> {
    let source = fs::read_to_string(path).unwrap();
    let tokens = without_tests(tokens(&source, true));
    let is_text = |token: &str| token.ends_with('"') || token.ends_with('#') && token.len() > 1;
    let mut texts = Vec::new();
    for (at, (line, token)) in tokens.iter().enumerate().filter(|(_, (_, token))| is_text(token)) {
        let before: Vec<_> = tokens[at.saturating_sub(2)..at].iter().map(|(_, t)| *t).collect();
        if !matches!(before[..], ["reason", "="] | ["expect", "("]) {
            texts.push((*line, joined(token)));
        }
    }
    texts
}

/// A text without the breaks of a long one: a backslash, and the blanks that begin the next line.
fn joined(text: &str) -> String {
    let mut parts = text.split("\\\n");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| text + part.trim_start())
}

/// The words and signs of `text` with their lines, without comments and characters; the texts in quotes
/// only `with_texts`.
fn tokens(text: &str, with_texts: bool) -> Vec<(usize, &str)> {
    let mut tokens = Vec::new();
    let (mut line, mut rest) = (1, text);
    while let Some(first) = rest.chars().next() {
        if first == ' ' {
            rest = rest.trim_start_matches(' ');
            continue;
        }
        let in_word = |c: char| c.is_alphanumeric() || c == '_';
        let until =
            |end: &str, from: usize| rest[from..].find(end).map_or(rest.len(), |at| from + at);
        let (length, is_token) = if rest.starts_with("//") {
            (until("\n", 0), false)
        } else if let Some(length) = raw(rest) {
            (length, with_texts)
        } else if first == '"' {
            (quoted(rest), with_texts)
        } else if first == '\'' {
            // A character, or a lifetime.
            let second = rest[1..].chars().next().map_or(0, char::len_utf8);
            if rest[1..].starts_with('\\') {
                (until("'", 3) + 1, false)
            } else if rest[1 + second..].starts_with('\'') {
                (second + 2, false)
            } else {
                (1, false)
            }
        } else if in_word(first) {
            (rest.find(|c| !in_word(c)).unwrap_or(rest.len()), true)
        } else if rest.starts_with("::") {
            (2, true)
        } else {
            (first.len_utf8(), !first.is_whitespace())
        };
        let (token, after) = rest.split_at(length);
        if is_token {
            tokens.push((line, token));
        }
        line += token.matches('\n').count();
        rest = after;
    }
    tokens
}

/// The length of the raw text that `rest` begins with, if it does.
fn raw(rest: &str) -> Option<usize> {
    let quotes = rest.strip_prefix('b').unwrap_or(rest).strip_prefix('r')?;
    let hashes = quotes.bytes().take_while(|byte| *byte == b'#').count();
    let text = quotes[hashes..].strip_prefix('"')?;
    let end = format!("\"{}", "#".repeat(hashes));
    Some(rest.len() - text.len() + text.find(&end)? + end.len())
}

/// The length of the text in quotes that `rest` begins with.
fn quoted(rest: &str) -> usize {
    let mut is_escaped = false;
    for (at, byte) in rest.bytes().enumerate().skip(1) {
        match byte {
            b'"' if !is_escaped => return at + 1,
            b'\\' => is_escaped = !is_escaped,
            _ => is_escaped = false,
        }
    }
    rest.len()
}
