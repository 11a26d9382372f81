//! The property of the three imports: what is written is a configuration, without any password.

use std::path::Path;

use homing::config;
use homing::import::{Client, read_draft};

use crate::bytes::Bytes;
use crate::example::MARK;

/// The directory of secrets in every example.
const DIRECTORY: &str = "/etc/homing";

/// Imports the fuzzer's text as a file of `client`; `line` is a line of such a file with the secret `{}`.
///
/// The first byte says whether there is a directory for secrets, and whether `line` is put where the
/// next two bytes say.
pub fn check(client: Client, bytes: &[u8], line: &str) {
    let mut bytes = Bytes(bytes);
    let (how, place) = (bytes.byte(), usize::from(bytes.word()));
    let text = bytes.text();
    let lines: Vec<&str> = text.lines().collect();
    let place = place % (lines.len() + 1);
    let marked = [MARK, "!hunter"].concat();
    let own = line.replace("{}", &marked);
    let (before, after) = lines.split_at(place);
    let text = match how & 2 {
        0 => text.clone(),
        _ => [before, &[&own], after].concat().join("\n"),
    };
    let Ok(draft) = read_draft(client, &text) else { return };
    let directory = (how & 1 == 1).then_some(DIRECTORY);
    let written = draft.clone().written("old.conf", directory, problems);
    assert_eq!(draft.clone().written("old.conf", directory, problems).text, written.text);
    assert!(!written.text.contains('\r'));
    if written.carried > 0 {
        let read = config::parse(Path::new("homing.toml"), &written.text, false);
        let config = read.unwrap_or_else(|problems| panic!("{problems}\n{}", written.text));
        assert_eq!(config.hosts.len(), written.carried, "{}", written.text);
    }
    let is_unusual = |c: char| !c.is_alphanumeric() && !"._-*@:/+,= \"'\\[]#%?&".contains(c);
    for file in &written.secrets {
        let secret = file.secret.expose();
        assert!(!file.name.contains('/') && !file.name.starts_with('.'), "{:?}", file.name);
        let is_sign = secret.len() >= 6 && secret.contains(is_unusual);
        assert!(!is_sign || !written.text.contains(secret), "{secret:?} in\n{}", written.text);
    }
}

fn problems(text: &str) -> Vec<String> {
    match config::parse(Path::new("-"), text, true) {
        Ok(_) => Vec::new(),
        Err(problems) => problems.iter().map(str::to_owned).collect(),
    }
}
