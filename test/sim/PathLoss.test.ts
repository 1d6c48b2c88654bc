import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Stream } from "effect"
import * as Pilot from "../../src/api/Pilot.ts"
import * as SimNet from "../../src/testing/SimNet.ts"
import { PATIENCE_MS } from "./Patience.ts"
import { payload, push } from "./Programs.ts"

const PORT = 4000
/** Some five seconds on the link below. */
const BYTES = payload(4_000_000, 5)
const link = { rttMs: 20, bitsPerSecond: 8_000_000 }

/** Reads one stream to its end, and notes when each part came. */
const serve = (heard: (chunk: Uint8Array) => void) =>
  Pilot.listen(PORT).pipe(
    Stream.mapEffect((connection) =>
      Effect.ignore(Stream.runForEach(connection.readable, (chunk) => Effect.sync(() => heard(chunk))))
    ),
    Stream.runDrain
  )

describe("a path dies under a transfer, in the simulator", { timeout: PATIENCE_MS }, () => {
  it.effect.each([
    { seed: 711, dies: "both" },
    { seed: 712, dies: "both" },
    { seed: 713, dies: "both" },
    { seed: 714, dies: "data" },
    { seed: 715, dies: "answers" }
  ] as const)(
    "bytes go on by the relay within a second, all of them once, and return to the direct path: seed $seed, $dies lost",
    ({ dies, seed }) =>
      SimNet.run({ seed }, (net) =>
        Effect.gen(function* () {
          const chunks: Array<Uint8Array> = []
          const atMs: Array<number> = []
          const main = serve((chunk) => {
            chunks.push(chunk)
            atMs.push(net.nowMs())
          })
          const a = yield* net.node("a", { nat: "portRestrictedCone", link })
          const b = yield* net.node("b", { nat: "restrictedCone", link, main })
          yield* net.trust(a, b)
          const pathOf = Effect.map(a.run(Pilot.ping("b")), ({ path }) => path)
          const pushing = yield* Effect.forkScoped(a.run(push("b", PORT, BYTES)))
          yield* net.sleep(`${1500 + (seed % 7) * 37} millis`)
          const before = yield* pathOf
          yield* { both: net.partition([a], [b]), data: net.block([a], [b]), answers: net.block([b], [a]) }[dies]
          yield* net.sleep("1500 millis")
          const meanwhile = yield* pathOf
          yield* net.heal()
          yield* Fiber.join(pushing)
          yield* net.sleep("2 seconds")
          const connection = yield* a.run(Pilot.dial("b", PORT))
          yield* net.sleep("16 seconds")
          const after = yield* pathOf
          yield* connection.close

          assert.deepStrictEqual([before, meanwhile, after], ["direct", "relay", "direct"])
          assert.strictEqual(Buffer.compare(Buffer.concat(chunks), BYTES), 0)
          const pauses = atMs.slice(1).map((ms, index) => ms - (atMs[index] ?? ms))
          assert.isAtMost(Math.max(...pauses), 1_000)
        })
      )
  )
})
