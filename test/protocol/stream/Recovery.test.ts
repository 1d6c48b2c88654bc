import { assert, describe, it } from "@effect/vitest"
import { PathRtt } from "../../../src/protocol/stream/PathRtt.ts"
import type { StreamConfig } from "../../../src/protocol/stream/StreamConfig.ts"
import type { Segment } from "../../../src/protocol/wire/Packet.ts"
import { run } from "../../support/SharedBottleneck.ts"
import { cleanLink, StreamPair } from "../../support/StreamPair.ts"

const BYTES = 400_000

/** A pair that has carried data for a while, so that its round trip is known. */
const warm = (latencyMs: number, config: Partial<StreamConfig> = {}): StreamPair => {
  const pair = new StreamPair({ link: cleanLink(latencyMs), seed: 1, config })
  pair.a.outgoing = new Uint8Array(BYTES)
  pair.touch(pair.a)
  pair.run(({ b }) => b.receivedBytes >= BYTES, 10_000)
  pair.advance(500)
  return pair
}

const transmissions = (pair: StreamPair, from: number): ReadonlyMap<number, number> => {
  const counts = new Map<number, number>()
  for (const { from: name, segment } of pair.sent.slice(from)) {
    if (name !== "a" || segment.payload.length === 0) continue
    counts.set(segment.sequence, (counts.get(segment.sequence) ?? 0) + 1)
  }
  return counts
}

/** Lets through what the test allows: the n-th transmission of a segment. */
const losing = (pair: StreamPair, isLost: (segment: Segment, transmission: number) => boolean): void => {
  const counts = new Map<number, number>()
  const { connection } = pair.b
  const receive = connection.receive.bind(connection)
  connection.receive = (segment, nowMs) => {
    const transmission = (counts.get(segment.sequence) ?? 0) + 1
    counts.set(segment.sequence, transmission)
    if (!isLost(segment, transmission)) receive(segment, nowMs)
  }
}

describe("Recovery", () => {
  it("finds a repair that was lost without waiting for the timeout (RFC 8985 §6.2)", () => {
    const pair = warm(20)
    const before = pair.sent.length
    const victim = pair.a.connection.stats.bytesSent + 20 * 1121
    losing(
      pair,
      (segment, transmission) => segment.payload.length > 0 && transmission < 3 && segment.sequence === victim + 1
    )
    const startMs = pair.nowMs
    pair.a.outgoing = new Uint8Array(BYTES)
    pair.touch(pair.a)
    pair.run(({ b }) => b.receivedBytes >= 2 * BYTES, 20_000)

    assert.strictEqual(transmissions(pair, before).get(victim + 1), 3)
    assert.strictEqual(pair.a.connection.stats.retransmits, 2)
    assert.isBelow(pair.nowMs - startMs, 6 * 40 + 40)
  })

  it("takes a recovery back when everything it took for lost had only been late (RFC 4015)", () => {
    const pair = warm(20, { congestionControl: "Cubic" })
    const window = pair.a.connection.stats.congestionWindowBytes
    const { connection } = pair.b
    const receive = connection.receive.bind(connection)
    const late: Array<Segment> = []
    // One segment is overtaken by ten: far more than the three that make a loss.
    let overtaken = 0
    connection.receive = (segment, nowMs) => {
      if (segment.payload.length > 0 && late.length === 0) return void late.push(segment)
      receive(segment, nowMs)
      overtaken += 1
      const [held] = late
      if (overtaken === 10 && held !== undefined) receive(held, nowMs)
    }
    pair.a.outgoing = new Uint8Array(100_000)
    pair.touch(pair.a)
    pair.run(({ b }) => b.receivedBytes >= BYTES + 100_000, 20_000)
    pair.advance(200)

    assert.isAtLeast(pair.a.connection.stats.congestionWindowBytes, window)
    assert.strictEqual(pair.a.connection.stats.fastRetransmits, 1)
    assert.isFalse(pair.a.connection.stats.inRecovery)
  })

  it("tells of more holes than fit one acknowledgement when they arrive as one batch", () => {
    const path = { bitsPerSecond: 200e6, rttMs: 30, queueProducts: 4, loss: 0.02, seed: 1, batchMs: 10 }
    const [result] = run(path, [{ congestionControl: "Bbr", startMs: 0, bytes: 2_000_000 }], 60_000)

    // 2 % of 1,785 segments are 36; what is not told of would be sent again as well.
    assert.isAtMost(result?.retransmits ?? Number.NaN, 60)
  })

  it("does not burst after a pause: it goes on at the rate it knows (draft-ietf-ccwg-bbr §5.4.1)", () => {
    const pair = warm(50)
    pair.advance(5_000)
    const before = pair.sent.length
    pair.a.outgoing = new Uint8Array(BYTES)
    pair.touch(pair.a)
    const burst = pair.sent.length - before
    const { congestionWindowBytes } = pair.a.connection.stats

    assert.isBelow(burst * 1121, congestionWindowBytes / 2)
  })

  /** Everything is lost for a while; answers when the link is back, and how it went from there. */
  const outage = (pair: StreamPair, lengthMs: number) => {
    pair.link = { ...pair.link, loss: 1 }
    pair.a.outgoing = new Uint8Array(BYTES)
    pair.touch(pair.a)
    pair.advance(lengthMs)
    pair.link = { ...pair.link, loss: 0 }
  }

  it("begins with two segments after a timeout, however small they are, and doubles (RFC 5681 §3.1, RFC 6298 §5.4)", () => {
    const pair = warm(20, { noDelay: true })
    let isCut = true
    losing(pair, (segment) => isCut && segment.payload.length > 0)
    for (let count = 0; count < 200; count++) {
      pair.a.outgoing = new Uint8Array(10)
      pair.touch(pair.a)
    }
    pair.run(({ a }) => a.connection.isBackedOff, 10_000)
    isCut = false
    const before = pair.sent.length
    pair.run(({ b }) => b.receivedBytes >= BYTES + 2000, 10_000)

    const rounds = new Map<number, number>()
    for (const { atMs, from, segment } of pair.sent.slice(before - 2))
      if (from === "a" && segment.payload.length > 0) rounds.set(atMs, (rounds.get(atMs) ?? 0) + 1)
    assert.deepStrictEqual([...rounds.values()].slice(0, 4), [2, 4, 8, 16])
  })

  it("backs off while nothing comes back (RFC 6298 §5.5)", () => {
    const pair = warm(20)
    const before = pair.sent.length
    outage(pair, 20_000)
    const counts = [...transmissions(pair, before).values()]

    // 200 ms doubling to 10 s: seven or eight timeouts in 20 s, and the probe before them.
    assert.isAtMost(Math.max(...counts), 9)
    assert.isTrue(pair.a.connection.isBackedOff)
  })

  it("goes on within a round trip of a sign of life after 20 s without one, instead of at the next timeout", () => {
    const pair = warm(20)
    outage(pair, 20_000)
    const received = pair.b.receivedBytes
    const startMs = pair.nowMs
    pair.a.connection.revived(pair.nowMs)
    pair.touch(pair.a)
    pair.run(({ b }) => b.receivedBytes > received)
    const resumedMs = pair.nowMs - startMs
    pair.run(({ b }) => b.receivedBytes >= 2 * BYTES)

    assert.isAtMost(resumedMs, 20.001)
    assert.isFalse(pair.a.connection.isBackedOff)
    assert.isBelow(pair.nowMs - startMs, 1_000)
  })

  it("takes no time without acknowledgements for a round trip, nor what vanished in it for being on its way", () => {
    const pair = warm(20)
    pair.a.outgoing = new Uint8Array(BYTES)
    pair.touch(pair.a)
    pair.advance(15)
    // A flight has left and will arrive; nothing of what follows will, in either direction.
    pair.link = { ...pair.link, loss: 1 }
    pair.advance(20_000)
    pair.link = { ...pair.link, loss: 0 }
    const startMs = pair.nowMs
    pair.a.connection.revived(startMs)
    pair.touch(pair.a)
    pair.run(({ b }) => b.receivedBytes >= 2 * BYTES)

    assert.isBelow(pair.a.connection.stats.smoothedRttMs, 100)
    assert.isBelow(pair.nowMs - startMs, 1_000)
  })

  for (const congestionControl of ["Bbr", "Cubic", "NewReno"] as const) {
    it(`sends what another path has lost within round trips of the new one, whose time nobody knows yet, by ${congestionControl}`, () => {
      const initialRttMs = 333
      const pair = warm(20, { congestionControl, path: new PathRtt(initialRttMs, Number.NEGATIVE_INFINITY) })
      outage(pair, 30)
      const received = pair.b.receivedBytes
      const startMs = pair.nowMs
      pair.config.path = new PathRtt(initialRttMs, startMs)
      pair.a.connection.revived(startMs)
      pair.touch(pair.a)
      pair.run(({ b }) => b.receivedBytes > received)
      const resumedMs = pair.nowMs - startMs
      // As the owner of the path does when its own probe was answered.
      pair.config.path.sample(40, 0, pair.nowMs)
      pair.run(({ b }) => b.receivedBytes >= 2 * BYTES)

      // A probe and its acknowledgement, a quarter of the round trip that is assumed, and the way.
      assert.isAtMost(resumedMs, 40 + initialRttMs / 4 + 20.001)
      assert.isBelow(pair.nowMs - startMs, 12 * 40)
    })
  }

  it("repeats a SYN at a sign of life, too", () => {
    const pair = new StreamPair({ link: { ...cleanLink(20), loss: 1 }, seed: 1 })
    pair.advance(20_000)
    pair.link = cleanLink(20)
    const startMs = pair.nowMs
    pair.a.connection.revived(startMs)
    pair.touch(pair.a)
    pair.run(({ a }) => a.connection.state === "established")

    assert.isAtMost(pair.nowMs - startMs, 40.001)
  })

  it("does nothing at a sign of life when nothing has backed off", () => {
    const pair = warm(20)
    pair.a.outgoing = new Uint8Array(BYTES)
    pair.touch(pair.a)
    pair.a.connection.revived(pair.nowMs)
    pair.run(({ b }) => b.receivedBytes >= 2 * BYTES)

    assert.strictEqual(pair.a.connection.stats.retransmits, 0)
  })

  for (const congestionControl of ["Bbr", "Cubic", "NewReno"] as const) {
    it(`does not grow a window by ${congestionControl} that its application does not fill (RFC 7661 §4.1)`, () => {
      const pair = warm(20, { congestionControl })
      const window = pair.a.connection.stats.congestionWindowBytes
      for (let count = 0; count < 200; count++) {
        pair.a.outgoing = new Uint8Array(1_000)
        pair.touch(pair.a)
        pair.advance(10)
      }

      assert.isAtMost(pair.a.connection.stats.congestionWindowBytes, window)
    })

    it(`sends no burst by ${congestionControl} after a pause (RFC 7661 §4.3, RFC 9002 §7.8)`, () => {
      const pair = warm(50, { congestionControl })
      pair.advance(5_000)
      const before = pair.sent.length
      pair.a.outgoing = new Uint8Array(BYTES)
      pair.touch(pair.a)
      const [first, ...rest] = pair.sent.slice(before)
      pair.run(() => false, pair.nowMs + 20)
      const inFifthOfRound = [...transmissions(pair, before).values()].length

      assert.isDefined(first)
      assert.isAtMost(rest.length + 1, 32)
      assert.isBelow(inFifthOfRound * 1121, pair.a.connection.stats.congestionWindowBytes)
    })
  }
})
