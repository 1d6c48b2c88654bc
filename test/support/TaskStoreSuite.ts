/** What `TaskStore` promises, on any engine. */
import { assert, type Vitest } from "@effect/vitest"
import { Arbitrary, Effect } from "effect"
import * as TaskStore from "../../src/actors/services/tasks/TaskStore.ts"
import type { Tally } from "../../src/protocol/task/TaskLedger.ts"
import type { TaskRecord } from "../../src/protocol/task/TaskRecord.ts"
import * as TaskSteps from "../../src/protocol/task/TaskSteps.ts"
import type { Change } from "../../src/protocol/task/TaskTable.ts"
import { NodeId } from "../../src/protocol/wire/Address.ts"
import { element, integer, text } from "./Arbitraries.ts"
import type { Engine } from "./StorageEngine.ts"

// PostgreSQL has no NUL in a text, nor has JSON an unpaired surrogate; descriptions are JSON or somebody's words.
const words = Arbitrary.map(text, (value) => value.toWellFormed().replaceAll("\u0000", ""))

const record = Arbitrary.map(
  Arbitrary.all({
    id: element("a", "b", "c", "d"),
    side: element("received", "submitted"),
    description: words,
    justification: words,
    attempt: integer(0, 9),
    atMs: integer(0, 4_000_000_000_000)
  }),
  ({ atMs, attempt, description, id, justification, side }): TaskRecord => ({
    ...TaskSteps.fresh({
      ...{ side, id, description, peer: NodeId(7), peerKey: "key", from: "0:1", to: "0:2" },
      ...{ createdAtMs: atMs, expiresAtMs: atMs + 1 }
    }),
    ...{ attempt, justification }
  })
)
const change = Arbitrary.map(
  Arbitrary.all({ _tag: element("Put", "Put", "Removed"), record }),
  (value): Change => value
)

/** The text that a task was given stays, whatever else is put over it. */
const applied = (rows: Map<string, TaskRecord>, changes: ReadonlyArray<Change>) => {
  for (const { _tag, record } of changes) {
    const key = `${record.side} ${record.id}`
    const description = rows.get(key)?.description ?? record.description
    if (_tag === "Put") rows.set(key, { ...record, description })
  }
  for (const { _tag, record } of changes) if (_tag === "Removed") rows.delete(`${record.side} ${record.id}`)
}

/** Of one commit, each task once, as `TaskTable.drain` gives them. */
const once = (changes: ReadonlyArray<Change>) => [
  ...new Map(changes.map((one) => [`${one.record.side} ${one.record.id}`, one])).values()
]

const tally = (done: number): Tally => ({
  ...{ peerKey: "key", kind: "k", done, failed: 0, late: 0, declined: 0, lastAtMs: 4_000_000_000_000 }
})

/** Runs the suite. */
export const run = <R>(it: Vitest.MethodsNonLive<R>, { empty, runs }: Engine<R>): void => {
  it.effect.prop(
    "holds after any commits what was put, in the order in which tasks came to be known",
    { commits: Arbitrary.array(Arbitrary.array(change, { maxLength: 8 }), { maxLength: 5 }) },
    ({ commits }) =>
      Effect.gen(function* () {
        const store = yield* TaskStore.open()
        const rows = new Map<string, TaskRecord>()
        for (const changes of commits.map(once)) {
          yield* store.commit(changes)
          applied(rows, changes)
        }
        assert.deepStrictEqual(yield* store.load, [...rows.values()])
      }).pipe(Effect.scoped, Effect.provide(empty, { local: true })),
    { arbitrary: { runs } }
  )

  it.effect("tasks and ledger in one commit, and opened again nothing is different", () =>
    Effect.gen(function* () {
      const task = TaskSteps.fresh({
        ...{ side: "received", id: "a", description: "x".repeat(131_072), peer: NodeId(7), peerKey: "key" },
        ...{ from: "0:1", to: "0:2", createdAtMs: 1, expiresAtMs: 2 }
      })
      const store = yield* TaskStore.open()
      yield* store.commit([{ _tag: "Put", record: task }], [{ _tag: "Put", tally: tally(1) }])
      yield* store.commit([], [{ _tag: "Put", tally: tally(2) }])
      const again = yield* TaskStore.open()
      assert.deepStrictEqual(yield* again.load, [task])
      assert.deepStrictEqual(yield* again.ledger, [tally(2)])
    }).pipe(Effect.scoped, Effect.provide(empty, { local: true }))
  )

  it.effect(
    "what was committed and cannot be synced is taken back, a task and a tally that were there to what they were",
    () =>
      Effect.gen(function* () {
        let isBroken = false
        const broken = { message: "input/output error" }
        const store = yield* TaskStore.open(Effect.suspend(() => (isBroken ? Effect.fail(broken) : Effect.void)))
        const make = (id: string) =>
          TaskSteps.fresh({
            ...{ side: "received", id, description: id, peer: NodeId(7), peerKey: "key" },
            ...{ from: "0:1", to: "0:2", createdAtMs: 1, expiresAtMs: 2 }
          })
        const [known, old, fresh] = [make("known"), make("old"), make("fresh")]
        yield* store.commit(
          [known, old].map((one): Change => ({ _tag: "Put", record: one })),
          [{ _tag: "Put", tally: tally(1) }]
        )
        isBroken = true
        const failed = yield* Effect.flip(
          store.commit(
            [
              { _tag: "Put", record: { ...known, attempt: 3 }, before: known },
              { _tag: "Put", record: fresh, before: undefined },
              { _tag: "Removed", record: old, before: old }
            ],
            [
              { _tag: "Put", tally: tally(2), before: tally(1) },
              { _tag: "Put", tally: { ...tally(1), kind: "other" }, before: undefined }
            ]
          )
        )
        assert.strictEqual(failed.detail, "input/output error")
        assert.deepStrictEqual(yield* store.load, [known, old])
        assert.deepStrictEqual(yield* store.ledger, [tally(1)])
      }).pipe(Effect.scoped, Effect.provide(empty, { local: true }))
  )

  it.effect("more changes than a statement takes are one commit", () =>
    Effect.gen(function* () {
      const store = yield* TaskStore.open()
      const tasks = Array.from({ length: 300 }, (_, index) =>
        TaskSteps.fresh({
          ...{ side: "submitted" as const, id: `t${index}`, description: "", peer: NodeId(7), peerKey: "key" },
          ...{ from: "0:1", to: "0:2", createdAtMs: index, expiresAtMs: 2 }
        })
      )
      yield* store.commit(tasks.map((one): Change => ({ _tag: "Put", record: one })))
      assert.deepStrictEqual(yield* store.load, tasks)
    }).pipe(Effect.scoped, Effect.provide(empty, { local: true }))
  )
}
