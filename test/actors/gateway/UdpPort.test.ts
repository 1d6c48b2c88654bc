import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect, Layer, Queue } from "effect"
import { TestClock } from "effect/testing"
import type { UdpPeerDoor, UdpSelfDoor } from "../../../src/actors/gateway/Door.ts"
import * as Gateway from "../../../src/actors/gateway/Gateway.ts"
import { type Overlay, type OverlayDatagram, Unreachable } from "../../../src/actors/gateway/Overlay.ts"
import * as Bytes from "../../../src/core/data/Bytes.ts"
import type { Endpoint } from "../../../src/core/data/Endpoint.ts"
import * as NodeHttpRelay from "../../../src/core/net/NodeHttpRelay.ts"
import * as NodeTcp from "../../../src/core/net/NodeTcp.ts"
import { BindError, type Datagram, UdpEndpoint, uncounted } from "../../../src/core/net/UdpEndpoint.ts"
import * as Address from "../../../src/protocol/wire/Address.ts"

const HERE: Endpoint = { host: "127.0.0.1", port: 5353 }
const PEER = Address.make(0, 2)
const text = (words: string) => Bytes.fromUtf8(words)

/** Sockets of one host in memory. */
const makeHost = () => {
  const sockets = new Map<number, (batch: ReadonlyArray<Datagram>) => void>()
  let free = 40_000
  const bind: UdpEndpoint["Service"]["bind"] = ({ host, port }) =>
    Effect.acquireRelease(
      Effect.suspend(() => {
        const local = { host, port: port === 0 ? free++ : port }
        if (sockets.has(local.port)) return new BindError({ reason: "PortInUse", host, port, detail: "in use" })
        sockets.set(local.port, () => {})
        return Effect.succeed({
          local,
          counters: uncounted(),
          onBatch: (receive: (batch: ReadonlyArray<Datagram>) => void) => void sockets.set(local.port, receive),
          send: (bytes: Bytes.Pieces, to: Endpoint) =>
            sockets.get(to.port)?.([{ bytes: Bytes.join(bytes), from: local }]),
          mtuTowards: () => Effect.succeed(1500)
        })
      }),
      ({ local }) => Effect.sync(() => sockets.delete(local.port))
    )
  return { sockets, udp: UdpEndpoint.of({ bind }) }
}

interface Held {
  readonly port: number
  readonly sent: Array<{ readonly to: number; readonly port: number; readonly words: string }>
  readonly arrived: Queue.Queue<OverlayDatagram, Unreachable>
}

/** A gateway whose node holds ports in memory. */
const scene = Effect.gen(function* () {
  const host = makeHost()
  const held: Array<Held> = []
  let free = 50_000
  const overlay: Overlay = {
    dial: () => Effect.die("no streams here"),
    serve: () => Effect.never,
    caller: () => Effect.succeed({}),
    locate: (peer) =>
      peer === "bravo" ? Effect.succeed(PEER) : new Unreachable({ detail: "nobody has this name", isRefused: false }),
    datagrams: (wanted) =>
      Effect.acquireRelease(
        Effect.gen(function* () {
          const arrived = yield* Queue.unbounded<OverlayDatagram, Unreachable>()
          const port: Held = { port: wanted ?? free++, sent: [], arrived }
          held.push(port)
          const send = (to: Address.Address, toPort: number, payload: Uint8Array) =>
            Effect.sync(() => void port.sent.push({ to: to.node, port: toPort, words: Bytes.toUtf8Lossy(payload) }))
          return { port, send, receive: Queue.take(arrived) }
        }),
        ({ port }) => Effect.sync(() => held.splice(held.indexOf(port), 1))
      )
  }
  const layer = Layer.mergeAll(NodeTcp.layer, NodeHttpRelay.layer, Layer.succeed(UdpEndpoint, host.udp))
  const gateway = yield* Effect.provide(Gateway.make(overlay), layer)
  const program = Effect.map(host.udp.bind({ host: "127.0.0.1", port: 0 }), (socket) => {
    const heard: Array<string> = []
    socket.onBatch((batch) => heard.push(...batch.map(({ bytes }) => Bytes.toUtf8Lossy(bytes))))
    return { ...socket, heard }
  })
  return { ...host, gateway, held, program, door: (id: string) => gateway.doors().get(id)! }
})

const settle = Effect.repeat(Effect.yieldNow, { times: 60 })
const arriving = (port: Held, datagram: { node?: number; sourcePort?: number; words: string }) => {
  const { node = 2, sourcePort = 5353, words } = datagram
  Queue.offerUnsafe(port.arrived, { source: Address.make(0, node), sourcePort, payload: text(words) })
  return settle
}
const toPeer: UdpPeerDoor = { _tag: "UdpPeer", listen: { host: "127.0.0.1", port: 15353 }, peer: "bravo", port: 5353 }
const toHere = (allow?: ReadonlySet<Address.NodeId>): UdpSelfDoor => ({ _tag: "UdpSelf", port: 5353, to: HERE, allow })

describe("a UDP port that leads to a peer", () => {
  it.effect("gives each program of this host a port of its own, and each its own answers", () =>
    Effect.gen(function* () {
      const { door, gateway, held, program } = yield* scene
      yield* gateway.open("a", toPeer)
      const [one, two] = [yield* program, yield* program]
      one.send(text("question"), toPeer.listen)
      two.send(text("another"), toPeer.listen)
      yield* settle
      assert.deepStrictEqual(
        held.map(({ sent }) => sent),
        [[{ to: 2, port: 5353, words: "question" }], [{ to: 2, port: 5353, words: "another" }]]
      )

      yield* arriving(held[1]!, { words: "second answer" })
      yield* arriving(held[0]!, { words: "first answer" })
      one.send(text("again"), toPeer.listen)
      yield* settle
      assert.deepStrictEqual([one.heard, two.heard], [["first answer"], ["second answer"]])
      assert.strictEqual(held.length, 2)
      assert.deepInclude(door("a"), { open: 2, connections: 2, refused: 0 })
    }).pipe(Effect.scoped)
  )

  it.effect("takes answers only from the port that was written to", () =>
    Effect.gen(function* () {
      const { door, gateway, held, program } = yield* scene
      yield* gateway.open("a", toPeer)
      const one = yield* program
      one.send(text("question"), toPeer.listen)
      yield* settle
      yield* arriving(held[0]!, { node: 3, words: "of somebody else" })
      yield* arriving(held[0]!, { sourcePort: 53, words: "of another port" })

      assert.deepStrictEqual(one.heard, [])
      assert.strictEqual(door("a").refused, 2)
    }).pipe(Effect.scoped)
  )

  it.effect("forgets who was silent for two minutes, and whoever had a node that went away", () =>
    Effect.gen(function* () {
      const { door, gateway, held, program } = yield* scene
      yield* gateway.open("a", toPeer)
      const one = yield* program
      one.send(text("a"), toPeer.listen)
      yield* settle
      yield* TestClock.adjust("100 seconds")
      one.send(text("b"), toPeer.listen)
      yield* settle
      yield* TestClock.adjust("100 seconds")
      assert.strictEqual(held.length, 1)
      yield* TestClock.adjust("40 seconds")
      assert.deepStrictEqual([held.length, door("a").open], [0, 0])

      one.send(text("c"), toPeer.listen)
      yield* settle
      Queue.failCauseUnsafe(held[0]!.arrived, GONE)
      yield* settle
      assert.strictEqual(held.length, 0)
      one.send(text("d"), toPeer.listen)
      yield* settle
      assert.deepStrictEqual(
        held[0]?.sent.map(({ words }) => words),
        ["d"]
      )
    }).pipe(Effect.scoped)
  )

  it.effect(
    "makes room for the newest when 512 are there, drops what is too large, and says why nobody is reached",
    () =>
      Effect.gen(function* () {
        const { door, gateway, held, program } = yield* scene
        yield* gateway.open("a", toPeer)
        const programs = yield* Effect.forEach(Array.from({ length: 513 }), () => program)
        for (const { send } of programs) {
          send(text("x"), toPeer.listen)
          yield* settle
        }
        assert.deepStrictEqual([held.length, door("a").open, door("a").connections], [512, 512, 513])
        programs[1]!.send(new Uint8Array(60_001), toPeer.listen)
        yield* settle
        assert.strictEqual(door("a").refused, 1)

        yield* gateway.open("b", { ...toPeer, listen: { host: "127.0.0.1", port: 15354 }, peer: "nobody" })
        programs[0]!.send(text("x"), { host: "127.0.0.1", port: 15354 })
        yield* settle
        assert.strictEqual(door("b").problem, "nobody has this name")
        const taken = yield* Effect.flip(gateway.open("c", toPeer))
        assert.strictEqual(taken.reason, "PortInUse")
      }).pipe(Effect.scoped)
  )
})

describe("a virtual UDP port that leads to this host", () => {
  /** A server that answers with what it heard, upside down. */
  const answering = (host: ReturnType<typeof makeHost>) =>
    Effect.map(host.udp.bind(HERE), (server) => {
      const from = new Set<number>()
      server.onBatch((batch) => {
        for (const { bytes, from: sender } of batch) {
          from.add(sender.port)
          server.send(bytes.toReversed(), sender)
        }
      })
      return from
    })

  it.effect("gives each port of a peer a socket of its own, and answers to it", () =>
    Effect.gen(function* () {
      const stage = yield* scene
      const from = yield* answering(stage)
      yield* stage.gateway.open("a", toHere())
      yield* settle
      const port = stage.held[0]!
      yield* arriving(port, { sourcePort: 60_001, words: "abc" })
      yield* arriving(port, { sourcePort: 60_002, words: "xyz" })
      yield* arriving(port, { sourcePort: 60_001, words: "def" })

      assert.deepStrictEqual(port.sent, [
        { to: 2, port: 60_001, words: "cba" },
        { to: 2, port: 60_002, words: "zyx" },
        { to: 2, port: 60_001, words: "fed" }
      ])
      assert.strictEqual(from.size, 2)
      assert.deepInclude(stage.door("a"), { open: 2, bytes: 18, refused: 0 })
    }).pipe(Effect.scoped)
  )

  it.effect("is for those who are named, if any are, and no peer takes more than 64 places", () =>
    Effect.gen(function* () {
      const stage = yield* scene
      yield* answering(stage)
      yield* stage.gateway.open("a", toHere(new Set([PEER.node])))
      yield* settle
      const port = stage.held[0]!
      yield* arriving(port, { node: 3, words: "not named" })
      assert.deepStrictEqual([port.sent.length, stage.door("a").refused], [0, 1])
      for (let count = 0; count < 65; count++) yield* arriving(port, { sourcePort: 1000 + count, words: "x" })

      assert.deepStrictEqual([port.sent.length, stage.door("a").open, stage.door("a").refused], [64, 64, 2])
    }).pipe(Effect.scoped)
  )

  it.effect("holds its port again when its node went away", () =>
    Effect.gen(function* () {
      const stage = yield* scene
      yield* stage.gateway.open("a", toHere())
      yield* settle
      Queue.failCauseUnsafe(stage.held[0]!.arrived, GONE)
      yield* settle
      assert.deepStrictEqual([stage.held.length, stage.door("a").problem], [0, "the daemon went away"])
      yield* TestClock.adjust("500 millis")
      yield* settle
      assert.deepStrictEqual([stage.held[0]?.port, stage.door("a").problem], [5353, undefined])
    }).pipe(Effect.scoped)
  )
})

const GONE = Cause.fail(new Unreachable({ detail: "the daemon went away", isRefused: false }))
