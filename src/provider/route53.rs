//! The token side of Amazon Route 53: users, policies and keys of IAM, whose a key is (STS), and zones.
//!
//! Requests are forms, signed as those of Route 53; answers are XML. Sources: the API references of IAM
//! (2010-05-08) and STS (2011-06-15). Decides nothing about a host.

use std::time::Duration;

use serde_json::Value;

use super::Trouble;
use super::asker::Asker;
use crate::core::outcome::{Fault, Rejection};
use crate::core::protocol::http::rows::tree_of;
use crate::core::protocol::http::sign::decoded;
use crate::core::protocol::http::signing::Sign;
use crate::core::protocol::{
    Answer, Body, Credential, HttpRequest, Method, one_line, query_value, shortened,
};
use crate::core::provider::Provider;
use crate::core::secret::Secret;
use crate::core::time::Timestamp;
use crate::core::token::TokenId;
use crate::core::token::job::Record;
use crate::core::token::route53::{Attachment, Cloud, PATH, POLICY, Question};
use crate::net::http::Clients;
use crate::os::clock::parse_rfc3339;

/// An account, asked with one credential.
#[derive(Clone, Copy, Debug)]
pub struct Account<'a> {
    asker: Asker<'a>,
}

/// A user with what it has.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Holdings {
    /// Its ARN; `None` if there is no such user.
    pub arn: Option<String>,
    /// The document of Homing's policy, if it has that.
    pub policy: Option<Value>,
    /// Everything else that may give it rights.
    pub others: Vec<Attachment>,
    /// Its keys.
    pub keys: Vec<AccessKey>,
}

/// A key of a user; not its secret.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AccessKey {
    /// Its id.
    pub id: TokenId,
    /// Whether it is switched on.
    pub is_active: bool,
    /// When it was made.
    pub created: Option<Timestamp>,
}

/// A service beside Route 53.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Service {
    Iam,
    Sts,
}

/// The time between two looks at what IAM has changed.
const BETWEEN: Duration = Duration::from_secs(1);

impl Holdings {
    /// Whether the user has this policy as Homing's.
    pub fn has_policy(&self, document: &str) -> bool {
        let wanted = serde_json::from_str::<Value>(document).ok();
        wanted.is_some() && self.policy == wanted
    }
}

impl<'a> Account<'a> {
    /// How often IAM is looked at until a change has reached every service: that takes some seconds.
    pub const TRIES: u32 = 15;

    /// Waits between two looks at what IAM has changed.
    pub async fn pause() {
        tokio::time::sleep(BETWEEN).await;
    }

    /// The account at `provider`, asked with the key `who`.
    pub fn new(provider: &'a Provider, clients: &'a Clients, who: &'a Credential) -> Self {
        Self { asker: Asker { provider, clients, who, said } }
    }

    /// Who asks.
    pub fn asker(&self) -> &Asker<'a> {
        &self.asker
    }

    /// The base URL of Route 53, which receipts name.
    pub fn server(&self) -> &'a str {
        self.asker.server()
    }

    /// The services beside Route 53.
    pub fn cloud(&self) -> Cloud<'a> {
        Cloud::of(self.server())
    }

    /// The ARN of the key's owner; no right is needed for this.
    pub async fn owner(&self) -> Result<String, Trouble> {
        let told = self.ask(Service::Sts, "GetCallerIdentity", &[]).await?;
        text(&told, "Arn").ok_or_else(|| strange("GetCallerIdentity"))
    }

    /// What the user called `name` has; nothing if there is no such user.
    pub async fn holdings(&self, name: &str) -> Result<Holdings, Trouble> {
        let user = [("UserName", name)];
        let told = match self.iam("GetUser", &user).await {
            Ok(told) => told,
            Err(Trouble::NotThere(_)) => return Ok(Holdings::default()),
            Err(trouble) => return Err(trouble),
        };
        let arn = told.get("User").and_then(|user| text(user, "Arn"));
        let mut holdings =
            Holdings { arn: Some(arn.ok_or_else(|| strange("GetUser"))?), ..Holdings::default() };
        for name in self.list("ListUserPolicies", "PolicyNames", &user).await? {
            match name.as_str() {
                Some(POLICY) => holdings.policy = Some(self.policy(&user).await?),
                name => holdings.others.push(Attachment::Policy(own(name))),
            }
        }
        for policy in self.list("ListAttachedUserPolicies", "AttachedPolicies", &user).await? {
            holdings.others.push(Attachment::Attached(own(text(&policy, "PolicyArn").as_deref())));
        }
        for group in self.list("ListGroupsForUser", "Groups", &user).await? {
            holdings.others.push(Attachment::Group(own(text(&group, "GroupName").as_deref())));
        }
        for key in self.list("ListAccessKeys", "AccessKeyMetadata", &user).await? {
            let id = text(&key, "AccessKeyId").and_then(|id| id.parse().ok());
            holdings.keys.push(AccessKey {
                id: id.ok_or_else(|| strange("ListAccessKeys"))?,
                is_active: text(&key, "Status").as_deref() == Some("Active"),
                created: text(&key, "CreateDate").as_deref().and_then(parse_rfc3339),
            });
        }
        Ok(holdings)
    }

    /// The document of Homing's policy; one that is not JSON is its text, which no policy equals.
    async fn policy(&self, user: &[(&str, &str)]) -> Result<Value, Trouble> {
        let fields = [user, &[("PolicyName", POLICY)]].concat();
        let told = self.iam("GetUserPolicy", &fields).await?;
        let document = text(&told, "PolicyDocument").ok_or_else(|| strange("GetUserPolicy"))?;
        // IAM encodes it as in URLs (RFC 3986).
        let document = String::from_utf8_lossy(&decoded(&document)).into_owned();
        Ok(serde_json::from_str(&document).unwrap_or(Value::String(document)))
    }

    /// The name of the user of a key, and when the key was last used.
    pub async fn user_of(&self, id: &TokenId) -> Result<(String, Option<Timestamp>), Trouble> {
        let fields = [("AccessKeyId", id.as_str())];
        let told = self.iam("GetAccessKeyLastUsed", &fields).await?;
        let name = text(&told, "UserName").ok_or_else(|| strange("GetAccessKeyLastUsed"))?;
        let used = told.get("AccessKeyLastUsed").and_then(|used| text(used, "LastUsedDate"));
        Ok((name, used.as_deref().and_then(parse_rfc3339)))
    }

    /// Makes the user called `name`, and returns its ARN.
    pub async fn create_user(&self, name: &str, hosts: &str) -> Result<String, Trouble> {
        let fields = [
            ("UserName", name),
            ("Path", PATH),
            ("Tags.member.1.Key", "homing-hosts"),
            ("Tags.member.1.Value", hosts),
        ];
        let told = self.iam("CreateUser", &fields).await?;
        told.get("User").and_then(|user| text(user, "Arn")).ok_or_else(|| strange("CreateUser"))
    }

    /// Gives the user Homing's policy, in the place of the one that it has.
    pub async fn put_policy(&self, name: &str, document: &str) -> Result<(), Trouble> {
        let fields = [("UserName", name), ("PolicyName", POLICY), ("PolicyDocument", document)];
        self.iam("PutUserPolicy", &fields).await.map(drop)
    }

    /// Takes from the user what is no part of its job; what is not there is taken already.
    pub async fn take(&self, name: &str, what: &Attachment) -> Result<(), Trouble> {
        let (action, field, value) = match what {
            Attachment::Policy(policy) => ("DeleteUserPolicy", "PolicyName", policy),
            Attachment::Attached(arn) => ("DetachUserPolicy", "PolicyArn", arn),
            Attachment::Group(group) => ("RemoveUserFromGroup", "GroupName", group),
        };
        self.end(action, &[("UserName", name), (field, value)]).await.map(drop)
    }

    /// Makes a key of the user: its id and its secret, which IAM never shows again.
    ///
    /// After a lost answer there may be a key that nobody knows: it can do what the policy allows, and
    /// the list of the user's keys shows it.
    pub async fn create_key(&self, name: &str) -> Result<(TokenId, Secret), Trouble> {
        let told = self.iam("CreateAccessKey", &[("UserName", name)]).await?;
        let key = told.get("AccessKey").and_then(key_in);
        key.ok_or_else(|| strange("CreateAccessKey"))
    }

    /// Switches a key off, then deletes it; `false` when there was none.
    pub async fn delete_key(&self, name: &str, id: &TokenId) -> Result<bool, Trouble> {
        let key = [("UserName", name), ("AccessKeyId", id.as_str())];
        let off = [&key[..], &[("Status", "Inactive")]].concat();
        Ok(self.end("UpdateAccessKey", &off).await? && self.end("DeleteAccessKey", &key).await?)
    }

    /// Deletes a user that has nothing any more.
    pub async fn delete_user(&self, name: &str) -> Result<(), Trouble> {
        self.end("DeleteUser", &[("UserName", name)]).await.map(drop)
    }

    /// Whether the policies of the user with that ARN allow what is asked.
    pub async fn simulate(&self, arn: &str, question: &Question) -> Result<bool, Trouble> {
        const ACTION: &str = "SimulatePrincipalPolicy";
        let mut fields = vec![
            ("PolicySourceArn".to_owned(), arn),
            ("ActionNames.member.1".to_owned(), question.action),
            ("ResourceArns.member.1".to_owned(), &*question.resource),
        ];
        for (at, (key, kind, value)) in question.context.iter().enumerate() {
            let field = |name: &str| format!("ContextEntries.member.{}.{name}", at + 1);
            fields.push((field("ContextKeyName"), key));
            fields.push((field("ContextKeyType"), kind));
            fields.push((field("ContextKeyValues.member.1"), value));
        }
        let fields: Vec<_> = fields.iter().map(|(name, value)| (&**name, *value)).collect();
        let results = self.list(ACTION, "EvaluationResults", &fields).await?;
        let decision = match &results[..] {
            [one] => text(one, "EvalDecision"),
            _ => None,
        };
        match decision.as_deref() {
            Some("allowed") => Ok(true),
            Some("implicitDeny" | "explicitDeny") => Ok(false),
            _ => Err(strange(ACTION)),
        }
    }

    /// Waits until the services know the key and its policy; returns the ARN of its owner.
    ///
    /// With a `record`, Route 53 is asked to write there what is no address, which it must refuse: until
    /// then it does not know the key, or denies the access.
    pub async fn settled(&self, record: Option<&Record>) -> Result<String, Trouble> {
        let mut tries = Self::TRIES;
        loop {
            let heard = match (self.owner().await, record) {
                (Ok(owner), Some(record)) => self.try_write(record).await.map(|()| owner),
                (heard, _) => heard,
            };
            match heard {
                Err(trouble)
                    if (trouble.is_credential() || trouble.is_forbidden()) && tries > 1 =>
                {
                    tries -= 1;
                    Self::pause().await;
                }
                heard => return heard,
            }
        }
    }

    /// Asks Route 53 to write a text that is no address; its refusal is success.
    async fn try_write(&self, record: &Record) -> Result<(), Trouble> {
        let Record { duty, zone_id, .. } = record;
        let body = format!(
            "<ChangeResourceRecordSetsRequest xmlns=\"https://route53.amazonaws.com/doc/2013-04-01/\">\
             <ChangeBatch><Changes><Change><Action>UPSERT</Action><ResourceRecordSet><Name>{}.</Name>\
             <Type>{}</Type><TTL>60</TTL><ResourceRecords><ResourceRecord><Value>may-homing-write</Value>\
             </ResourceRecord></ResourceRecords></ResourceRecordSet></Change></Changes></ChangeBatch>\
             </ChangeResourceRecordSetsRequest>",
            duty.host,
            duty.kinds().next().unwrap_or("A")
        );
        let url = format!("{}/hostedzone/{zone_id}/rrset", self.server());
        let request = HttpRequest {
            method: Method::Post,
            body: Some(Body::ApplicationXml(body.into())),
            ..HttpRequest::get(url, None)
        };
        let provider = self.asker.provider;
        let sign = provider.http.as_ref().and_then(|entry| entry.sign.as_ref());
        match self.asker.heard(&request, sign).await {
            Err(Trouble::Rejected(refusal)) if refusal.rejection == Rejection::Request => Ok(()),
            heard => heard.map(drop),
        }
    }

    async fn iam(&self, action: &str, fields: &[(&str, &str)]) -> Result<Value, Trouble> {
        self.ask(Service::Iam, action, fields).await
    }

    /// The members of the list `name`; an incomplete one is an error, because what it lacks is unknown.
    async fn list(
        &self,
        action: &str,
        name: &str,
        fields: &[(&str, &str)],
    ) -> Result<Vec<Value>, Trouble> {
        let told = self.iam(action, fields).await?;
        let is_whole = text(&told, "IsTruncated").is_none_or(|cut| cut == "false");
        match told.get(name).filter(|_| is_whole) {
            Some(Value::String(empty)) if empty.is_empty() => Ok(Vec::new()),
            Some(list) => match list.get("member") {
                Some(Value::Array(members)) => Ok(members.clone()),
                Some(member) => Ok(vec![member.clone()]),
                None => Err(strange(action)),
            },
            None => Err(strange(action)),
        }
    }

    /// As [`Self::iam`] for what ends something; `false` if there is no such thing.
    async fn end(&self, action: &str, fields: &[(&str, &str)]) -> Result<bool, Trouble> {
        match self.iam(action, fields).await {
            Ok(_) => Ok(true),
            Err(Trouble::NotThere(_)) => Ok(false),
            Err(trouble) => Err(trouble),
        }
    }

    /// The result of `action`.
    async fn ask(
        &self,
        service: Service,
        action: &str,
        fields: &[(&str, &str)],
    ) -> Result<Value, Trouble> {
        let cloud = self.cloud();
        let (server, name, version) = match service {
            Service::Iam => (cloud.iam, "iam", "2010-05-08"),
            Service::Sts => (cloud.sts, "sts", "2011-06-15"),
        };
        let mut form = format!("Action={action}&Version={version}");
        for (name, value) in fields {
            form += &["&", name, "=", &query_value(value)].concat();
        }
        let is_private = action == "CreateAccessKey";
        let request = HttpRequest {
            method: Method::Post,
            body: Some(Body::Form(form.into())),
            is_private,
            brings: is_private.then_some(brought),
            ..HttpRequest::get(format!("{server}/"), None)
        };
        let sign = Sign::parse(&format!("aws4 {}/{name}", cloud.region).into());
        let tree = self.asker.heard(&request, sign.ok().as_ref()).await?;
        let root = tree.get(format!("{action}Response")).ok_or_else(|| strange(action))?;
        Ok(root.get(format!("{action}Result")).unwrap_or(root).clone())
    }
}

/// What the server said, as `HTTP 403 AccessDenied: …`; a secret in it is hidden by the client.
fn said(answer: &Answer, tree: Option<&Value>) -> String {
    const LONGEST: usize = 200;
    let error = tree.and_then(|tree| tree.get("ErrorResponse")?.get("Error"));
    let part = |name| error.and_then(|error| text(error, name));
    match (part("Code"), part("Message")) {
        (Some(code), Some(message)) if !answer.repeats_secret => {
            let words = shortened(&one_line(&format!("{code}: {message}")), LONGEST);
            format!("HTTP {} {words}", answer.status)
        }
        _ => answer.summary(),
    }
}

/// The failure of an answer that is not in the form of the answers to `action`.
fn strange(action: &str) -> Trouble {
    Trouble::deferred(Fault::Unintelligible, format!("the answer to {action} is not in its form"))
}

/// The text of the element `name`.
fn text(value: &Value, name: &str) -> Option<String> {
    value.get(name)?.as_str().filter(|text| !text.is_empty()).map(str::to_owned)
}

/// A name that a list has, or a sign that it has one that cannot be read.
fn own(name: Option<&str>) -> String {
    name.unwrap_or("?").to_owned()
}

/// The id and the secret of a key that was just made.
fn key_in(key: &Value) -> Option<(TokenId, Secret)> {
    let secret = text(key, "SecretAccessKey")?;
    // Base64's letters: one that does not fit on a line of a file is not kept.
    let is_one = |byte: u8| byte.is_ascii_alphanumeric() || b"/+=".contains(&byte);
    let id = text(key, "AccessKeyId")?.parse().ok()?;
    secret.bytes().all(is_one).then(|| (id, Secret::new(&secret)))
}

/// The secret in the answer to `CreateAccessKey`, so that it is hidden from then on.
fn brought(answer: &Answer) -> Option<Secret> {
    let tree = tree_of(&answer.body)?;
    let result = tree.get("CreateAccessKeyResponse")?.get("CreateAccessKeyResult")?;
    text(result.get("AccessKey")?, "SecretAccessKey").map(|secret| Secret::new(&secret))
}
