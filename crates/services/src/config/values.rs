//! Values of one setting from many places of a configuration, as a list for the eye.

use portolan_linux::error::Escaped;

use crate::configuration::Configuration;

/// Each value once, in the order of their appearance.
#[derive(Debug, Default)]
pub(crate) struct Values {
    list: Vec<String>,
    more: bool,
}

/// Who wants more of them reads the files.
const MOST_VALUES: usize = 100;

impl Values {
    pub(crate) fn add(&mut self, value: &[u8]) {
        let value = Escaped(value).to_string();
        if self.list.contains(&value) {
        } else if self.list.len() < MOST_VALUES {
            self.list.push(value);
        } else {
            self.more = true;
        }
    }

    /// Makes it a setting, unless there is nothing.
    pub(crate) fn finish(mut self, name: &str, configuration: &mut Configuration) {
        if self.more {
            self.list.push("...".to_owned());
        }
        if !self.list.is_empty() {
            configuration.settings.insert(name.to_owned(), self.list.join(" "));
        }
    }
}
