/**
 * Payloads of the File and Trace kinds of data exchange, and the acknowledgement texts (node §4.1, §4.2).
 *
 * ```
 * File   name length (2)  name (UTF-8)  content        Trace  inner kind (4)  sender's time, ns (8)  inner payload
 * ```
 */
import { Result } from "effect"
import * as Bytes from "../../core/data/Bytes.ts"
import * as DataFrame from "./DataFrame.ts"
import * as DecodeError from "./DecodeError.ts"

/** A file as it travels in one frame. The name is the sender's claim: see `StoredName` before it touches a disk. */
export interface FileFrame {
  /** Empty for a file without a name, which is acknowledged and not stored. */
  readonly name: string
  readonly content: Uint8Array
}

/** A frame inside a trace. */
export interface TraceFrame {
  readonly inner: DataFrame.DataFrame
  /** As it was sent: nanoseconds since 1970 do not fit a number. */
  readonly sentAtNanoseconds: bigint
}

/** Never fails: a name that runs past the payload makes the whole payload the content of a file without a name. */
export const decodeFile = (payload: Uint8Array): FileFrame => {
  if (payload.length < NAME_LENGTH_BYTES) return { name: "", content: payload }
  const end = NAME_LENGTH_BYTES + Bytes.readU16(payload, 0)
  if (end > payload.length) return { name: "", content: payload }
  const name = boundedText(payload.subarray(NAME_LENGTH_BYTES, end), NAME_CHARACTERS_MAX)
  return { name, content: payload.subarray(end) }
}

/** UTF-8 of a peer as a text of at most so many characters, what is out of place replaced. */
export const boundedText = (bytes: Uint8Array, charactersMax: number): string =>
  Bytes.toUtf8Lossy(bytes.subarray(0, 4 * charactersMax))
    .slice(0, charactersMax)
    .toWellFormed()

/** The payload's parts before the content. A name longer than 65,535 bytes is cut. */
export const encodeFileName = (name: string): Uint8Array => {
  const bytes = Bytes.fromUtf8(name).subarray(0, 0xffff)
  return Bytes.concat(Bytes.ofU16(bytes.length), bytes)
}

/** Reads the payload of a trace. A trace inside a trace is refused: it would have no acknowledgement. */
export const decodeTrace = (payload: Uint8Array): Result.Result<TraceFrame, DecodeError.DecodeError> => {
  if (payload.length < TRACE_HEADER_BYTES) return DecodeError.truncated(TRACE_HEADER_BYTES, payload.length)
  const kind = Bytes.readU32(payload, 0)
  if (kind === DataFrame.Kind.Trace) return DecodeError.malformed("a trace inside a trace")
  const sentAtNanoseconds = (BigInt(Bytes.readU32(payload, 4)) << 32n) | BigInt(Bytes.readU32(payload, 8))
  return Result.succeed({ inner: { kind, payload: payload.subarray(TRACE_HEADER_BYTES) }, sentAtNanoseconds })
}

/** The payload of a trace. */
export const encodeTrace = ({ inner, sentAtNanoseconds }: TraceFrame): Uint8Array =>
  Bytes.concat(
    Bytes.ofU32(inner.kind),
    Bytes.ofU32(Number((sentAtNanoseconds >> 32n) & 0xffff_ffffn)),
    Bytes.ofU32(Number(sentAtNanoseconds & 0xffff_ffffn)),
    inner.payload
  )

/** The JSON that answers a trace; nanoseconds since 1970 are written as integers, which a `number` could not hold. */
export const traceAnswer = (answer: {
  readonly sentAt: bigint
  readonly receivedAt: bigint
  readonly storedAt: bigint
  readonly innerAck: string
}): string => {
  const { innerAck, receivedAt, sentAt, storedAt } = answer
  const times = `"sent_at_ns":${sentAt},"received_at_ns":${receivedAt},"inbox_written_at_ns":${storedAt}`
  return `{${times},"ack_sent_at_ns":${storedAt},"inner_ack":${JSON.stringify(innerAck)}}`
}

/** `ACK TEXT 5 bytes`: stored, or ignored by kind. For files the size is that of the content. */
export const acknowledged = (kind: number, sizeBytes: number): string =>
  `ACK ${DataFrame.nameOf(kind)} ${sizeBytes} bytes`

/** `ERR TEXT save failed: …` */
export const refused = (kind: number, reason: string): string => `ERR ${DataFrame.nameOf(kind)} save failed: ${reason}`

/** What an acknowledgement says. */
export type Acknowledgement =
  | { readonly _tag: "Stored" }
  /** The receiver does not know this kind of frame. */
  | { readonly _tag: "Unknown"; readonly kind: number }
  | { readonly _tag: "Failed"; readonly reason: string }

/** Reads an acknowledgement; any text that is neither a refusal nor a question mark counts as stored, as it always did. */
export const decodeAcknowledgement = (text: string): Acknowledgement => {
  const unknown = /^ACK UNKNOWN\((\d{1,10})\)/.exec(text)
  if (unknown !== null) return { _tag: "Unknown", kind: Number(unknown[1]) }
  const failed = /^ERR (?:[A-Z]{1,10} save failed: )?(.*)$/s.exec(text)
  return failed === null ? { _tag: "Stored" } : { _tag: "Failed", reason: failed[1]! }
}

/** Characters of a name that are looked at; no file system takes as many. */
export const NAME_CHARACTERS_MAX = 4096

const NAME_LENGTH_BYTES = 2
const TRACE_HEADER_BYTES = 12
