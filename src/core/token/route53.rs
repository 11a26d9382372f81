//! Keys of Amazon Route 53: the user and the policy that a key should have, and what an audit asks.
//!
//! Pure. Sources: the Route 53 Developer Guide, "Using IAM policy conditions for fine-grained access
//! control", and IAM's reference of policies and of `SimulatePrincipalPolicy`.

use std::fmt::Write as _;

use super::Key;
use super::finding::Finding;
use super::job::{Job, Record};
use crate::core::address::Family;
use crate::core::name::Hostname;
use crate::core::protocol::origin;
use crate::core::time::Timestamp;
use crate::core::wire::calendar::iso8601;

/// The path of the users that Homing makes, which tells them from all others.
pub const PATH: &str = "/homing/";

/// The name of the one policy that such a user should have.
pub const POLICY: &str = "homing";

/// The most characters that the policies within one user may have together (IAM's quotas).
pub const LONGEST_POLICY: usize = 2048;

/// The facts that neither a key nor a receipt shows.
pub const NOT_VISIBLE: [&str; 2] =
    ["its policy, which only a management user may read", "other policies and groups of its user"];

/// The services beside Route 53 of one partition of AWS, and how their requests are signed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Cloud<'a> {
    /// The partition, which every name of a resource begins with: `arn:PARTITION:…`.
    pub partition: &'static str,
    /// The region that requests are signed for.
    pub region: &'static str,
    /// The server of users, policies and keys.
    pub iam: &'a str,
    /// The server that says whose a key is.
    pub sts: &'a str,
}

/// Something beside its policy that may give a user rights.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Attachment {
    /// A managed policy, by its ARN.
    Attached(String),
    /// A group, by its name.
    Group(String),
    /// Another policy within the user, by its name.
    Policy(String),
}

/// One question for the simulator of policies.
#[derive(Clone, Debug, PartialEq)]
pub struct Question {
    /// The action, such as `route53:ChangeResourceRecordSets`.
    pub action: &'static str,
    /// The resource that it is about; `*` is any.
    pub resource: String,
    /// What else the request would say: name, type and value.
    pub context: Vec<(&'static str, &'static str, String)>,
    /// Whether it must be allowed.
    pub is_job: bool,
    /// What it means if that is not so.
    pub finding: Finding,
}

/// The partitions with servers of their own: where Route 53 is, and the rest.
const CLOUDS: [(&str, Cloud<'static>); 3] = [
    (
        "https://route53.amazonaws.com",
        Cloud {
            partition: "aws",
            region: "us-east-1",
            iam: "https://iam.amazonaws.com",
            sts: "https://sts.amazonaws.com",
        },
    ),
    (
        "https://route53.amazonaws.com.cn",
        Cloud {
            partition: "aws-cn",
            region: "cn-north-1",
            iam: "https://iam.cn-north-1.amazonaws.com.cn",
            sts: "https://sts.cn-north-1.amazonaws.com.cn",
        },
    ),
    (
        "https://route53.us-gov.amazonaws.com",
        Cloud {
            partition: "aws-us-gov",
            region: "us-gov-west-1",
            iam: "https://iam.us-gov.amazonaws.com",
            sts: "https://sts.us-gov-west-1.amazonaws.com",
        },
    ),
];

impl<'a> Cloud<'a> {
    /// The services that belong to the Route 53 at `api_url`. Any other server, such as an emulator's,
    /// is all of them.
    pub fn of(api_url: &'a str) -> Self {
        let server = origin(api_url);
        let known = CLOUDS.into_iter().find(|(route53, _)| *route53 == server);
        known.map_or(
            Self { partition: "aws", region: "us-east-1", iam: server, sts: server },
            |(_, cloud)| cloud,
        )
    }
}

/// The name of the user for the key of `first` and the hosts that share it.
///
/// IAM accepts letters, digits and `+=,.@-_`, at most 64 of them. A longer name is cut, with a hash of
/// the whole at its end.
pub fn user_name(first: &Hostname) -> String {
    const LONGEST: usize = 64;
    const HASH: usize = 17;
    // A host's name holds neither + nor =, so no two hosts have the same user.
    let name = format!("homing-{}", first.as_str().replace('*', "+"));
    if name.len() <= LONGEST {
        return name;
    }
    // FNV-1a: for distinction only, and the same in every build.
    let hash = first.as_str().bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("{}={hash:016x}", &name[..LONGEST - HASH])
}

/// A host's name as the condition wants it: lower case, without a final dot, and `*` by its octal code.
fn normalized(host: &Hostname) -> String {
    host.as_str().replace('*', "\\052")
}

/// A list of texts as JSON; host names, networks and words need no other escape.
fn list(texts: impl IntoIterator<Item = impl AsRef<str>>) -> String {
    let quoted = |text: &str| format!("\"{}\"", text.replace('\\', "\\\\"));
    let texts: Vec<String> = texts.into_iter().map(|text| quoted(text.as_ref())).collect();
    format!("[{}]", texts.join(","))
}

impl Attachment {
    /// What it is, in words.
    pub fn words(&self) -> String {
        match self {
            Self::Attached(arn) => format!("the attached policy {arn}"),
            Self::Group(name) => format!("the group {name}"),
            Self::Policy(name) => format!("the policy {name}"),
        }
    }
}

impl Job {
    /// The policy for the job in `partition`, as JSON: UPSERT of the names and types alone. Records
    /// that may be deleted can be listed, with all others of their zone.
    pub fn policy(&self, partition: &str) -> String {
        let mut statements: Vec<String> = Vec::new();
        let mut listed: Vec<&str> = Vec::new();
        for (at, first) in self.records.iter().enumerate() {
            let is_alike = |other: &&Record| {
                (&other.zone_id, other.removes, other.duty.families)
                    == (&first.zone_id, first.removes, first.duty.families)
            };
            if self.records[..at].iter().any(|before| is_alike(&before)) {
                continue;
            }
            let zone = arn(partition, &first.zone_id);
            let names: Vec<String> =
                self.records.iter().filter(is_alike).map(|it| normalized(&it.duty.host)).collect();
            let actions = if first.removes { &["UPSERT", "DELETE"][..] } else { &["UPSERT"] };
            // ForAllValues holds for a request without names as well: Null refuses that.
            let conditions = format!(
                "\"ForAllValues:StringEquals\":{{\"{NAMES}\":{},\"{TYPES}\":{},\"{ACTIONS}\":{}}},\
                 \"Null\":{{\"{NAMES}\":\"false\"}}{}",
                list(names),
                list(first.duty.kinds()),
                list(actions),
                self.limits()
            );
            statements.push(statement(CHANGE, &zone, &conditions));
            if first.removes && !listed.contains(&&*first.zone_id) {
                listed.push(&first.zone_id);
                let limits = self.limits();
                statements.push(statement(LIST, &zone, limits.trim_start_matches(',')));
            }
        }
        format!("{{\"Version\":\"2012-10-17\",\"Statement\":[{}]}}", statements.join(","))
    }

    /// The conditions for the limits, each with a comma before it.
    fn limits(&self) -> String {
        let mut text = String::new();
        if let Some(end) = self.expires {
            let _ = write!(text, ",\"DateLessThan\":{{\"{TIME}\":\"{}\"}}", iso8601(end));
        }
        if let Some(subnets) = &self.subnets {
            let _ = write!(text, ",\"IpAddress\":{{\"{SOURCE}\":{}}}", list(subnets));
        }
        text
    }

    /// What an audit asks at `now`: what the job needs, then what would be too much.
    pub fn questions(&self, partition: &str, now: Timestamp) -> Vec<Question> {
        let mut questions = Vec::new();
        for Record { duty, zone_id, removes } in &self.records {
            let zone = arn(partition, zone_id);
            let host = normalized(&duty.host);
            let mut ask = |zone: &str, what: [&str; 3], is_job, finding| {
                let context = self.context(what, now);
                let resource = zone.to_owned();
                questions.push(Question { action: CHANGE, resource, context, is_job, finding });
            };
            for family in Family::BOTH {
                let (kind, host_name) = (family.record_type(), duty.host.clone());
                if duty.families[family] {
                    let finding = Finding::Lacks { host: host_name, kind };
                    ask(&zone, [&host, kind, "UPSERT"], true, finding);
                } else {
                    let finding = Finding::Spare { host: host_name, kind };
                    ask(&zone, [&host, kind, "UPSERT"], false, finding);
                }
            }
            let kind = duty.kinds().next().unwrap_or("A");
            let may_write = Finding::MayWrite;
            let neighbour = format!("{NEIGHBOUR}.{}", duty.zone);
            let key = Key::of(&duty.zone, NEIGHBOUR, kind);
            ask(&zone, [&neighbour, kind, "UPSERT"], false, may_write(key));
            ask(&zone, [&host, "TXT", "UPSERT"], false, may_write(duty.record("TXT")));
            if !removes {
                ask(&zone, [&host, kind, "DELETE"], false, Finding::DeletesRecords);
            }
            let subname = Some(duty.host.to_string());
            let elsewhere = Key { zone: None, subname, kind: Some(kind.to_owned()) };
            ask(&arn(partition, NEIGHBOUR), [&host, kind, "UPSERT"], false, may_write(elsewhere));
        }
        for (action, finding) in [
            ("iam:CreateAccessKey", Finding::ManagesTokens),
            ("iam:PutUserPolicy", Finding::ManagesTokens),
            ("route53:CreateHostedZone", Finding::ReachesAccount("route53:CreateHostedZone")),
            ("route53:DeleteHostedZone", Finding::DeletesZones),
            ("s3:ListAllMyBuckets", Finding::ReachesAccount("s3:ListAllMyBuckets")),
            ("ec2:DescribeInstances", Finding::ReachesAccount("ec2:DescribeInstances")),
        ] {
            let (resource, context) = ("*".to_owned(), Vec::new());
            questions.push(Question { action, resource, context, is_job: false, finding });
        }
        questions
    }

    /// What a change of that name, type and action says at `now`, from the first network.
    fn context(
        &self,
        [name, kind, action]: [&str; 3],
        now: Timestamp,
    ) -> Vec<(&'static str, &'static str, String)> {
        let mut context = vec![
            (NAMES, "stringList", name.to_owned()),
            (TYPES, "stringList", kind.to_owned()),
            (ACTIONS, "stringList", action.to_owned()),
            (TIME, "date", iso8601(now)),
        ];
        let network = self.subnets.iter().flatten().next();
        let address = network.and_then(|network| network.split('/').next());
        context.extend(address.map(|address| (SOURCE, "ip", address.to_owned())));
        context
    }
}

const CHANGE: &str = "route53:ChangeResourceRecordSets";
const LIST: &str = "route53:ListResourceRecordSets";
const NAMES: &str = "route53:ChangeResourceRecordSetsNormalizedRecordNames";
const TYPES: &str = "route53:ChangeResourceRecordSetsRecordTypes";
const ACTIONS: &str = "route53:ChangeResourceRecordSetsActions";
const TIME: &str = "aws:CurrentTime";
const SOURCE: &str = "aws:SourceIp";

/// A name in a zone, and a zone, that no key has to do with.
const NEIGHBOUR: &str = "homing-audit";

/// The name of a zone among all resources.
fn arn(partition: &str, zone_id: &str) -> String {
    format!("arn:{partition}:route53:::hostedzone/{zone_id}")
}

/// A statement that allows `action` in `zone`.
fn statement(action: &str, zone: &str, conditions: &str) -> String {
    let condition = if conditions.is_empty() {
        String::new()
    } else {
        format!(",\"Condition\":{{{conditions}}}")
    };
    format!("{{\"Effect\":\"Allow\",\"Action\":\"{action}\",\"Resource\":\"{zone}\"{condition}}}")
}

/// The name of the user in its ARN, and whether Homing made it; `None` for what is no user, such as
/// the account's root.
pub fn user_in(arn: &str) -> Option<(&str, bool)> {
    let (_, path) = arn.split_once(":user/")?;
    let name = path.rsplit('/').next().filter(|name| !name.is_empty())?;
    Some((name, path.starts_with(&PATH[1..])))
}

/// Whether the ARN is that of the account's root user.
pub fn is_root(arn: &str) -> bool {
    arn.ends_with(":root")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::address::PerFamily;
    use crate::core::token::Duty;

    fn record(host: &str, v6: bool, removes: bool) -> Record {
        let families = PerFamily { v4: true, v6 };
        let duty =
            Duty { host: host.parse().unwrap(), zone: "example.com".parse().unwrap(), families };
        Record { duty, zone_id: "Z123".to_owned(), removes }
    }

    fn job(records: Vec<Record>) -> Job {
        Job { records, expires: None, subnets: None }
    }

    #[test]
    fn a_policy_allows_upsert_of_names_and_types_and_nothing_for_a_request_without_names() {
        let expires = Some(Timestamp::from_secs(1_827_446_400));
        let dev1 = Job { expires, ..job(vec![record("dev1.dyn.example.com", true, false)]) };
        assert_eq!(
            dev1.policy("aws"),
            "{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\
             \"Action\":\"route53:ChangeResourceRecordSets\",\
             \"Resource\":\"arn:aws:route53:::hostedzone/Z123\",\"Condition\":{\
             \"ForAllValues:StringEquals\":{\
             \"route53:ChangeResourceRecordSetsNormalizedRecordNames\":[\"dev1.dyn.example.com\"],\
             \"route53:ChangeResourceRecordSetsRecordTypes\":[\"A\",\"AAAA\"],\
             \"route53:ChangeResourceRecordSetsActions\":[\"UPSERT\"]},\
             \"Null\":{\"route53:ChangeResourceRecordSetsNormalizedRecordNames\":\"false\"},\
             \"DateLessThan\":{\"aws:CurrentTime\":\"2027-11-29T00:00:00Z\"}}}]}"
        );
    }

    #[test]
    fn hosts_with_equal_rights_share_a_statement_and_others_have_their_own() {
        let policy = |records| job(records).policy("aws-cn");
        let hosts = ["a.example.com", "b.example.com", "*.example.com"];
        let all = policy(hosts.iter().map(|host| record(host, true, false)).collect());
        assert_eq!(all.matches("\"Effect\"").count(), 1);
        assert!(all.contains(r#"["a.example.com","b.example.com","\\052.example.com"]"#), "{all}");
        let mixed = policy(vec![
            record("a.example.com", true, false),
            record("b.example.com", false, false),
            record("c.example.com", true, true),
        ]);
        let statements = |action: &str| mixed.matches(&format!("\"Action\":\"{action}\"")).count();
        assert_eq!((statements(CHANGE), statements(LIST)), (3, 1), "{mixed}");
        assert!(mixed.contains(r#"["UPSERT","DELETE"]"#), "{mixed}");
    }

    #[test]
    fn every_host_has_a_user_of_its_own() {
        let name = |host: &str| user_name(&host.parse().unwrap());
        assert_eq!(name("dev1.example.com"), "homing-dev1.example.com");
        assert_eq!(name("*.example.com"), "homing-+.example.com");
        assert_ne!(name("a.b-c.example"), name("a-b.c.example"));
        let long = |last: &str| format!("{}.{last}.example.com", "a".repeat(60));
        let (one, other) = (name(&long("one")), name(&long("two")));
        assert!(one.len() == 64 && other.len() == 64 && one != other, "{one} {other}");
    }

    #[test]
    fn a_partition_has_its_own_servers_and_an_emulator_is_all_of_them() {
        let of = |url| Cloud::of(url);
        assert_eq!(of("https://route53.amazonaws.com/2013-04-01").iam, "https://iam.amazonaws.com");
        let china = of("https://route53.amazonaws.com.cn/2013-04-01");
        assert_eq!((china.partition, china.region), ("aws-cn", "cn-north-1"));
        let here = of("http://127.0.0.1:5000/2013-04-01");
        assert_eq!(
            (here.partition, here.iam, here.sts),
            ("aws", "http://127.0.0.1:5000", here.iam)
        );
    }

    #[test]
    fn an_arn_says_whose_a_key_is() {
        assert_eq!(user_in("arn:aws:iam::1:user/homing/homing-a"), Some(("homing-a", true)));
        assert_eq!(user_in("arn:aws:iam::1:user/admin"), Some(("admin", false)));
        assert_eq!(user_in("arn:aws:sts::1:assumed-role/r/s"), None);
        assert!(is_root("arn:aws:iam::1:root") && !is_root("arn:aws:iam::1:user/root"));
    }
}
