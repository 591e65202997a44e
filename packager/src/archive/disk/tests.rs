use std::sync::atomic::{AtomicU32, Ordering};

use super::*;

/// A directory of its own, deleted with it.
pub(in crate::archive) struct Scratch(pub(in crate::archive) PathBuf);

impl Scratch {
    pub(in crate::archive) fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name =
            format!("flambeau-archive-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path).expect("a temporary directory");
        Self(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

const INIT: u32 = 0x1a2b_3c4d;

/// Half a minute before 16:00:00 on 2026-11-22: the first fifteen Segments of two seconds are of the hour before.
const START: i64 = 1_795_363_170 * 90_000;

fn record(number: u64) -> Record {
    let start = START + number as i64 * 180_000;
    Record {
        number,
        sequence: number,
        start,
        created: Utc::from_ticks(start, 90_000),
        period: 1,
        discontinuities: 0,
        timescale: 90_000,
        ticks: 180_000,
        init: INIT,
        slot: Slot::of(Utc::from_ticks(start, 90_000)),
        offset: 0,
        bytes: body(number).concat().len() as u32,
    }
}

fn body(number: u64) -> Vec<Bytes> {
    (0..3).map(|part| vec![number as u8; 100 + number as usize * 7 + part].into()).collect()
}

fn description() -> Description {
    let json =
        r#"{"track":256,"codecs":"mp4a.40.2","language":"eng","audio":{"sample_rate":48000,"channels":2}}"#;
    serde_json::from_str(json).expect("a description")
}

/// A drawer with Segments of these numbers.
fn filled(directory: &Path, numbers: std::ops::Range<u64>) -> Drawer {
    let (mut drawer, _) = Drawer::open(directory.to_owned()).expect("a directory");
    drawer.keep_init(INIT, b"init", &description()).expect("written");
    for number in numbers {
        drawer.append(&record(number), &body(number)).expect("written");
    }
    drawer
}

fn numbers(found: &Found) -> Vec<u64> {
    found.records.iter().map(|record| record.number).collect()
}

/// Each Segment that is found has the bytes that were written.
fn is_whole(directory: &Path, found: &Found) {
    for record in &found.records {
        let file = fs::read(media_path(directory, record.slot)).expect("the file is there");
        let bytes = &file[record.offset as usize..][..record.bytes as usize];
        assert_eq!(bytes, body(record.number).concat(), "Segment {}", record.number);
    }
}

#[test]
fn what_was_written_is_found_again() {
    let scratch = Scratch::new();
    let written = filled(&scratch.0, 0..40).bytes();
    let (drawer, found) = Drawer::open(scratch.0.clone()).expect("it is there");
    assert_eq!((numbers(&found), found.lost), ((0..40).collect(), 0));
    assert_eq!((drawer.bytes(), found.descriptions.get(&INIT)), (written, Some(&description())));
    assert_eq!(drawer.init(INIT).expect("it is there"), b"init");
    is_whole(&scratch.0, &found);
    assert!(scratch.0.join("2026112215/5930.m4s").exists());
    assert!(scratch.0.join("2026112216/index").exists());
}

#[test]
fn a_process_killed_at_any_byte_loses_nothing_that_was_whole() {
    let whole = Scratch::new();
    filled(&whole.0, 0..3);
    let (before, _) = Drawer::open(whole.0.clone()).expect("it is there");
    let slot = record(0).slot;
    let (media, index) = (media_path(&whole.0, slot), whole.0.join(slot.hour().directory()).join(INDEX));
    drop(before);
    let (media, index) = (fs::read(media).expect("read"), fs::read(index).expect("read"));
    let last = body(2).concat().len();
    // First the bytes come, then the record: each state there is between two Segments and three.
    let states = (media.len() - last..media.len())
        .step_by(13)
        .map(|media| (media, 2 * RECORD_BYTES))
        .chain((2 * RECORD_BYTES..=index.len()).map(|index| (media.len(), index)));
    for (media_bytes, index_bytes) in states {
        let scratch = Scratch::new();
        drop(filled(&scratch.0, 0..2));
        fs::write(media_path(&scratch.0, slot), &media[..media_bytes]).expect("written");
        let torn = scratch.0.join(slot.hour().directory()).join(INDEX);
        fs::write(torn, &index[..index_bytes]).expect("written");
        let (mut drawer, found) = Drawer::open(scratch.0.clone()).expect("it is there");
        let whole = index_bytes == index.len();
        assert_eq!(numbers(&found), if whole { vec![0, 1, 2] } else { vec![0, 1] });
        assert_eq!(found.lost, u64::from(!index_bytes.is_multiple_of(RECORD_BYTES)));
        is_whole(&scratch.0, &found);
        // And it goes on from there.
        let next = found.records.len() as u64 + 5;
        drawer.append(&record(next), &body(next)).expect("written");
        let (_, found) = Drawer::open(scratch.0.clone()).expect("it is there");
        assert_eq!((numbers(&found).last(), found.lost), (Some(&next), 0), "{media_bytes} {index_bytes}");
        is_whole(&scratch.0, &found);
    }
}

#[test]
fn a_file_that_is_missing_or_cut_off_costs_its_own_segments() {
    let scratch = Scratch::new();
    filled(&scratch.0, 0..60);
    fs::remove_file(media_path(&scratch.0, record(15).slot)).expect("removed");
    let short = media_path(&scratch.0, record(30).slot);
    let length = fs::metadata(&short).expect("it is there").len();
    fs::File::options().write(true).open(&short).and_then(|file| file.set_len(length - 1)).expect("cut");
    let (_, found) = Drawer::open(scratch.0.clone()).expect("it is there");
    let expected = (0..15).chain(30..44).chain(45..60);
    assert_eq!((numbers(&found), found.lost), (expected.collect(), 16));
    is_whole(&scratch.0, &found);
}

#[test]
fn an_index_of_noise_costs_its_own_segments_and_no_more() {
    let scratch = Scratch::new();
    filled(&scratch.0, 0..60);
    let index = scratch.0.join(record(20).slot.hour().directory()).join(INDEX);
    let mut bytes = fs::read(&index).expect("read");
    for byte in &mut bytes[100..400] {
        *byte = byte.wrapping_mul(31).wrapping_add(7);
    }
    fs::write(&index, bytes).expect("written");
    let (_, found) = Drawer::open(scratch.0.clone()).expect("it is there");
    assert_eq!((found.records.len(), found.lost), (56, 4));
    is_whole(&scratch.0, &found);
}

#[test]
fn files_that_no_record_names_are_deleted_and_strange_ones_left_alone() {
    let scratch = Scratch::new();
    drop(filled(&scratch.0, 0..20));
    let hour = scratch.0.join("2026112214");
    fs::create_dir_all(&hour).expect("made");
    fs::write(hour.join("0030.m4s"), b"abc").expect("written");
    let strange = scratch.0.join("2026112216/notes.txt");
    fs::write(&strange, b"abc").expect("written");
    drop(Drawer::open(scratch.0.clone()).expect("it is there"));
    assert!(!hour.exists());
    assert!(strange.exists());
}

#[test]
fn what_is_old_is_deleted_to_the_last_directory() {
    let scratch = Scratch::new();
    let directory = scratch.0.join("v256");
    let mut drawer = filled(&directory, 0..60);
    let ends = |number| Utc::from_ticks(record(number).start + 180_000, 90_000);
    // The first file has Segments 0 to 14: it goes when the last of them is too old.
    assert_eq!(drawer.delete_before(ends(13)).expect("deleted"), None);
    assert_eq!(drawer.delete_before(ends(14)).expect("deleted"), Some(record(0).slot));
    assert!(!directory.join("2026112215").exists() && directory.join("2026112216").exists());
    drawer.tidy(|_| true).expect("tidied");
    assert_eq!(drawer.oldest(), Some(record(15).slot));
    assert_eq!(drawer.delete_before(ends(59)).expect("deleted"), Some(record(59).slot));
    assert_eq!(drawer.bytes(), 0);
    drawer.tidy(|_| false).expect("tidied");
    assert!(!directory.exists());
    assert!(drawer.is_empty());
    // And it can be written again.
    drop(filled(&directory, 60..61));
    assert!(directory.exists());
}

#[test]
fn a_write_that_fails_leaves_what_is_there_and_is_made_good_by_the_next() {
    let scratch = Scratch::new();
    let mut drawer = filled(&scratch.0, 0..14);
    // A file where the directory of the next hour would be: nothing can be written there.
    let wall = scratch.0.join(record(15).slot.hour().directory());
    fs::write(&wall, b"in the way").expect("written");
    assert!(drawer.append(&record(15), &body(15)).is_err());
    assert!(drawer.append(&record(16), &body(16)).is_err());
    fs::remove_file(&wall).expect("removed");
    drawer.append(&record(17), &body(17)).expect("written");
    let (_, found) = Drawer::open(scratch.0.clone()).expect("it is there");
    assert_eq!((numbers(&found), found.lost), ((0..14).chain(17..18).collect(), 0));
    is_whole(&scratch.0, &found);
}
