/**
 * Questions of our own to a beacon of our own about the translator in between (after RFC 5780, with a proof that the one
 * who is answered has asked). They share the types of beacon messages, so that other beacons drop them unanswered.
 *
 * ```
 * 0E ProbeRequest  nonce (8)  from (1)  cookie (12)  [endpoint that is to be answered]  zeros up to 62 bytes
 * 0F ProbeReply    nonce (8)  from (1)  cookie (12)  endpoint seen  other port (2)  endpoint of the other host
 *                  endpoint = IP length (1 = 0, 4 or 16)  IP  port (2); nothing else if the length is 0
 * ```
 *
 * A request is as large as the largest reply, so that a forged source gets no more than was sent.
 */
import { type Data, Result } from "effect"
import * as ByteReader from "../../core/data/ByteReader.ts"
import * as Bytes from "../../core/data/Bytes.ts"
import type { Endpoint } from "../../core/data/Endpoint.ts"
import * as IpAddress from "../../core/data/IpAddress.ts"
import * as DecodeError from "./DecodeError.ts"

/** Who is to answer, or has: the socket that was asked, one of the same host, or one of another host. */
export type Origin = "Same" | "OtherPort" | "OtherHost"

/** Lets somebody else have an endpoint answered: `cookie` was sent there a while ago. */
export interface Proof {
  readonly endpoint: Endpoint
  readonly cookie: Uint8Array
}

/** One message. Byte fields are views into the datagram. */
export type NatProbe = Data.TaggedEnum<{
  /** "Answer me from `from`", or with a proof "answer there". */
  ProbeRequest: { readonly nonce: Uint8Array; readonly from: Origin; readonly proof: Proof | undefined }
  /** `seen` is where it was sent; `cookie` proves that it arrived. */
  ProbeReply: {
    readonly nonce: Uint8Array
    readonly from: Origin
    readonly cookie: Uint8Array
    readonly seen: Endpoint
    /** Where the same host can be asked too; 0 for nowhere. */
    readonly otherPort: number
    readonly otherHost: Endpoint | undefined
  }
}>

/** Reads one message; a request that is shorter than what it may bring about is none. */
export const decode = (bytes: Uint8Array): Result.Result<NatProbe, DecodeError.DecodeError> => {
  const reader = ByteReader.make(bytes)
  const type = ByteReader.u8(reader)
  if (type !== TYPE.ProbeRequest && type !== TYPE.ProbeReply) return DecodeError.unknownType(type)
  const nonce = ByteReader.take(reader, NONCE_BYTES)
  const from = ORIGINS[ByteReader.u8(reader)]
  const cookie = ByteReader.take(reader, COOKIE_BYTES)
  const first = readEndpoint(reader)
  const isReply = type === TYPE.ProbeReply
  const otherPort = isReply ? ByteReader.u16(reader) : 0
  const second = isReply ? readEndpoint(reader) : undefined
  if (reader.isOverrun) return DecodeError.truncated(bytes.length + 1, bytes.length)
  if (from === undefined) return DecodeError.malformed("origin")
  if (first === "bad" || second === "bad") return DecodeError.malformed("IP length")
  if (!isReply) {
    if (bytes.length < SIZE_BYTES) return DecodeError.truncated(SIZE_BYTES, bytes.length)
    const proof = first === undefined ? undefined : { endpoint: first, cookie }
    return Result.succeed({ _tag: "ProbeRequest", nonce, from, proof })
  }
  if (first === undefined) return DecodeError.malformed("endpoint seen")
  return Result.succeed({ _tag: "ProbeReply", nonce, from, cookie, seen: first, otherPort, otherHost: second })
}

/** The datagram. Nonce and cookie have their sizes by contract. */
export const encode = (self: NatProbe): Uint8Array => {
  const from = Uint8Array.of(ORIGINS.indexOf(self.from))
  if (self._tag === "ProbeReply") {
    const head = Bytes.concat(Uint8Array.of(TYPE.ProbeReply), self.nonce, from, self.cookie, endpointBytes(self.seen))
    return Bytes.concat(head, Bytes.ofU16(self.otherPort), endpointBytes(self.otherHost))
  }
  const { proof } = self
  const cookie = proof?.cookie ?? new Uint8Array(COOKIE_BYTES)
  const head = Bytes.concat(
    ...[Uint8Array.of(TYPE.ProbeRequest), self.nonce, from, cookie, endpointBytes(proof?.endpoint)]
  )
  return Bytes.concat(head, new Uint8Array(SIZE_BYTES - head.length))
}

/** Whether a datagram is one of these, by its first byte. */
export const isType = (type: number | undefined): boolean => type === TYPE.ProbeRequest || type === TYPE.ProbeReply

/** Bytes of a nonce, which ties a reply to its request. */
export const NONCE_BYTES = 8
/** Bytes of a cookie. */
export const COOKIE_BYTES = 12

const readEndpoint = (reader: ByteReader.ByteReader): Endpoint | undefined | "bad" => {
  const sizeBytes = ByteReader.u8(reader)
  if (sizeBytes === 0) return undefined
  if (sizeBytes !== 4 && sizeBytes !== 16) return "bad"
  const host = IpAddress.format(ByteReader.take(reader, sizeBytes))
  const port = ByteReader.u16(reader)
  return host === undefined ? "bad" : { host, port }
}

const endpointBytes = (endpoint: Endpoint | undefined): Uint8Array => {
  if (endpoint === undefined) return Uint8Array.of(0)
  const address = IpAddress.parse(endpoint.host) ?? new Uint8Array(4)
  return Bytes.concat(Uint8Array.of(address.length), address, Bytes.ofU16(endpoint.port))
}

const TYPE = { ProbeRequest: 0x0e, ProbeReply: 0x0f } as const
const ORIGINS: ReadonlyArray<Origin> = ["Same", "OtherPort", "OtherHost"]
/** Type, nonce, origin, cookie, two endpoints of IPv6 and a port. */
const SIZE_BYTES = 1 + NONCE_BYTES + 1 + COOKIE_BYTES + 2 * (1 + 16 + 2) + 2
