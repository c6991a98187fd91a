//! Command lines as they are seen on real hosts, and what each is to be taken for.

use std::collections::BTreeSet;

use super::*;

const SERVICES: &str = include_str!("services.txt");
const OTHERS: &str = include_str!("others.txt");

/// A line of the tables.
struct Row {
    line: &'static str,
    kind: Option<&'static str>,
    name: &'static str,
    launch: Launch,
}

impl Row {
    fn of(line: &'static str) -> Self {
        let mut columns = line.split('|').map(str::trim);
        let mut names = columns.next().unwrap().split(' ');
        let kind = names.next().unwrap();
        let name = names.next().unwrap_or(kind);
        let program = columns.next().unwrap();
        let words = columns.next().unwrap().split(' ').filter(|word| !word.is_empty());
        let path = program.strip_suffix(" (deleted)").unwrap_or(program);
        let arguments: Vec<String> = words
            .enumerate()
            .map(|(at, word)| if at == 0 && word == "." { path.to_owned() } else { word.replace("\\s", " ") })
            .collect();
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let mut launch = Launch::test(if program == "?" { "" } else { path }, &arguments, &[]);
        launch.deleted = path != program;
        if let Some(directory) = columns.next() {
            launch.directory = directory.into();
        }
        Self { line, kind: (kind != "-").then_some(kind), name, launch }
    }

    fn all(table: &'static str) -> impl Iterator<Item = Self> {
        table.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).map(Self::of)
    }
}

fn judge(recogniser: &Recogniser, launch: &Launch) -> Option<Verdict> {
    recogniser.judge(&Facts { launch, ports: &[] })
}

#[test]
fn every_command_line_is_taken_for_what_it_is() {
    let recogniser = Recogniser::new(&Rules::built_in());
    let mut wrong = Vec::new();
    let mut rows = 0;
    for row in Row::all(SERVICES).chain(Row::all(OTHERS)) {
        rows += 1;
        let verdict = judge(&recogniser, &row.launch);
        let seen = verdict.as_ref().map(|verdict| (verdict.rule.kind.as_str(), verdict.name.as_str()));
        if seen != row.kind.map(|kind| (kind, row.name)) {
            wrong.push(format!("{seen:?}: {}", row.line));
        }
        if let Some(verdict) = verdict {
            // Nothing agrees with it yet.
            assert!(!verdict.evidence.is_empty() && verdict.confidence < Confidence::High, "{}", row.line);
        }
    }
    assert!(wrong.is_empty(), "{} of {rows}:\n{}", wrong.len(), wrong.join("\n"));
    assert!(rows > 600, "{rows}");
}

#[test]
fn every_rule_knows_a_command_line() {
    let recogniser = Recogniser::new(&Rules::built_in());
    let rows: Vec<Row> = Row::all(SERVICES).chain(Row::all(OTHERS)).collect();
    let seen: BTreeSet<String> = rows
        .iter()
        .filter_map(|row| judge(&recogniser, &row.launch))
        .map(|verdict| verdict.rule.kind.clone())
        .collect();
    let kinds = Rules::built_in();
    let missed: Vec<&str> =
        kinds.iter().map(|rule| rule.kind.as_str()).filter(|kind| !seen.contains(*kind)).collect();
    assert!(missed.is_empty(), "{missed:?}");
}

/// A process of a program with these arguments.
fn launch(program: &str, arguments: &[&str]) -> Launch {
    Launch::test(program, arguments, &[])
}

#[test]
fn what_a_process_says_of_itself_alone_is_little() {
    let recogniser = Recogniser::new(&Rules::built_in());
    for (launch, confidence) in [
        (launch("/usr/bin/redis-server", &["redis-server *:6379"]), Confidence::Medium),
        (launch("/usr/bin/python3.11", &["python3", "/usr/bin/gunicorn", "a:b"]), Confidence::Medium),
        (launch("/usr/bin/python3.11", &["gunicorn: master [a:b]"]), Confidence::Low),
        (launch("", &["redis-server *:6379"]), Confidence::Low),
    ] {
        let verdict = judge(&recogniser, &launch).unwrap();
        assert_eq!(verdict.confidence, confidence, "{verdict:?}");
        let (_, with_port) = verdict.supported(&verdict.rule.ports, None, None);
        let raised = if confidence == Confidence::Low { Confidence::Low } else { Confidence::High };
        assert_eq!(with_port, raised, "{verdict:?}");
    }
}

#[test]
fn an_image_agrees_only_with_what_listens() {
    let recogniser = Recogniser::new(&Rules::built_in());
    let verdict = judge(&recogniser, &launch("/usr/bin/redis-server", &["redis-server"])).unwrap();
    for (ports, image, confidence) in [
        (&[][..], Some("docker.io/library/redis:7@sha256:00"), Confidence::Medium),
        (&[7000], Some("docker.io/library/redis:7@sha256:00"), Confidence::High),
        (&[7000], Some("registry:5000/team/redis"), Confidence::High),
        (&[7000], Some("registry:5000/redis/app:1"), Confidence::Medium),
        (&[7000], None, Confidence::Medium),
        (&[6379], None, Confidence::High),
    ] {
        let (evidence, seen) = verdict.supported(ports, image, None);
        assert_eq!(seen, confidence, "{image:?} {ports:?} {evidence:?}");
    }
    let (evidence, _) = verdict.supported(&[6379], Some("redis"), None);
    assert_eq!(
        evidence,
        ["its program is /usr/bin/redis-server", "it listens on 6379, as Redis does", "its image is redis"]
    );
}

#[test]
fn the_other_kind_that_fits_is_named() {
    let recogniser = Recogniser::new(&Rules::built_in());
    let kong = launch("/usr/local/openresty/nginx/sbin/nginx", &["nginx", "-p", "/usr/local/kong"]);
    let verdict = judge(&recogniser, &kong).unwrap();
    assert_eq!(verdict.rule.kind, "kong");
    assert!(
        verdict.evidence.contains(&"OpenResty would fit as well, but says less".to_owned()),
        "{verdict:?}"
    );
}

#[test]
fn what_no_rule_knows_is_called_by_its_program() {
    let recogniser = Recogniser::new(&Rules::built_in());
    let acme = launch("/opt/acme\u{1b}[2J", &["nginx: worker process"]);
    let verdict = recogniser.unknown(&Facts { launch: &acme, ports: &[80] });
    assert_eq!((verdict.rule.kind.as_str(), verdict.name.as_str()), ("unknown", "acme\\x1b[2J"));
    assert_eq!(verdict.supported(&[80], Some("nginx"), None).1, Confidence::Low);
    let kind_of = |program: &str| {
        let launch = launch(program, &["x"]);
        recogniser.unknown(&Facts { launch: &launch, ports: &[6667] }).rule.kind.clone()
    };
    assert_eq!(kind_of("/opt/Acme-ircd"), "acme-ircd");
    // Another kind's name, or what is no plain name.
    assert_eq!(kind_of("/tmp/postgresql"), "unknown");
    assert_eq!(kind_of("/tmp/a b"), "unknown");
}

#[test]
fn no_bytes_are_too_odd_to_be_judged() {
    let recogniser = Recogniser::new(&Rules::built_in());
    let mut odd = launch("/usr/bin/python3.11", &["python3"]);
    odd.arguments.push(b"/srv/\xff\xfe/app.py".to_vec());
    let verdict = judge(&recogniser, &odd).unwrap();
    assert_eq!((verdict.rule.kind.as_str(), verdict.name.as_str()), ("python", "\\xff\\xfe"));
    // As much as the kernel lets a program have, of options that take a value, of blanks, and of one long name.
    for program in
        ["/usr/bin/python3", "/usr/bin/java", "/usr/bin/beam.smp", "/usr/sbin/nginx", "/bin/busybox"]
    {
        for filling in [vec![b"-W".to_vec(); 43_000], vec![vec![b' '; 131_000]], vec![vec![b'*'; 131_000]]] {
            let mut launch = launch(program, &["x"]);
            launch.arguments.extend(filling.clone());
            let _ = judge(&recogniser, &launch);
            launch.arguments = filling;
            let _ = judge(&recogniser, &launch);
        }
    }
    let mut long = launch("/usr/bin/python3", &["python3"]);
    long.arguments.push([b"/srv/", &b"a".repeat(100_000)[..]].concat());
    assert!(judge(&recogniser, &long).unwrap().name.len() <= 64);
}
