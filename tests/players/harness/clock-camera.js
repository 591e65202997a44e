// A camera before a clock: writes raw pictures (yuv420p, 384x216, 25 a second) to standard output, each with the time
// at which it was taken. Ends when nobody reads any more, and with an error when the reader does not keep up.
//
//   node clock-camera.js | ffmpeg -f rawvideo -pix_fmt yuv420p -s 384x216 -r 25 -i pipe:0 …

import { picture } from './clock-picture.js';

const RATE = 25;
const BEHIND_MS_MAX = 2_000;
const UNREAD_BYTES_MAX = 4 << 20;

const start = Date.now();
let taken = 0;

/** By the wall clock: in an hour there are 90,000, early or late. */
function take() {
  const late = Date.now() - (start + (taken * 1000) / RATE);
  if (late > BEHIND_MS_MAX || process.stdout.writableLength > UNREAD_BYTES_MAX) {
    process.stderr.write(`clock-camera: ${late} ms late, ${process.stdout.writableLength} bytes unread\n`);
    process.exit(1);
  }
  taken += 1;
  process.stdout.write(picture(Date.now()));
  setTimeout(take, Math.max(0, start + (taken * 1000) / RATE - Date.now()));
}

process.stdout.on('error', () => process.exit(0));
take();
