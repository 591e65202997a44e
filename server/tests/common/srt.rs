//! An SRT address as each tool writes it.

use std::net::SocketAddr;

/// What a caller is told to call.
#[derive(Clone)]
pub(crate) struct Srt {
    pub(crate) address: SocketAddr,
    pub(crate) stream_id: String,
    /// Passphrase and key length in bytes.
    pub(crate) key: Option<(String, u8)>,
    pub(crate) latency_ms: u32,
}

impl Srt {
    pub(crate) fn publish(address: SocketAddr, feed: &str) -> Self {
        Self::call(address, format!("#!::r={feed},m=publish"))
    }

    pub(crate) fn request(address: SocketAddr, feed: &str, broadcaster: &str) -> Self {
        Self::call(address, format!("#!::r={feed},m=request,u={broadcaster}"))
    }

    fn call(address: SocketAddr, stream_id: String) -> Self {
        Self { address, stream_id, key: None, latency_ms: 300 }
    }

    pub(crate) fn encrypted(self, key: Option<(&str, u8)>) -> Self {
        Self { key: key.map(|(passphrase, bytes)| (passphrase.to_owned(), bytes)), ..self }
    }

    pub(crate) fn latency(self, latency_ms: u32) -> Self {
        Self { latency_ms, ..self }
    }

    pub(crate) fn through(self, address: SocketAddr) -> Self {
        Self { address, ..self }
    }

    /// For srt-live-transmit. It takes a URL's values as they stand.
    pub(crate) fn url(&self) -> String {
        self.url_with_latency(u64::from(self.latency_ms))
    }

    /// For ffmpeg, which counts latency in microseconds and takes values as they stand, too.
    pub(crate) fn ffmpeg_url(&self) -> String {
        self.url_with_latency(u64::from(self.latency_ms) * 1000)
    }

    fn url_with_latency(&self, latency: u64) -> String {
        let Self { address, stream_id, key, .. } = self;
        let key = match key {
            Some((passphrase, bytes)) => format!("&passphrase={passphrase}&pbkeylen={bytes}"),
            None => String::new(),
        };
        format!("srt://{address}?mode=caller&latency={latency}&streamid={stream_id}{key}")
    }

    /// Properties of GStreamer's srtsrc and srtsink. Its URL parser stops at the `#` of a stream id.
    pub(crate) fn gstreamer(&self) -> Vec<String> {
        let mut properties = vec![
            format!("uri=srt://{}", self.address),
            "mode=caller".into(),
            format!("latency={}", self.latency_ms),
            format!("streamid={}", self.stream_id),
        ];
        if let Some((passphrase, bytes)) = &self.key {
            properties.push(format!("passphrase={passphrase}"));
            properties.push(format!("pbkeylen={bytes}"));
        }
        properties
    }

    /// Options and address for VLC 3. Its URL parser stops at the `#` and does not decode `%23`.
    pub(crate) fn vlc(&self) -> Vec<String> {
        let mut options =
            vec![format!("--latency={}", self.latency_ms), format!("--streamid={}", self.stream_id)];
        if let Some((passphrase, bytes)) = &self.key {
            options.push(format!("--passphrase={passphrase}"));
            options.push(format!("--key-length={bytes}"));
        }
        options.push(format!("srt://{}", self.address));
        options
    }
}
