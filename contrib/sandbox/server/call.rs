//! What every view of the REST API gets, and the ways in which it refuses.
//!
//! Pure. A view authenticates, checks permission, lets itself be throttled, and only then looks
//! at method and body: in the order in which Django REST framework does.

use std::net::IpAddr;
use std::time::Duration;

use super::account::Account;
use super::api::Api;
use super::auth;
use super::http::{Answer, Request};
use super::json::{self, Value};
use super::throttle::{self, Scope};
use super::token::Token;

/// One request to the REST API.
pub struct Call<'a> {
    /// What it reads and changes.
    pub account: &'a mut Account,
    /// Where it comes from.
    pub client: IpAddr,
    /// Since the Unix epoch.
    pub now: Duration,
    /// What is asked.
    pub request: &'a Request,
}

impl Call<'_> {
    /// The token that is presented, if any.
    pub fn token(&mut self) -> Result<Option<Token>, Refusal> {
        let token = auth::for_rest(self.account, self.request, self.client, self.now);
        token.transpose().map_err(Refusal::Credential)
    }

    /// The token that must be presented.
    pub fn enter(&mut self) -> Result<Token, Refusal> {
        let stranger = "Authentication credentials were not provided.";
        self.token()?.ok_or(Refusal::Credential(stranger))
    }

    /// Counts the request against `scope` and against the account's day.
    pub fn throttle(&mut self, scope: Scope) -> Result<(), Refusal> {
        self.account.admit(&[scope, Scope::User], self.now).map_err(Refusal::Throttled)
    }

    /// Whether it only reads.
    pub fn is_safe(&self) -> bool {
        ["GET", "HEAD", "OPTIONS"].contains(&self.request.method.as_str())
    }

    /// What was sent, read as JSON; nothing at all is an empty object.
    pub fn body(&self) -> Result<Value, Refusal> {
        if self.request.body.is_empty() {
            return Ok(Value::Object(Vec::new()));
        }
        let kind = self.request.header("Content-Type").unwrap_or_default();
        let essence = kind.split(';').next().unwrap_or_default().trim();
        if !essence.eq_ignore_ascii_case("application/json") {
            let detail = format!("Unsupported media type \"{kind}\" in request.");
            return Err(Refusal::Detail(415, detail));
        }
        let lost = |at: usize| {
            let detail =
                format!("JSON parse error - Expecting value: line 1 column {} (char {at})", at + 1);
            Refusal::Detail(400, detail)
        };
        let text = std::str::from_utf8(&self.request.body).map_err(|e| lost(e.valid_up_to()))?;
        json::parse(text).map_err(|error| lost(error.at))
    }

    /// The same, where only an object will do.
    pub fn object(&self) -> Result<Value, Refusal> {
        let body = self.body()?;
        if matches!(body, Value::Object(_)) {
            return Ok(body);
        }
        let text = format!("Invalid data. Expected a dictionary, but got {}.", body.type_name());
        Err(Refusal::request(text))
    }

    /// An absolute link to a path below `/api/v1/`.
    pub fn link(&self, path: &str) -> String {
        format!("{}/api/v1/{path}", self.origin())
    }

    /// Scheme and host that the client used.
    pub fn origin(&self) -> String {
        format!("http://{}", self.request.header("Host").unwrap_or("localhost"))
    }

    /// That the method is none that the view has.
    pub fn no_such_method(&self) -> Refusal {
        Refusal::Detail(405, format!("Method \"{}\" not allowed.", self.request.method))
    }

    /// That there is no such row; the old server did not say of what, and the new one does not
    /// where it did not come to looking: then `model` is empty.
    pub fn not_found(&self, model: &str) -> Refusal {
        Refusal::Detail(
            404,
            match self.account.api {
                Api::Current if !model.is_empty() => {
                    format!("No {model} matches the given query.")
                }
                Api::Current | Api::Legacy => "Not found.".to_owned(),
            },
        )
    }
}

/// The answer to `OPTIONS`, where nothing else can be read from it.
pub fn description(name: &str) -> Answer {
    Answer::json(200, &describing(name, None).to_string())
}

/// What `OPTIONS` tells about a view.
pub fn describing(name: &str, actions: Option<Value>) -> Value {
    let media_type = || Value::texts(["application/json"]);
    let mut members = vec![
        ("name", Value::from(name)),
        ("description", Value::from("")),
        ("renders", media_type()),
        ("parses", media_type()),
    ];
    members.extend(actions.map(|actions| ("actions", actions)));
    Value::object(members)
}

/// Why a request is not answered.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Refusal {
    /// 401.
    Credential(auth::Refused),
    /// Another status, and what the answer says under `detail`.
    Detail(u16, String),
    /// 400, with the complaints, mostly by field.
    Invalid(Value),
    /// 400, because a list is too long; the link with which to read it in pages.
    Pages(String, String),
    /// 429; how long to wait.
    Throttled(Duration),
}

impl Refusal {
    /// That the token may not use the view.
    pub fn permission() -> Self {
        Self::Detail(403, "You do not have permission to perform this action.".to_owned())
    }

    /// That the token's policies do not let it write the record set.
    pub fn policy() -> Self {
        Self::Detail(403, "Insufficient token permissions.".to_owned())
    }

    /// A complaint about one field.
    pub fn field(name: &str, text: impl Into<Value>) -> Self {
        Self::Invalid(Value::object([(name, Value::texts([text]))]))
    }

    /// A complaint about the request as a whole.
    pub fn request(text: impl Into<Value>) -> Self {
        Self::field("non_field_errors", text)
    }
}

impl From<Refusal> for Answer {
    fn from(refusal: Refusal) -> Self {
        let detail = |status, text: &str| {
            Self::json(status, &Value::object([("detail", Value::from(text))]).to_string())
        };
        match refusal {
            Refusal::Credential(text) => detail(401, text).with("WWW-Authenticate", "Token"),
            Refusal::Detail(status, text) => detail(status, &text),
            Refusal::Invalid(complaints) => Self::json(400, &complaints.to_string()),
            Refusal::Pages(text, link) => detail(400, &text).with("Link", &link),
            Refusal::Throttled(wait) => {
                let (seconds, sentence) = throttle::refusal(wait);
                detail(429, &sentence).with("Retry-After", &seconds.to_string())
            }
        }
    }
}
