// Pictures of a clock, for a machine (blocks) and for people (digits).

import { CODE_HEIGHT, HEIGHT, WIDTH, blocks } from './clock.js';

const BLACK = 16;
const GREY = 60;
const WHITE = 235;
const LUMA = WIDTH * HEIGHT;
// Seven segments, as `[x, y, wide, high]` in units of a digit four wide and seven high, and which of them a digit has.
const SEGMENTS = [[0, 0, 4, 1], [3, 0, 1, 4], [3, 3, 1, 4], [0, 6, 4, 1], [0, 3, 1, 4], [0, 0, 1, 4], [0, 3, 4, 1]];
const DIGITS = ['012345', '12', '01346', '01236', '1256', '02356', '023456', '012', '0123456', '012356'];
const UNIT = 6;

/** A picture of the time `ms`, milliseconds since 1970. */
export function picture(ms) {
  const frame = Buffer.alloc((LUMA * 3) / 2, 128);
  frame.fill(GREY, 0, LUMA);
  for (const { x, y, size, white } of blocks(ms)) fill(frame, x, y, size, size, white ? WHITE : BLACK);
  let x = 2 * UNIT;
  for (const sign of new Date(ms).toISOString().slice(11, 23)) {
    x += drawn(frame, sign, x, CODE_HEIGHT + 8 * UNIT);
  }
  // Something that moves, so that a picture that stands is seen to.
  const second = ms % 1000;
  fill(frame, Math.floor((second / 1000) * (WIDTH - 16)), HEIGHT - 24, 16, 16, WHITE);
  return frame;
}

/** Draws a digit or what stands between digits, and says how wide it was. */
function drawn(frame, sign, x, y) {
  if (sign === ':' || sign === '.') {
    for (const row of sign === ':' ? [2, 5] : [6]) fill(frame, x, y + row * UNIT, UNIT, UNIT, WHITE);
    return 2 * UNIT;
  }
  for (const segment of DIGITS[Number(sign)]) {
    const [left, top, wide, high] = SEGMENTS[Number(segment)];
    fill(frame, x + left * UNIT, y + top * UNIT, wide * UNIT, high * UNIT, WHITE);
  }
  return 5 * UNIT;
}

function fill(frame, x, y, wide, high, luma) {
  for (let row = y; row < y + high; row += 1) frame.fill(luma, row * WIDTH + x, row * WIDTH + x + wide);
}
