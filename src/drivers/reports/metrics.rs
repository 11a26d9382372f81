//! `metrics-file`: what is known of the hosts in Prometheus' text format 0.0.4. Pure.

use std::fmt::{self, Write as _};

use super::view::{HostView, View};
use crate::core::address::Family;
use crate::core::exit::Exit;
use crate::core::memory::Word;
use crate::core::plan::Use;
use crate::core::time::Timestamp;
use crate::core::token::upkeep::End;

/// The beginnings of the lines that differ each time the file is written.
pub const VOLATILE: [&str; 2] =
    ["homing_last_round_timestamp_seconds ", "homing_next_write_timestamp_seconds "];

/// The text of the file.
pub fn text(view: &View<'_>) -> String {
    let mut out = Metrics::default();
    out.begin("homing_info", "gauge", "The version of Homing.");
    out.sample("homing_info", &[("version", env!("CARGO_PKG_VERSION"))], 1);
    let last = "homing_last_round_timestamp_seconds";
    out.begin(last, "gauge", "When the last round was over.");
    out.sample(last, &[], Seconds(view.last_round));
    let next = "homing_next_write_timestamp_seconds";
    out.begin(next, "gauge", "When this file is written again at the latest, while Homing runs.");
    out.sample(next, &[], Seconds(view.next_by));
    out.begin("homing_state_saved", "gauge", "Whether the state could be saved.");
    out.sample("homing_state_saved", &[], u8::from(!view.is_unsaved));
    let answers = "homing_answers_total";
    out.begin(answers, "counter", "Answers about a host, by outcome.");
    for word in Word::ALL {
        let count = view.memory.answers.get(&word).copied().unwrap_or_default();
        out.sample(answers, &[("outcome", word.as_str())], count);
    }
    hosts(view, &mut out);
    records(view, &mut out);
    out.0
}

/// The metrics of hosts.
fn hosts(view: &View<'_>, out: &mut Metrics) {
    let name = "homing_host_right";
    out.begin(name, "gauge", "Whether the host is right.");
    for host in &view.hosts {
        out.sample(name, &labels(host), u8::from(host.standing == Exit::Right));
    }
    let name = "homing_host_exit_code";
    out.begin(
        name,
        "gauge",
        "The exit code for the host: 0 right, 75 deferred, 77 rejected, 78 left out.",
    );
    for host in &view.hosts {
        out.sample(name, &labels(host), host.standing.code());
    }
    let name = "homing_host_outcome";
    out.begin(name, "gauge", "The last outcome of the host, which is the one with 1.");
    for host in &view.hosts {
        let Some((last, _)) = host.entry.and_then(|entry| entry.last) else { continue };
        for word in Word::ALL {
            let [one, two] = labels(host);
            let all = [one, two, ("outcome", word.as_str())];
            out.sample(name, &all, u8::from(last == word));
        }
    }
    let name = "homing_host_outcome_timestamp_seconds";
    out.begin(name, "gauge", "When the last outcome of the host came.");
    for host in &view.hosts {
        if let Some((_, at)) = host.entry.and_then(|entry| entry.last) {
            out.sample(name, &labels(host), Seconds(at));
        }
    }
    let name = "homing_host_hold_until_timestamp_seconds";
    out.begin(name, "gauge", "When the wait of the host ends; +Inf until you fix it.");
    for host in &view.hosts {
        for (family, hold) in host.entry.iter().flat_map(|entry| entry.holds(view.as_of.now)) {
            let [one, two] = labels(host);
            let family = family.map_or("", Family::key);
            let all = [
                one,
                two,
                ("family", family),
                ("kind", hold.kind.word()),
                ("reason", hold.kind.reason()),
            ];
            match hold.until {
                Some(until) => out.sample(name, &all, Seconds(until)),
                None => out.sample(name, &all, "+Inf"),
            }
        }
    }
    let name = "homing_token_expiry_timestamp_seconds";
    out.begin(name, "gauge", "When the token of the host expires, where that is known.");
    for host in &view.hosts {
        if let End::At(end) = host.end {
            out.sample(name, &labels(host), Seconds(end));
        }
    }
}

/// The metrics of records.
fn records(view: &View<'_>, out: &mut Metrics) {
    let each = || {
        view.hosts.iter().flat_map(|host| {
            let used = Family::BOTH.into_iter();
            let used = used.filter(|family| host.config.host.families[*family] != Use::Off);
            used.map(move |family| {
                let record = host.entry.map(|entry| &entry.families[family]);
                let [one, two] = labels(host);
                ([one, two, ("family", family.key())], record)
            })
        })
    };
    let name = "homing_record_set";
    out.begin(name, "gauge", "Whether an address is set for the host and family.");
    for (labels, record) in each() {
        let is_set = record.is_some_and(|record| record.set.is_some());
        out.sample(name, &labels, u8::from(is_set));
    }
    let name = "homing_record_missing";
    out.begin(name, "gauge", "Whether this machine should have such an address and none is seen.");
    for (labels, record) in each() {
        let is_missing = record.is_some_and(|record| record.missing_since.is_some());
        out.sample(name, &labels, u8::from(is_missing));
    }
    let name = "homing_record_changed_timestamp_seconds";
    out.begin(name, "gauge", "Since when the addresses of the record are set.");
    for (labels, record) in each() {
        if let Some(set) = record.and_then(|record| record.set.as_ref()) {
            out.sample(name, &labels, Seconds(set.since));
        }
    }
    let name = "homing_record_confirmed_timestamp_seconds";
    out.begin(name, "gauge", "When the provider last confirmed the addresses of the record.");
    for (labels, record) in each() {
        if let Some(set) = record.and_then(|record| record.set.as_ref()) {
            out.sample(name, &labels, Seconds(set.confirmed));
        }
    }
}

fn labels<'a>(host: &'a HostView<'_>) -> [(&'static str, &'a str); 2] {
    let key = host.key();
    [("host", key.host.as_str()), ("provider", &key.provider)]
}

/// The text so far.
#[derive(Default)]
struct Metrics(String);

impl Metrics {
    /// Begins the samples of the metric `name`.
    fn begin(&mut self, name: &str, kind: &str, help: &str) {
        // Writing to a String cannot fail, here and below.
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl fmt::Display) {
        self.0.push_str(name);
        for (place, (label, text)) in labels.iter().enumerate() {
            self.0.push(if place == 0 { '{' } else { ',' });
            let _ = write!(self.0, "{label}=\"{}\"", Escaped(text));
        }
        self.0.push_str(if labels.is_empty() { "" } else { "}" });
        let _ = writeln!(self.0, " {value}");
    }
}

/// A moment in seconds since 1970.
struct Seconds(Timestamp);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = self.0.millis();
        write!(f, "{}.{:03}", millis / 1000, millis % 1000)
    }
}

/// The value of a label, as the format wants it.
struct Escaped<'a>(&'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|c| match c {
            '\\' => f.write_str("\\\\"),
            '"' => f.write_str("\\\""),
            '\n' => f.write_str("\\n"),
            c => f.write_char(c),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_values_of_labels_are_escaped() {
        let mut metrics = Metrics::default();
        metrics.sample("m", &[("a", "x\"y\\z\nw"), ("b", "")], 1);
        metrics.sample("n", &[], Seconds(Timestamp::from_millis(1_800_000_000_007)));
        assert_eq!(metrics.0, "m{a=\"x\\\"y\\\\z\\nw\",b=\"\"} 1\nn 1800000000.007\n");
    }
}
