//! Long lists: refused at once, shown in pages.
//!
//! Pure. A page begins where its cursor says and not at a number, so that what is made or removed
//! in between moves nothing. Forms: deSEC, recorded August 2026, and Django REST framework's.

use super::call::{Call, Refusal};
use super::http::{Answer, from_base64, query_value, to_base64};
use super::json::Value;

/// One entry of a list, with what orders it: no two have the same key.
pub type Keyed = (String, Value);

/// The entries, greatest key first: all of them, or the page that is asked for.
pub fn answer(call: &Call<'_>, mut entries: Vec<Keyed>) -> Result<Answer, Refusal> {
    entries.sort_by(|one, other| other.0.cmp(&one.0));
    let size = call.account.page_size.max(1);
    let total = entries.len();
    let Some(cursor) = call.request.parameter("cursor") else {
        if total > size {
            let text = format!(
                "Pagination required. You can query up to {size} items at a time ({total} total). \
                 Please use the `first` page link (see Link header)."
            );
            return Err(Refusal::Pages(text, link(call, "", "first")));
        }
        return Ok(Answer::json(200, &whole(&entries).to_string()));
    };
    let cursor = Cursor::read(cursor)?;
    if matches!(cursor, Cursor::Start) && total <= size {
        // Nothing to turn to.
        return Ok(Answer::json(200, &whole(&entries).to_string()));
    }
    let page = match cursor {
        Cursor::Start => &entries[..size.min(total)],
        Cursor::After(key) => {
            let first = entries.partition_point(|entry| entry.0 >= key);
            &entries[first..total.min(first + size)]
        }
        Cursor::Before(key) => {
            let end = entries.partition_point(|entry| entry.0 > key);
            &entries[end.saturating_sub(size)..end]
        }
    };
    let mut links = vec![link(call, "", "first")];
    if let Some(first) = page.first().filter(|first| entries.first() != Some(*first)) {
        links.push(link(call, &Cursor::Before(first.0.clone()).written(), "prev"));
    }
    if let Some(last) = page.last().filter(|last| entries.last() != Some(*last)) {
        links.push(link(call, &Cursor::After(last.0.clone()).written(), "next"));
    }
    Ok(Answer::json(200, &whole(page).to_string()).with("Link", &links.join(", ")))
}

fn whole(entries: &[Keyed]) -> Value {
    Value::List(entries.iter().map(|(_, value)| value.clone()).collect())
}

/// The link to the page at `cursor`, everything else as it was asked.
fn link(call: &Call<'_>, cursor: &str, relation: &str) -> String {
    let mut query = format!("cursor={}", query_value(cursor));
    for (name, value) in call.request.query.iter().filter(|(name, _)| name != "cursor") {
        query.push_str(&format!("&{}={}", query_value(name), query_value(value)));
    }
    format!("<{}{}?{query}>; rel=\"{relation}\"", call.origin(), call.request.path)
}

enum Cursor {
    After(String),
    Before(String),
    Start,
}

impl Cursor {
    fn read(text: &str) -> Result<Self, Refusal> {
        if text.is_empty() {
            return Ok(Self::Start);
        }
        let decoded = from_base64(text).and_then(|bytes| String::from_utf8(bytes).ok());
        let decoded = decoded.unwrap_or_default();
        if let Some(key) = decoded.strip_prefix("p=") {
            Ok(Self::After(key.to_owned()))
        } else if let Some(key) = decoded.strip_prefix("r=1&p=") {
            Ok(Self::Before(key.to_owned()))
        } else {
            Err(Refusal::Detail(404, "Invalid cursor".to_owned()))
        }
    }

    fn written(&self) -> String {
        match self {
            Self::After(key) => to_base64(format!("p={key}").as_bytes()),
            Self::Before(key) => to_base64(format!("r=1&p={key}").as_bytes()),
            Self::Start => String::new(),
        }
    }
}
