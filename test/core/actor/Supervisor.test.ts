import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect, Exit, Scope } from "effect"
import { TestClock } from "effect/testing"
import * as Actor from "../../../src/core/actor/Actor.ts"
import { RestartLimitReached } from "../../../src/core/actor/ActorError.ts"
import { ActorExit } from "../../../src/core/actor/ActorRef.ts"
import * as Supervisor from "../../../src/core/actor/Supervisor.ts"

type Message = "fail" | "stop" | "work"

/** A child that dies of its first failure, and notes its lives in `log`. */
const fragile = (name: string, log: Array<string>) =>
  Supervisor.child(
    name,
    Actor.spawn<Message, string, never>({
      name,
      mailbox: { capacity: 8, overflow: "fail" },
      restart: "never",
      start: Effect.acquireRelease(
        Effect.sync(() => {
          log.push(`+${name}`)
          return {
            receive: (message: Message): Effect.Effect<void, string> | void => {
              if (message === "work") return
              return message === "fail" ? Effect.fail("broken") : Actor.stopSelf
            }
          }
        }),
        () => Effect.sync(() => log.push(`-${name}`))
      )
    })
  )

const spawnGroup = (strategy: Supervisor.Strategy, intensity = 3) =>
  Effect.gen(function* () {
    const log: Array<string> = []
    const children = ["a", "b", "c"].map((name) => fragile(name, log))
    const restart = { intensity, periodMs: 1000 }
    const supervisor = yield* Supervisor.spawn({ name: "group", strategy, restart, children })
    const send = (index: number, message: Message) =>
      Effect.andThen(
        Effect.sync(() => children[index]?.current()?.tellUnsafe(message)),
        TestClock.adjust(0)
      )
    return { children, log, send, supervisor, took: Effect.sync(() => log.splice(0).join(" ")) }
  })

describe("Supervisor", () => {
  const expected = {
    "one-for-one": "-b +b",
    "one-for-all": "-b -c -a +a +b +c",
    "rest-for-one": "-b -c +b +c"
  } as const

  for (const [strategy, lives] of Object.entries(expected) as Array<[Supervisor.Strategy, string]>) {
    it.effect(`${strategy}: ${lives} after b failed`, () =>
      Effect.gen(function* () {
        const { children, send, took } = yield* spawnGroup(strategy)
        assert.strictEqual(yield* took, "+a +b +c")
        yield* send(1, "fail")

        assert.strictEqual(yield* took, lives)
        assert.isTrue(children.every((child) => child.current()?.tellUnsafe("work")))
      })
    )
  }

  it.effect("a child that stopped in peace stays ended", () =>
    Effect.gen(function* () {
      const { children, send, took } = yield* spawnGroup("one-for-all")
      yield* took
      yield* send(1, "stop")
      assert.strictEqual(yield* took, "-b")
      assert.isUndefined(children[1]?.current())
      yield* send(2, "fail")

      assert.strictEqual(yield* took, "-c -a +a +c")
    })
  )

  it.effect("beyond its restart intensity it stops everyone and fails", () =>
    Effect.gen(function* () {
      const { log, send, supervisor } = yield* spawnGroup("one-for-one", 2)
      for (const index of [0, 1, 2]) yield* send(index, "fail")
      const exit = yield* supervisor.exit

      const limit = new RestartLimitReached({ actor: "group", child: "c", intensity: 2, periodMs: 1000 })
      assert.deepStrictEqual(exit, ActorExit.Failed({ cause: Cause.fail(limit), restarts: 0 }))
      assert.strictEqual(log.slice(-3).join(" "), "-c -b -a")
    })
  )

  it.effect("failures further apart than the period are forgiven", () =>
    Effect.gen(function* () {
      const { children, send } = yield* spawnGroup("one-for-one", 1)
      for (const index of [0, 1, 2, 0, 1, 2]) {
        yield* send(index, "fail")
        yield* TestClock.adjust(1000)
      }

      assert.isTrue(children.every((child) => child.current() !== undefined))
    })
  )

  it.effect("stops its children in the reverse order of start, whoever was restarted last", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const { children, send, took } = yield* Scope.provide(spawnGroup("one-for-one"), scope)
      yield* send(0, "fail")
      yield* took
      yield* Scope.close(scope, Exit.void)

      assert.strictEqual(yield* took, "-c -b -a")
      assert.isTrue(children.every((child) => child.current() === undefined))
    })
  )

  it.effect("several deaths at once are all answered", () =>
    Effect.gen(function* () {
      const { children, took } = yield* spawnGroup("one-for-one")
      yield* took
      for (const child of children) child.current()?.tellUnsafe("fail")
      yield* TestClock.adjust(0)

      assert.strictEqual(yield* took, "-a -b -c +a +b +c")
    })
  )

  it.effect("deaths that one restart answered do not count again", () =>
    Effect.gen(function* () {
      const { children, took } = yield* spawnGroup("one-for-all", 1)
      yield* took
      for (const child of children) child.current()?.tellUnsafe("fail")
      yield* TestClock.adjust(0)

      assert.strictEqual(yield* took, "-a -b -c +a +b +c")
      assert.isTrue(children.every((child) => child.current()?.tellUnsafe("work")))
    })
  )
})
