//! Says what runs on a host and in its containers: services, their versions, configurations, logs and endpoints.
//!
//! # What it does
//! Each process of a chart is judged by [rules](Rules): by the program that the kernel says it executes, and by what it
//! was told to do. A master and its workers are one service. Its configuration is then read as the service itself
//! reads it, includes and all, through the helper inside the container; and what it says is joined with what listens.
//!
//! # What it does not do
//! It executes nothing, and connects to nothing. A port alone never says what listens there.
//!
//! # Example
//! ```no_run
//! use portolan_services::{SurveyOptions, Surveyor};
//!
//! let files = portolan_files::Files::new()?;
//! let mut surveyor = Surveyor::new(SurveyOptions::default());
//! let chart = portolan_scan::scan(&portolan_scan::ScanOptions::default())?;
//! for service in surveyor.survey(&chart, Some(&files)).services {
//!     for endpoint in &service.endpoints {
//!         println!("{} at {}", service.kind, endpoint.address);
//!     }
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Layout
//! - [`survey`]: the whole; [`service`], [`configuration`]: the answer
//! - [`rules`]: what makes a process a service; `recognise`: how they are applied, and processes joined into services
//! - [`launch`]: how a process was started
//! - `config`: a reader for each service's configuration; [`source`]: what they read from; `inside`: a container's files,
//!   `pattern`: which of them a service means; `prints`: whether they changed
//! - `endpoint`: where it is reached
//! - [`version`]: versions, from packages, programs and archives
//! - [`logs`]: where services and containers log
#![forbid(unsafe_code)]

mod config;
pub mod configuration;
mod endpoint;
pub mod error;
mod inside;
pub mod launch;
pub mod logs;
#[cfg(test)]
mod memory;
mod pattern;
mod prints;
mod recognise;
pub mod rules;
pub mod service;
pub mod source;
pub mod survey;
pub mod version;

pub use configuration::Configuration;
pub use error::Error;
pub use portolan_linux::ErrorKind;
pub use rules::Rules;
pub use service::{Confidence, Endpoint, EndpointAddress, LogFile, Service, Version};
pub use survey::{Progress, Survey, SurveyFault, SurveyOptions, Surveyor};

/// The result of this crate's functions.
pub type Result<T> = std::result::Result<T, Error>;
