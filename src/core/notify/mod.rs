//! Notify: what people are told of problems and their ends, and how each service wants to hear it. Pure.
//!
//! `message` puts events into words, `service` makes a request of them and reads its answer, `mail`
//! makes a mail of them, `outbox` decides when what is sent. The drivers send.

pub mod mail;
pub mod message;
pub mod outbox;
pub mod service;
