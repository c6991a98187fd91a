//! What all runtimes said, and how it is joined to a chart.

use std::collections::HashMap;

use portolan_linux::error::Escaped;
use portolan_scan::{Container, Inventory};

use crate::fault::Fault;
use crate::metadata::Metadata;

/// What was said in time, by the chart's ids, and what was not.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Answer {
    /// By the id that the container has in the chart.
    pub containers: HashMap<String, Metadata>,
    /// What was not answered, or is not believed.
    pub faults: Vec<Fault>,
}

impl Answer {
    /// What was said of a container.
    #[must_use]
    pub fn of(&self, container: &Container) -> Option<&Metadata> {
        self.containers.get(&container.id)
    }

    /// Gives the containers of a chart the names and images that it lacks. What the chart knows stays as it is, and nothing is
    /// added or removed: it rests on the kernel's word, this on a daemon's.
    pub fn apply(&self, chart: &mut Inventory) {
        for container in &mut chart.containers {
            if let Some(metadata) = self.containers.get(&container.id) {
                fill(container, metadata);
            }
        }
    }
}

fn fill(container: &mut Container, metadata: &Metadata) {
    let shown = |text: &String| Escaped(text.as_bytes()).to_string();
    let mut gave = Vec::new();
    if container.name.is_none()
        && let Some(name) = &metadata.name
    {
        container.name = Some(shown(name));
        gave.push("name");
    }
    if container.image.is_none()
        && let Some(image) = metadata.image.reference.as_ref().or(metadata.image.id.as_ref())
    {
        container.image = Some(shown(image));
        gave.push("image");
    }
    if !gave.is_empty() {
        let who =
            if metadata.speaker == 0 { "root".to_owned() } else { format!("user {}", metadata.speaker) };
        container.evidence.push(format!("{} of {who} told its {}", metadata.engine, gave.join(" and ")));
    }
}
