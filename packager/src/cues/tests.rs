use super::*;

/// A `splice_insert`, or with `event` none a `time_signal`, by hand: SCTE 35, 9.6 and 9.7.
fn section(event: Option<(u32, bool)>, duration: Option<u64>, salt: u8) -> Bytes {
    let mut command = Vec::new();
    let kind = match event {
        Some((event, out)) => {
            command.extend(event.to_be_bytes());
            let flags = if out { 0x80 } else { 0 } | 0x40 | if duration.is_some() { 0x20 } else { 0 } | 0x10;
            command.extend([0x7f, flags | 0x0f]);
            if let Some(duration) = duration {
                command.push(0x7e | (duration >> 32) as u8);
                command.extend((duration as u32).to_be_bytes());
            }
            command.extend([0, salt, 0, 0]);
            5
        }
        None => {
            command.extend([0x7f]);
            6
        }
    };
    let mut body = vec![0xfc, 0x30, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xf0, command.len() as u8, kind];
    body.extend(command);
    body.extend([0, 0]);
    body[2] = (body.len() + 4 - 3) as u8;
    let crc = flambeau_proto::mpegts::psi::crc32(&body);
    body.extend(crc.to_be_bytes());
    body.into()
}

const START: i64 = 161_581_669_290_000;

#[test]
fn a_break_is_told_by_two_tags_of_one_id() {
    let mut cues = Cues::default();
    let (out, back) = (section(Some((7, true)), Some(2_700_000), 1), section(Some((7, false)), None, 1));
    let message = cues.take(&out, START).expect("new");
    assert_eq!((message.time, message.duration), (START as u64, Some(2_700_000)));
    assert_eq!(message.section, out);
    assert!(cues.take(&back, START + 2_691_000).is_some());
    let [first, second] = &cues.date_ranges()[..] else { panic!("two") };
    assert_eq!((&first.id, first.start), (&second.id, second.start));
    assert_eq!((first.planned, first.duration), (Some(Duration::from_secs(30)), None));
    assert_eq!((second.planned, second.duration), (None, Some(Duration::from_millis(29_900))));
    assert_eq!(first.scte35, Some(Scte35::Out(out)));
    assert_eq!(second.scte35, Some(Scte35::In(back)));
}

#[test]
fn what_is_repeated_is_told_once_and_a_heartbeat_never() {
    let mut cues = Cues::default();
    let out = section(Some((7, true)), None, 1);
    assert!(cues.take(&out, START).is_some());
    assert!(cues.take(&out, START).is_none());
    // The same break, its section counted on.
    assert!(cues.take(&section(Some((7, true)), None, 2), START).is_none());
    assert!(cues.take(&section(None, None, 1), START).is_some());
    let mut heartbeat = section(Some((1, true)), None, 1).to_vec();
    heartbeat[13] = 0;
    let crc = flambeau_proto::mpegts::psi::crc32(&heartbeat[..heartbeat.len() - 4]);
    let at = heartbeat.len() - 4;
    heartbeat[at..].copy_from_slice(&crc.to_be_bytes());
    assert!(cues.take(&heartbeat.into(), START).is_none());
    assert!(cues.take(&Bytes::from_static(b"\xfc\x30"), START).is_none());
    assert_eq!(cues.date_ranges().len(), 2);
}

#[test]
fn a_break_goes_once_its_end_is_out_of_the_window() {
    let mut cues = Cues::default();
    cues.take(&section(Some((7, true)), Some(2_700_000), 1), START);
    cues.take(&section(Some((7, false)), None, 1), START + 2_700_000);
    let utc = |ticks| Utc::from_ticks(START + ticks, CLOCK_90K);
    cues.forget_before(utc(2_000_000));
    assert_eq!(cues.events(START, None).len(), 2);
    assert_eq!(cues.events(START, Some(START + 1)).len(), 1);
    cues.forget_before(utc(3_000_000));
    assert_eq!(cues.date_ranges(), []);
}

#[test]
fn cues_are_bounded() {
    let mut cues = Cues::default();
    for event in 0..1000 {
        cues.take(&section(Some((event, true)), None, 1), START + i64::from(event));
    }
    assert_eq!(cues.date_ranges().len(), CUES_MAX);
}
