//! `status-page`: what is known of the hosts as one page for people. Pure.
//!
//! No script, nothing from elsewhere; a table that a screen reader can read, and that becomes a list of
//! cards where the screen is narrow.

use std::fmt::{self, Write as _};

use super::view::{HostView, View};
use crate::core::address::Family;
use crate::core::exit::Exit;
use crate::core::memory::Record;
use crate::core::plan::Use;
use crate::core::time::Timestamp;
use crate::core::token::upkeep::End;
use crate::drivers::{show, summary};
use crate::os::clock::rfc3339_seconds;
use crate::os::local::Local;
use crate::os::log::Printable;

/// The beginning of the line that differs each time the page is written.
pub const VOLATILE: [&str; 1] = ["<p class=\"as-of\">"];

/// What stands before the summary. The roles keep the table one where its cells are shown as blocks.
const HEAD: &str = r#"<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8"/>
<meta name="viewport" content="width=device-width, initial-scale=1"/>
<meta name="color-scheme" content="light dark"/>
<meta name="referrer" content="no-referrer"/>
<link rel="icon" href="data:,"/>
<title>Homing: state of the hosts</title>
<style>
:root{--ground:#fff;--text:#1c1c1e;--quiet:#54545a;--line:#c9c9ce;--right:#0b6430;--waits:#7a4a00;--wrong:#a4161a}
@media(prefers-color-scheme:dark){:root{--ground:#16171a;--text:#ececf0;--quiet:#b4b4bc;--line:#45464d;--right:#7bd69b;--waits:#f2bf6b;--wrong:#ff9d96}}
*{box-sizing:border-box}
body{margin:0 auto;max-width:75rem;padding:1rem;background:var(--ground);color:var(--text);font:1rem/1.5 system-ui,sans-serif;overflow-wrap:anywhere}
h1{font-size:1.5rem;margin:0 0 .25rem}
p{margin:0 0 .5rem}
.as-of,small{color:var(--quiet);font-size:.875rem}
small{display:block;font-weight:400}
table{border-collapse:collapse;width:100%;margin-top:1rem}
caption{text-align:left;font-weight:600;padding-bottom:.5rem}
th,td{text-align:left;vertical-align:top;padding:.5rem .75rem .5rem 0;border-top:1px solid var(--line)}
th{font-weight:600}
th:first-child{min-width:12rem}
th:nth-child(n+3){min-width:8rem}
.right{color:var(--right)}.waits{color:var(--waits)}.wrong{color:var(--wrong)}
.right,.waits,.wrong{font-weight:600}
@media(max-width:48rem){
table,tbody,tr,th,td,caption{display:block}
thead{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)}
tr{border-top:1px solid var(--line);padding:.75rem 0}
th,td{border:0;padding:.125rem 0;min-width:0}
td::before{content:attr(data-label);display:block;color:var(--quiet);font-size:.875rem}
tbody th{font-size:1.125rem}
}
</style>
</head>
<body>
<main>
<h1>Homing</h1>
"#;

/// The head of the table.
const TABLE: &str = r#"<table role="table">
<caption>The hosts and their addresses</caption>
<thead role="rowgroup">
<tr role="row"><th role="columnheader" scope="col">Host</th><th role="columnheader" scope="col">State</th><th role="columnheader" scope="col">IPv4</th><th role="columnheader" scope="col">IPv6</th><th role="columnheader" scope="col">Next</th></tr>
</thead>
<tbody role="rowgroup">
"#;

/// What stands after the hosts.
const FOOT: &str = "</tbody>\n</table>\n</main>\n</body>\n</html>\n";

/// The page.
pub fn text(view: &View<'_>) -> String {
    let mut page = String::from(HEAD);
    let at = view.as_of;
    let stands = view.hosts.iter().map(|host| (host.standing, waits_until(host, at.now)));
    // Writing to a String cannot fail, here and below.
    let _ = writeln!(page, "<p>{}.</p>", Escaped(&summary::hosts(stands, at)));
    if view.is_unsaved {
        page.push_str(
            "<p class=\"wrong\">The state cannot be saved, so nothing is sent; see the log.</p>\n",
        );
    }
    let (as_of, next_by) = (Moment(at.now, at), Moment(view.next_by, at));
    let _ = writeln!(
        page,
        "{}As of {as_of}, next by {next_by}. If it is later now, Homing is not running.</p>",
        VOLATILE[0]
    );
    page.push_str(TABLE);
    view.hosts.iter().for_each(|host| row(&mut page, host, at));
    page.push_str(FOOT);
    page
}

/// When the first wait of a host ends by itself.
fn waits_until(host: &HostView<'_>, now: Timestamp) -> Option<Timestamp> {
    host.entry?.holds(now).filter_map(|(_, hold)| hold.until).min()
}

fn row(page: &mut String, host: &HostView<'_>, at: Local) {
    let (name, provider) = (host.key().host.as_str(), &host.key().provider);
    let _ = write!(
        page,
        "<tr role=\"row\"><th role=\"rowheader\" scope=\"row\">{}<small>{}</small></th>",
        Escaped(name),
        Escaped(provider)
    );
    cell(page, "State");
    state(page, host, at);
    for family in Family::BOTH {
        page.push_str("</td>");
        cell(page, if family == Family::V4 { "IPv4" } else { "IPv6" });
        let is_off = host.config.host.families[family] == Use::Off;
        record(page, host.entry.map(|entry| &entry.families[family]), is_off, at);
    }
    page.push_str("</td>");
    cell(page, "Next");
    next(page, host, at);
    page.push_str("</td></tr>\n");
}

fn cell(page: &mut String, label: &str) {
    let _ = write!(page, "<td role=\"cell\" data-label=\"{label}\">");
}

/// The state of a host, why it is so, and what to do about it.
fn state(page: &mut String, host: &HostView<'_>, at: Local) {
    let (class, word) = match host.standing {
        Exit::Right => ("right", "right"),
        Exit::Deferred => ("waits", "waiting"),
        Exit::Rejected => ("wrong", "rejected"),
        Exit::Configuration | Exit::Usage => ("wrong", "left out"),
    };
    let _ = write!(page, "<span class=\"{class}\">{word}</span>");
    let mut small = |text: &str| {
        let _ = write!(page, "<small>{}</small>", Escaped(text));
    };
    if host.is_left_out() {
        small("The secret cannot be used. Fix: run homing check.");
    }
    if let Some(problem) = &host.token_problem {
        small(&format!("Token: {problem}"));
    }
    let Some(entry) = host.entry else { return small("Never updated yet.") };
    for (family, hold) in entry.holds(at.now) {
        let of = family.map(|family| format!("{family}: ")).unwrap_or_default();
        small(&format!("{of}{}", show::hold(hold, at)));
        small(&format!("Fix: {}", hold.remedy(&host.key().host)));
    }
    if let Some(since) = entry.queued_since.filter(|_| entry.holds(at.now).next().is_none()) {
        small(&format!(
            "Waiting since {} because of the provider's rate limit.",
            at.anywhere(since)
        ));
    }
}

/// What is set of a family, and since when.
fn record(page: &mut String, record: Option<&Record>, is_off: bool, at: Local) {
    let empty = Record::default();
    let record = record.unwrap_or(&empty);
    let _ = match (&record.set, record.removed) {
        _ if is_off => write!(page, "off"),
        (Some(set), _) => write!(
            page,
            "{}<small>set {}</small>",
            Escaped(&set.addresses.to_string()),
            Moment(set.since, at)
        ),
        (None, Some(removed)) => write!(page, "removed<small>{}</small>", Moment(removed, at)),
        (None, None) => write!(page, "not set"),
    };
    if record.sent.is_some() {
        page.push_str("<small>the last update is not confirmed</small>");
    }
    if let Some(since) = record.missing_since.filter(|_| !is_off) {
        let _ = write!(page, "<small>no address found since {}</small>", Moment(since, at));
    }
}

/// What comes next: a try after a wait, a refresh, the end of the token.
fn next(page: &mut String, host: &HostView<'_>, at: Local) {
    let end = match host.end {
        End::At(end) => Some(end),
        End::Never | End::Unknown => None,
    };
    let all = [
        ("next try", waits_until(host, at.now)),
        ("refresh", host.refresh),
        ("token expires", end),
    ];
    let mut is_empty = true;
    for (what, moment) in all {
        let Some(moment) = moment else { continue };
        let _ = write!(page, "<small>{what} {}</small>", Moment(moment, at));
        is_empty = false;
    }
    if is_empty {
        page.push_str("<small>nothing planned</small>");
    }
}

/// A moment for people and programs.
struct Moment(Timestamp, Local);

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(moment, at) = self;
        let shown = at.anywhere(*moment);
        write!(f, "<time datetime=\"{}\">{shown}</time>", rfc3339_seconds(*moment))
    }
}

/// Text that a server or a user wrote, harmless in a page.
struct Escaped<'a>(&'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Printable(self.0).to_string().chars().try_for_each(|c| match c {
            '&' => f.write_str("&amp;"),
            '<' => f.write_str("&lt;"),
            '>' => f.write_str("&gt;"),
            '"' => f.write_str("&quot;"),
            '\'' => f.write_str("&#39;"),
            c => f.write_char(c),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::os::local::Clocks;

    #[test]
    fn what_a_server_says_is_text_in_the_page() {
        let text = Escaped("<script>alert(\"1\")</script> & 'x' \u{1b}[2J").to_string();
        let expect =
            "&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt; &amp; &#39;x&#39; \\u{1b}[2J";
        assert_eq!(text, expect);
    }

    #[test]
    fn a_moment_is_for_people_and_programs() {
        let moment = Timestamp::from_secs(1_800_000_000);
        let moment = Moment(moment, Local { now: moment, clocks: Clocks::UTC }).to_string();
        let expect = "<time datetime=\"2027-01-15T08:00:00Z\">2027-01-15 08:00 UTC</time>";
        assert_eq!(moment, expect);
    }

    #[test]
    fn the_page_needs_nothing_from_elsewhere() {
        for part in [HEAD, TABLE, FOOT] {
            assert!(
                !part.contains("<script") && !part.contains("http:") && !part.contains("https:")
            );
            assert!(!part.contains("url(") && !part.contains("@import"));
        }
    }
}
