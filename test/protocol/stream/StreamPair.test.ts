import { assert, describe, it } from "@effect/vitest"
import { Arbitrary } from "effect"
import * as SackBlocks from "../../../src/protocol/wire/SackBlocks.ts"
import * as Arb from "../../support/Arbitraries.ts"
import { cleanLink, type End, isSame, type Link, pattern, type Sent, StreamPair } from "../../support/StreamPair.ts"

const MIB = 1024 * 1024
/** Two segments: where a timeout leaves the congestion window, and nothing else does on a path of many. */
const WINDOW_BYTES_MIN = 2 * 1121
const rough: Link = { latencyMs: 20, loss: 0.02, duplication: 0.02, reordering: 0.05, reorderMs: 15 }

const isUp = ({ a, b }: StreamPair) => a.connection.state === "established" && b.connection.state === "established"

const isWorn = (segment: Sent) => segment.segment.payload.length === 0

/** Where a fifth is lost both ways, one stream in some thousands would else be given up, as it should be. */
const patience = { giveUpMs: 100_000, lingerMs: 100_000, finRetriesMax: 7 }

/** Both ends write, at any times, over any link; then both close. */
const traces = Arbitrary.all({
  seed: Arb.integer(0, 0xffff_ffff),
  sequences: Arbitrary.all([Arb.unsigned(32), Arb.unsigned(32)]),
  latencyMs: Arb.element(0, 0.2, 15, 150),
  loss: Arb.element(0, 0.02, 0.2),
  duplication: Arb.element(0, 0.1),
  reordering: Arb.element(0, 0.3),
  noDelay: Arb.element(true, false),
  congestionControl: Arb.element("Bbr", "Cubic", "NewReno"),
  receiveBytesMax: Arb.element(3000, 60_000, 4 * MIB),
  lengths: Arbitrary.all([Arb.integer(0, 60_000), Arb.integer(0, 60_000)])
})

describe("StreamPair", () => {
  it("opens in one and a half round trips", () => {
    const pair = new StreamPair({ link: cleanLink(50), seed: 1 })

    assert.isTrue(pair.run(isUp))
    assert.strictEqual(pair.nowMs, 150)
    assert.lengthOf(pair.sent, 3)
  })

  it("carries 8 MiB intact over 2 % loss, reordering and duplication (wire §16.6)", () => {
    const data = pattern(8 * MIB)
    const pair = new StreamPair({ link: rough, seed: 42, isRecording: false })
    pair.a.outgoing = data
    pair.touch(pair.a)

    assert.isTrue(pair.run(({ b }) => b.receivedBytes >= data.length, 300_000))
    assert.isTrue(isSame(pair.b.bytes, data))
  })

  for (const congestionControl of ["Bbr", "Cubic", "NewReno"] as const) {
    it(`fills a bottleneck of 11 MB/s by ${congestionControl} without a timeout`, () => {
      const data = pattern(8 * MIB)
      const link = { ...cleanLink(15), bottleneck: { segmentsPerMs: 10, queueSegments: 300 } }
      const check = ({ connection, name }: End) => {
        if (name === "a") assert.isAbove(connection.stats.congestionWindowBytes, WINDOW_BYTES_MIN)
      }
      const pair = new StreamPair({ link, seed: 3, isRecording: false, config: { congestionControl }, check })
      pair.a.outgoing = data
      pair.touch(pair.a)

      assert.isTrue(pair.run(({ b }) => b.receivedBytes >= data.length, 60_000))
      // At the rate of the bottleneck it is 749 ms, without opening and slow start.
      assert.isBelow(pair.nowMs, 1_000)
      assert.isTrue(isSame(pair.b.bytes, data))
    })
  }

  for (const closer of ["a", "b"] as const) {
    it(`closes from ${closer} with at most four packets, and both ends forget each other (wire §16.3)`, () => {
      const pair = new StreamPair({ link: cleanLink(5), seed: 1 })
      pair.run(isUp)
      const before = pair.sent.length
      pair[closer].connection.close(pair.nowMs)
      pair.touch(pair[closer])

      assert.isTrue(pair.run(({ isClosed }) => isClosed))
      assert.isAtMost(pair.sent.length - before, 4)
      assert.isTrue(pair.a.connection.isReadEnded && pair.b.connection.isReadEnded)
      assert.isBelow(pair.nowMs, 12_000)
    })
  }

  it("closes from both ends at once with at most four packets (wire §9.4)", () => {
    const pair = new StreamPair({ link: cleanLink(5), seed: 1 })
    pair.run(isUp)
    const before = pair.sent.length
    for (const end of [pair.a, pair.b]) {
      end.connection.close(pair.nowMs)
      pair.touch(end)
    }

    assert.isTrue(pair.run(({ isClosed }) => isClosed))
    assert.isAtMost(pair.sent.length - before, 4)
  })

  it("delivers everything written before the close, over a lossy link", () => {
    const data = pattern(200_000)
    const pair = new StreamPair({ link: rough, seed: 8 })
    pair.run(isUp)
    pair.a.outgoing = data
    pair.a.wantsClose = true
    pair.touch(pair.a)

    assert.isTrue(pair.run(({ isClosed }) => isClosed))
    assert.isTrue(isSame(pair.b.bytes, data))
    assert.isTrue(pair.b.connection.isReadEnded)
    assert.isUndefined(pair.a.connection.error ?? pair.b.connection.error)
  })

  it("stops the sender of a reader that pauses for 60 s, resets nothing, and goes on (wire §16.7)", () => {
    const data = pattern(MIB)
    const pair = new StreamPair({ link: cleanLink(10), seed: 1, config: { receiveBytesMax: 64 * 1024 } })
    pair.b.isReading = false
    pair.a.outgoing = data
    pair.touch(pair.a)
    pair.advance(2_000)
    const before = pair.sent.length

    pair.advance(60_000)
    assert.isAtMost(pair.sent.length - before, 60)
    assert.isTrue(isUp(pair))
    assert.isAtMost(pair.b.connection.readableBytes, 64 * 1024)

    pair.b.isReading = true
    pair.touch(pair.b)
    assert.isTrue(pair.run(({ b }) => b.receivedBytes >= data.length, 80_000))
    assert.isTrue(isSame(pair.b.bytes, data))
  })

  it("carries the other direction while one reader pauses", () => {
    const data = pattern(300_000)
    const pair = new StreamPair({ link: cleanLink(10), seed: 1, config: { receiveBytesMax: 64 * 1024 } })
    pair.b.isReading = false
    pair.a.outgoing = pattern(300_000)
    pair.touch(pair.a)
    pair.advance(2_000)
    pair.b.outgoing = data
    pair.touch(pair.b)

    assert.isTrue(pair.run(({ a }) => a.receivedBytes >= data.length, 10_000))
    assert.isTrue(isSame(pair.a.bytes, data))
  })

  it("delivers a payload that reads as SACK (wire §16.8)", () => {
    const data = SackBlocks.encode([{ left: 1, right: 9 }])
    const pair = new StreamPair({ link: cleanLink(5), seed: 1 })
    pair.a.outgoing = data
    pair.touch(pair.a)

    assert.isTrue(pair.run(({ b }) => b.receivedBytes >= data.length, 10_000))
    assert.deepStrictEqual(pair.b.bytes, data)
  })

  it("resends with the original boundaries (wire §10.2)", () => {
    const pair = new StreamPair({ link: rough, seed: 5 })
    pair.a.outgoing = pattern(300_000)
    pair.touch(pair.a)
    pair.run(({ b }) => b.receivedBytes >= 300_000, 60_000)

    const lengths = new Map<number, number>()
    for (const { from, segment } of pair.sent) {
      if (from !== "a" || segment.payload.length === 0) continue
      const known = lengths.get(segment.sequence)
      assert.strictEqual(segment.payload.length, known ?? segment.payload.length)
      lengths.set(segment.sequence, segment.payload.length)
    }
    assert.isAbove(pair.a.connection.stats.retransmits, 0)
  })

  it("repairs a lost tail by a probe, without waiting for the timeout (RFC 8985 §7)", () => {
    const pair = new StreamPair({ link: cleanLink(20), seed: 1 })
    pair.run(isUp)
    pair.a.outgoing = pattern(20_000)
    pair.link = { ...cleanLink(20), loss: 1 }
    const startMs = pair.nowMs
    pair.touch(pair.a)
    pair.link = cleanLink(20)
    pair.run(({ b }) => b.receivedBytes >= 20_000, 10_000)

    assert.isBelow(pair.nowMs - startMs, 200)
  })

  it("paces the initial window instead of sending it at once", () => {
    const pair = new StreamPair({ link: cleanLink(50), seed: 1 })
    pair.run(isUp)
    pair.a.outgoing = pattern(40 * 1121)
    const before = pair.sent.length
    pair.touch(pair.a)
    const burst = pair.sent.length - before
    pair.run(() => false, pair.nowMs + 99)

    assert.strictEqual(burst, 10)
    assert.strictEqual(pair.sent.slice(before).filter((sent) => sent.from === "a" && !isWorn(sent)).length, 32)
  })

  it("undoes a timeout that a late path made spurious (RFC 4015)", () => {
    const pair = new StreamPair({ link: cleanLink(10), seed: 1 })
    pair.a.outgoing = pattern(200_000)
    pair.touch(pair.a)
    pair.run(({ b }) => b.receivedBytes >= 200_000, 10_000)
    const window = pair.a.connection.stats.congestionWindowBytes
    pair.link = cleanLink(400)
    pair.a.outgoing = pattern(50_000)
    pair.touch(pair.a)
    pair.run(({ b }) => b.receivedBytes >= 250_000, 20_000)
    pair.advance(2_000)

    assert.isAtLeast(pair.a.connection.stats.congestionWindowBytes, window)
  })

  it.prop(
    "delivers both directions once and in order over any link, and has its next deadline ahead when woken",
    { trace: traces },
    ({ trace: { congestionControl, duplication, latencyMs, lengths, loss, noDelay, receiveBytesMax, ...rest } }) => {
      const link = { latencyMs, loss, duplication, reordering: rest.reordering, reorderMs: 2 * latencyMs + 1 }
      const pair = new StreamPair({
        link,
        seed: rest.seed,
        initialSequences: rest.sequences,
        config: { ...patience, noDelay, congestionControl, receiveBytesMax },
        check: ({ connection }, nowMs, isTimer) => {
          const { bytesInFlight, congestionWindowBytes, windowSegments } = connection.stats
          assert.isAtLeast(congestionWindowBytes, WINDOW_BYTES_MIN)
          assert.isAtLeast(bytesInFlight, 0)
          assert.isAtLeast(windowSegments, 0)
          if (isTimer) assert.isAbove(connection.deadlineMs, nowMs)
        }
      })
      const [dataA, dataB] = [pattern(lengths[0], 1), pattern(lengths[1], 2)]
      pair.a.outgoing = dataA
      pair.b.outgoing = dataB
      pair.touch(pair.a)
      const isDone = ({ a, b }: StreamPair) => a.receivedBytes >= dataB.length && b.receivedBytes >= dataA.length

      assert.isTrue(pair.run((now) => isUp(now) && isDone(now), 600_000))
      assert.isTrue(isSame(pair.b.bytes, dataA) && isSame(pair.a.bytes, dataB))
      pair.a.wantsClose = true
      pair.touch(pair.a)
      assert.isTrue(pair.run(({ isClosed }) => isClosed, 900_000))
      assert.isUndefined(pair.a.connection.error ?? pair.b.connection.error)
    },
    { arbitrary: { runs: 200 } }
  )
})
