/** What `Tasks` promises, run against every way to have one: nodes over real UDP, a real rendezvous. */
import { assert, layer } from "@effect/vitest"
import { Context, Effect, Exit, Layer, Schema, Scope, Stream } from "effect"
import { Peer, type Pilot, Tasks } from "effect-pilot"
import * as Pilotctl from "../../examples/demo/Pilotctl.ts"
import * as PilotNetwork from "./PilotNetwork.ts"
import type { Variant } from "./PilotSuite.ts"

type Services = Pilot.Pilot | Tasks.Tasks

/** `alice` and `bob` trust each other. */
class Stage extends Context.Service<
  Stage,
  { readonly alice: Context.Context<Services>; readonly bob: Context.Context<Services> }
>()("test/TasksSuite/Stage") {}

const stage = ({ isOwnNode, open }: Variant<Services>) =>
  Layer.effect(
    Stage,
    Effect.gen(function* () {
      const network = yield* PilotNetwork.make
      const [alice, bob] = yield* PilotNetwork.startPair(network, "alice", "bob")
      const opened = Effect.fnUntraced(function* (daemon: PilotNetwork.Daemon) {
        if (isOwnNode) yield* Pilotctl.run(daemon.home, "daemon", "stop")
        return yield* Layer.build(open(network, daemon))
      })
      return { alice: yield* opened(alice), bob: yield* opened(bob) }
    })
  )

const Repeat = Tasks.make("repeat", {
  input: Schema.Struct({ text: Schema.String, times: Schema.Int }),
  progress: Schema.Int,
  output: Schema.String
})
const repeating = Tasks.serve(
  Repeat,
  ({ text, times }, job) =>
    times < 0 ? Effect.fail(`${times} times makes no sense`) : Effect.as(job.progress(times), text.repeat(times)),
  { concurrency: 2 }
)

/** Runs the suite. */
export const run = (variant: Variant<Services>): void =>
  layer(stage(variant), { excludeTestServices: true, timeout: "60 seconds" })(variant.name, (it) => {
    it.effect("typed values cross, small and large, and failures say why", () =>
      Effect.gen(function* () {
        const { alice, bob } = yield* Stage
        yield* Effect.forkScoped(Effect.provideContext(Layer.launch(repeating), bob))
        const job = yield* Effect.provideContext(Tasks.submit(Repeat, { text: "ab", times: 2 }, { to: "bob" }), alice)
        assert.strictEqual(yield* job.result, "abab")
        assert.deepStrictEqual([...(yield* Stream.runCollect(job.progress))], [2])
        assert.strictEqual(yield* job.status, "COMPLETED")
        // More than a frame of a local socket can carry, as input it is refused.
        const call = (text: string, times: number) =>
          Effect.provideContext(Tasks.call(Repeat, { text, times }, { to: "bob" }), alice)
        assert.strictEqual((yield* call("é\u0000", 700_000)).length, 1_400_000)
        assert.deepInclude(yield* Effect.flip(call("x".repeat(200_000), 1)), { _tag: "TaskError", reason: "Full" })
        const failed = yield* Effect.flip(call("x", -1))
        assert.deepInclude(failed, { _tag: "TaskFailed", detail: "-1 times makes no sense" })
      })
    )

    it.effect("a task waits for somebody who serves its kind, and its handle can be had again", () =>
      Effect.gen(function* () {
        const { alice, bob } = yield* Stage
        const later = Tasks.make("later", { input: Schema.Int, output: Schema.Int })
        const { id } = yield* Effect.provideContext(Tasks.submit(later, 20, { to: "bob", id: "later-1" }), alice)
        const serving = Tasks.serve(later, (number) => Effect.succeed(number + 1))
        yield* Effect.forkScoped(Effect.provideContext(Layer.launch(serving), bob))
        const handle = yield* Effect.provideContext(Tasks.handle(later, id), alice)
        assert.strictEqual(yield* handle.result, 21)
        const unknown = yield* Effect.flip(Effect.provideContext(Tasks.handle(later, "nobody"), alice))
        assert.strictEqual(unknown.reason, "NotFound")
      })
    )

    it.effect("of several peers who can be found does it; the ledger counts; what is taken back is told", () =>
      Effect.gen(function* () {
        const { alice, bob } = yield* Stage
        const half = Tasks.make("half", { input: Schema.Int, output: Schema.Int })
        const serving = Tasks.serve(half, (number) =>
          number % 2 === 0 ? Effect.succeed(number / 2) : Effect.fail("odd")
        )
        const scope = yield* Scope.make()
        yield* Layer.buildWithScope(Layer.provide(serving, Layer.succeedContext(bob)), scope)
        const to = Peer.anyOf("nobody", "bob")
        yield* Effect.gen(function* () {
          assert.strictEqual(yield* Tasks.call(half, 8, { to }), 4)
          assert.strictEqual((yield* Effect.flip(Tasks.call(half, 7, { to })))._tag, "TaskFailed")
          const { publicKey } = yield* Peer.resolve("bob")
          const tally = (yield* Tasks.ledger).find(({ kind, peerKey }) => kind === "half" && peerKey === publicKey)
          assert.deepInclude(tally, { done: 1, failed: 1, late: 0, declined: 0 })
          yield* Scope.close(scope, Exit.void)
          const waiting = yield* Tasks.submit(half, 2, { to })
          yield* waiting.cancel
          assert.strictEqual((yield* Effect.flip(waiting.result))._tag, "TaskCancelled")
          assert.strictEqual(yield* waiting.status, "CANCELLED")
        }).pipe(Effect.provideContext(alice))
      })
    )
  })
