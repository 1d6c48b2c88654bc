import { assert, describe, it } from "@effect/vitest"
import { Arbitrary } from "effect"
import * as Bytes from "../../../src/core/data/Bytes.ts"
import { BrokerTable } from "../../../src/protocol/pubsub/BrokerTable.ts"
import { RecentEvent } from "../../../src/protocol/pubsub/RecentEvents.ts"
import { Subscription } from "../../../src/protocol/pubsub/Subscription.ts"
import * as TopicPattern from "../../../src/protocol/pubsub/TopicPattern.ts"
import { NodeId } from "../../../src/protocol/wire/Address.ts"
import type { Policy } from "../../../src/protocol/wire/EventExtension.ts"
import * as Arb from "../../support/Arbitraries.ts"

const RECENT = 8
const event = (sequence: number, topic: string, origin = 0) =>
  new RecentEvent(
    { sequence, topic, payload: Bytes.fromUtf8(`${sequence}`), publisher: NodeId(1), publishedAtMs: 0 },
    Bytes.fromUtf8(topic),
    origin
  )

const scene = (policy: Policy, filter = "a", origin = 0) => {
  const table = new BrokerTable({ countMax: RECENT, bytesMax: 1_000 }, 0)
  let wakes = 0
  const subscription = new Subscription({
    ...{ pattern: TopicPattern.parse(filter), policy, origin, position: 0 },
    wake: () => wakes++
  })
  table.add(subscription)
  const publish = (topic: string, from = 0) => table.publish(event(table.recent.last + 1, topic, from))
  const take = (bytes = 1_000) => subscription.take(table.recent, bytes).map(({ stored }) => stored.sequence)
  return { table, subscription, publish, take, wakes: () => wakes }
}

describe("Subscription", () => {
  it("takes what it wants in order, and is woken for nothing else", () => {
    const { publish, take, wakes } = scene("drop")
    for (const topic of ["a", "b", "a"]) publish(topic)

    assert.deepStrictEqual(take(), [1, 3])
    assert.deepStrictEqual(take(), [])
    assert.strictEqual(wakes(), 2)
  })

  it("what came by its own connection does not come back (node §5)", () => {
    const { publish, take } = scene("drop", "*", 5)
    publish("a", 5)
    publish("a", 6)

    assert.deepStrictEqual(take(), [2])
  })

  it("drops the oldest and says how many, no matter what else was published", () => {
    const { publish, subscription, take } = scene("drop")
    for (let count = 0; count < RECENT; count++) publish(count % 2 === 0 ? "a" : "b")
    for (let count = 0; count < 4; count++) publish("b")

    assert.deepStrictEqual(take(), [5, 7])
    assert.strictEqual(subscription.dropped, 2)
  })

  it("falls behind instead where nothing may be lost, and goes on in memory when it has caught up", () => {
    const { publish, subscription, table, take } = scene("replay")
    for (let count = 0; count < RECENT + 2; count++) publish("a")

    assert.deepStrictEqual(take(), [])
    assert.isTrue(subscription.isBehind)
    assert.strictEqual(subscription.position, 0)
    subscription.reached(1, table.recent)
    assert.isTrue(subscription.isBehind)
    publish("a")
    subscription.reached(4, table.recent)
    assert.isFalse(subscription.isBehind)

    assert.deepStrictEqual(take(), [5, 6, 7, 8, 9, 10, 11])
    assert.strictEqual(subscription.dropped, 0)
  })

  it("holds publishers up when it blocks and so many wait, for the topics that it wants", () => {
    const { publish, subscription, table, take } = scene("block", "a.*")
    for (let count = 0; count < 3; count++) publish("a.b")

    assert.deepStrictEqual(table.blocking(TopicPattern.topic("a.c"), 3), [subscription])
    assert.deepStrictEqual(table.blocking(TopicPattern.topic("b"), 3), [])
    assert.deepStrictEqual(take(1), [1])
    assert.deepStrictEqual(table.blocking(TopicPattern.topic("a.c"), 3), [])
  })

  const step = Arb.element("a", "b", "take", "take few")
  it.prop(
    "delivers or drops every wanted event, each once and in order, whatever comes when",
    { steps: Arbitrary.array(step, { maxLength: 60 }), policy: Arb.element<Policy>("drop", "replay", "block") },
    ({ policy, steps }) => {
      const { publish, subscription, table, take } = scene(policy)
      const wanted: Array<number> = []
      const taken: Array<number> = []
      const read = (bytes: number) => {
        taken.push(...take(bytes))
        // The log: everything up to some later place.
        if (!subscription.isBehind) return
        taken.push(...wanted.filter((sequence) => sequence > subscription.position))
        subscription.reached(table.recent.last, table.recent)
      }
      for (const one of [...steps, "take"]) {
        if (one === "take") read(1_000)
        else if (one === "take few") read(1)
        else {
          publish(one)
          if (one === "a") wanted.push(table.recent.last)
        }
      }

      assert.deepStrictEqual(
        taken,
        [...new Set(taken)].toSorted((x, y) => x - y)
      )
      assert.strictEqual(taken.length + subscription.dropped, wanted.length)
      assert.isTrue(taken.every((sequence) => wanted.includes(sequence)))
      assert.isTrue(policy === "drop" || subscription.dropped === 0)
    }
  )

  it("a table that nobody is in any more tells nobody", () => {
    const { publish, subscription, table, wakes } = scene("drop")
    table.remove(subscription)
    table.remove(subscription)

    assert.strictEqual(publish("a"), 0)
    assert.strictEqual(wakes(), 0)
    assert.strictEqual(table.size, 0)
  })
})
