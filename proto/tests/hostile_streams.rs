//! Real streams with their bytes changed, cut and shuffled: never a panic, and memory stays bounded.

mod support;

use std::sync::OnceLock;

use flambeau_proto::mpegts::demux::Demuxer;
use proptest::prelude::*;
use support::Made;

/// A second of each codec there is.
fn streams() -> &'static [Vec<u8>] {
    static STREAMS: OnceLock<Vec<Vec<u8>>> = OnceLock::new();
    STREAMS.get_or_init(|| {
        let picture = "testsrc2=size=192x108:rate=25";
        let make = |name: &str, args: &[&str]| {
            let maps = ["-t", "1", "-map", "0:v", "-map", "1:a", "-map", "2:a"];
            std::mem::take(&mut Made::new(name, picture, &[&maps[..], args].concat()).data)
        };
        let h264 = [
            "-c:v",
            "libx264",
            "-preset",
            "veryfast",
            "-flags",
            "+ilme+ildct",
            "-c:a:0",
            "mp2",
            "-c:a:1",
            "ac3",
        ];
        let h265 = ["-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=none"];
        vec![
            make("hostile-1.ts", &h264),
            make("hostile-2.ts", &[&h265[..], &["-c:a:0", "aac", "-c:a:1", "eac3"]].concat()),
            make(
                "hostile-3.ts",
                &["-c:v", "libx264", "-c:a:0", "libopus", "-c:a:1", "aac", "-mpegts_flags", "latm"],
            ),
        ]
    })
}

/// Takes a stream apart; how many bytes of Samples came out.
fn demux(data: &[u8]) -> usize {
    let (mut demuxer, mut bytes) = (Demuxer::new(), 0);
    let mut count = |event| {
        if let flambeau_proto::mpegts::demux::Event::Sample(_, sample) = event {
            bytes += sample.data.len();
        }
    };
    demuxer.push(data, &mut count);
    demuxer.flush(&mut count);
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn flipped_bits(stream in 0usize..3, flips in prop::collection::vec((any::<prop::sample::Index>(), 0u8..8), 1..200)) {
        let mut data = streams()[stream].clone();
        for (at, bit) in flips {
            let at = at.index(data.len());
            data[at] ^= 1 << bit;
        }
        // What comes out was in there, but for the lengths before NAL units and units that share bytes.
        prop_assert!(demux(&data) <= data.len() * 2);
    }

    #[test]
    fn flipped_heads(stream in 0usize..3, flips in prop::collection::vec((any::<prop::sample::Index>(), 0usize..24, any::<u8>()), 1..60)) {
        let mut data = streams()[stream].clone();
        for (packet, at, value) in flips {
            let packet = packet.index(data.len() / 188);
            data[packet * 188 + at] = value;
        }
        prop_assert!(demux(&data) <= data.len() * 2);
    }

    #[test]
    fn packets_lost_repeated_and_out_of_order(stream in 0usize..3, moves in prop::collection::vec(any::<prop::sample::Index>(), 1..100)) {
        let data = &streams()[stream];
        let mut packets: Vec<&[u8]> = data.chunks_exact(188).collect();
        for pair in moves.chunks(2) {
            let at = pair[0].index(packets.len());
            match pair.get(1) {
                Some(other) => packets.swap(at, other.index(data.len() / 188 - 50)),
                None => drop(packets.remove(at)),
            }
        }
        prop_assert!(demux(&packets.concat()) <= data.len() * 2);
    }

    #[test]
    fn cut_anywhere(stream in 0usize..3, from in any::<prop::sample::Index>(), len in 0usize..100_000) {
        let data = &streams()[stream];
        let from = from.index(data.len());
        demux(&data[from..data.len().min(from + len)]);
    }
}
