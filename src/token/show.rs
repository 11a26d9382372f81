//! Output of audits: a table for people, and JSON for scripts.
//!
//! Text from a server is cleaned here before it is measured and coloured.

use std::path::PathBuf;

use serde::Serialize;

use crate::core::exit::Exit;
use crate::core::name::Hostname;
use crate::core::time::{Timestamp, roughly};
use crate::core::token::finding::{self, Finding};
use crate::core::token::verdict::{TokenVerdict, Weight};
use crate::core::token::{Duty, EVERYWHERE, Key, Limits, Row, Rule, TokenId, period};
use crate::os::clock::{self, rfc3339_seconds};
use crate::os::fold::{filled, pieces};
use crate::os::local::Local;
use crate::os::log::Printable;
use crate::os::say::{ascii_json, out};
use crate::os::styled::{Style, out_styled};
use crate::os::terminal::{self, breadth, breadth_of};

/// The source of an audit's findings.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum By {
    /// The name server's answers to the key (rfc2136).
    Answers,
    /// The account, with the management token.
    Management,
    /// The token itself, which cannot see everything.
    Itself,
    /// The receipt alone, written when the token was made.
    #[default]
    Receipt,
}

/// The result of the audit of one token.
#[derive(Clone, Debug, Default)]
pub struct Audited {
    /// The hosts that use the token; none for a token of no host here.
    pub hosts: Vec<Hostname>,
    /// The file of its secret.
    pub file: Option<PathBuf>,
    /// Its id, if it is known.
    pub id: Option<TokenId>,
    /// Its name at the provider.
    pub name: Option<String>,
    /// The source of the findings.
    pub by: By,
    /// The findings, worst first.
    pub findings: Vec<Finding>,
    /// The fix of each finding, in the same order: a command, or a sentence with commands in backticks.
    pub fixes: Vec<Option<String>>,
    /// Properties that the audit could not see.
    pub not_visible: Vec<&'static str>,
    /// The time when it ends.
    pub expires: Option<Timestamp>,
    /// The time of its last use.
    pub last_used: Option<Timestamp>,
    /// Whether the provider shows that time to nobody.
    pub hides_use: bool,
    /// The time when it was made.
    pub created: Option<Timestamp>,
    /// The limits of its life and use.
    pub limits: Option<Limits>,
    /// Whether its server accepts it now, as the server says.
    pub is_valid: Option<bool>,
    /// The rules of its policies; `None` where they could not be read.
    pub rows: Option<Vec<Row>>,
    /// The duties that it was judged for.
    pub duties: Vec<Duty>,
    /// Whether its receipt is of another token.
    pub is_anothers: bool,
    /// The number of probes.
    pub tried: usize,
    /// Whether its receipt proves that Homing issued it.
    pub is_ours: bool,
}

impl Audited {
    /// An empty report.
    pub fn by(by: By) -> Self {
        Self { by, ..Self::default() }
    }

    /// Sorts the findings, worst first, and sets the fix of each.
    pub fn put_in_order(&mut self, fix: impl Fn(&Self, &Finding) -> Option<String>) {
        finding::sort(&mut self.findings);
        self.fixes = self.findings.iter().map(|finding| fix(self, finding)).collect();
    }

    /// The verdict of all findings.
    pub fn verdict(&self) -> TokenVerdict {
        finding::verdict(&self.findings)
    }

    /// The findings with their fixes.
    fn findings(&self) -> impl Iterator<Item = (&Finding, Option<&str>)> {
        let fixes = self.fixes.iter().map(Option::as_deref).chain(std::iter::repeat(None));
        self.findings.iter().zip(fixes)
    }
}

/// Prints the results of audits; returns the exit code.
pub fn tell(audited: &[Audited], as_json: bool, is_verbose: bool) -> Exit {
    if as_json {
        out(&json(audited));
    } else {
        let (width, colours) = (terminal::width(), terminal::colours());
        let lines = table(audited, Local::here(clock::wall()), width, colours, is_verbose);
        lines.iter().for_each(|line| out_styled(line));
    }
    Exit::worst(audited.iter().map(exit))
}

/// The exit code for one token.
fn exit(audited: &Audited) -> Exit {
    match audited.verdict() {
        TokenVerdict::TooPowerful => Exit::Rejected,
        TokenVerdict::Inconclusive => Exit::Deferred,
        TokenVerdict::Dead
        | TokenVerdict::Narrow
        | TokenVerdict::NarrowToZone
        | TokenVerdict::NotProven => {
            if cannot_do_its_job(audited) {
                Exit::Deferred
            } else {
                Exit::Right
            }
        }
    }
}

/// The space between two columns.
const GAP: usize = 2;

/// The audits as lines of at most `width` columns, except that a command is never broken; with
/// `colours` they are for [`out_styled`]. Shows [`Finding::NoExpiry`] only if `is_verbose`.
pub fn table(
    audited: &[Audited],
    here: Local,
    width: usize,
    colours: bool,
    is_verbose: bool,
) -> Vec<String> {
    let header = ["TOKEN", "VERDICT", "EXPIRES", "LAST USED"].map(str::to_owned);
    let rows: Vec<[String; 4]> = audited.iter().map(|token| row(token, here)).collect();
    let columns = Columns::fitting(&header, &rows, width);
    let mut page = Page { lines: Vec::new(), width };
    if !rows.is_empty() {
        columns.write(&mut page.lines, &header, None);
    }
    for (token, row) in audited.iter().zip(&rows) {
        columns.write(&mut page.lines, row, colours.then(|| standing(token).1));
        details(&mut page, token, here, is_verbose);
    }
    let has_rows = |token: &Audited| {
        let by_policies = matches!(token.by, By::Itself | By::Management);
        let is_default = |row: &Row| row.rule.is_default();
        by_policies && token.rows.as_ref().is_some_and(|rows| rows.iter().any(is_default))
    };
    if audited.iter().any(has_rows) {
        page.add("", PRECEDENCE);
    }
    page.add("", &summary(audited));
    page.lines
}

/// The widths of the columns.
struct Columns {
    widths: [usize; 4],
    /// The width of the page.
    all: usize,
}

impl Columns {
    fn fitting(header: &[String; 4], rows: &[[String; 4]], all: usize) -> Self {
        /// A narrower column for names is hard to read; then each name has a line of its own.
        const LEAST: usize = 16;
        let rows = || std::iter::once(header).chain(rows);
        let longest = |place: usize| rows().map(|row| breadth(&row[place])).max();
        let mut widths = [0, 1, 2, 3].map(|place| longest(place).unwrap_or_default());
        let rest: usize = widths[1..].iter().map(|width| width + GAP).sum();
        let room = all.saturating_sub(rest);
        widths[0] = if room < LEAST { 0 } else { widths[0].min(room) };
        Self { widths, all }
    }

    /// Adds a row, its second cell in `style`; a name that is too long has its own line above.
    fn write(&self, lines: &mut Vec<String>, row: &[String; 4], style: Option<Style>) {
        let mut line = String::new();
        for (place, (cell, width)) in row.iter().zip(self.widths).enumerate() {
            let is_above = place == 0 && breadth(cell) > width;
            if is_above {
                lines.push(without_middle(cell, self.all));
            }
            let (cell, used) = if is_above { ("", 0) } else { (cell.as_str(), breadth(cell)) };
            match style.filter(|_| place == 1) {
                Some(style) => line.push_str(&style.of(cell)),
                None => line.push_str(cell),
            }
            let is_last = place + 1 == row.len();
            let gap = if is_last { 0 } else { (width + GAP).saturating_sub(used) };
            line.extend(std::iter::repeat_n(' ', gap));
        }
        lines.push(line);
    }
}

fn row(token: &Audited, here: Local) -> [String; 4] {
    let no_moment = is_gone(token) || token.by == By::Answers;
    let expires: &str = match token.expires {
        Some(moment) => &here.date(moment),
        None if no_moment => "-",
        None if token.findings.contains(&Finding::NoExpiry) => "never",
        None => match &token.limits {
            Some(limits) if is_seen(token) && limits.max_unused.is_some() => "if unused",
            Some(_) if is_seen(token) => "never",
            Some(_) | None => "?",
        },
    };
    let used: &str = match token.last_used {
        Some(moment) => &ago(moment, here.now),
        None if no_moment => "-",
        None if is_seen(token) && !token.hides_use => "never",
        None => "?",
    };
    [label(token), standing(token).0.to_owned(), expires.to_owned(), used.to_owned()]
}

/// Whether the audit could see everything about the token.
fn is_seen(token: &Audited) -> bool {
    token.by == By::Management && token.id.is_some()
}

fn is_gone(token: &Audited) -> bool {
    token.findings.contains(&Finding::Gone)
}

/// Whether the token cannot update its hosts; false for a token of no host here.
fn cannot_do_its_job(token: &Audited) -> bool {
    !token.hosts.is_empty() && token.findings.iter().any(Finding::stops_the_job)
}

/// The token's short name: its first host, else its name, id or file.
fn label(token: &Audited) -> String {
    let file = || token.file.as_ref().map(|file| file.to_string_lossy().into_owned());
    let id = || token.id.as_ref().map(ToString::to_string);
    match token.hosts.as_slice() {
        [only] => only.to_string(),
        [first, more @ ..] => format!("{first} +{}", more.len()),
        [] => {
            // In quotes, so that a name looks neither like a host nor like a whole row.
            let name = token.name.as_ref().filter(|name| !name.is_empty());
            let name = name.map(|name| ["\"", name, "\""].concat());
            clean(&name.or_else(id).or_else(file).unwrap_or_else(|| "(no name)".to_owned()))
        }
    }
}

/// The word for a token's verdict, and its style. A token of no host here has an unknown job, so its
/// rights are shown but not judged.
fn standing(token: &Audited) -> (&'static str, Style) {
    match token.verdict() {
        TokenVerdict::TooPowerful if token.hosts.is_empty() => ("not used here", Style::Doubtful),
        TokenVerdict::TooPowerful => ("TOO POWERFUL", Style::Bad),
        TokenVerdict::Inconclusive => ("inconclusive", Style::Doubtful),
        TokenVerdict::Dead if is_gone(token) => ("deleted", Style::Doubtful),
        TokenVerdict::Dead => ("expired", Style::Doubtful),
        // Narrow, but it cannot do its job.
        TokenVerdict::Narrow if cannot_do_its_job(token) => ("narrow", Style::Doubtful),
        TokenVerdict::Narrow => ("narrow", Style::Good),
        TokenVerdict::NarrowToZone => ("narrow to the zone", Style::Good),
        TokenVerdict::NotProven => ("nothing found", Style::Doubtful),
    }
}

/// Adds the lines below a token's row.
fn details(page: &mut Page, token: &Audited, here: Local, is_verbose: bool) {
    if token.hosts.len() > 1 {
        let hosts: Vec<_> = token.hosts.iter().map(Hostname::as_str).collect();
        page.add(BELOW, &format!("hosts: {}", hosts.join(", ")));
    }
    // Names need not be unique.
    if let (true, Some(_), Some(id)) = (token.hosts.is_empty(), &token.name, &token.id) {
        page.add(BELOW, &format!("id: {id}"));
    }
    let is_shown = |finding: &Finding| is_verbose || *finding != Finding::NoExpiry;
    let all: Vec<_> = token.findings().filter(|(finding, _)| is_shown(finding)).collect();
    let is_power = |finding: &Finding| finding.weight() == Weight::TooPowerful;
    let powers = all.iter().filter(|(finding, _)| is_power(finding)).count();
    // All that a broad token can do would hide what to do about it.
    let is_short = powers > 1 && !is_verbose;
    let mut is_first = true;
    let mut findings = all.into_iter().peekable();
    while let Some((finding, fix)) = findings.next() {
        if !is_short || !is_power(finding) {
            page.add(mark(finding), &timed(finding, here));
        } else if is_first {
            is_first = false;
            let more = format!("{}; and {} more (-v)", timed(finding, here), powers - 1);
            page.add(mark(finding), &more);
        }
        // Consecutive findings with one fix share it, after the last of them.
        let again = findings.peek().is_some_and(|(_, next)| *next == fix);
        if let Some(fix) = fix.filter(|_| !again) {
            // Deleting a token that somebody else may need is a choice, not a fix.
            let lead = if token.hosts.is_empty() { "     to delete it: " } else { "     fix: " };
            page.add_fix(lead, fix);
        }
    }
    let facts = facts(token, here);
    if !facts.is_empty() {
        page.add(BELOW, &facts.join(", "));
    }
    match token.rows.as_deref().filter(|_| !is_short) {
        None => {}
        Some([]) => page.add(BELOW, "rows: none, so every record of every zone is allowed"),
        Some(rows) => {
            page.add(BELOW, "rows:");
            rows.iter().for_each(|row| page.add("       ", &in_words(row)));
        }
    }
    let to_whom = match token.by {
        By::Answers => Some("not visible in the server's answers"),
        By::Itself => Some("not visible to the token itself"),
        By::Management => None,
        By::Receipt => Some("not visible to anybody"),
    };
    if let Some(to_whom) = to_whom.filter(|_| !token.not_visible.is_empty()) {
        page.add(BELOW, &format!("{to_whom}: {}", token.not_visible.join(", ")));
    }
    match token.tried {
        0 => {}
        1 => page.add(BELOW, "1 probe made"),
        tried => page.add(BELOW, &format!("{tried} probes made")),
    }
}

/// The mark before a finding, as wide as [`BELOW`].
fn mark(finding: &Finding) -> &'static str {
    match finding.weight() {
        Weight::TooPowerful => "  !! ",
        Weight::Unclear => "  ?  ",
        Weight::Notice => "  -  ",
    }
}

/// A finding in words, with its time and how far that is from now.
fn timed(finding: &Finding, here: Local) -> String {
    let Some(moment) = finding.moment() else { return finding.to_string() };
    let now = here.now;
    let far = if moment > now { ahead(moment, now) } else { ago(moment, now) };
    format!("{finding}: {}, {far}", here.moment(moment))
}

/// The meaning of rows, printed once if any are shown.
const PRECEDENCE: &str = "For each record, the most specific matching row decides: domain before \
    name before type. The domain of a row is a filter, not a limit. The default row decides about \
    all other records.";

/// A row in words, with the records that it decides if its rule does not name just them.
fn in_words(row: &Row) -> String {
    let about = match &row.rule {
        Rule::Row { key, .. } => Key::to_string(key),
        Rule::Zone { .. } => String::new(),
    };
    let decided = row.decides.iter().map(String::as_str);
    let others: Vec<&str> = decided.filter(|record| *record != about).collect();
    match others.as_slice() {
        [] => row.rule.to_string(),
        others => format!("{} (decides about {})", row.rule, others.join(", ")),
    }
}

/// The time when it ends if it is not used before.
fn idle_end(token: &Audited) -> Option<Timestamp> {
    let limit = token.limits.as_ref()?.max_unused?;
    Some(token.last_used.or(token.created)?.after(limit))
}

/// The networks that a token works from.
fn networks(limits: &Limits) -> Vec<&str> {
    match &limits.subnets {
        None => EVERYWHERE.to_vec(),
        Some(subnets) => subnets.iter().map(String::as_str).collect(),
    }
}

/// The known facts of a token's life and use, in words.
fn facts(token: &Audited, here: Local) -> Vec<String> {
    let mut facts = Vec::new();
    facts.extend(token.created.map(|at| format!("created {}", here.date(at))));
    if is_seen(token) && token.created.is_some() && !token.hides_use {
        facts.push(match token.last_used {
            Some(at) => format!("last used {}", ago(at, here.now)),
            None => "never used".to_owned(),
        });
    }
    facts.extend(token.limits.iter().flat_map(|limits| bounds(token, limits, here)));
    let validity = |valid: bool| if valid { "valid" } else { "not valid" };
    facts.extend(token.is_valid.map(|valid| validity(valid).to_owned()));
    facts
}

/// The limits of a token's life and use, in words.
fn bounds(token: &Audited, limits: &Limits, here: Local) -> [String; 3] {
    let end = match token.expires {
        Some(at) => format!("ends {}", here.date(at)),
        None => "no end".to_owned(),
    };
    let idle_end = match (limits.max_unused, idle_end(token)) {
        // A token cannot see its own last use.
        (Some(limit), Some(at)) if is_seen(token) => {
            format!("ends {} if unused until then ({})", here.date(at), period(limit))
        }
        (Some(limit), _) => format!("ends after {} without use", period(limit)),
        (None, _) => "no idle end".to_owned(),
    };
    let networks = match networks(limits).as_slice() {
        [] => "from no network".to_owned(),
        all if *all == EVERYWHERE => "from every network".to_owned(),
        some => format!("from {}", some.join(", ")),
    };
    [end, idle_end, networks]
}

/// How many tokens there are of each kind, the worst first.
fn summary(audited: &[Audited]) -> String {
    const WORDS: [&str; 7] = [
        "TOO POWERFUL",
        "not used here",
        "inconclusive",
        "deleted",
        "expired",
        "narrow to the zone",
        "narrow",
    ];
    if audited.is_empty() {
        return "no tokens".to_owned();
    }
    let plural = if audited.len() == 1 { "" } else { "s" };
    let count = |word| audited.iter().filter(|token| standing(token).0 == word).count();
    let counted = WORDS.map(|word| (count(word), word.to_lowercase()));
    let counted = counted.iter().filter(|(count, _)| *count > 0);
    let counted: Vec<String> = counted.map(|(count, word)| format!("{count} {word}")).collect();
    format!("{} token{plural}: {}", audited.len(), counted.join(", "))
}

/// A finding in words for programs, with its time.
fn finding_in_words(finding: &Finding) -> String {
    match finding.moment() {
        Some(moment) => format!("{finding}: {}", rfc3339_seconds(moment)),
        None => finding.to_string(),
    }
}

fn clean(text: &str) -> String {
    Printable(text).to_string()
}

/// The start of lines below a token's row.
const BELOW: &str = "     ";

/// Lines of at most `width` columns, except that a command is never broken.
struct Page {
    lines: Vec<String>,
    width: usize,
}

impl Page {
    /// Adds a text, its first line after `mark` and the others indented as far.
    fn add(&mut self, mark: &str, text: &str) {
        self.wrap(mark, text, false);
    }

    /// Adds a fix, whose commands stay whole.
    fn add_fix(&mut self, lead: &str, fix: &str) {
        self.wrap(lead, fix, true);
    }

    fn wrap(&mut self, mark: &str, text: &str, is_fix: bool) {
        let text = clean(text);
        // A fix without backquotes is one command.
        let is_command = is_fix && !text.contains('`');
        let whole = is_command.then_some(&*text).into_iter();
        let words = pieces(&text, is_fix).filter(|_| !is_command);
        let pieces = whole.chain(words).filter(|piece| !piece.is_empty());
        self.lines.extend(filled(mark, mark.len(), pieces, (self.width, !is_fix)));
    }
}

/// `text` in at most `width` columns; a longer one loses its middle.
fn without_middle(text: &str, width: usize) -> String {
    if breadth(text) <= width {
        return text.to_owned();
    }
    let (mut start, mut end) = (String::new(), Vec::new());
    let mut chars = text.chars();
    let mut left = width.saturating_sub(1);
    for is_start in [true, false].into_iter().cycle() {
        let Some(c) = (if is_start { chars.next() } else { chars.next_back() }) else { break };
        let Some(room) = left.checked_sub(breadth_of(c)) else { break };
        left = room;
        if is_start { start.push(c) } else { end.push(c) }
    }
    start.push('…');
    start.extend(end.into_iter().rev());
    start
}

fn ahead(moment: Timestamp, now: Timestamp) -> String {
    format!("in {}", roughly(moment.since(now)))
}

fn ago(moment: Timestamp, now: Timestamp) -> String {
    let since = now.since(moment);
    match since.as_secs() {
        0..60 => "just now".to_owned(),
        _ => format!("{} ago", roughly(since)),
    }
}

/// The JSON form for scripts; `version` grows when a field changes its meaning.
#[derive(Serialize)]
struct Document<'a> {
    version: u8,
    tokens: Vec<Shown<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Shown<'a> {
    hosts: Vec<&'a str>,
    file: Option<String>,
    id: Option<&'a str>,
    name: Option<&'a str>,
    by: &'static str,
    verdict: &'static str,
    findings: Vec<FindingWords<'a>>,
    not_visible: &'a [&'static str],
    expires: Option<String>,
    last_used: Option<String>,
    created: Option<String>,
    max_age: Option<String>,
    max_unused: Option<String>,
    /// The time when it ends if it is not used before.
    idle_end: Option<String>,
    networks: Option<Vec<&'a str>>,
    valid: Option<bool>,
    rows: Option<Vec<ShownRow<'a>>>,
    /// The number of probes.
    probes: usize,
}

/// A row; a part of its key that matches anything is null.
#[derive(Serialize)]
struct ShownRow<'a> {
    domain: Option<&'a str>,
    subname: Option<&'a str>,
    #[serde(rename = "type")]
    kind: Option<&'a str>,
    allow: bool,
    default: bool,
    text: String,
    /// The records of its hosts that it decides about.
    decides: &'a [String],
}

impl<'a> ShownRow<'a> {
    fn of(row: &'a Row) -> Self {
        let (domain, subname, kind) = match &row.rule {
            Rule::Row { key: Key { zone, subname, kind }, .. } => (zone, subname, kind),
            Rule::Zone { zone, .. } => (zone, &None, &None),
        };
        Self {
            domain: domain.as_deref(),
            subname: subname.as_deref(),
            kind: kind.as_deref(),
            allow: row.rule.allows(),
            default: row.rule.is_default(),
            text: row.rule.to_string(),
            decides: &row.decides,
        }
    }
}

#[derive(Serialize)]
struct FindingWords<'a> {
    finding: &'static str,
    weight: &'static str,
    text: String,
    fix: Option<&'a str>,
}

/// The audits as one JSON object, in ASCII: so it stays valid when control codes are removed from it.
pub fn json(audited: &[Audited]) -> String {
    let tokens = audited.iter().map(shown).collect();
    // Texts, numbers and lists can always be serialized.
    let text = serde_json::to_string(&Document { version: 1, tokens }).unwrap_or_default();
    ascii_json(&text)
}

fn shown(token: &Audited) -> Shown<'_> {
    let moment = |moment: Timestamp| rfc3339_seconds(moment).to_string();
    let limits = token.limits.as_ref();
    let findings = token.findings().map(|(finding, fix)| FindingWords {
        finding: finding.word(),
        weight: match finding.weight() {
            Weight::TooPowerful => "too-powerful",
            Weight::Unclear => "inconclusive",
            Weight::Notice => "notice",
        },
        text: finding_in_words(finding),
        fix,
    });
    Shown {
        hosts: token.hosts.iter().map(Hostname::as_str).collect(),
        file: token.file.as_ref().map(|file| file.to_string_lossy().into_owned()),
        id: token.id.as_ref().map(TokenId::as_str),
        name: token.name.as_deref(),
        by: match token.by {
            By::Answers => "answers",
            By::Management => "management",
            By::Itself => "itself",
            By::Receipt => "receipt",
        },
        verdict: token.verdict().word(),
        findings: findings.collect(),
        not_visible: &token.not_visible,
        expires: token.expires.map(moment),
        last_used: token.last_used.map(moment),
        created: token.created.map(moment),
        max_age: limits.and_then(|limits| limits.max_age).map(period),
        max_unused: limits.and_then(|limits| limits.max_unused).map(period),
        idle_end: idle_end(token).filter(|_| is_seen(token)).map(moment),
        networks: limits.map(networks),
        valid: token.is_valid,
        rows: token.rows.as_ref().map(|rows| rows.iter().map(ShownRow::of).collect()),
        probes: token.tried,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::os::local::Clocks;

    // 2027-01-15T08:00:00Z.
    const NOW: u64 = 1_800_000_000;
    const DAY: u64 = 86_400;

    fn now() -> Timestamp {
        Timestamp::from_secs(NOW)
    }

    fn here() -> Local {
        Local { now: now(), clocks: Clocks::UTC }
    }

    fn token(hosts: &[&str]) -> Audited {
        Audited {
            hosts: hosts.iter().map(|host| host.parse().unwrap()).collect(),
            file: Some("/etc/homing/dev1.token".into()),
            id: Some("6be0a87c-0d9a-4228-a3c5-ed5d33f4a807".parse().unwrap()),
            name: Some("homing:dev1.example.com".to_owned()),
            by: By::Management,
            findings: Vec::new(),
            fixes: Vec::new(),
            not_visible: Vec::new(),
            expires: Some(Timestamp::from_secs(NOW + 364 * DAY)),
            last_used: Some(Timestamp::from_secs(NOW - 3 * DAY)),
            hides_use: false,
            created: None,
            limits: None,
            is_valid: None,
            rows: None,
            duties: Vec::new(),
            is_anothers: false,
            tried: 0,
            is_ours: true,
        }
    }

    /// One of each kind.
    fn account() -> Vec<Audited> {
        let issue = Some("homing token issue dev2.a-rather-long-zone.example.com".to_owned());
        let strong = Audited {
            findings: vec![Finding::ManagesTokens, Finding::NoPolicies, Finding::NoExpiry],
            fixes: vec![issue.clone(), issue, None],
            expires: None,
            last_used: None,
            ..token(&["dev2.a-rather-long-zone.example.com"])
        };
        let unclear = Audited {
            by: By::Itself,
            findings: vec![
                Finding::Untold {
                    what: "it may write TXT of _acme-challenge.dev3.example.com".to_owned(),
                    why: "the zone could not be read".to_owned(),
                },
                Finding::ExpiresSoon(Timestamp::from_secs(NOW + 5 * DAY)),
            ],
            fixes: vec![
                Some(
                    "run `homing token audit dev3.example.com` again, with the management token"
                        .to_owned(),
                ),
                Some("homing token rotate dev3.example.com".to_owned()),
            ],
            not_visible: vec!["its flags to register and delete zones", "its last use"],
            expires: Some(Timestamp::from_secs(NOW + 5 * DAY)),
            last_used: None,
            tried: 28,
            ..token(&["dev3.example.com", "dev4.example.com"])
        };
        let foreign = Audited {
            name: Some("router \x1b[2J\u{202e}".to_owned()),
            file: None,
            findings: vec![Finding::Lapsed],
            expires: Some(Timestamp::from_secs(NOW - DAY)),
            ..token(&[])
        };
        vec![strong, unclear, foreign, token(&["dev1.example.com"])]
    }

    #[track_caller]
    fn check(audited: &[Audited], width: usize, expect: &[&str]) {
        assert_eq!(table(audited, here(), width, false, true), expect);
    }

    #[test]
    fn a_token_without_an_end_is_no_finding_unless_more_is_asked_for() {
        let lines = |is_verbose| table(&account(), here(), 100, false, is_verbose);
        let (few, all) = (lines(false), lines(true));
        let more: Vec<_> = all.into_iter().filter(|line| !few.contains(line)).collect();
        assert!(!more.is_empty() && few.iter().all(|line| line != "  -  never expires"));
        assert!(more.iter().any(|line| line == "  -  never expires"), "{more:?}");
    }

    #[test]
    fn a_wide_terminal_takes_each_token_in_one_line() {
        check(
            &account(),
            100,
            &[
                "TOKEN                                VERDICT       EXPIRES     LAST USED",
                "dev2.a-rather-long-zone.example.com  TOO POWERFUL  never       never",
                "  !! can create, change and delete tokens, so it can do everything",
                "  !! has no policies, so it may write every record of every zone",
                "     fix: homing token issue dev2.a-rather-long-zone.example.com",
                "  -  never expires",
                "dev3.example.com +1                  inconclusive  2027-01-20  ?",
                "     hosts: dev3.example.com, dev4.example.com",
                "  ?  not known whether it may write TXT of _acme-challenge.dev3.example.com: the zone could not be",
                "     read",
                "     fix: run `homing token audit dev3.example.com` again, with the management token",
                "  -  expires soon: 2027-01-20 08:00 UTC, in 5 days",
                "     fix: homing token rotate dev3.example.com",
                "     not visible to the token itself: its flags to register and delete zones, its last use",
                "     28 probes made",
                r#""router \u{1b}[2J\u{202e}"           expired       2027-01-14  3 days ago"#,
                "     id: 6be0a87c-0d9a-4228-a3c5-ed5d33f4a807",
                "  -  expired or switched off: the server refuses it",
                "dev1.example.com                     narrow        2028-01-14  3 days ago",
                "4 tokens: 1 too powerful, 1 inconclusive, 1 expired, 1 narrow",
            ],
        );
    }

    #[test]
    fn what_a_token_of_no_host_here_may_do_is_said_and_ending_it_is_a_choice() {
        let mail = Audited {
            name: Some("mail".to_owned()),
            file: None,
            findings: vec![Finding::NoPolicies],
            fixes: vec![Some("homing token revoke --id 6be0a87c".to_owned())],
            ..token(&[])
        };
        check(
            &[mail],
            100,
            &[
                "TOKEN   VERDICT        EXPIRES     LAST USED",
                "\"mail\"  not used here  2028-01-14  3 days ago",
                "     id: 6be0a87c-0d9a-4228-a3c5-ed5d33f4a807",
                "  !! has no policies, so it may write every record of every zone",
                "     to delete it: homing token revoke --id 6be0a87c",
                "1 token: 1 not used here",
            ],
        );
    }

    #[test]
    fn of_a_broad_token_the_worst_right_is_shown_and_all_of_them_on_request() {
        let lines = |is_verbose| table(&account(), here(), 100, false, is_verbose).join("\n");
        let short = lines(false);
        let worst = "  !! can create, change and delete tokens, so it can do everything";
        let fix = "     fix: homing token issue dev2.a-rather-long-zone.example.com\n";
        assert!(short.contains(&format!("{worst}; and 1 more (-v)\n{fix}")), "{short}");
        assert!(!short.contains("has no policies"), "{short}");
        let all = lines(true);
        assert!(all.contains(&format!("{worst}\n  !! has no policies")), "{all}");
    }

    #[test]
    fn on_a_narrow_terminal_long_names_stand_above_and_commands_stay_whole() {
        check(
            &account(),
            60,
            &[
                "TOKEN                   VERDICT       EXPIRES     LAST USED",
                "dev2.a-rather-long-zone.example.com",
                "                        TOO POWERFUL  never       never",
                "  !! can create, change and delete tokens, so it can do",
                "     everything",
                "  !! has no policies, so it may write every record of every",
                "     zone",
                "     fix: homing token issue dev2.a-rather-long-zone.example.com",
                "  -  never expires",
                "dev3.example.com +1     inconclusive  2027-01-20  ?",
                "     hosts: dev3.example.com, dev4.example.com",
                "  ?  not known whether it may write TXT of",
                "     _acme-challenge.dev3.example.com: the zone could not be",
                "     read",
                "     fix: run `homing token audit dev3.example.com` again,",
                "          with the management token",
                "  -  expires soon: 2027-01-20 08:00 UTC, in 5 days",
                "     fix: homing token rotate dev3.example.com",
                "     not visible to the token itself: its flags to register",
                "     and delete zones, its last use",
                "     28 probes made",
                r#""router \u{1b}[2J\u{202e}""#,
                "                        expired       2027-01-14  3 days ago",
                "     id: 6be0a87c-0d9a-4228-a3c5-ed5d33f4a807",
                "  -  expired or switched off: the server refuses it",
                "dev1.example.com        narrow        2028-01-14  3 days ago",
                "4 tokens: 1 too powerful, 1 inconclusive, 1 expired, 1",
                "narrow",
            ],
        );
    }

    #[test]
    fn nothing_but_a_command_is_wider_than_the_terminal() {
        let mut audited = account();
        let label = "a".repeat(63);
        audited.push(token(&[&format!("{label}.{label}.example.com")]));
        audited.push(Audited { name: Some("家".repeat(50)), ..token(&[]) });
        for width in 40..160 {
            for line in table(&audited, here(), width, false, true) {
                assert!(
                    breadth(&line) <= width || line.contains("homing token "),
                    "{width}: {line}"
                );
            }
        }
        let narrow = [token(&[&format!("{label}.example.com")])];
        check(
            &narrow,
            44,
            &[
                "TOKEN",
                "  VERDICT  EXPIRES     LAST USED",
                "aaaaaaaaaaaaaaaaaaaaaa…aaaaaaaaa.example.com",
                "  narrow   2028-01-14  3 days ago",
                "1 token: 1 narrow",
            ],
        );
    }

    #[test]
    fn only_the_verdict_is_coloured_and_only_what_is_fine_is_green() {
        let mut audited = account();
        audited.push(Audited { findings: vec![Finding::Gone], ..token(&["gone.example.com"]) });
        let lines = table(&audited, here(), 100, true, true);
        let styled: Vec<_> = lines.iter().filter(|line| line.contains('\x1b')).collect();
        let starts = ["\x1b[1;31mTOO POWERFUL\x1b[0m  ", "\x1b[33minconclusive\x1b[0m  "];
        let ends = ["\x1b[33mexpired\x1b[0m       ", "\x1b[32mnarrow\x1b[0m        "];
        let gone = ["\x1b[33mdeleted\x1b[0m       "];
        let expect: Vec<_> = starts.into_iter().chain(ends).chain(gone).collect();
        assert_eq!(styled.len(), expect.len());
        for (line, expect) in styled.iter().zip(expect) {
            assert!(line.contains(expect), "{line:?}");
        }
        let plain = table(&audited, here(), 100, false, true);
        assert!(plain.iter().all(|line| !line.contains('\x1b')));
    }

    #[test]
    fn a_tokens_rows_and_life_are_told_in_words() {
        let part = |text: &str| Some(text.to_owned());
        let row =
            |zone, subname, kind, write| Rule::Row { key: Key { zone, subname, kind }, write };
        let rules = [
            row(None, None, None, false),
            row(part("example.com"), None, part("A"), true),
            row(part("example.com"), part("dev1"), part("AAAA"), true),
            row(part("other.example"), None, None, false),
        ];
        let policies = rules.map(|rule| crate::core::token::Policy { at: "x".to_owned(), rule });
        let families = crate::core::address::PerFamily { v4: true, v6: true };
        let (host, zone) = ("dev1.example.com".parse().unwrap(), "example.com".parse().unwrap());
        let duties = [Duty { host, zone, families }];
        let limits = Limits {
            max_unused: Some(std::time::Duration::from_secs(30 * DAY)),
            subnets: Some(vec!["192.0.2.0/24".to_owned()]),
            ..Limits::default()
        };
        let told = Audited {
            created: Some(Timestamp::from_secs(NOW - DAY)),
            limits: Some(limits),
            expires: None,
            is_valid: Some(true),
            rows: Some(crate::core::token::rows(&policies, &duties)),
            duties: duties.to_vec(),
            ..token(&["dev1.example.com"])
        };
        check(
            std::slice::from_ref(&told),
            100,
            &[
                "TOKEN             VERDICT  EXPIRES    LAST USED",
                "dev1.example.com  narrow   if unused  3 days ago",
                "     created 2027-01-14, last used 3 days ago, no end, ends 2027-02-11 if unused until then (30d),",
                "     from 192.0.2.0/24, valid",
                "     rows:",
                "       allow A of any name in example.com (decides about A of dev1.example.com)",
                "       allow AAAA of dev1.example.com",
                "       deny any record of any name in other.example",
                "       default: deny everything",
                "For each record, the most specific matching row decides: domain before name before type. The domain",
                "of a row is a filter, not a limit. The default row decides about all other records.",
                "1 token: 1 narrow",
            ],
        );
        let text = json(&[told]);
        let read: serde_json::Value = serde_json::from_str(&text).unwrap();
        let read = &read["tokens"][0];
        assert_eq!(read["created"], "2027-01-14T08:00:00Z");
        assert_eq!(read["max-unused"], "30d");
        assert_eq!(read["idle-end"], "2027-02-11T08:00:00Z");
        assert_eq!(read["networks"], serde_json::json!(["192.0.2.0/24"]));
        assert_eq!(read["valid"], true);
        let row = &read["rows"][0];
        assert_eq!(row["text"], "allow A of any name in example.com");
        assert_eq!((&row["subname"], &row["type"]), (&serde_json::Value::Null, &"A".into()));
        assert_eq!(row["decides"], serde_json::json!(["A of dev1.example.com"]));
        assert_eq!(
            (&read["rows"][3]["default"], &read["rows"][3]["allow"]),
            (&true.into(), &false.into())
        );
        let everything = Audited { rows: Some(Vec::new()), ..token(&["dev1.example.com"]) };
        let lines = table(&[everything], here(), 100, false, true);
        assert!(lines.iter().any(|line| line.contains("rows: none, so every record")), "{lines:?}");
    }

    #[test]
    fn no_token_is_told_too() {
        check(&[], 80, &["no tokens"]);
        assert_eq!(json(&[]), r#"{"version":1,"tokens":[]}"#);
    }

    #[test]
    fn what_is_not_known_is_not_told_as_never() {
        let cells = |token: &Audited| {
            let [_, _, expires, used] = row(token, here());
            [expires, used]
        };
        let limits = |max_unused| Some(Limits { max_unused, ..Limits::default() });
        let idle = limits(Some(std::time::Duration::from_secs(30 * DAY)));
        let blind =
            Audited { expires: None, last_used: None, limits: idle, ..token(&["a.example"]) };
        assert_eq!(cells(&blind), ["if unused", "never"]);
        let endless = Audited { limits: limits(None), hides_use: true, ..blind.clone() };
        assert_eq!(cells(&endless), ["never", "?"]);
        assert_eq!(cells(&Audited { by: By::Itself, ..blind.clone() }), ["?", "?"]);
        assert_eq!(cells(&Audited { id: None, ..blind.clone() }), ["?", "?"]);
        assert_eq!(cells(&Audited { findings: vec![Finding::Gone], ..blind }), ["-", "-"]);
    }

    #[test]
    fn a_moment_is_told_in_the_largest_unit_of_which_there_are_two() {
        let before = |seconds| ago(Timestamp::from_secs(NOW - seconds), now());
        assert_eq!(before(59), "just now");
        assert_eq!(before(60), "1 min ago");
        assert_eq!(before(7199), "119 min ago");
        assert_eq!(before(2 * DAY - 1), "47 h ago");
        assert_eq!(before(2 * DAY), "2 days ago");
        assert_eq!(ahead(Timestamp::from_secs(NOW + 5), now()), "in 1 min");
    }

    #[test]
    fn scripts_get_every_finding_in_ascii() {
        let [_, unclear, foreign, _] = <[Audited; 4]>::try_from(account()).unwrap();
        let foreign = Audited { name: Some("büro 🏠\u{9b}\x7f".to_owned()), ..foreign };
        let expect = [
            r#"{"version":1,"tokens":[{"hosts":["dev3.example.com","dev4.example.com"],"#,
            r#""file":"/etc/homing/dev1.token","id":"6be0a87c-0d9a-4228-a3c5-ed5d33f4a807","#,
            r#""name":"homing:dev1.example.com","by":"itself","verdict":"inconclusive","#,
            r#""findings":[{"finding":"inconclusive","weight":"inconclusive","text":"not known whether "#,
            r#"it may write TXT of _acme-challenge.dev3.example.com: the zone could not be read","#,
            r#""fix":"run `homing token audit dev3.example.com` again, with the management token"},"#,
            r#"{"finding":"expires-soon","weight":"notice","text":"expires soon: 2027-01-20T08:00:00Z","#,
            r#""fix":"homing token rotate dev3.example.com"}],"#,
            r#""not-visible":["its flags to register and delete zones","its last use"],"#,
            r#""expires":"2027-01-20T08:00:00Z","last-used":null,"created":null,"max-age":null,"#,
            r#""max-unused":null,"idle-end":null,"networks":null,"valid":null,"rows":null,"#,
            r#""probes":28},"#,
            r#"{"hosts":[],"file":null,"id":"6be0a87c-0d9a-4228-a3c5-ed5d33f4a807","#,
            r#""name":"b\u00fcro \ud83c\udfe0\u009b\u007f","by":"management","verdict":"dead","#,
            r#""findings":[{"finding":"lapsed","weight":"notice","text":"expired or switched off: the server refuses it","#,
            r#""fix":null}],"not-visible":[],"expires":"2027-01-14T08:00:00Z","#,
            r#""last-used":"2027-01-12T08:00:00Z","created":null,"max-age":null,"max-unused":null,"#,
            r#""idle-end":null,"networks":null,"valid":null,"rows":null,"probes":0}]}"#,
        ];
        let text = json(&[unclear, foreign]);
        assert_eq!(text, expect.concat());
        assert_eq!(Printable(&text).to_string(), text);
        let read: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(read["tokens"][1]["name"], "büro 🏠\u{9b}\x7f");
    }
}
