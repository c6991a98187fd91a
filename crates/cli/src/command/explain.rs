//! `portolan explain`

use std::io::{Read as _, Write as _};
use std::path::Path;

use portolan::Target;

use crate::arguments::Explain;
use crate::failure::Failure;
use crate::json;

/// A cgroup file is never longer than this.
const MAX_TEXT: u64 = 1024 * 1024;

pub(crate) fn run(options: &Explain) -> Result<(), Failure> {
    let text = match (&options.cgroup, &options.pid) {
        (Some(file), _) => {
            let mut text = json::classification(&portolan::classify(&read(file)?)).to_string();
            text.push('\n');
            text
        }
        (None, pid) => sentences(pid.as_deref().unwrap_or(""))?,
    };
    std::io::stdout().write_all(text.as_bytes()).map_err(Failure::output)
}

fn read(file: &Path) -> Result<Vec<u8>, Failure> {
    let mut text = Vec::new();
    let failed = |e| Failure::Io("read the cgroup file", e);
    if file == Path::new("-") {
        std::io::stdin().take(MAX_TEXT).read_to_end(&mut text).map_err(failed)?;
    } else {
        std::fs::File::open(file).and_then(|f| f.take(MAX_TEXT).read_to_end(&mut text)).map_err(failed)?;
    }
    Ok(text)
}

fn sentences(pid: &str) -> Result<String, Failure> {
    let name = if pid.starts_with("pid:") { pid.to_owned() } else { format!("pid:{pid}") };
    let Some(target) = Target::of_pid(&name)? else {
        return Err(Failure::Unsupported("explain: want a pid"));
    };
    let mut text = portolan::explain(&target.process)?.sentences.join("\n");
    text.push('\n');
    Ok(text)
}
