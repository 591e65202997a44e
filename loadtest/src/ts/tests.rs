use super::*;

fn recipe() -> Recipe {
    Recipe {
        length: Duration::from_secs(4),
        rate: Rate(10_000_000),
        splice_every: Duration::from_secs(1),
        input: None,
    }
}

#[tokio::test]
async fn a_made_stream_has_its_rate_its_nulls_and_its_splices() {
    let ts = make(&recipe()).await.expect("a stream");
    let survey = survey(&ts).expect("whole packets");
    let rate = survey.bits_per_second.expect("PCRs");
    assert!(rate.abs_diff(10_000_000) < 100, "{rate}");
    assert!((3..=5).contains(&survey.splices), "{survey:?}");
    assert!(survey.nulls > survey.packets / 10, "{survey:?}");
}

#[tokio::test]
async fn the_same_recipe_gives_the_same_bytes() {
    let recipe = recipe();
    let (a, b) = tokio::join!(make(&recipe), make(&recipe));
    assert!(a.expect("a stream") == b.expect("a stream"));
}

#[tokio::test]
async fn a_player_finds_the_splices_in_the_pmt() {
    let path = std::env::temp_dir().join(format!("flambeau-splices-{}.ts", std::process::id()));
    make_file(&recipe(), &path).await.expect("a stream");
    let output = Command::new("ffprobe")
        .args(["-v", "error", "-show_entries", "stream=codec_name,id", "-of", "csv"])
        .arg(&path)
        .output()
        .await
        .expect("ffprobe runs");
    std::fs::remove_file(&path).expect("removed");
    let found = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(found.contains("scte_35,0x1f4"), "{found}");
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn a_stream_without_nulls_or_tables_is_refused() {
    let mut packet = [0xFF; PACKET_BYTES];
    packet[..4].copy_from_slice(&[SYNC_BYTE, 0x1F, 0xFE, 0x10]);
    assert!(matches!(insert_splices(&mut packet, 1), Err(Error::NoProgram)));
    assert!(matches!(insert_splices(&mut [0; PACKET_BYTES], 1), Err(Error::NotTs(0))));
    assert!(matches!(survey(&packet[..100]), Err(Error::NotTs(0))));
}
