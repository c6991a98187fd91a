//! The variables that a process was started with (`/proc/PID/environ`).
//!
//! Only those are kept that orchestrators set to name a container: the others are secrets more often than not, and
//! are never copied. The container can start with any, and rewrite them (`proc_pid_environ(5)`).

use super::{Evidence, Trust, label};
use crate::cgroup::names::{is_hex, is_uuid};
use crate::cgroup::{Kind, Runtime};

/// Of more variables than this the rest is not looked at.
const MAX_VARIABLES: usize = 4096;
/// The longest description of a Cloud Foundry application that is read, in bytes.
const MAX_APPLICATION: usize = 64 * 1024;

/// What the variables say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Environment {
    /// `container=`, which many runtimes set (systemd's Container Interface).
    container: Option<String>,
    /// The host name when it has the form that Docker gives by default: the first 12 digits of the id.
    pub(crate) short_id: Option<String>,
    kubernetes: bool,
    ecs: bool,
    /// Cloud Foundry: whether an application's instance, and its name.
    garden: bool,
    application: Option<String>,
    allocation: Option<String>,
    task: Option<String>,
    snap: Option<String>,
    flatpak: Option<String>,
    apptainer: Option<String>,
}

/// Reads the variables; nothing when none of them is known.
pub(crate) fn environment(text: &[u8]) -> Option<Environment> {
    let mut found = Environment::default();
    for variable in text.split(|b| *b == 0).take(MAX_VARIABLES) {
        let Some(at) = variable.iter().position(|b| *b == b'=') else { continue };
        let (name, value) = (variable.get(..at).unwrap_or_default(), variable.get(at..).unwrap_or_default());
        found.see(name, value.get(1..).unwrap_or_default());
    }
    (found != Environment::default()).then_some(found)
}

impl Environment {
    fn see(&mut self, name: &[u8], value: &[u8]) {
        let named = || label::name(value);
        match name {
            b"container" => self.container = named(),
            b"HOSTNAME" if is_hex(value, 12) => self.short_id = named(),
            b"KUBERNETES_SERVICE_HOST" => self.kubernetes |= !value.is_empty(),
            b"ECS_CONTAINER_METADATA_URI" | b"ECS_CONTAINER_METADATA_URI_V4" => self.ecs |= !value.is_empty(),
            b"CF_INSTANCE_GUID" => self.garden |= !value.is_empty(),
            b"VCAP_APPLICATION" => self.application = application(value),
            b"NOMAD_ALLOC_ID" if is_uuid(value) => self.allocation = named(),
            b"NOMAD_TASK_NAME" => self.task = named(),
            b"SNAP_INSTANCE_NAME" => self.snap = named().or(self.snap.take()),
            b"SNAP_NAME" => self.snap = self.snap.take().or_else(named),
            b"FLATPAK_ID" => self.flatpak = named(),
            b"APPTAINER_CONTAINER" | b"SINGULARITY_CONTAINER" => self.apptainer = named(),
            _ => {}
        }
    }

    /// The evidence. Orchestrators run above many runtimes: what they set names no runtime but their own.
    pub(crate) fn evidence(&self) -> Option<Evidence> {
        let says = |variable: &str| format!("its environment says so: {variable} is set");
        let new = |runtime, variable| Evidence::new(Trust::Environment, runtime, says(variable));
        let sandboxed = |runtime, name: &Option<String>, variable| Evidence {
            name: name.clone(),
            kind: Some(Kind::SandboxedProcess),
            ..new(runtime, variable)
        };
        if self.snap.is_some() {
            return Some(sandboxed(Runtime::Snap, &self.snap, "SNAP_NAME"));
        }
        if self.flatpak.is_some() {
            return Some(sandboxed(Runtime::Flatpak, &self.flatpak, "FLATPAK_ID"));
        }
        if self.apptainer.is_some() {
            let image = self.apptainer.clone();
            return Some(Evidence { image, ..new(Runtime::Apptainer, "APPTAINER_CONTAINER") });
        }
        if self.allocation.is_some() {
            // Nomad sets it for the tasks of all its drivers, Docker among them.
            return Some(Evidence { name: self.task.clone(), ..new(Runtime::Unknown, "NOMAD_ALLOC_ID") });
        }
        if self.garden || self.application.is_some() {
            let name = self.application.clone();
            return Some(Evidence { name, ..new(Runtime::Garden, "an application of Cloud Foundry") });
        }
        if self.ecs {
            return Some(new(Runtime::Ecs, "ECS_CONTAINER_METADATA_URI"));
        }
        if self.kubernetes {
            return Some(new(Runtime::Kubernetes, "KUBERNETES_SERVICE_HOST"));
        }
        let value = self.container.as_deref()?;
        let runtime = match value {
            "lxc" => Runtime::Lxc,
            "lxc-libvirt" => Runtime::LibvirtLxc,
            "systemd-nspawn" => Runtime::SystemdNspawn,
            "podman" => Runtime::Podman,
            "crio" => Runtime::CriO,
            "docker" => Runtime::Docker,
            "rkt" => Runtime::Rkt,
            "flatpak" => Runtime::Flatpak,
            _ => Runtime::Unknown,
        };
        Some(Evidence::new(Trust::Environment, runtime, format!("its environment says container={value}")))
    }
}

/// The name in the description of an application of Cloud Foundry.
fn application(json: &[u8]) -> Option<String> {
    if json.len() > MAX_APPLICATION {
        return None;
    }
    let json: serde_json::Value = serde_json::from_slice(json).ok()?;
    let name = json.get("application_name").or_else(|| json.get("name"))?.as_str()?;
    label::name(name.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    const UUID: &str = "1c9f4a5e-0000-4000-8000-123456789abc";

    fn said(variables: &str) -> Option<Evidence> {
        environment(variables.replace(' ', "\0").as_bytes())?.evidence()
    }

    #[test]
    fn runtimes() {
        for (variables, runtime, name) in [
            ("PATH=/bin container=lxc", Runtime::Lxc, None),
            ("container=systemd-nspawn container_uuid=1", Runtime::SystemdNspawn, None),
            ("container=podman HOSTNAME=web", Runtime::Podman, None),
            ("container=oci", Runtime::Unknown, None),
            ("KUBERNETES_SERVICE_HOST=10.0.0.1 container=crio", Runtime::Kubernetes, None),
            ("ECS_CONTAINER_METADATA_URI_V4=http://x", Runtime::Ecs, None),
            ("SNAP_NAME=web SNAP_INSTANCE_NAME=web_2", Runtime::Snap, Some("web_2")),
            ("SNAP_INSTANCE_NAME=web_2 SNAP_NAME=web", Runtime::Snap, Some("web_2")),
            ("FLATPAK_ID=org.x.Y container=flatpak", Runtime::Flatpak, Some("org.x.Y")),
            (
                "VCAP_APPLICATION={\"application_name\":\"web\"} CF_INSTANCE_GUID=1",
                Runtime::Garden,
                Some("web"),
            ),
            ("VCAP_APPLICATION={ CF_INSTANCE_GUID=1", Runtime::Garden, None),
            (&format!("NOMAD_ALLOC_ID={UUID} NOMAD_TASK_NAME=web"), Runtime::Unknown, Some("web")),
        ] {
            let found = said(variables).unwrap();
            assert_eq!((found.runtime, found.name.as_deref()), (runtime, name), "{variables}");
            assert_eq!(found.trust, Trust::Environment);
        }
        assert_eq!(said("APPTAINER_CONTAINER=/a.sif").unwrap().image.as_deref(), Some("/a.sif"));
    }

    #[test]
    fn nothing_else_is_kept() {
        let text = b"PASSWORD=hunter2\0KUBERNETES_SERVICE_HOST=10.9.8.7\0HOSTNAME=0123456789ab\0";
        let found = environment(text).unwrap();
        let kept = format!("{found:?} {:?}", found.evidence());
        assert!(!kept.contains("hunter2") && !kept.contains("10.9.8.7"), "{kept}");
        assert_eq!(found.short_id.as_deref(), Some("0123456789ab"));
        assert_eq!(environment(b"PASSWORD=hunter2\0HOSTNAME=web\0"), None);
    }

    #[test]
    fn hostile_texts() {
        for text in
            [&b""[..], b"\0\0\0", b"=", b"container", b"container=", &[0xff; 4096], b"NOMAD_ALLOC_ID=1"]
        {
            assert_eq!(environment(text), None);
        }
        let long = format!("container={}", "x".repeat(300));
        assert_eq!(environment(long.as_bytes()), None);
        assert!(said("container=a\nb").unwrap().says.ends_with(r"container=a\x0ab"));
        let deep = format!("VCAP_APPLICATION={}", "[".repeat(60_000));
        assert_eq!(environment(deep.as_bytes()), None);
        let mut many = vec![0; MAX_VARIABLES];
        many.extend_from_slice(b"container=lxc");
        assert_eq!(environment(&many), None);
    }
}
