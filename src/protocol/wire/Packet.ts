/**
 * The Pilot packet (wire §3): a 34-byte header, then the payload.
 *
 * ```
 *  0  version (high nibble), flags (low nibble)   16  source port (2)        28  window, in segments (2)
 *  1  protocol                                    18  destination port (2)   30  CRC-32 (4)
 *  2  payload length (2)                          20  sequence (4)           34  payload
 *  4  source address (6)   10  destination (6)    24  acknowledgement (4)
 * ```
 */
import { Result } from "effect"
import * as Bytes from "../../core/data/Bytes.ts"
import * as Crc32 from "../../core/data/Crc32.ts"
import * as Address from "./Address.ts"
import * as DecodeError from "./DecodeError.ts"

/** What a stream endpoint sends or receives: a packet without its addressing. */
export interface Segment {
  /** Bits of `Flag`. */
  readonly flags: number
  readonly sequence: number
  readonly acknowledgement: number
  /** Free receive slots, in segments, not bytes. */
  readonly window: number
  readonly payload: Uint8Array
}

/** One decoded packet. `payload` is a view into the decoded bytes. */
export interface Packet extends Segment {
  /** One of `Protocol`; others are ignored by the receiver. */
  readonly protocol: number
  readonly source: Address.Address
  readonly destination: Address.Address
  readonly sourcePort: Address.Port
  readonly destinationPort: Address.Port
}

/** Flag bits. */
export const Flag = { Syn: 1, Ack: 2, Fin: 4, Rst: 8 } as const

/** Protocol numbers. */
export const Protocol = { Stream: 1, Datagram: 2, Control: 3 } as const

/** Bytes before the payload. */
export const HEADER_BYTES = 34

/** The payload length field has 16 bits. */
export const PAYLOAD_BYTES_MAX = 0xffff

/** Bytes the packet takes on the wire. */
export const encodedBytes = (packet: Packet): number => HEADER_BYTES + packet.payload.length

/** The packet as bytes of its own. See `encodeInto`. */
export const encode = (packet: Packet, crc32: Crc32.Update = Crc32.update): Uint8Array => {
  const target = new Uint8Array(encodedBytes(packet))
  encodeInto(packet, target, 0, crc32)
  return target
}

/**
 * Writes the packet at `offset` and returns the bytes written. Version is 1, flag bits above the low four are masked
 * off (wire §3). The owner cuts payloads to `PAYLOAD_BYTES_MAX` and provides the room; neither is a peer's choice,
 * so breaking either is a defect.
 */
export const encodeInto = (
  packet: Packet,
  target: Uint8Array,
  offset: number,
  crc32: Crc32.Update = Crc32.update
): number => {
  encodeHeaderInto(packet, target, offset, crc32)
  target.set(packet.payload, offset + HEADER_BYTES)
  return encodedBytes(packet)
}

/** Writes only the `HEADER_BYTES` before the payload, whose checksum it carries: for a payload that stays where it is. */
export const encodeHeaderInto = (
  packet: Packet,
  target: Uint8Array,
  offset: number,
  crc32: Crc32.Update = Crc32.update
): void => {
  const { payload } = packet
  if (payload.length > PAYLOAD_BYTES_MAX) throw new RangeError(`a payload of ${payload.length} bytes fits no packet`)
  target[offset] = (VERSION << 4) | (packet.flags & 0xf)
  target[offset + 1] = packet.protocol
  Bytes.writeU16(target, offset + 2, payload.length)
  Address.encodeInto(packet.source, target, offset + 4)
  Address.encodeInto(packet.destination, target, offset + 10)
  Bytes.writeU16(target, offset + 16, packet.sourcePort)
  Bytes.writeU16(target, offset + 18, packet.destinationPort)
  Bytes.writeU32(target, offset + 20, packet.sequence)
  Bytes.writeU32(target, offset + 24, packet.acknowledgement)
  Bytes.writeU16(target, offset + 28, packet.window)
  const sum = checksum(target, offset, payload, 0, payload.length, crc32)
  Bytes.writeU32(target, offset + CHECKSUM_OFFSET, sum)
}

/**
 * Reads one packet, in the order of wire §3: header complete, payload complete, checksum, then the version, which the
 * reference of v1.2 leaves unchecked. Bytes after the declared length are ignored.
 */
export const decode = (
  bytes: Uint8Array,
  crc32: Crc32.Update = Crc32.update
): Result.Result<Packet, DecodeError.DecodeError> => {
  if (bytes.length < HEADER_BYTES) return DecodeError.truncated(HEADER_BYTES, bytes.length)
  const payloadBytes = Bytes.readU16(bytes, 2)
  const end = HEADER_BYTES + payloadBytes
  if (bytes.length < end) return DecodeError.truncated(end, bytes.length)
  if (checksum(bytes, 0, bytes, HEADER_BYTES, end, crc32) !== Bytes.readU32(bytes, CHECKSUM_OFFSET))
    return DecodeError.checksumMismatch
  const first = bytes[0]!
  if (first >>> 4 !== VERSION) return DecodeError.unsupportedVersion(first >>> 4)
  return Result.succeed({
    flags: first & 0xf,
    protocol: bytes[1]!,
    source: Address.decodeAt(bytes, 4),
    destination: Address.decodeAt(bytes, 10),
    sourcePort: Address.Port(Bytes.readU16(bytes, 16)),
    destinationPort: Address.Port(Bytes.readU16(bytes, 18)),
    sequence: Bytes.readU32(bytes, 20),
    acknowledgement: Bytes.readU32(bytes, 24),
    window: Bytes.readU16(bytes, 28),
    payload: bytes.subarray(HEADER_BYTES, end)
  })
}

/** Over header and payload, the checksum field taken as zero, so that nobody has to write to received bytes. */
const checksum = (
  header: Uint8Array,
  offset: number,
  payload: Uint8Array,
  start: number,
  end: number,
  crc32: Crc32.Update
): number => {
  const sum = Crc32.update(0, header, offset, offset + CHECKSUM_OFFSET)
  return crc32(Crc32.update(sum, ZERO_FIELD, 0, 4), payload, start, end)
}

const VERSION = 1
const CHECKSUM_OFFSET = 30
const ZERO_FIELD = new Uint8Array(4)
