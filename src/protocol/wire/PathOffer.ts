/**
 * Where a node may be reached without the relay, told to a peer inside their tunnel (wire §17 bit 3): a sealed control packet
 * to port 1. Peers of the reference ignore it.
 *
 * ```
 * 0  "EPC", 1   4  round (1)   5  round heard (1)   6  entries: kind (1), bytes of the address (1: 4 or 16), address, port (2)
 * ```
 *
 * A round begins when a node's places change, and is repeated until the other side says that it has heard it. 0 is no round.
 */
import { Result } from "effect"
import * as ByteReader from "../../core/data/ByteReader.ts"
import * as Bytes from "../../core/data/Bytes.ts"
import type { Endpoint } from "../../core/data/Endpoint.ts"
import * as IpAddress from "../../core/data/IpAddress.ts"
import * as DecodeError from "./DecodeError.ts"

/**
 * How a node came to a place: an interface of its own, the beacon's word, or the operator's or a translator's promise.
 * `sequential` is the beacon's word about a translator that gives every new destination one of the ports after it.
 */
export type Kind = "host" | "reflexive" | "mapped" | "sequential"

/** One of them. */
export interface Place {
  readonly kind: Kind
  readonly endpoint: Endpoint
}

/** `round` and `heard` are from 0 to 255. */
export interface PathOffer {
  readonly round: number
  readonly heard: number
  readonly places: ReadonlyArray<Place>
}

/** The control payload; places beyond the limit and hosts that are no literals are left out. */
export const encode = ({ heard, places, round }: PathOffer): Uint8Array => {
  const head = new Uint8Array(HEADER_BYTES)
  Bytes.writeU32(head, 0, MAGIC)
  head[4] = round
  head[5] = heard
  const entries = places.slice(0, PLACES_MAX).flatMap(({ endpoint, kind }) => {
    const address = IpAddress.parse(endpoint.host)
    if (address === undefined) return []
    return [Bytes.concat(Uint8Array.of(KINDS.indexOf(kind), address.length), address, Bytes.ofU16(endpoint.port))]
  })
  return Bytes.concat(head, ...entries)
}

/** Reads a control payload; kinds that are not known are skipped, and so is what comes after the limit. */
export const decode = (payload: Uint8Array): Result.Result<PathOffer, DecodeError.DecodeError> => {
  if (payload.length < HEADER_BYTES) return DecodeError.truncated(HEADER_BYTES, payload.length)
  if (Bytes.readU32(payload, 0) !== MAGIC) return DecodeError.badMagic
  const reader = ByteReader.make(payload.subarray(4))
  const round = ByteReader.u8(reader)
  const heard = ByteReader.u8(reader)
  const places: Array<Place> = []
  while (ByteReader.remaining(reader) > 0 && places.length < PLACES_MAX) {
    const kind = KINDS[ByteReader.u8(reader)]
    const host = IpAddress.format(ByteReader.take(reader, ByteReader.u8(reader)))
    const port = ByteReader.u16(reader)
    if (reader.isOverrun || host === undefined) return DecodeError.truncated(payload.length + 1, payload.length)
    if (kind !== undefined) places.push({ kind, endpoint: { host, port } })
  }
  return Result.succeed({ round, heard, places })
}

/** "EPC" and format 1. */
const MAGIC = 0x45504301
const HEADER_BYTES = 6
const KINDS: ReadonlyArray<Kind> = ["host", "reflexive", "mapped", "sequential"]
/** Of one offer, ours and theirs. */
export const PLACES_MAX = 6
