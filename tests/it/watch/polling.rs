//! Where only scans tell.

use std::time::Duration;

use portolan_world::need::Need;
use portolan_world::{World, require};

use super::{Watching, added, listener, polling};
use crate::inside::Inside;
use crate::scan::ways;
use crate::servers;

/// What a scan may take on a busy machine, on top of the interval.
const SLACK: Duration = Duration::from_millis(1500);

#[test]
fn all_that_lives_longer_than_an_interval_is_told_within_one() {
    require!(Need::Root, Need::Overlay);
    for way in ways() {
        let interval = Duration::from_secs(1);
        let watching = Watching::by(way, polling(interval));
        assert!(!watching.is_told);
        for port in 7570..7574 {
            let script = format!("{}\ns = late({port}, 0)\ntime.sleep(1000)", super::LATE);
            let c = Inside::start(&servers::python(World::new(format!("polled-{port}")), &script));
            let mut container = None;
            let (_, told) = watching.until(|update| {
                assert!(update.whole && update.short_lived.is_none());
                container = container.take().or_else(|| added(update, c.pid()));
                listener(update, port)
            });
            assert!(container.is_some());
            let took = told.saturating_sub(super::listened_in(&c));
            assert!(took < interval + SLACK, "{took:?}");
            c.container.kill();
            let before = super::monotonic();
            watching.until_gone(c.pid(), port);
            assert!(super::monotonic() - before < interval + SLACK);
        }
    }
}
