// A clock in the picture that a machine reads: black and white blocks tell the time, and a checksum that it is
// read right. Node draws it, the player pages read it.

/** The picture, in pixels. The blocks stand at its top. */
export const WIDTH = 384;
export const HEIGHT = 216;
/** How high the part of the picture is that the blocks take. */
export const CODE_HEIGHT = 32;

// As large as one of the encoder's macroblocks, so that it keeps them whatever the bit rate.
const BLOCK = 16;
const COLUMNS = WIDTH / BLOCK;
const TIME_BITS = 32;
const SUM_BITS = 16;
const BITS = TIME_BITS + SUM_BITS;
// A block is read by its middle: its edges are the neighbour's too once it was encoded.
const MARGIN = 4;
const WRAP_MS = 2 ** TIME_BITS;

/** The blocks of a time in milliseconds since 1970: `{ x, y, size, white }` each. */
export function blocks(ms) {
  const time = ms % WRAP_MS;
  const bits = [...binary(time, TIME_BITS), ...binary(checksum(time), SUM_BITS)];
  return bits.map((white, index) => ({ ...place(index), size: BLOCK, white: white === 1 }));
}

/**
 * The time that the picture tells, in milliseconds since 1970, or null where the checksum says that this is no
 * clock. `pixels` are RGBA of `WIDTH` by `CODE_HEIGHT`; `now` says which of the times alike (they come again after
 * 49 days) is meant.
 */
export function read(pixels, now) {
  let time = 0;
  let sum = 0;
  for (let index = 0; index < BITS; index += 1) {
    const bit = isWhite(pixels, place(index)) ? 1 : 0;
    if (index < TIME_BITS) time = time * 2 + bit;
    else sum = sum * 2 + bit;
  }
  if (sum !== checksum(time)) return null;
  const ago = (((now - time) % WRAP_MS) + WRAP_MS) % WRAP_MS;
  return now - (ago > WRAP_MS / 2 ? ago - WRAP_MS : ago);
}

function place(index) {
  return { x: (index % COLUMNS) * BLOCK, y: Math.floor(index / COLUMNS) * BLOCK };
}

function isWhite(pixels, { x, y }) {
  let sum = 0;
  let count = 0;
  for (let row = y + MARGIN; row < y + BLOCK - MARGIN; row += 2) {
    for (let column = x + MARGIN; column < x + BLOCK - MARGIN; column += 2) {
      sum += pixels[(row * WIDTH + column) * 4];
      count += 1;
    }
  }
  return sum / count > 127;
}

function binary(value, bits) {
  return Array.from({ length: bits }, (_, index) => Math.floor(value / 2 ** (bits - 1 - index)) % 2);
}

// CRC-16/CCITT-FALSE: a black picture is no clock.
function checksum(time) {
  let crc = 0xffff;
  for (const shift of [24, 16, 8, 0]) {
    crc ^= ((time >>> shift) & 0xff) << 8;
    for (let bit = 0; bit < 8; bit += 1) crc = crc & 0x8000 ? ((crc << 1) ^ 0x1021) & 0xffff : (crc << 1) & 0xffff;
  }
  return crc;
}
