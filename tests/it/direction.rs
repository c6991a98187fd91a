//! The crates depend on each other in one direction, as the table of the design has it.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;
use std::sync::OnceLock;

use serde_json::Value;

/// Crate, and the crates of ours that it may use.
const TABLE: [(&str, &[&str]); 10] = [
    ("portolan-wire", &[]),
    ("portolan-helper", &["portolan-wire"]),
    ("portolan-linux", &[]),
    ("portolan-files", &["portolan-wire", "portolan-linux"]),
    ("portolan-scan", &["portolan-linux"]),
    ("portolan-dial", &["portolan-linux"]),
    ("portolan-services", &["portolan-linux", "portolan-files", "portolan-scan"]),
    ("portolan-runtimes", &["portolan-linux", "portolan-scan"]),
    (
        "portolan",
        &[
            "portolan-wire",
            "portolan-helper",
            "portolan-linux",
            "portolan-files",
            "portolan-scan",
            "portolan-dial",
            "portolan-services",
            "portolan-runtimes",
        ],
    ),
    ("portolan-cli", &["portolan"]),
];
/// Not shipped: hosts of tests and examples.
const UNPUBLISHED: [&str; 3] = ["portolan-workspace", "portolan-world", "portolan-clients"];
const RUNTIMES: [&str; 5] = ["tokio", "async-std", "smol", "futures-executor", "async-executor"];

fn metadata() -> &'static Value {
    static METADATA: OnceLock<Value> = OnceLock::new();
    METADATA.get_or_init(|| {
        // For this platform only: what others need has not been downloaded.
        let rustc = Command::new("rustc").arg("-vV").output().unwrap();
        let rustc = String::from_utf8(rustc.stdout).unwrap();
        let host = rustc.lines().find_map(|line| line.strip_prefix("host: ")).unwrap();
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(["metadata", "--format-version", "1", "--offline", "--locked", "--all-features"]);
        cargo.args(["--filter-platform", host]);
        let output = cargo.current_dir(env!("CARGO_MANIFEST_DIR")).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    })
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

/// The packages of this workspace, each with the names of its normal dependencies.
fn ours() -> BTreeMap<&'static str, BTreeSet<&'static str>> {
    let members: Vec<&Value> = metadata()["workspace_members"].as_array().unwrap().iter().collect();
    let packages = metadata()["packages"].as_array().unwrap().iter();
    packages
        .filter(|package| members.contains(&&package["id"]))
        .map(|package| {
            let all = package["dependencies"].as_array().unwrap().iter();
            // Build and development dependencies are named by their kind.
            let normal = all.filter(|dependency| dependency["kind"].is_null());
            (text(&package["name"]), normal.map(|dependency| text(&dependency["name"])).collect())
        })
        .collect()
}

#[test]
fn every_crate_uses_only_the_crates_that_it_may() {
    let ours = ours();
    for (name, allowed) in TABLE {
        let used = ours.get(name).unwrap_or_else(|| panic!("there is no crate {name}"));
        let used: Vec<&&str> = used.iter().filter(|other| ours.contains_key(**other)).collect();
        assert!(
            used.iter().all(|other| allowed.contains(other)),
            "{name} uses {used:?}, may use {allowed:?}"
        );
    }
    let known: Vec<&str> = TABLE.iter().map(|(name, _)| *name).chain(UNPUBLISHED).collect();
    let unknown: Vec<&&str> = ours.keys().filter(|name| !known.contains(name)).collect();
    assert!(unknown.is_empty(), "not in the table: {unknown:?}");
}

#[test]
fn the_helper_pays_for_little() {
    let ours = ours();
    let foreign = ours["portolan-helper"].iter().filter(|name| !ours.contains_key(**name));
    let foreign: Vec<&&str> = foreign.collect();
    let allowed = ["libc", "nix", "caps", "seccompiler"];
    assert!(foreign.iter().all(|name| allowed.contains(name)), "{foreign:?}");
    assert!(ours["portolan-wire"].is_empty(), "what both sides speak drags nothing along");
}

#[test]
fn scanning_and_reading_drag_no_async_runtime_along() {
    for name in ["portolan-linux", "portolan-scan", "portolan-helper"] {
        let all = everything_behind(name);
        assert!(all.len() > 1);
        let found: Vec<&str> = RUNTIMES.into_iter().filter(|runtime| all.contains(runtime)).collect();
        assert!(found.is_empty(), "{name} drags {found:?} along");
    }
    // Files has one behind a feature, and whoever does not ask for it does not pay.
    let all = behind_by_default("portolan-files");
    assert!(all.iter().any(|name| name == "portolan-linux"), "or this looks at nothing: {all:?}");
    let found: Vec<&str> =
        RUNTIMES.into_iter().filter(|runtime| all.iter().any(|name| name == runtime)).collect();
    assert!(found.is_empty(), "portolan-files drags {found:?} along");
}

/// The names of all packages behind one that is built alone, with its default features.
fn behind_by_default(name: &str) -> Vec<String> {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["tree", "--package", name, "--edges", "normal", "--prefix", "none", "--offline", "--locked"]);
    let output = cargo.current_dir(env!("CARGO_MANIFEST_DIR")).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect()
}

/// What whoever builds `portolan` pays for it, build scripts and macros included.
#[test]
fn the_library_costs_few_crates() {
    let plain = built_with(&[]);
    let has =
        |packages: &BTreeSet<String>, name: &str| packages.iter().any(|p| p.split(' ').next() == Some(name));
    assert!(has(&plain, "portolan-scan"), "or this looks at nothing: {plain:?}");
    assert!(plain.len() <= 45, "{} by default: {plain:?}", plain.len());
    let asynchronous = RUNTIMES.into_iter().chain(["bollard", "hyper"]);
    let found: Vec<&str> = asynchronous.filter(|name| has(&plain, name)).collect();
    assert!(found.is_empty(), "the default build drags {found:?} along");
    let docker = built_with(&["--features", "docker"]);
    assert!(has(&docker, "bollard"), "or this looks at nothing: {docker:?}");
    assert!(docker.len() <= 130, "{} with docker: {docker:?}", docker.len());
}

/// The packages, each version for itself, that building `portolan` takes.
fn built_with(features: &[&str]) -> BTreeSet<String> {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["tree", "--package", "portolan", "--edges", "normal,build", "--prefix", "none"]);
    cargo.args(["--offline", "--locked"]).args(features);
    let output = cargo.current_dir(env!("CARGO_MANIFEST_DIR")).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    // After the version comes in brackets where it is from, or that it was listed before.
    let package = |line: &str| line.split_once(" (").map_or(line, |(package, _)| package).trim().to_owned();
    text.lines().filter(|line| !line.is_empty()).map(package).collect()
}

/// The names of all packages that a package needs at run time, however indirectly.
fn everything_behind(name: &str) -> BTreeSet<&'static str> {
    let names: BTreeMap<&str, &str> = metadata()["packages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|package| (text(&package["id"]), text(&package["name"])))
        .collect();
    let nodes = metadata()["resolve"]["nodes"].as_array().unwrap();
    let mut waiting: Vec<&str> = names.iter().filter(|(_, own)| **own == name).map(|(id, _)| *id).collect();
    let mut seen = BTreeSet::new();
    while let Some(id) = waiting.pop() {
        if !seen.insert(id) {
            continue;
        }
        let node = nodes.iter().find(|node| node["id"] == id).unwrap();
        for dependency in node["deps"].as_array().unwrap() {
            let kinds = dependency["dep_kinds"].as_array().unwrap();
            if kinds.iter().any(|kind| kind["kind"].is_null()) {
                waiting.push(text(&dependency["pkg"]));
            }
        }
    }
    seen.into_iter().map(|id| names[id]).collect()
}
