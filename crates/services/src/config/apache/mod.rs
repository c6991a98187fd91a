//! Apache httpd.
//!
//! Its configuration is a program: which lines count depends on modules, variables and files, and the server decides it
//! line by line while it reads. So does this reader, in the same order, and what is left is put together at the end.
//!
//! - `start`: which file it begins with, by arguments and by how the program was built
//! - `line`: lines, and words in them
//! - `variables`: `Define`, `${}` and `-D`
//! - `modules`: what `<IfModule>`, `<IfVersion>` and `<IfDirective>` ask for
//! - `blocks`: `<Macro>`
//! - `walk`: what is done while the files are read
//! - `paths`: what a relative path and a pattern mean
//! - `server`: what main server and virtual hosts are told
//! - `outcome`: what follows from it

mod blocks;
mod line;
mod modules;
mod outcome;
mod paths;
mod server;
mod start;
#[cfg(test)]
mod tests;
mod variables;
mod walk;

use std::path::PathBuf;

use super::{Reader, Wanted};
use crate::configuration::Configuration;
use crate::launch::Launch;
use crate::source::Source;
use start::Start;
use walk::Walk;

pub(crate) const READER: Reader = Reader { name: "apache", foresee, read };

/// What distributions and the official image include, by the directory of the main file.
const USUAL: &[(&str, &[&str])] = &[
    (
        "/etc/apache2/apache2.conf",
        &[
            "/etc/apache2/ports.conf",
            "/etc/apache2/mods-enabled/*.load",
            "/etc/apache2/mods-enabled/*.conf",
            "/etc/apache2/conf-enabled/*.conf",
            "/etc/apache2/sites-enabled/*.conf",
        ],
    ),
    ("/etc/httpd/conf/httpd.conf", &["/etc/httpd/conf.modules.d/*.conf", "/etc/httpd/conf.d/*.conf"]),
    ("/etc/apache2/httpd.conf", &["/etc/apache2/conf.d/*.conf"]),
    ("/usr/local/apache2/conf/httpd.conf", &[]),
];

fn foresee(launch: &Launch) -> Vec<Wanted> {
    let mut wanted = Vec::new();
    for main in Start::of(launch).candidates() {
        wanted.push(Wanted::Read(main.clone()));
        let usual = USUAL.iter().filter(|(of, _)| main == PathBuf::from(of)).flat_map(|(_, usual)| *usual);
        wanted.extend(usual.map(|path| {
            let pattern = path.contains('*');
            if pattern { Wanted::Include(path.into()) } else { Wanted::Read(path.into()) }
        }));
    }
    wanted
}

fn read(launch: &Launch, source: &mut dyn Source) -> Configuration {
    let start = Start::of(launch);
    let begun = start.begin(source);
    let mut walk = Walk::new(launch, source, &start, &begun);
    walk.directives("-C", &start.before);
    walk.main(&begun);
    walk.directives("-c", &start.after);
    outcome::of(walk.end())
}
