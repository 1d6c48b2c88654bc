import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect, Fiber, Result } from "effect"
import { TestClock } from "effect/testing"
import type { Connection } from "../../../src/actors/node/Node.ts"
import * as FrameLink from "../../../src/actors/services/FrameLink.ts"
import * as Bytes from "../../../src/core/data/Bytes.ts"
import { TaskQueue } from "../../../src/protocol/task/TaskQueue.ts"
import { TaskTable } from "../../../src/protocol/task/TaskTable.ts"
import * as DataFrame from "../../../src/protocol/wire/DataFrame.ts"
import * as TaskFrame from "../../../src/protocol/wire/TaskFrame.ts"
import * as TaskStage from "../../support/TaskStage.ts"

/** Lets everything happen that happens at once. */
const settle = Effect.forEach(Array.from({ length: 200 }), () => Effect.yieldNow, { discard: true })
const task = (worker: TaskStage.Worker, description = "sum 1 and 2", kind = "") => ({
  ...{ to: worker.id, description, kind, lifeMs: 0, priority: 0 }
})
const text = (value: string): TaskFrame.Outcome => ({ _tag: "Text", text: value })
const pair = Effect.map(TaskStage.make(2), ({ dial, workers: [alice, bob] }) => ({ dial, alice: alice!, bob: bob! }))
const statusOf = (worker: TaskStage.Worker, side: "received" | "submitted", id: string) =>
  Effect.map(worker.tasks().get(side, id), ({ status }) => status)

/** A peer that speaks as it likes. */
const scripted = (connection: Connection) => {
  const link = FrameLink.make(connection)
  return {
    say: (message: TaskFrame.TaskFrame) => link.write(TaskFrame.encode(message)),
    hear: Effect.map(link.read, (frame) => Result.getOrThrow(TaskFrame.decode(frame, true))),
    end: connection.end,
    ended: Effect.map(Effect.exit(connection.read), (exit) => exit._tag === "Failure" && Cause.hasFails(exit.cause))
  }
}
const submission = (id: string): TaskFrame.Submit => ({
  ...{ _tag: "Submit", id, description: "sum", from: "0:0000.0000.FFFF", to: "" },
  ours: undefined
})

/** How many tasks the tables have handed out in lists, until the test ends. */
const countLooks = Effect.gen(function* () {
  const { prototype } = TaskTable
  let count = 0
  const counted = <A extends ReadonlyArray<unknown>>(list: A): A => {
    count += list.length
    return list
  }
  const { all, untold } = prototype
  yield* Effect.acquireRelease(
    Effect.sync(() =>
      Object.assign(prototype, {
        all(this: TaskTable, ...given: Parameters<typeof all>) {
          return counted(all.apply(this, given))
        },
        untold(this: TaskTable, ...given: Parameters<typeof untold>) {
          return counted(untold.apply(this, given))
        }
      })
    ),
    () => Effect.sync(() => Object.assign(prototype, { all, untold }))
  )
  return () => count
})

/** How often anybody has looked for a task to claim, until the test ends. */
const countClaims = Effect.gen(function* () {
  const { prototype } = TaskQueue
  const { first } = prototype
  let count = 0
  yield* Effect.acquireRelease(
    Effect.sync(() => {
      prototype.first = function (...given) {
        count++
        return first.apply(this, given)
      }
    }),
    () =>
      Effect.sync(() => {
        prototype.first = first
      })
  )
  return () => count
})

describe("Tasks", () => {
  it.effect("submitted, accepted, done: both ends know, and the files are the reference's (node §6.3)", () =>
    Effect.gen(function* () {
      const { alice, bob } = yield* pair
      const { id, status } = yield* alice.tasks().offer(task(bob))
      assert.strictEqual(status, "NEW")
      yield* bob.tasks().accept(undefined, 0)
      yield* settle
      assert.strictEqual(yield* statusOf(alice, "submitted", id), "ACCEPTED")
      yield* bob.tasks().execute
      yield* bob.tasks().finish(id, text("the answer is 3"))

      const done = yield* alice.tasks().get("submitted", id)
      assert.strictEqual(done.status, "COMPLETED")
      assert.deepStrictEqual(yield* alice.tasks().outcome(done), text("the answer is 3"))
      assert.strictEqual(yield* statusOf(bob, "received", id), "SUCCEEDED")
      assert.deepStrictEqual(
        alice.completed.map((one) => one.id),
        [id]
      )
      yield* settle
      const file = (worker: TaskStage.Worker, path: string) =>
        worker.files.readFileString(`${TaskStage.HOME}/tasks/${path}`)
      assert.include(yield* file(bob, `received/${id}.json`), '"status": "SUCCEEDED"')
      assert.include(yield* file(alice, `submitted/${id}.json`), '"status": "COMPLETED"')
      assert.strictEqual(yield* file(alice, `results/${id}_result.txt`), "the answer is 3")
    })
  )

  it.effect("a stream ends with what was told in it: no number of tasks uses up those that a peer may have", () =>
    Effect.gen(function* () {
      const { alice, bob } = yield* pair
      for (let count = 0; count < 40; count++) {
        const { id } = yield* alice.tasks().offer(task(bob))
        yield* bob.tasks().accept(id, 0)
        yield* bob.tasks().finish(id, text("3"))
        assert.strictEqual(yield* statusOf(alice, "submitted", id), "COMPLETED")
      }

      assert.strictEqual((yield* alice.tasks().status).refused, 0)
      assert.strictEqual((yield* bob.tasks().status).refused, 0)
    })
  )

  it.effect("a peer that is away gets what was kept for it, and its result comes however often it is told", () =>
    Effect.gen(function* () {
      const { alice, bob } = yield* pair
      bob.node.offline = true
      assert.strictEqual((yield* Effect.flip(alice.tasks().offer(task(bob)))).reason, "Unreachable")
      const { id, status } = yield* alice.tasks().submit(task(bob))
      assert.strictEqual(status, "OFFERED")
      // Both restart meanwhile.
      yield* alice.stop
      yield* alice.start()
      yield* bob.stop
      yield* bob.start()
      bob.node.offline = false
      yield* TestClock.adjust("2 minutes")
      yield* settle
      assert.strictEqual(yield* statusOf(alice, "submitted", id), "NEW")

      yield* bob.tasks().accept(id, 0)
      alice.node.offline = true
      const finishing = yield* Effect.forkChild(bob.tasks().finish(id, text("3")))
      yield* TestClock.adjust("10 seconds")
      yield* Fiber.join(finishing)
      yield* bob.stop
      yield* bob.start()
      alice.node.offline = false
      yield* TestClock.adjust("2 minutes")
      yield* settle
      assert.strictEqual(yield* statusOf(alice, "submitted", id), "COMPLETED")
      assert.strictEqual((yield* bob.tasks().status).untoldPeers, 0)
      assert.lengthOf(alice.completed, 1)
    })
  )

  it.effect("a peer hears of nothing that is not on disk, also while it is told something else", () =>
    Effect.gen(function* () {
      const { alice, bob } = yield* pair
      const [first, second] = [yield* alice.tasks().offer(task(bob)), yield* alice.tasks().offer(task(bob))]
      alice.node.offline = true
      yield* bob.tasks().accept(first.id, 0)
      yield* settle
      bob.disk.closeUnsafe()
      const accepting = yield* Effect.forkChild(bob.tasks().accept(second.id, 0))
      yield* settle
      alice.node.offline = false
      yield* TestClock.adjust("1 minute")
      yield* settle
      assert.strictEqual(yield* statusOf(alice, "submitted", second.id), "NEW")

      bob.disk.openUnsafe()
      yield* Fiber.join(accepting)
      yield* settle
      assert.strictEqual(yield* statusOf(alice, "submitted", first.id), "ACCEPTED")
      assert.strictEqual(yield* statusOf(alice, "submitted", second.id), "ACCEPTED")
    })
  )

  it.effect("whatever comes while the disk works shares its next turn", () =>
    Effect.gen(function* () {
      const { alice, bob } = yield* pair
      bob.node.offline = true
      alice.disk.closeUnsafe()
      const submitting = yield* Effect.forkChild(
        Effect.forEach(Array.from({ length: 300 }), () => alice.tasks().submit(task(bob)), { concurrency: "unbounded" })
      )
      yield* settle
      alice.disk.openUnsafe()
      assert.lengthOf(yield* Fiber.join(submitting), 300)
      assert.isAtMost(alice.commits, 6)
    })
  )

  it.effect("what is looked through for a task does not grow with those that wait", () =>
    Effect.gen(function* () {
      const { alice, bob } = yield* pair
      const COUNT = 300
      const looked = yield* countLooks
      bob.node.offline = true
      for (let index = 0; index < COUNT; index++) yield* alice.tasks().submit(task(bob))
      assert.isAtMost(looked(), COUNT)
      bob.node.offline = false
      yield* TestClock.adjust("1 minute")
      yield* settle
      assert.strictEqual((yield* bob.tasks().status).received, COUNT)
      for (let index = 0; index < COUNT; index++) {
        const { id } = yield* bob.tasks().accept(undefined, 0)
        yield* bob.tasks().execute
        yield* bob.tasks().finish(id, text("3"))
      }
      assert.isAtMost(looked(), 10 * COUNT)
      assert.strictEqual((yield* alice.tasks().status).untoldPeers, 0)
    })
  )

  it.effect("a worker's claim waits for a task; what its program is told and tells crosses", () =>
    Effect.gen(function* () {
      const { alice, bob } = yield* pair
      const options = { worker: "w", leaseMs: 5_000, waitMs: 60_000 }
      const claiming = yield* Effect.forkChild(bob.tasks().claim(["research"], options))
      yield* settle
      const { id } = yield* alice.tasks().submit(task(bob, '{"topic":"SACK"}', "research"))
      const claimed = yield* Fiber.join(claiming)
      assert.strictEqual(claimed?.id, id)
      yield* bob.tasks().renew(id, 1, 5_000, '{"done":1,"of":2}')
      yield* settle
      const seen = yield* alice.tasks().get("submitted", id)
      assert.deepInclude(seen, { status: "EXECUTING", progress: '{"done":1,"of":2}' })

      const watching = yield* Effect.forkChild(alice.tasks().changed(seen, 60_000))
      yield* settle
      yield* bob.tasks().finish(id, text("{}"), 1)
      assert.strictEqual((yield* Fiber.join(watching)).status, "COMPLETED")
      // Nothing waits any more, and the wait ends by itself.
      const empty = yield* Effect.forkChild(bob.tasks().claim(["research"], options))
      yield* TestClock.adjust("61 seconds")
      assert.isUndefined(yield* Fiber.join(empty))
    })
  )

  it.effect("a program goes on while its submitter is told, or cannot be; a person hears whether it was", () =>
    Effect.gen(function* () {
      const { alice, bob } = yield* pair
      const { id } = yield* alice.tasks().offer(task(bob, "x", "k"))
      const { id: byHand } = yield* alice.tasks().offer(task(bob))
      yield* bob.tasks().claim(["k"], { worker: "w", leaseMs: 5_000, waitMs: 0 })
      yield* bob.tasks().accept(byHand, 0)
      yield* settle
      alice.disk.closeUnsafe()
      assert.strictEqual((yield* bob.tasks().finish(id, text("3"), 1)).status, "SUCCEEDED")

      const finishing = yield* Effect.forkChild(bob.tasks().finish(byHand, text("3")))
      yield* settle
      assert.isUndefined(finishing.pollUnsafe())
      alice.disk.openUnsafe()
      assert.strictEqual((yield* Fiber.join(finishing)).status, "SUCCEEDED")
      assert.strictEqual(yield* statusOf(alice, "submitted", id), "COMPLETED")
      assert.strictEqual(yield* statusOf(alice, "submitted", byHand), "COMPLETED")
    })
  )

  it.effect("one task wakes one of those that wait for its kind", () =>
    Effect.gen(function* () {
      const { alice, bob } = yield* pair
      const options = { worker: "w", leaseMs: 60_000, waitMs: 60_000 }
      const looks = yield* countClaims
      const claims = yield* Effect.forEach(Array.from({ length: 32 }), () =>
        Effect.forkChild(bob.tasks().claim(["k", "l"], options))
      )
      yield* settle
      const before = looks()
      for (const kind of ["k", "l", "k", "l"]) yield* alice.tasks().submit(task(bob, "x", kind))
      yield* settle
      assert.strictEqual(looks() - before, 4)
      assert.lengthOf(
        claims.filter((claim) => claim.pollUnsafe() !== undefined),
        4
      )
    })
  )

  it.effect("a worker that is lost loses the task to another one, and its word is void; a cancelled one is told", () =>
    Effect.gen(function* () {
      const { alice, bob } = yield* pair
      const options = { worker: "w", leaseMs: 5_000, waitMs: 0 }
      const { id } = yield* alice.tasks().offer(task(bob, "x", "k"))
      assert.strictEqual((yield* bob.tasks().claim(["k"], options))?.attempt, 1)
      const second = yield* Effect.forkChild(bob.tasks().claim(["k"], { ...options, worker: "v", waitMs: 60_000 }))
      yield* Effect.forEach([5, 1, 1, 1], (seconds) => Effect.andThen(TestClock.adjust(seconds * 1_000), settle))
      assert.deepInclude(yield* Fiber.join(second), { attempt: 2, worker: "v" })
      assert.strictEqual((yield* Effect.flip(bob.tasks().finish(id, text("late"), 1))).reason, "Stale")

      yield* alice.tasks().cancel(id, "never mind")
      yield* settle
      assert.strictEqual(yield* statusOf(bob, "received", id), "CANCELLED")
      assert.strictEqual((yield* Effect.flip(bob.tasks().renew(id, 2, 5_000))).reason, "Stale")
    })
  )

  it.effect("a node may give itself a task", () =>
    Effect.gen(function* () {
      const { workers } = yield* TaskStage.make(1)
      const [alone] = workers
      const { id } = yield* alone!.tasks().offer(task(alone!))
      yield* alone!.tasks().accept(id, 0)
      yield* alone!.tasks().finish(id, text("3"))
      assert.strictEqual(yield* statusOf(alone!, "submitted", id), "COMPLETED")
    })
  )

  it.effect("speaks to a peer of the reference as that one does: one frame, one stream (node §6.1)", () =>
    Effect.gen(function* () {
      const { alice: node, bob: old, dial } = yield* pair
      yield* old.stop
      const listener = yield* old.node.service.listen(TaskFrame.PORT)
      const stream = scripted(yield* dial(2))
      yield* stream.say(submission("t-1"))
      const answer = yield* stream.hear
      assert.deepInclude(answer, { isTaken: true, message: "Task received with status NEW", isOurs: false })
      yield* stream.end

      // It accepts, and tells in two streams what it has to tell.
      yield* node.tasks().accept("t-1", 0)
      const first = scripted(yield* listener.accept)
      const accepted = yield* first.hear
      assert.deepInclude(accepted, { _tag: "Status", status: "ACCEPTED", ours: undefined })
      yield* first.end
      yield* settle
      const finishing = yield* Effect.forkChild(node.tasks().finish("t-1", text("3")))
      const second = scripted(yield* listener.accept)
      assert.deepInclude(yield* second.hear, { _tag: "Results", result: text("3"), ours: undefined })
      yield* second.end
      yield* Fiber.join(finishing)
      assert.strictEqual((yield* node.tasks().status).untoldPeers, 0)

      // And the other way round: results, then SUCCEEDED on a stream of its own.
      const offering = yield* Effect.forkChild(node.tasks().offer(task(old)))
      const third = scripted(yield* listener.accept)
      const offered = yield* third.hear
      assert.strictEqual(offered._tag, "Answer")
      yield* third.say({ _tag: "Answer", id: offered.id, isTaken: true, message: "", isOurs: false })
      yield* third.end
      assert.strictEqual((yield* Fiber.join(offering)).status, "NEW")
      const times = { idleMs: 0, stagedMs: 0, cpuMs: 0 }
      const results = { _tag: "Results", id: offered.id, result: text("7"), completedAt: "", times } as const
      const back = scripted(yield* dial(2))
      yield* back.say({ ...results, ours: undefined })
      yield* back.say({ _tag: "Status", id: offered.id, status: "SUCCEEDED", justification: "x", ours: undefined })
      yield* back.end
      yield* settle
      assert.strictEqual(yield* statusOf(node, "submitted", offered.id), "COMPLETED")
    })
  )

  it.effect("a peer that refuses says why, and nothing is kept for it", () =>
    Effect.gen(function* () {
      const { alice, bob } = yield* pair
      yield* bob.tasks().setReady(false)
      const refused = yield* alice.tasks().offer(task(bob))
      assert.deepInclude(refused, { status: "DECLINED", justification: "tasks disabled" })
      yield* bob.stop
      yield* bob.start({ gate: () => Effect.succeed("Polo score too low: submitter=-1, receiver=1") })
      const { justification } = yield* alice.tasks().offer(task(bob))
      assert.strictEqual(justification, "Polo score too low: submitter=-1, receiver=1")
      assert.isEmpty(yield* bob.tasks().list("received"))
    })
  )

  it.effect("strangers are reset, broken frames close the stream and are counted, and nothing is lost", () =>
    Effect.gen(function* () {
      const { alice, bob, dial } = yield* pair
      const stranger = scripted(yield* dial(9))
      yield* Effect.ignore(stranger.say(submission("t-9")))
      yield* settle
      const garbage: ReadonlyArray<Uint8Array> = [
        DataFrame.encode(1, Bytes.fromUtf8("no json")),
        DataFrame.encode(2, Bytes.fromUtf8("{}")),
        DataFrame.encode(TaskFrame.Kind.Receipt, Bytes.fromUtf8('{"task_id":"a","revision":1}')),
        DataFrame.encodeHeader(4, 0xffffffff)
      ]
      for (const bytes of garbage) {
        const connection = yield* dial(2)
        yield* connection.write(bytes)
        assert.isTrue(yield* scripted(connection).ended)
      }
      const evil = scripted(yield* dial(2))
      yield* evil.say(submission("../evil"))
      assert.deepInclude(yield* evil.hear, { isTaken: false, message: "not an id of a task" })

      const { malformed, refused } = yield* alice.tasks().status
      assert.deepStrictEqual({ malformed, refused }, { malformed: 4, refused: 2 })
      assert.isEmpty(yield* alice.tasks().list("received"))
      assert.strictEqual((yield* bob.tasks().offer(task(alice))).status, "NEW")
    })
  )

  it.effect("nobody but its executor ends a task, and no name of a result leaves its directory (quirk 4)", () =>
    Effect.gen(function* () {
      const { workers, dial } = yield* TaskStage.make(3)
      const [alice, bob] = [workers[0]!, workers[1]!]
      const { id } = yield* alice.tasks().offer(task(bob))
      const times = { idleMs: 0, stagedMs: 0, cpuMs: 0 }
      const result: TaskFrame.Outcome = { _tag: "File", name: "../../../etc/passwd", content: Bytes.fromUtf8("x") }
      const results = { _tag: "Results", id, result, completedAt: "", times, ours: undefined } as const
      const carol = scripted(yield* dial(3))
      yield* carol.say(results)
      yield* carol.say({
        _tag: "Status",
        id,
        status: "FAILED",
        justification: "x",
        ours: { revision: 9, progress: "" }
      })
      assert.deepStrictEqual(yield* carol.hear, { _tag: "Receipt", id, revision: 9 })
      assert.strictEqual(yield* statusOf(alice, "submitted", id), "NEW")

      const executor = scripted(yield* dial(2))
      yield* executor.say(results)
      yield* executor.end
      yield* settle
      const done = yield* alice.tasks().get("submitted", id)
      assert.deepInclude(done.result, {
        type: "file",
        name: "passwd",
        path: `${TaskStage.HOME}/tasks/results/${id}_passwd`
      })
    })
  )

  it.effect("a peer that floods is refused beyond its quota, and others are served", () =>
    Effect.gen(function* () {
      const { dial, workers } = yield* TaskStage.make(3, { openPerPeerMax: 2 })
      const [alice, bob, carol] = [workers[0]!, workers[1]!, workers[2]!]
      yield* bob.stop
      const flood = scripted(yield* dial(2))
      const answers: Array<string> = []
      for (const id of ["t-1", "t-2", "t-3", "t-4"]) {
        yield* flood.say(submission(id))
        const answer = yield* flood.hear
        answers.push(answer._tag === "Answer" ? answer.message : answer._tag)
      }
      const full = "too many tasks of this peer are waiting"
      const taken = "Task received with status NEW"
      assert.deepStrictEqual(answers, [taken, taken, full, full])
      assert.strictEqual((yield* alice.tasks().status).refused, 2)
      assert.strictEqual((yield* carol.tasks().offer(task(alice))).status, "NEW")
    })
  )

  it.effect(
    "an executor that announces a result of 1 GB is cut off before it is read, and may still send a real one",
    () =>
      Effect.gen(function* () {
        const { alice, bob, dial } = yield* pair
        const { id } = yield* alice.tasks().offer(task(bob))
        const connection = yield* dial(2)
        yield* connection.write(DataFrame.encodeHeader(4, 1 << 30))
        assert.isTrue(yield* scripted(connection).ended)
        assert.strictEqual((yield* alice.tasks().status).malformed, 1)
        assert.strictEqual(yield* statusOf(alice, "submitted", id), "NEW")
        yield* bob.tasks().accept(id, 0)
        yield* bob.tasks().finish(id, text("3"))
        assert.strictEqual(yield* statusOf(alice, "submitted", id), "COMPLETED")
      })
  )

  it.effect("a full disk is an answer: nothing is taken, nothing is said, and it goes on when there is room", () =>
    Effect.gen(function* () {
      const { alice, bob } = yield* pair
      const { id } = yield* alice.tasks().offer(task(bob))
      bob.isDiskFull = true
      assert.strictEqual((yield* Effect.flip(bob.tasks().accept(id, 0))).reason, "NotStored")
      assert.strictEqual(yield* statusOf(bob, "received", id), "NEW")
      const refused = yield* alice.tasks().offer(task(bob, "another"))
      assert.strictEqual(refused.status, "DECLINED")
      bob.isDiskFull = false
      yield* bob.tasks().accept(id, 0)
      // A result that the submitter's disk does not take comes again.
      alice.isDiskFull = true
      const finishing = yield* Effect.forkChild(bob.tasks().finish(id, text("3")))
      yield* TestClock.adjust("40 seconds")
      yield* Fiber.join(finishing)
      assert.strictEqual((yield* bob.tasks().status).untoldPeers, 1)
      alice.isDiskFull = false
      yield* TestClock.adjust("2 minutes")
      yield* settle
      assert.strictEqual(yield* statusOf(alice, "submitted", id), "COMPLETED")
    })
  )

  it.effect("a result that no frame can carry is refused, and the task is still there", () =>
    Effect.gen(function* () {
      const { alice, bob } = yield* pair
      const { id } = yield* alice.tasks().offer(task(bob))
      yield* bob.tasks().accept(id, 0)
      const large: TaskFrame.Outcome = { _tag: "File", name: "a.bin", content: new Uint8Array(13 << 20) }
      assert.strictEqual((yield* Effect.flip(bob.tasks().finish(id, large))).reason, "Invalid")
      // Written as JSON, each of these takes six bytes.
      assert.strictEqual((yield* Effect.flip(bob.tasks().finish(id, text("\u0001".repeat(3 << 20))))).reason, "Invalid")
      yield* bob.tasks().finish(id, { _tag: "File", name: "a.bin", content: new Uint8Array(1 << 20).fill(7) })
      const done = yield* alice.tasks().get("submitted", id)
      assert.deepInclude(done.result, { type: "file", sizeBytes: 1 << 20 })
    })
  )
})
