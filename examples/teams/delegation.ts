/**
 * A tool that needs a credential, lent without the credential: the owner's program holds the key and serves the tool to peers that it
 * names; what a peer asks is checked at the owner's, who also sees who asked.
 */
import { Context, Effect, Redacted, Ref, Schema } from "effect"
import { Tool, Toolkit } from "effect/ai"
import { Mcp } from "effect-pilot"
import type { SimNet } from "effect-pilot/testing"

/** A service that bills whoever has the key. */
export class Weather extends Context.Service<
  Weather,
  { readonly key: Redacted.Redacted; readonly ask: (key: string, city: string) => Effect.Effect<number> }
>()("example/Weather") {}

const Forecast = Tool.make("forecast", {
  description: "Tomorrow's temperature in a city, in degrees Celsius",
  parameters: Schema.Struct({ city: Schema.NonEmptyString }),
  success: Schema.Struct({ celsius: Schema.Finite }),
  failure: Schema.Struct({ reason: Schema.String })
})

/** The tools that are lent. */
export const Kit = Toolkit.make(Forecast)

const CALLS_MAX = 2

/** The owner's side: the key never leaves this function, and nobody asks more than `CALLS_MAX` times. */
export const lend = Effect.fn("lend")(function* (to: ReadonlyArray<string>) {
  const calls = yield* Ref.make<Readonly<Record<string, number>>>({})
  const handlers = Kit.toLayer(
    Effect.gen(function* () {
      const { ask, key } = yield* Weather
      const caller = yield* Mcp.Caller
      return {
        forecast: Effect.fnUntraced(function* ({ city }) {
          const used = yield* Ref.modify(calls, (all) => {
            const next = (all[caller.fingerprint] ?? 0) + 1
            return [next, { ...all, [caller.fingerprint]: next }]
          })
          if (used > CALLS_MAX)
            return yield* Effect.fail({ reason: `${caller.hostname} has used its ${CALLS_MAX} calls` })
          return { celsius: yield* ask(Redacted.value(key), city) }
        })
      }
    })
  )
  return yield* Mcp.expose("weather", Mcp.toolkit(Kit, handlers), { allow: to })
})

/** The borrower's side: typed calls, and no credential anywhere. */
export const borrow = Effect.fn("borrow")(function* (cities: ReadonlyArray<string>) {
  const weather = yield* Mcp.typed(yield* Mcp.connect("owner/weather"), Kit)
  return yield* Effect.forEach(cities, (city) =>
    weather.forecast({ city }).pipe(
      Effect.map(({ celsius }) => `${city}: ${celsius} °C`),
      Effect.catch((error) => Effect.succeed("reason" in error ? String(error.reason) : "failed"))
    )
  )
})

/** What it shows. */
export const SHOWS =
  "a tool lent to named peers, counted, without its credential: borrower may ask twice, other not at all"

/** The borrower is let in, a third peer is trusted and nevertheless is not. */
export const play = Effect.fn("delegation")(function* (net: SimNet.SimNet) {
  const owner = yield* net.node("owner", { nat: "symmetric" })
  const borrower = yield* net.node("borrower")
  const other = yield* net.node("other")
  yield* Effect.all([net.trust(borrower, owner), net.trust(other, owner)])
  yield* owner.run(lend(["borrower"])).pipe(
    Effect.provideService(Weather, {
      key: Redacted.make("sk-secret"),
      ask: (key, city) => (key === "sk-secret" ? Effect.succeed(city.length) : Effect.die("401"))
    })
  )
  const lent = yield* borrower.run(borrow(["Bern", "Lugano", "Genf"]))
  const refused = yield* other.run(
    Effect.match(borrow(["Bern"]), { onFailure: () => "not allowed", onSuccess: String })
  )
  return [...lent, refused]
})
