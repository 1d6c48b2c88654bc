/** A monitor publishes what it sees; responders that it does not know hear `anomaly.*`, also what came while they were away. */
import { Effect, Ref, Schema, Stream } from "effect"
import { Events } from "effect-pilot"
import type { SimNet } from "effect-pilot/testing"

const Anomaly = Schema.fromJsonString(Schema.Struct({ host: Schema.String, value: Schema.Finite }))

/** Looks at measurements, and tells of those that stand out. */
export const monitor = (
  measured: ReadonlyArray<{ readonly what: string; readonly host: string; readonly value: number }>
) =>
  Effect.forEach(
    measured.filter(({ value }) => value > 0.9),
    ({ host, value, what }) => Events.publish(`anomaly.${what}`, { host, value }),
    { discard: true }
  )

/** Acts on every anomaly that fits, each at least once. */
export const responder = <R>(
  name: string,
  pattern: string,
  act: (topic: string, anomaly: { readonly host: string; readonly value: number }) => Effect.Effect<void, never, R>
) =>
  Events.subscribe(pattern, { consumer: name }).pipe(
    Stream.runForEach(({ text, topic }) =>
      Schema.decodeUnknownEffect(Anomaly)(text).pipe(
        Effect.flatMap((anomaly) => act(topic, anomaly)),
        // What does not say what it must is not worth the responder's life.
        Effect.catchTag("SchemaError", (error) => Effect.logWarning(`${name}: ${topic}: ${error.message}`))
      )
    )
  )

/** What it shows. */
export const SHOWS = "responders on `anomaly.*`, which also hear what came while they were away"

/** Two responders; the one that scales hears of the disk only after its machine had been away. */
export const play = Effect.fn("monitoring")(function* (net: SimNet.SimNet) {
  const done = yield* Ref.make<ReadonlyArray<string>>([])
  const acting =
    (who: string) =>
    (topic: string, { host, value }: { readonly host: string; readonly value: number }) =>
      Ref.update(done, (all) => [...all, `${who} ${topic} ${host} ${value}`])
  const watching = yield* net.node("monitor")
  const pager = yield* net.node("pager", { main: responder("pager", "anomaly.*", acting("pages")) })
  const scaler = yield* net.node("scaler", { main: responder("scaler", "anomaly.disk", acting("scales")) })
  yield* Effect.all([net.trust(pager, watching), net.trust(scaler, watching)])
  yield* net.sleep("60 seconds")
  yield* watching.run(
    monitor([
      { what: "cpu", host: "web-1", value: 0.97 },
      { what: "cpu", host: "web-2", value: 0.3 }
    ])
  )
  yield* net.sleep("5 seconds")
  yield* net.kill(scaler)
  yield* watching.run(monitor([{ what: "disk", host: "db-1", value: 0.95 }]))
  yield* net.sleep("30 seconds")
  yield* net.restart(scaler)
  yield* net.sleep("60 seconds")
  return yield* Ref.get(done)
})
