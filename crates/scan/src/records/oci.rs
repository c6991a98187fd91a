//! The states that runc and crun keep of their containers, for those that no engine made.
//!
//! A state counts when it names the process that we ask for by its number and its start time: nothing else has both.

use std::path::PathBuf;

use portolan_linux::ProcessId;
use serde_json::Value;

use super::Found;
use crate::cgroup::Runtime;
use crate::evidence::label;

/// Directories of states, each with a directory for every container, and the name of the file in it.
const DIRECTORIES: [(Runtime, &str, &str); 2] =
    [(Runtime::Runc, "runc", "state.json"), (Runtime::Crun, "crun", "status")];

/// Where states lie: root's or, rootless, a user's.
pub(super) fn directories(user: Option<u32>) -> Vec<(Runtime, PathBuf, &'static str)> {
    let run = user.map_or_else(|| PathBuf::from("/run"), |user| PathBuf::from(format!("/run/user/{user}")));
    DIRECTORIES.iter().map(|(runtime, name, file)| (*runtime, run.join(name), *file)).collect()
}

/// The container's first process, and what its state says.
pub(super) fn parse(runtime: Runtime, id: &str, text: &[u8]) -> Option<(ProcessId, Found)> {
    let json: Value = serde_json::from_slice(text).ok()?;
    let (pid, start) = match runtime {
        Runtime::Crun => ("pid", "process-start-time"),
        _ => ("init_process_pid", "init_process_start"),
    };
    let pid = i32::try_from(json.get(pid)?.as_i64()?).ok()?;
    let start_time = json.get(start)?.as_u64()?;
    if json.get("id").and_then(Value::as_str).is_some_and(|other| other != id) {
        return None;
    }
    let id = label::name(id.as_bytes())?;
    let found = Found { runtime: Some(runtime), name: Some(id.clone()), id: Some(id), ..Found::default() };
    Some((ProcessId { pid, start_time }, found))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states() {
        let (process, found) =
            parse(Runtime::Runc, "web", br#"{"id":"web","init_process_pid":812,"init_process_start":99}"#)
                .unwrap();
        assert_eq!((process.pid, process.start_time), (812, 99));
        assert_eq!((found.runtime, found.id.as_deref()), (Some(Runtime::Runc), Some("web")));
        let crun = parse(Runtime::Crun, "web", br#"{"pid":812,"process-start-time":99,"bundle":"/b"}"#);
        assert_eq!(crun.unwrap().0, process);
        for bad in [
            &br#"{"id":"other","init_process_pid":812,"init_process_start":99}"#[..],
            br#"{"init_process_pid":99999999999,"init_process_start":99}"#,
            br#"{"init_process_pid":812,"init_process_start":-1}"#,
            br#"{"init_process_pid":812}"#,
            b"{",
            b"",
        ] {
            assert_eq!(parse(Runtime::Runc, "web", bad), None);
        }
        assert!(directories(Some(1000))[0].1.starts_with("/run/user/1000"));
    }
}
