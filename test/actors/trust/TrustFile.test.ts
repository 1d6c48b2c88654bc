import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import * as TrustFile from "../../../src/actors/trust/TrustFile.ts"
import * as Bytes from "../../../src/core/data/Bytes.ts"
import * as NetworkToken from "../../../src/protocol/trust/NetworkToken.ts"
import type * as Relation from "../../../src/protocol/trust/Relation.ts"
import * as TrustTable from "../../../src/protocol/trust/TrustTable.ts"
import { NodeId } from "../../../src/protocol/wire/Address.ts"
import vectors from "../../vectors/node.json" with { type: "json" }

const NOW = 1_795_196_962
const KEY = Bytes.fromBase64("2azF1KIFipTicaYJu4YFOJQ2PVhSpQOhpVNUgsWYpzk=") ?? Bytes.empty
const decode = (text: string) => {
  const content = TrustFile.decode(text, NOW)
  if (content === undefined) throw new Error("unreadable")
  return content
}
const only = (content: TrustFile.Content) => TrustTable.relation(content.table, NodeId(1))

const Seconds = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 4_000_000_000 }))
const Key = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 255 }))
const Rows = Schema.Array(
  Schema.Struct({
    node: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 0xffffffff })),
    parts: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 15 })),
    key: Key,
    hasKey: Schema.Boolean,
    text: Schema.Literals(["", "why", '<é>"\\']),
    seconds: Seconds,
    flag: Schema.Boolean
  })
)
const relationOf = (row: (typeof Rows.Type)[number]): Relation.Relation => {
  const publicKey = new Uint8Array(32).fill(row.key)
  const { seconds, flag, text: justification } = row
  return {
    trusted:
      row.parts & 1
        ? {
            publicKey,
            approvedAtSeconds: seconds,
            mutual: flag,
            network: flag ? 7 : 0,
            acceptDue: !flag,
            reported: false,
            servicesDue: flag ? ["files", "notes"] : []
          }
        : undefined,
    pending:
      row.parts & 2
        ? {
            publicKey: row.hasKey ? publicKey : Bytes.empty,
            justification,
            receivedAtSeconds: seconds,
            confirmed: flag
          }
        : undefined,
    outgoing:
      row.parts & 4
        ? { publicKey, justification, requestedAtSeconds: seconds, acceptedAtSeconds: flag ? seconds : undefined }
        : undefined,
    revoked:
      row.parts & 8
        ? {
            untilSeconds: seconds,
            reportDue: flag,
            publicKey: flag ? Bytes.empty : publicKey,
            noticeDue: !flag,
            triedAtSeconds: 0
          }
        : undefined,
    refused: undefined
  }
}

describe("TrustFile", () => {
  it("writes and reads what the reference writes (node §2.5)", () => {
    for (const name of ["trust.json_pending_only", "trust.json_trusted"] as const) {
      const text = vectors.state_files[name]
      assert.strictEqual(TrustFile.encode(decode(text)), text)
    }
    const trusted = only(decode(vectors.state_files["trust.json_trusted"])).trusted
    assert.deepStrictEqual(trusted, {
      publicKey: KEY,
      approvedAtSeconds: NOW,
      mutual: false,
      network: 0,
      acceptDue: false,
      reported: false,
      servicesDue: []
    })
  })

  it.prop("reads what it wrote", { rows: Rows }, ({ rows }) => {
    const table = rows.reduce((all, row) => TrustTable.put(all, NodeId(row.node), relationOf(row)), TrustTable.empty)
    const content = decode(TrustFile.encode({ ...TrustFile.empty, table }))

    assert.deepStrictEqual(new Map([...content.table].toSorted()), new Map([...table].toSorted()))
  })

  it("reads times of any zone", () => {
    const text = vectors.state_files["trust.json_trusted"].replace("17:49:22Z", "19:49:22+02:00")
    assert.strictEqual(only(decode(text)).trusted?.approvedAtSeconds, NOW)
  })

  it("keeps the networks of the node; a token that is damaged lets nobody in", () => {
    const signed = () => new Uint8Array(64).fill(8)
    const network = { publicKey: new Uint8Array(32).fill(7), number: 7, name: "fleet" }
    const member = "0123-4567-89AB-CDEF-GHJK-MNPQ-RSTV-WXYZ"
    const token = NetworkToken.issue({ ...network, member, issuedAtSeconds: 5, expiresAtSeconds: 9 }, signed)
    const revocations = NetworkToken.revoke({ ...network, serial: 2, revoked: [{ member, atSeconds: 5 }] }, signed)
    const networks = new Map([[member, { token, revocations, barred: [member] }]])
    const content = { ...TrustFile.empty, admission: { ...TrustFile.empty.admission, networks } }
    const text = TrustFile.encode(content)

    assert.deepStrictEqual(TrustFile.decode(text, 0), content)
    const damaged = TrustFile.decode(text.replace("pilot-network:1:", "pilot-network:2:"), 0)
    assert.strictEqual(damaged?.admission.networks.size, 0)
  })

  it("keeps members that it does not know, of the file and of rows", () => {
    const text = `{
  "trusted": [
    {
      "node_id": 1,
      "public_key": "${Bytes.toBase64(KEY)}",
      "approved_at": "2026-11-20T17:49:22Z",
      "mutual": true,
      "network": 3,
      "note": {
        "a": [
          1
        ]
      }
    }
  ],
  "future": 7
}`
    assert.strictEqual(TrustFile.encode(decode(text)), text)
  })

  it("a trusted row without a key trusts nobody: a person decides again (security rule 1)", () => {
    for (const key of ["", "AAAA"]) {
      const text = vectors.state_files["trust.json_trusted"].replace(Bytes.toBase64(KEY), key)
      const { trusted, pending } = only(decode(text))
      assert.isUndefined(trusted)
      assert.deepInclude(pending, { publicKey: Bytes.empty, receivedAtSeconds: NOW })
    }
  })

  it("cleans texts and skips rows without a node", () => {
    const text =
      '{"pending":[{"node_id":1,"justification":"a\\u001bb"},{"node_id":0},{"node_id":-1},{}],"outgoing":[{"node_id":4}]}'
    const content = decode(text)
    assert.deepStrictEqual([...content.table.keys()], [NodeId(1)])
    assert.strictEqual(only(content).pending?.justification, "ab")
  })

  it("does not take other JSON or half a file for a table", () => {
    const text = vectors.state_files["trust.json_trusted"]
    for (const bad of ["", "[]", "null", text.slice(0, -1)]) assert.isUndefined(TrustFile.decode(bad, NOW))
  })
})
