//! Every rule and every look-alike, on paths made up here.

mod containers;
mod hostile;
mod hosts;
mod lines;
mod variants;

use super::{Classification, classify};

const A: &str = "a0b1c2d3e4f5061728394a5b6c7d8e9fa0b1c2d3e4f5061728394a5b6c7d8e9f";
const B: &str = "00ff11ee22dd33cc44bb55aa6699778800ff11ee22dd33cc44bb55aa66997788";
const UID: &str = "11111111-2222-3333-4444-555555555555";
const TASK: &str = "0123456789abcdef0123456789abcdef";
const STEP: &str = "k3v9xq0a7b2m5n8p1r4t6w0yz";

/// Puts the ids in place of their names.
fn fill(text: &str) -> String {
    text.replace("{A}", A)
        .replace("{B}", B)
        .replace("{uid}", UID)
        .replace("{u_d}", &UID.replace('-', "_"))
        .replace("{task}", TASK)
        .replace("{step}", STEP)
}

/// `runtime kind id pod name`, with `-` for what is absent.
fn summary(c: &Classification) -> String {
    let text = |field: &Option<String>| field.clone().unwrap_or_else(|| "-".to_owned());
    format!("{} {} {} {} {}", c.runtime, c.kind, text(&c.container_id), text(&c.pod_uid), text(&c.name))
}

fn check(cases: &[(&str, &str)]) {
    for (path, expected) in cases {
        let path = fill(path);
        // A case is the path of a `0::` line, or whole lines.
        let text = if path.contains("::") || path.contains('\n') { path } else { format!("0::{path}\n") };
        assert_eq!(summary(&classify(text.as_bytes())), fill(expected), "{text}");
    }
}

const USER: &str = "/user.slice/user-1000.slice/user@1000.service";

fn check_user(cases: &[(&str, &str)]) {
    for (path, expected) in cases {
        check(&[(&format!("{USER}{path}"), expected)]);
    }
}
