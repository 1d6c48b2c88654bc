/**
 * How two of our nodes find out which datagrams a path carries (wire §17 bit 3, RFC 8899): a sealed control packet to
 * port 1, padded until its datagram has the size in question, and a short answer. Peers of the reference ignore both.
 *
 * ```
 * Probe    0  "EPP"   3  1   4  token (4)   8  zeros
 * Answer   0  "EPP"   3  2   4  token (4)   8  bytes of the UDP payload that arrived (4)
 * ```
 */
import { Data, Result } from "effect"
import * as Bytes from "../../core/data/Bytes.ts"
import * as DecodeError from "./DecodeError.ts"
import { HEADER_BYTES } from "./Packet.ts"
import { SEALED_OVERHEAD_BYTES } from "./TunnelFrame.ts"

/** One of both. The token is the asking side's own; `datagramBytes` counts the whole UDP payload. */
export type SizeProbe = Data.TaggedEnum<{
  Probe: { readonly token: number; readonly datagramBytes: number }
  Answer: { readonly token: number; readonly datagramBytes: number }
}>
/** Constructors of `SizeProbe`. */
export const SizeProbe = Data.taggedEnum<SizeProbe>()

/** What sealing adds to the payload of a packet (wire §3, §4). */
export const OVERHEAD_BYTES = HEADER_BYTES + SEALED_OVERHEAD_BYTES

/** The control payload. */
export const encode = (self: SizeProbe): Uint8Array => {
  const isProbe = self._tag === "Probe"
  const payload = new Uint8Array(isProbe ? Math.max(PROBE_BYTES, self.datagramBytes - OVERHEAD_BYTES) : ANSWER_BYTES)
  Bytes.writeU32(payload, 0, isProbe ? MAGIC_PROBE : MAGIC_ANSWER)
  Bytes.writeU32(payload, 4, self.token)
  if (!isProbe) Bytes.writeU32(payload, PROBE_BYTES, self.datagramBytes)
  return payload
}

/** Reads a control payload. Of a probe, its own length is what counts. */
export const decode = (payload: Uint8Array): Result.Result<SizeProbe, DecodeError.DecodeError> => {
  if (payload.length < PROBE_BYTES) return DecodeError.truncated(PROBE_BYTES, payload.length)
  const magic = Bytes.readU32(payload, 0)
  const token = Bytes.readU32(payload, 4)
  if (magic === MAGIC_PROBE)
    return Result.succeed(SizeProbe.Probe({ token, datagramBytes: payload.length + OVERHEAD_BYTES }))
  if (magic !== MAGIC_ANSWER) return DecodeError.badMagic
  if (payload.length < ANSWER_BYTES) return DecodeError.truncated(ANSWER_BYTES, payload.length)
  return Result.succeed(SizeProbe.Answer({ token, datagramBytes: Bytes.readU32(payload, PROBE_BYTES) }))
}

/** "EPP", then which of both. */
const MAGIC_PROBE = 0x45505001
const MAGIC_ANSWER = 0x45505002
const PROBE_BYTES = 8
const ANSWER_BYTES = 12
