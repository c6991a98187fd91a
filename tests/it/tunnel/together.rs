//! Many connections at once, large ones, and half-closed ones.

use std::io::{Read as _, Write as _};
use std::net::Shutdown;

use portolan_world::need::Need;
use portolan_world::require;

use super::{address, client, dialer, echoing, heard, path, soon, unix};

#[test]
fn many_at_once() {
    require!(Need::Root, Need::Overlay);
    let c = echoing("t-many", &[("127.0.0.1", 7110)]);
    let tunnel = dialer(&c).tunnel(address("127.0.0.1:7110")).start_thread().unwrap();
    std::thread::scope(|scope| {
        for number in 0..32_u8 {
            let tunnel = &tunnel;
            scope.spawn(move || {
                for round in 0..20_u8 {
                    let mut stream = client(tunnel);
                    assert_eq!(heard(&mut stream, 6), b"inside");
                    let said = [number, round].repeat(500);
                    stream.write_all(&said).unwrap();
                    assert_eq!(heard(&mut stream, said.len()), said);
                }
            });
        }
    });
    soon("done", || tunnel.counters().open == 0);
    let counters = tunnel.counters();
    assert_eq!((counters.accepted, counters.refused, counters.failed), (640, 0, 0), "{counters}");
    assert_eq!((counters.sent, counters.received), (640_000, 640 * 1006), "{counters}");
}

#[test]
fn the_end_of_what_a_client_says_is_passed_on_and_the_answer_still_comes() {
    require!(Need::Root, Need::Overlay);
    let c = echoing("t-half", &[("127.0.0.1", 7111)]);
    let tunnel = dialer(&c).tunnel(address("127.0.0.1:7111")).start_thread().unwrap();
    let large: Vec<u8> = (0..=250).cycle().take(5_000_000).collect();
    let mut stream = unix(&path(&tunnel));
    assert_eq!(heard(&mut stream, 6), b"inside");
    let mut sending = stream.try_clone().unwrap();
    let said = large.clone();
    let sender = std::thread::spawn(move || {
        sending.write_all(&said).unwrap();
        sending.shutdown(Shutdown::Write).unwrap();
    });
    let mut back = Vec::new();
    stream.read_to_end(&mut back).unwrap();
    sender.join().unwrap();
    assert!(back == large, "{} of {} came back", back.len(), large.len());
}
