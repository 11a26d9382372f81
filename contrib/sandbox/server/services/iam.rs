//! AWS's IAM and STS beside Route 53: users, their policies and keys, and what the policies allow.
//!
//! Rests on the API references of IAM (2010-05-08) and STS (2011-06-15) and on the reference of
//! policies. One account, whose own key (`World::login`) is an administrator's. Of the operators of
//! conditions it knows those that a policy for records uses; any other holds for nothing. Whether AWS
//! checks rights before it looks at the records of a change is not documented; here it does.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use serde_json::Value;

use super::super::calendar::timestamp;
use super::super::chance;
use super::super::http::{Answer, decoded_segment, query_value};
use super::super::subnet::Subnet;
use super::Call;
use super::route53::escaped;

/// The account's number.
const ACCOUNT: &str = "123456789012";

/// What the account has beside its zones.
#[derive(Clone, Debug, Default)]
pub struct Iam {
    /// Policies that can be attached, by ARN.
    pub managed: BTreeMap<String, String>,
    /// The policies of groups, by the group's name.
    pub groups: BTreeMap<String, String>,
    pub users: Vec<User>,
    /// Whether the account's own key is that of its root user.
    pub is_root: bool,
    /// How many requests with a new key are answered as if it were unknown.
    pub lag: u32,
}

#[derive(Clone, Debug, Default)]
pub struct User {
    pub name: String,
    pub path: String,
    pub tags: BTreeMap<String, String>,
    /// The policies within it, by name.
    pub policies: BTreeMap<String, String>,
    /// The ARNs of attached policies.
    pub attached: Vec<String>,
    pub groups: Vec<String>,
    pub keys: Vec<AccessKey>,
}

#[derive(Clone, Debug)]
pub struct AccessKey {
    pub id: String,
    pub secret: String,
    pub is_active: bool,
    pub created: Duration,
    pub used: Option<Duration>,
    /// How many requests are still answered as if it were unknown.
    pub lag: u32,
}

/// Who asks.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Caller {
    /// The account's own key.
    Own,
    /// The user of that name.
    User(String),
}

/// The keys of conditions, in lower case, with their values.
pub type Context = BTreeMap<String, Vec<String>>;

impl User {
    pub fn arn(&self) -> String {
        format!("arn:aws:iam::{ACCOUNT}:user{}{}", self.path, self.name)
    }
}

impl Iam {
    pub fn user(&mut self, name: &str) -> &mut User {
        self.users.iter_mut().find(|user| user.name == name).expect("there is such a user")
    }

    /// The user and the secret of a key that is known and switched on; one more request with it is
    /// counted.
    pub fn known(&mut self, id: &str, now: Duration) -> Option<(String, String)> {
        for user in &mut self.users {
            if let Some(key) = user.keys.iter_mut().find(|key| key.id == id && key.is_active) {
                if key.lag > 0 {
                    key.lag -= 1;
                    return None;
                }
                key.used = Some(now);
                return Some((user.name.clone(), key.secret.clone()));
            }
        }
        None
    }

    fn documents(&self, user: &User) -> Vec<String> {
        let attached = user.attached.iter().filter_map(|arn| self.managed.get(arn));
        let groups = user.groups.iter().filter_map(|group| self.groups.get(group));
        user.policies.values().chain(attached).chain(groups).cloned().collect()
    }

    /// What the policies of the user called `name` say of an action.
    pub fn decision(
        &self,
        name: &str,
        action: &str,
        resource: &str,
        context: &Context,
    ) -> &'static str {
        let Some(user) = self.users.iter().find(|user| user.name == name) else {
            return "implicitDeny";
        };
        let mut decision = "implicitDeny";
        for document in self.documents(user) {
            let document: Value = serde_json::from_str(&document).unwrap_or_default();
            for statement in several(&document["Statement"]) {
                let has = |key: &str, text: &str| {
                    several(&statement[key])
                        .iter()
                        .any(|pattern| matches(pattern.as_str().unwrap_or_default(), text))
                };
                if has("Action", action)
                    && (has("Resource", resource) || resource == "*")
                    && holds(&statement["Condition"], context)
                {
                    match statement["Effect"].as_str() {
                        Some("Deny") => return "explicitDeny",
                        Some("Allow") => decision = "allowed",
                        _ => {}
                    }
                }
            }
        }
        decision
    }
}

/// One value, or all of a list.
fn several(value: &Value) -> Vec<&Value> {
    match value {
        Value::Array(list) => list.iter().collect(),
        Value::Null => Vec::new(),
        one => vec![one],
    }
}

/// Whether `text` is what a pattern with `*` stands for, whatever the case of actions.
fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.to_lowercase(), text.to_lowercase());
    match pattern.split_once('*') {
        None => pattern == text,
        Some((start, rest)) => text.strip_prefix(start).is_some_and(|text| {
            (0..=text.len()).any(|at| text.is_char_boundary(at) && matches(rest, &text[at..]))
        }),
    }
}

/// Whether all conditions hold.
fn holds(conditions: &Value, context: &Context) -> bool {
    let Some(conditions) = conditions.as_object() else { return true };
    conditions.iter().all(|(operator, keys)| {
        keys.as_object().is_some_and(|keys| {
            keys.iter().all(|(key, wanted)| {
                let said = context.get(&key.to_lowercase());
                let wanted: Vec<&str> =
                    several(wanted).into_iter().filter_map(Value::as_str).collect();
                one_holds(operator, said.map(Vec::as_slice), &wanted)
            })
        })
    })
}

fn one_holds(operator: &str, said: Option<&[String]>, wanted: &[&str]) -> bool {
    let first = said.and_then(|said| said.first());
    match operator {
        // True for no values at all, as AWS documents it.
        "ForAllValues:StringEquals" => {
            said.unwrap_or_default().iter().all(|value| wanted.contains(&value.as_str()))
        }
        "StringEquals" => first.is_some_and(|value| wanted.contains(&value.as_str())),
        "Null" => wanted == [if said.is_none_or(<[_]>::is_empty) { "true" } else { "false" }],
        // Both in the form of RFC 3339 in UTC, which sorts by time.
        "DateLessThan" => first.is_some_and(|value| wanted.iter().any(|end| value.as_str() < *end)),
        "IpAddress" => {
            let address = first.and_then(|value| value.parse::<IpAddr>().ok());
            let is_in = |network: &&str| {
                network.parse::<Subnet>().is_ok_and(|it| address.is_some_and(|at| it.contains(at)))
            };
            wanted.iter().any(is_in)
        }
        _ => false,
    }
}

/// The moment as policies have it.
pub fn date(now: Duration) -> String {
    format!("{}Z", timestamp(Duration::from_secs(now.as_secs())).get(..19).unwrap_or_default())
}

/// The fields of the form in the body.
pub fn form(body: &[u8]) -> BTreeMap<String, String> {
    let text = String::from_utf8_lossy(body);
    let pair = |part: &str| {
        let (name, value) = part.split_once('=')?;
        Some((decoded_segment(name), decoded_segment(&value.replace('+', "%20"))))
    };
    text.split('&').filter_map(pair).collect()
}

/// Answers a request to IAM or STS by a caller whose signature is right.
pub fn answer(call: &mut Call<'_>, caller: &Caller) -> Answer {
    let fields = form(&call.request.body);
    let field = |name: &str| fields.get(name).map(String::as_str).unwrap_or_default();
    let action = field("Action");
    if action == "GetCallerIdentity" {
        let arn = match caller {
            Caller::Own if call.world.iam.is_root => format!("arn:aws:iam::{ACCOUNT}:root"),
            Caller::Own => format!("arn:aws:iam::{ACCOUNT}:user/admin"),
            Caller::User(name) => call.world.iam.user(name).arn(),
        };
        let inner = format!("<Arn>{arn}</Arn><UserId>AIDA</UserId><Account>{ACCOUNT}</Account>");
        return page(action, "sts", &inner);
    }
    if let Caller::User(name) = caller {
        let wanted = format!("iam:{action}");
        if call.world.iam.decision(name, &wanted, "*", &Context::new()) != "allowed" {
            let arn = call.world.iam.user(name).arn();
            return error(403, "AccessDenied", &not_authorized(&arn, &wanted, "*"));
        }
    }
    match perform(call, action, &fields) {
        Ok(inner) => page(action, "iam", &inner),
        Err((status, code, text)) => error(status, code, &text),
    }
}

pub fn not_authorized(arn: &str, action: &str, resource: &str) -> String {
    format!(
        "User: {arn} is not authorized to perform: {action} on resource: {resource} because no \
         identity-based policy allows the {action} action"
    )
}

type Refusal = (u16, &'static str, String);

fn perform(
    call: &mut Call<'_>,
    action: &str,
    fields: &BTreeMap<String, String>,
) -> Result<String, Refusal> {
    let now = call.now;
    let iam = &mut call.world.iam;
    let field = |name: &str| fields.get(name).cloned().unwrap_or_default();
    match action {
        "CreateUser" => {
            let name = field("UserName");
            let is_fit = |c: char| c.is_ascii_alphanumeric() || "+=,.@-_".contains(c);
            if name.is_empty() || name.len() > 64 || !name.chars().all(is_fit) {
                return Err((400, "ValidationError", format!("invalid user name {name}")));
            }
            if iam.users.iter().any(|user| user.name.eq_ignore_ascii_case(&name)) {
                let text = format!("User with name {name} already exists.");
                return Err((409, "EntityAlreadyExists", text));
            }
            let tags = [(field("Tags.member.1.Key"), field("Tags.member.1.Value"))].into();
            let user = User { name, path: field("Path"), tags, ..User::default() };
            let shown = user_shown(&user);
            iam.users.push(user);
            return Ok(shown);
        }
        "GetAccessKeyLastUsed" => {
            return last_used(iam, &field("AccessKeyId"))
                .ok_or_else(|| missing(&format!("access key with id {}", field("AccessKeyId"))));
        }
        "SimulatePrincipalPolicy" => return simulate(iam, fields),
        _ => {}
    }
    let lag = iam.lag;
    let managed = iam.managed.clone();
    let name = field("UserName");
    let Some(at) = iam.users.iter().position(|user| user.name == name) else {
        return Err(missing(&format!("user with name {name}")));
    };
    let user = &mut iam.users[at];
    match action {
        "GetUser" => Ok(user_shown(user)),
        "DeleteUser" => {
            if !user.keys.is_empty() || !user.policies.is_empty() || !user.attached.is_empty() {
                let text = "Cannot delete entity, must remove access keys and policies first.";
                return Err((409, "DeleteConflict", text.to_owned()));
            }
            iam.users.remove(at);
            Ok(String::new())
        }
        "CreateAccessKey" | "UpdateAccessKey" | "DeleteAccessKey" => {
            of_keys(user, action, fields, now, lag)
        }
        "PutUserPolicy"
        | "GetUserPolicy"
        | "DeleteUserPolicy"
        | "DetachUserPolicy"
        | "RemoveUserFromGroup" => of_policies(user, action, fields),
        _ => listed(user, &managed, action).ok_or((
            400,
            "InvalidAction",
            format!("Could not find operation {action} for version 2010-05-08"),
        )),
    }
}

/// The refusal of what is not there.
fn missing(what: &str) -> Refusal {
    (404, "NoSuchEntity", format!("The {what} cannot be found."))
}

/// The actions on a user's keys.
fn of_keys(
    user: &mut User,
    action: &str,
    fields: &BTreeMap<String, String>,
    now: Duration,
    lag: u32,
) -> Result<String, Refusal> {
    let field = |name: &str| fields.get(name).cloned().unwrap_or_default();
    let name = user.name.clone();
    match action {
        "CreateAccessKey" => {
            if user.keys.len() >= 2 {
                let text = "Cannot exceed quota for AccessKeysPerUser: 2";
                return Err((409, "LimitExceeded", text.to_owned()));
            }
            let key = AccessKey::new(now, lag);
            let shown = format!(
                "<AccessKey><UserName>{name}</UserName><AccessKeyId>{}</AccessKeyId><Status>Active\
                 </Status><SecretAccessKey>{}</SecretAccessKey><CreateDate>{}</CreateDate>\
                 </AccessKey>",
                key.id,
                key.secret,
                date(now)
            );
            user.keys.push(key);
            Ok(shown)
        }
        _ => {
            let id = field("AccessKeyId");
            let Some(at) = user.keys.iter().position(|key| key.id == id) else {
                return Err(missing(&format!("access key with id {id}")));
            };
            if action == "DeleteAccessKey" {
                user.keys.remove(at);
            } else {
                user.keys[at].is_active = field("Status") == "Active";
            }
            Ok(String::new())
        }
    }
}

/// The actions on what gives a user rights.
fn of_policies(
    user: &mut User,
    action: &str,
    fields: &BTreeMap<String, String>,
) -> Result<String, Refusal> {
    let field = |name: &str| fields.get(name).cloned().unwrap_or_default();
    let name = user.name.clone();
    match action {
        "PutUserPolicy" => {
            let document = field("PolicyDocument");
            if serde_json::from_str::<Value>(&document).is_err() {
                let text = "Syntax errors in policy.".to_owned();
                return Err((400, "MalformedPolicyDocument", text));
            }
            if document.len() > 2048 {
                let text = format!("Maximum policy size of 2048 bytes exceeded for user {name}");
                return Err((409, "LimitExceeded", text));
            }
            user.policies.insert(field("PolicyName"), document);
            Ok(String::new())
        }
        "GetUserPolicy" => {
            let policy = field("PolicyName");
            let document = user.policies.get(&policy);
            let document =
                document.ok_or_else(|| missing(&format!("user policy with name {policy}")))?;
            Ok(format!(
                "<UserName>{name}</UserName><PolicyName>{policy}</PolicyName><PolicyDocument>{}\
                 </PolicyDocument>",
                query_value(document)
            ))
        }
        "DeleteUserPolicy" => match user.policies.remove(&field("PolicyName")) {
            Some(_) => Ok(String::new()),
            None => Err(missing(&format!("user policy with name {}", field("PolicyName")))),
        },
        "DetachUserPolicy" => {
            user.attached.retain(|arn| *arn != field("PolicyArn"));
            Ok(String::new())
        }
        _ => {
            user.groups.retain(|group| *group != field("GroupName"));
            Ok(String::new())
        }
    }
}

impl AccessKey {
    /// A new key that is unknown to `lag` requests.
    pub fn new(created: Duration, lag: u32) -> Self {
        let (id, secret) = (super::route53::login(), super::route53::secret());
        Self { id, secret, is_active: true, created, used: None, lag }
    }
}

/// The lists of what a user has.
fn listed(user: &User, managed: &BTreeMap<String, String>, action: &str) -> Option<String> {
    let (list, members): (&str, Vec<String>) = match action {
        "ListUserPolicies" => ("PolicyNames", user.policies.keys().cloned().collect()),
        "ListAttachedUserPolicies" => {
            let shown = |arn: &String| {
                let name = arn.rsplit('/').next().unwrap_or_default();
                format!("<PolicyName>{name}</PolicyName><PolicyArn>{arn}</PolicyArn>")
            };
            debug_assert!(user.attached.iter().all(|arn| managed.contains_key(arn)));
            ("AttachedPolicies", user.attached.iter().map(shown).collect())
        }
        "ListGroupsForUser" => {
            let shown = |group: &String| {
                format!("<Path>/</Path><GroupName>{group}</GroupName><GroupId>AGPA</GroupId>")
            };
            ("Groups", user.groups.iter().map(shown).collect())
        }
        "ListAccessKeys" => {
            let shown = |key: &AccessKey| {
                let status = if key.is_active { "Active" } else { "Inactive" };
                format!(
                    "<UserName>{}</UserName><AccessKeyId>{}</AccessKeyId><Status>{status}</Status>\
                     <CreateDate>{}</CreateDate>",
                    user.name,
                    key.id,
                    date(key.created)
                )
            };
            ("AccessKeyMetadata", user.keys.iter().map(shown).collect())
        }
        _ => return None,
    };
    let members: Vec<String> =
        members.iter().map(|member| format!("<member>{member}</member>")).collect();
    Some(format!("<{list}>{}</{list}><IsTruncated>false</IsTruncated>", members.concat()))
}

fn user_shown(user: &User) -> String {
    format!(
        "<User><Path>{}</Path><UserName>{}</UserName><UserId>AIDA</UserId><Arn>{}</Arn></User>",
        user.path,
        user.name,
        user.arn()
    )
}

fn last_used(iam: &Iam, id: &str) -> Option<String> {
    let (user, key) = iam
        .users
        .iter()
        .find_map(|user| Some((user, user.keys.iter().find(|key| key.id == id)?)))?;
    let last = match key.used {
        Some(at) => {
            format!("<LastUsedDate>{}</LastUsedDate><ServiceName>route53</ServiceName>", date(at))
        }
        None => "<ServiceName>N/A</ServiceName>".to_owned(),
    };
    Some(format!(
        "<UserName>{}</UserName><AccessKeyLastUsed>{last}<Region>us-east-1</Region>\
         </AccessKeyLastUsed>",
        user.name
    ))
}

/// Answers a request to the simulator of policies, whoever sent it: other emulators lack that.
pub fn simulated(iam: &Iam, body: &[u8]) -> Answer {
    match simulate(iam, &form(body)) {
        Ok(inner) => page("SimulatePrincipalPolicy", "iam", &inner),
        Err((status, code, text)) => error(status, code, &text),
    }
}

fn simulate(iam: &Iam, fields: &BTreeMap<String, String>) -> Result<String, Refusal> {
    let field = |name: &str| fields.get(name).map(String::as_str).unwrap_or_default();
    let arn = field("PolicySourceArn");
    let Some(user) = iam.users.iter().find(|user| user.arn() == arn) else {
        return Err((404, "NoSuchEntity", format!("The user {arn} cannot be found.")));
    };
    let mut context = Context::new();
    for at in 1.. {
        let part = |name: &str| fields.get(&format!("ContextEntries.member.{at}.{name}"));
        let Some(key) = part("ContextKeyName") else { break };
        let value = part("ContextKeyValues.member.1").cloned();
        context.insert(key.to_lowercase(), value.into_iter().collect());
    }
    let (action, resource) = (field("ActionNames.member.1"), field("ResourceArns.member.1"));
    let decision = iam.decision(&user.name, action, resource, &context);
    Ok(format!(
        "<IsTruncated>false</IsTruncated><EvaluationResults><member><EvalActionName>{action}\
         </EvalActionName><EvalDecision>{decision}</EvalDecision><EvalResourceName>{resource}\
         </EvalResourceName><MatchedStatements/><MissingContextValues/></member>\
         </EvaluationResults>"
    ))
}

fn page(action: &str, service: &str, inner: &str) -> Answer {
    let version = if service == "sts" { "2011-06-15" } else { "2010-05-08" };
    let result = if inner.is_empty() {
        String::new()
    } else {
        format!("<{action}Result>{inner}</{action}Result>")
    };
    let body = format!(
        "<{action}Response xmlns=\"https://{service}.amazonaws.com/doc/{version}/\">{result}\
         <ResponseMetadata><RequestId>{}</RequestId></ResponseMetadata></{action}Response>",
        chance::uuid()
    );
    Answer::new(200, "text/xml", &body)
}

fn error(status: u16, code: &str, message: &str) -> Answer {
    let body = format!(
        "<ErrorResponse xmlns=\"https://iam.amazonaws.com/doc/2010-05-08/\"><Error><Type>Sender\
         </Type><Code>{code}</Code><Message>{}</Message></Error><RequestId>{}</RequestId>\
         </ErrorResponse>",
        escaped(message),
        chance::uuid()
    );
    Answer::new(status, "text/xml", &body)
}
