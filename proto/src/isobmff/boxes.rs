//! Writing boxes: a box is its length, its four letters and its body (ISO/IEC 14496-12, 4.2).

use bytes::{BufMut, BytesMut};

/// Boxes written one after the other, one inside the other.
pub(super) struct Boxes(pub(super) BytesMut);

impl Boxes {
    /// An empty writer that holds `capacity` bytes before it must grow.
    pub(super) fn with_capacity(capacity: usize) -> Self {
        Self(BytesMut::with_capacity(capacity))
    }

    /// A box; `body` writes what is in it.
    pub(super) fn nest(&mut self, kind: [u8; 4], body: impl FnOnce(&mut Self)) {
        let start = self.0.len();
        self.0.put_u32(0);
        self.0.put_slice(&kind);
        body(self);
        let len = (self.0.len() - start) as u32;
        self.0[start..start + 4].copy_from_slice(&len.to_be_bytes());
    }

    /// A box with version and flags (ISO/IEC 14496-12, 4.2.2 `FullBox`).
    pub(super) fn full(&mut self, kind: [u8; 4], version: u8, flags: u32, body: impl FnOnce(&mut Self)) {
        self.nest(kind, |b| {
            b.u32(u32::from(version) << 24 | flags & 0x00ff_ffff);
            body(b);
        });
    }

    pub(super) fn u8(&mut self, value: u8) {
        self.0.put_u8(value);
    }

    pub(super) fn u16(&mut self, value: u16) {
        self.0.put_u16(value);
    }

    pub(super) fn u32(&mut self, value: u32) {
        self.0.put_u32(value);
    }

    pub(super) fn u64(&mut self, value: u64) {
        self.0.put_u64(value);
    }

    pub(super) fn bytes(&mut self, value: &[u8]) {
        self.0.put_slice(value);
    }

    pub(super) fn zeros(&mut self, count: usize) {
        self.0.put_bytes(0, count);
    }
}
