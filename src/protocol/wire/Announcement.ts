/**
 * How our nodes find out about each other (wire §17): one sealed control packet to port 1 after a tunnel has opened.
 * Peers of the reference ignore it. A peer that has not announced is treated as the reference.
 *
 * ```
 * 0  "EPX"   3  format, 1   4  capabilities (4)   8  fields: type (1), length (1), value
 * ```
 */
import { Result } from "effect"
import * as ByteReader from "../../core/data/ByteReader.ts"
import * as Bytes from "../../core/data/Bytes.ts"
import { Port } from "./Address.ts"
import * as DecodeError from "./DecodeError.ts"

/** A field of an announcement; types that a reader does not know are skipped. */
export interface Field {
  readonly type: number
  readonly value: Uint8Array
}

/** What a node says of itself. `capabilities` has bits of `Capability`; unknown bits are kept and mean nothing. */
export interface Announcement {
  readonly capabilities: number
  readonly fields: ReadonlyArray<Field>
}

/** Capability bits (wire §17). */
export const Capability = {
  /** FIN ends one direction only. */
  HalfClose: 1 << 0,
  /** Resets carry a reason code. */
  ResetReason: 1 << 1,
  /** Segments may be re-cut on retransmission; overlaps are trimmed. */
  Recut: 1 << 2,
  /** Path probes and path challenge. */
  PathProbe: 1 << 3,
  /** SYN may carry data. */
  SynData: 1 << 4,
  /** Service extensions, as announced per service. */
  ServiceExtensions: 1 << 5,
  /** Birthday probing between translators. */
  Birthday: 1 << 6
} as const

/** Source and destination port of the packet that carries it. */
export const PORT = Port(1)

/** Whether all the given capability bits were announced. */
export const has = (self: Announcement, capability: number): boolean =>
  (self.capabilities & capability) >>> 0 === capability >>> 0

/** The control payload. Values are cut to 255 bytes, which our own fields respect. */
export const encode = (self: Announcement): Uint8Array => {
  const head = new Uint8Array(HEADER_BYTES)
  Bytes.writeU32(head, 0, MAGIC_AND_FORMAT)
  Bytes.writeU32(head, 4, self.capabilities)
  const fields = self.fields.map(({ type, value }) => {
    const cut = value.subarray(0, 255)
    return Bytes.concat(Uint8Array.of(type, cut.length), cut)
  })
  return Bytes.concat(head, ...fields)
}

/** Reads a control payload; field values are views. */
export const decode = (payload: Uint8Array): Result.Result<Announcement, DecodeError.DecodeError> => {
  if (payload.length < HEADER_BYTES) return DecodeError.truncated(HEADER_BYTES, payload.length)
  const magic = Bytes.readU32(payload, 0)
  if (magic >>> 8 !== MAGIC_AND_FORMAT >>> 8) return DecodeError.badMagic
  if (magic !== MAGIC_AND_FORMAT) return DecodeError.unsupportedVersion(magic & 0xff)
  const reader = ByteReader.make(payload.subarray(4))
  const capabilities = ByteReader.u32(reader)
  const fields: Array<Field> = []
  while (ByteReader.remaining(reader) > 0 && !reader.isOverrun)
    fields.push({ type: ByteReader.u8(reader), value: ByteReader.take(reader, ByteReader.u8(reader)) })
  return reader.isOverrun
    ? DecodeError.truncated(payload.length + 1, payload.length)
    : Result.succeed({ capabilities, fields })
}

/** "EPX" and format 1. */
const MAGIC_AND_FORMAT = 0x45505801
const HEADER_BYTES = 8
