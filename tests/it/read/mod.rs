//! Reading files inside, by the library and by `portolan cat`, which must agree.

mod content;
mod hanging;
mod kinds;
mod limits;
mod links;
mod magic;
mod names;
mod places;
mod together;
