//! The pod in a set of labels or annotations: each runtime has keys of its own.

use crate::container::Pod;
use crate::evidence::pod;

/// Keys of a pod's uid, name and namespace.
const KEYS: &[[&str; 3]] = &[
    [
        "io.kubernetes.cri.sandbox-uid",
        "io.kubernetes.cri.sandbox-name",
        "io.kubernetes.cri.sandbox-namespace",
    ],
    ["io.kubernetes.pod.uid", "io.kubernetes.pod.name", "io.kubernetes.pod.namespace"],
];

/// The pod; none without a uid in its form.
pub(super) fn pod(value: impl Fn(&str) -> Option<String>) -> Option<Pod> {
    KEYS.iter().find_map(|[uid, name, namespace]| {
        let uid = pod::uid(value(uid)?.as_bytes())?;
        Some(Pod { uid, name: value(name), namespace: value(namespace) })
    })
}
