import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import * as TrustStore from "../../../src/actors/trust/TrustStore.ts"
import * as NativeCrypto from "../../../src/core/crypto/NativeCrypto.ts"
import * as Fingerprint from "../../../src/protocol/trust/Fingerprint.ts"
import * as NetworkClaim from "../../../src/protocol/trust/NetworkClaim.ts"
import * as NetworkToken from "../../../src/protocol/trust/NetworkToken.ts"
import { NodeId } from "../../../src/protocol/wire/Address.ts"
import * as TrustStation from "../../support/TrustStation.ts"

const [A, B, C] = [NodeId(1), NodeId(2), NodeId(3)]
const NETWORK_KEY = NativeCrypto.crypto.signingKey(new Uint8Array(32).fill(90))
const FOREIGN_KEY = NativeCrypto.crypto.signingKey(new Uint8Array(32).fill(91))
const fingerprintOf = (publicKey: Uint8Array) => Fingerprint.format(NativeCrypto.crypto.sha256(publicKey))
const memberOf = (id: number) => fingerprintOf(TrustStation.identityOf(id).publicKey)
const NETWORK = { publicKey: NETWORK_KEY.publicKey, number: 7, name: "fleet" }
const BEGIN = 1_800_000_000

const tokenFor = (id: number, changes: Partial<NetworkToken.Token> = {}, key = NETWORK_KEY) =>
  NetworkToken.issue(
    {
      ...{ ...NETWORK, publicKey: key.publicKey, member: memberOf(id) },
      ...{ issuedAtSeconds: BEGIN, expiresAtSeconds: BEGIN + 86_400, ...changes }
    },
    key.sign
  )
const listOf = (serial: number, ids: ReadonlyArray<number>, atSeconds = BEGIN, key = NETWORK_KEY) =>
  NetworkToken.encodeRevocations(
    NetworkToken.revoke(
      { ...NETWORK, serial, revoked: ids.map((id) => ({ member: memberOf(id), atSeconds })) },
      key.sign
    )
  )
const join = (station: TrustStation.Station, token = tokenFor(station.id)) =>
  station.trust.admissions.joinNetwork(NetworkToken.encode(token))

/** Three nodes; the first two are members. */
const scene = Effect.gen(function* () {
  yield* TestClock.setTime(BEGIN * 1000)
  const world = TrustStation.world()
  const remains = { store: TrustStore.memory(), pins: TrustStation.memoryPins() }
  const a = yield* TrustStation.start(world, A, remains)
  const b = yield* TrustStation.start(world, B)
  const c = yield* TrustStation.start(world, C)
  yield* join(a)
  yield* join(b)
  return { world, a, b, c, remains }
})
const ask = (from: TrustStation.Station, to: TrustStation.Station, text = "") =>
  Effect.andThen(from.trust.request(to.id, text), TrustStation.pass(10))
const trusts = (one: TrustStation.Station, other: TrustStation.Station) => [
  one.keys.isTrusted(other.id),
  other.keys.isTrusted(one.id)
]
const networksOf = (station: TrustStation.Station) =>
  Effect.map(station.trust.trusted, (rows) => rows.map(({ network }) => network))
const said = (station: TrustStation.Station) =>
  Effect.map(station.trust.pending, (rows) => rows.map(({ justification }) => justification))

describe("networks", () => {
  it.effect("members let each other in without anybody, and know by which network (security rule 2)", () =>
    Effect.gen(function* () {
      const { a, b } = yield* scene
      yield* ask(b, a)

      assert.deepStrictEqual(trusts(a, b), [true, true])
      assert.deepStrictEqual([yield* networksOf(a), yield* networksOf(b)], [[7], [7]])
      assert.deepStrictEqual(yield* said(a), [])
    })
  )

  it.effect("by relay too, when they cannot reach each other yet", () =>
    Effect.gen(function* () {
      const { a, b, world } = yield* scene
      a.node.offline = true
      yield* b.trust.request(A, "")
      assert.match(world.registry.inbox(A).requests[0]?.justification ?? "", /^pilot-member:1:/)
      a.node.offline = false
      yield* a.trust.poll
      yield* TrustStation.pass(10)
      yield* b.trust.poll
      yield* TrustStation.pass(10)

      assert.deepStrictEqual(trusts(a, b), [true, true])
    })
  )

  it.effect("nobody else comes in: without a token, with another's, a foreign network's, or one that was changed", () =>
    Effect.gen(function* () {
      const { a, c } = yield* scene
      const network = fingerprintOf(NETWORK_KEY.publicKey)
      const late = tokenFor(C, { expiresAtSeconds: BEGIN })
      const forged = tokenFor(C, {}, FOREIGN_KEY)
      for (const [claim, note] of [
        ["", /^please$/],
        [NetworkClaim.format(network, tokenFor(B)), /not signed\) please$/],
        [NetworkClaim.format(network, forged), /not signed\) please$/],
        [NetworkClaim.format(network, { ...tokenFor(C), expiresAtSeconds: BEGIN + 999_999 }), /not signed\) please$/],
        [NetworkClaim.format(network, late), /has expired\) please$/],
        [NetworkClaim.format(fingerprintOf(FOREIGN_KEY.publicKey), forged), /not in\) please$/]
      ] as const) {
        yield* ask(c, a, `${claim} please`.trim())
        assert.deepStrictEqual(trusts(a, c), [false, false])
        const [text = ""] = yield* said(a)
        assert.match(text, note)
        yield* a.trust.reject(C, "")
      }
    })
  )

  it.effect("a token counts only under the key that opens the tunnel, and only where it is confirmed", () =>
    Effect.gen(function* () {
      const { a, c, world } = yield* scene
      const claim = NetworkClaim.format(fingerprintOf(NETWORK_KEY.publicKey), tokenFor(B))
      // The registry, or whoever writes there, has read what B shows, and leaves it in the name of C.
      world.registry.inbox(A).requests.push({ from: C, justification: claim, timestamp: 0 })
      yield* a.trust.poll
      yield* TrustStation.pass(10)

      assert.deepStrictEqual(trusts(a, c), [false, false])
    })
  )

  it.effect(
    "refuses a token for another key, by another network, that is late or too many, and joins again later",
    () =>
      Effect.gen(function* () {
        const { c } = yield* scene
        const refused = (token: NetworkToken.Token) => Effect.map(Effect.flip(join(c, token)), ({ detail }) => detail)
        assert.match(yield* refused(tokenFor(A)), /^the token is for the key/)
        assert.match(yield* refused({ ...tokenFor(C), number: 8 }), /has not signed/)
        assert.match(yield* refused(tokenFor(C, { expiresAtSeconds: BEGIN })), /has expired/)
        yield* join(c)
        assert.match(yield* refused(tokenFor(C, { name: "other" }, FOREIGN_KEY)), /with that number/)
        assert.match(yield* refused(tokenFor(C, { issuedAtSeconds: BEGIN - 1 })), /later token/)
        yield* join(c, tokenFor(C, { issuedAtSeconds: BEGIN + 1, expiresAtSeconds: BEGIN + 999 }))
        const [row] = yield* c.trust.admissions.networks
        assert.deepInclude(row, { name: "fleet", number: 7, expiresAtSeconds: BEGIN + 999, isOpen: true })
        assert.isTrue(yield* c.trust.admissions.leaveNetwork("fleet"))
        assert.isFalse(yield* c.trust.admissions.leaveNetwork("fleet"))
      })
  )

  it.effect("a list of revoked members ends their trust everywhere; a later token lets one in again", () =>
    Effect.gen(function* () {
      const { a, b, c } = yield* scene
      yield* join(c)
      yield* ask(b, a)
      yield* ask(c, a)
      yield* ask(c, b)
      const forged = Effect.flip(a.trust.admissions.reviseNetwork(listOf(1, [C], BEGIN, FOREIGN_KEY)))
      assert.match((yield* forged).detail, /has not signed/)
      assert.isTrue(yield* a.trust.admissions.reviseNetwork(listOf(1, [C])))
      assert.isFalse(yield* a.trust.admissions.reviseNetwork(listOf(1, [C])))
      yield* TrustStation.pass(20)

      assert.deepStrictEqual(TrustStation.admissionChanges(a), [
        { change: "network.joined", subject: "fleet" },
        { change: "network.revised", subject: "fleet" }
      ])
      assert.deepStrictEqual(
        [trusts(a, c), trusts(b, c), trusts(a, b)],
        [
          [false, false],
          [false, false],
          [true, true]
        ]
      )
      yield* ask(c, b)
      assert.deepStrictEqual(trusts(b, c), [false, false])
      assert.match((yield* said(b))[0] ?? "", /has revoked/)

      const again = tokenFor(C, { issuedAtSeconds: BEGIN + 1 })
      yield* join(c, again)
      yield* ask(c, b)
      yield* a.trust.admissions.reviseNetwork(listOf(2, [C]))
      yield* TrustStation.pass(20)
      assert.deepStrictEqual(trusts(b, c), [true, true])
    })
  )

  it.effect("who joins late hears of the list from the first member it meets", () =>
    Effect.gen(function* () {
      const { a, b, c } = yield* scene
      yield* a.trust.admissions.reviseNetwork(listOf(1, [C]))
      yield* join(c)
      yield* ask(b, a)
      yield* TrustStation.pass(10)
      const [row] = yield* b.trust.admissions.networks
      assert.strictEqual(row?.serial, 1)
      yield* ask(c, b)
      assert.deepStrictEqual(trusts(b, c), [false, false])
    })
  )

  it.effect("trust that a person gave is not the network's to end", () =>
    Effect.gen(function* () {
      const { a, c } = yield* scene
      yield* ask(c, a)
      yield* a.trust.approve(C)
      yield* TrustStation.pass(10)
      yield* join(c)
      yield* ask(c, a)
      yield* a.trust.admissions.reviseNetwork(listOf(1, [C]))
      yield* TrustStation.pass(20)
      assert.deepStrictEqual([trusts(a, c), yield* networksOf(a)], [[true, true], [0]])
    })
  )

  it.effect("a member that was away hears of the list by its own first words", () =>
    Effect.gen(function* () {
      const { a, b, c } = yield* scene
      yield* join(c)
      yield* ask(b, a)
      yield* ask(c, b)
      b.node.offline = true
      yield* a.trust.admissions.reviseNetwork(listOf(1, [C]))
      yield* TrustStation.pass(50)
      assert.isTrue(b.keys.isTrusted(C))
      b.node.offline = false
      yield* TestClock.adjust("1 hour")
      yield* TrustStation.pass(50)

      assert.isFalse(b.keys.isTrusted(C))
    })
  )

  it.effect(
    "whom a person here has put out stays out, also after a restart; and an expired member lets nobody in",
    () =>
      Effect.gen(function* () {
        const { a, b, remains, world } = yield* scene
        yield* ask(b, a)
        yield* Effect.forkChild(a.trust.revoke(B))
        yield* TrustStation.pass(10)
        yield* ask(b, a)
        assert.deepStrictEqual(trusts(a, b), [false, false])
        assert.match((yield* said(a))[0] ?? "", /its trust was ended here/)

        const loaded = yield* remains.store.load(BEGIN)
        const [membership] = [...loaded.admission.networks.values()]
        assert.deepStrictEqual(membership?.barred, [memberOf(B)])
        assert.isTrue(world.registry.keys.has(A))

        yield* join(a, tokenFor(A, { expiresAtSeconds: BEGIN + 60 }))
        yield* TestClock.adjust("1 minute")
        yield* ask(b, a)
        assert.match((yield* said(a))[0] ?? "", /own has ended/)
      })
  )
})
