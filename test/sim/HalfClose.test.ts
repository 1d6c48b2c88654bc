import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, Stream } from "effect"
import * as Pilot from "../../src/api/Pilot.ts"
import * as SeededRandom from "../../src/testing/SeededRandom.ts"
import * as SimNet from "../../src/testing/SimNet.ts"
import { PATIENCE_MS } from "./Patience.ts"
import { payload } from "./Programs.ts"

const PORT = 4000
const REQUEST = payload(30_000, 7)
// More than a stream buffers, so that whoever writes it learns of the end of the other side.
const ANSWER = payload(6_000_000, 8)
const SEEDS = 2

/** Reads a request to its end, and only then answers and ends. */
const serve = (failed: Deferred.Deferred<string>) =>
  Pilot.listen(PORT).pipe(
    Stream.mapEffect(
      (connection) =>
        Stream.runDrain(connection.readable).pipe(
          Effect.andThen(connection.write(ANSWER)),
          Effect.andThen(connection.end),
          Effect.catch((error) => Deferred.succeed(failed, error._tag)),
          Effect.scoped
        ),
      { concurrency: "unbounded" }
    ),
    Stream.runDrain
  )

/** Asks, ends its own direction, and reads the answer to its end; how much came is noted as it comes. */
const ask = Effect.fnUntraced(function* (progress: { bytes: number }) {
  const connection = yield* Pilot.dial("server", PORT)
  yield* connection.write(REQUEST)
  yield* connection.end
  yield* Stream.runForEach(connection.readable, (chunk) =>
    Effect.sync(() => {
      progress.bytes += chunk.length
    })
  )
}, Effect.scoped)

/** A client behind a translator, a server, and a link slow enough for a crash to fall into the answer. */
const pair = Effect.fnUntraced(function* (net: SimNet.SimNet) {
  const failed = yield* Deferred.make<string>()
  const link = { rttMs: 40, loss: 0.01, bitsPerSecond: 50_000_000, queueBytes: 128_000 }
  const server = yield* net.node("server", { main: serve(failed), link })
  const client = yield* net.node("client", { nat: "portRestrictedCone", link: { rttMs: 10, loss: 0.01 } })
  yield* net.trust(client, server)
  return { client, failed, server }
})

/** Lets an answer begin, and some of it arrive, by chance. */
const somewhere = (net: SimNet.SimNet, progress: { bytes: number }) =>
  Effect.gen(function* () {
    const least = SeededRandom.below(SeededRandom.make(SeededRandom.derive(net.seed, "crash")), 0.15 * ANSWER.length)
    while (progress.bytes <= least) yield* net.sleep("5 millis")
  })

describe("half-closed streams and crashes, in the simulator", { timeout: PATIENCE_MS }, () => {
  for (let seed = 71; seed < 71 + SEEDS; seed++) {
    it.effect(`seed ${seed}: a reader whose server crashes after its own end hears of it, and is no clean end`, () =>
      SimNet.run({ seed }, (net) =>
        Effect.gen(function* () {
          const { client, server } = yield* pair(net)
          const progress = { bytes: 0 }
          const asking = yield* Effect.forkScoped(client.run(ask(progress)), { startImmediately: true })
          yield* somewhere(net, progress)
          yield* net.crash(server)
          yield* net.sleep("3 seconds")
          yield* net.restart(server)

          assert.isTrue(Exit.isFailure(yield* Fiber.await(asking)), "half an answer ended like a whole one")
          assert.isBelow(progress.bytes, ANSWER.length)
          const again = { bytes: 0 }
          yield* client.run(ask(again))
          assert.strictEqual(again.bytes, ANSWER.length)
        })
      )
    )

    it.effect(`seed ${seed}: a server whose reader crashes after its own end is told, and serves it again`, () =>
      SimNet.run({ seed }, (net) =>
        Effect.gen(function* () {
          const { client, failed } = yield* pair(net)
          const progress = { bytes: 0 }
          yield* Effect.forkScoped(Effect.ignoreCause(client.run(ask(progress))), { startImmediately: true })
          yield* somewhere(net, progress)
          yield* net.crash(client)
          yield* net.sleep("3 seconds")
          yield* net.restart(client)
          const again = { bytes: 0 }
          yield* client.run(ask(again))

          assert.strictEqual(again.bytes, ANSWER.length)
          assert.notStrictEqual(yield* Deferred.await(failed), "")
        })
      )
    )
  }
})
