use proptest::prelude::*;

use super::*;

/// Packets whose payload has no sync byte.
fn stream(packets: usize) -> Vec<u8> {
    (0..packets)
        .flat_map(|number| {
            let mut packet = [(number % 64) as u8; PACKET_BYTES];
            packet[0] = SYNC_BYTE;
            packet
        })
        .collect()
}

fn push(aligner: &mut Aligner, payload: &[u8]) -> Result<Vec<u8>, NotTransportStream> {
    let mut out = Vec::new();
    aligner.push(Bytes::copy_from_slice(payload), &mut |packets| {
        assert!(!packets.is_empty() && packets.len() % PACKET_BYTES == 0, "whole packets");
        out.extend_from_slice(&packets);
    })?;
    Ok(out)
}

#[test]
fn aligned_payloads_pass_without_a_copy() {
    let payload = Bytes::from(stream(7));
    let (mut aligner, mut out) = (Aligner::new(), Vec::new());
    for _ in 0..3 {
        aligner.push(payload.clone(), &mut |packets| out.push(packets)).expect("a transport stream");
    }
    assert_eq!(out.len(), 3);
    assert!(out.iter().all(|packets| packets.as_ptr() == payload.as_ptr() && packets.len() == payload.len()));
    assert_eq!(aligner.stats(), AlignStats::default());
}

#[test]
fn a_damaged_sync_byte_passes_as_it_came() {
    let mut data = stream(7);
    let mut aligner = Aligner::new();
    push(&mut aligner, &data).expect("a transport stream");
    data[3 * PACKET_BYTES] = 0;
    assert_eq!(push(&mut aligner, &data).as_deref(), Ok(&data[..]));
    assert_eq!(aligner.stats(), AlignStats { sync_byte_errors: 1, ..AlignStats::default() });
}

#[test]
fn a_boundary_that_moves_is_found_again() {
    let data = stream(14);
    let mut aligner = Aligner::new();
    push(&mut aligner, &data).expect("a transport stream");
    let moved = [&[1, 2, 3][..], &data].concat();
    assert_eq!(push(&mut aligner, &moved).as_deref(), Ok(&data[..]));
    assert_eq!(aligner.stats(), AlignStats { skipped_bytes: 3, sync_losses: 1, sync_byte_errors: 0 });
}

#[test]
fn a_packet_cut_by_missing_bytes_is_dropped() {
    let data = stream(14);
    let mut aligner = Aligner::new();
    let cut = 10 * PACKET_BYTES + 100;
    assert_eq!(push(&mut aligner, &data[..cut]).map(|out| out.len()), Ok(10 * PACKET_BYTES));
    aligner.discontinuity();
    assert_eq!(push(&mut aligner, &data).as_deref(), Ok(&data[..]));
    assert_eq!(aligner.stats().skipped_bytes, 100);
}

#[test]
fn what_is_no_transport_stream_is_refused_within_64_kibibytes() {
    let mut state = 1u32;
    let mut noise = |len: usize| -> Vec<u8> {
        let next = |state: &mut u32| {
            *state ^= *state << 13;
            *state ^= *state >> 17;
            *state ^= *state << 5;
            *state as u8
        };
        (0..len).map(|_| next(&mut state)).collect()
    };
    let mut aligner = Aligner::new();
    let pushed =
        (0..100).find_map(|count| push(&mut aligner, &noise(1316)).err().map(|error| (count, error)));
    let (count, error) = pushed.expect("an error");
    assert!(count <= 51, "after {count} payloads");
    assert!(error.searched > 64 << 10 && error.to_string().starts_with("not an MPEG transport stream"));
}

proptest! {
    #[test]
    fn packets_come_out_whole_and_in_order_whatever_the_payloads(
        junk in prop::collection::vec(0u8..SYNC_BYTE, 0..400),
        cuts in prop::collection::vec(1usize..2000, 1..40),
    ) {
        let packets = stream(40);
        let data = [&junk[..], &packets].concat();
        let (mut aligner, mut out, mut rest) = (Aligner::new(), Vec::new(), &data[..]);
        for cut in cuts.iter().cycle() {
            let (payload, after) = rest.split_at((*cut).min(rest.len()));
            rest = after;
            out.extend(push(&mut aligner, payload).expect("a transport stream"));
            if rest.is_empty() {
                break;
            }
        }
        prop_assert_eq!(aligner.stats().skipped_bytes, junk.len() as u64);
        prop_assert_eq!(out, packets);
    }

    #[test]
    fn any_payloads_keep_memory_bounded(payloads in prop::collection::vec(prop::collection::vec(prop_oneof![Just(SYNC_BYTE), any::<u8>()], 0..1500), 0..40)) {
        let mut aligner = Aligner::new();
        for payload in payloads {
            let _ = push(&mut aligner, &payload);
            prop_assert!(aligner.held.len() < CONFIRMATIONS * PACKET_BYTES);
        }
    }
}
