/** What clients and daemons, nodes and registries, peers and trust say to each other in frames and JSON. */
import { Result } from "effect"
import * as DialErrorText from "../../../src/actors/ipc/DialErrorText.ts"
import * as KeyText from "../../../src/actors/ipc/KeyText.ts"
import * as Bytes from "../../../src/core/data/Bytes.ts"
import type * as Json from "../../../src/core/data/Json.ts"
import * as HandshakeMessage from "../../../src/protocol/wire/HandshakeMessage.ts"
import * as IpcReply from "../../../src/protocol/wire/IpcReply.ts"
import * as IpcRequest from "../../../src/protocol/wire/IpcRequest.ts"
import * as LengthPrefix from "../../../src/protocol/wire/LengthPrefix.ts"
import * as RegistryMessage from "../../../src/protocol/wire/RegistryMessage.ts"
import * as RegistryReply from "../../../src/protocol/wire/RegistryReply.ts"
import * as RegistryRequest from "../../../src/protocol/wire/RegistryRequest.ts"
import * as Arb from "../../support/Arbitraries.ts"
import * as Corpus from "../Corpus.ts"
import * as Fuzzer from "../Fuzzer.ts"
import { assertSame, assertStable, chunks } from "../Oracle.ts"
import type { Random } from "../Random.ts"

const body = (frame: Uint8Array) => frame.subarray(LengthPrefix.PREFIX_BYTES)

const frames = (): ReadonlyArray<Uint8Array> => {
  const bodies = Corpus.generated(Arb.bytes(60), (part) => LengthPrefix.encode(part))
  return bodies.map((frame, index) => Bytes.concat(frame, bodies[(index * 7) % bodies.length]!))
}

/** However a stream is cut, the frames are the same, and what is held is what has come. */
const split = (bytes: Uint8Array, next: Random): unknown => {
  const whole = new LengthPrefix.Splitter(LIMIT_BYTES)
  const { exceeded, frames } = whole.push(bytes)
  const splitter = new LengthPrefix.Splitter(LIMIT_BYTES)
  const pieces: Array<Uint8Array> = []
  let limit: unknown
  for (const chunk of chunks(bytes, next)) {
    const part = splitter.push(chunk)
    pieces.push(...part.frames)
    limit = part.exceeded ?? limit
  }
  assertSame(pieces.map(Bytes.toHex), frames.map(Bytes.toHex), "the cuts of a stream change its frames")
  assertSame(limit, exceeded, "the cuts of a stream change where it ends")
  if (splitter.heldBytes > LIMIT_BYTES + LengthPrefix.PREFIX_BYTES) throw new Error("holds more than its limit")
  return frames
}

const readReplies = (object: Json.JsonObject) => [
  RegistryReply.registered(object),
  RegistryReply.heartbeatTime(object),
  RegistryReply.lookedUp(object),
  RegistryReply.resolved(object),
  RegistryReply.resolvedHostname(object),
  RegistryReply.polled(object),
  RegistryReply.punchEndpoints(object),
  RegistryMessage.failureText(object)
]

const NODE = { node_id: 2, address: "0:0000.0000.0002" }
const INBOX = [{ from_node_id: 1, justification: "x", accept: true, timestamp: 5 }]
const REPLIES: ReadonlyArray<Json.JsonObject> = [
  { ...NODE, type: "register_ok", observed_addr: "[2001:db8::1]:4000", protocol_version: 1 },
  { ...NODE, type: "lookup_ok", public_key: "A".repeat(43).concat("="), networks: [0, 5], real_addr: "1.2.3.4:5" },
  { node_id: 2, type: "resolve_ok", real_addr: "1.2.3.4:5", lan_addrs: ["10.0.0.1:1", "[::1]:2"], relay_only: true },
  { type: "poll_handshakes_ok", requests: INBOX, responses: INBOX },
  { type: "punch_ok", node_a_addr: "1.2.3.4:5", node_b_addr: "[::ffff:1.2.3.4]:5", error: "x" }
]

/** Every format of this file. */
export const targets: ReadonlyArray<Fuzzer.Target> = [
  Fuzzer.decoder({
    name: "ipc/request",
    covers: [IpcRequest.decode],
    format: "json",
    samples: () => Corpus.generated(Arb.ipcRequest, (request) => body(IpcRequest.encode(request))),
    decode: (bytes) => assertStable(IpcRequest.decode, (request) => body(IpcRequest.encode(request)), bytes)
  }),
  Fuzzer.decoder({
    name: "ipc/reply",
    covers: [IpcReply.decode],
    format: "json",
    samples: () => Corpus.generated(Arb.ipcReply, (reply) => body(IpcReply.encode(reply))),
    decode: (bytes) => assertStable(IpcReply.decode, (reply) => body(IpcReply.encode(reply)), bytes)
  }),
  Fuzzer.decoder({
    name: "ipc/texts",
    covers: [DialErrorText.parse, KeyText.parse],
    samples: () =>
      Corpus.texts(
        "connection refused",
        "dial timeout",
        "resolve node 7: registry: x",
        "resolve node 7: not found",
        "dial: untrusted: x",
        "per-client connection quota",
        'dial: name moved: name moved: "a" was AAAA-BBBB, is CCCC-DDDD',
        "dial: key changed: node 5 was AAAA-BBBB, is CCCC-DDDD",
        "node 5 is known by the key AAAA, now shows BBBB"
      ),
    decode: (bytes) => {
      const text = Bytes.toUtf8Lossy(bytes)
      const { reason, target } = DialErrorText.parse(text, "peer")
      return [reason, target, KeyText.parse(text)?._tag]
    }
  }),
  Fuzzer.decoder({
    name: "stream/LengthPrefix",
    covers: [LengthPrefix.Splitter],
    samples: frames,
    decode: split
  }),
  Fuzzer.decoder({
    name: "registry/request",
    covers: [RegistryRequest.fromObject, RegistryMessage.decode],
    format: "json",
    samples: () => [
      ...Corpus.generated(Arb.registryRequest, (request) =>
        body(RegistryMessage.encodeOrdered(RegistryRequest.toObject(request)))
      ),
      ...Corpus.vectorJson((object) => typeof object["type"] === "string")
    ],
    decode: (bytes) =>
      Result.map(RegistryMessage.decode(bytes), (object) => {
        const request = RegistryRequest.fromObject(object)
        RegistryRequest.signedText(request)
        const written = RegistryRequest.toObject(request)
        assertSame(
          RegistryRequest.toObject(RegistryRequest.fromObject(written)),
          written,
          "a request is written as another one"
        )
        return request
      })
  }),
  Fuzzer.decoder({
    name: "registry/reply",
    covers: [RegistryMessage.decode, ...Object.values(RegistryReply)],
    format: "json",
    samples: () => [
      ...Corpus.jsons(...REPLIES),
      ...Corpus.vectorJson(({ type }) => typeof type === "string" && type.endsWith("_ok"))
    ],
    decode: (bytes) => Result.map(RegistryMessage.decode(bytes), readReplies)
  }),
  Fuzzer.decoder({
    name: "trust/HandshakeMessage",
    covers: [HandshakeMessage.decode],
    format: "json",
    samples: () => Corpus.generated(Arb.handshakeMessage, HandshakeMessage.encode),
    decode: (bytes) => assertStable(HandshakeMessage.decode, HandshakeMessage.encode, bytes)
  })
]

/** Some of the samples are longer. */
const LIMIT_BYTES = 50
