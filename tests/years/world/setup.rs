//! What a world is made of: its configuration, its providers and its faults.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use homing::config;
use homing::round::subjects;

use super::{Event, World};
use crate::support::chance::Chance;
use crate::years::disk::Disk;
use crate::years::faults::Fault;
use crate::years::journal::Journal;
use crate::years::kernel::{Kernel, Prefix};
use crate::years::providers::desec::Desec;
use crate::years::providers::dyndns2::Dyndns2;
use crate::years::providers::records::RecordApi;
use crate::years::{MINUTE, READS_BACK};

/// The number of streams of chance that are no fault's.
const OWN_STREAM: u64 = 1000;

/// The hosts of the world.
const HOSTS: &str = r#"
[source.wan]
interface = "wan"

[source.web]
web = ["ipify", "icanhazip", "ident.me"]
agree = 2

[provider.dyn]
protocol = "dyndns2"
server = "https://dyn.example"

[[host]]
name = ["a.one.example", "b.one.example", "c.one.example"]
provider = "desec"
token-file = "/t/one"
verify = true
on-change = ["/t/notify"]

[[host]]
name = "d.one.example"
provider = "desec"
token-file = "/t/two"
when-gone = "remove"

[[host]]
name = "e.one.example"
provider = "desec"
token-file = "/t/three"
ipv6 = "off"

[[host]]
name = "f.two.example"
provider = "desec"
token-file = "/t/one"
ipv4 = "off"
ipv6 = "wan"

[[host]]
name = ["g.dyn.example", "h.dyn.example"]
provider = "dyn"
username = "me"
password-file = "/t/password"

[[host]]
name = "i.dyn.example"
provider = "dyn"
username = "me"
password-file = "/t/password"
refresh = "1d"
on-change = ["/t/notify"]

[[host]]
name = ["j.three.example", "k.three.example"]
provider = "cloudflare"
token-file = "/t/records"

[[host]]
name = "l.three.example"
provider = "cloudflare"
token-file = "/t/records"
ipv4 = "web"
ipv6 = "wan"
verify = true
on-change = ["/t/notify"]
"#;

impl World {
    /// The world of a seed in which `faults` happen; `tells` if a failure shows what came before it.
    pub fn new(seed: u64, faults: Vec<Fault>, days: u64, tells: bool) -> Self {
        let mut chance = Chance::of(seed, OWN_STREAM);
        let interval =
            ["5m", "15m", "30m", "1h"][usize::try_from(chance.below(4)).unwrap_or_default()];
        let text = format!("[daemon]\ninterval = \"{interval}\"\n{HOSTS}");
        let config = config::parse(Path::new("/t/config.toml"), &text, true);
        let config = config.unwrap_or_else(|problems| {
            panic!("{}", problems.iter().collect::<Vec<_>>().join("\n"))
        });
        let files = ["one", "two", "three", "password", "records"];
        let files = files.map(|name| (PathBuf::from(format!("/t/{name}")), name.to_owned()));
        let desec = Desec::new(
            &["one.example", "two.example"],
            &[
                ("one", &["a.one.example", "b.one.example", "c.one.example", "f.two.example"]),
                ("two", &["d.one.example"]),
                ("three", &["e.one.example"]),
            ],
        );
        let dyndns2 =
            Dyndns2::new("me", "password", &["g.dyn.example", "h.dyn.example", "i.dyn.example"]);
        let records = RecordApi::new(
            "three.example",
            "records",
            &["j.three.example", "k.three.example", "l.three.example"],
        );
        let behind_nat = chance.once_in(2).then_some(Ipv4Addr::new(9, 9, 0, 1));
        let v4 = if behind_nat.is_some() { [192, 168, 1, 2] } else { [9, 9, 0, 1] };
        let cron = chance.once_in(4).then(|| (1 + chance.below(3)) * 5 * MINUTE);
        let kernel = Kernel {
            v4: Some(v4.into()),
            prefixes: vec![Prefix::new(1, 0, 15 * MINUTE)],
            carrier: true,
            tunnel: false,
        };
        let mut world = Self {
            now: 0,
            last: 0,
            events: BTreeMap::new(),
            active: BTreeSet::new(),
            chance,
            subjects: subjects(&config),
            config: Rc::new(config),
            files: files.into(),
            awaited: BTreeMap::new(),
            services: [Box::new(dyndns2), Box::new(records)],
            desec,
            kernel,
            behind_nat,
            numbers: 1,
            disk: Disk::new(READS_BACK),
            boot_at: 0,
            slept: 0,
            asleep_since: None,
            off_until: 0,
            is_off: false,
            ahead: Some(0),
            cron,
            process: None,
            processes: 0,
            journal: Journal::default(),
            faults,
        };
        world.journal.figures.host_days = days * world.config.hosts.len() as u64;
        world.journal.last = tells.then(VecDeque::new);
        for (at, fault) in world.faults.clone().iter().enumerate() {
            world.at(fault.begin, Event::Begin(at));
            world.at(fault.end, Event::End(at));
            *world.journal.figures.faults.entry(format!("{:?}", fault.kind)).or_default() += 1;
        }
        world.plan_checks(days);
        world.at(0, if cron.is_some() { Event::Cron } else { Event::Start });
        world.at(10, Event::Kernel);
        world
    }
}
