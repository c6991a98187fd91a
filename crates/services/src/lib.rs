//! Says what runs on a host and in its containers: services, their configuration, logs and endpoints.
#![forbid(unsafe_code)]

pub mod logs;
