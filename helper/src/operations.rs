//! The operations of a request, one after another, each with its own answer.

use std::os::fd::AsFd as _;

use portolan_wire::code::Stage;
use portolan_wire::request::{Action, Operation, Read, Request};

use crate::answer::{Answer, Fault, Whole};
use crate::enter::Inside;
use crate::read::Inode;
use crate::walk::{self, Way, names_kernel};
use crate::{find, glob, include, read, sys};

/// Answers all of them; false when nobody listens any more. One that fails costs the next ones nothing.
pub(crate) fn all(inside: &Inside, request: &Request, answer: &mut Answer) -> bool {
    request.operations.iter().all(|operation| {
        let result = answer.in_time(Stage::Request).and_then(|()| one(inside, operation, answer));
        answer.operation(result)
    })
}

fn one(inside: &Inside, operation: &Operation, answer: &mut Answer) -> Result<Whole, Fault> {
    let path = operation.path.as_slice();
    match &operation.action {
        Action::Stat => {
            let way = Way { named: names_kernel(path), follow: true, directory: false };
            let found = walk::find(inside, path, way).map_err(|miss| miss.fault(Stage::Stat))?;
            let look = sys::look(found.as_fd(), inside.any_file_system);
            let stat = look.map_err(|errno| Fault::of_errno(Stage::Stat, errno))?.stat;
            answer.stat(stat)?;
            Ok(Whole { size: stat.size, truncated: false })
        }
        Action::Read(options) => read::file(inside, path, *options, answer),
        Action::Lines { lines, max_bytes } => read::lines(inside, path, *lines, *max_bytes, answer),
        &Action::Renamed { device, inode, offset, max_bytes } => {
            let options = Read { max_bytes, offset, prefix: true };
            read::renamed(inside, path, Inode { device, inode }, options, answer)
        }
        Action::Glob { max_entries } => glob::all(inside, path, *max_entries, answer),
        &Action::Include { max_entries, max_bytes, prefix } => {
            let options = Read { max_bytes, offset: 0, prefix };
            include::all(inside, path, max_entries, options, answer)
        }
        Action::Find(find) => find::places(inside, path, find, answer),
        // A newer library's.
        _ => Err(Fault::new(Stage::Request, portolan_wire::code::ErrorCode::Unsupported)),
    }
}
