import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import type * as TaskFrame from "../../../src/protocol/wire/TaskFrame.ts"
import * as TaskStage from "../../support/TaskStage.ts"

const settle = Effect.forEach(Array.from({ length: 200 }), () => Effect.yieldNow, { discard: true })
const text = (value: string): TaskFrame.Outcome => ({ _tag: "Text", text: value })
const stage = Effect.map(TaskStage.make(4), ({ workers: [alice, bob, carol, dave] }) => ({
  ...{ alice: alice!, bob: bob!, carol: carol!, dave: dave! },
  wish: {
    ...{ to: bob!.id, others: [carol!.id, dave!.id] },
    ...{ description: "sum", kind: "k", lifeMs: 600_000, priority: 0, acceptMs: 30_000 }
  }
}))
const lease = { worker: "w", leaseMs: 60_000, waitMs: 0 }

/** The task as it stands after all who were asked. */
const last = Effect.fnUntraced(function* (worker: TaskStage.Worker, id: string) {
  let task = yield* worker.tasks().get("submitted", id)
  while (task.successor !== undefined) task = yield* worker.tasks().get("submitted", task.successor)
  return task
})
const ledger = (worker: TaskStage.Worker) =>
  Effect.map(worker.tasks().ledger, (rows) =>
    rows.map(({ declined, done, failed, late }) => ({ declined, done, failed, late }))
  )

describe("a task that several peers could do", () => {
  it.effect("now: whoever is away or refuses is passed over; the answer is the one who took it", () =>
    Effect.gen(function* () {
      const { alice, bob, carol, dave, wish } = yield* stage
      bob.node.offline = true
      yield* carol.tasks().setReady(false)
      const taken = yield* alice.tasks().offer({ ...wish, id: "t" })
      assert.deepInclude(taken, { id: "t_3", peer: dave.id, status: "NEW" })
      dave.node.offline = true
      const nobody = yield* Effect.flip(alice.tasks().offer({ ...wish, id: "u" }))
      assert.strictEqual(nobody.reason, "Unreachable")
      // Nothing is left open at anybody.
      assert.strictEqual((yield* last(alice, "u")).status, "CANCELLED")
      // One that is trusted is enough, and one that is not is left out.
      bob.node.offline = false
      const stranger = { ...wish, others: [bob.id], to: 99 as never, id: "v" }
      assert.strictEqual((yield* alice.tasks().offer(stranger)).peer, bob.id)
      const none = yield* Effect.flip(alice.tasks().submit({ ...wish, to: 99 as never, others: [] }))
      assert.strictEqual(none.reason, "Unreachable")
    })
  )

  it.effect("kept: through crashes of the submitter, one who takes it and goes away loses it, and works in vain", () =>
    Effect.gen(function* () {
      const { alice, bob, carol, wish } = yield* stage
      yield* alice.tasks().submit({ ...wish, id: "t" })
      yield* settle
      assert.deepInclude(yield* last(alice, "t"), { id: "t", peer: bob.id, status: "NEW" })
      // It has it on its disk, and is cut off before anybody there begins.
      bob.node.offline = true
      yield* alice.stop
      yield* alice.start()
      yield* TestClock.adjust("31 seconds")
      yield* settle
      assert.deepInclude(yield* last(alice, "t"), { id: "t_2", peer: carol.id, status: "NEW" })
      yield* carol.tasks().claim(["k"], lease)
      yield* settle
      yield* TestClock.adjust("2 seconds")
      // Its handler has begun meanwhile; when it is back it hears that this was in vain.
      yield* bob.tasks().claim(["k"], lease)
      bob.node.offline = false
      yield* TestClock.adjust("2 minutes")
      yield* settle
      assert.strictEqual((yield* bob.tasks().get("received", "t")).status, "CANCELLED")
      assert.strictEqual((yield* Effect.flip(bob.tasks().finish("t", text("two"), 1))).reason, "Stale")
      const held = yield* carol.tasks().get("received", "t_2")
      const again = held.status === "EXECUTING" ? held : yield* carol.tasks().claim(["k"], lease)
      yield* carol.tasks().finish("t_2", text("three"), again?.attempt ?? 0)
      yield* settle
      const done = yield* last(alice, "t")
      assert.deepStrictEqual(yield* alice.tasks().outcome(done), text("three"))
      const expected = [
        { declined: 0, done: 1, failed: 0, late: 0 },
        { declined: 0, done: 0, failed: 0, late: 1 }
      ]
      assert.deepStrictEqual(yield* ledger(alice), expected)
      // On the disk: after a crash it is still there, and decides.
      yield* alice.stop
      yield* alice.start()
      assert.deepStrictEqual(yield* ledger(alice), expected)
      assert.strictEqual((yield* alice.tasks().submit({ ...wish, id: "next" })).peer, carol.id)
    })
  )

  it.effect("declined after it was taken: the next one has it, and a cancel reaches whoever has it last", () =>
    Effect.gen(function* () {
      const { alice, bob, carol, wish } = yield* stage
      yield* alice.tasks().offer({ ...wish, id: "t" })
      yield* bob.tasks().decline("t", "no time")
      yield* TestClock.adjust("1 second")
      yield* settle
      assert.deepInclude(yield* last(alice, "t"), { id: "t_2", peer: carol.id, status: "NEW" })
      yield* alice.tasks().cancel("t", "enough")
      yield* TestClock.adjust("1 second")
      yield* settle
      assert.strictEqual((yield* carol.tasks().get("received", "t_2")).status, "CANCELLED")
      assert.deepStrictEqual(yield* ledger(alice), [{ declined: 1, done: 0, failed: 0, late: 0 }])
    })
  )
})
