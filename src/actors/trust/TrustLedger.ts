/**
 * The trust table with its consequences outside: every change is in the file before it counts, and in `PeerKeys` as
 * soon as it counts. Owned by `TrustActor`; others only look.
 */
import { Clock, Effect } from "effect"
import * as Relation from "../../protocol/trust/Relation.ts"
import type * as TrustHandshake from "../../protocol/trust/TrustHandshake.ts"
import type * as TrustOutput from "../../protocol/trust/TrustOutput.ts"
import * as TrustTable from "../../protocol/trust/TrustTable.ts"
import type { NodeId } from "../../protocol/wire/Address.ts"
import type { PeerKeys } from "./PeerKeys.ts"
import { TrustError } from "./Trust.ts"
import * as TrustFile from "./TrustFile.ts"
import type { TrustNotStored, TrustStore } from "./TrustStore.ts"

/** Mutable inside its owner; `table` is the present one. */
export interface TrustLedger {
  table: TrustTable.TrustTable
  readonly foreign: TrustFile.Foreign
  /** The text in the file, so that changes which do not outlive the process cost no write. */
  stored: string
  readonly limits: TrustTable.Limits
  readonly store: TrustStore
  readonly keys: PeerKeys["Service"]
}

/** What is to be done now, and whether the change could not be stored. */
export interface Entry {
  readonly outputs: ReadonlyArray<TrustOutput.Output>
  readonly failure: TrustError | undefined
}

/** Reads the file and publishes whom it trusts. A trusted key that is not the pinned one stays untrusted in effect. */
export const open = Effect.fn("TrustLedger.open")(function* (
  store: TrustStore,
  keys: PeerKeys["Service"],
  limits: TrustTable.Limits
): Effect.fn.Return<TrustLedger, TrustNotStored> {
  const seconds = yield* nowSeconds
  const content = yield* store.load(seconds)
  const table = TrustTable.expire(content.table, limits, seconds)
  const self: TrustLedger = { table, foreign: content.foreign, stored: "", limits, store, keys }
  for (const [node, publicKey] of TrustTable.trustedKeys(table)) {
    yield* Effect.catch(keys.pinNode(node, publicKey), (error) =>
      Effect.logWarning(`node ${node} was trusted under the key ${error.offeredFingerprint}, another is pinned`)
    )
  }
  keys.setTrusted(TrustTable.trustedKeys(table))
  self.stored = TrustFile.encode(content)
  return self
})

/**
 * Applies one input. A change that cannot be stored does not count when it would add trust; when it ends trust or
 * decides nothing it counts while the node runs, and the file follows with the next change.
 */
export const apply = Effect.fn("TrustLedger.apply")(function* (
  self: TrustLedger,
  node: NodeId,
  input: TrustHandshake.Input
): Effect.fn.Return<Entry> {
  const before = TrustTable.relation(self.table, node)
  const { table, outputs } = TrustTable.step(self.table, node, input, self.limits, yield* nowSeconds)
  const after = TrustTable.relation(table, node)
  const gained = after.trusted !== undefined && !Relation.isTrustedUnder(before, after.trusted.publicKey)
  const failure =
    (gained ? yield* pin(self, node, after.trusted.publicKey) : undefined) ?? (yield* save(self, node, table))
  if (failure !== undefined && gained) return { outputs: [], failure }
  self.table = table
  if (after.trusted?.publicKey !== before.trusted?.publicKey) self.keys.setTrusted(TrustTable.trustedKeys(table))
  return { outputs, failure }
})

/** Wall-clock time, because the table outlives the process. */
export const nowSeconds: Effect.Effect<number> = Effect.map(Clock.currentTimeMillis, (ms) => Math.floor(ms / 1000))

/** Trust holds only for a pinned key, so nothing may have taken its place since it was chosen. */
const pin = (self: TrustLedger, node: NodeId, publicKey: Uint8Array): Effect.Effect<TrustError | undefined> =>
  Effect.match(self.keys.pinNode(node, publicKey), {
    onSuccess: () => undefined,
    onFailure: ({ pinnedFingerprint, offeredFingerprint }) =>
      new TrustError({
        reason: "KeyChanged",
        node,
        detail: `node ${node} is known by the key ${pinnedFingerprint}, now shows ${offeredFingerprint}`
      })
  })

const save = Effect.fnUntraced(function* (self: TrustLedger, node: NodeId, table: TrustTable.TrustTable) {
  const content = { table, foreign: self.foreign }
  const text = TrustFile.encode(content)
  if (text === self.stored) return undefined
  const failure = yield* Effect.match(self.store.save(content), {
    onSuccess: () => undefined,
    onFailure: ({ detail }) => new TrustError({ reason: "NotStored", node, detail })
  })
  if (failure === undefined) self.stored = text
  return failure
})
