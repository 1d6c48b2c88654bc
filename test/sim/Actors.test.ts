import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Schema } from "effect"
import * as Actor from "../../src/api/Actor.ts"
import * as Pilot from "../../src/api/Pilot.ts"
import * as SimNet from "../../src/testing/SimNet.ts"
import type * as SimNode from "../../src/testing/SimNode.ts"
import { Counter, Protocol } from "../support/Counter.ts"
import { PATIENCE_MS } from "./Patience.ts"

/** `home` has a counter that `away` may use. */
const stage = Effect.fnUntraced(function* (net: SimNet.SimNet) {
  const home = yield* net.node("home", { nat: "portRestrictedCone" })
  const away = yield* net.node("away", { link: { rttMs: 60, loss: 0.02 } })
  yield* net.trust(home, away)
  const local = yield* begin(home)
  const remote = yield* away.run(Pilot.actor("home", "counter", Protocol))
  return { home, away, local, remote }
})

const begin = (home: SimNode.SimNode) =>
  home.run(
    Effect.gen(function* () {
      const counter = yield* Actor.spawn(Counter)
      yield* Pilot.register("counter", counter, { allow: ["away"] })
      return counter
    })
  )

const tagOf = <A, E extends { readonly _tag: string }, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.map(Effect.flip(effect), ({ _tag }) => _tag)

describe("actors of other nodes, in the simulator", { timeout: PATIENCE_MS }, () => {
  it.effect(
    "are told and asked as those of one's own, in order; declared failures and values of any schema arrive",
    () =>
      SimNet.run({ seed: 6801 }, (net) =>
        Effect.gen(function* () {
          const { away, home, local, remote } = yield* stage(net)

          for (const by of [1, 2, 3]) yield* away.run(remote.tell(Counter.Add({ by })))
          yield* home.run(local.tell(Counter.Add({ by: 10 })))
          assert.strictEqual(yield* away.run(remote.ask(Counter.Get())), 16)
          assert.strictEqual(yield* home.run(local.ask(Protocol.Get())), 16)
          assert.strictEqual(yield* away.run(remote.ask(Counter.AddAtMost({ by: 4, at: new Date(5) }))), 20)
          const failure = yield* Effect.flip(away.run(remote.ask(Counter.AddAtMost({ by: 6, at: new Date(5) }))))
          assert.deepInclude(failure, { _tag: "TooLarge", by: 6 })
          assert.strictEqual(yield* away.run(remote.ask(Counter.Asker())), "away")
        })
      )
  )

  it.effect("full mailboxes, silence and deaths have their names; a restart has a fresh state", () =>
    SimNet.run({ seed: 6802 }, (net) =>
      Effect.gen(function* () {
        const { away, remote } = yield* stage(net)
        yield* away.run(remote.tell(Counter.Add({ by: 5 })))
        yield* away.run(remote.tell(Counter.Crash()))
        assert.strictEqual(yield* away.run(remote.ask(Counter.Get())), 0)

        const watching = yield* Effect.forkChild(away.run(remote.exit))
        const silence = tagOf(remote.ask(Counter.Sleep(), { timeout: "2 seconds" }))
        assert.strictEqual(yield* away.run(silence), "AskTimeout")
        for (let count = 0; count < 2; count++) yield* away.run(remote.tell(Counter.Add({ by: 1 })))
        assert.strictEqual(yield* tagOf(away.run(remote.tell(Counter.Add({ by: 1 })))), "MailboxFull")
        assert.isUndefined(watching.pollUnsafe())
        yield* Fiber.interrupt(watching)
        yield* net.sleep("1 second")
      })
    )
  )

  it.effect("an end is seen by who watches: stopped, failed, or lost with its node; then it is not there", () =>
    SimNet.run({ seed: 6803 }, (net) =>
      Effect.gen(function* () {
        const { away, home, local, remote } = yield* stage(net)
        const stopped = yield* Effect.forkChild(away.run(remote.exit))
        yield* net.sleep("1 second")
        yield* home.run(local.stop)
        assert.deepStrictEqual(yield* Fiber.join(stopped), Actor.Exit.Stopped())
        assert.strictEqual(yield* tagOf(away.run(remote.ask(Counter.Get()))), "ActorStopped")

        yield* home.run(
          Effect.flatMap(Actor.spawn(Counter), (ref) => Pilot.register("second", ref, { allow: ["away"] }))
        )
        const second = yield* away.run(Pilot.actor("home", "second", Protocol))
        const failed = yield* Effect.forkChild(away.run(second.exit))
        for (let count = 0; count < 2; count++) yield* away.run(second.tell(Counter.Crash()))
        assert.deepStrictEqual(yield* Fiber.join(failed), Actor.Exit.Failed({ detail: "Error: broken" }))

        yield* home.run(
          Effect.flatMap(Actor.spawn(Counter), (ref) => Pilot.register("third", ref, { allow: ["away"] }))
        )
        const third = yield* away.run(Pilot.actor("home", "third", Protocol))
        yield* away.run(third.tell(Counter.Add({ by: 1 })))
        const lost = yield* Effect.forkChild(away.run(third.exit))
        const asking = yield* Effect.forkChild(away.run(tagOf(third.ask(Counter.Sleep(), { timeout: "1 minute" }))))
        yield* net.sleep("1 second")
        yield* net.kill(home)
        assert.strictEqual((yield* Fiber.join(lost))._tag, "Lost")
        assert.strictEqual(yield* Fiber.join(asking), "PeerUnreachable")

        yield* net.restart(home)
        const registering = home.run(
          Effect.flatMap(Actor.spawn(Counter), (ref) => Pilot.register("third", ref, { allow: ["away"] }))
        )
        yield* registering
        yield* net.sleep("30 seconds")
        assert.strictEqual(yield* away.run(third.ask(Counter.Get())), 0)
      })
    )
  )

  it.effect("who is not named finds nobody; another protocol is said to be one; a name is taken once", () =>
    SimNet.run({ seed: 6804 }, (net) =>
      Effect.gen(function* () {
        const { away, home, local } = yield* stage(net)
        const spy = yield* net.node("spy")
        yield* net.trust(home, spy)
        const spying = yield* spy.run(Pilot.actor("home", "counter", Protocol))
        assert.strictEqual(yield* tagOf(spy.run(spying.ask(Counter.Get()))), "NoSuchActor")
        assert.strictEqual(yield* tagOf(spy.run(spying.tell(Counter.Add({ by: 1 })))), "NoSuchActor")
        assert.deepInclude(yield* spy.run(spying.exit), { _tag: "Lost" })

        const Other = Actor.protocol("other", {
          Add: Actor.tell(Schema.Struct({ by: Schema.String })),
          Gone: Actor.tell(),
          Get: Actor.ask({ reply: Schema.String })
        })
        const other = yield* away.run(Pilot.actor("home", "counter", Other))
        assert.strictEqual(yield* tagOf(away.run(other.tell(Other.Add({ by: "x" })))), "ProtocolMismatch")
        assert.strictEqual(yield* tagOf(away.run(other.tell(Other.Gone()))), "ProtocolMismatch")
        assert.strictEqual(yield* tagOf(away.run(other.ask(Other.Get()))), "ProtocolMismatch")
        const again = yield* Effect.flip(home.run(Pilot.register("counter", local)))
        assert.deepInclude(again, { _tag: "NameTaken", actor: "counter" })
      })
    )
  )

  it.effect("an answer that its own protocol cannot say is a mismatch for the asker, and the actor lives on", () =>
    SimNet.run({ seed: 6805 }, (net) =>
      Effect.gen(function* () {
        const { away, home } = yield* stage(net)
        const Parts = Actor.protocol("parts", {
          Share: Actor.ask({ payload: Schema.Struct({ by: Schema.Int }), reply: Schema.Int })
        })
        const sharing = Actor.make(Parts, {
          start: Effect.succeed({ Share: ({ by }) => Effect.succeed(12 / by) })
        })
        yield* home.run(
          Effect.flatMap(Actor.spawn(sharing), (ref) => Pilot.register("parts", ref, { allow: ["away"] }))
        )
        const parts = yield* away.run(Pilot.actor("home", "parts", Parts))
        assert.strictEqual(yield* tagOf(away.run(parts.ask(Parts.Share({ by: 5 })))), "ProtocolMismatch")
        assert.strictEqual(yield* away.run(parts.ask(Parts.Share({ by: 4 }))), 3)
      })
    )
  )
})
