import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as SimNet from "../../src/testing/SimNet.ts"
import { PATIENCE_MS } from "./Patience.ts"
import { echo, payload, serveEcho } from "./Programs.ts"

const PORT = 4000
const SMALL = payload(12_000, 1)

/** Two nodes, a lossy link, an echo; the hash of all of it. */
const story = (seed: number) =>
  SimNet.run({ seed }, (net) =>
    Effect.gen(function* () {
      const office = yield* net.node("office", { nat: "symmetric" })
      const cloud = yield* net.node("cloud", { link: { rttMs: 30, jitterMs: 3, loss: 0.02 } })
      yield* net.trust(office, cloud)
      yield* Effect.forkScoped(office.run(serveEcho(PORT)), { startImmediately: true })
      const echoed = yield* cloud.run(echo("office", PORT, SMALL))
      return { isEqual: Buffer.compare(echoed, SMALL) === 0, hash: net.hash(), nowMs: net.nowMs() }
    })
  )

describe("SimNet", { timeout: PATIENCE_MS }, () => {
  it.effect("the same seed goes the same way, another seed another one", () =>
    Effect.gen(function* () {
      const first = yield* story(1)
      const again = yield* story(1)
      const other = yield* story(2)

      assert.isTrue(first.isEqual)
      assert.deepStrictEqual(again, first)
      assert.notStrictEqual(other.hash, first.hash)
    })
  )

  it.effect("delivers the report although the office link dies", () =>
    Effect.gen(function* () {
      const report = payload(4_000_000, 7)
      const net = yield* SimNet.make({ seed: 42 })
      const office = yield* net.node("analyst", { nat: "symmetric" })
      const cloud = yield* net.node("reporter", { link: { rttMs: 30, loss: 0.02, bitsPerSecond: 8_000_000 } })
      yield* net.trust(office, cloud)
      yield* office.run(serveEcho(PORT)).pipe(Effect.forkScoped)
      yield* net.at("5 seconds", net.cut(office))
      yield* net.at("9 seconds", net.heal(office))

      const echoed = yield* cloud.run(echo("analyst", PORT, report))

      assert.strictEqual(Buffer.compare(echoed, report), 0)
      assert.isAbove(net.nowMs(), 9000)
    })
  )
})
