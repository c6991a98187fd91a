//! What a Java virtual machine runs.

use super::grammar::{Runs, What};

/// The options that take the next word: those of `java`, and those of `jsvc`, which runs a class as a daemon.
const VALUED: &[&str] = &[
    "--add-exports",
    "--add-modules",
    "--add-opens",
    "--add-reads",
    "--class-path",
    "--describe-module",
    "--enable-native-access",
    "--limit-modules",
    "--module-path",
    "--patch-module",
    "--source",
    "--upgrade-module-path",
    "-classpath",
    "-cp",
    "-d",
    "-errfile",
    "-home",
    "-java-home",
    "-outfile",
    "-p",
    "-pidfile",
    "-procname",
    "-user",
    "-wait",
];

/// What is run by these arguments of `java` or `jsvc`, which are without its name.
pub(super) fn runs(arguments: &[Vec<u8>]) -> Runs<'_> {
    let mut at = 0_usize;
    while let Some(word) = arguments.get(at) {
        at = at.saturating_add(1);
        let next = || arguments.get(at);
        let after_next = || arguments.get(at.saturating_add(1)..).unwrap_or(&[]);
        match word.as_slice() {
            b"-jar" => {
                return (next().map(|jar| What::Jar(jar)).into_iter().collect(), after_next());
            }
            b"-m" | b"--module" => {
                return (next().and_then(|module| class_of(module)).into_iter().collect(), after_next());
            }
            option if option.starts_with(b"--module=") => {
                let module = option.strip_prefix(b"--module=").unwrap_or_default();
                return (class_of(module).into_iter().collect(), arguments.get(at..).unwrap_or(&[]));
            }
            option if VALUED.iter().any(|valued| valued.as_bytes() == option) => at = at.saturating_add(1),
            // Options, and files of options, which are not there to be read.
            option if option.starts_with(b"-") || option.starts_with(b"@") => {}
            // One source file is compiled and run.
            source if source.ends_with(b".java") => {
                return (vec![What::Script(source)], arguments.get(at..).unwrap_or(&[]));
            }
            class => return (vec![What::Class(class)], arguments.get(at..).unwrap_or(&[])),
        }
    }
    (Vec::new(), &[])
}

/// `module/class`; a module alone says itself which class.
fn class_of(module: &[u8]) -> Option<What<'_>> {
    let class = module.iter().position(|b| *b == b'/').and_then(|at| module.get(at.saturating_add(1)..));
    (!module.is_empty()).then(|| class.map_or(What::Module(module), What::Class))
}
