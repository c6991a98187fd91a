//! The arguments of nginx, also as its master process writes them over its own.

use std::path::PathBuf;

use std::os::unix::ffi::OsStringExt as _;

use crate::launch::Launch;

/// What the command line says.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Command {
    /// `-c`.
    pub(super) main: Option<PathBuf>,
    /// `-p`.
    pub(super) prefix: Option<PathBuf>,
    /// `-g`.
    pub(super) directives: Vec<u8>,
    /// `-e`.
    pub(super) error_log: Option<PathBuf>,
}

impl Command {
    pub(super) fn of(launch: &Launch) -> Self {
        // "nginx: master process /usr/sbin/nginx -g daemon on;": joined by blanks, which values can hold as well.
        let title = launch.arguments.first().and_then(|title| {
            let mark = b": master process ";
            let at = title.windows(mark.len()).position(|window| window == mark)?;
            title.get(at.saturating_add(mark.len())..)
        });
        match title {
            Some(title) => Self::parse(&rejoined(title)),
            None => Self::parse(launch.arguments.get(1..).unwrap_or(&[])),
        }
    }

    fn parse(arguments: &[Vec<u8>]) -> Self {
        let mut command = Self::default();
        let mut left = arguments.iter();
        while let Some(argument) = left.next() {
            let Some((b'-', letters)) = argument.split_first() else { continue };
            for (place, letter) in letters.iter().enumerate() {
                if !takes_value(*letter) {
                    continue;
                }
                // The rest of the argument, or all of the next one.
                let rest = letters.get(place.saturating_add(1)..).filter(|rest| !rest.is_empty());
                let Some(value) = rest.or_else(|| left.next().map(Vec::as_slice)) else { break };
                let path = || Some(PathBuf::from(std::ffi::OsString::from_vec(value.to_vec())));
                match letter {
                    b'c' => command.main = path(),
                    b'p' => command.prefix = path(),
                    b'e' => command.error_log = path(),
                    b'g' => command.directives = value.to_vec(),
                    _ => {}
                }
                break;
            }
        }
        command
    }
}

fn takes_value(letter: u8) -> bool {
    b"cpges".contains(&letter)
}

/// The arguments after the program, of a title: a value goes on until what looks like another option.
fn rejoined(title: &[u8]) -> Vec<Vec<u8>> {
    let mut arguments: Vec<Vec<u8>> = Vec::new();
    let mut value = false;
    let is_option = |word: &[u8]| match word {
        [b'-', letters @ ..] => letters.first().is_some_and(|letter| b"?hvVtTqcpges".contains(letter)),
        _ => false,
    };
    for word in title.split(|byte| *byte == b' ') {
        if is_option(word) {
            value = word.get(1..).is_some_and(|letters| letters.iter().any(|letter| takes_value(*letter)));
            arguments.push(word.to_vec());
        } else if value {
            let last = arguments.last().is_some_and(|last| is_option(last) && last.len() == 2);
            match arguments.last_mut() {
                Some(text) if !last => {
                    text.push(b' ');
                    text.extend(word);
                }
                _ => arguments.push(word.to_vec()),
            }
        }
    }
    arguments
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(arguments: &[&str]) -> Command {
        Command::of(&Launch::test("/usr/sbin/nginx", arguments, &[]))
    }

    #[test]
    fn options_are_found_as_nginx_finds_them() {
        let command = of(&["nginx", "-qc", "/a b", "-p/p", "-g", "daemon off;", "-e", "stderr"]);
        assert_eq!(command.main, Some("/a b".into()));
        assert_eq!(command.prefix, Some("/p".into()));
        assert_eq!(command.directives, b"daemon off;");
        assert_eq!(command.error_log, Some("stderr".into()));
        assert_eq!(of(&["nginx"]), Command::default());
        assert_eq!(of(&["nginx", "-c"]), Command::default());
        assert_eq!(of(&[]), Command::default());
    }

    #[test]
    fn the_masters_title_has_them_too() {
        let title =
            "nginx: master process /usr/sbin/nginx -c /my dir/n.conf -g daemon on; master_process on;";
        let command = of(&[title]);
        assert_eq!(command.main, Some("/my dir/n.conf".into()));
        assert_eq!(command.directives, b"daemon on; master_process on;");
        assert_eq!(of(&["nginx: master process nginx -p. -cx y"]).prefix, Some(".".into()));
        assert_eq!(of(&["nginx: master process nginx -p. -cx y"]).main, Some("x y".into()));
        assert_eq!(of(&["nginx: worker process"]), Command::default());
    }
}
