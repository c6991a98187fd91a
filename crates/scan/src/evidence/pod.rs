//! What Kubernetes puts into names and directories: pods, and the containers in them.

use super::label;
use crate::cgroup::names::{is_hex, is_uuid};
use crate::container::Pod;

/// A container of a pod, by its name in a runtime.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Member {
    /// Its name in the pod.
    pub(crate) container: String,
    pub(crate) pod: Pod,
    /// Whether it is the sandbox, which keeps the pod's namespaces and runs nothing.
    pub(crate) sandbox: bool,
}

/// Reads `k8s_<container>_<pod>_<namespace>_<uid>_<attempt>`, the names that the kubelet gave its containers in
/// dockerd, and that CRI-O still gives. Names of Kubernetes have no underscore.
pub(crate) fn member(name: &[u8]) -> Option<Member> {
    let mut words = name.strip_prefix(b"k8s_")?.split(|b| *b == b'_');
    let (container, pod, namespace, uid) = (words.next()?, words.next()?, words.next()?, words.next()?);
    let attempt = words.next()?;
    if attempt.is_empty() || !attempt.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let pod =
        Pod { uid: self::uid(uid)?, name: Some(label::name(pod)?), namespace: Some(label::name(namespace)?) };
    Some(Member { container: label::name(container)?, pod, sandbox: container == b"POD" })
}

/// A pod's uid: a UUID or, for a static pod, 32 hexadecimal digits.
pub(crate) fn uid(text: &[u8]) -> Option<String> {
    (is_uuid(text) || is_hex(text, 32)).then(|| std::str::from_utf8(text).ok().map(str::to_owned))?
}

#[cfg(test)]
mod tests {
    use super::*;

    const UID: &str = "1c9f4a5e-0000-4000-8000-123456789abc";

    #[test]
    fn names_of_the_kubelet() {
        let name = format!("k8s_app_web-0_prod_{UID}_3");
        let found = member(name.as_bytes()).unwrap();
        assert_eq!(found.container, "app");
        assert_eq!(found.pod.uid, UID);
        assert_eq!(
            (found.pod.name.as_deref(), found.pod.namespace.as_deref()),
            (Some("web-0"), Some("prod"))
        );
        assert!(!found.sandbox);
        assert!(member(name.replace("_app_", "_POD_").as_bytes()).unwrap().sandbox);
        // dockershim adds a number when a name is taken.
        assert!(member(format!("{name}_1a2b3c4d").as_bytes()).is_some());
    }

    #[test]
    fn other_names() {
        for other in [
            "web",
            "k8s_",
            "k8s_a_b_c_d_0",
            &format!("k8s__b_c_{UID}_0"),
            &format!("k8s_a_b_c_{UID}"),
            &format!("k8s_a_b_c_{UID}_x"),
            &format!("k8s_a_b_c_{UID}x_0"),
        ] {
            assert_eq!(member(other.as_bytes()), None, "{other}");
        }
        assert_eq!(uid(&[b'a'; 32]).unwrap().len(), 32);
        assert_eq!(uid(&[b'a'; 33]), None);
    }
}
