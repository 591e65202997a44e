//! Every encoder against every receiver, clear and encrypted, in every combination.

mod common;

use std::fmt::Write;
use std::path::Path;

use common::publish::{Encoder, Publisher};
use common::pull::{Puller, Receiver};
use common::scratch::Scratch;
use common::server::{Server, Setup};
use common::srt::Srt;
use common::stream::{Stream, pictures, place};
use common::{seconds, until};
use flambeau_loadtest::ts::pid;

const FEED: &str = "athletics-main";
const PASSPHRASE: &str = "bear-the-flame-2028";
/// What a receiver is to get before its cell counts, in bytes: two seconds at 5 Mb/s.
const ENOUGH: u64 = 1_250_000;
/// ffmpeg's share: it ends by itself after three seconds of 25 pictures.
const PICTURES: usize = 70;

/// Clear, AES-128, AES-256.
const KEYS: [(&str, Option<(&str, u8)>); 3] =
    [("clear", None), ("AES-128", Some((PASSPHRASE, 16))), ("AES-256", Some((PASSPHRASE, 32)))];

#[tokio::test(flavor = "multi_thread")]
async fn every_encoder_reaches_every_receiver_clear_and_encrypted() {
    let scratch = Scratch::new("interop").await;
    let stream = Stream::make(&scratch, seconds(20), 5).await;
    let mut table = Table::new();
    for (encryption, key) in KEYS {
        for encoder in Encoder::ALL {
            let row = format!("{encoder}, {encryption}");
            table.row(&row, cells(&scratch, &stream, encoder, key).await);
        }
    }
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("target").join("interop.md");
    std::fs::write(&file, &table.text).expect("a file in target");
    println!("{}", table.text);
    assert!(table.faults.is_empty(), "{}{}", table.text, table.faults);
}

type Outcome = Result<String, String>;

/// Publishes with `encoder` and pulls with every receiver at once, from a Feed that is on air already.
async fn cells(
    scratch: &Scratch,
    stream: &Stream,
    encoder: Encoder,
    key: Option<(&str, u8)>,
) -> Vec<Outcome> {
    let setup = Setup::feeds(&[FEED], key.map(|(passphrase, _)| passphrase));
    let server = Server::start(scratch, &setup).await;
    // The servers of one run share a log.
    let encrypted = || server.tool.log().matches("encrypted=true").count();
    let before = encrypted();
    let publish = Srt::publish(server.ingest, FEED).encrypted(key);
    let publisher = encoder.publish(scratch, "publish", stream, &publish);
    server.live(FEED).await;
    let request = Srt::request(server.edge, FEED, "rtx").encrypted(key);
    let mut pullers: Vec<Puller> = Receiver::ALL
        .iter()
        .map(|receiver| receiver.pull_for(scratch, &format!("pull-{receiver:?}"), &request, seconds(3)))
        .collect();
    let limit = tokio::time::Instant::now() + seconds(10);
    until(seconds(15), "the receivers receive", async || {
        let verbatim = Receiver::ALL.iter().zip(&pullers).filter(|(receiver, _)| receiver.is_verbatim());
        let all = verbatim.map(|(_, puller)| puller.received()).all(|received| received >= ENOUGH);
        (all || tokio::time::Instant::now() > limit).then_some(())
    })
    .await;
    let mut outcomes = Vec::new();
    for (receiver, puller) in Receiver::ALL.iter().zip(&mut pullers) {
        outcomes.push(if receiver.is_verbatim() {
            verbatim(stream, &publisher, puller)
        } else {
            let _ = puller.tool.ended(seconds(10)).await;
            pictures(&puller.file).await.and_then(|count| match count {
                PICTURES.. => Ok(format!("{count} pictures")),
                _ => Err(format!("{count} pictures only")),
            })
        });
    }
    assert_eq!(
        encrypted() - before,
        if key.is_some() { 1 + Receiver::ALL.len() } else { 0 },
        "sessions are encrypted"
    );
    outcomes
}

/// Checks that what a receiver wrote is a range of what was published.
fn verbatim(stream: &Stream, publisher: &Publisher, puller: &Puller) -> Outcome {
    let reference = publisher.reference.as_ref().map(|file| std::fs::read(file).expect("the reference"));
    let mut received = puller.bytes();
    // A receiver at work may have written the last packet in part.
    received.truncate(received.len() / 188 * 188);
    if (received.len() as u64) < ENOUGH {
        return Err(format!("{} bytes only", received.len()));
    }
    place(reference.as_deref().unwrap_or(&stream.bytes), &received)?;
    // Where a decoder can start: at the PAT before a random access point.
    if pid(&received) != 0 {
        return Err(format!("it begins with a packet of PID {}", pid(&received)));
    }
    Ok(format!("{} packets exact", received.len() / 188))
}

/// The matrix as Markdown.
struct Table {
    text: String,
    faults: String,
}

impl Table {
    fn new() -> Self {
        let heads: Vec<String> = Receiver::ALL.iter().map(ToString::to_string).collect();
        let text =
            format!("| publish \\ pull | {} |\n|---|{}\n", heads.join(" | "), "---|".repeat(heads.len()));
        Self { text, faults: String::new() }
    }

    fn row(&mut self, name: &str, outcomes: Vec<Outcome>) {
        let _ = write!(self.text, "| {name} |");
        for (receiver, outcome) in Receiver::ALL.iter().zip(outcomes) {
            let _ = match outcome {
                Ok(what) => write!(self.text, " {what} |"),
                Err(why) => {
                    let _ = writeln!(self.faults, "{name} to {receiver}: {why}");
                    write!(self.text, " **failed** |")
                }
            };
        }
        self.text.push('\n');
    }
}
