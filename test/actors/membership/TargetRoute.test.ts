import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Layer, Result } from "effect"
import * as MemberKeys from "../../../src/actors/membership/MemberKeys.ts"
import * as MemberRegistries from "../../../src/actors/membership/MemberRegistries.ts"
import { type Card, type Member, Roster } from "../../../src/actors/membership/Roster.ts"
import * as Names from "../../../src/actors/registry/Names.ts"
import { RegistryClient, RegistryError } from "../../../src/actors/registry/RegistryClient.ts"
import { PeerKeys } from "../../../src/actors/trust/PeerKeys.ts"
import * as PeerKeysStore from "../../../src/actors/trust/PeerKeysStore.ts"
import * as NativeCrypto from "../../../src/core/crypto/NativeCrypto.ts"
import * as Address from "../../../src/protocol/wire/Address.ts"
import { ScriptedNode } from "../../support/ScriptedNode.ts"

const key = (fill: number) => new Uint8Array(32).fill(fill)

/** What one registry says: names by node, keys by node; it may change its mind, or be away. */
interface Says {
  readonly names: Map<string, number>
  readonly keys: Map<number, Uint8Array>
  isAway: boolean
}

/** A membership at a registry that says so, with pins in memory. */
const member = Effect.fnUntraced(function* (roster: Roster, card: Pick<Card, "alias" | "slot">, says: Says) {
  const services = yield* Layer.build(Layer.merge(new ScriptedNode().layer, pins))
  const ownKeys = Context.get(services, PeerKeys)
  const failing = <A>(value: A | undefined) =>
    says.isAway || value === undefined
      ? Effect.fail(
          new RegistryError({ reason: says.isAway ? "Unavailable" : "NotFound", operation: "", detail: "no" })
        )
      : Effect.succeed(value)
  const facts = (node: number) => ({
    node: Address.NodeId(node),
    address: Address.make(0, node),
    isPublic: true,
    raw: { node_id: node }
  })
  const made: Member = {
    card: { ...card, registry: "", beacon: "" },
    registry: {
      ...Context.get(services, RegistryClient),
      resolveHostname: (hostname) =>
        Effect.map(
          Effect.suspend(() => failing(says.names.get(hostname))),
          (node) => ({ ...facts(node), hostname })
        ),
      lookup: (node) =>
        Effect.map(
          Effect.suspend(() => failing(says.keys.get(node))),
          (publicKey) => ({
            ...facts(node),
            publicKey,
            hostname: [...says.names].find(([, id]) => id === node)?.[0] ?? "",
            endpoint: undefined
          })
        )
    },
    keys: MemberKeys.forMember(roster, ownKeys, () => made),
    ownKeys,
    up: undefined,
    shelf: { recall: Effect.void, trusted: Effect.succeed([]), revoke: () => Effect.void, revoked: [] },
    state: "joined",
    detail: "",
    trusted: new Map(),
    trustedTexts: new Set(),
    ownNode: undefined,
    heard: [],
    met: new Map()
  }
  roster.add(made)
  return made
})

const pins = PeerKeysStore.layerMemory().pipe(Layer.provide(NativeCrypto.layer))

const world = Effect.gen(function* () {
  const roster = new Roster()
  const says = (names: ReadonlyArray<[string, number]>, keys: ReadonlyArray<[number, Uint8Array]>): Says => ({
    names: new Map(names),
    keys: new Map(keys),
    isAway: false
  })
  const atHome = says([["anna", 1]], [[1, key(1)]])
  const atTwo = says([["bert", 1]], [[1, key(2)]])
  const home = yield* member(roster, { alias: "home", slot: 0 }, atHome)
  const two = yield* member(roster, { alias: "two", slot: 1 }, atTwo)
  const services = Context.make(RegistryClient, MemberRegistries.make(roster)).pipe(
    Context.add(PeerKeys, MemberKeys.make(roster))
  )
  const find = (target: string | number) =>
    Effect.map(
      Effect.result(
        Effect.provideContext(
          typeof target === "string" ? Names.resolve(target) : Names.lookup(Address.NodeId(target)),
          services
        )
      ),
      (found) =>
        Result.isSuccess(found)
          ? `${found.success.hostname} ${found.success.node.toString(16)} ${found.success.publicKey[0]}`
          : `${found.failure._tag}: ${found.failure.message}`
    )
  return { atHome, atTwo, find, home, keys: Context.get(services, PeerKeys), roster, two }
})

describe("TargetRoute", () => {
  it.effect("a name that one registry knows leads there, with an id that leads there too", () =>
    Effect.gen(function* () {
      const { find } = yield* world

      assert.strictEqual(yield* find("anna"), "anna 1 1")
      assert.strictEqual(yield* find("bert"), "bert@two 10000001 2")
      assert.strictEqual(yield* find("bert@two"), "bert@two 10000001 2")
      assert.strictEqual(yield* find(0x1000_0001), "bert@two 10000001 2")
      assert.strictEqual(yield* find(1), "anna 1 1")
      assert.match(yield* find("bert@home"), /RegistryError/)
    })
  )

  it.effect("a registry that takes over a name or an id of another's moves nothing (security rule 1)", () =>
    Effect.gen(function* () {
      const { atTwo, find } = yield* world
      yield* find("anna")
      yield* find("bert")
      atTwo.names.set("anna", 1)
      assert.strictEqual(yield* find("anna"), "anna 1 1", "it has led there before")
      assert.strictEqual(yield* find(1), "anna 1 1")

      atTwo.keys.set(1, key(9))
      assert.match(yield* find("bert"), /KeyChanged: another key stands behind node 268435457/)
      assert.match(yield* find(0x1000_0001), /KeyChanged/)
      atTwo.names.set("bert", 2)
      atTwo.keys.set(2, key(9))
      assert.match(yield* find("bert@two"), /NameMoved: another key stands behind bert@two/)
    })
  )

  it.effect("a new name that several know is nobody's, unless the key is the same", () =>
    Effect.gen(function* () {
      const { atHome, atTwo, find } = yield* world
      atTwo.names.set("anna", 2)
      atTwo.keys.set(2, key(3))
      assert.match(yield* find("anna"), /anna@home or anna@two/)
      atTwo.keys.set(2, key(1))
      assert.strictEqual(yield* find("anna"), "anna 1 1", "one peer, registered with both")
      atHome.names.set("carl", 3)
      assert.match(yield* find("carl@three"), /no rendezvous is called three/)
    })
  )

  it.effect("a new plain name waits for home, so that others cannot take it while home is away", () =>
    Effect.gen(function* () {
      const { atHome, atTwo, find } = yield* world
      atHome.isAway = true
      assert.match(yield* find("bert"), /home cannot be asked who bert is: say bert@two/)
      assert.strictEqual(yield* find("bert@two"), "bert@two 10000001 2")
      assert.strictEqual(yield* find("bert"), "bert@two 10000001 2", "it has been used since")
      atHome.isAway = false
      atTwo.isAway = true
      assert.strictEqual(yield* find("anna"), "anna 1 1", "a further one that is away disturbs nobody")
    })
  )

  it.effect("trust in a key holds wherever that key has opened a tunnel, and nowhere else", () =>
    Effect.gen(function* () {
      const { home, keys, two } = yield* world
      const [there, here] = [Address.NodeId(0x1000_0007), Address.NodeId(7)]
      yield* home.keys.pinNode(Address.NodeId(1), key(1))
      home.keys.setTrusted(new Map([[Address.NodeId(1), key(1)]]))
      assert.isFalse(keys.isTrusted(there))
      MemberKeys.opened(two, here, key(1))
      assert.isTrue(keys.isTrusted(there))
      assert.deepStrictEqual(keys.pinned(there), key(1))
      assert.isFalse(keys.isTrusted(here), "the same number at home is another node")

      MemberKeys.opened(two, here, key(5))
      assert.isFalse(keys.isTrusted(there))
      yield* two.keys.pinNode(here, key(5))
      MemberKeys.opened(two, here, key(1))
      assert.isFalse(keys.isTrusted(there), "a pin beats everything else")
      home.keys.setTrusted(new Map())
      yield* two.keys.acceptKey(here, key(1))
      assert.isFalse(keys.isTrusted(there), "it was revoked")
    })
  )

  it("what has opened is remembered within bounds", () => {
    const roster = new Roster()
    const met = new Map<Address.NodeId, Uint8Array>()
    for (let id = 1; id <= MemberKeys.MET_MAX + 10; id++)
      MemberKeys.opened({ met } as Member, Address.NodeId(id), key(1))

    assert.strictEqual(met.size, MemberKeys.MET_MAX)
    assert.isFalse(met.has(Address.NodeId(10)))
    assert.deepStrictEqual(roster.all(), [])
  })
})
