/**
 * The trust table with its consequences outside: every change is in the file before it counts, and in `PeerKeys` as
 * soon as it counts. Owned by `TrustActor`; others only look.
 */
import { Clock, Effect, type Result } from "effect"
import * as Admission from "../../protocol/trust/Admission.ts"
import * as Relation from "../../protocol/trust/Relation.ts"
import type * as TrustHandshake from "../../protocol/trust/TrustHandshake.ts"
import type * as TrustOutput from "../../protocol/trust/TrustOutput.ts"
import * as TrustTable from "../../protocol/trust/TrustTable.ts"
import type { NodeId } from "../../protocol/wire/Address.ts"
import type { PeerKeys } from "./PeerKeys.ts"
import { TrustError } from "./TrustError.ts"
import * as TrustFile from "./TrustFile.ts"
import type { TrustNotStored, TrustStore } from "./TrustStore.ts"

/** Mutable inside its owner; `table` is the present one. */
export interface TrustLedger {
  table: TrustTable.TrustTable
  admission: Admission.Admission
  readonly foreign: TrustFile.Foreign
  /** The text in the file, so that changes which do not outlive the process cost no write. */
  stored: string
  /** Nothing has changed since. */
  isStored: boolean
  readonly limits: TrustTable.Limits
  readonly store: TrustStore
  readonly keys: PeerKeys["Service"]
  readonly means: Admission.Means
}

/** What is to be done now, and whether the change could not be stored. */
export interface Entry {
  /** As `Admission` took it. */
  readonly input: TrustHandshake.Input
  readonly outputs: ReadonlyArray<TrustOutput.Output>
  readonly failure: TrustError | undefined
}

/** Reads the file and publishes whom it trusts. A trusted key that is not the pinned one stays untrusted in effect. */
export const open = Effect.fn("TrustLedger.open")(function* (
  store: TrustStore,
  keys: PeerKeys["Service"],
  limits: TrustTable.Limits,
  means: Admission.Means
): Effect.fn.Return<TrustLedger, TrustNotStored> {
  const seconds = yield* nowSeconds
  const content = yield* store.load(seconds)
  const table = TrustTable.expire(content.table, limits, seconds)
  const { admission, foreign } = content
  const self: TrustLedger = { table, admission, foreign, stored: "", isStored: true, limits, store, keys, means }
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
  const seconds = yield* nowSeconds
  const judged = Admission.judge(self.admission, node, input, before, self.means, seconds)
  const { table, outputs } = TrustTable.step(self.table, node, judged.input, self.limits, seconds)
  const after = TrustTable.relation(table, node)
  const gained = after.trusted !== undefined && !Relation.isTrustedUnder(before, after.trusted.publicKey)
  // What does not outlive the process, as that the registry knows of a pair, must not cost the text of the whole table.
  const written = TrustFile.isSame(before, after) ? self.table : table
  const failure =
    (gained ? yield* pin(self, node, after.trusted.publicKey) : undefined) ??
    (yield* save(self, node, written, judged.admission))
  if (failure !== undefined && gained) return { input: judged.input, outputs: [], failure }
  self.table = table
  self.admission = judged.admission
  if (after.trusted?.publicKey !== before.trusted?.publicKey) self.keys.setTrusted(TrustTable.trustedKeys(table))
  return { input: judged.input, outputs, failure }
})

/** A change of what was allowed beforehand; `Narrowing` counts even when it cannot be stored. */
export interface Amendment<A> {
  readonly kind: "Widening" | "Narrowing"
  readonly change: (
    admission: Admission.Admission,
    nowSeconds: number
  ) => Result.Result<{ readonly admission: Admission.Admission; readonly value: A }, TrustError>
}

/** Applies it. */
export const amend = Effect.fn("TrustLedger.amend")(function* <A>(
  self: TrustLedger,
  { change, kind }: Amendment<A>
): Effect.fn.Return<A, TrustError> {
  const { admission, value } = yield* Effect.fromResult(change(self.admission, yield* nowSeconds))
  const failure = yield* save(self, 0, self.table, admission)
  if (failure === undefined || kind === "Narrowing") self.admission = admission
  return failure === undefined ? value : yield* failure
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

const save = Effect.fnUntraced(function* (
  self: TrustLedger,
  node: number,
  table: TrustTable.TrustTable,
  admission: Admission.Admission
) {
  // Thousands of refused requests change nothing: no text is made for them, unless the last change is not on disk yet.
  if (self.isStored && table === self.table && admission === self.admission) return undefined
  const content = { table, admission, foreign: self.foreign }
  const text = TrustFile.encode(content)
  if (text === self.stored) {
    self.isStored = true
    return undefined
  }
  const failure = yield* Effect.match(self.store.save(content), {
    onSuccess: () => undefined,
    onFailure: ({ detail }) => new TrustError({ reason: "NotStored", node, detail })
  })
  self.isStored = failure === undefined
  if (self.isStored) self.stored = text
  return failure
})
