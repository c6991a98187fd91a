//! Expanding patterns inside, by the library and by `portolan glob`, judged by `bash` inside the container.

mod hostile;
mod limits;
mod names;
mod patterns;
