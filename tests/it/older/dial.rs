//! Dialing where a socket does not tell its namespace: by the cookie (Linux 5.14), by `SIOCGSKNS`, or by neither.

use nix::libc;
use portolan_world::need::Need;
use portolan_world::require;

use super::rig::{Rig, Rule};
use crate::command::run;

const SO_NETNS_COOKIE: u32 = 71;
const SIOCGSKNS: u32 = 0x894c;

/// A filter is for good, so the suite's own tests of dialing run again, in a process that has it.
fn again(rig: &Rig, rules: &[Rule], tests: &str, count: usize) {
    let mut it = rig.program(rules, &std::env::current_exe().unwrap());
    let ran = run(it.args([tests, "--test-threads=1"]), b"");
    let text = String::from_utf8_lossy(&ran.stdout).into_owned();
    assert_eq!(ran.code, Some(0), "{text}{}", ran.stderr);
    assert!(text.contains(&format!("{count} passed; 0 failed; 0 ignored")), "{text}");
}

#[test]
fn without_the_cookie_or_the_question_every_dial_is_proved_by_the_namespace_itself() {
    require!(Need::Root, Need::Overlay, Need::Program("cc"), Need::Program("python3"));
    let rig = Rig::new();
    let level = (1, u32::MAX, u32::try_from(libc::SOL_SOCKET).unwrap());
    let cookie =
        Rule::when(libc::SYS_getsockopt, &[level, (2, u32::MAX, SO_NETNS_COOKIE)], libc::ENOPROTOOPT);
    let asked = Rule::when(libc::SYS_ioctl, &[(1, u32::MAX, SIOCGSKNS)], libc::EPERM);
    let script = "
import fcntl, socket, sys
s = socket.socket()
for ask in (lambda: s.getsockopt(socket.SOL_SOCKET, 71, 8), lambda: fcntl.ioctl(s, 0x894c)):
    try: ask(); print('told', end=' ')
    except OSError as error: print(error.errno, end=' ')";
    let python = |rules: &[Rule]| {
        let mut python = rig.program(rules, "/usr/bin/env".as_ref());
        run(python.args(["python3", "-c", script]), b"").text()
    };
    assert_eq!(python(&[cookie.clone(), asked.clone()]), "92 1 ", "or this test makes nothing fail");
    for rules in [vec![cookie.clone()], vec![asked.clone()], vec![cookie, asked]] {
        again(&rig, &rules, "dial::inside::", 5);
        again(&rig, &rules, "dial::lifetime::", 3);
    }
}
