import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect, Queue, Scope, Stream } from "effect"
import type { Connection, Node } from "../../src/actors/node/Node.ts"
import { PEERS_MAX } from "../../src/actors/node/Peers.ts"
import * as Pilot from "../../src/api/Pilot.ts"
import * as Address from "../../src/protocol/wire/Address.ts"
import * as BeaconMessage from "../../src/protocol/wire/BeaconMessage.ts"
import { ClearText } from "../../src/testing/ClearText.ts"
import * as SimNet from "../../src/testing/SimNet.ts"
import * as SimNode from "../../src/testing/SimNode.ts"
import { StreamLedger } from "../../src/testing/StreamLedger.ts"
import * as VirtualTls from "../../src/testing/VirtualTls.ts"
import * as VirtualUdp from "../../src/testing/VirtualUdp.ts"
import { PATIENCE_MS } from "../sim/Patience.ts"

const HERE = Address.make(0, 1)
const THERE = Address.make(0, 2)
const text = (value: string) => new TextEncoder().encode(value)

/** Two watched nodes whose streams do to the chunks what `carry` says. */
const rig = (carry: (chunks: ReadonlyArray<Uint8Array>) => ReadonlyArray<Uint8Array>) =>
  Effect.gen(function* () {
    const violations: Array<string> = []
    const ledger = new StreamLedger({ violated: (detail) => void violations.push(detail), written: () => {} })
    const written: Array<Uint8Array> = []
    const arriving = yield* Queue.unbounded<Uint8Array, Cause.Done>()
    const ends = { id: 1, setNoDelay: () => Effect.void, end: Effect.void, reset: Effect.void, closed: Effect.never }
    const near: Connection = {
      ...ends,
      ...{ localPort: Address.Port(50_000), remote: THERE, remotePort: Address.Port(80) },
      read: Effect.never,
      write: (bytes) => Effect.sync(() => void written.push(bytes)),
      close: Effect.suspend(() => Effect.andThen(Queue.offerAll(arriving, carry(written)), Queue.end(arriving)))
    }
    const far: Connection = {
      ...ends,
      ...{ localPort: Address.Port(80), remote: HERE, remotePort: Address.Port(50_000) },
      read: Queue.take(arriving),
      write: () => Effect.void,
      close: Effect.void
    }
    const here = ledger.watch(stub(HERE, near))
    const there = ledger.watch(stub(THERE, far))
    const connection = yield* here.dial(THERE, Address.Port(80))
    const accepted = yield* Effect.flatMap(there.listen(Address.Port(80)), ({ accept }) => accept)
    yield* connection.write(text("one "))
    yield* connection.write(text("two "))
    yield* connection.write(text("three"))
    yield* connection.close
    yield* Effect.ignore(Effect.forever(accepted.read))
    return violations.map((violation) => violation.replace(/^.*: /, ""))
  })

const stub = (self: Address.Address, connection: Connection): Node["Service"] => ({
  address: Effect.succeed(self),
  status: Effect.never,
  nat: Effect.never,
  peer: () => Effect.never,
  dial: () => Effect.succeed(connection),
  listen: (port) => Effect.succeed({ port, accept: Effect.succeed(connection) }),
  sendDatagram: () => Effect.void,
  datagrams: () => Effect.never,
  holdDatagrams: () => Effect.never,
  ping: () => Effect.never,
  closeConnection: () => Effect.void,
  dropPeer: () => Effect.void,
  setHostname: () => Effect.void,
  setPublic: () => Effect.void
})

describe("StreamLedger", { timeout: PATIENCE_MS }, () => {
  const join = (chunks: ReadonlyArray<Uint8Array>) => Uint8Array.from(chunks.flatMap((chunk) => [...chunk]))
  const cases: ReadonlyArray<readonly [string, Parameters<typeof rig>[0], ReadonlyArray<string>]> = [
    ["is silent about bytes that arrive as written", (chunks) => chunks, []],
    ["does not care how they are cut", (chunks) => [join(chunks).subarray(0, 6), join(chunks).subarray(6)], []],
    [
      "sees bytes out of order",
      (chunks) => chunks.toReversed(),
      ["another byte than was written, after 0 of 13 bytes"]
    ],
    ["sees bytes twice", (chunks) => [...chunks, ...chunks], ["more bytes than were written, after 13 of 13 bytes"]],
    [
      "sees a stream cut short",
      (chunks) => chunks.slice(0, 2),
      ["the end comes before the last byte, after 8 of 13 bytes"]
    ]
  ]
  for (const [name, carry, expected] of cases) {
    it.effect(name, () =>
      Effect.gen(function* () {
        const violations = yield* rig(carry)

        assert.deepStrictEqual([...new Set(violations)].slice(0, 1), expected)
      })
    )
  }
})

describe("ClearText", { timeout: PATIENCE_MS }, () => {
  const secret = text("the quarterly figures, before anybody")

  it("sees what a user wrote in a datagram, and only that", () => {
    const checker = new ClearText()
    checker.written(secret)

    assert.isDefined(checker.problemWith(text(`header ${new TextDecoder().decode(secret)}`)))
    assert.isUndefined(checker.problemWith(text("header and something else entirely")))
  })

  it("sees plain frames (wire §3), relayed ones too", () => {
    const frame = text("PILT and a packet")
    const relayed = BeaconMessage.encode({ _tag: "Relay", sender: HERE.node, destination: THERE.node, frame })

    assert.isDefined(new ClearText().problemWith(frame))
    assert.isDefined(new ClearText().problemWith(relayed))
    assert.isUndefined(new ClearText().problemWith(text("PILS and a packet, PILT inside")))
  })
})

/** What a simulation of one node, called a, dies of. */
const deathOf = (
  seed: number,
  story: (net: SimNet.SimNet, a: SimNode.SimNode) => Effect.Effect<unknown, unknown, Scope.Scope>
) =>
  SimNet.run({ seed, limit: "30 minutes" }, (net) => Effect.flatMap(net.node("a"), (a) => story(net, a))).pipe(
    Effect.exit,
    Effect.map((exit) => (exit._tag === "Failure" ? Cause.pretty(exit.cause) : "it does not fail"))
  )

describe("a simulation that fails", { timeout: PATIENCE_MS }, () => {
  it.effect("says its seed and what happened last when nothing more can happen", () =>
    Effect.gen(function* () {
      const exit = yield* Effect.exit(SimNet.run({ seed: 77, limit: "1 minute" }, () => Effect.never))

      assert.strictEqual(exit._tag, "Failure")
      if (exit._tag === "Failure") assert.match(Cause.pretty(exit.cause), /seed 77, at 60000\.000 ms: still running/)
    })
  )

  it.effect("prints its seed, and fails again from it at the same instant after the same bytes", () =>
    Effect.gen(function* () {
      const printed: Array<unknown> = []
      const print = console.error
      yield* Effect.acquireRelease(
        Effect.sync(() => {
          console.error = (line) => void printed.push(line)
        }),
        () =>
          Effect.sync(() => {
            console.error = print
          })
      )
      const story = deathOf(81, (net, a) =>
        Effect.gen(function* () {
          const b = yield* net.node("b", { link: { rttMs: 30, loss: 0.2 } })
          yield* net.trust(a, b)
          yield* a.run(Pilot.ping("b"))
          return yield* Effect.die(new Error("an assertion of a test"))
        })
      )
      const [first, second] = [yield* story, yield* story]

      assert.strictEqual(first, second)
      assert.match(String(printed[0]), /^simulation failed: seed 81, trace [0-9a-f]{16}$/)
      assert.deepStrictEqual(printed, [printed[0], printed[0]])
    })
  )

  const failures: ReadonlyArray<readonly [string, Parameters<typeof deathOf>[1], RegExp]> = [
    [
      "ends when a stream gives bytes that nobody wrote",
      (net, a) =>
        Effect.gen(function* () {
          const read = Effect.succeed(text("from nowhere"))
          const ends = {
            id: 1,
            end: Effect.void,
            setNoDelay: () => Effect.void,
            reset: Effect.void,
            close: Effect.void,
            closed: Effect.never,
            write: () => Effect.void
          }
          const ports = { localPort: Address.Port(50_000), remote: THERE, remotePort: Address.Port(80) }
          const watched = a.machine.world.ledger.watch(stub(HERE, { ...ends, ...ports, read }))
          const connection = yield* watched.dial(THERE, Address.Port(80))
          yield* Effect.ignore(connection.read)
          yield* net.sleep("1 second")
        }),
      /seed 82, .*: stream .*: more bytes than were written/
    ],
    [
      "ends when a stream holds more than it may",
      (net, a) =>
        Effect.gen(function* () {
          const ends = {
            id: 1,
            end: Effect.void,
            setNoDelay: () => Effect.void,
            reset: Effect.void,
            close: Effect.void,
            closed: Effect.never,
            read: Effect.never
          }
          const ports = { localPort: Address.Port(50_000), remote: THERE, remotePort: Address.Port(80) }
          const connection = { ...ends, ...ports, write: () => Effect.void }
          const watched = yield* a.machine.world.ledger.watch(stub(HERE, connection)).dial(THERE, Address.Port(80))
          const megabyte = new Uint8Array(1 << 20)
          for (let count = 0; count < 256; count++) yield* watched.write(megabyte)
          yield* net.sleep("2 minutes")
        }),
      /seed 83, .*: a stream holds 268435456 bytes/
    ],
    [
      "ends when fibers pile up",
      (net, a) =>
        Effect.gen(function* () {
          for (let count = 0; count < 8000; count++) yield* a.run(Effect.forkScoped(Effect.never))
          yield* net.sleep("2 minutes")
        }),
      /seed 84, .*: 8\d\d\d fibers/
    ],
    [
      "ends when timers pile up",
      (net) =>
        Effect.gen(function* () {
          for (let count = 0; count < 8000; count++) yield* net.at("20 minutes", Effect.void)
          yield* net.sleep("2 minutes")
        }),
      /seed 85, .*: 8\d\d\d timers/
    ],
    [
      "ends with the first plain frame on the wire",
      (net) =>
        Effect.gen(function* () {
          const b = yield* net.node("b", { config: { encrypt: false } })
          const c = yield* net.node("c", { config: { encrypt: false } })
          yield* net.trust(b, c)
        }),
      /seed 86, at .* ms: a plain frame on the wire/
    ],
    [
      "finds a program that outlives its node",
      (_net, a) => a.run(Effect.forkDetach(Stream.runDrain(Stream.mapEffect(Pilot.listen(9), () => Effect.never)))),
      /seed 87, .*: 1 fibers are left after everything was stopped/
    ],
    [
      "finds a server that outlives its keeper",
      (net) =>
        Effect.gen(function* () {
          const b = yield* net.node("b", { programs: { stuck: () => Effect.forkDetach(Effect.never) } })
          const c = yield* net.node("c")
          yield* net.trust(c, b)
          yield* net.expose(b, { name: "stuck", command: "stuck", allow: [c] })
          const client = yield* net.connect(c, "b", "stuck")
          // A call, because a list would be asked again of two more servers.
          yield* client.writeLine('{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"any"}}')
          yield* client.readLine
        }),
      /seed 88, .*: 1 fibers are left after everything was stopped/
    ],
    [
      "finds a socket that a stopped node has left open",
      ({ stop }, a) =>
        Effect.gen(function* () {
          const { host, world } = a.machine
          yield* Effect.provideService(
            VirtualUdp.make(world.network, host, () => true).bind(SOCKET),
            Scope.Scope,
            Scope.makeUnsafe()
          )
          yield* stop(a)
        }),
      /seed 89, .*: a has stopped and left 1 sockets/
    ],
    [
      "finds a connection that a stopped node has left open",
      ({ stop }, a) =>
        Effect.gen(function* () {
          const { host, world } = a.machine
          const { listen } = VirtualTls.server(world.tcp, host, () => true)
          yield* Effect.provideService(listen(LISTENER), Scope.Scope, Scope.makeUnsafe())
          yield* stop(a)
        }),
      /seed 90, .*: a has stopped and left 1 connections/
    ]
  ]
  for (const [index, [name, story, pattern]] of failures.entries()) {
    it.effect(name, () =>
      Effect.gen(function* () {
        assert.match(yield* deathOf(82 + index, story), pattern)
      })
    )
  }

  it("a node with more connections or peers than it may have is over its limits", () => {
    const many = <A>(count: number, one: A): ReadonlyArray<A> => new Array<A>(count).fill(one)
    const peer = { node: THERE.node, endpoint: undefined, path: "relay", encrypted: true, authenticated: true } as const
    const row = { ...peer, rttMs: undefined, publicKey: undefined }

    assert.isUndefined(SimNode.overLimit("a", { connections: [], peers: many(PEERS_MAX, row) }))
    assert.strictEqual(
      SimNode.overLimit("a", { connections: [], peers: many(PEERS_MAX + 1, row) }),
      `a has ${PEERS_MAX + 1} peers`
    )
  })
})

const SOCKET = { host: "0.0.0.0", port: 7777 }
const LISTENER = {
  host: "0.0.0.0",
  port: 7777,
  tls: { certificatePem: "", privateKeyPem: "" },
  connectionsMax: 1,
  connectionsPerSourceMax: 1,
  openingTimeoutMs: 1000
}
