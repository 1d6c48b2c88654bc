/** Events from one node to many subscribers, every one of them on disk before it is told; next to the streams alone. */
import { Console, type Context, Effect, Fiber, Layer, Stream } from "effect"
import { Events, Pilot } from "effect-pilot"
import type { Figure } from "../Figure.ts"
import * as Network from "../Network.ts"
import type { Group } from "./Group.ts"

const measure = Effect.gen(function* () {
  const network = yield* Network.make(SERVER)
  const start = (home: Network.Home) => Effect.orDie(Layer.build(Pilot.layer(home.options)))
  const server = yield* start(network.server)
  // As many of this node itself as of both others: a broker takes 256 streams of one peer.
  const others = [yield* start(network.client), yield* start(network.rival), server, server]
  const figures: Array<Figure> = []
  for (const { events, subscribers } of ROUNDS) {
    yield* Console.log(`events to ${subscribers.toLocaleString("en")} …`)
    const stage = { server, nodes: subscribers === 1 ? others.slice(0, 1) : others, events, subscribers }
    const ours = yield* Effect.orDie(published(stage))
    const ceiling = yield* Effect.orDie(streamed(stage))
    figures.push({
      name: `events of ${DATA_BYTES} bytes to ${subscribers.toLocaleString("en")} subscriber${subscribers === 1 ? "" : "s"}, deliveries`,
      unit: "/s",
      ours,
      ceiling: { value: ceiling, of: "the same bytes on the same streams, no broker" }
    })
  }
  return figures
})

/** What a broker gives out. */
export const group: Group = {
  name: "events",
  about: "events to 1, 10 and 1,000 subscribers",
  seconds: 60,
  run: Effect.scoped(measure)
}

interface Stage {
  readonly server: Context.Context<Pilot.Pilot | Events.Events>
  readonly nodes: ReadonlyArray<Context.Context<Pilot.Pilot | Events.Events>>
  readonly events: number
  readonly subscribers: number
}

const nodeOf = ({ nodes }: Stage, index: number) => nodes[index % nodes.length]!

/** Deliveries per second, from the first publication until the last subscriber has the last event. */
const published = Effect.fnUntraced(function* (stage: Stage) {
  const { events, server, subscribers } = stage
  const topic = `bench.${subscribers}`
  const data = "x".repeat(DATA_BYTES)
  const there = new Set<number>()
  const hear = (index: number) =>
    Events.watch(topic, { from: SERVER }).pipe(
      Stream.filter((update) => update._tag === "Event"),
      Stream.tap(() => Effect.sync(() => there.add(index))),
      Stream.filter(({ text }) => text !== CALL),
      Stream.take(events),
      Stream.runDrain,
      Effect.provideContext(nodeOf(stage, index))
    )
  const hearing = yield* Effect.forEach(indexes(subscribers), (index) => Effect.forkScoped(hear(index)))
  // Whoever has heard one event hears all that follow.
  const call = Effect.andThen(Events.publish(topic, CALL), Effect.sleep("200 millis"))
  yield* Effect.provideContext(Effect.repeat(call, { until: () => there.size === subscribers }), server)
  const startMs = performance.now()
  const publishing = Effect.forEach(indexes(events), () => Events.publish(topic, data), {
    concurrency: PUBLISHED_AT_ONCE,
    discard: true
  })
  yield* Effect.forkScoped(Effect.provideContext(publishing, server))
  yield* Effect.forEach(hearing, Fiber.join, { discard: true })
  return (1_000 * events * subscribers) / (performance.now() - startMs)
}, Effect.scoped)

/** The same number of streams, each written as many bytes in writes as large as the broker's. */
const streamed = Effect.fnUntraced(function* (stage: Stage) {
  const { events, server, subscribers } = stage
  const sizeBytes = events * (DATA_BYTES + FRAME_BYTES)
  const all = new Uint8Array(Math.min(sizeBytes, WRITE_BYTES))
  const write = (connection: Pilot.Connection) =>
    Effect.gen(function* () {
      for (let left = sizeBytes; left > 0; left -= all.length)
        yield* connection.write(all.subarray(0, Math.min(left, all.length)))
      yield* connection.end
    })
  const accepted: Array<Pilot.Connection> = []
  yield* Pilot.listen(PORT).pipe(
    Stream.runForEach((connection) => Effect.sync(() => void accepted.push(connection))),
    Effect.provideContext(server),
    Effect.forkScoped
  )
  const dial = (index: number) => Effect.provideContext(Pilot.dial(SERVER, PORT), nodeOf(stage, index))
  yield* Effect.sleep("100 millis")
  const dialled = yield* Effect.forEach(indexes(subscribers), dial)
  yield* Effect.repeat(Effect.sleep("20 millis"), { until: () => accepted.length === subscribers })
  const startMs = performance.now()
  yield* Effect.forEach(accepted, (connection) => Effect.forkScoped(write(connection)), { discard: true })
  yield* Effect.forEach(dialled, ({ readable }) => Stream.runDrain(readable), {
    concurrency: "unbounded",
    discard: true
  })
  return (1_000 * events * subscribers) / (performance.now() - startMs)
}, Effect.scoped)

const indexes = (count: number): ReadonlyArray<number> => Array.from({ length: count }, (_, index) => index)

const SERVER = "bench-server"
const ROUNDS = [
  { subscribers: 1, events: 20_000 },
  { subscribers: 10, events: 10_000 },
  { subscribers: 1_000, events: 200 }
]
const DATA_BYTES = 100
const CALL = "are you there?"
/** What a frame of ours adds: lengths, topic, number, time, publisher. */
const FRAME_BYTES = 36
const WRITE_BYTES = 64 << 10
const PUBLISHED_AT_ONCE = 256
const PORT = 4800
