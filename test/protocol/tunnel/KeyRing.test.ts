import { assert, describe, it } from "@effect/vitest"
import { crypto } from "../../../src/core/crypto/NativeCrypto.ts"
import { AGREEMENTS_MAX, KeyRing, OVERLAP_MS } from "../../../src/protocol/tunnel/KeyRing.ts"
import { TunnelKeys } from "../../../src/protocol/tunnel/TunnelKeys.ts"
import { NodeId } from "../../../src/protocol/wire/Address.ts"

const aead = crypto.aes256Gcm(new Uint8Array(32))
const make = (peerKey: number): TunnelKeys =>
  new TunnelKeys({
    self: NodeId(1),
    peer: NodeId(2),
    agreementKey: new Uint8Array(32).fill(peerKey),
    legacy: aead,
    later: aead,
    randomPrefixes: new Uint8Array(8),
    lifetimeFrames: 100
  })

const PREFIX = 0x80000001
const OTHER_PREFIX = 0x80000002
const names = (ring: KeyRing): ReadonlyArray<number> => ring.inUse.map(({ peerKey }) => peerKey[0]!)

describe("KeyRing", () => {
  it("sends under the current keys, or under the newest candidate while there are none", () => {
    const ring = new KeyRing()
    const [one, two, three] = [make(1), make(2), make(3)]
    assert.isUndefined(ring.sending)
    ring.offer(one)
    ring.offer(two)
    assert.strictEqual(ring.sending, two)

    ring.promote(one, PREFIX, 0)
    ring.offer(three)

    assert.strictEqual(ring.sending, one)
    assert.strictEqual(ring.current, one)
    assert.deepStrictEqual(names(ring), [1, 3, 2])
  })

  it("keeps the two newest candidates, and drops the older ones when one is promoted", () => {
    const ring = new KeyRing()
    const offered = [1, 2, 3, 4].map(make)
    for (const keys of offered) ring.offer(keys)
    assert.deepStrictEqual(names(ring), [4, 3])

    ring.promote(offered[3]!, PREFIX, 0)
    assert.deepStrictEqual(names(ring), [4])
  })

  it("tries the previous keys last, and for a minute", () => {
    const ring = new KeyRing()
    const [one, two] = [make(1), make(2)]
    ring.offer(one)
    ring.promote(one, PREFIX, 0)
    one.accept("later", PREFIX, 1)
    ring.offer(two)
    ring.promote(two, PREFIX, 1000)
    assert.deepStrictEqual(names(ring), [2, 1])
    assert.strictEqual(ring.deadlineMs, 1000 + OVERLAP_MS)

    ring.expire(999 + OVERLAP_MS)
    assert.deepStrictEqual(names(ring), [2, 1])
    ring.expire(1000 + OVERLAP_MS)
    assert.deepStrictEqual(names(ring), [2])
    assert.strictEqual(ring.deadlineMs, Number.POSITIVE_INFINITY)
  })

  it("drops the previous keys at once when the peer draws a new prefix with its new key: it has begun a new life", () => {
    const ring = new KeyRing()
    const [one, two, three] = [make(1), make(2), make(3)]
    const promotions = [one, two, three, one].map((keys, index) => {
      const prefix = keys === three ? OTHER_PREFIX : PREFIX
      ring.offer(keys)
      const promotion = ring.promote(keys, prefix, index)
      keys.accept("later", prefix, index + 1)
      return [promotion, names(ring)]
    })

    assert.deepStrictEqual(promotions, [
      ["first", [1]],
      ["renewal", [2, 1]],
      ["restart", [3]],
      // Nothing new: somebody has replayed an old key exchange.
      ["renewal", [1, 3]]
    ])
  })

  it("finds the keys of an old agreement again, and brings them back as a candidate, once", () => {
    const ring = new KeyRing()
    const [one, two] = [make(1), make(2)]
    for (const keys of [one, two]) {
      ring.offer(keys)
      ring.promote(keys, PREFIX, 0)
    }

    assert.strictEqual(ring.find(new Uint8Array(32).fill(1)), one)
    assert.deepStrictEqual([ring.isLive(one), ring.isCandidate(one)], [false, false])
    ring.offer(one)
    assert.deepStrictEqual([ring.isLive(one), ring.isCandidate(one)], [true, true])
    assert.deepStrictEqual(names(ring), [2, 1])
  })

  it("refuses more agreements than it can remember until our own key is renewed", () => {
    const ring = new KeyRing()
    const offered = Array.from({ length: AGREEMENTS_MAX + 1 }, (_, index) => make(index))

    assert.deepStrictEqual(
      offered.map((keys) => ring.offer(keys)),
      offered.map((_, index) => index < AGREEMENTS_MAX)
    )
    ring.renewed()
    assert.isTrue(ring.isOutdated(offered[0]!))
    assert.isTrue(ring.offer(make(AGREEMENTS_MAX)))
    assert.deepStrictEqual(names(ring), [AGREEMENTS_MAX, AGREEMENTS_MAX - 1])
  })
})
