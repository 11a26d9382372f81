//! How Homing is called by whoever tries it. Shared by the test servers.

use std::path::Path;

/// `homing` where it is on the `PATH`; in a clone, where it is not, what builds and runs it.
pub fn homing() -> &'static str {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let is_there = |dir: &Path| dir.join("homing").is_file();
    let installed = std::env::split_paths(&path).any(|dir| is_there(&dir));
    if installed { "homing" } else { "cargo run -q --" }
}
