//! Writes manual pages and completions for packages: `cargo run --example pages -- DIRECTORY`.
//!
//! They are those of `homing manual` and `homing completions`. The day of the pages is that of
//! `SOURCE_DATE_EPOCH`, else that of the newest entry of the Debian package's changelog, never today's:
//! the same sources give the same files.

use std::path::Path;
use std::process::ExitCode;
use std::{env, fs};

use homing::cli::pages;
use homing::core::time::Timestamp;
use homing::core::wire::calendar::rfc822;

fn main() -> ExitCode {
    let result = match &env::args_os().skip(1).collect::<Vec<_>>()[..] {
        [directory] => write(Path::new(directory)),
        _ => Err("write `cargo run --example pages -- DIRECTORY`".to_owned()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        #[expect(clippy::print_stderr, reason = "a tool of the build says what went wrong")]
        Err(problem) => {
            eprintln!("pages: {problem}");
            ExitCode::FAILURE
        }
    }
}

/// Writes every file into `directory`, which is made if it is not there.
fn write(directory: &Path) -> Result<(), String> {
    let at = |path: &Path, error| format!("{}: {error}", path.display());
    fs::create_dir_all(directory).map_err(|error| at(directory, error))?;
    for (name, text) in pages::files(&day()?) {
        let path = directory.join(name);
        fs::write(&path, text).map_err(|error| at(&path, error))?;
    }
    Ok(())
}

/// The day of the pages.
fn day() -> Result<String, String> {
    let day = match env::var("SOURCE_DATE_EPOCH") {
        Ok(epoch) => {
            let seconds =
                epoch.parse().map_err(|_| "SOURCE_DATE_EPOCH is not a number of seconds")?;
            pages::day(&rfc822(Timestamp::from_secs(seconds)))
        }
        Err(_) => pages::newest_day(),
    };
    day.ok_or_else(|| "packaging/debian/changelog has no entry with a date".to_owned())
}
