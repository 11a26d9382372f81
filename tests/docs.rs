//! The pages for people: `contrib/docs/providers.md` is what the table says, and every file that a page
//! or README names is there.
#![expect(clippy::unwrap_used, reason = "a step of a test that fails is the test's failure")]

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use crate::support::home;
use homing::core::built_in;

const PAGE: &str = "contrib/docs/providers.md";

/// The page of all built-in providers, as Markdown.
fn providers() -> String {
    let cell = |text: &str| text.replace('|', "\\|").replace('<', "&lt;");
    let mut rows = String::new();
    let mut count = 0;
    for provider in built_in::all() {
        count += 1;
        let (title, page) = (cell(&provider.title), &provider.page);
        let title = if page.is_empty() { title } else { format!("[{title}]({page})") };
        writeln!(rows, "| `{}` | {title} | {} |", provider.name, cell(&provider.credential))
            .unwrap();
    }
    format!(
        "# Providers\n\n{count} are built in. `homing providers NAME` shows what a host needs at one \
         of them, with a block to copy.\nThe last column is the credential with the fewest rights \
         that the service offers.\n\nThis page is made from the table: \
         `HOMING_WRITE=1 cargo test --test all docs::` writes it anew.\n\n\
         | name | service | credential |\n| --- | --- | --- |\n{rows}"
    )
}

#[test]
fn the_page_of_providers_is_what_the_table_says() {
    home::is_made(PAGE, &providers(), "docs");
}

#[test]
fn what_the_pages_name_is_there() {
    let mut links = 0;
    for page in home::pages() {
        let text = fs::read_to_string(&page).unwrap();
        let targets = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        for target in targets.filter(|target| !target.contains("://")) {
            let (file, heading) = target.split_once('#').unwrap_or((target, ""));
            let place = match file {
                "" => page.clone(),
                file => page.parent().unwrap().join(file),
            };
            assert!(place.exists(), "{}: there is no {target}", page.display());
            assert!(has_heading(&place, heading), "{}: there is no {target}", page.display());
            links += 1;
        }
    }
    assert!(links > 20, "{links}");
}

/// Whether the page has the heading that `anchor` names; one without an anchor has it.
fn has_heading(page: &Path, anchor: &str) -> bool {
    let anchor_of = |heading: &str| {
        let heading = heading.to_lowercase().replace(' ', "-");
        heading.chars().filter(|c| c.is_alphanumeric() || *c == '-').collect::<String>()
    };
    anchor.is_empty()
        || fs::read_to_string(page)
            .unwrap()
            .lines()
            .filter_map(|line| line.strip_prefix("## "))
            .any(|heading| anchor_of(heading) == anchor)
}

#[test]
fn the_readme_is_short() {
    let readme = fs::read_to_string(home::project().join("README.md")).unwrap();
    assert!(readme.lines().count() <= 160, "{}", readme.lines().count());
}
