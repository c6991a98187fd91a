//! nginx.

use portolan_world::need::Need;
use portolan_world::require;

use super::{running, services_of};
use crate::inside::Inside;

#[test]
fn it_is_recognised_with_its_workers_as_one() {
    require!(Need::Root, Need::Overlay, Need::Program("nginx"));
    let inside = Inside::start(&running("mkdir -p /var/log/nginx && exec nginx -g 'daemon off;'"));
    let services = services_of(&inside, "nginx");
    let nginx: Vec<_> = services.iter().filter(|service| service.kind == "nginx").collect();
    assert_eq!(nginx.len(), 1, "{services:#?}");
    assert!(nginx[0].processes.len() > 1, "{nginx:#?}");
}
