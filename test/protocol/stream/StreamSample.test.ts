import { assert, describe, it } from "@effect/vitest"
import type { StreamSample } from "../../../src/protocol/stream/StreamSample.ts"
import { cleanLink, StreamPair } from "../../support/StreamPair.ts"

describe("StreamSample", () => {
  it("shows window, rate, round trip and what is in flight as they change", () => {
    const samples: Array<StreamSample> = []
    const pair = new StreamPair({ link: cleanLink(20), seed: 1 })
    pair.a.connection.observe((sample) => samples.push(sample))
    pair.a.outgoing = new Uint8Array(300_000)
    pair.touch(pair.a)
    pair.run(({ b }) => b.receivedBytes >= 300_000, 10_000)
    pair.advance(100)

    const [first, last] = [samples.at(0), samples.at(-1)]
    if (first === undefined || last === undefined) return assert.fail("no samples")
    assert.strictEqual(first.atMs, 40)
    assert.strictEqual(last.bytesInFlight, 0)
    assert.strictEqual(last.bytesSent, 300_000)
    assert.closeTo(last.minRttMs, 40, 0.001)
    assert.isAbove(last.congestionWindowBytes, first.congestionWindowBytes)
    assert.isAbove(Math.max(...samples.map(({ bytesInFlight }) => bytesInFlight)), 32 * 1121)
    assert.isTrue(samples.every(({ pacingBytesPerMs }) => pacingBytesPerMs > 0))
    assert.isTrue(samples.every((sample, index) => index === 0 || sample.atMs >= (samples[index - 1]?.atMs ?? 0)))
  })

  it("ends when nobody observes any more", () => {
    let count = 0
    const pair = new StreamPair({ link: cleanLink(20), seed: 1 })
    pair.a.connection.observe(() => (count += 1))
    pair.advance(200)
    const before = count
    pair.a.connection.observe(undefined)
    pair.a.outgoing = new Uint8Array(10_000)
    pair.touch(pair.a)
    pair.advance(200)

    assert.isAbove(before, 0)
    assert.strictEqual(count, before)
  })
})
