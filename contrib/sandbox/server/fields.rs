//! The members of a JSON object, read and complained about as Django REST framework does.
//!
//! Pure. Members that nobody asks for are passed over.

#![allow(clippy::option_option, reason = "left out and `null` are two different things")]

use std::time::Duration;

use super::calendar::{Length, parse_duration};
use super::call::Refusal;
use super::json::Value;
use super::subnet::Subnet;

/// An object that is being read, and the complaints so far.
pub struct Fields<'a> {
    complaints: Vec<(String, Value)>,
    object: &'a Value,
    /// Whether members may be left out that are required otherwise (`PATCH`).
    partial: bool,
}

impl<'a> Fields<'a> {
    /// Reads `object`; with `partial`, nothing is required.
    pub fn of(object: &'a Value, partial: bool) -> Self {
        Self { complaints: Vec::new(), object, partial }
    }

    /// Ends the reading: the complaints, if there are any.
    pub fn finish(self) -> Result<(), Refusal> {
        let complaints = self.complaints();
        complaints.map_or(Ok(()), |complaints| Err(Refusal::Invalid(complaints)))
    }

    /// The complaints, by field, if there are any.
    pub fn complaints(self) -> Option<Value> {
        (!self.complaints.is_empty()).then_some(Value::Object(self.complaints))
    }

    /// Adds complaints about a field.
    pub fn complain(&mut self, name: &str, texts: &[String]) {
        if !texts.is_empty() {
            self.complaints.push((name.to_owned(), Value::texts(texts.iter().cloned())));
        }
    }

    /// A member, as it stands.
    pub fn raw(&self, name: &str) -> Option<&'a Value> {
        self.object.get(name)
    }

    /// A member that must be there, unless in a partial update.
    pub fn required(&mut self, name: &str) -> Option<&'a Value> {
        let value = self.raw(name);
        if value.is_none() && !self.partial {
            self.complain(name, &["This field is required.".to_owned()]);
        }
        value
    }

    /// `true` or `false`, in any spelling that is taken for one.
    pub fn boolean(&mut self, name: &str) -> Option<bool> {
        let value = self.raw(name)?;
        let text = match value {
            Value::Bool(value) => return Some(*value),
            Value::Null => return self.null(name),
            Value::Number(number) => number.to_string(),
            Value::String(text) => text.trim().to_lowercase(),
            Value::List(_) | Value::Object(_) => String::new(),
        };
        match text.as_str() {
            "t" | "y" | "yes" | "true" | "on" | "1" => Some(true),
            "f" | "n" | "no" | "false" | "off" | "0" => Some(false),
            _ => {
                self.complain(name, &["Must be a valid boolean.".to_owned()]);
                None
            }
        }
    }

    /// A text, without blanks at its ends and with at most `longest` characters.
    pub fn text(&mut self, name: &str, longest: usize) -> Option<String> {
        let text = self.whole_text(name)?.trim().to_owned();
        if text.chars().count() > longest {
            let complaint = format!("Ensure this field has no more than {longest} characters.");
            self.complain(name, &[complaint]);
            return None;
        }
        Some(text)
    }

    /// A text as it was sent.
    pub fn whole_text(&mut self, name: &str) -> Option<String> {
        let text = match self.raw(name)? {
            Value::String(text) => text.clone(),
            Value::Number(number) => number.to_string(),
            Value::Null => return self.null(name),
            Value::Bool(_) | Value::List(_) | Value::Object(_) => {
                self.complain(name, &["Not a valid string.".to_owned()]);
                return None;
            }
        };
        Some(text)
    }

    /// A text, or `null`.
    pub fn text_or_null(&mut self, name: &str, longest: usize) -> Option<Option<String>> {
        match self.raw(name)? {
            Value::Null => Some(None),
            _ => self.text(name, longest).map(Some),
        }
    }

    /// A whole number that is not negative.
    pub fn number(&mut self, name: &str) -> Option<u64> {
        let text = match self.raw(name)? {
            Value::Null => return self.null(name),
            Value::Number(number) => &number.to_string(),
            Value::String(text) => text.trim(),
            Value::Bool(_) | Value::List(_) | Value::Object(_) => "",
        };
        match text.parse::<i64>() {
            Ok(number) => Some(u64::try_from(number).unwrap_or(0)),
            Err(_) => {
                self.complain(name, &["A valid integer is required.".to_owned()]);
                None
            }
        }
    }

    /// A length of time, or `null` for none.
    pub fn duration(&mut self, name: &str) -> Option<Option<Duration>> {
        const LONGEST: Duration = Duration::from_secs(365_000 * 24 * 60 * 60);
        let text = match self.raw(name)? {
            Value::Null => return Some(None),
            Value::Number(number) => &number.to_string(),
            Value::String(text) => text.as_str(),
            // Their text is no length of time in any form.
            Value::Bool(_) | Value::List(_) | Value::Object(_) => "-",
        };
        let complaint = match parse_duration(text) {
            Some(Length::Positive(duration)) if duration <= LONGEST => return Some(Some(duration)),
            Some(Length::Positive(_)) => {
                "Ensure this value is less than or equal to 365000 days, 0:00:00."
            }
            Some(Length::Negative) => "Ensure this value is greater than or equal to 0:00:00.",
            Some(Length::Overflow) => {
                "The number of days must be between -999999999 and 999999999."
            }
            None => {
                "Duration has wrong format. Use one of these formats instead: \
                 [DD] [HH:[MM:]]ss[.uuuuuu]."
            }
        };
        self.complain(name, &[complaint.to_owned()]);
        None
    }

    /// A list of texts, none of them empty.
    pub fn texts(&mut self, name: &str) -> Option<Vec<String>> {
        self.list(name, |item| match item {
            Value::String(text) if text.trim().is_empty() => Err("This field may not be blank."),
            Value::String(text) => Ok(text.trim().to_owned()),
            _ => Err("Not a valid string."),
        })
    }

    /// A list of networks.
    pub fn subnets(&mut self, name: &str) -> Option<Vec<Subnet>> {
        self.list(name, subnet)
    }

    fn list<T>(
        &mut self,
        name: &str,
        read: impl Fn(&Value) -> Result<T, &'static str>,
    ) -> Option<Vec<T>> {
        let items = match self.raw(name)? {
            Value::List(items) => items,
            Value::Null => return self.null(name),
            other => {
                let is = other.type_name();
                let complaint = format!("Expected a list of items but got type \"{is}\".");
                self.complain(name, &[complaint]);
                return None;
            }
        };
        let mut complaints = Vec::new();
        let mut values = Vec::new();
        for (index, item) in items.iter().enumerate() {
            match read(item) {
                Ok(value) => values.push(value),
                Err(text) => complaints.push((index.to_string(), Value::texts([text]))),
            }
        }
        if complaints.is_empty() {
            return Some(values);
        }
        self.complaints.push((name.to_owned(), Value::Object(complaints)));
        None
    }

    fn null<T>(&mut self, name: &str) -> Option<T> {
        self.complain(name, &["This field may not be null.".to_owned()]);
        None
    }
}

/// A network, or an address, which is the network that holds nothing else.
fn subnet(item: &Value) -> Result<Subnet, &'static str> {
    let Value::String(text) = item else {
        return Err("Invalid CIDR address.");
    };
    let whole = match (text.contains('/'), text.contains(':')) {
        (true, _) => text.clone(),
        (false, true) => format!("{text}/128"),
        (false, false) => format!("{text}/32"),
    };
    let subnet: Subnet = whole.parse().map_err(|_| "Invalid CIDR address.")?;
    if subnet.is_network_address() { Ok(subnet) } else { Err("Must be a network address.") }
}

/// What is wrong with the name of a record set inside its zone.
pub fn subname_complaints(subname: &str) -> Vec<String> {
    let label = |label: &str| {
        let fits =
            |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || ['-', '_'].contains(&c);
        (1..=63).contains(&label.len()) && label.chars().all(fits)
    };
    let rest = subname.strip_prefix("*.").unwrap_or(subname);
    let fits = ["", "*"].contains(&subname) || rest.split('.').all(label);
    let mut complaints = Vec::new();
    if subname != subname.to_lowercase() {
        complaints.push(format!("Invalid value (not lowercase): {subname}"));
    }
    if !fits {
        complaints.push(
            "Subname can only use (lowercase) a-z, 0-9, ., -, and _, may start with a '*.', or \
             just be '*'. Components may not exceed 63 characters."
                .to_owned(),
        );
    }
    complaints
}

/// What is wrong with a record type.
pub fn kind_complaints(kind: &str) -> Vec<String> {
    if kind.is_empty() {
        return vec!["This field may not be blank.".to_owned()];
    }
    let fits = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit();
    let mut complaints = Vec::new();
    if kind != kind.to_uppercase() {
        complaints.push(format!("Invalid value (not uppercase): {kind}"));
    }
    if !kind.starts_with(|c: char| c.is_ascii_uppercase()) || !kind.chars().all(fits) {
        let complaint = "Type must be uppercase alphanumeric and start with a letter.";
        complaints.push(complaint.to_owned());
    }
    complaints
}
