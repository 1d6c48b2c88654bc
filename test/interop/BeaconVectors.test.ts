/**
 * The golden datagrams of the reference's beacon (rendezvous §8), replayed over UDP against ours. Ports vary, so the
 * captured ones are replaced by those of this run. Where ours answers otherwise it is in `DEVIATIONS`.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Queue } from "effect"
import * as BeaconServerActor from "../../src/actors/beacon/BeaconServerActor.ts"
import * as NativeCrypto from "../../src/core/crypto/NativeCrypto.ts"
import * as Bytes from "../../src/core/data/Bytes.ts"
import * as NodeUdpEndpoint from "../../src/core/net/NodeUdpEndpoint.ts"
import { UdpEndpoint } from "../../src/core/net/UdpEndpoint.ts"
import * as BeaconDirectory from "../../src/nat/BeaconDirectory.ts"
import { hex } from "../support/Vectors.ts"
import vectors from "../vectors/rendezvous.json" with { type: "json" }

/** Of nodes that open no WebSocket. */
const NO_KEY = new Uint8Array(32)

type Vector = (typeof vectors.beacon)[number]

const DEVIATIONS: Readonly<
  Record<string, { readonly reason: string; readonly replies: Readonly<Record<string, string>> }>
> = {
  relay_spoofed_sender: { reason: "the sender id is not announced from that address (rule 7)", replies: {} },
  relay_to_peer: { reason: "gossip is believed from configured peers only, and there are none", replies: {} },
  relay_after_hijack: {
    reason: "an announcement from elsewhere does not displace an address in use (§8 better 1)",
    replies: { "38802": "0600000001aa" }
  }
}

/** Whose socket a reply of the vectors goes to. */
const PORT_OF: Readonly<Record<string, string>> = {
  "node 1": "38801",
  "node 2": "38802",
  "peer beacon": "38803",
  hijacker: "38804"
}

const expectedReplies = (vector: Vector): Readonly<Record<string, string>> => {
  const deviation = DEVIATIONS[vector.name]
  if (deviation !== undefined) return deviation.replies
  const sender = vector.sent_from?.split(":")[1] ?? ""
  const replies = (vector.replies ?? []).flatMap(({ hex, to }) =>
    hex === null ? [] : [[PORT_OF[to] ?? sender, hex] as const]
  )
  return Object.fromEntries(replies)
}

const portHex = (port: number | string): string => Number(port).toString(16).padStart(4, "0")

const openStation = Effect.gen(function* () {
  const socket = yield* (yield* UdpEndpoint).bind({ host: "127.0.0.1", port: 0 })
  const inbox = yield* Queue.unbounded<string>()
  socket.onBatch((batch) => {
    for (const { bytes } of batch) Queue.offerUnsafe(inbox, Bytes.toHex(bytes))
  })
  return { socket, inbox }
})

describe("BeaconServerActor", () => {
  it.live("answers the reference's datagrams as the reference did, but for the listed deviations", () =>
    Effect.gen(function* () {
      const beacon = yield* BeaconServerActor.spawn({
        host: "127.0.0.1",
        port: 0,
        // The hijacker shares the host of the victim, which is the hardest case.
        registration: () => ({
          host: "127.0.0.1",
          endpoint: "127.0.0.1:1",
          atMs: Number.NEGATIVE_INFINITY,
          publicKey: NO_KEY
        }),
        // An answer to no question would be taken for one to the test's own.
        config: { ...BeaconDirectory.defaults, wake: { capacity: 0, perSecond: 0 } }
      })
      const ports = ["38801", "38802", "38803", "38804"]
      const stations = yield* Effect.all(Object.fromEntries(ports.map((port) => [port, openStation])))
      /** A captured reply with the ports of this run. */
      const translated = (reply: string): string => {
        const isEndpoint = reply.startsWith("02047f") || reply.startsWith("04047f")
        const captured = ports.find((port) => reply.endsWith(portHex(port)))
        const actual = captured === undefined ? undefined : stations[captured]?.socket.local.port
        return isEndpoint && actual !== undefined ? reply.slice(0, -4) + portHex(actual) : reply
      }
      /** What a station has received so far: an answer to a question of its own comes after all of it. */
      const drain = (port: string, answersWanted: number) =>
        Effect.gen(function* () {
          const { inbox, socket } = stations[port]!
          const answer = `02047f000001${portHex(socket.local.port)}`
          socket.send(hex("0100000000"), beacon.local)
          const received: Array<string> = []
          while (received.filter((reply) => reply === answer).length <= answersWanted) {
            received.push(yield* Queue.take(inbox))
          }
          return received.slice(0, -1)
        })

      let played = 0
      for (const vector of vectors.beacon) {
        if (vector.request_hex === undefined || vector.replies === undefined) continue
        played++
        const sender = vector.sent_from?.split(":")[1] ?? ""
        stations[sender]!.socket.send(hex(vector.request_hex), beacon.local)
        const expected = expectedReplies(vector)
        // The sender first: once its own question is answered, everything caused by the request before is on its way.
        for (const port of [sender, ...ports.filter((other) => other !== sender)]) {
          const wanted = expected[port] === undefined ? [] : [translated(expected[port])]
          const received = yield* drain(port, wanted.filter((reply) => reply.startsWith("02")).length)
          assert.deepStrictEqual(received, wanted, `${vector.name} at ${port}`)
        }
      }
      assert.strictEqual(played, 17)
    }).pipe(Effect.scoped, Effect.provide(Layer.merge(NodeUdpEndpoint.layer, NativeCrypto.layer)))
  )

  it.live("relays a payload of 2000 bytes whole", () =>
    Effect.gen(function* () {
      const beacon = yield* BeaconServerActor.spawn({
        host: "127.0.0.1",
        port: 0,
        registration: () => ({ host: "127.0.0.1", endpoint: "127.0.0.1:1", atMs: 0, publicKey: NO_KEY }),
        config: BeaconDirectory.defaults
      })
      const a = yield* openStation
      const b = yield* openStation
      a.socket.send(hex("0100000001"), beacon.local)
      b.socket.send(hex("0100000002"), beacon.local)
      yield* Queue.take(a.inbox)
      yield* Queue.take(b.inbox)
      a.socket.send(Bytes.concat(hex("050000000100000002"), new Uint8Array(2000).fill(0xab)), beacon.local)
      assert.strictEqual(yield* Queue.take(b.inbox), `0600000001${"ab".repeat(2000)}`)
    }).pipe(Effect.scoped, Effect.provide(Layer.merge(NodeUdpEndpoint.layer, NativeCrypto.layer)))
  )
})
