import { assert, describe, it } from "@effect/vitest"
import { SegmentSize } from "../../../src/protocol/stream/SegmentSize.ts"
import { SEGMENT_BYTES_BASE, SEGMENT_BYTES_FLOOR } from "../../../src/protocol/stream/StreamConfig.ts"
import { cleanLink, isSame, type Link, pattern, StreamPair } from "../../support/StreamPair.ts"

const ETHERNET = 1402
const JUMBO = 8902
const LOOPBACK = 65_437

/** An established stream with something to send. */
const transfer = (segmentBytesMax: number, bytes: number, link: Link = cleanLink(15), seed = 1): StreamPair => {
  const pair = new StreamPair({ link, seed, config: { segmentBytesMax, isRecut: true, noDelay: true } })
  pair.a.outgoing = pattern(bytes, seed)
  return pair
}

const isDone = (bytes: number) => (pair: StreamPair) => pair.b.receivedBytes === bytes

const largestSince = (pair: StreamPair, atMs: number): number =>
  Math.max(...pair.sent.filter((sent) => sent.atMs >= atMs).map(({ segment }) => segment.payload.length))

describe("SegmentSize", () => {
  it("is what the path's owner says, and less for what is sent again after timeouts", () => {
    const config = { segmentBytesMax: LOOPBACK }
    const size = new SegmentSize(config)

    assert.deepStrictEqual(
      [0, 1, 2, 3].map((timeouts) => size.repairBytes(timeouts)),
      [LOOPBACK, SEGMENT_BYTES_BASE, SEGMENT_BYTES_FLOOR, SEGMENT_BYTES_FLOOR]
    )
    config.segmentBytesMax = ETHERNET
    assert.strictEqual(size.bytesMax, ETHERNET)
  })

  it("losses of large and small segments alike are congestion", () => {
    const size = new SegmentSize({ segmentBytesMax: ETHERNET })
    for (let burst = 0; burst < 10; burst++) {
      for (let count = 0; count < 20; count++) size.lost(ETHERNET)
      size.lost(100)
      size.delivered(100)
      size.judge(false)
    }
    assert.deepStrictEqual([size.takeVanished(), size.bytesMax], [0, ETHERNET])
  })

  it("large losses are an accident as long as large segments arrive in between", () => {
    const size = new SegmentSize({ segmentBytesMax: ETHERNET })
    for (let burst = 0; burst < 10; burst++) {
      size.lost(ETHERNET)
      size.delivered(100)
      size.judge(false)
      size.delivered(burst % 2 === 0 ? ETHERNET : 100)
      size.judge(false)
    }
    assert.strictEqual(size.takeVanished(), 0)
  })

  it("three bursts of large losses, or a whole flight, are a black hole (RFC 8899 §4.3), told once", () => {
    const config = { segmentBytesMax: ETHERNET }
    for (const [losses, bursts] of [
      [1, 3],
      [10, 1]
    ] as const) {
      const size = new SegmentSize(config)
      for (let burst = 0; burst < bursts; burst++) {
        assert.strictEqual(size.takeVanished(), 0)
        for (let count = 0; count < losses; count++) size.lost(ETHERNET)
        size.delivered(SEGMENT_BYTES_BASE)
        size.judge(false)
      }
      assert.deepStrictEqual(
        [size.bytesMax, size.takeVanished(), size.takeVanished()],
        [SEGMENT_BYTES_BASE, ETHERNET, 0]
      )
    }
  })

  it("on a loopback a flight may be lost to a full buffer, and is no proof", () => {
    const size = new SegmentSize({ segmentBytesMax: LOOPBACK })
    for (let count = 0; count < 20; count++) size.lost(LOOPBACK)
    size.delivered(100)
    size.judge(false)
    assert.strictEqual(size.takeVanished(), 0)
  })

  it("falls back by itself until the owner has acted; then the owner's word counts again", () => {
    const config = { segmentBytesMax: ETHERNET }
    const size = new SegmentSize(config)
    for (let count = 0; count < 10; count++) size.lost(ETHERNET)
    size.judge(false)
    assert.strictEqual(size.bytesMax, SEGMENT_BYTES_BASE)

    config.segmentBytesMax = SEGMENT_BYTES_BASE
    size.judge(false)
    config.segmentBytesMax = ETHERNET
    assert.strictEqual(size.bytesMax, ETHERNET)
  })
})

describe("a stream whose path changes its size", () => {
  for (const before of [ETHERNET, JUMBO, LOOPBACK]) {
    it(`goes on at once when segments of ${before} bytes vanish, and loses nothing`, () => {
      const bytes = 4_000_000
      const pair = transfer(before, bytes)
      pair.run(({ b }) => b.receivedBytes > bytes / 4)
      const shrunkAtMs = pair.nowMs
      const receivedBytes = pair.b.receivedBytes
      pair.link = { ...pair.link, segmentBytesMax: 1200 }
      // What was under way still arrives; then something new does.
      pair.run(() => false, shrunkAtMs + 15)
      assert.isTrue(pair.run(({ b }) => b.receivedBytes > receivedBytes + 500_000, shrunkAtMs + 3_000))
      assert.strictEqual(pair.a.connection.takeVanished(), before)
      const noticedAtMs = pair.nowMs
      assert.isTrue(pair.run(isDone(bytes)))

      assert.strictEqual(largestSince(pair, noticedAtMs), SEGMENT_BYTES_BASE)
      assert.isTrue(isSame(pair.b.bytes, pattern(bytes)))
      assert.strictEqual(pair.a.connection.takeVanished(), 0)
    })
  }

  it("single large writes that vanish are noticed, too", () => {
    const pair = transfer(ETHERNET, 1)
    pair.run(isDone(1))
    pair.link = { ...pair.link, segmentBytesMax: 1200 }
    let received = 1
    for (let write = 0; write < 6; write++) {
      pair.a.outgoing = pattern(ETHERNET, write)
      pair.touch(pair.a)
      received += ETHERNET
      assert.isTrue(pair.run(isDone(received), pair.nowMs + 2_000), `write ${write}`)
    }
    assert.strictEqual(pair.a.connection.takeVanished(), ETHERNET)
  })

  it("goes below the base where even that vanishes", () => {
    const pair = transfer(SEGMENT_BYTES_BASE, 500_000)
    pair.run(({ b }) => b.receivedBytes > 100_000)
    pair.link = { ...pair.link, segmentBytesMax: 800 }

    assert.isTrue(pair.run(isDone(500_000), pair.nowMs + 30_000))
    assert.strictEqual(pair.a.connection.takeVanished(), SEGMENT_BYTES_BASE)
    assert.isTrue(isSame(pair.b.bytes, pattern(500_000)))
  })

  it("accidents, bursts and congestion are not mistaken for it", () => {
    const links: ReadonlyArray<Link> = [
      { ...cleanLink(15), loss: 0.02 },
      { ...cleanLink(15), loss: 0.1 },
      { ...cleanLink(15), loss: 0.2 },
      { ...cleanLink(15), bottleneck: { segmentsPerMs: 2, queueSegments: 20 } },
      { ...cleanLink(50), reordering: 0.1, reorderMs: 30 }
    ]
    for (const link of links)
      for (let seed = 1; seed <= 10; seed++)
        for (const segmentBytes of [ETHERNET, LOOPBACK]) {
          const pair = transfer(segmentBytes, 1_000_000, link, seed)
          assert.isTrue(pair.run(isDone(1_000_000)))
          assert.strictEqual(pair.a.connection.takeVanished(), 0, JSON.stringify({ link, seed, segmentBytes }))
        }
  })

  it("an outage that loses everything is not mistaken for it", () => {
    for (const lengthMs of [300, 1_000, 5_000]) {
      const pair = transfer(ETHERNET, 2_000_000)
      pair.run(({ b }) => b.receivedBytes > 500_000)
      const { link } = pair
      pair.link = { ...link, loss: 1 }
      pair.advance(lengthMs)
      pair.link = link

      assert.isTrue(pair.run(isDone(2_000_000)))
      assert.strictEqual(pair.a.connection.takeVanished(), 0, `${lengthMs} ms`)
    }
  })

  it("new segments grow with the path, and shrink with it", () => {
    const pair = transfer(SEGMENT_BYTES_BASE, 3_000_000)
    pair.run(({ b }) => b.receivedBytes > 500_000)
    pair.config.segmentBytesMax = LOOPBACK
    const grownAtMs = pair.nowMs
    pair.run(({ b }) => b.receivedBytes > 2_000_000)
    pair.config.segmentBytesMax = SEGMENT_BYTES_BASE
    const shrunkAtMs = pair.nowMs + 0.001
    assert.isTrue(pair.run(isDone(3_000_000)))

    assert.strictEqual(largestSince(pair, 0), LOOPBACK)
    assert.isAbove(shrunkAtMs, grownAtMs)
    assert.strictEqual(largestSince(pair, shrunkAtMs), SEGMENT_BYTES_BASE)
    assert.isTrue(isSame(pair.b.bytes, pattern(3_000_000)))
  })

  it("what is sent again is cut to the new size, except for peers that want the original (wire §10.2)", () => {
    for (const isRecut of [true, false]) {
      const pair = transfer(ETHERNET, 200_000)
      pair.config.isRecut = isRecut
      pair.run(({ b }) => b.receivedBytes > 50_000)
      const { link } = pair
      pair.link = { ...link, loss: 1 }
      pair.advance(40)
      pair.link = link
      pair.config.segmentBytesMax = SEGMENT_BYTES_BASE
      const changedAtMs = pair.nowMs + 0.001
      assert.isTrue(pair.run(isDone(200_000)))

      assert.strictEqual(largestSince(pair, changedAtMs), isRecut ? SEGMENT_BYTES_BASE : ETHERNET)
      assert.isTrue(isSame(pair.b.bytes, pattern(200_000)))
    }
  })

  it("data that reads as SACK where it is cut survives (wire §10.1)", () => {
    // "SACK", one block, eight bytes: at every place where a piece may begin.
    const unit = Uint8Array.of(0x53, 0x41, 0x43, 0x4b, 1, 0, 0, 0, 1, 0, 0, 0, 2)
    const bytes = new Uint8Array(unit.length * 20_000)
    for (let index = 0; index < bytes.length; index += unit.length) bytes.set(unit, index)
    const pair = transfer(unit.length * 100 + 1, 0)
    pair.a.outgoing = bytes
    pair.touch(pair.a)
    pair.run(({ b }) => b.receivedBytes > 50_000)
    pair.link = { ...pair.link, segmentBytesMax: SEGMENT_BYTES_BASE }

    assert.isTrue(pair.run(isDone(bytes.length), pair.nowMs + 60_000))
    assert.isTrue(isSame(pair.b.bytes, bytes))
  })
})
