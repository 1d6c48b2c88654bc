import { assert, describe, it } from "@effect/vitest"
import * as Bytes from "../../../src/core/data/Bytes.ts"
import type * as Json from "../../../src/core/data/Json.ts"
import * as KeyChain from "../../../src/protocol/identity/KeyChain.ts"
import type * as KeyStatement from "../../../src/protocol/identity/KeyStatement.ts"
import { noRows } from "../../../src/protocol/registry/Change.ts"
import * as NodeKeys from "../../../src/protocol/registry/NodeKeys.ts"
import { Registry } from "../../../src/protocol/registry/Registry.ts"
import * as RegistryPolicy from "../../../src/protocol/registry/RegistryPolicy.ts"
import { BEGIN, DAY, enrol, key, rotate, verify } from "../../support/KeyChains.ts"

const R = 9
const text = (fill: number) => Bytes.toBase64(key(fill).publicKey)
const chain = (...statements: ReadonlyArray<KeyStatement.KeyStatement>) => KeyChain.toText(statements)
const byRecovery = { by: "recovery", recovery: R } as const

/** A registry with real signatures, and days that pass when they are told to. */
class Office {
  day = 0
  readonly registry = new Registry(RegistryPolicy.defaults, verify, noRows, 0)

  ask(request: Json.JsonObject): Json.JsonObject {
    const nowMs = this.day * DAY * 1000
    const at = { nowMs, unixSeconds: BEGIN + this.day * DAY }
    const handled = this.registry.handle(request, { host: "192.0.2.1", port: 50_000 }, at)
    return handled.refusal === undefined ? handled.reply : { refused: handled.refusal.code }
  }

  register(fill: number, keyChain?: string): Json.JsonObject {
    const signed = Bytes.fromUtf8(`register::4001:${text(fill)}`)
    const request = { type: "register", listen_addr: ":4001", public_key: text(fill) }
    const signature = Bytes.toBase64(key(fill).sign(signed))
    return this.ask({ ...request, signature, ...(keyChain !== undefined && { key_chain: keyChain }) })
  }

  publish(...statements: ReadonlyArray<KeyStatement.KeyStatement>): Json.JsonObject {
    return this.ask({ type: "publish_key_chain", node_id: 1, key_chain: chain(...statements) })
  }

  rotate(fill: number, next: number, keyChain = ""): Json.JsonObject {
    const signed = Bytes.fromUtf8(`rotate:1:${text(next)}`)
    const signature = Bytes.toBase64(key(fill).sign(signed))
    return this.ask({ type: "rotate_key", node_id: 1, new_public_key: text(next), signature, key_chain: keyChain })
  }

  lookup(): Json.JsonObject {
    return this.ask({ type: "lookup", node_id: 1 })
  }
}

/** With a node that keeps a chain, and has enrolled its recovery key. */
const office = (...statements: ReadonlyArray<KeyStatement.KeyStatement>) => {
  const made = new Office()
  assert.include(made.register(1, chain(...statements)), { node_id: 1 })
  return made
}

describe("Registry, security rule 9", () => {
  it("moves a key by its chain: at once for the recovery key, in seven days for the key alone", () => {
    const quick = office(enrol(1, R))
    assert.include(quick.publish(rotate(1, 2, byRecovery)), { node_id: 1, public_key: text(2) })
    assert.include(quick.lookup(), { public_key: text(2), key_generation: 1 })

    const slow = office(enrol(1, R))
    const link = rotate(1, 2, { recovery: R })
    assert.include(slow.publish(link), { public_key: text(1), pending_key: text(2), pending_until: BEGIN + 7 * DAY })
    assert.deepStrictEqual(slow.rotate(1, 2, chain(link)), { refused: "rotation_held" })
    slow.day = 7
    assert.include(slow.register(1), { node_id: 1 })
    assert.include(slow.rotate(1, 2, chain(link)), { node_id: 1, public_key: text(2) })
    assert.include(slow.lookup(), { public_key: text(2) })
  })

  it("gives a thief of the key neither the node nor a new one in its name", () => {
    const made = office(enrol(1, R))
    assert.deepStrictEqual(made.rotate(1, 3), { refused: "rotation_held" })
    made.publish(rotate(1, 3, { recovery: R }))
    assert.include(made.publish(rotate(1, 2, byRecovery)), { public_key: text(2) })

    made.day = 30
    assert.include(made.publish(rotate(1, 3, { recovery: R })), { public_key: text(2) })
    assert.deepStrictEqual(made.register(1, ""), { refused: "key_retired" })
    assert.include(made.register(2, ""), { node_id: 1 })
  })

  it("lets the owner take back a node whose thief has waited the seven days", () => {
    const made = office(enrol(1, R))
    made.publish(rotate(1, 3, { recovery: R }))
    made.day = 8
    assert.include(made.publish(), { public_key: text(3) })

    assert.include(made.publish(rotate(1, 2, byRecovery)), { public_key: text(2) })
    assert.deepStrictEqual(made.register(3, ""), { refused: "key_retired" })
  })

  it("moves nothing at a fork, and shows both keys to whoever looks", () => {
    const made = office()
    made.publish(rotate(1, 2))
    assert.include(made.publish(rotate(1, 3)), { public_key: text(1), forked: true })
    made.day = 30
    assert.include(made.publish(), { public_key: text(1), forked: true })

    const known = KeyChain.parse(String(made.lookup()["key_chain"]))
    assert.strictEqual(known?.length, 2)
  })

  it("knows a node again that comes back with a key that follows, and makes no new one of a key that waits", () => {
    const made = office(enrol(1, R))
    assert.deepStrictEqual(made.register(3, chain(rotate(1, 3, { recovery: R }))), { refused: "rotation_held" })
    assert.include(made.register(2, chain(enrol(1, R), rotate(1, 2, byRecovery))), { node_id: 1, public_key: text(2) })
    assert.deepStrictEqual(made.register(1, ""), { refused: "key_retired" })
  })

  it("leaves nodes that keep no chain to the protocol, and refuses what is no chain", () => {
    const made = new Office()
    made.register(1)
    assert.include(made.rotate(1, 2), { public_key: text(2) })
    assert.isFalse("key_chain" in made.lookup())

    assert.deepStrictEqual(made.ask({ type: "publish_key_chain", node_id: 1, key_chain: "x" }), {
      refused: "key_chain_malformed"
    })
    assert.deepStrictEqual(made.ask({ type: "publish_key_chain", node_id: 7, key_chain: "" }), {
      refused: "node_not_found"
    })
  })

  it("keeps what it knows in its store, and forgets no key that was replaced", () => {
    const keys = NodeKeys.moved(
      NodeKeys.learn(NodeKeys.begin(BEGIN), key(1).publicKey, [enrol(1, R), rotate(1, 2, byRecovery)], {
        atSeconds: BEGIN,
        verify
      }),
      key(1).publicKey
    )

    assert.deepStrictEqual(NodeKeys.decode(NodeKeys.encode(keys)), keys)
    assert.deepStrictEqual(NodeKeys.decode(NodeKeys.encode(NodeKeys.begin(5))), NodeKeys.begin(5))
    assert.strictEqual(NodeKeys.decode(NodeKeys.encode(undefined)), undefined)
    assert.deepStrictEqual(NodeKeys.decode("damaged"), NodeKeys.begin(0))
  })
})
