//! Metrics by Prometheus naming: collected from the rooms' own counts when they are asked for.
//!
//! Nothing here is on a packet's way. A room counts as it likes; a [`Collector`] reads that and writes
//! families of samples. Names have the prefix `flambeau_`, base units (seconds, bytes) and, for counters,
//! `_total`, which the encoder adds.

mod archive;
mod channels;
mod feeds;
mod http;
mod process;
mod srt;

use std::fmt;

use prometheus_client::collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{
    DescriptorEncoder, EncodeCounterValue, EncodeGaugeValue, MetricEncoder, NoLabelSet,
};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::exemplar::Exemplar;
use prometheus_client::registry;

pub(crate) use archive::{Archive, ArchiveStats};
pub(crate) use channels::{Channels, PackagerStats};
pub(crate) use feeds::{Feeds, state};
pub(crate) use http::Http;
pub(crate) use process::Process;
pub(crate) use srt::{SrtPorts, SrtSessions};

/// Something that has counts to show.
pub(crate) trait Collector: fmt::Debug + Send + Sync + 'static {
    /// Writes its families. It is called on each scrape; a family may be written by one Collector only.
    fn collect(&self, sheet: &mut Sheet<'_>) -> fmt::Result;
}

/// A sample's labels.
pub(crate) type Labels<'a> = &'a [(&'a str, &'a str)];

/// What a Collector writes on.
pub(crate) struct Sheet<'a>(DescriptorEncoder<'a>);

impl Sheet<'_> {
    /// A family of counters. `name` has the unit and not `_total`; `help` no full stop, which the encoder adds.
    pub(crate) fn counters<'l, V: EncodeCounterValue>(
        &mut self,
        name: &str,
        help: &str,
        samples: impl IntoIterator<Item = (Labels<'l>, V)>,
    ) -> fmt::Result {
        self.family(name, help, MetricType::Counter, samples, |encoder, value| {
            encoder.encode_counter(&value, None::<&Exemplar<NoLabelSet, f64>>)
        })
    }

    /// A family of gauges. `name` has the unit; `help` as for [`Sheet::counters`].
    pub(crate) fn gauges<'l, V: EncodeGaugeValue>(
        &mut self,
        name: &str,
        help: &str,
        samples: impl IntoIterator<Item = (Labels<'l>, V)>,
    ) -> fmt::Result {
        self.family(name, help, MetricType::Gauge, samples, |encoder, value| encoder.encode_gauge(&value))
    }

    fn family<'l, V>(
        &mut self,
        name: &str,
        help: &str,
        metric_type: MetricType,
        samples: impl IntoIterator<Item = (Labels<'l>, V)>,
        write: impl Fn(&mut MetricEncoder<'_>, V) -> fmt::Result,
    ) -> fmt::Result {
        let mut family = self.0.encode_descriptor(name, &format!("{help}."), None, metric_type)?;
        for (labels, value) in samples {
            if labels.is_empty() {
                write(&mut family, value)?;
            } else {
                write(&mut family.encode_family(&labels)?, value)?;
            }
        }
        Ok(())
    }
}

/// Everything that is collected.
#[derive(Debug, Default)]
pub(crate) struct Registry(registry::Registry);

impl Registry {
    /// A registry of the process and the build, to which the rooms are added.
    pub(crate) fn new() -> Self {
        let mut registry = Self::default();
        registry.add(Box::new(Process));
        registry
    }

    /// Adds a room's Collector.
    pub(crate) fn add(&mut self, collector: Box<dyn Collector>) {
        self.0.register_collector(Box::new(Adapter(collector)));
    }

    /// The counts of this moment, in the text format of OpenMetrics 1.0.
    pub(crate) fn render(&self) -> Result<String, fmt::Error> {
        let mut text = String::new();
        encode(&mut text, &self.0)?;
        Ok(text)
    }
}

/// The media type of [`Registry::render`].
pub(crate) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

#[derive(Debug)]
struct Adapter(Box<dyn Collector>);

impl collector::Collector for Adapter {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        self.0.collect(&mut Sheet(encoder))
    }
}

#[cfg(test)]
mod tests;
