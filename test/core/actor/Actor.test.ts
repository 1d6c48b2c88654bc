import { assert, describe, it } from "@effect/vitest"
import { Cause, Data, Deferred, Effect, Exit, Fiber, Schedule, Scheduler, Scope } from "effect"
import { TestClock } from "effect/testing"
import * as Actor from "../../../src/core/actor/Actor.ts"
import { ActorStopped, AskTimeout, MailboxFull } from "../../../src/core/actor/ActorError.ts"
import { ActorExit } from "../../../src/core/actor/ActorRef.ts"
import { BATCH_MAX, type Handlers } from "../../../src/core/actor/Behaviour.ts"
import * as Restart from "../../../src/core/actor/Restart.ts"

type Message = Data.TaggedEnum<{
  Note: { readonly value: number }
  Fail: { readonly how: "failure" | "defect" | "interruption" }
  Stop: { readonly marker: true }
  Wait: { readonly gate: Deferred.Deferred<void> }
  Read: { readonly reply: Deferred.Deferred<ReadonlyArray<number>> }
  Ignore: { readonly reply: Deferred.Deferred<void> }
}>
const Message = Data.taggedEnum<Message>()

/** An actor that notes the values of its life, and writes into `log` what happens to it. */
const notebook = (log: Array<string> = []) =>
  Effect.acquireRelease(
    Effect.sync((): Handlers<Message, string, never> => {
      log.push("start")
      const noted: Array<number> = []
      return { receive: (message) => handle(message, noted), afterBatch: () => void log.push("flush") }
    }),
    () => Effect.sync(() => log.push("release"))
  )

const handle = (message: Message, noted: Array<number>): Effect.Effect<void, string> | void => {
  switch (message._tag) {
    case "Note":
      noted.push(message.value)
      return
    case "Fail":
      if (message.how === "defect") throw new Error("defect")
      return message.how === "failure" ? Effect.fail("failure") : Effect.interrupt
    case "Stop":
      return Actor.stopSelf
    case "Wait":
      return Deferred.await(message.gate)
    case "Read":
      Deferred.doneUnsafe(message.reply, Exit.succeed([...noted]))
      return
    case "Ignore":
      return
  }
}

const defaults = {
  name: "notebook",
  mailbox: { capacity: 1000, overflow: "backpressure" },
  restart: { intensity: 2, periodMs: 1000 }
} as const

const note = (value: number) => Message.Note({ value })
const fail = Message.Fail({ how: "failure" })
const read = (ref: Actor.ActorRef<Message>) => ref.ask<ReadonlyArray<number>>((reply) => Message.Read({ reply }))
const upTo = (count: number) => Array.from({ length: count }, (_, index) => index)

/** A fiber gives way after so many, wherever it is then. */
const STEPS = 64

/** Lets every runnable fiber run until it waits. */
const settle = Effect.forEach(upTo(10), () => Effect.yieldNow, { discard: true })

/** An actor that waits inside its first message, with `capacity` free slots in its mailbox. */
const spawnBusy = (overflow: "backpressure" | "dropNewest" | "dropOldest" | "fail", capacity: number) =>
  Effect.gen(function* () {
    const gate = yield* Deferred.make<void>()
    const ref = yield* Actor.spawn({ ...defaults, mailbox: { capacity, overflow }, start: notebook() })
    yield* ref.tell(Message.Wait({ gate }))
    yield* settle
    return { ref, open: Deferred.succeed(gate, undefined) }
  })

describe("Actor", () => {
  it.effect("handles messages in order and answers an ask", () =>
    Effect.gen(function* () {
      const ref = yield* Actor.spawn({ ...defaults, start: notebook() })
      for (const value of upTo(100)) yield* ref.tell(note(value))

      assert.deepStrictEqual(yield* read(ref), upTo(100))
    })
  )

  it.effect("never runs inside the sender, and flushes once per batch", () =>
    Effect.gen(function* () {
      const log: Array<string> = []
      const ref = yield* Actor.spawn({ ...defaults, start: notebook(log) })

      for (const value of upTo(2 * BATCH_MAX + 1)) assert.isTrue(ref.tellUnsafe(note(value)))

      assert.deepStrictEqual(log, ["start"])
      yield* settle
      assert.deepStrictEqual(log, ["start", "flush", "flush", "flush"])
    })
  )

  it.effect("lets others run between two batches", () =>
    Effect.gen(function* () {
      const ref = yield* Actor.spawn({ ...defaults, start: notebook() })
      const other = yield* Actor.spawn({ ...defaults, start: notebook() })
      for (const value of upTo(4 * BATCH_MAX)) ref.tellUnsafe(note(value))
      const reading = yield* Effect.forkChild(read(ref), { startImmediately: true })

      yield* read(other)

      assert.isUndefined(reading.pollUnsafe())
      assert.deepStrictEqual(yield* Fiber.join(reading), upTo(4 * BATCH_MAX))
    })
  )

  describe("mailbox", () => {
    it.effect("backpressure suspends tell, refuses tellUnsafe, and keeps the order", () =>
      Effect.gen(function* () {
        const { open, ref } = yield* spawnBusy("backpressure", 2)
        const telling = yield* Effect.forkChild(Effect.forEach(upTo(5), (value) => ref.tell(note(value))))
        yield* settle

        assert.isUndefined(telling.pollUnsafe())
        assert.isFalse(ref.tellUnsafe(note(99)))
        yield* open
        yield* Fiber.join(telling)

        assert.deepStrictEqual(yield* read(ref), upTo(5))
        assert.strictEqual(ref.dropped(), 1)
      })
    )

    it.effect("a tell whose fiber gave way before it was suspended does not wait for room that is there", () =>
      Effect.gen(function* () {
        for (const steps of upTo(STEPS)) {
          const { open, ref } = yield* spawnBusy("backpressure", 1)
          yield* ref.tell(note(0))
          const before = Effect.forEach(upTo(steps), () => Effect.void, { discard: true })
          const telling = yield* Effect.andThen(before, ref.tell(note(1))).pipe(
            Effect.provideService(Scheduler.MaxOpsBeforeYield, STEPS),
            Effect.forkChild({ startImmediately: true })
          )
          yield* open
          yield* settle

          assert.isDefined(telling.pollUnsafe(), `after ${steps} steps`)
          assert.deepStrictEqual(yield* read(ref), [0, 1])
        }
      })
    )

    it.effect("an interrupted suspended tell is never delivered", () =>
      Effect.gen(function* () {
        const { open, ref } = yield* spawnBusy("backpressure", 1)
        yield* ref.tell(note(0))
        const telling = yield* Effect.forkChild(ref.tell(note(1)), { startImmediately: true })
        yield* Fiber.interrupt(telling)
        yield* open

        assert.deepStrictEqual(yield* read(ref), [0])
      })
    )

    it.effect("dropNewest keeps the first messages and counts the rest", () =>
      Effect.gen(function* () {
        const { open, ref } = yield* spawnBusy("dropNewest", 2)
        for (const value of upTo(5)) yield* ref.tell(note(value))
        const asked = yield* Effect.flip(read(ref))
        yield* open
        yield* settle

        assert.deepStrictEqual(yield* read(ref), [0, 1])
        assert.strictEqual(ref.dropped(), 4)
        assert.deepStrictEqual(asked, new MailboxFull({ actor: "notebook", capacity: 2 }))
      })
    )

    it.effect("dropOldest keeps the last messages and counts the rest", () =>
      Effect.gen(function* () {
        const { open, ref } = yield* spawnBusy("dropOldest", 2)
        for (const value of upTo(5)) assert.isTrue(ref.tellUnsafe(note(value)))
        yield* open
        yield* settle

        assert.deepStrictEqual(yield* read(ref), [3, 4])
        assert.strictEqual(ref.dropped(), 3)
      })
    )

    it.effect("fail tells the sender", () =>
      Effect.gen(function* () {
        const { ref } = yield* spawnBusy("fail", 1)
        yield* ref.tell(note(0))

        const error = yield* Effect.flip(ref.tell(note(1)))

        assert.deepStrictEqual(error, new MailboxFull({ actor: "notebook", capacity: 1 }))
        assert.strictEqual(ref.dropped(), 1)
      })
    )
  })

  describe("ask", () => {
    it.effect("fails on a dead actor", () =>
      Effect.gen(function* () {
        const ref = yield* Actor.spawn({ ...defaults, start: notebook() })
        yield* ref.stop

        assert.deepStrictEqual(yield* Effect.flip(read(ref)), new ActorStopped({ actor: "notebook" }))
        assert.isFalse(ref.tellUnsafe(note(0)))
      })
    )

    it.effect("fails when the actor ends before it answered", () =>
      Effect.gen(function* () {
        const { ref } = yield* spawnBusy("backpressure", 1)
        const queued = yield* Effect.forkChild(Effect.flip(read(ref)), { startImmediately: true })
        const suspended = yield* Effect.forkChild(Effect.flip(read(ref)), { startImmediately: true })
        yield* ref.stop

        assert.instanceOf(yield* Fiber.join(queued), ActorStopped)
        assert.instanceOf(yield* Fiber.join(suspended), ActorStopped)
      })
    )

    it.effect("times out when nobody answers, also while it waits for room", () =>
      Effect.gen(function* () {
        const idle = yield* Actor.spawn({ ...defaults, start: notebook() })
        const full = yield* spawnBusy("backpressure", 1)
        yield* full.ref.tell(note(0))
        const ignored = yield* Effect.forkChild(
          Effect.flip(idle.ask<void>((reply) => Message.Ignore({ reply }), 200)),
          { startImmediately: true }
        )
        const waiting = yield* Effect.forkChild(Effect.flip(read(full.ref)), { startImmediately: true })

        yield* TestClock.adjust(200)
        assert.deepStrictEqual(yield* Fiber.join(ignored), new AskTimeout({ actor: "notebook", timeoutMs: 200 }))
        assert.isUndefined(waiting.pollUnsafe())
        yield* TestClock.adjust(4800)
        assert.deepStrictEqual(yield* Fiber.join(waiting), new AskTimeout({ actor: "notebook", timeoutMs: 5000 }))
      })
    )
  })

  describe("restart", () => {
    for (const how of ["failure", "defect", "interruption"] as const) {
      it.effect(`after a ${how}: a fresh scope, fresh state, and no other message lost`, () =>
        Effect.gen(function* () {
          const log: Array<string> = []
          const ref = yield* Actor.spawn({ ...defaults, start: notebook(log) })
          ref.tellUnsafe(note(0))
          ref.tellUnsafe(Message.Fail({ how }))
          for (const value of upTo(100)) ref.tellUnsafe(note(value))

          assert.deepStrictEqual(yield* read(ref), upTo(100))
          assert.deepStrictEqual(log.slice(0, 3), ["start", "release", "start"])
        })
      )
    }

    it.effect("escalates the failure after the last allowed one, as a message", () =>
      Effect.gen(function* () {
        const exits: Array<ActorExit> = []
        const log: Array<string> = []
        const ref = yield* Actor.spawn({
          ...defaults,
          start: notebook(log),
          onExit: (exit) => Effect.sync(() => exits.push(exit))
        })
        for (const _ of upTo(3)) ref.tellUnsafe(fail)
        ref.tellUnsafe(note(0))
        const exit = yield* ref.exit

        assert.deepStrictEqual(exit, ActorExit.Failed({ cause: Cause.fail("failure"), restarts: 2 }))
        assert.deepStrictEqual(exits, [exit])
        assert.deepStrictEqual(log, ["start", "release", "start", "release", "start", "release"])
        assert.strictEqual(ref.dropped(), 1)
      })
    )

    it.effect("forgives failures older than the period", () =>
      Effect.gen(function* () {
        const ref = yield* Actor.spawn({ ...defaults, start: notebook() })
        for (const _ of upTo(10)) {
          yield* ref.tell(fail)
          yield* TestClock.adjust(600)
        }

        assert.deepStrictEqual(yield* read(ref), [])
      })
    )

    it.effect("never means the first failure is the last", () =>
      Effect.gen(function* () {
        const ref = yield* Actor.spawn({ ...defaults, restart: "never", start: notebook() })
        yield* ref.tell(fail)

        assert.deepStrictEqual(yield* ref.exit, ActorExit.Failed({ cause: Cause.fail("failure"), restarts: 0 }))
      })
    )

    it.effect("a schedule gives the pause, and starts over after a healthy time", () =>
      Effect.gen(function* () {
        const log: Array<string> = []
        const schedule = Schedule.max([Schedule.exponential(100), Schedule.recurs(2)])
        const ref = yield* Actor.spawn({ ...defaults, restart: schedule, start: notebook(log) })
        const starts = () => log.filter((line) => line === "start").length

        yield* ref.tell(fail)
        yield* TestClock.adjust(99)
        assert.strictEqual(starts(), 1)
        yield* TestClock.adjust(1)
        assert.strictEqual(starts(), 2)
        yield* ref.tell(fail)
        yield* TestClock.adjust(200)
        assert.strictEqual(starts(), 3)
        yield* TestClock.adjust(Restart.HEALTHY_AFTER_MS)
        yield* ref.tell(fail)
        yield* TestClock.adjust(100)
        assert.strictEqual(starts(), 4)
        yield* ref.tell(fail)
        yield* TestClock.adjust(200)
        yield* ref.tell(fail)
        yield* TestClock.adjust(1000)

        assert.isTrue(ActorExit.$is("Failed")(yield* ref.exit))
      })
    )

    it.effect("a start that fails counts as a failed life", () =>
      Effect.gen(function* () {
        let starts = 0
        const start = Effect.suspend(() => (++starts < 3 ? Effect.fail("not yet") : notebook()))
        const ref = yield* Actor.spawn({ ...defaults, start })

        assert.deepStrictEqual(yield* read(ref), [])
        assert.strictEqual(starts, 3)
      })
    )

    it.effect("stopping during the pause before a restart does not wait for it", () =>
      Effect.gen(function* () {
        const ref = yield* Actor.spawn({ ...defaults, restart: Schedule.spaced("1 hour"), start: notebook() })
        yield* ref.tell(fail)
        yield* settle
        yield* ref.stop

        assert.deepStrictEqual(yield* ref.exit, ActorExit.Stopped())
      })
    )
  })

  describe("stop", () => {
    it.effect("interrupts the handler, runs its finalizers in reverse order, and waits for them", () =>
      Effect.gen(function* () {
        const log: Array<string> = []
        const slowRelease = Effect.andThen(
          Effect.sleep(100),
          Effect.sync(() => log.push("first"))
        )
        const start = Effect.gen(function* () {
          yield* Effect.addFinalizer(() => slowRelease)
          yield* Effect.addFinalizer(() => Effect.sync(() => log.push("second")))
          return { receive: () => Effect.onInterrupt(Effect.never, () => Effect.sync(() => log.push("interrupted"))) }
        })
        const ref = yield* Actor.spawn<Message, never, never>({ ...defaults, start })
        yield* ref.tell(note(0))
        // Before its first adjustment the test clock arms a warning, in a way that an interrupted fiber does not survive.
        yield* TestClock.adjust(0)
        const stopping = yield* Effect.forkChild(ref.stop, { startImmediately: true })
        yield* TestClock.adjust(99)
        assert.isUndefined(stopping.pollUnsafe())
        yield* TestClock.adjust(1)
        yield* Fiber.join(stopping)

        assert.deepStrictEqual(log, ["interrupted", "second", "first"])
        assert.deepStrictEqual(yield* ref.exit, ActorExit.Stopped())
      })
    )

    it.effect("by a handler ends the actor in peace", () =>
      Effect.gen(function* () {
        const ref = yield* Actor.spawn({ ...defaults, start: notebook() })
        yield* ref.tell(Message.Stop({ marker: true }))

        assert.deepStrictEqual(yield* ref.exit, ActorExit.Stopped())
      })
    )

    it.effect("by the actor through its own reference does not wait for itself", () =>
      Effect.gen(function* () {
        const ref = yield* Actor.spawn<Message, never, never>({
          ...defaults,
          start: (self) => Effect.succeed({ receive: () => self.stop })
        })
        yield* ref.tell(note(0))

        assert.deepStrictEqual(yield* ref.exit, ActorExit.Stopped())
      })
    )

    it.effect("by whoever a message wakes, the turn is finished first, then the finalizers run", () =>
      Effect.gen(function* () {
        const log: Array<string> = []
        const woken = yield* Deferred.make<void>()
        const ref = yield* Actor.spawn<string, never, never>({
          ...defaults,
          start: Effect.as(
            Effect.addFinalizer(() => Effect.sync(() => void log.push("finalizer"))),
            {
              receive: (message) => {
                log.push(message)
                // Runs the waiting fiber at once, and it stops this actor.
                Deferred.doneUnsafe(woken, Effect.void)
              },
              afterBatch: () => void log.push("flush")
            }
          )
        })
        const stopping = yield* Effect.forkChild(Effect.andThen(Deferred.await(woken), ref.stop))
        yield* settle
        ref.tellUnsafe("a")
        ref.tellUnsafe("b")
        yield* Fiber.join(stopping)

        assert.deepStrictEqual(log, ["a", "b", "flush", "finalizer"])
        assert.isFalse(ref.tellUnsafe("c"))
      })
    )

    it.effect("with the surrounding scope, children before parents, last before first", () =>
      Effect.gen(function* () {
        const log: Array<string> = []
        const named = (name: string, child: Effect.Effect<unknown, never, Scope.Scope> = Effect.void) =>
          Actor.spawn<Message, never, never>({
            ...defaults,
            name,
            start: Effect.gen(function* () {
              yield* Effect.addFinalizer(() => Effect.sync(() => log.push(name)))
              yield* child
              return { receive: () => {} }
            })
          })
        const scope = yield* Scope.make()
        const first = yield* Scope.provide(named("first", named("child")), scope)
        yield* Scope.provide(named("second"), scope)
        yield* Scope.close(scope, Exit.void)

        assert.deepStrictEqual(log, ["second", "child", "first"])
        assert.deepStrictEqual(yield* first.exit, ActorExit.Stopped())
      })
    )

    it.effect("a spawn into a closed scope ends at once", () =>
      Effect.gen(function* () {
        const scope = yield* Scope.make()
        yield* Scope.close(scope, Exit.void)
        const ref = yield* Scope.provide(Actor.spawn({ ...defaults, start: notebook() }), scope)

        assert.deepStrictEqual(yield* ref.exit, ActorExit.Stopped())
      })
    )

    it.effect("an ended actor leaves nothing behind in its scope", () =>
      Effect.gen(function* () {
        const scope = yield* Scope.make()
        for (const _ of upTo(10)) {
          const ref = yield* Scope.provide(Actor.spawn({ ...defaults, start: notebook() }), scope)
          yield* ref.stop
        }

        assert.strictEqual(scope.state._tag, "Empty")
      })
    )
  })

  it.effect("watch reports the end of another actor, also one that has ended", () =>
    Effect.gen(function* () {
      const ref = yield* Actor.spawn({ ...defaults, start: notebook() })
      const seen: Array<string> = []
      yield* Actor.watch(ref, (exit) => Effect.sync(() => seen.push(`early ${exit._tag}`)))
      yield* ref.stop
      yield* Actor.watch(ref, (exit) => Effect.sync(() => seen.push(`late ${exit._tag}`)))
      yield* settle

      assert.deepStrictEqual(seen, ["early Stopped", "late Stopped"])
    })
  )

  it.effect("onExit may wait for the mailbox of a parent that is stopping the child", () =>
    Effect.gen(function* () {
      const parent = yield* Actor.spawn<Message, never, Scope.Scope>({
        ...defaults,
        mailbox: { capacity: 1, overflow: "backpressure" },
        start: (self) =>
          Effect.gen(function* () {
            const child = yield* Actor.spawn({
              ...defaults,
              start: notebook(),
              onExit: () => Effect.ignore(self.tell(note(1)))
            })
            return { receive: (message) => (message._tag === "Note" && message.value === 0 ? child.stop : undefined) }
          })
      })
      yield* parent.tell(note(0))
      yield* parent.tell(note(2))
      yield* parent.tell(note(2))
      yield* settle
      yield* parent.stop

      assert.deepStrictEqual(yield* parent.exit, ActorExit.Stopped())
    })
  )
})
