//! Versions in the names of what is run: archives of Java, packages of Python, gems of Ruby.

use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use portolan_linux::error::Escaped;

use super::{Asked, upstream};
use crate::rules::wild;
use crate::service::Version;
use crate::source::Source;

/// What the archives of a kind are called: the version is where the `@` is, and nothing else but what a `*` allows.
const ARCHIVES: &[(&str, &str)] = &[
    ("activemq", "activemq-broker-@.jar"),
    ("artemis", "artemis-server-@.jar"),
    ("cassandra", "apache-cassandra-@.jar"),
    ("elasticsearch", "elasticsearch-@.jar"),
    ("flink", "flink-dist-@.jar"),
    ("hadoop", "hadoop-common-@.jar"),
    ("hbase", "hbase-server-@.jar"),
    ("hive", "hive-exec-@.jar"),
    ("jetty", "jetty-server-@.jar"),
    ("kafka", "kafka_*-@.jar"),
    ("keycloak", "keycloak-server-spi-@.jar"),
    ("logstash", "logstash-core-@.jar"),
    ("neo4j", "neo4j-kernel-@.jar"),
    ("nexus", "nexus-main-@.jar"),
    ("nifi", "nifi-runtime-@.jar"),
    ("opensearch", "opensearch-@.jar"),
    ("pulsar", "org.apache.pulsar-pulsar-broker-@.jar"),
    ("solr", "solr-core-@.jar"),
    ("spark", "spark-core_*-@.jar"),
    ("zookeeper", "zookeeper-@.jar"),
];

/// So many directories are looked into.
const MOST_DIRECTORIES: usize = 4;

/// From names of what runs.
pub(crate) fn tell(asked: &Asked<'_>, source: &mut dyn Source) -> Option<Version> {
    archive(asked, source).or_else(|| gem(asked)).or_else(|| distribution(asked, source))
}

fn told(text: &str, what: &str, path: &Path) -> Version {
    let path = Escaped(path.as_os_str().as_bytes());
    Version { text: Escaped(text.as_bytes()).to_string(), source: format!("{what} {path}") }
}

/// All of these, when they are one.
fn only(mut found: impl Iterator<Item = (String, PathBuf)>) -> Option<(String, PathBuf)> {
    let first = found.next()?;
    found.all(|(version, _)| version == first.0).then_some(first)
}

/// An archive on the class path, or in a directory of it.
fn archive(asked: &Asked<'_>, source: &mut dyn Source) -> Option<Version> {
    let of_kind =
        |kind: &str| asked.rule.kind == kind || asked.rule.aliases.iter().any(|alias| alias == kind);
    let (_, pattern) = ARCHIVES.iter().find(|(kind, _)| of_kind(kind))?;
    let fits = |path: &Path| Some((in_name(pattern, path.file_name()?.as_bytes())?, path.to_owned()));
    let paths: Vec<PathBuf> = super::place::paths(asked.launch).collect();
    if let Some((version, path)) = only(paths.iter().filter_map(|path| fits(path))) {
        return Some(told(&version, "archive", &path));
    }
    // `-cp /usr/share/x/lib/*`, `--module-path /usr/share/x/lib`
    let mut directories: Vec<PathBuf> = paths
        .iter()
        .filter_map(|path| match path.extension() {
            Some(_) => None,
            None if path.file_name()?.as_bytes() == b"*" => path.parent().map(Path::to_owned),
            None => Some(path.clone()),
        })
        .filter(|path| !has_wildcards(path))
        .collect();
    directories.dedup();
    directories
        .into_iter()
        .filter(|path| path.ends_with("lib") || path.ends_with("libs"))
        .take(MOST_DIRECTORIES)
        .find_map(|directory| {
            let found = source.glob(&directory.join(pattern.replace('@', "*")));
            let (version, path) = only(found.iter().filter_map(|path| fits(path)))?;
            Some(told(&version, "archive", &path))
        })
}

fn has_wildcards(path: &Path) -> bool {
    path.as_os_str().as_bytes().iter().any(|b| b"*?[]{}\\".contains(b))
}

/// The version in a name.
fn in_name(pattern: &str, name: &[u8]) -> Option<String> {
    let (before, after) = pattern.split_once('@')?;
    let rest = name.strip_suffix(after.as_bytes())?;
    let at = match before.split_once('*') {
        None => before.len(),
        // The star stands for a version too, of the language: `kafka_2.13-3.6.0.jar`.
        Some((begin, end)) => {
            let star = rest.get(begin.len()..)?;
            let at = star.windows(end.len()).position(|part| part == end.as_bytes())?;
            [begin.len(), at, end.len()].iter().sum()
        }
    };
    if !wild::matches(before.as_bytes(), rest.get(..at)?) {
        return None;
    }
    whole(rest.get(at..)?)
}

/// A version, and nothing behind it.
fn whole(text: &[u8]) -> Option<String> {
    let version = upstream::at_beginning(text, 2)?;
    (version.len() == text.len()).then(|| version.to_owned())
}

/// `/usr/lib/ruby/gems/3.1.0/gems/puma-6.4.0/bin/puma`
fn gem(asked: &Asked<'_>) -> Option<Version> {
    let found = super::place::paths(asked.launch).filter_map(|path| {
        let mut names = path.iter().map(std::ffi::OsStr::as_bytes);
        names.find(|name| *name == b"gems")?;
        let version =
            names.find_map(|name| whole(name.strip_prefix(asked.name.as_bytes())?.strip_prefix(b"-")?))?;
        Some((version, path.clone()))
    });
    only(found).map(|(version, path)| told(&version, "gem", &path))
}

/// What pip installed beside a script: `/usr/local/bin/gunicorn` is of
/// `/usr/local/lib/python3.11/site-packages/gunicorn-20.1.0.dist-info`.
fn distribution(asked: &Asked<'_>, source: &mut dyn Source) -> Option<Version> {
    let name = asked.launch.name();
    let python = ["python", "python?", "python?.*", "pypy*", "uwsgi*"];
    if !python.iter().any(|pattern| wild::matches(pattern.as_bytes(), name)) {
        return None;
    }
    let script = super::place::paths(asked.launch).next().filter(|path| !has_wildcards(path))?;
    let bin = script.parent().filter(|parent| parent.ends_with("bin"))?;
    let plain = asked.name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    if !plain || script.file_name().map(std::ffi::OsStr::as_bytes) != Some(asked.name.as_bytes()) {
        return None;
    }
    // A distribution's name has lines below where its script's has them in the middle.
    let project = asked.name.replace('-', "_");
    let pattern = format!("lib/python3*/site-packages/{project}-*.dist-info");
    let found = source.glob(&bin.parent()?.join(pattern));
    let pattern = format!("{project}-@.dist-info");
    let fits = |path: &PathBuf| Some((in_name(&pattern, path.file_name()?.as_bytes())?, path.clone()));
    only(found.iter().filter_map(fits)).map(|(version, path)| told(&version, "directory", &path))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::launch::Launch;
    use crate::memory::Memory;
    use crate::version::tests::rule;

    fn of(kind: &str, program: &str, arguments: &[&str], source: &mut Memory) -> Option<String> {
        let (rule, launch) = (rule(kind, &[]), Launch::test(program, arguments, &[]));
        let asked = Asked::new(&rule, kind, &launch, Path::new("/"));
        tell(&asked, source).map(|version| version.text)
    }

    #[test]
    fn archives_are_called_after_their_versions() {
        for (kind, path, version) in [
            ("kafka", "/opt/kafka/libs/kafka_2.13-3.6.0.jar", Some("3.6.0")),
            ("kafka", "/opt/kafka/libs/kafka-clients-3.6.0.jar", None),
            ("zookeeper", "/opt/zk/zookeeper-3.8.4.jar:/opt/zk/zookeeper-jute-3.8.4.jar", Some("3.8.4")),
            ("zookeeper", "/a/zookeeper-3.8.4.jar:/b/zookeeper-3.9.0.jar", None),
            ("elasticsearch", "/x/elasticsearch-8.11.1.jar", Some("8.11.1")),
            ("cassandra", "/x/apache-cassandra-4.1-rc1.jar", Some("4.1-rc1")),
            ("cassandra", "/x/apache-cassandra-.jar", None),
            ("tomcat", "/x/elasticsearch-8.11.1.jar", None),
        ] {
            let arguments = ["java", "-cp", path, "Main"];
            assert_eq!(
                of(kind, "/jdk/bin/java", &arguments, &mut Memory::default()).as_deref(),
                version,
                "{path}"
            );
        }
        let mut files = Memory::of(&[
            ("/usr/share/elasticsearch/lib/elasticsearch-8.11.1.jar", ""),
            ("/usr/share/elasticsearch/lib/elasticsearch-core-8.11.1.jar", ""),
        ]);
        for arguments in [
            ["java", "--module-path", "/usr/share/elasticsearch/lib", "-m"],
            ["java", "-cp", "/usr/share/elasticsearch/lib/*", "org.elasticsearch.bootstrap.Elasticsearch"],
        ] {
            let version = of("elasticsearch", "/jdk/bin/java", &arguments, &mut files);
            assert_eq!(version.as_deref(), Some("8.11.1"));
        }
    }

    #[test]
    fn pip_says_what_it_installed() {
        let packages = "/usr/local/lib/python3.11/site-packages";
        let mut files = Memory::default()
            .with(format!("{packages}/gunicorn-20.1.0.dist-info"), b"")
            .with(format!("{packages}/gunicorn_color-0.1.0.dist-info"), b"");
        let python = "/usr/local/bin/python3.11";
        let mut of = |name: &str, script: &str| of(name, python, &["python", script, "app:x"], &mut files);
        assert_eq!(of("gunicorn", "/usr/local/bin/gunicorn").as_deref(), Some("20.1.0"));
        assert_eq!(of("gunicorn", "/opt/bin/gunicorn"), None);
        assert_eq!(of("gunicorn", "/usr/local/bin/other"), None);
        assert_eq!(of("gunicorn", "/usr/local/*/gunicorn"), None);
        assert_eq!(of("*", "/usr/local/bin/*"), None);
    }

    #[test]
    fn gems_too() {
        let arguments = ["ruby", "/usr/lib/ruby/gems/3.1.0/gems/puma-6.4.0/bin/puma"];
        assert_eq!(
            of("puma", "/usr/bin/ruby3.1", &arguments, &mut Memory::default()).as_deref(),
            Some("6.4.0")
        );
        assert_eq!(of("unicorn", "/usr/bin/ruby3.1", &arguments, &mut Memory::default()), None);
    }
}
