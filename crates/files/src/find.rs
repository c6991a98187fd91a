//! Looking for texts in a file, without reading all of it through the pipe.

use portolan_wire::WireError;
use portolan_wire::request::Find;

use crate::answer::Part;
use crate::error::About;
use crate::exchange::Broken;
use crate::{Error, Result, Stat};

pub use crate::answer::Place;

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Found {
    /// What the file was when it was opened.
    pub stat: Stat,
    /// The places, in the file's order. What is around two of them may overlap.
    pub places: Vec<Place>,
    /// Whether a limit ended the search, so that there may be more.
    pub truncated: bool,
}

impl Found {
    /// From the answer to one operation: each place has the text that it says, and no more around it than was asked for.
    pub(crate) fn of_part(about: About<'_>, find: &Find, part: Part, broken: Option<Broken>) -> Result<Self> {
        let end = match part.end {
            Some(Ok(end)) => end,
            Some(Err(failure)) => return Err(Error::told(about, &failure)),
            None => return Err(broken.unwrap_or(Broken::Died(None)).error(about)),
        };
        let sane = |place: &Place| {
            let text = find.texts.get(place.text);
            let from = place.bytes.get(place.at..).unwrap_or(&[]);
            let within = |length: usize, most: u32| u32::try_from(length).is_ok_and(|length| length <= most);
            text.is_some_and(|text| from.starts_with(text))
                && within(place.at, find.before)
                && within(from.len(), find.after)
        };
        match part.stat {
            Some(stat) if part.places.iter().all(sane) => {
                Ok(Self { stat: Stat::of(&stat), places: part.places, truncated: end.truncated })
            }
            _ => Err(Error::wire(about, WireError::OutOfOrder)),
        }
    }
}
