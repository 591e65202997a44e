use super::*;

fn incoming(byte: u8, packets: usize, random_access: Option<u64>) -> Incoming {
    Incoming {
        data: vec![byte; packets * TS_PACKET_BYTES].into(),
        time: Instant::now(),
        utc: Utc(0),
        random_access,
        discontinuity: false,
    }
}

fn feed(bytes_max: usize) -> Arc<Feed> {
    Feed::new("venue".parse().expect("an id"), History { bytes_max, age_max: Duration::from_secs(60) })
}

#[test]
fn every_reader_sees_every_byte_in_order() {
    let feed = feed(1 << 20);
    let publisher = feed.publish();
    let mut readers = [feed.subscribe(), feed.subscribe()];
    for byte in 0..10 {
        publisher
            .write(&mut vec![incoming(byte, 7, None), incoming(byte, 3, None)])
            .expect("the only writer");
    }
    for reader in &mut readers {
        let mut seen = Vec::new();
        while let Some(chunk) = reader.try_next().expect("nothing was evicted") {
            assert_eq!(chunk.position, seen.len() as u64);
            seen.extend_from_slice(&chunk.data);
        }
        assert_eq!(seen.len(), 100 * TS_PACKET_BYTES);
        assert!(seen.is_sorted());
    }
}

#[test]
fn a_position_can_be_read_again_across_chunks() {
    let feed = feed(1 << 20);
    let publisher = feed.publish();
    publisher.write(&mut vec![incoming(1, 1, None), incoming(2, 1, None)]).expect("the only writer");
    let mut into = [0; 200];
    for _ in 0..2 {
        assert_eq!(feed.copy(100, &mut into), Ok(200));
        assert_eq!((into[87], into[88]), (1, 2));
    }
    assert_eq!(feed.copy(376, &mut into), Ok(0));
}

#[test]
fn a_burst_reads_on_where_it_was_from_any_position() {
    let feed = feed(1 << 20);
    let publisher = feed.publish();
    let sizes = [1, 7, 3, 2];
    for n in 0..100u8 {
        let packets = sizes[usize::from(n) % sizes.len()];
        publisher.write(&mut vec![incoming(n, packets, None)]).expect("the only writer");
    }
    let ring = feed.read_burst();
    let mut whole = vec![0; ring.head() as usize];
    assert_eq!(ring.copy(0, &mut whole), Ok(whole.len()));
    for position in (0..whole.len()).step_by(97) {
        let mut reader = ring.reader(position as u64).expect("it is held");
        let (mut read, mut into) = (Vec::new(), [0; 1316]);
        while let Some((len, time)) = reader.read(&mut into) {
            assert_eq!(ring.arrival((position + read.len()) as u64).map(|(at, _)| at), Some(time));
            read.extend_from_slice(&into[..len]);
        }
        assert!(reader.is_at_head());
        assert_eq!(read, whole[position..]);
    }
    assert!(ring.reader(ring.head()).expect("the head").is_at_head());
}

#[test]
fn a_reader_off_the_tail_rejoins_at_the_newest_random_access_point() {
    let feed = feed(10 * TS_PACKET_BYTES);
    let publisher = feed.publish();
    let mut reader = feed.subscribe();
    for n in 0..20u64 {
        let point = (n == 15).then_some(n * TS_PACKET_BYTES as u64);
        publisher.write(&mut vec![incoming(n as u8, 1, point)]).expect("the only writer");
    }
    let lagged = reader.try_next().expect_err("ten packets are held, twenty were written");
    assert_eq!(lagged.bytes_skipped, 15 * TS_PACKET_BYTES as u64);
    assert_eq!(reader.try_next().expect("in the ring").map(|chunk| chunk.data[0]), Some(15));
}

#[test]
fn a_newer_publisher_silences_the_older_and_marks_the_seam() {
    let feed = feed(1 << 20);
    let old = feed.publish();
    old.write(&mut vec![incoming(1, 1, None)]).expect("the only writer");
    let new = feed.publish();
    assert_eq!(old.write(&mut vec![incoming(9, 1, None)]), Err(Superseded));
    drop(old);
    assert_eq!(*feed.state().borrow(), State::Live);
    let mut reader = feed.subscribe();
    new.write(&mut vec![incoming(2, 1, None)]).expect("the newest writer");
    assert!(reader.try_next().expect("in the ring").expect("one chunk").discontinuity);
    drop(new);
    assert!(matches!(*feed.state().borrow(), State::Waiting(_)));
}

#[tokio::test]
async fn a_waiting_reader_wakes_for_bytes_and_for_the_end() {
    let feed = feed(1 << 20);
    let publisher = feed.publish();
    let mut reader = feed.subscribe();
    let reading = tokio::spawn(async move { (reader.next().await, reader.next().await) });
    tokio::task::yield_now().await;
    publisher.write(&mut vec![incoming(1, 1, None)]).expect("the only writer");
    tokio::task::yield_now().await;
    feed.close();
    let (first, last) = reading.await.expect("the reader does not panic");
    assert!(matches!(first, Ok(Some(_))));
    assert!(matches!(last, Ok(None)));
}
