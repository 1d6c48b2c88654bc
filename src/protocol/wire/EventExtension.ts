/**
 * What our nodes add to the event stream (wire §17, decision 50). It is offered in the payload of the first frame, which
 * brokers of the reference ignore (node §5), and in force once the broker has answered with the offer's own nonce: nobody
 * else who can send an event knows it.
 *
 * ```
 * offer, answer:  "EPE"  3 format, 1  4 JSON
 * then, from the broker:            then, from the client:
 *   1  event: sequence (8), time in ms (8), publisher (4), data     to publish: plain frames, counted from 1
 *   2  stored: ordinal (4), sequence (8)                            7  acknowledge: sequence (8)
 *   3  refused: ordinal (4), why
 *   4  gap: first (8), last (8)
 *   5  dropped: count (8)
 * ```
 *
 * A client either subscribes or publishes; the topic of everything but events is empty.
 */
import { Result } from "effect"
import * as ByteReader from "../../core/data/ByteReader.ts"
import * as Bytes from "../../core/data/Bytes.ts"
import * as GoJson from "../../core/data/GoJson.ts"
import * as Json from "../../core/data/Json.ts"
import { NodeId } from "./Address.ts"
import * as DecodeError from "./DecodeError.ts"

/**
 * What happens with a subscriber that does not keep up. `replay`: it goes on from the log. `block`: publishers wait for it
 * for a while. `drop`: the oldest events are left out, and it is told how many.
 */
export type Policy = "replay" | "block" | "drop"

/** Where a subscription begins: with what is published from now on, with the oldest kept, or behind a sequence number. */
export type Start =
  | { readonly _tag: "Now" }
  | { readonly _tag: "Earliest" }
  | { readonly _tag: "After"; readonly sequence: number; readonly log: string }

/** What a client asks for. */
export type Offer =
  | { readonly _tag: "Publish"; readonly nonce: string }
  | {
      readonly _tag: "Subscribe"
      readonly nonce: string
      /** A pattern; the topic of the frame is what a broker of the reference understands of it. */
      readonly filter: string
      /** The broker keeps the place of a named consumer; it begins at `start` the first time only. */
      readonly consumer: string | undefined
      readonly start: Start
      readonly policy: Policy
    }

/** What a broker says first. */
export interface Answer {
  readonly nonce: string
  /** Names this log; another one has numbers of its own. */
  readonly log: string
  /** What comes begins behind this sequence number. */
  readonly position: number
}

/** Everything after the first frames. */
export type Message =
  | {
      readonly _tag: "Event"
      readonly sequence: number
      readonly publishedAtMs: number
      readonly publisher: NodeId
      readonly data: Uint8Array
    }
  | { readonly _tag: "Stored"; readonly ordinal: number; readonly sequence: number }
  | { readonly _tag: "Refused"; readonly ordinal: number; readonly reason: string }
  /** These are not kept any more. */
  | { readonly _tag: "Gap"; readonly first: number; readonly last: number }
  | { readonly _tag: "Dropped"; readonly count: number }
  | { readonly _tag: "Acknowledge"; readonly sequence: number }

/** What stands before the data of an event. */
export const EVENT_HEAD_BYTES = 21
/** Longest name of a consumer, in characters. */
export const CONSUMER_CHARACTERS_MAX = 128

/** The payload of a first frame. */
export const encodeOffer = (self: Offer): Uint8Array =>
  withMagic(
    self._tag === "Publish"
      ? { mode: "publish", nonce: self.nonce }
      : {
          mode: "subscribe",
          nonce: self.nonce,
          filter: self.filter,
          ...(self.consumer === undefined ? {} : { consumer: self.consumer }),
          ...startMembers(self.start),
          policy: self.policy
        }
  )

/** Reads the payload of a first frame; anything that is no offer of this format is left to the plain stream. */
export const decodeOffer = (payload: Uint8Array): Result.Result<Offer, DecodeError.DecodeError> =>
  Result.flatMap(membersOf(payload), (members): Result.Result<Offer, DecodeError.DecodeError> => {
    const nonce = Json.string(members, "nonce")
    if (nonce === "" || nonce.length > NONCE_CHARACTERS_MAX) return DecodeError.malformed("nonce")
    const mode = Json.string(members, "mode")
    if (mode === "publish") return Result.succeed({ _tag: "Publish", nonce })
    if (mode !== "subscribe") return DecodeError.malformed("mode")
    const consumer = Json.string(members, "consumer")
    if (consumer.length > CONSUMER_CHARACTERS_MAX) return DecodeError.malformed("consumer")
    const policy = POLICIES.find((known) => known === Json.string(members, "policy")) ?? "replay"
    return Result.succeed({
      _tag: "Subscribe",
      nonce,
      filter: Json.string(members, "filter"),
      consumer: consumer === "" ? undefined : consumer,
      start: startOf(members),
      policy
    })
  })

/** The payload of the broker's first frame. */
export const encodeAnswer = ({ log, nonce, position }: Answer): Uint8Array => withMagic({ log, nonce, position })

/** Reads it; a broker of the reference sends an event instead, whose payload may be anything. */
export const decodeAnswer = (payload: Uint8Array): Result.Result<Answer, DecodeError.DecodeError> =>
  Result.map(membersOf(payload), (members) => ({
    nonce: Json.string(members, "nonce"),
    log: Json.string(members, "log"),
    position: Math.max(0, Json.integer(members, "position"))
  }))

/** The head of an event's payload; the data follows it. */
export const eventHead = (sequence: number, publishedAtMs: number, publisher: NodeId): Uint8Array => {
  const head = new Uint8Array(EVENT_HEAD_BYTES)
  head[0] = Kind.Event
  Bytes.writeU64(head, 1, sequence)
  Bytes.writeU64(head, 9, publishedAtMs)
  Bytes.writeU32(head, 17, publisher)
  return head
}

/** The payload of a later frame. */
export const encode = (self: Message): Uint8Array => {
  switch (self._tag) {
    case "Event":
      return Bytes.concat(eventHead(self.sequence, self.publishedAtMs, self.publisher), self.data)
    case "Stored":
      return Bytes.concat(Uint8Array.of(Kind.Stored), Bytes.ofU32(self.ordinal), ofU64(self.sequence))
    case "Refused":
      return Bytes.concat(Uint8Array.of(Kind.Refused), Bytes.ofU32(self.ordinal), Bytes.fromUtf8(self.reason))
    case "Gap":
      return Bytes.concat(Uint8Array.of(Kind.Gap), ofU64(self.first), ofU64(self.last))
    case "Dropped":
      return Bytes.concat(Uint8Array.of(Kind.Dropped), ofU64(self.count))
    case "Acknowledge":
      return Bytes.concat(Uint8Array.of(Kind.Acknowledge), ofU64(self.sequence))
  }
}

/** Reads the payload of a later frame; data is a view. */
export const decode = (payload: Uint8Array): Result.Result<Message, DecodeError.DecodeError> => {
  const reader = ByteReader.make(payload)
  const kind = ByteReader.u8(reader)
  const message = read(reader, kind)
  if (reader.isOverrun) return DecodeError.truncated(payload.length + 1, payload.length)
  if (message === undefined) return DecodeError.unknownType(kind)
  const hasRest = message._tag === "Event" || message._tag === "Refused"
  return !hasRest && ByteReader.remaining(reader) > 0 ? DecodeError.malformed("length") : Result.succeed(message)
}

const read = (reader: ByteReader.ByteReader, kind: number): Message | undefined => {
  switch (kind) {
    case Kind.Event: {
      const [sequence, publishedAtMs] = [ByteReader.u64(reader), ByteReader.u64(reader)]
      const publisher = NodeId(ByteReader.u32(reader))
      if (sequence === undefined || publishedAtMs === undefined) return undefined
      return { _tag: "Event", sequence, publishedAtMs, publisher, data: ByteReader.rest(reader) }
    }
    case Kind.Stored: {
      const ordinal = ByteReader.u32(reader)
      const sequence = ByteReader.u64(reader)
      return sequence === undefined ? undefined : { _tag: "Stored", ordinal, sequence }
    }
    case Kind.Refused:
      return {
        _tag: "Refused",
        ordinal: ByteReader.u32(reader),
        reason: shortened(Bytes.toUtf8Lossy(ByteReader.take(reader, ByteReader.remaining(reader))))
      }
    case Kind.Gap: {
      const [first, last] = [ByteReader.u64(reader), ByteReader.u64(reader)]
      return first === undefined || last === undefined ? undefined : { _tag: "Gap", first, last }
    }
    case Kind.Dropped: {
      const count = ByteReader.u64(reader)
      return count === undefined ? undefined : { _tag: "Dropped", count }
    }
    case Kind.Acknowledge: {
      const sequence = ByteReader.u64(reader)
      return sequence === undefined ? undefined : { _tag: "Acknowledge", sequence }
    }
    default:
      return undefined
  }
}

/** Cut at whole characters, so that it reads the same when it is written again. */
const shortened = (reason: string): string =>
  reason.length <= REASON_CHARACTERS_MAX ? reason : [...reason].slice(0, REASON_CHARACTERS_MAX).join("")

const startMembers = (start: Start): Json.JsonObject => {
  if (start._tag === "After") return { after: start.sequence, log: start.log }
  return start._tag === "Earliest" ? { from: "earliest" } : {}
}

const startOf = (members: Json.JsonObject): Start => {
  if (Json.member(members, "after") !== undefined)
    return { _tag: "After", sequence: Math.max(0, Json.integer(members, "after")), log: Json.string(members, "log") }
  return { _tag: Json.string(members, "from") === "earliest" ? "Earliest" : "Now" }
}

const withMagic = (members: Json.JsonObject): Uint8Array => Bytes.concat(MAGIC, Bytes.fromUtf8(GoJson.encode(members)))

const membersOf = (payload: Uint8Array): Result.Result<Json.JsonObject, DecodeError.DecodeError> => {
  if (payload.length < MAGIC.length || !Bytes.equals(payload.subarray(0, 3), MAGIC.subarray(0, 3)))
    return DecodeError.badMagic
  if (payload[3] !== FORMAT) return DecodeError.unsupportedVersion(payload[3]!)
  if (payload.length > OFFER_BYTES_MAX) return DecodeError.limitExceeded(OFFER_BYTES_MAX, payload.length)
  const members = Json.parseObject(Bytes.toUtf8Lossy(payload.subarray(MAGIC.length)))
  return members === undefined ? DecodeError.malformed("JSON") : Result.succeed(members)
}

const ofU64 = (value: number): Uint8Array => {
  const bytes = new Uint8Array(8)
  Bytes.writeU64(bytes, 0, value)
  return bytes
}

const Kind = { Event: 1, Stored: 2, Refused: 3, Gap: 4, Dropped: 5, Acknowledge: 7 } as const
const POLICIES: ReadonlyArray<Policy> = ["replay", "block", "drop"]
const FORMAT = 1
/** "EPE" and the format. */
const MAGIC = Uint8Array.of(0x45, 0x50, 0x45, FORMAT)
const NONCE_CHARACTERS_MAX = 64
/** Longest offer or answer: a topic in JSON, each byte escaped, and the rest. */
const OFFER_BYTES_MAX = 16 << 10
/** Of what a broker says against an event. */
const REASON_CHARACTERS_MAX = 512
