//! Where a service's and a container's logs are, and what is in them.
