/** Guessed ports between two translators: how often they bring a direct path, and that nothing else changes by them. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { Node } from "../../src/actors/node/Node.ts"
import * as Bytes from "../../src/core/data/Bytes.ts"
import * as Birthday from "../../src/nat/Birthday.ts"
import { defaults as limits } from "../../src/nat/GuessLimit.ts"
import * as SeededRandom from "../../src/testing/SeededRandom.ts"
import * as SimNet from "../../src/testing/SimNet.ts"
import * as BirthdayPair from "./BirthdayPair.ts"
import { PATIENCE_MS } from "./Patience.ts"

/** More of them, with the times: `BIRTHDAY_SEEDS=500 npm test -- test/sim/Birthday`. */
const SEEDS = Array.from({ length: Number(process.env["BIRTHDAY_SEEDS"] ?? 12) }, (_, index) => index + 1)
const ORDERS = [
  ["symmetric", "portRestrictedCone"],
  ["portRestrictedCone", "symmetric"]
] as const
/** With headers, as in the limits. */
const HEADERS_BYTES = 28

describe("birthday probing, in the simulator", { timeout: PATIENCE_MS }, () => {
  for (const order of ORDERS)
    it.effect(`leads ${order[0]} to ${order[1]} to a direct path in the share that was reckoned with`, () =>
      Effect.gen(function* () {
        const courses = yield* Effect.forEach(SEEDS, (seed) =>
          SimNet.run({ seed }, (net) =>
            Effect.gen(function* () {
              const pair = yield* BirthdayPair.make(net, order)
              const open = yield* BirthdayPair.sockets(pair, pair.here)
              const course = yield* BirthdayPair.talk(pair, "25 seconds", (ms) => ms > 3_000)
              const [near, far] = [
                yield* BirthdayPair.sockets(pair, pair.here),
                yield* BirthdayPair.sockets(pair, pair.there)
              ]
              return { ...course, extra: near + far - 2 * open }
            })
          )
        )
        const direct = courses.filter(({ directMs }) => directMs !== undefined)
        const { guesses, sockets } = Birthday.defaults
        if (process.env["BIRTHDAY_SEEDS"] !== undefined) console.log(summary(direct, courses.length))

        assert.isAtLeast(direct.length / courses.length, Birthday.chance(sockets, guesses) - 0.1)
        for (const { directMs, extra, here, silentMs, there } of direct) {
          assert.isAbove(directMs ?? 0, Birthday.defaults.afterMs)
          assert.isBelow(silentMs, 1_000)
          // The one that was met; one guess in 257 meets the node's own.
          assert.include([0, 1], extra)
          assert.deepStrictEqual([here?.path, there?.path], ["direct", "direct"])
          assert.deepStrictEqual([here?.birthday?.outcome, there?.birthday?.outcome], ["hit", "hit"])
        }
      })
    )

  it.effect("that finds nothing leaves the relay as it was, keeps its budget, closes its sockets, and rests", () =>
    SimNet.run({ seed: 21, limit: "4 hours" }, (net) =>
      Effect.gen(function* () {
        const pair = yield* BirthdayPair.make(net, ["symmetric", "portRestrictedCone"])
        const { here, hosts, there } = pair
        const open = yield* BirthdayPair.sockets(pair, here)
        const [knocks, guesses] = [yield* BirthdayPair.watch(net, here), yield* BirthdayPair.watch(net, there)]
        // The relay is the only way.
        yield* net.partition([here], [there])
        const bytes = (sent: typeof knocks, host: string) =>
          sent.filter(({ to }) => to.host === host).reduce((sum, one) => sum + one.bytes.length + HEADERS_BYTES, 0)

        const talking = yield* Effect.forkChild(BirthdayPair.talk(pair, "30 seconds"), { startImmediately: true })
        yield* net.sleep("8 seconds")
        assert.isAtLeast(here.machine.host.sockets.size, open + Birthday.defaults.sockets)
        // Somebody who can forge the other end's address throws its frames, changed by a bit, at the ports that are open.
        const mapped = (yield* BirthdayPair.peerOf(here))?.candidates?.find(
          ({ path }) => path.endpoint?.host === hosts[1]
        )
        const random = SeededRandom.make(21)
        const genuine = guesses.filter(({ to }) => to.host === hosts[0]).map(({ bytes: frame }) => frame)
        assert.isDefined(mapped?.path.endpoint)
        const heard = BirthdayPair.heard(here)
        for (let index = 0; index < 4_000; index++) {
          const frame = Bytes.copy(genuine[index % genuine.length]!)
          frame[frame.length - 1 - (index % 16)]! ^= 1
          const port = Birthday.PORT_MIN + SeededRandom.index(random, 64_512)
          yield* net.inject(mapped.path.endpoint, { host: hosts[0], port }, frame)
        }
        yield* net.sleep("1 second")
        assert.isAbove(BirthdayPair.heard(here), heard)

        const course = yield* Fiber.join(talking)
        assert.isUndefined(course.directMs)
        assert.isBelow(course.silentMs, 1_000)
        assert.deepInclude(course.here?.birthday, { role: "opener", outcome: "missed", sockets: 256 })
        assert.deepInclude(course.there?.birthday, { role: "guesser", outcome: "missed", probes: 1_024, sockets: 256 })
        assert.strictEqual(yield* BirthdayPair.sockets(pair, here), open)
        assert.isAtMost(bytes(guesses, hosts[0]), limits.perHost.capacity / 2)
        assert.isAtMost(bytes(knocks, hosts[1]), limits.perHost.capacity / 2)

        const [knocked, guessed] = [knocks.length, guesses.length]
        const ports = new Set(guesses.filter(({ to }) => to.host === hosts[0]).map(({ to }) => to.port))
        assert.isAtLeast(ports.size, 1_024)
        // Not again within the hour, and then again.
        yield* BirthdayPair.talk(pair, "2 minutes")
        const again = (sent: typeof knocks, since: number) =>
          new Set(
            sent
              .slice(since)
              .filter(({ to }) => hosts.includes(to.host))
              .map(({ to }) => to.port)
          ).size
        assert.isAtMost(again(guesses, guessed), 8)
        assert.isAtMost(again(knocks, knocked), 8)
        yield* net.sleep("1 hour")
        yield* net.heal()
        const later = yield* BirthdayPair.talk(pair, "25 seconds", (ms) => ms > 1_000)
        assert.isDefined(later.directMs)
      })
    )
  )

  it.effect("ends quietly where the host has no more sockets, with all of them closed", () =>
    SimNet.run({ seed: 24 }, (net) =>
      Effect.gen(function* () {
        const pair = yield* BirthdayPair.make(net, ["symmetric", "portRestrictedCone"])
        const open = yield* BirthdayPair.sockets(pair, pair.here)
        pair.here.machine.host.socketsMax = 100
        const course = yield* BirthdayPair.talk(pair, "10 seconds")

        assert.deepInclude(course.here?.birthday, { role: "opener", outcome: "refused", sockets: 0, probes: 0 })
        assert.deepInclude(course.there?.birthday, { role: "guesser", probes: 0 })
        assert.strictEqual(course.here?.path, "relay")
        assert.isBelow(course.silentMs, 1_000)
        assert.strictEqual(yield* BirthdayPair.sockets(pair, pair.here), open)
      })
    )
  )

  it.effect("closes the socket of a path that was given up", () =>
    SimNet.run({ seed: 22 }, (net) =>
      Effect.gen(function* () {
        const pair = yield* BirthdayPair.make(net, ["symmetric", "portRestrictedCone"])
        const { here, there } = pair
        const open = yield* BirthdayPair.sockets(pair, here)
        const first = yield* BirthdayPair.talk(pair, "25 seconds", (ms) => ms > 1_000)
        assert.isDefined(first.directMs)
        assert.strictEqual(yield* BirthdayPair.sockets(pair, here), open + 1)

        yield* net.partition([here], [there])
        const second = yield* BirthdayPair.talk(pair, "90 seconds")
        assert.strictEqual(second.here?.path, "relay")
        assert.isBelow(second.silentMs, 2_000)
        assert.strictEqual(yield* BirthdayPair.sockets(pair, here), open)
      })
    )
  )

  it.effect("closes the socket of a peer that is idle", () =>
    SimNet.run({ seed: 22 }, (net) =>
      Effect.gen(function* () {
        const pair = yield* BirthdayPair.make(net, ["symmetric", "portRestrictedCone"])
        const open = yield* BirthdayPair.sockets(pair, pair.here)
        yield* BirthdayPair.talk(pair, "25 seconds", (ms) => ms > 1_000)
        assert.strictEqual(yield* BirthdayPair.sockets(pair, pair.here), open + 1)

        yield* net.sleep("11 minutes")
        assert.strictEqual(yield* BirthdayPair.sockets(pair, pair.here), open)
      })
    )
  )

  for (const order of ORDERS)
    it.effect(`is not tried where its operator does not want it, be it ${order[0]}`, () =>
      SimNet.run({ seed: 25 }, (net) =>
        Effect.gen(function* () {
          const pair = yield* BirthdayPair.make(net, order, { noPortGuessing: true })
          const sent = [yield* BirthdayPair.watch(net, pair.here), yield* BirthdayPair.watch(net, pair.there)]
          const course = yield* BirthdayPair.talk(pair, "25 seconds")

          assert.deepStrictEqual([course.here?.path, course.there?.path], ["relay", "relay"])
          assert.deepStrictEqual([course.here?.birthday, course.there?.birthday], [undefined, undefined])
          for (const [index, passages] of sent.entries()) {
            const ports = passages.filter(({ to }) => to.host === pair.hosts[1 - index]).map(({ to }) => to.port)
            assert.isAtMost(new Set(ports).size, 8)
          }
          const { turnedOff } = yield* pair.here.run(Effect.flatMap(Node, ({ status }) => status))
          assert.deepStrictEqual(turnedOff, ["port guessing"])
        })
      )
    )

  it.effect("is not tried between two that draw their ports, nor without streams", () =>
    SimNet.run({ seed: 23 }, (net) =>
      Effect.gen(function* () {
        const pair = yield* BirthdayPair.make(net, ["symmetric", "symmetric"])
        const { here, hosts, there } = pair
        const open = yield* BirthdayPair.sockets(pair, here)
        const sent = [yield* BirthdayPair.watch(net, here), yield* BirthdayPair.watch(net, there)]
        const course = yield* BirthdayPair.talk(pair, "25 seconds")

        assert.deepStrictEqual([course.here?.path, course.there?.path], ["relay", "relay"])
        assert.deepInclude(course.here?.birthday, { outcome: "declined", detail: "NotPredictable", probes: 0 })
        assert.strictEqual(yield* BirthdayPair.sockets(pair, here), open)
        assert.strictEqual(yield* BirthdayPair.sockets(pair, there), open)
        for (const [index, passages] of sent.entries()) {
          const ports = new Set(passages.filter(({ to }) => to.host === hosts[1 - index]).map(({ to }) => to.port))
          assert.isAtMost(ports.size, 8)
        }
      })
    )
  )
})

/** How many were direct, when (median, nine of ten, last), and what either end had sent by then. */
const summary = (direct: ReadonlyArray<BirthdayPair.Course>, of: number): string => {
  const spread = (values: ReadonlyArray<number | undefined>) => {
    const sorted = values.map((value) => value ?? 0).toSorted((a, b) => a - b)
    return [0.5, 0.9, 1].map((part) => Math.round(sorted[Math.ceil(part * sorted.length) - 1] ?? 0)).join(" / ")
  }
  const [knocks, guesses] = [direct.map(({ here }) => here), direct.map(({ there }) => there)].map((ends) =>
    spread(ends.map((end) => end?.birthday?.probes))
  )
  const silent = spread(direct.map(({ silentMs }) => silentMs))
  const times = spread(direct.map(({ directMs }) => directMs))
  return `${direct.length} of ${of} direct, after ${times} ms; probes ${knocks} and ${guesses}; longest wait ${silent} ms`
}
