import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Stream } from "effect"
import * as Events from "../../src/api/Events.ts"
import * as SimNet from "../../src/testing/SimNet.ts"
import type * as SimNode from "../../src/testing/SimNode.ts"
import { PATIENCE_MS } from "./Patience.ts"

/** Publishes `from` to `to`, one a second, each until it was acknowledged; those are counted as said. */
const publishing = (name: string, from: number, to: number, said: Set<string>) =>
  Effect.gen(function* () {
    for (let index = from; index <= to; index++) {
      const text = `${name} ${index}`
      yield* Effect.retry(Events.publish(`data.${name}`, text), { times: 5 })
      said.add(text)
      yield* Effect.sleep("1 second")
    }
  })

/** Collects what a consumer hears, with each number once per broker. */
const listen = (heard: Map<string, string>, options: Events.SubscribeOptions = {}) =>
  Events.subscribe("data.*", options).pipe(
    Stream.runForEach(({ broker, sequence, text }) =>
      Effect.sync(() => {
        const key = `${broker} ${sequence}`
        const before = heard.get(key)
        if (before !== undefined) assert.strictEqual(text, before, "a number has two events")
        heard.set(key, text)
      })
    )
  )

const missing = (said: ReadonlySet<string>, heard: ReadonlyMap<string, string>): ReadonlyArray<string> => {
  const texts = new Set(heard.values())
  return [...said].filter((text) => !texts.has(text))
}

const pair = Effect.fnUntraced(function* (net: SimNet.SimNet) {
  const publisher = yield* net.node("publisher", { nat: "symmetric" })
  const subscriber = yield* net.node("subscriber", { link: { rttMs: 30, loss: 0.01 } })
  yield* net.trust(publisher, subscriber)
  return { publisher, subscriber }
})

const until = (net: SimNet.SimNet, isDone: () => boolean) =>
  Effect.repeat(net.sleep("500 millis"), { until: () => isDone() })

describe("events, in the simulator", { timeout: PATIENCE_MS }, () => {
  it.effect("a consumer that was away misses nothing, whether its node was cut off, stopped, or lost its power", () =>
    Effect.gen(function* () {
      const net = yield* SimNet.make({ seed: 501 })
      const { publisher, subscriber } = yield* pair(net)
      const [said, heard] = [new Set<string>(), new Map<string, string>()]
      const consuming = () => subscriber.run(listen(heard, { consumer: "reporter" })).pipe(Effect.forkScoped)
      yield* consuming()
      yield* net.sleep("3 seconds")
      const flow = yield* Effect.forkScoped(publisher.run(publishing("p", 1, 120, said)))
      yield* net.sleep("10 seconds")
      yield* net.cut(subscriber)
      yield* net.sleep("20 seconds")
      yield* net.heal(subscriber)
      yield* net.sleep("10 seconds")
      yield* net.crash(subscriber)
      yield* net.sleep("15 seconds")
      yield* net.restart(subscriber)
      yield* consuming()
      yield* Fiber.join(flow)
      yield* until(net, () => missing(said, heard).length === 0)

      assert.strictEqual(said.size, 120)
    }).pipe(Effect.scoped)
  )

  it.effect("what was acknowledged survives the broker's machine, and the numbers go on", () =>
    Effect.gen(function* () {
      const net = yield* SimNet.make({ seed: 502 })
      const { publisher, subscriber } = yield* pair(net)
      const [said, heard] = [new Set<string>(), new Map<string, string>()]
      yield* subscriber.run(listen(heard, { consumer: "reporter" })).pipe(Effect.forkScoped)
      yield* net.sleep("3 seconds")
      for (let round = 0; round < 4; round++) {
        yield* Effect.forkScoped(Effect.ignoreCause(publisher.run(publishing(`p${round}`, 1, 30, said))))
        yield* net.sleep("7300 millis")
        yield* round % 2 === 0 ? net.kill(publisher) : net.crash(publisher)
        yield* net.sleep("4 seconds")
        yield* net.restart(publisher)
      }
      yield* publisher.run(publishing("last", 1, 3, said))
      yield* until(net, () => missing(said, heard).length === 0)

      const numbers = [...heard.keys()].map((key) => Number(key.split(" ")[1])).toSorted((a, b) => a - b)
      assert.deepStrictEqual(
        numbers,
        numbers.map((_, index) => index + 1)
      )
    }).pipe(Effect.scoped)
  )

  it.effect("hears every trusted peer as it comes and goes, without knowing who publishes", () =>
    Effect.gen(function* () {
      const net = yield* SimNet.make({ seed: 503 })
      const listener = yield* net.node("listener")
      const [said, heard] = [new Set<string>(), new Map<string, string>()]
      yield* listener.run(listen(heard)).pipe(Effect.forkScoped)
      const run = (node: SimNode.SimNode, from: number, to: number) => node.run(publishing(node.name, from, to, said))
      yield* net.sleep("2 seconds")
      yield* run(listener, 1, 1)
      const [a, b, c] = [yield* net.node("a"), yield* net.node("b"), yield* net.node("c")]
      for (const node of [a, b]) yield* net.trust(listener, node)
      yield* net.sleep("5 seconds")
      yield* Effect.all([run(a, 1, 3), run(b, 1, 3)], { concurrency: "unbounded" })
      yield* net.stop(a)
      yield* net.trust(c, listener)
      yield* net.sleep("5 seconds")
      yield* Effect.all([run(b, 4, 5), run(c, 1, 3)], { concurrency: "unbounded" })
      yield* net.restart(a)
      yield* net.sleep("60 seconds")
      yield* run(a, 4, 6)
      yield* until(net, () => missing(said, heard).length === 0)

      assert.strictEqual(heard.size, said.size)
    }).pipe(Effect.scoped)
  )
})
