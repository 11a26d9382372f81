//! Providers whose requests and answers are described by data: an entry of the provider table.

pub mod answer;
pub mod markup;
pub mod path;
pub mod rows;
#[cfg(feature = "cloud")]
pub mod sign;
