// Puts a SCTE-35 stream into a transport stream without moving a packet: null packets make room for it.

const PACKET = 188;
const SYNC = 0x47;
const NULL_PID = 0x1fff;
// SCTE 35 2023r1, 8.1 and 8.2: the stream type, and the registration that goes with it.
const STREAM_TYPE = 0x86;
const REGISTRATION = [0x05, 4, ...Buffer.from('CUEI')];

/** The PID that the splice information is put on. */
export const CUE_PID = 0x1f5;

/**
 * A copy of `stream` whose PMT announces splice information, with a splice_insert in place of one null packet
 * out of about every `every` packets.
 */
export function insertCues(stream, every) {
  const packets = Buffer.from(stream);
  let pmtPid = null;
  let due = every;
  let count = 0;
  for (let at = 0; at + PACKET <= packets.length; at += PACKET) {
    const packet = packets.subarray(at, at + PACKET);
    if (packet[0] !== SYNC) throw new Error(`no sync byte at ${at}`);
    const pid = packet.readUInt16BE(1) & 0x1fff;
    if (pid === 0) pmtPid = sectionOf(packet).readUInt16BE(10) & 0x1fff;
    if (pid === pmtPid) announce(packet);
    if (pid === NULL_PID && at / PACKET >= due) {
      cue(count).copy(packet);
      count += 1;
      due += every;
    }
  }
  if (!count) throw new Error('the stream has no null packets to put cues in place of');
  return packets;
}

/** The section that starts in `packet`. */
function sectionOf(packet) {
  if (!(packet[1] & 0x40)) throw new Error('a section over several packets is not what this was made for');
  const payload = packet[3] & 0x20 ? 5 + packet[4] : 4;
  return packet.subarray(payload + 1 + packet[payload]);
}

/** Adds the splice information to a PMT (ISO/IEC 13818-1, 2.4.4.9). */
function announce(packet) {
  const section = sectionOf(packet);
  const length = section.readUInt16BE(1) & 0xfff;
  const programInfo = section.readUInt16BE(10) & 0xfff;
  const body = Buffer.concat([
    section.subarray(0, 12 + programInfo),
    Buffer.from(REGISTRATION),
    section.subarray(12 + programInfo, 3 + length - 4),
    Buffer.from([STREAM_TYPE, 0xe0 | (CUE_PID >> 8), CUE_PID & 0xff, 0xf0, 0]),
  ]);
  body.writeUInt16BE(0xb000 | (body.length + 4 - 3), 1);
  body.writeUInt16BE(0xf000 | (programInfo + REGISTRATION.length), 10);
  if (body.length + 4 > section.length) throw new Error('the PMT has no room for one stream more');
  withCrc(body).copy(section.fill(0xff));
}

/** A packet with an immediate splice_insert (SCTE 35 2023r1, 9.7.3): out of the network, and back. */
function cue(count) {
  const event = Buffer.alloc(4);
  event.writeUInt32BE(count + 1);
  const out = count % 2 === 0 ? 0x80 : 0;
  // Flags: out_of_network, program_splice, no duration, immediate.
  const command = Buffer.concat([event, Buffer.from([0x7f, out | 0x40 | 0x10 | 0x0f, 0, 1, 0, 0])]);
  const body = Buffer.concat([
    Buffer.from([0xfc, 0x30, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xf0 | (command.length >> 8), command.length, 0x05]),
    command,
    Buffer.from([0, 0]),
  ]);
  body.writeUInt16BE(0x3000 | (body.length + 4 - 3), 1);
  const packet = Buffer.alloc(PACKET, 0xff);
  Buffer.from([SYNC, 0x40 | (CUE_PID >> 8), CUE_PID & 0xff, 0x10 | (count & 0xf), 0]).copy(packet);
  withCrc(body).copy(packet, 5);
  return packet;
}

/** A section with its CRC_32 (ISO/IEC 13818-1, annex A). */
function withCrc(body) {
  let crc = 0xffffffff;
  for (const byte of body) {
    crc ^= byte << 24;
    for (let bit = 0; bit < 8; bit += 1) crc = crc & 0x80000000 ? (crc << 1) ^ 0x04c11db7 : crc << 1;
  }
  const end = Buffer.alloc(4);
  end.writeUInt32BE(crc >>> 0);
  return Buffer.concat([body, end]);
}
