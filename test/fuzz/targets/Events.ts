/** The event stream: frames, our extension of it, and the patterns of subscribers. */
import { Result } from "effect"
import * as AddressScope from "../../../src/core/data/AddressScope.ts"
import * as Bytes from "../../../src/core/data/Bytes.ts"
import * as TopicPattern from "../../../src/protocol/pubsub/TopicPattern.ts"
import * as WebhookTarget from "../../../src/protocol/webhook/WebhookTarget.ts"
import { NodeId } from "../../../src/protocol/wire/Address.ts"
import * as EventExtension from "../../../src/protocol/wire/EventExtension.ts"
import * as EventFrame from "../../../src/protocol/wire/EventFrame.ts"
import * as Arb from "../../support/Arbitraries.ts"
import * as Corpus from "../Corpus.ts"
import * as Fuzzer from "../Fuzzer.ts"
import { assertSame, assertStable } from "../Oracle.ts"
import type * as Random from "../Random.ts"

/** However a stream is cut, the frames are the same, and what is held is no more than what has come. */
const split = (bytes: Uint8Array, next: Random.Random): unknown => {
  const whole = new EventFrame.EventFrameSplitter().push(bytes)
  const splitter = new EventFrame.EventFrameSplitter()
  const frames: Array<EventFrame.EventFrame> = []
  let exceeded: unknown
  for (let rest = bytes; rest.length > 0; ) {
    const size = 1 + next(Math.min(rest.length, 40))
    const part = splitter.push(rest.subarray(0, size))
    rest = rest.subarray(size)
    frames.push(...part.frames)
    exceeded = part.exceeded ?? exceeded
  }
  const shown = (list: ReadonlyArray<EventFrame.EventFrame>) =>
    list.map(({ payload, topic }) => `${Bytes.toHex(topic)} ${Bytes.toHex(payload)}`)
  assertSame(shown(frames), shown(whole.frames), "the cuts of a stream change its frames")
  assertSame(exceeded, whole.exceeded, "the cuts of a stream change where it ends")
  const written = Bytes.concat(...frames.map(({ payload, topic }) => EventFrame.encode(topic, payload)))
  assertSame(Bytes.toHex(written), Bytes.toHex(bytes.subarray(0, written.length)), "frames are written as others")
  return frames.length
}

const offers: ReadonlyArray<EventExtension.Offer> = [
  { _tag: "Publish", nonce: "n" },
  {
    ...{ _tag: "Subscribe", nonce: "00ff", filter: "data.*", consumer: "reporter" },
    ...{ start: { _tag: "Earliest" }, policy: "block" }
  },
  {
    ...{ _tag: "Subscribe", nonce: "00ff", filter: "", consumer: undefined },
    ...{ start: { _tag: "After", sequence: 12, log: "ab" }, policy: "drop" }
  },
  { _tag: "Subscribe", nonce: "00ff", filter: "*", consumer: undefined, start: { _tag: "Now" }, policy: "replay" }
]

const messages: ReadonlyArray<EventExtension.Message> = [
  {
    ...{ _tag: "Event", sequence: 7, publishedAtMs: 1_771_000_000_000, publisher: NodeId(2) },
    data: Bytes.fromUtf8("first")
  },
  { _tag: "Stored", ordinal: 3, sequence: 2 ** 40 },
  { _tag: "Refused", ordinal: 1, reason: "full" },
  { _tag: "Gap", first: 1, last: 9 },
  { _tag: "Dropped", count: 5 },
  { _tag: "Acknowledge", sequence: Number.MAX_SAFE_INTEGER }
]

/** What is wanted does not depend on how often it is asked, and every pattern finds itself without its stars. */
const match = (bytes: Uint8Array): unknown => {
  const [wanted = "", topic = ""] = Bytes.toUtf8Lossy(bytes).split("\n")
  const pattern = TopicPattern.parse(wanted)
  const parts = TopicPattern.topic(topic)
  const found = TopicPattern.matches(pattern, parts)
  if (pattern.exact !== undefined && found !== (wanted === topic)) throw new Error("a plain topic is not that topic")
  if (!TopicPattern.matches(TopicPattern.parse(TopicPattern.literal(pattern)), parts) && found)
    throw new Error("the coarse filter holds back what is wanted")
  if (!TopicPattern.matches(TopicPattern.parse("*"), parts)) throw new Error("* is not everything")
  if (!TopicPattern.matches(pattern, TopicPattern.topic(wanted.replaceAll("*", "x"))) && /^[^*]*$/.test(wanted))
    throw new Error("a pattern does not match its own topic")
  return found
}

/** Whatever the operator's text is: a name never leads to a special address that no block names. */
const target = (bytes: Uint8Array): unknown => {
  const [url = "", block = ""] = Bytes.toUtf8Lossy(bytes).split("\n")
  AddressScope.parseBlock(block)
  const parsed = WebhookTarget.parse(url)
  if (Result.isFailure(parsed)) return parsed.failure
  const host = new URL(url).hostname
  const isName = !/^[\d.]+$|^\[|^localhost$/.test(host)
  for (const address of ["169.254.169.254", "10.1.2.3", "::1", "fe80::1", "::ffff:127.0.0.1", "not one"])
    if (isName && parsed.success.admits(address)) throw new Error(`${host} may lead to ${address}`)
  return host
}

/** Every format of this file. */
export const targets: ReadonlyArray<Fuzzer.Target> = [
  Fuzzer.decoder({
    name: "wire/EventFrame",
    covers: [EventFrame.EventFrameSplitter],
    samples: () => [
      ...Corpus.generated(Arb.bytes(40), (bytes) => EventFrame.encode(bytes.subarray(0, 8), bytes)),
      Bytes.concat(
        EventFrame.encode(Bytes.fromUtf8("news")),
        EventFrame.encode(Bytes.fromUtf8("*"), Bytes.fromUtf8("x"))
      )
    ],
    decode: split
  }),
  Fuzzer.decoder({
    name: "wire/EventExtension offer",
    covers: [EventExtension.decodeOffer],
    samples: () => offers.map(EventExtension.encodeOffer),
    decode: (bytes) => assertStable(EventExtension.decodeOffer, EventExtension.encodeOffer, bytes)
  }),
  Fuzzer.decoder({
    name: "wire/EventExtension answer",
    covers: [EventExtension.decodeAnswer],
    samples: () => [EventExtension.encodeAnswer({ nonce: "00ff", log: "ab", position: 12 })],
    decode: (bytes) => assertStable(EventExtension.decodeAnswer, EventExtension.encodeAnswer, bytes)
  }),
  Fuzzer.decoder({
    name: "wire/EventExtension message",
    covers: [EventExtension.decode],
    samples: () => messages.map(EventExtension.encode),
    decode: (bytes) => {
      const decoded = assertStable(EventExtension.decode, EventExtension.encode, bytes)
      if (Result.isSuccess(decoded) && decoded.success._tag === "Event" && decoded.success.data.length > bytes.length)
        throw new Error("more data than came")
      return decoded
    }
  }),
  Fuzzer.decoder({
    name: "pubsub/TopicPattern",
    covers: [TopicPattern.parse],
    samples: () => Corpus.texts("data.*\ndata.a.b", "**.x\na.b.x", "a/*/c\na/b/c", "*\n", "a.**.b.**.c\na.b.b.c"),
    decode: match
  }),
  Fuzzer.decoder({
    name: "webhook/WebhookTarget",
    covers: [WebhookTarget.parse, AddressScope.parseBlock],
    samples: () =>
      Corpus.texts(
        "https://example.org/hook?a=b\n10.0.0.0/8",
        "http://127.0.0.1:9999/hook\n",
        "http://[::1]:80/\nfd00::/8",
        "http://localhost/\n192.168.1.7",
        "http://user:secret@example.org/\n2001:db8::/32"
      ),
    decode: target
  })
]
