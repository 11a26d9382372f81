//! The whole way from a client's text to configuration, for what its parts cannot show.

use std::path::Path;

use super::*;
use crate::config;

/// What is wrong with `text` as configuration, as the driver asks it.
fn problems(text: &str) -> Vec<String> {
    match config::parse(Path::new("t"), text, true) {
        Ok(_) => Vec::new(),
        Err(problems) => problems.iter().map(str::to_owned).collect(),
    }
}

fn written(client: Client, text: &str) -> Written {
    read(client, text).unwrap().written("FILE", None, problems)
}

#[test]
fn placeholder() {
    let written = written(Client::Ddclient, "login=a\npassword=hunter2 h.example");
    println!("{}", written.text);
    assert_eq!(written.carried, 1);
}
