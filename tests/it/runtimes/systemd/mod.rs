//! A host with systemd: its services, which are no containers, and runtimes that put their containers into its
//! slices and scopes.
//!
//! # Layout
//! - `machine`: the host, which is a machine of systemd-nspawn
//! - `services`: services with namespaces of their own, and with names that look like containers'
//! - `docker`, `podman`, `nspawn`, `rootless`: what they start is where systemd has put it

pub(crate) mod docker;
pub(crate) mod machine;
mod nspawn;
pub(crate) mod podman;
mod rootless;
mod services;
