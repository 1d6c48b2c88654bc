import { assert, describe, it } from "@effect/vitest"
import { Arbitrary } from "effect"
import { TaskQueue } from "../../../src/protocol/task/TaskQueue.ts"
import * as Arb from "../../support/Arbitraries.ts"

interface Entry {
  readonly id: string
  readonly kind: string
  readonly priority: number
  readonly createdAtMs: number
  readonly notBeforeMs: number
}

const first = (entries: ReadonlyArray<Entry>) =>
  entries.toSorted((a, b) => b.priority - a.priority || a.createdAtMs - b.createdAtMs || (a.id < b.id ? -1 : 1))[0]?.id

describe("TaskQueue", () => {
  const step = Arbitrary.all({
    id: Arb.element("a", "b", "c", "d", "e", "f"),
    kind: Arb.element("k", "l"),
    priority: Arb.integer(0, 1),
    createdAtMs: Arb.integer(0, 2),
    pauseMs: Arb.element(0, 0, 5, 20),
    ms: Arb.integer(0, 10)
  })

  it.prop(
    "gives the most urgent of those whose pause is over, then the oldest, and says when the next one's is",
    { steps: Arbitrary.array(step, { maxLength: 40 }) },
    ({ steps }) => {
      const queue = new TaskQueue()
      const naive = new Map<string, Entry>()
      let nowMs = 100
      for (const { ms, pauseMs, ...given } of steps) {
        nowMs += ms
        const known = naive.get(given.id)
        if (known !== undefined) {
          queue.remove(known)
          naive.delete(given.id)
        } else {
          const entry = { ...given, notBeforeMs: pauseMs === 0 ? 0 : nowMs + pauseMs }
          queue.add(entry)
          naive.set(entry.id, entry)
        }
        for (const kinds of [["k"], ["l"], ["l", "k"]]) {
          const ofKinds = [...naive.values()].filter(({ kind }) => kinds.includes(kind))
          const due = ofKinds.filter(({ notBeforeMs }) => notBeforeMs <= nowMs)
          assert.strictEqual(queue.first(kinds, nowMs), first(due))
          const nextAtMs = queue.nextAtMs(kinds)
          if (ofKinds.length === 0) assert.isUndefined(nextAtMs)
          else if (due.length > 0) assert.isAtMost(nextAtMs ?? Number.NaN, nowMs)
          else assert.strictEqual(nextAtMs, Math.min(...ofKinds.map(({ notBeforeMs }) => notBeforeMs)))
        }
        assert.strictEqual(queue.size, naive.size)
      }
    }
  )

  it("looks at a few of them for each that is begun, however many wait and pause", () => {
    const queue = new TaskQueue()
    let looks = 0
    const entryOf = (index: number, pauseMs: number) => ({
      ...{ id: `t${index}`, kind: "k", priority: 0, createdAtMs: index },
      get notBeforeMs() {
        looks++
        return pauseMs
      }
    })
    const COUNT = 2_000
    for (let index = 0; index < COUNT; index++) queue.add(entryOf(index, index % 2 === 0 ? 0 : 1_000 + index))
    for (let index = 0; index < COUNT; index += 2) {
      const id = queue.first(["k"], 1)
      assert.strictEqual(id, `t${index}`)
      queue.remove(entryOf(index, 0))
      queue.nextAtMs(["k"])
    }
    assert.isAtMost(looks / COUNT, 40)
  })
})
