import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import * as Bytes from "../../../src/core/data/Bytes.ts"
import * as Relation from "../../../src/protocol/trust/Relation.ts"
import * as TrustHandshake from "../../../src/protocol/trust/TrustHandshake.ts"
import * as TrustOutput from "../../../src/protocol/trust/TrustOutput.ts"
import * as TrustTable from "../../../src/protocol/trust/TrustTable.ts"
import { NodeId } from "../../../src/protocol/wire/Address.ts"

const { Input } = TrustHandshake
const NOW = 1_771_000_000
const DAY = 86_400
const limits: TrustTable.Limits = { ...TrustTable.DEFAULT_LIMITS, pendingMax: 4, pendingPerKeyMax: 2, outgoingMax: 3 }

const key = (fill: number) => new Uint8Array(32).fill(fill)
const request = (fill: number) => Input.RequestReceived({ publicKey: key(fill), justification: "", confirmed: true })
const choose = (fill: number) => Input.RequestChosen({ publicKey: key(fill), justification: "", isInsisting: false })

const run = (inputs: ReadonlyArray<readonly [number, TrustHandshake.Input]>, nowSeconds = NOW) =>
  inputs.reduce(
    (table, [node, input]) => TrustTable.step(table, NodeId(node), input, limits, nowSeconds).table,
    TrustTable.empty
  )
const count = (table: TrustTable.TrustTable, part: keyof Relation.Relation) =>
  [...table.values()].filter((relation) => relation[part] !== undefined).length

const Requests = Schema.Array(
  Schema.Struct({
    node: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 12 })),
    fill: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 3 })),
    kind: Schema.Literals(["received", "relayed", "chosen", "relayedWithoutKey"])
  })
)

describe("TrustTable", () => {
  it.prop("stays within its limits whatever strangers send", { requests: Requests }, ({ requests }) => {
    const inputs = requests.map(({ node, fill, kind }) => {
      if (kind === "received") return [node, request(fill)] as const
      if (kind === "chosen") return [node, choose(fill)] as const
      const publicKey = kind === "relayed" ? key(fill) : Bytes.empty
      return [node, Input.RequestRelayed({ publicKey, justification: "" })] as const
    })
    const table = run(inputs)

    assert.isAtMost(count(table, "pending"), limits.pendingMax)
    assert.isAtMost(count(table, "outgoing"), limits.outgoingMax)
    for (const fill of [0, 1, 2, 3]) {
      const same = [...table.values()].filter(({ pending }) => pending && Bytes.equals(pending.publicKey, key(fill)))
      assert.isAtMost(same.length, limits.pendingPerKeyMax)
    }
  })

  it("keeps at most 256 requests by default, 16 under one key, for 30 days (node §2.3)", () => {
    const { pendingMax, pendingPerKeyMax, pendingSeconds } = TrustTable.DEFAULT_LIMITS

    assert.deepStrictEqual([pendingMax, pendingPerKeyMax, pendingSeconds], [256, 16, 30 * DAY])
  })

  it("drops a request beyond the limit and lets a waiting one repeat itself", () => {
    const full = run([1, 2, 3, 4].map((node) => [node, request(node)] as const))
    const refused = TrustTable.step(full, NodeId(5), request(5), limits, NOW)
    const repeated = TrustTable.step(full, NodeId(4), request(4), limits, NOW + 10)

    assert.strictEqual(refused.table, full)
    assert.deepStrictEqual(refused.outputs, [])
    assert.strictEqual(TrustTable.relation(repeated.table, NodeId(4)).pending?.receivedAtSeconds, NOW + 10)
  })

  it("answers a request of ours beyond the limit", () => {
    const full = run([1, 2, 3].map((node) => [node, choose(node)] as const))
    const refused = TrustTable.step(full, NodeId(4), choose(4), limits, NOW)

    assert.strictEqual(refused.table, full)
    assert.deepStrictEqual(refused.outputs, [TrustOutput.Output.Answer({ result: "TooManyOutgoing" })])
  })

  it("forgets undecided requests after 30 days and keeps trust", () => {
    const table = run([
      [1, request(1)],
      [2, choose(2)],
      [3, request(3)],
      [3, Input.ApprovalChosen({ publicKey: key(3) })]
    ])

    assert.strictEqual(TrustTable.expire(table, limits, NOW + 30 * DAY - 1), table)
    const later = TrustTable.expire(table, limits, NOW + 30 * DAY)
    assert.deepStrictEqual([...later.keys()], [NodeId(3)])
  })

  it("takes a relayed accept back when its key opened no tunnel within a day", () => {
    const table = run([
      [1, choose(1)],
      [1, Input.AcceptRelayed()]
    ])
    const later = TrustTable.expire(table, limits, NOW + DAY)

    assert.strictEqual(Relation.standing(TrustTable.relation(table, NodeId(1))), "acceptedByRelay")
    assert.strictEqual(Relation.standing(TrustTable.relation(later, NodeId(1))), "outgoing")
    const opened = TrustTable.step(table, NodeId(1), Input.TunnelOpened({ publicKey: key(1) }), limits, NOW + DAY)
    assert.isUndefined(TrustTable.relation(opened.table, NodeId(1)).trusted)
  })

  it("remembers a revocation for five minutes, and until the registry and the peer know (node §2.3)", () => {
    const ended = run([
      [1, request(1)],
      [1, Input.ApprovalChosen({ publicKey: key(1) })],
      [1, Input.RevocationChosen()]
    ])
    const told = TrustTable.step(ended, NodeId(1), Input.RevokeDelivered(), limits, NOW).table
    const reported = TrustTable.step(told, NodeId(1), Input.RevocationReported(), limits, NOW).table

    assert.strictEqual(TrustTable.expire(ended, limits, NOW + DAY), ended)
    assert.strictEqual(TrustTable.expire(told, limits, NOW + DAY), told)
    assert.strictEqual(TrustTable.expire(reported, limits, NOW + 299), reported)
    assert.strictEqual(TrustTable.expire(reported, limits, NOW + 300).size, 0)
  })

  it("lists the keys under which nodes are trusted", () => {
    const table = run([
      [1, request(1)],
      [1, Input.ApprovalChosen({ publicKey: key(1) })],
      [2, request(2)]
    ])

    assert.deepStrictEqual([...TrustTable.trustedKeys(table)], [[NodeId(1), key(1)]])
  })
})
