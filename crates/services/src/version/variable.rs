//! Versions that images name in variables. They are the image's word, and can be stale: the last resort.

use super::{Asked, upstream};
use crate::service::Version;

/// The variables of official images that are not called after their kind, as `NGINX_VERSION` is.
const NAMES: &[(&str, &str)] = &[
    ("apache", "HTTPD_VERSION"),
    ("apache2", "HTTPD_VERSION"),
    ("mongodb", "MONGO_VERSION"),
    ("mysql", "MYSQL_VERSION"),
    ("nats", "NATS_SERVER"),
    ("php-fpm", "PHP_VERSION"),
    ("postgresql", "PG_VERSION"),
    ("valkey", "VALKEY_VERSION"),
];

/// As long as a version in a variable may be.
const LONGEST: usize = 64;

/// What a service's variables say.
pub(crate) fn tell(asked: &Asked<'_>) -> Option<Version> {
    let kind = asked.rule.kind.as_str();
    if asked.rule.runtime && asked.name != kind {
        return None;
    }
    let own = format!("{}_VERSION", kind.to_ascii_uppercase().replace('-', "_"));
    let special = NAMES.iter().filter(|(named, _)| *named == kind).map(|(_, name)| *name);
    special.chain([own.as_str()]).find_map(|name| {
        let value = asked.launch.variable(name).filter(|value| value.len() <= LONGEST)?;
        let value = str::from_utf8(value).ok()?;
        let upstream = upstream::of_debian(value.strip_prefix('v').unwrap_or(value));
        let text = upstream::at_beginning(upstream.as_bytes(), 2).filter(|text| *text == upstream)?;
        Some(Version { text: text.to_owned(), source: format!("variable {name}") })
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::launch::Launch;
    use crate::version::tests::rule;

    #[test]
    fn what_official_images_say() {
        for (kind, name, value, version) in [
            ("nginx", "NGINX_VERSION", "1.25.3", Some("1.25.3")),
            ("postgresql", "PG_VERSION", "16.1-1.pgdg120+1", Some("16.1")),
            ("mariadb", "MARIADB_VERSION", "1:11.2.2+maria~ubu2204", Some("11.2.2")),
            ("mysql", "MYSQL_VERSION", "8.0.35-1.el8", Some("8.0.35")),
            ("caddy", "CADDY_VERSION", "v2.7.5", Some("2.7.5")),
            ("redis", "REDIS_VERSION", "7.2.3", Some("7.2.3")),
            ("redis", "REDIS_VERSION", "latest", None),
            ("redis", "REDIS_VERSION", "7.2.3; rm", None),
            ("redis", "REDIS_VERSION", "7", None),
            ("redis", "NGINX_VERSION", "1.25.3", None),
            ("php-fpm", "PHP_VERSION", "8.2.7", Some("8.2.7")),
        ] {
            let (rule, launch) = (rule(kind, &[]), Launch::test("/x", &[], &[(name, value)]));
            let told = tell(&Asked::new(&rule, kind, &launch, Path::new("/")));
            assert_eq!(told.as_ref().map(|it| it.text.as_str()), version, "{name}={value}");
            assert!(told.is_none_or(|it| it.source == format!("variable {name}")));
        }
    }
}
