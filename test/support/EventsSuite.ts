/** What `Events` promises, run against every way to have one: nodes over real UDP, a real rendezvous. */
import { assert, layer } from "@effect/vitest"
import { Context, Deferred, Effect, Fiber, Layer, Schema, Stream } from "effect"
import { Events, type Pilot } from "effect-pilot"
import * as Pilotctl from "../../examples/demo/Pilotctl.ts"
import * as PilotNetwork from "./PilotNetwork.ts"
import type { Variant } from "./PilotSuite.ts"

type Services = Pilot.Pilot | Events.Events

/** `alice` and `bob` trust each other. */
class Stage extends Context.Service<
  Stage,
  {
    readonly alice: Context.Context<Services>
    readonly bob: Context.Context<Services>
    readonly daemons: Readonly<Record<"alice" | "bob", PilotNetwork.Daemon>>
  }
>()("test/EventsSuite/Stage") {}

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
      return { daemons: { alice, bob }, alice: yield* opened(alice), bob: yield* opened(bob) }
    })
  )

/** A subscription that is there: what it hears is collected, `count` of it. */
const hearing = Effect.fnUntraced(function* (
  services: Context.Context<Services>,
  pattern: string,
  count: number,
  options: Events.SubscribeOptions & { readonly brokers?: number } = {}
) {
  const { brokers = 1, ...wanted } = options
  const joined = yield* Deferred.make<void>()
  let left = brokers
  const fiber = yield* Events.watch(pattern, wanted).pipe(
    Stream.tap(({ _tag }) => (_tag === "Joined" && --left === 0 ? Deferred.succeed(joined, undefined) : Effect.void)),
    Stream.filter((update) => update._tag === "Event"),
    Stream.take(count),
    Stream.runCollect,
    Effect.provideContext(services),
    Effect.forkScoped
  )
  yield* Deferred.await(joined)
  return Effect.map(Fiber.join(fiber), (events) => [...events])
})

/** Runs the suite. */
export const run = (variant: Variant<Services>): void =>
  layer(stage(variant), { excludeTestServices: true, timeout: "60 seconds" })(variant.name, (it) => {
    it.effect("an event of one node is heard by another that knows only whom it trusts, and by itself", () =>
      Effect.gen(function* () {
        const { alice, bob, daemons } = yield* Stage
        const away = yield* hearing(bob, "research.*", 2, { brokers: 2 })
        const own = yield* hearing(alice, "**.completed", 2, { brokers: 2 })
        const publish = (topic: string, data: unknown) => Effect.provideContext(Events.publish(topic, data), alice)

        const first = yield* publish("research.completed", { papers: 12 })
        yield* publish("other", "unheard")
        const third = yield* publish("research.late.completed", "text")

        assert.isDefined(first)
        assert.strictEqual(third, first + 2)
        const events = yield* away
        assert.deepStrictEqual(
          events.map(({ broker, publisher, sequence, topic }) => ({ broker, publisher, sequence, topic })),
          ["research.completed", "research.late.completed"].map((topic, index) => ({
            ...{ broker: daemons.alice.address, publisher: daemons.alice.address, topic },
            sequence: first + 2 * index
          }))
        )
        const Papers = Schema.Struct({ papers: Schema.Int })
        assert.deepStrictEqual(yield* Events.decode(Papers)(events[0]!), { papers: 12 })
        assert.strictEqual(events[1]!.text, "text")
        assert.deepStrictEqual(
          (yield* own).map(({ topic }) => topic),
          ["research.completed", "research.late.completed"]
        )
      }).pipe(Effect.scoped)
    )

    it.effect("a consumer goes on behind what it has handled; what failed comes again with the same number", () =>
      Effect.gen(function* () {
        const { alice, bob } = yield* Stage
        const options = { consumer: "worker", from: "alice" }
        const first = yield* hearing(bob, "work", 1, options)
        for (const data of ["1", "2", "3"]) yield* Effect.provideContext(Events.publish("work", data), alice)
        assert.deepStrictEqual(
          (yield* first).map(({ text }) => text),
          ["1"]
        )
        const failing = Events.subscribe("work", options).pipe(
          Stream.runForEach(({ sequence }) => Effect.fail(sequence)),
          Effect.provideContext(bob)
        )
        const failed = yield* Effect.flip(failing)

        const second = yield* yield* hearing(bob, "work", 2, options)

        assert.deepStrictEqual(
          second.map(({ text }) => text),
          ["2", "3"]
        )
        assert.strictEqual(second[0]!.sequence, failed)
      }).pipe(Effect.scoped)
    )

    it.effect("publishes on a peer's broker, who is told who it was", () =>
      Effect.gen(function* () {
        const { alice, bob, daemons } = yield* Stage
        const heard = yield* hearing(alice, "note", 1, { from: "alice" })
        const sequence = yield* Effect.provideContext(Events.publish("note", "hello", { to: "alice" }), bob)

        const [event] = yield* heard
        assert.deepInclude(event, { text: "hello", publisher: daemons.bob.address, sequence })
      }).pipe(Effect.scoped)
    )

    it.effect("says what cannot be published, and whom it cannot hear", () =>
      Effect.gen(function* () {
        const { alice } = yield* Stage
        const flipped = (effect: Effect.Effect<unknown, Events.EventsError, Events.Events>) =>
          Effect.flip(Effect.provideContext(effect, alice))

        assert.strictEqual((yield* flipped(Events.publish("t".repeat(1_025), ""))).reason, "Invalid")
        assert.strictEqual((yield* flipped(Events.publish("t", "", { to: "nobody" }))).reason, "Unreachable")
        const unheard = Stream.runDrain(Events.subscribe("t", { from: "nobody" }))
        assert.strictEqual((yield* flipped(unheard)).reason, "Unreachable")
      })
    )

    it.effect("carries data of every size", () =>
      Effect.gen(function* () {
        const { alice, bob } = yield* Stage
        // The largest there is; through two daemons it takes longer than a loaded machine should be given.
        const sizes = [0, 1, 70_000, variant.isOwnNode ? 16 << 20 : 2 << 20]
        const heard = yield* hearing(bob, "large", sizes.length, { from: "alice" })
        for (const size of sizes)
          yield* Effect.provideContext(Events.publish("large", new Uint8Array(size).fill(7)), alice)
        assert.deepStrictEqual(
          (yield* heard).map(({ data }) => data.length),
          sizes
        )
      }).pipe(Effect.scoped)
    )
  })
