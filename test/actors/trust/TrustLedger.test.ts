import { assert, describe, it } from "@effect/vitest"
import { Context, Effect } from "effect"
import * as PeerKeysStore from "../../../src/actors/trust/PeerKeysStore.ts"
import type * as TrustFile from "../../../src/actors/trust/TrustFile.ts"
import * as TrustLedger from "../../../src/actors/trust/TrustLedger.ts"
import { Crypto } from "../../../src/core/crypto/Crypto.ts"
import * as NativeCrypto from "../../../src/core/crypto/NativeCrypto.ts"
import * as Bytes from "../../../src/core/data/Bytes.ts"
import * as Admission from "../../../src/protocol/trust/Admission.ts"
import * as Relation from "../../../src/protocol/trust/Relation.ts"
import { Input } from "../../../src/protocol/trust/TrustHandshake.ts"
import * as TrustTable from "../../../src/protocol/trust/TrustTable.ts"
import { NodeId } from "../../../src/protocol/wire/Address.ts"

const PEERS = 100
const { hmacSha256, verify } = NativeCrypto.crypto

/** Counts the rows that are written or compared: the unknown members of each are asked for. */
class CountingRows extends Map<string, never> {
  asked = 0

  override get(key: string) {
    this.asked++
    return super.get(key)
  }
}

const ledger = Effect.gen(function* () {
  const rows = new CountingRows()
  const peers = Array.from({ length: PEERS }, (_, index) => {
    const trusted: Relation.Trusted = {
      publicKey: Bytes.concat(Bytes.ofU32(index), new Uint8Array(28)),
      approvedAtSeconds: 0,
      mutual: true,
      network: 0,
      acceptDue: false,
      reported: false,
      servicesDue: []
    }
    return [NodeId(index + 1), { ...Relation.none, trusted }] as const
  })
  let content: TrustFile.Content = {
    table: new Map(peers),
    admission: Admission.empty,
    foreign: { file: {}, rows }
  }
  let saves = 0
  const store = {
    load: () => Effect.sync(() => content),
    save: (next: TrustFile.Content) =>
      Effect.sync(() => {
        saves++
        content = next
      })
  }
  const made = PeerKeysStore.make(
    { load: Effect.succeed({ nodes: new Map(), names: new Map(), laterOnly: new Set() }), save: () => Effect.void },
    PeerKeysStore.DEFAULT_LIMITS
  )
  const keys = yield* Effect.provide(made, Context.make(Crypto, NativeCrypto.crypto))
  const means = { ownKey: new Uint8Array(32), hmac: hmacSha256, verify, fingerprintOf: () => "" }
  const opened = yield* TrustLedger.open(store, keys, TrustTable.DEFAULT_LIMITS, means)
  rows.asked = 0
  return { opened, rows, saves: () => saves }
})

describe("TrustLedger", () => {
  it.effect("looks at one peer's row for what does not outlive the process, however many there are", () =>
    Effect.gen(function* () {
      const { opened, rows, saves } = yield* ledger
      for (const node of opened.table.keys()) yield* TrustLedger.apply(opened, node, Input.TrustReported())

      assert.isTrue([...opened.table.values()].every(({ trusted }) => trusted?.reported === true))
      assert.strictEqual(saves(), 0)
      assert.isAtMost(rows.asked, 2 * PEERS)
    }).pipe(Effect.scoped)
  )

  it.effect("writes what does", () =>
    Effect.gen(function* () {
      const { opened, saves } = yield* ledger
      yield* TrustLedger.apply(opened, NodeId(1), Input.RevocationChosen())

      assert.strictEqual(saves(), 1)
      assert.strictEqual(TrustTable.relation(opened.table, NodeId(1)).trusted, undefined)
    }).pipe(Effect.scoped)
  )
})
