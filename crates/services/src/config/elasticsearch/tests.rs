use secrecy::ExposeSecret as _;

use super::*;
use crate::memory::Memory;

const SEVEN: &[&str] = &[
    "/usr/share/elasticsearch/jdk/bin/java",
    "-Xshare:auto",
    "-Des.path.home=/usr/share/elasticsearch",
    "-Des.path.conf=/etc/elasticsearch",
    "-Des.distribution.type=deb",
    "-cp",
    "/usr/share/elasticsearch/lib/*",
    "org.elasticsearch.bootstrap.Elasticsearch",
    "-p",
    "/run/es.pid",
];
const EIGHT: &[&str] = &[
    "/usr/share/elasticsearch/jdk/bin/java",
    "-Des.distribution.type=docker",
    "--module-path",
    "/usr/share/elasticsearch/lib",
    "--add-modules=jdk.net",
    "-m",
    "org.elasticsearch.server/org.elasticsearch.bootstrap.Elasticsearch",
];
const LOG4J: &str = "appender.rolling.type = RollingFile\nappender.rolling.name = rolling\n\
    appender.rolling.fileName = ${sys:es.logs.base_path}${sys:file.separator}${sys:es.logs.cluster_name}_server.json\n\
    appender.rolling.layout.type = ECSJsonLayout\nrootLogger.appenderRef.rolling.ref = rolling\n\
    appender.slow.name = slow\nappender.slow.fileName = ${sys:es.logs.base_path}/${sys:es.logs.cluster_name}_index_search_slowlog.json\n\
    logger.slow.appenderRef.slow.ref = slow\nappender.unused.name = x\nappender.unused.fileName = /x\n";

fn launch(line: &[&str], variables: &[(&str, &str)]) -> Launch {
    Launch::test("/usr/share/elasticsearch/jdk/bin/java", line, variables)
}

fn listens(found: &Configuration) -> Vec<String> {
    found.listens.iter().map(|l| format!("{} {} {:?}", l.address, l.purpose.as_str(), l.tls)).collect()
}

#[test]
fn the_file_its_variables_and_arguments() {
    let text = "cluster:\n  name: ${NAME:it}\nnode.name: ${HOSTNAME}\npath.data: [/data/a, /data/b]\n\
                path.logs: /var/log/es\nnetwork.host: [_local_, 10.0.0.1, _site_]\nhttp.port: 9250-9260\n\
                xpack.security.enabled: true\nxpack.security.http.ssl.enabled: true\nnode.attr.x: ${UNSET}\n";
    let files = [
        ("/etc/elasticsearch/elasticsearch.yml", text),
        ("/etc/elasticsearch/jvm.options", ""),
        ("/etc/elasticsearch/jvm.options.d/a.options", ""),
        ("/etc/elasticsearch/log4j2.properties", LOG4J),
    ];
    let line = [SEVEN, &["-Ediscovery.type=single-node", "-E", "http.port=9251"]].concat();
    let mut launched = launch(&line, &[("HOSTNAME", "box")]);
    launched.ports = vec![9251, 9301];
    let found = read(&launched, &mut Memory::of(&files));
    assert_eq!(
        listens(&found),
        [
            "localhost:9251 service Some(true)",
            "10.0.0.1:9251 service Some(true)",
            "_site_:9251 service Some(true)",
            "localhost:9301 cluster None",
            "10.0.0.1:9301 cluster None",
            "_site_:9301 cluster None"
        ]
    );
    assert_eq!(found.settings["node.name"], "box");
    assert_eq!(found.settings["discovery.type"], "single-node");
    assert_eq!(found.data_directory.as_deref(), Some(Path::new("/data/a")));
    assert_eq!((found.access.password, found.access.tls), (Some(true), Some(true)));
    let logs: Vec<_> =
        found.logs.iter().map(|log| (log.path.to_str().unwrap(), log.purpose.as_str())).collect();
    assert_eq!(
        logs,
        [("/var/log/es/it_server.json", "general"), ("/var/log/es/it_index_search_slowlog.json", "slow")]
    );
    assert_eq!(found.files.len(), 4);
    assert_eq!(found.faults.len(), 1, "{:?}", found.faults);
    assert_eq!(found.faults[0].line, Some(10));
}

#[test]
fn the_image_and_its_variables() {
    let variables =
        [("discovery.type", "single-node"), ("ES_SETTING_HTTP_PORT", "9999"), ("ELASTIC_PASSWORD", "geheim")];
    let files = [("/usr/share/elasticsearch/config/elasticsearch.yml", "network.host: 0.0.0.0\n")];
    let found = read(&launch(EIGHT, &variables), &mut Memory::of(&files));
    assert_eq!(listens(&found), ["0.0.0.0:9999 service Some(false)", "0.0.0.0:9300 cluster None"]);
    assert_eq!(found.settings["discovery.type"], "single-node");
    assert_eq!(found.access.password, Some(true), "the default of this version");
    assert_eq!(found.credentials[0].secret.expose_secret(), "geheim");
    assert_eq!(found.data_directory.as_deref(), Some(Path::new("/usr/share/elasticsearch/data")));
}

#[test]
fn opensearch_and_no_file_at_all() {
    let line = ["java", "-Dopensearch.path.conf=/etc/os", "org.opensearch.bootstrap.OpenSearch"];
    let files = [("/etc/os/opensearch.yml", "plugins.security.disabled: true\n")];
    let found = read(&launch(&line, &[]), &mut Memory::of(&files));
    assert_eq!(found.access.password, Some(false));
    let found = read(&launch(SEVEN, &[]), &mut Memory::default());
    assert_eq!((found.faults.len(), found.listens.len(), found.access.password), (1, 0, None));
}

#[test]
fn security_that_is_not_mentioned_depends_on_the_version() {
    let files = [("/etc/elasticsearch/elasticsearch.yml", "")];
    let found = read(&launch(SEVEN, &[]), &mut Memory::of(&files));
    assert_eq!(found.access.password, None);
    assert_eq!(listens(&found)[0], "localhost:9200 service Some(false)");
}
