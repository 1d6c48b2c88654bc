import { assert, describe, it } from "@effect/vitest"
import { Arbitrary } from "effect"
import * as Passing from "../../../src/protocol/task/Passing.ts"
import * as Submitting from "../../../src/protocol/task/Submitting.ts"
import { TaskLedger } from "../../../src/protocol/task/TaskLedger.ts"
import * as TaskRecord from "../../../src/protocol/task/TaskRecord.ts"
import type { Peer } from "../../../src/protocol/task/TaskRefusal.ts"
import { LIMITS, TaskTable } from "../../../src/protocol/task/TaskTable.ts"
import * as Address from "../../../src/protocol/wire/Address.ts"
import * as Arb from "../../support/Arbitraries.ts"
import { success } from "../../support/Vectors.ts"

const own = Address.make(0, 1)
const peer = (node: number): Peer => ({ address: Address.make(0, node), key: `key ${node}` })
const result: TaskRecord.StoredResult = { type: "text", name: "", path: "/r", sizeBytes: 1 }
const times = { idleMs: 0, stagedMs: 0, cpuMs: 0 }
const ours = (revision: number) => ({ revision, progress: "" })

const offer = (table: TaskTable, id: string, nowMs: number, kind = "k") => {
  const [to, ...others] = Passing.ranked(table, [peer(2), peer(3), peer(4)], kind)
  const wish = { kind, lifeMs: 600_000, priority: 0, description: "do", acceptMs: 30_000 }
  return success(Submitting.submit(table, { ...wish, id, to: to!, from: own, others }, nowMs))
}
const answer = (table: TaskTable, id: string, isTaken: boolean, nowMs: number) =>
  success(Submitting.answered(table, { _tag: "Answer", id, isTaken, message: "busy", isOurs: true }, nowMs))
const says = (table: TaskTable, id: string, status: string, node: number, nowMs: number) =>
  success(
    Submitting.heard(table, { _tag: "Status", id, status, justification: "no", ours: ours(9) }, peer(node), nowMs)
  )
const row = (table: TaskTable, id: string) => {
  const { peer: node, status, successor } = table.get("submitted", id)!
  return [node as number, status, successor]
}

describe("a task that several could do", () => {
  it("goes to the next one when it is declined at once, later, or not accepted in time; earlier ones are told", () => {
    const table = new TaskTable(LIMITS)
    offer(table, "t", 0)
    answer(table, "t", false, 10)
    assert.deepStrictEqual(row(table, "t"), [2, "DECLINED", "t_2"])
    answer(table, "t_2", true, 20)
    table.due(29_000)
    assert.deepStrictEqual(row(table, "t_2"), [3, "NEW", undefined])
    table.due(40_100)
    assert.deepStrictEqual(row(table, "t_2"), [3, "CANCELLED", "t_3"])
    assert.deepStrictEqual(
      table.untold(peer(3).address.node).map(({ id, status }) => [id, status]),
      [["t_2", "CANCELLED"]]
    )
    // Nobody is left: the last one may take as long as the task lives, and what an earlier one says is not heard.
    answer(table, "t_3", true, 50_000)
    table.due(500_000)
    says(table, "t_2", "ACCEPTED", 3, 500_001)
    assert.deepStrictEqual(row(table, "t_2"), [3, "CANCELLED", "t_3"])
    assert.deepStrictEqual(row(table, "t_3"), [4, "NEW", undefined])
    says(table, "t_3", "DECLINED", 4, 500_002)
    assert.deepStrictEqual(row(table, "t_3"), [4, "DECLINED", undefined])
    // The same again is the same, whoever is best now.
    assert.strictEqual(offer(table, "t", 500_003).successor, "t_2")
  })

  it("goes on when its peer cannot be reached, and stays where it was accepted", () => {
    const table = new TaskTable(LIMITS)
    offer(table, "t", 0)
    Passing.unreached(table, table.untold(peer(2).address.node), "no route", 5)
    assert.deepStrictEqual(row(table, "t"), [2, "CANCELLED", "t_2"])
    answer(table, "t_2", true, 6)
    says(table, "t_2", "ACCEPTED", 3, 7)
    Passing.unreached(table, table.untold(peer(3).address.node), "no route", 8)
    table.due(100_000)
    assert.deepStrictEqual(row(table, "t_2"), [3, "ACCEPTED", undefined])
    // Who was away is not to blame; who has done it is known for it.
    success(Submitting.completed(table, { id: "t_2", ours: ours(10), times }, result, peer(3), 100_001))
    assert.deepStrictEqual(
      table.ledger.all.map(({ declined, done, failed, late, peerKey }) => [peerKey, done, failed, late, declined]),
      [["key 3", 1, 0, 0, 0]]
    )
  })

  it("goes first to whoever has done best with its kind, and equals share", () => {
    const ledger = new TaskLedger()
    for (let count = 0; count < 6; count++) ledger.record("key 3", "k", "done", count)
    for (let count = 0; count < 6; count++) ledger.record("key 2", "k", "failed", count)
    const table = new TaskTable(LIMITS, [], ledger)
    const first = (kind: string) => Number(Passing.ranked(table, [peer(2), peer(3), peer(4)], kind)[0]?.address.node)
    assert.strictEqual(first("k"), 3)
    assert.strictEqual(first("other"), 2)
    offer(table, "a", 0)
    assert.strictEqual(first("k"), 4)
    offer(table, "b", 0)
    assert.strictEqual(first("k"), 3)
    // Keys that its own chain has led from are the same peer.
    assert.isAbove(ledger.expectation(["new", "key 3"], "k"), ledger.expectation(["new"], "k"))
  })

  it("has an id of its own at each, never longer than an id may be, and never a stranger's", () => {
    const table = new TaskTable(LIMITS)
    const long = "x".repeat(64)
    offer(table, `${"x".repeat(58)}_2`, 0)
    offer(table, long, 0)
    answer(table, long, false, 1)
    const next = table.get("submitted", long)?.successor ?? ""
    assert.strictEqual(next, `${"x".repeat(58)}_3`)
    assert.isAtMost(next.length, 64)
  })
})

const step = Arbitrary.all({ op: Arb.integer(0, 6), id: Arb.integer(0, 3), ms: Arb.integer(0, 30_000) })

describe("TaskLedger", () => {
  it.prop(
    "whatever happens, one try of a task is open at most, each end counts once, and what is stored is the same again",
    { steps: Arbitrary.array(step, { maxLength: 80 }) },
    ({ steps }) => {
      const table = new TaskTable(LIMITS)
      const stored = new Map<string, unknown>()
      let nowMs = 1
      for (const { id: number, ms, op } of steps) {
        nowMs += ms
        const open = table.all("submitted").filter((task) => !TaskRecord.isDone(task))
        const task = open[number % Math.max(1, open.length)]
        if (op === 0) offer(table, `t${number}`, nowMs)
        if (task !== undefined) {
          const [id, who] = [task.id, { address: Address.make(0, task.peer), key: task.peerKey }]
          if (op === 1) answer(table, id, true, nowMs)
          if (op === 2) answer(table, id, false, nowMs)
          if (op === 3) says(table, id, ms % 2 === 0 ? "DECLINED" : "FAILED", task.peer, nowMs)
          if (op === 4) Submitting.completed(table, { id, ours: ours(20), times }, result, who, nowMs)
          if (op === 5) Passing.unreached(table, table.untold(task.peer), "away", nowMs)
        }
        if (op === 6) table.due(nowMs)
        for (const { _tag, tally } of table.ledger.drain())
          if (_tag === "Put") stored.set(`${tally.peerKey} ${tally.kind}`, tally)
      }
      const tasks = table.all("submitted")
      for (const number of [0, 1, 2, 3]) {
        const tries = tasks.filter(({ id }) => id === `t${number}` || id.startsWith(`t${number}_`))
        assert.isAtMost(tries.filter((task) => !TaskRecord.isDone(task)).length, 1)
        for (const task of tries) if (task.successor !== undefined) assert.isTrue(TaskRecord.isDone(task))
      }
      const counted = table.ledger.all.reduce((sum, one) => sum + one.done + one.failed + one.late + one.declined, 0)
      assert.isAtMost(counted, tasks.filter((task) => TaskRecord.isDone(task)).length)
      const again = new TaskLedger(stored.values() as never)
      assert.deepStrictEqual(new Set(again.all), new Set(table.ledger.all))
    }
  )

  it("is bounded, the past fades, and whoever is unknown is between the good and the bad", () => {
    const ledger = new TaskLedger([], 2)
    for (const [index, key] of ["a", "b", "a", "c"].entries()) ledger.record(key, "k", "done", index)
    assert.deepStrictEqual(
      ledger.all.map(({ peerKey }) => peerKey),
      ["c", "a"]
    )
    assert.deepStrictEqual(
      ledger.drain().map(({ _tag, tally }) => `${_tag} ${tally.peerKey}`),
      ["Put a", "Removed b", "Put c"]
    )
    for (let count = 0; count < 2_000; count++) ledger.record("a", "k", "done", count)
    assert.isAbove(ledger.expectation(["a"], "k"), 0.99)
    for (let count = 0; count < 2_000; count++) ledger.record("a", "k", "failed", count)
    assert.isBelow(ledger.expectation(["a"], "k"), 0.3)
    assert.strictEqual(ledger.expectation(["nobody"], "k"), 0.5)
    ledger.record("d", "k", "declined", 1)
    assert.isAbove(ledger.expectation(["d"], "k"), ledger.expectation(["a"], "k"))
  })
})
