//! Texts that are either built in or written by a user.

use std::borrow::Cow;

/// Text that is either built in or written by the user.
pub type Text = Cow<'static, str>;
