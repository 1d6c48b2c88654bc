import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Result } from "effect"
import * as Executing from "../../../src/protocol/task/Executing.ts"
import * as Submitting from "../../../src/protocol/task/Submitting.ts"
import type { TaskRecord } from "../../../src/protocol/task/TaskRecord.ts"
import * as TaskRecords from "../../../src/protocol/task/TaskRecord.ts"
import type { Peer } from "../../../src/protocol/task/TaskRefusal.ts"
import { LIMITS, TaskTable } from "../../../src/protocol/task/TaskTable.ts"
import * as Address from "../../../src/protocol/wire/Address.ts"
import type * as TaskFrame from "../../../src/protocol/wire/TaskFrame.ts"
import * as Arb from "../../support/Arbitraries.ts"
import { failure, success } from "../../support/Vectors.ts"

const own = Address.make(0, 1)
const peer = (node: number): Peer => ({ address: Address.make(0, node), key: `key ${node}` })
const MINUTE = 60_000
const HOUR = 60 * MINUTE
const submission = (id: string, ours?: Partial<TaskFrame.Wish>, description = "do"): TaskFrame.Submit => ({
  ...{ _tag: "Submit", id, description, from: "0:0000.0000.FFFF", to: "" },
  ours: ours && { kind: "", lifeMs: 0, priority: 0, ...ours }
})
const result: TaskRecords.StoredResult = { type: "text", name: "", path: "/r", sizeBytes: 1 }
const statusOf = (table: TaskTable, id: string, side: TaskRecords.Side = "received") => table.get(side, id)?.status
const given = (id: string, ours?: Partial<TaskFrame.Wish>, limits = {}) => {
  const table = new TaskTable({ ...LIMITS, ...limits })
  success(Executing.receive(table, submission(id, ours), peer(2), own, 0))
  return table
}

describe("tasks that were given to a node (node §6.4)", () => {
  it("the way of a task that a person does, with the times that are paid for", () => {
    const table = given("a")
    assert.strictEqual(success(Executing.accept(table, "a", 1_200)).status, "ACCEPTED")
    assert.strictEqual(success(Executing.execute(table, 1_500)).status, "EXECUTING")
    const done = success(Executing.finish(table, "a", result, 66_500))

    assert.strictEqual(done.status, "SUCCEEDED")
    assert.strictEqual(done.justification, "Results sent successfully")
    assert.deepStrictEqual(done.times, { idleMs: 1_200, stagedMs: 300, cpuMs: 65_000 })
    // Who gave it comes from the stream, whatever the message says (node §6.2).
    assert.deepInclude(done, { from: "0:0000.0000.0002", to: "0:0000.0000.0001" })
  })

  it("a result may come without `execute`, as workers of the seeds send it (cli §10)", () => {
    const table = given("a")
    success(Executing.accept(table, "a", 1))
    assert.strictEqual(success(Executing.finish(table, "a", result, 2)).status, "SUCCEEDED")
  })

  it("who accepts by hand, also of a kind, says how far it is; nobody else does", () => {
    const table = new TaskTable(LIMITS)
    success(Executing.receive(table, submission("k", { kind: "sum" }), peer(2), own, 0))
    assert.strictEqual(failure(Executing.accept(table, undefined, 1)).reason, "NotFound")
    assert.strictEqual(failure(Executing.tell(table, "k", "1")).reason, "InvalidState")
    assert.strictEqual(success(Executing.accept(table, undefined, 1, "sum")).id, "k")
    const told = success(Executing.tell(table, "k", "0.5"))
    assert.strictEqual(told.progress, "0.5")
    assert.strictEqual(success(Executing.tell(table, "k", "0.5")).revision, told.revision)
    success(Executing.receive(table, submission("l", { kind: "sum" }), peer(2), own, 2))
    assert.isDefined(Executing.claim(table, ["sum"], "w", 1_000, 3))
  })

  const operations: Readonly<
    Record<string, (table: TaskTable) => Result.Result<TaskRecord, { readonly reason: string }>>
  > = {
    accept: (table) => Executing.accept(table, "a", 10),
    decline: (table) => Executing.decline(table, "a", "busy", 10),
    execute: (table) => Executing.execute(table, 10),
    results: (table) => Executing.finish(table, "a", result, 10),
    fail: (table) => Executing.fail(table, "a", { why: "broken", isFinal: true }, 10)
  }
  const prepared: Readonly<Record<string, (table: TaskTable) => unknown>> = {
    none: (table) => table.due(8 * 24 * HOUR),
    NEW: () => 0,
    ACCEPTED: (table) => Executing.accept(table, "a", 1),
    EXECUTING: (table) => [Executing.accept(table, "a", 1), Executing.execute(table, 2)],
    SUCCEEDED: (table) => [Executing.accept(table, "a", 1), Executing.finish(table, "a", result, 2)],
    DECLINED: (table) => Executing.decline(table, "a", "no", 1)
  }
  it("every state × every command", () => {
    const matrix = Object.entries(prepared).map(([state, prepare]) => {
      const row = Object.entries(operations).map(([name, operation]) => {
        const table = state === "none" ? new TaskTable(LIMITS) : given("a")
        prepare(table)
        const answer = operation(table)
        return `${name} ${Result.isSuccess(answer) ? answer.success.status : answer.failure.reason}`
      })
      return `${state}: ${row.join(", ")}`
    })
    assert.deepStrictEqual(matrix, [
      "none: accept NotFound, decline NotFound, execute NotFound, results NotFound, fail NotFound",
      "NEW: accept ACCEPTED, decline DECLINED, execute NotFound, results InvalidState, fail InvalidState",
      "ACCEPTED: accept InvalidState, decline InvalidState, execute EXECUTING, results SUCCEEDED, fail FAILED",
      "EXECUTING: accept InvalidState, decline InvalidState, execute NotFound, results SUCCEEDED, fail FAILED",
      "SUCCEEDED: accept InvalidState, decline InvalidState, execute NotFound, results InvalidState, fail InvalidState",
      "DECLINED: accept InvalidState, decline InvalidState, execute NotFound, results InvalidState, fail InvalidState"
    ])
  })

  it("nobody accepts for a minute: cancelled, and the submitter hears of it; ours has until its deadline", () => {
    const table = given("a")
    success(Executing.receive(table, submission("b", { lifeMs: HOUR }), peer(2), own, 0))
    assert.strictEqual(failure(Executing.accept(table, "a", MINUTE)).reason, "Expired")
    table.due(MINUTE)

    assert.strictEqual(statusOf(table, "a"), "CANCELLED")
    assert.strictEqual(table.get("received", "a")?.justification, "Task cancelled: no response within 1 minute")
    assert.deepStrictEqual(
      table.untold(Address.NodeId(2)).map(({ id }) => id),
      ["a"]
    )
    assert.strictEqual(statusOf(table, "b"), "NEW")
    table.due(HOUR)
    assert.strictEqual(statusOf(table, "b"), "EXPIRED")
  })

  it("an hour at the head of the queue costs a point, and only the head, and not what is done (quirk 1)", () => {
    const table = given("a")
    success(Executing.receive(table, submission("b"), peer(2), own, 0))
    success(Executing.accept(table, "a", 1_000))
    success(Executing.accept(table, "b", 2_000))
    assert.isEmpty(table.due(HOUR))
    assert.deepStrictEqual(
      table.due(HOUR + 1_000).map(({ id }) => id),
      ["a"]
    )
    assert.deepStrictEqual([statusOf(table, "a"), statusOf(table, "b")], ["EXPIRED", "ACCEPTED"])

    success(Executing.finish(table, "b", result, HOUR + 2_000))
    table.due(3 * HOUR)
    assert.strictEqual(statusOf(table, "b"), "SUCCEEDED")
  })

  it("the same task again is the same task; another one of that id is refused", () => {
    const table = given("a")
    success(Executing.accept(table, "a", 5))
    assert.strictEqual(success(Executing.receive(table, submission("a"), peer(2), own, 9)).status, "ACCEPTED")
    assert.strictEqual(failure(Executing.receive(table, submission("a"), peer(3), own, 9)).reason, "InvalidState")
    const other = submission("a", undefined, "something else")
    assert.strictEqual(failure(Executing.receive(table, other, peer(2), own, 9)).reason, "InvalidState")
    assert.strictEqual(failure(Executing.receive(table, submission("../evil"), peer(2), own, 9)).reason, "InvalidState")
  })

  it("tasks of one peer, of all, and their texts are bounded; what is done and told makes room", () => {
    const table = given("a", undefined, { openMax: 3, openPerPeerMax: 2, textMax: 100, descriptionMax: 90 })
    const receive = (id: string, from: number, text = "x") =>
      Executing.receive(table, submission(id, undefined, text), peer(from), own, 0)
    success(receive("b", 2))
    assert.strictEqual(failure(receive("c", 2)).detail, "too many tasks of this peer are waiting")
    assert.strictEqual(failure(receive("d", 3, "x".repeat(91))).detail, "the task is longer than 90 characters")
    assert.strictEqual(failure(receive("d", 3, "x".repeat(90 + 8))).reason, "Full")
    success(receive("d", 3))
    assert.strictEqual(failure(receive("e", 4)).detail, "too many tasks are waiting")

    success(Executing.decline(table, "a", "no", 1))
    assert.strictEqual(failure(receive("c", 2)).reason, "Full")
    table.told("received", "a", 1)
    success(receive("c", 2))
  })

  it("what is settled is forgotten after a week, and beyond the bound the oldest first", () => {
    const table = given("a", undefined, { settledMax: 16 })
    for (let index = 0; index < 20; index++) {
      success(Executing.receive(table, submission(`t${index}`), peer(2), own, index))
      success(Executing.decline(table, `t${index}`, "no", index))
      table.told("received", `t${index}`, 1)
    }
    table.due(20)
    assert.strictEqual(table.all("received").length, 17)
    assert.isUndefined(table.get("received", "t3"))
    assert.isDefined(table.get("received", "t4"))
    table.due(8 * 24 * HOUR)
    table.due(20 * 24 * HOUR)
    assert.isEmpty(table.all("received"))
  })
})

describe("tasks for programs", () => {
  const claim = (table: TaskTable, nowMs: number, kinds = ["k"]) => Executing.claim(table, kinds, "w", 1_000, nowMs)

  it("the most urgent first, then the oldest, of the kinds asked for", () => {
    const table = given("a", { kind: "k" })
    for (const [id, priority, kind] of [
      ["b", 5, "k"],
      ["c", 5, "k"],
      ["d", 9, "other"]
    ] as const)
      success(Executing.receive(table, submission(id, { kind, priority }), peer(2), own, 1))
    assert.deepStrictEqual(
      [claim(table, 2)?.id, claim(table, 2)?.id, claim(table, 2)?.id, claim(table, 2)],
      ["b", "c", "a", undefined]
    )
    assert.strictEqual(claim(table, 2, ["k", "other"])?.id, "d")
  })

  it("a lease that is not renewed is lost, and what its worker says then counts for nothing", () => {
    const table = given("a", { kind: "k" })
    assert.strictEqual(claim(table, 0)?.attempt, 1)
    success(Executing.renew(table, "a", 1, 1_000, 900, '{"done":1}'))
    table.due(1_899)
    assert.strictEqual(statusOf(table, "a"), "EXECUTING")
    table.due(1_900)
    assert.strictEqual(statusOf(table, "a"), "ACCEPTED")
    assert.isUndefined(claim(table, 1_901), "not at once")
    assert.strictEqual(claim(table, 2_900)?.attempt, 2)

    for (const late of [
      Executing.renew(table, "a", 1, 1_000, 2_901),
      Executing.finish(table, "a", result, 2_901, 1),
      Executing.fail(table, "a", { why: "x", isFinal: true, attempt: 1 }, 2_901)
    ])
      assert.strictEqual(failure(late).reason, "Stale")
    // Nor may somebody at a terminal finish what a program works on.
    assert.strictEqual(failure(Executing.finish(table, "a", result, 2_901)).reason, "InvalidState")
    assert.strictEqual(success(Executing.finish(table, "a", result, 2_902, 2)).status, "SUCCEEDED")
  })

  it("what fails is begun again, later each time, and given up in the end", () => {
    const table = given("a", { kind: "k" }, { attemptsMax: 3 })
    let nowMs = 0
    const waits: Array<number> = []
    for (let attempt = 1; attempt <= 3; attempt++) {
      assert.strictEqual(claim(table, nowMs)?.attempt, attempt)
      const failed = success(Executing.fail(table, "a", { why: `e${attempt}`, isFinal: false, attempt }, nowMs))
      waits.push(failed.notBeforeMs - nowMs)
      nowMs = failed.notBeforeMs
    }
    assert.deepStrictEqual(waits.slice(0, 2), [1_000, 2_000])
    assert.strictEqual(statusOf(table, "a"), "FAILED")
    assert.strictEqual(table.get("received", "a")?.justification, "e3")
  })

  it("a worker that leaves gives back what it had, without a wait", () => {
    const table = given("a", { kind: "k" })
    claim(table, 0)
    Executing.release(table, "w", 5)
    assert.strictEqual(claim(table, 5)?.attempt, 2)
  })

  it("one that was killed and is back has its own task again at once, and a task that kills it is given up", () => {
    const table = given("a", { kind: "k" })
    for (let attempt = 1; attempt <= LIMITS.attemptsMax; attempt++) {
      assert.strictEqual(claim(table, attempt)?.attempt, attempt)
      Executing.release(table, "somebody else", attempt, true)
      assert.strictEqual(statusOf(table, "a"), "EXECUTING")
      Executing.release(table, "w", attempt, true)
      // What the dead attempt may still say is void.
      assert.strictEqual(failure(Executing.finish(table, "a", result, attempt, attempt)).reason, "Stale")
    }
    assert.strictEqual(statusOf(table, "a"), "FAILED")
    assert.strictEqual(table.get("received", "a")?.justification, "given up: its worker was lost 5 times")
  })
})

describe("tasks that a node gave away", () => {
  const offered = () => {
    const table = new TaskTable(LIMITS)
    const offer = { id: "a", to: peer(2), from: own, description: "do", kind: "k", lifeMs: HOUR, priority: 0 }
    success(Submitting.submit(table, offer, 0))
    return table
  }
  const taken = (isOurs = true) => {
    const table = offered()
    success(Submitting.answered(table, { _tag: "Answer", id: "a", isTaken: true, message: "", isOurs }, 1))
    return table
  }
  const status = (text: string, revision?: number, progress = ""): TaskFrame.Status => ({
    ...{ _tag: "Status", id: "a", status: text, justification: `it is ${text}` },
    ours: revision === undefined ? undefined : { revision, progress }
  })
  const results = (revision?: number) => ({
    ...{ id: "a", times: { idleMs: 1, stagedMs: 2, cpuMs: 3 } },
    ours: revision === undefined ? undefined : { revision, progress: "" }
  })

  it("is told to its peer until that has answered", () => {
    const table = offered()
    assert.deepStrictEqual(table.untoldPeers, [Address.NodeId(2)])
    success(Submitting.answered(table, { _tag: "Answer", id: "a", isTaken: false, message: "no", isOurs: true }, 1))
    assert.isEmpty(table.untoldPeers)
    assert.deepInclude(table.get("submitted", "a"), { status: "DECLINED", justification: "no" })
    assert.strictEqual(statusOf(taken(), "a", "submitted"), "NEW")
  })

  it("is known to whoever speaks of it, also if a crash has cut the answer to its offer", () => {
    const table = offered()
    success(Submitting.heard(table, status("EXECUTING", 2), peer(2), 5))
    assert.isEmpty(table.untoldPeers)
    assert.deepInclude(table.get("submitted", "a"), { isOurs: true, told: 1 })
    // It has ears for that, too.
    success(Submitting.cancel(table, "a", "enough", 6))
    assert.deepStrictEqual(table.untoldPeers, [Address.NodeId(2)])

    const done = offered()
    success(Submitting.completed(done, results(2), result, peer(2), 5))
    assert.isEmpty(done.untoldPeers)
    const ofReference = offered()
    success(Submitting.heard(ofReference, status("EXECUTING"), peer(2), 5))
    assert.isEmpty(ofReference.untoldPeers)
    assert.isFalse(ofReference.get("submitted", "a")?.isOurs)
  })

  it("follows what its executor says, in its order, and nobody else", () => {
    const table = taken()
    success(Submitting.heard(table, status("EXECUTING", 2, "1"), peer(2), 5))
    success(Submitting.heard(table, status("ACCEPTED", 1), peer(2), 6))
    assert.deepInclude(table.get("submitted", "a"), { status: "EXECUTING", progress: "1", heard: 2 })
    assert.strictEqual(failure(Submitting.heard(table, status("FAILED", 9), peer(3), 7)).reason, "NotTheirs")
    const impostor: Peer = { address: Address.make(0, 2), key: "another" }
    assert.strictEqual(failure(Submitting.heard(table, status("FAILED", 9), impostor, 7)).reason, "NotTheirs")
    assert.strictEqual(failure(Submitting.completed(table, results(9), result, impostor, 7)).reason, "NotTheirs")
    assert.strictEqual(success(Submitting.completed(table, results(3), result, peer(2), 8)).status, "COMPLETED")
    // SUCCEEDED, which the reference sends behind its results, says less (node §6.1).
    success(Submitting.heard(table, status("SUCCEEDED"), peer(2), 9))
    assert.strictEqual(statusOf(table, "a", "submitted"), "COMPLETED")
    assert.strictEqual(failure(Submitting.completed(table, results(4), result, peer(2), 9)).reason, "Stale")
  })

  it("is still its peer's when that has changed its key as its chain allows (security rule 9)", () => {
    const table = taken()
    const later: Peer = { ...peer(2), key: "key 2b", formerKeys: [peer(2).key] }
    success(Submitting.heard(table, status("ACCEPTED", 1), later, 5))
    assert.strictEqual(success(Submitting.completed(table, results(2), result, later, 6)).status, "COMPLETED")
    const stranger: Peer = { ...peer(2), key: "key 2c", formerKeys: ["another"] }
    assert.strictEqual(failure(Submitting.heard(taken(), status("FAILED", 1), stranger, 5)).reason, "NotTheirs")
  })

  it("a text for a status that nobody knows changes the words only (node §6.4)", () => {
    const table = taken(false)
    success(Submitting.heard(table, status("DANCING"), peer(2), 5))
    assert.deepInclude(table.get("submitted", "a"), { status: "NEW", justification: "A new task was created" })
    success(Submitting.heard(table, status("OFFERED"), peer(2), 5))
    assert.strictEqual(statusOf(table, "a", "submitted"), "NEW")
  })

  it("is cancelled at both ends; a result that crosses it is not wanted", () => {
    const table = taken()
    success(Submitting.cancel(table, "a", "never mind", 5))
    const [untold] = table.untold(Address.NodeId(2))
    assert.deepInclude(untold, { status: "CANCELLED", revision: 2 })
    assert.strictEqual(failure(Submitting.completed(table, results(3), result, peer(2), 6)).reason, "Stale")
    assert.strictEqual(failure(Submitting.cancel(table, "a", "again", 6)).reason, "InvalidState")

    const executor = given("a", { kind: "k" })
    Executing.claim(executor, ["k"], "w", 1_000, 0)
    assert.strictEqual(failure(Submitting.heard(executor, status("CANCELLED", 2), peer(3), 1)).reason, "NotFound")
    assert.strictEqual(success(Submitting.heard(executor, status("CANCELLED", 2), peer(2), 1)).status, "CANCELLED")
    assert.strictEqual(failure(Executing.finish(executor, "a", result, 2, 1)).reason, "Stale")
    assert.isEmpty(executor.untoldPeers)
  })

  it("is given up when its time is over: at once if nobody has it, a while later if its result may be on the way", () => {
    const unheard = offered()
    unheard.due(HOUR)
    assert.strictEqual(statusOf(unheard, "a", "submitted"), "EXPIRED")
    const known = taken()
    known.due(HOUR)
    assert.strictEqual(statusOf(known, "a", "submitted"), "NEW")
    known.due(HOUR + MINUTE)
    assert.strictEqual(statusOf(known, "a", "submitted"), "EXPIRED")
    // Late, and still one.
    assert.strictEqual(success(Submitting.completed(known, results(3), result, peer(2), 2 * HOUR)).status, "COMPLETED")
  })
})

describe("a clock that jumps", () => {
  const claimed = () => {
    const table = given("a", { kind: "k", lifeMs: 48 * HOUR })
    Executing.claim(table, ["k"], "w", 15_000, 10 * HOUR)
    table.due(10 * HOUR)
    return table
  }

  it("back: a lease lasts no longer than one may, and a worker that is alive keeps its task", () => {
    const lost = claimed()
    lost.due(0)
    lost.due(10 * MINUTE)
    assert.strictEqual(statusOf(lost, "a"), "ACCEPTED")
    const alive = claimed()
    alive.due(0)
    success(Executing.renew(alive, "a", 1, 15_000, 5_000))
    alive.due(19_000)
    assert.strictEqual(success(Executing.finish(alive, "a", result, 19_500, 1)).status, "SUCCEEDED")
  })

  it("forward: a worker may lose its task, whose word is void then; beyond the deadline it has expired", () => {
    const table = claimed()
    table.due(12 * HOUR)
    assert.strictEqual(statusOf(table, "a"), "ACCEPTED")
    assert.strictEqual(failure(Executing.finish(table, "a", result, 12 * HOUR, 1)).reason, "Stale")
    table.due(100 * HOUR)
    assert.strictEqual(statusOf(table, "a"), "EXPIRED")
  })
})

describe("TaskTable", () => {
  const step = Arbitrary.all({ op: Arb.integer(0, 10), id: Arb.integer(0, 5), ms: Arb.integer(0, 40_000) })

  it.prop(
    "what is stored makes the same table again, whatever has happened, and never more than one works on a task",
    { steps: Arbitrary.array(step, { maxLength: 60 }) },
    ({ steps }) => {
      const limits = { ...LIMITS, settledMax: 2, attemptsMax: 2, doneKeptMs: 100_000 }
      const table = new TaskTable(limits)
      const stored = new Map<string, TaskRecord>()
      let nowMs = 0
      for (const { id: number, ms, op } of steps) {
        nowMs += ms
        const id = String(number)
        const known = table.get("received", id)
        const before = known?.attempt ?? 0
        if (op === 0) Executing.receive(table, submission(id, { kind: "k", lifeMs: 200_000 }), peer(2), own, nowMs)
        if (op === 1) Executing.receive(table, submission(id), peer(3), own, nowMs)
        if (op === 2) Executing.accept(table, id, nowMs)
        if (op === 3) Executing.execute(table, nowMs)
        if (op === 4) Executing.claim(table, ["k", ""], "w", 5_000, nowMs)
        if (op === 5) Executing.finish(table, id, result, nowMs, number % 2 === 0 ? before : undefined)
        if (op === 6) Executing.fail(table, id, { why: "x", isFinal: false, attempt: before }, nowMs)
        if (op === 7) table.told("received", id, known?.revision ?? 0)
        if (op === 8) Executing.release(table, "w", nowMs)
        if (op === 9) table.due(nowMs)
        if (op === 10) Executing.release(table, "w", nowMs, true)
        for (const { _tag, record } of table.drain())
          if (_tag === "Put") stored.set(record.id, record)
          else stored.delete(record.id)
      }
      const again = new TaskTable(limits, stored.values())
      const sorted = (tasks: ReadonlyArray<TaskRecord>) => tasks.toSorted((a, b) => (a.id < b.id ? -1 : 1))
      assert.deepStrictEqual(sorted(again.all("received")), sorted(table.all("received")))
      assert.strictEqual(again.queue.size, table.queue.size)
      assert.deepStrictEqual(again.untoldPeers.toSorted(), table.untoldPeers.toSorted())
      for (const task of table.all("received")) {
        assert.isTrue(task.worker === "" || task.status === "EXECUTING")
        assert.isTrue(TaskRecords.isDone(task) || task.completedAtMs === 0)
      }
    }
  )
})
