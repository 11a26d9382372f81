//! What the fuzz targets share: the bounds of every input, readings of the fuzzer's bytes, examples.
//!
//! A target states what must hold for any bytes; none sends anything or writes a file.

pub mod bounds;
pub mod bytes;
pub mod example;
pub mod import;
pub mod message;
