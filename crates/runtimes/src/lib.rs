//! What Docker and Podman say of their containers, within a deadline.
#![forbid(unsafe_code)]
