/**
 * How two of our nodes agree on birthday probing (wire §17 bit 6): sealed control packets to port 1, by the path in use. The one
 * behind a translator that draws its ports opens many sockets, the other one guesses ports. Peers of the reference, and nodes that have
 * not announced the bit, never see one.
 *
 * ```
 * 0  "EPB", 1   4  kind (1)   5  round (1)   6  number (2)   8  bytes of the address (1: 0, 4, 16), address, port (2)
 * Asked    1  place of the asking side, as the beacon sees it     Opened   4  number: sockets that have knocked
 * Agreed   2  place of the other one                              Ended    5  number: probes that were sent
 * Declined 3  number: the reason
 * ```
 *
 * Every message but `Declined` and `Ended` is repeated once a second, and means the same each time.
 */
import { Data, Result } from "effect"
import * as ByteReader from "../../core/data/ByteReader.ts"
import * as Bytes from "../../core/data/Bytes.ts"
import type { Endpoint } from "../../core/data/Endpoint.ts"
import * as IpAddress from "../../core/data/IpAddress.ts"
import * as DecodeError from "./DecodeError.ts"

/**
 * Why a node does not guess. `NotPredictable`: its own translator gives other ports to other peers, or it does not know. `NotNow`: a
 * direct path is in use here. `Busy`: with another peer. `Limited`: too much was sent there lately. `Unplaced`: the beacon did not say
 * that the peer is there, or nobody may be probed there.
 */
export type Reason = "NotPredictable" | "NotNow" | "Busy" | "Limited" | "Unplaced"

/** One of them. `round`, from 0 to 255, tells tries apart. */
export type BirthdayMessage = Data.TaggedEnum<{
  Asked: { readonly round: number; readonly place: Endpoint }
  Agreed: { readonly round: number; readonly place: Endpoint }
  Declined: { readonly round: number; readonly reason: Reason }
  Opened: { readonly round: number; readonly sockets: number }
  Ended: { readonly round: number; readonly probes: number }
}>
/** Constructors of `BirthdayMessage`. */
export const BirthdayMessage = Data.taggedEnum<BirthdayMessage>()

/** The control payload. A place must be a literal. */
export const encode = (self: BirthdayMessage): Uint8Array => {
  const head = new Uint8Array(HEADER_BYTES)
  Bytes.writeU32(head, 0, MAGIC)
  head[4] = KINDS.indexOf(self._tag) + 1
  head[5] = self.round
  Bytes.writeU16(head, 6, numberOf(self))
  if (self._tag !== "Asked" && self._tag !== "Agreed") return Bytes.concat(head, Uint8Array.of(0))
  const address = IpAddress.parse(self.place.host) ?? Bytes.empty
  return Bytes.concat(head, Uint8Array.of(address.length), address, Bytes.ofU16(self.place.port))
}

/** Reads a control payload; what comes after a message is skipped. */
export const decode = (payload: Uint8Array): Result.Result<BirthdayMessage, DecodeError.DecodeError> => {
  if (payload.length < HEADER_BYTES) return DecodeError.truncated(HEADER_BYTES, payload.length)
  if (Bytes.readU32(payload, 0) !== MAGIC) return DecodeError.badMagic
  const reader = ByteReader.make(payload.subarray(4))
  const kind = KINDS[ByteReader.u8(reader) - 1]
  const round = ByteReader.u8(reader)
  const number = ByteReader.u16(reader)
  switch (kind) {
    case "Opened":
      return Result.succeed(BirthdayMessage.Opened({ round, sockets: number }))
    case "Ended":
      return Result.succeed(BirthdayMessage.Ended({ round, probes: number }))
    case "Declined":
      // A reason that a newer node gives is one all the same.
      return Result.succeed(BirthdayMessage.Declined({ round, reason: REASONS[number - 1] ?? "NotNow" }))
    case undefined:
      return DecodeError.badMagic
    default: {
      const host = IpAddress.format(ByteReader.take(reader, ByteReader.u8(reader)))
      const port = ByteReader.u16(reader)
      if (reader.isOverrun || host === undefined) return DecodeError.truncated(payload.length + 1, payload.length)
      return Result.succeed({ _tag: kind, round, place: { host, port } })
    }
  }
}

const numberOf = (self: BirthdayMessage): number => {
  switch (self._tag) {
    case "Declined":
      return REASONS.indexOf(self.reason) + 1
    case "Opened":
      return Math.min(self.sockets, NUMBER_MAX)
    case "Ended":
      return Math.min(self.probes, NUMBER_MAX)
    default:
      return 0
  }
}

/** "EPB" and format 1. */
const MAGIC = 0x45504201
const HEADER_BYTES = 8
const NUMBER_MAX = 0xffff
const KINDS: ReadonlyArray<BirthdayMessage["_tag"]> = ["Asked", "Agreed", "Declined", "Opened", "Ended"]
const REASONS: ReadonlyArray<Reason> = ["NotPredictable", "NotNow", "Busy", "Limited", "Unplaced"]
