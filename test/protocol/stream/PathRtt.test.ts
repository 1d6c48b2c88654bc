import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { PathRtt } from "../../../src/protocol/stream/PathRtt.ts"
import { Flag } from "../../../src/protocol/wire/Packet.ts"
import { cleanLink, StreamPair } from "../../support/StreamPair.ts"

const Millis = Schema.Finite.check(Schema.isBetween({ minimum: 0.1, maximum: 60_000 }))
const Samples = Schema.NonEmptyArray(Schema.Struct({ rttMs: Millis, ackDelayMs: Millis, waitMs: Millis }))

/** A path on which many round trips of 100 ms were measured. */
const known = (): PathRtt => {
  const path = new PathRtt(333, 0)
  for (let count = 0; count < 40; count++) path.sample(100, 0, 1_000)
  return path
}

/** A stream on a path, opened. */
const opened = (path: PathRtt): StreamPair => {
  const pair = new StreamPair({ link: cleanLink(50), seed: 1, config: { path, noDelay: true } })
  pair.run(({ b }) => b.connection.state === "established")
  return pair
}

/** Virtual times at which `a` sent data. */
const sentAtMs = (pair: StreamPair, from: number): ReadonlyArray<number> =>
  pair.sent
    .slice(from)
    .filter((sent) => sent.from === "a" && sent.segment.payload.length > 0)
    .map(({ atMs }) => atMs)

describe("PathRtt", () => {
  it.prop("keeps the estimate between the least and the greatest sample", { samples: Samples }, ({ samples }) => {
    const path = new PathRtt(333, Number.NEGATIVE_INFINITY)
    let nowMs = 0
    for (const { ackDelayMs, rttMs, waitMs } of samples) {
      nowMs += waitMs
      path.sample(rttMs, ackDelayMs, nowMs)
    }
    const times = samples.map(({ rttMs }) => rttMs)

    assert.isAtLeast(path.rtt.minRttMs, Math.min(...times))
    assert.isAtLeast(path.rtt.smoothedRttMs, Math.min(...times) - 1e-9)
    assert.isAtMost(path.rtt.smoothedRttMs, Math.max(...times) + 1e-9)
    assert.isAtLeast(path.rtt.rttVarMs, 0)
  })

  it("ignores what was sent before the path was taken", () => {
    const path = new PathRtt(333, 1_000)
    path.sample(100, 0, 1_050)

    assert.isFalse(path.rtt.hasSample)
  })

  it("forgets the least round trip of a route that has become longer (RFC 9002 §5.2)", () => {
    const path = known()
    for (let minute = 1; minute <= 12; minute++) path.sample(180, 0, minute * 60_000)

    assert.strictEqual(path.rtt.minRttMs, 180)
  })

  it("takes a held-back acknowledgement for what it may be, and not below the least round trip", () => {
    const path = known()
    path.sample(140, 40, 2_000)
    path.sample(120, 40, 2_000)

    assert.closeTo(path.rtt.smoothedRttMs, 100, 1e-9)
    assert.strictEqual(path.rtt.latestRttMs, 120)
  })

  it("times the first SYN of a new stream (RFC 9040 §3)", () => {
    const pair = new StreamPair({ link: { ...cleanLink(50), loss: 1 }, seed: 1, config: { path: known() } })
    pair.advance(150)
    const syns = pair.sent.filter(({ segment }) => (segment.flags & Flag.Syn) !== 0)

    assert.deepStrictEqual(
      syns.map(({ atMs }) => Math.round(atMs)),
      [0, 110]
    )
  })

  it("times the probe for a lone segment: the round trip, its variance, a delayed acknowledgement (RFC 9002 §6.2.1)", () => {
    const pair = opened(known())
    const before = pair.sent.length
    const startMs = pair.nowMs
    pair.link = { ...cleanLink(50), loss: 1 }
    pair.a.outgoing = new Uint8Array(10)
    pair.touch(pair.a)
    pair.advance(160)

    assert.deepStrictEqual(
      sentAtMs(pair, before).map((atMs) => Math.round(atMs - startMs)),
      [0, 150]
    )
  })

  it("probes before any timeout, on long paths as well (RFC 8985 §7.2)", () => {
    const path = new PathRtt(333, 0)
    for (let count = 0; count < 40; count++) path.sample(400, 0, 1_000)
    const pair = new StreamPair({ link: cleanLink(200), seed: 1, config: { path, noDelay: true } })
    pair.run(({ b }) => b.connection.state === "established")
    const window = pair.a.connection.stats.congestionWindowBytes
    pair.link = { ...cleanLink(200), loss: 1 }
    pair.a.outgoing = new Uint8Array(10)
    pair.touch(pair.a)
    pair.link = cleanLink(200)
    pair.advance(1_000)

    assert.strictEqual(pair.b.receivedBytes, 10)
    assert.strictEqual(pair.a.connection.stats.retransmits, 1)
    assert.isAtLeast(pair.a.connection.stats.congestionWindowBytes, window)
  })

  it("is left behind by a stream whose path changes, and its window with it (RFC 9000 §9.4)", () => {
    const pair = opened(known())
    pair.a.outgoing = new Uint8Array(600_000)
    pair.touch(pair.a)
    pair.run(({ b }) => b.receivedBytes >= 300_000)
    const before = pair.a.connection.stats
    pair.link = cleanLink(5)
    pair.config.path = new PathRtt(333, pair.nowMs)
    pair.advance(9)
    const { congestionWindowBytes } = pair.a.connection.stats
    pair.advance(200)
    const { smoothedRttMs } = pair.a.connection.stats
    pair.run(({ b }) => b.receivedBytes >= 600_000, 20_000)

    assert.isAbove(before.smoothedRttMs, 99)
    assert.isBelow(smoothedRttMs, 50)
    assert.isBelow(congestionWindowBytes, before.congestionWindowBytes)
    assert.strictEqual(pair.b.receivedBytes, 600_000)
  })
})
