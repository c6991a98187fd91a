//! Pages on which HAProxy tells its state: its statistics, and the exporter for Prometheus.

use std::collections::BTreeMap;

use portolan_linux::error::Escaped;

use super::sections::Line;
use crate::configuration::{ListenAddress, StatusPage};

/// What the lines `stats` of a section say. Any of them turns it on.
#[derive(Debug, Default, Clone)]
pub(super) struct Statistics {
    uri: Option<Vec<u8>>,
    restricted: bool,
}

/// Where it is unless a line says otherwise; compiled in, and never changed by packages.
const USUAL: &[u8] = b"/haproxy?stats";

impl Statistics {
    /// Adds a line; gives who may see it, with the password.
    pub(super) fn add(&mut self, line: &Line) -> Option<(Vec<u8>, Vec<u8>)> {
        match line.word(1) {
            b"uri" => self.uri = Some(line.word(2).to_vec()),
            b"http-request" => self.restricted = true,
            b"auth" => {
                self.restricted = true;
                let mut parts = line.word(2).splitn(2, |byte| *byte == b':');
                let (user, secret) = (parts.next()?, parts.next().unwrap_or(&[]));
                return Some((user.to_vec(), secret.to_vec()));
            }
            _ => {}
        }
        None
    }

    pub(super) fn page(&self, listen: &ListenAddress, tls: bool) -> StatusPage {
        StatusPage {
            kind: "stats",
            listen: listen.clone(),
            path: Escaped(self.uri.as_deref().unwrap_or(USUAL)).to_string(),
            host: None,
            tls,
            restricted: self.restricted,
        }
    }
}

/// The service `prometheus-exporter` at a path.
#[derive(Debug, Clone)]
pub(super) struct Exporter {
    path: Vec<u8>,
    restricted: bool,
}

impl Exporter {
    pub(super) fn page(&self, listen: &ListenAddress, tls: bool) -> StatusPage {
        let path = Escaped(&self.path).to_string();
        StatusPage {
            kind: "prometheus",
            listen: listen.clone(),
            path,
            host: None,
            tls,
            restricted: self.restricted,
        }
    }
}

/// The paths of `http-request use-service prometheus-exporter if ...`: those that its conditions ask for, or the usual
/// one where none does.
pub(super) fn exporter(line: &Line, acls: &BTreeMap<&[u8], Vec<&[Vec<u8>]>>) -> Vec<Exporter> {
    let (mut paths, mut restricted) = (Vec::new(), false);
    let conditions = line.words.get(4..).unwrap_or(&[]);
    let unless = line.word(3) == b"unless";
    let mut at = 0_usize;
    while let Some(word) = conditions.get(at) {
        at = at.saturating_add(1);
        if word == b"{" {
            let rest = conditions.get(at..).unwrap_or(&[]);
            let end = rest.iter().position(|word| word == b"}").unwrap_or(rest.len());
            judge(rest.get(..end).unwrap_or(&[]), &mut paths, &mut restricted);
            at = at.saturating_add(end).saturating_add(1);
        } else if let Some(definitions) = acls.get(word.as_slice()) {
            for definition in definitions {
                judge(definition, &mut paths, &mut restricted);
            }
        }
    }
    if unless || paths.is_empty() {
        paths = vec![b"/metrics".to_vec()];
    }
    paths.truncate(20);
    paths.into_iter().map(|path| Exporter { path, restricted }).collect()
}

/// What one condition asks for: paths, or who asks.
fn judge(condition: &[Vec<u8>], paths: &mut Vec<Vec<u8>>, restricted: &mut bool) {
    let Some((fetch, rest)) = condition.split_first() else { return };
    // `path,lower` is a path too.
    let name = fetch.split(|byte| matches!(byte, b',' | b'(')).next().unwrap_or(&[]);
    match name {
        b"path" | b"path_beg" | b"path_end" | b"path_dir" => {
            let mut method = false;
            for word in rest {
                // The flag `-m` has a value, which is no path.
                if std::mem::take(&mut method) || word.starts_with(b"-") {
                    method = word == b"-m";
                } else if word.starts_with(b"/") {
                    paths.push(word.clone());
                }
            }
        }
        b"src" | b"http_auth" | b"http_auth_group" | b"ssl_c_used" | b"ssl_fc_has_crt" => *restricted = true,
        _ => {}
    }
}
