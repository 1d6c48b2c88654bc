/** MCP: the relay's frames, the lines of stdio servers, the look at JSON-RPC messages, and our own client's. */
import { Result } from "effect"
import * as Bytes from "../../../src/core/data/Bytes.ts"
import * as Json from "../../../src/core/data/Json.ts"
import * as Era from "../../../src/protocol/mcp/Era.ts"
import * as JsonRpc from "../../../src/protocol/mcp/JsonRpc.ts"
import * as PlainText from "../../../src/protocol/mcp/PlainText.ts"
import * as BrokenMessage from "../../../src/protocol/relay/BrokenMessage.ts"
import * as CallArguments from "../../../src/protocol/relay/CallArguments.ts"
import * as CallResult from "../../../src/protocol/relay/CallResult.ts"
import { EnvelopeScan } from "../../../src/protocol/relay/EnvelopeScan.ts"
import { FrameSplitter } from "../../../src/protocol/relay/FrameSplitter.ts"
import * as JsonRpcPeek from "../../../src/protocol/relay/JsonRpcPeek.ts"
import * as JsonScanner from "../../../src/protocol/relay/JsonScanner.ts"
import { LineSplitter } from "../../../src/protocol/relay/LineSplitter.ts"
import * as ListedHealth from "../../../src/protocol/relay/ListedHealth.ts"
import { Opening } from "../../../src/protocol/relay/Opening.ts"
import * as RelayFrame from "../../../src/protocol/relay/RelayFrame.ts"
import * as ServiceListing from "../../../src/protocol/relay/ServiceListing.ts"
import * as Arb from "../../support/Arbitraries.ts"
import * as Corpus from "../Corpus.ts"
import * as Fuzzer from "../Fuzzer.ts"
import { assertSame, chunks } from "../Oracle.ts"
import type { Random } from "../Random.ts"

const SESSION = "4f0c5a2e9b7d4c1f8a63e0d5b2917c44"
const LIMITS = { frame: 65_536, message: 16_777_216, window: 4_194_304 }
const PAYLOAD = Bytes.fromUtf8('{"jsonrpc":"2.0","id":1,"method":"ping"}')
const HELLO = { v: 1, session: SESSION, resumeKey: "k".repeat(43), rx: 0, service: "files" }
const FRAMES: ReadonlyArray<RelayFrame.Frame> = [
  RelayFrame.Frame.Hello({ hello: { ...HELLO, limits: LIMITS } }),
  RelayFrame.Frame.Hello({ hello: { ...HELLO, rx: 2 ** 53 - 1, epoch: 3 } }),
  RelayFrame.Frame.Welcome({ welcome: { v: 1, resumed: true, rx: 5, epoch: 2, lingerMs: 1000, limits: LIMITS } }),
  RelayFrame.Frame.Data({ seq: 1, last: true, rel: undefined, payload: PAYLOAD }),
  RelayFrame.Frame.Data({ seq: 2 ** 53 - 1, last: false, rel: '"a"', payload: PAYLOAD }),
  RelayFrame.Frame.Ack({ rx: 2 ** 40, credit: 65_536 }),
  RelayFrame.Frame.Ping({ opaque: Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8) }),
  RelayFrame.Frame.Pong({ opaque: Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8) }),
  RelayFrame.Frame.Bye({ bye: { reason: "closed", detail: "x" } }),
  RelayFrame.Frame.Status({ status: { state: "starting", ref: { a: [1] } } })
]

const messages = (): ReadonlyArray<Uint8Array> => [
  ...Corpus.vectorJson(({ jsonrpc }) => jsonrpc === "2.0"),
  ...Corpus.jsons(
    { jsonrpc: "2.0", id: "a", method: "tools/call", params: { name: "x", _meta: { progressToken: 5 } } },
    { jsonrpc: "2.0", id: 1, result: { protocolVersion: "2025-06-18", capabilities: { tools: {} } } },
    { jsonrpc: "2.0", method: "notifications/cancelled", params: { requestId: 1 } },
    { jsonrpc: "2.0", id: 2, method: "resources/subscribe", params: { uri: "file:///a" } },
    [
      { jsonrpc: "2.0", id: 1, method: "ping" },
      { jsonrpc: "2.0", id: 2, method: "ping" }
    ]
  )
]

const lines = (): ReadonlyArray<Uint8Array> => {
  const all = messages()
  return all.map((line, index) =>
    Bytes.concat(line, Bytes.fromUtf8("\n"), all[(index * 5) % all.length]!, Bytes.fromUtf8("\r\n"))
  )
}

/** The scanner takes exactly what `JSON.parse` takes, down to the depth that both follow. */
const scanned = (bytes: Uint8Array): unknown => {
  const root = JsonScanner.read(bytes, { start: 0, end: bytes.length })
  const text = Bytes.toUtf8(bytes)
  // A byte order mark is no JSON, but the decoder of text would take it away.
  if (text === undefined || text.startsWith("\ufeff") || bytes[0] === 0xef) return root
  const value = Json.parse(text)
  if ((root === undefined) !== (value === undefined))
    throw new Error(`JSON.parse says ${value === undefined ? "no" : "yes"}`)
  if (root?._tag === "Object") {
    const names = new Set(root.members.map(({ key }) => key.toWellFormed()))
    assertSame([...names].toSorted(), Object.keys(value as object).toSorted(), "other members than JSON.parse finds")
  }
  return root
}

const peeked = (bytes: Uint8Array): unknown => [
  JsonRpcPeek.look(bytes),
  JsonRpcPeek.member(bytes, ["params", "name"]),
  JsonRpcPeek.member(bytes, ["result", "protocolVersion"])
]

/** A frame that was read is read as the same again; and the cuts of a stream change nothing. */
const frames = (bytes: Uint8Array, next: Random): unknown => {
  const whole = new FrameSplitter().push(Bytes.copy(bytes))
  const splitter = new FrameSplitter()
  const pieces: Array<RelayFrame.Frame> = []
  let isBroken = false
  for (const chunk of chunks(bytes, next)) {
    const part = splitter.push(chunk)
    if (Result.isFailure(part)) isBroken = true
    else pieces.push(...part.success)
    if (isBroken) break
  }
  assertSame(isBroken, Result.isFailure(whole), "the cuts of a stream change whether it breaks")
  if (Result.isFailure(whole)) return whole.failure.reason
  assertSame(pieces, whole.success, "the cuts of a stream change its frames")
  for (const frame of whole.success) {
    const again = Result.getOrThrow(new FrameSplitter().push(RelayFrame.encode(frame)))
    assertSame(again[0], frame, "its own writing is read as something else")
  }
  return whole.success
}

const bodies = (bytes: Uint8Array): unknown => {
  const decoded = RelayFrame.decode(bytes[0] ?? 0, bytes.subarray(1))
  return Result.isFailure(decoded) ? decoded.failure.reason : decoded.success
}

const cut = (bytes: Uint8Array, next: Random): unknown => {
  const whole = new LineSplitter(LINE_BYTES_MAX)
  const expected = [...whole.push(Bytes.copy(bytes)), whole.finish()]
  const splitter = new LineSplitter(LINE_BYTES_MAX)
  const actual = [...chunks(bytes, next).flatMap((chunk) => splitter.push(chunk)), splitter.finish()]
  assertSame(actual, expected, "the cuts of a stream change its lines")
  return expected
}

/** What is kept of a message too long to keep agrees with a look at the whole. */
const skimmed = (bytes: Uint8Array): unknown => {
  const scan = new EnvelopeScan()
  scan.push(bytes)
  const envelope = scan.envelope()
  const peek = JsonRpcPeek.peek(bytes)
  if (Result.isSuccess(peek) && peek.success._tag === "Response") assertSame(envelope, peek.success, "another response")
  return envelope
}

/** What is told of a broken line agrees with a look at a whole one. */
const guessed = (bytes: Uint8Array): unknown => {
  const broken = BrokenMessage.read(bytes)
  const peek = JsonRpcPeek.peek(bytes)
  if (Result.isSuccess(peek) && peek.success._tag === "Response" && broken?.kind === "Response") {
    assertSame(broken.id, peek.success.id, "another id")
  }
  return [broken, BrokenMessage.refusals(bytes)]
}

/** What a client of our own makes of it: its answers, the revisions they name, and its text as it is shown. */
const understood = (bytes: Uint8Array): unknown => {
  const line = Bytes.toUtf8Lossy(bytes)
  const { text } = PlainText.clean(line)
  assertSame(PlainText.clean(text).text, text, "cleaned text is cleaned again")
  return JsonRpc.parse(line).map((message) =>
    message._tag === "Result" ? [Era.ofInitialize(message.result), Era.ofDiscover(message.result)] : message
  )
}

/** Each message in both directions. */
const opened = (bytes: Uint8Array): unknown => {
  const opening = new Opening()
  const envelope = JsonRpcPeek.peek(bytes)
  if (Result.isFailure(envelope)) return envelope.failure.reason
  opening.sent(PAYLOAD_INITIALIZE, INITIALIZE)
  opening.sent(bytes, envelope.success)
  opening.received(bytes, envelope.success)
  return [opening.isComplete, opening.isSame(bytes), opening.replays.length]
}

/** What rules see of a call's arguments is what a server reads, or it is unclear. */
const argued = (bytes: Uint8Array): unknown => {
  if (Result.isFailure(JsonRpcPeek.peek(bytes))) return undefined
  const argument = CallArguments.reader(bytes, { start: 0, end: bytes.length })
  const params = Json.member(Json.parseObject(Bytes.toUtf8Lossy(bytes)) ?? {}, "params")
  const given = Json.isObject(params) ? Json.member(params, "arguments") : undefined
  return ["message", "path", "a"].map((name) => {
    const seen = argument(name)
    const value = Json.isObject(given) ? Json.member(given, name) : undefined
    if (typeof seen === "string" && typeof value === "string") assertSame(seen, value, "a rule sees another argument")
    return typeof seen === "string" ? seen : seen === undefined
  })
}

/** A list that was read is read as the same again. */
const askedAndListed = (bytes: Uint8Array): unknown => {
  const services = ServiceListing.parseReply(bytes)
  if (Result.isFailure(services)) return [ServiceListing.parseRequest(bytes), services.failure.detail]
  const again = ServiceListing.parseReply(ServiceListing.reply(1, ServiceListing.result(services.success)))
  assertSame(Result.getOrThrow(again), services.success, "its own writing is read as something else")
  return services.success
}

/** Every format of this file. */
export const targets: ReadonlyArray<Fuzzer.Target> = [
  Fuzzer.decoder({
    name: "relay/JsonScanner",
    covers: [JsonScanner.read, Json.parse],
    format: "json",
    samples: () => [...Corpus.generated(Arb.json, (value) => Bytes.fromUtf8(JSON.stringify(value))), ...messages()],
    decode: scanned
  }),
  Fuzzer.decoder({
    name: "relay/JsonRpcPeek",
    covers: [JsonRpcPeek.look, JsonRpcPeek.peek, JsonRpcPeek.member],
    format: "json",
    samples: messages,
    decode: peeked
  }),
  Fuzzer.decoder({
    name: "relay/FrameSplitter",
    covers: [FrameSplitter, RelayFrame.decode],
    format: "json",
    samples: () =>
      FRAMES.flatMap((frame, index) => {
        const bytes = RelayFrame.encode(frame)
        return [bytes, Bytes.concat(bytes, RelayFrame.encode(FRAMES[(index + 3) % FRAMES.length]!))]
      }),
    decode: frames
  }),
  Fuzzer.decoder({
    name: "relay/RelayFrame",
    covers: [RelayFrame.decode],
    format: "json",
    samples: () => FRAMES.map((frame) => RelayFrame.encode(frame).subarray(4)),
    decode: bodies
  }),
  Fuzzer.decoder({ name: "relay/LineSplitter", covers: [LineSplitter, EnvelopeScan], samples: lines, decode: cut }),
  Fuzzer.decoder({
    name: "relay/EnvelopeScan",
    covers: [EnvelopeScan],
    format: "json",
    samples: messages,
    decode: skimmed
  }),
  Fuzzer.decoder({
    name: "relay/CallResult",
    covers: [CallResult.read],
    format: "json",
    samples: messages,
    decode: (bytes) => CallResult.bridged(CallResult.read(bytes))
  }),
  Fuzzer.decoder({
    name: "relay/BrokenMessage",
    covers: [BrokenMessage.read],
    format: "json",
    samples: messages,
    decode: guessed
  }),
  Fuzzer.decoder({
    name: "mcp/JsonRpc",
    covers: [JsonRpc.parse],
    format: "json",
    samples: messages,
    decode: understood
  }),
  Fuzzer.decoder({
    name: "relay/CallArguments",
    covers: [CallArguments.reader],
    format: "json",
    samples: () => [
      ...messages(),
      ...Corpus.jsons({
        jsonrpc: "2.0",
        id: 1,
        method: "tools/call",
        params: { name: "read", arguments: { path: "data/a", message: "é", a: [1] } }
      })
    ],
    decode: argued
  }),
  Fuzzer.decoder({
    name: "relay/ServiceListing",
    covers: [ServiceListing.parseRequest, ServiceListing.parseReply, ListedHealth.decode],
    format: "json",
    samples: () => [
      ServiceListing.request(1),
      ServiceListing.reply(
        "a",
        ServiceListing.result([
          { name: "files", title: "Our files" },
          {
            name: "b",
            title: "",
            health: { breaker: "open", retryInMs: 400, look: { verdict: "healthy", tools: 14, agoMs: 61_000 } }
          }
        ])
      ),
      ServiceListing.refusal(1, ServiceListing.OVERLOADED, "Asked too often.")
    ],
    decode: askedAndListed
  }),
  Fuzzer.decoder({ name: "relay/Opening", covers: [Opening], format: "json", samples: messages, decode: opened })
]

const PAYLOAD_INITIALIZE = Bytes.fromUtf8('{"jsonrpc":"2.0","id":1,"method":"initialize","params":{}}')
const INITIALIZE = Result.getOrThrow(JsonRpcPeek.peek(PAYLOAD_INITIALIZE))
const LINE_BYTES_MAX = 200
