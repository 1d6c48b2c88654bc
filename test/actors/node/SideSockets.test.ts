import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Scope } from "effect"
import { TestClock } from "effect/testing"
import { type Group, SideSockets } from "../../../src/actors/node/SideSockets.ts"
import * as Bytes from "../../../src/core/data/Bytes.ts"
import * as Endpoint from "../../../src/core/data/Endpoint.ts"
import { BindError, type Datagram, UdpEndpoint } from "../../../src/core/net/UdpEndpoint.ts"
import * as MemoryNetwork from "../../../src/testing/MemoryNetwork.ts"

const HERE = "198.51.100.1"
const THERE = { host: "198.51.100.2", port: 5000 }

/** A socket with others beside it, and a peer that notes from which ports it hears. `socketsMax`: what the host grants. */
const make = Effect.fnUntraced(function* (socketsMax = 100) {
  const network = yield* MemoryNetwork.make({ seed: 1, link: { delayMs: 1 } })
  const host = yield* Effect.provide(UdpEndpoint, network.host(HERE))
  let open = 0
  const udp: UdpEndpoint["Service"] = {
    bind: (where) =>
      open >= socketsMax
        ? Effect.fail(new BindError({ ...where, reason: "Other", detail: "EMFILE" }))
        : Effect.acquireRelease(
            Effect.tap(host.bind(where), () => Effect.sync(() => (open += 1))),
            () => Effect.sync(() => (open -= 1))
          )
  }
  const main = yield* udp.bind({ host: HERE, port: 4000 })
  const sides = new SideSockets(main, udp)
  const received: Array<Datagram> = []
  sides.onBatch((batch) => received.push(...batch))
  const peer = yield* Effect.provide(
    Effect.flatMap(UdpEndpoint, (there) => there.bind(THERE)),
    network.host(THERE.host)
  )
  const heard: Array<number> = []
  peer.onBatch((batch) => heard.push(...batch.map(({ from }) => from.port)))
  return { sides, main, peer, heard, received, network, open: () => open }
})

const said = (text: string) => Bytes.fromUtf8(text)

describe("SideSockets", () => {
  it.effect("are one socket to others, until one of them is kept for its endpoint and the rest is closed", () =>
    Effect.gen(function* () {
      const { heard, main, open, peer, received, sides } = yield* make()
      let group: Group | undefined
      const running = yield* Effect.forkChild(
        sides.run(THERE, 3, (opened) => {
          group = opened
        }),
        { startImmediately: true }
      )
      assert.strictEqual(open(), 4)
      for (let index = 0; index < 3; index++) group?.send(index, said("knock"))
      sides.send(said("data"), THERE)
      yield* TestClock.adjust(2)
      assert.strictEqual(new Set(heard).size, 4)
      assert.strictEqual(heard.at(-1), 4000)

      peer.send(said("probe"), { host: HERE, port: heard[1]! })
      peer.send(said("other"), { host: HERE, port: 4000 })
      yield* TestClock.adjust(2)
      assert.deepStrictEqual(
        received.map(({ by }) => by),
        [2, undefined]
      )
      sides.send(said("data"), THERE)
      yield* TestClock.adjust(2)
      assert.strictEqual(heard.at(-1), 4000, "what has only arrived changes nothing")

      group?.keep(2)
      group?.keep(1)
      sides.send(said("data"), THERE)
      sides.send(said("data"), { ...THERE, port: 5001 })
      yield* TestClock.adjust(2)
      assert.strictEqual(heard.at(-1), heard[1])
      assert.deepStrictEqual([open(), sides.kept], [2, 1])
      assert.strictEqual(main.counters.sentDatagrams, 7)

      group?.release()
      yield* Fiber.join(running)
      sides.send(said("data"), THERE)
      yield* TestClock.adjust(2)
      assert.strictEqual(heard.at(-1), 4000)
      assert.deepStrictEqual([open(), sides.kept], [1, 0])
    })
  )

  it.effect("hear nobody but whom they were opened for", () =>
    Effect.gen(function* () {
      const { heard, network, received, sides } = yield* make()
      const stranger = yield* Effect.provide(
        Effect.flatMap(UdpEndpoint, (udp) => udp.bind({ host: "198.51.100.3", port: 5000 })),
        network.host("198.51.100.3")
      )
      yield* Effect.forkChild(
        sides.run(THERE, 1, (group) => group.send(0, said("knock"))),
        { startImmediately: true }
      )
      yield* TestClock.adjust(2)
      stranger.send(said("hello"), { host: HERE, port: heard[0]! })
      yield* TestClock.adjust(2)

      assert.deepStrictEqual(received, [])
    })
  )

  it.effect("are closed again, all of them, where the host refuses one", () =>
    Effect.gen(function* () {
      const { open, sides } = yield* make(10)
      const opened: Array<Group> = []

      assert.isTrue(Exit.isFailure(yield* Effect.exit(sides.run(THERE, 20, (group) => void opened.push(group)))))
      assert.deepStrictEqual([opened.length, open()], [0, 1])
    })
  )

  it.effect("end with the scope of whoever opened them, the kept one too", () =>
    Effect.gen(function* () {
      const { open, sides } = yield* make()
      for (const isKept of [false, true]) {
        const scope = yield* Scope.make()
        const run = sides.run(THERE, 5, (group) => {
          if (isKept) group.keep(6)
        })
        yield* Effect.forkIn(run, scope, { startImmediately: true })
        yield* TestClock.adjust(1)
        assert.deepStrictEqual([open(), sides.kept], isKept ? [2, 1] : [6, 0])
        yield* Scope.close(scope, Exit.void)
        assert.deepStrictEqual([open(), sides.kept], [1, 0])
      }
      assert.isTrue(Endpoint.equals(sides.local, { host: HERE, port: 4000 }))
    })
  )
})
