//! Colours and emphasis.

use std::fmt::Display;

/// How something is shown on a terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Paint {
    /// As it is.
    Plain,
    /// A head.
    Bold,
    /// A service's name.
    Name,
    /// What is beside the point.
    Dim,
    /// What is not as it should be.
    Trouble,
}

impl Paint {
    /// The text in this colour, if colours are wanted.
    pub(super) fn on(self, text: impl Display, coloured: bool) -> String {
        let code = match self {
            Self::Plain => return text.to_string(),
            Self::Bold => "1",
            Self::Name => "1;36",
            Self::Dim => "2",
            Self::Trouble => "33",
        };
        if coloured { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_string() }
    }
}
