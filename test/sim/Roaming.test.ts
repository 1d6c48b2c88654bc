import { assert, describe, it } from "@effect/vitest"
import { Effect, Stream } from "effect"
import type { Connection } from "../../src/api/Connection.ts"
import * as Pilot from "../../src/api/Pilot.ts"
import type { NatKind } from "../../src/testing/SimNat.ts"
import * as SimNet from "../../src/testing/SimNet.ts"
import { PATIENCE_MS } from "./Patience.ts"
import { payload } from "./Programs.ts"

const PORT = 4000
const BYTES = payload(64 * 1024, 3)
const SECONDS = 8

/**
 * 64 KiB every 50 ms from one node to the other for eight seconds, while something happens; gives the longest silence at the
 * reader after that, in ms, and asserts that each byte came once and in order.
 */
const stream = Effect.fnUntraced(function* (
  net: SimNet.SimNet,
  writer: SimNet.SimNet extends { node: (...args: never) => Effect.Effect<infer Node, unknown> } ? Node : never,
  reader: typeof writer,
  happens: Effect.Effect<void>
) {
  const arrivals: Array<number> = []
  let wrong = 0
  let received = 0
  const read = (connection: Connection) =>
    Stream.runForEach(connection.readable, (chunk) =>
      Effect.sync(() => {
        for (const byte of chunk) if (byte !== BYTES[received++ % BYTES.length]) wrong += 1
        arrivals.push(net.nowMs())
      })
    ).pipe(Effect.ignore)
  const listening = Stream.runForEach(Pilot.listen(PORT), read)
  yield* Effect.forkScoped(reader.run(listening), { startImmediately: true })
  const writing = Effect.scoped(
    Effect.gen(function* () {
      const connection = yield* Pilot.dial(reader.name, PORT)
      for (let count = 0; count < SECONDS * 20; count++) {
        yield* connection.write(BYTES)
        yield* Effect.sleep("50 millis")
      }
    })
  )
  const startedAtMs = net.nowMs()
  yield* net.at(`${startedAtMs + 4_000} millis`, happens)
  yield* writer.run(writing)
  yield* net.sleep("5 seconds")

  assert.strictEqual(received, SECONDS * 20 * BYTES.length)
  assert.strictEqual(wrong, 0)
  const after = arrivals.filter((atMs) => atMs > startedAtMs + 3_000)
  return Math.max(...after.slice(1).map((atMs, index) => atMs - after[index]!))
})

const KINDS: ReadonlyArray<readonly [NatKind | undefined, NatKind | undefined]> = [
  [undefined, undefined],
  ["portRestrictedCone", "fullCone"],
  ["symmetric", "restrictedCone"],
  ["symmetric", "symmetric"]
]

describe("roaming, in the simulator", { timeout: PATIENCE_MS }, () => {
  for (const [index, [moving, staying]] of KINDS.entries()) {
    for (const role of ["writer", "reader"] as const) {
      it.effect(
        `a ${role} gets another address (${moving ?? "open"}, ${staying ?? "open"}): it goes on soon, nothing is lost`,
        () =>
          SimNet.run({ seed: 61 + index }, (net) =>
            Effect.gen(function* () {
              const a = yield* net.node("a", { ...(moving && { nat: moving }), link: { rttMs: 20 } })
              const b = yield* net.node("b", { ...(staying && { nat: staying }), link: { rttMs: 30 } })
              yield* net.trust(a, b)
              const [writer, reader] = role === "writer" ? [a, b] : [b, a]
              const silenceMs = yield* stream(net, writer, reader, net.move(a, "portRestrictedCone"))

              assert.isAtMost(silenceMs, 1_500)
            })
          )
      )
    }
  }
})
