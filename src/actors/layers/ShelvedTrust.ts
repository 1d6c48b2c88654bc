/**
 * The trust list of a membership that is not registered yet: on disk, where no actor owns it. Trust in it holds in the other
 * memberships, so it can be looked at, and ended, as well.
 */
import { Clock, Effect, type FileSystem, type Path, Semaphore } from "effect"
import { Crypto } from "../../core/crypto/Crypto.ts"
import * as Bytes from "../../core/data/Bytes.ts"
import * as Fingerprint from "../../protocol/trust/Fingerprint.ts"
import * as NetworkTable from "../../protocol/trust/NetworkTable.ts"
import * as TrustHandshake from "../../protocol/trust/TrustHandshake.ts"
import * as TrustTable from "../../protocol/trust/TrustTable.ts"
import type { NodeId } from "../../protocol/wire/Address.ts"
import type { Shelf } from "../membership/Roster.ts"
import { TrustError } from "../trust/TrustError.ts"
import type { TrustNotStored } from "../trust/TrustStore.ts"
import * as TrustStoreFile from "../trust/TrustStoreFile.ts"

/** What is told of changes. */
export interface Options {
  /** `trust.json`. */
  readonly path: string
  readonly setTrusted: (trusted: ReadonlyMap<NodeId, Uint8Array>) => void
  readonly ended: (node: NodeId) => void
}

/** Over the file. */
export const make = Effect.fnUntraced(function* ({
  ended,
  path,
  setTrusted
}: Options): Effect.fn.Return<Shelf, never, Crypto | FileSystem.FileSystem | Path.Path> {
  const store = yield* TrustStoreFile.make(path)
  const { sha256 } = yield* Crypto
  const turn = yield* Semaphore.make(1)
  const load = Effect.flatMap(nowSeconds, (seconds) => store.load(seconds))
  const revoked: Array<Uint8Array> = []
  const revoke = Effect.fnUntraced(function* (publicKey: Uint8Array) {
    revoked.push(Bytes.copy(publicKey))
    const content = yield* load
    const seconds = yield* nowSeconds
    let { table } = content
    for (const [node, key] of TrustTable.trustedKeys(table)) {
      if (!Bytes.equals(key, publicKey)) continue
      const input = TrustHandshake.Input.RevocationChosen()
      table = TrustTable.step(table, node, input, TrustTable.DEFAULT_LIMITS, seconds).table
      ended(node)
    }
    setTrusted(TrustTable.trustedKeys(table))
    const { networks } = content.admission
    if (table === content.table && networks.size === 0) return
    const admission = {
      ...content.admission,
      networks: NetworkTable.bar(networks, Fingerprint.format(sha256(publicKey)))
    }
    yield* store.save({ ...content, table, admission })
  })
  return {
    recall: Effect.mapBoth(load, {
      onFailure: notStored,
      onSuccess: ({ table }) => setTrusted(TrustTable.trustedKeys(table))
    }),
    trusted: load.pipe(
      Effect.map(({ table }) =>
        [...table].flatMap(([node, { trusted }]) => {
          if (trusted === undefined) return []
          const { approvedAtSeconds, mutual, network, publicKey } = trusted
          return [{ node, publicKey, approvedAtSeconds, mutual, network }]
        })
      ),
      Effect.orElseSucceed(() => [])
    ),
    revoke: (publicKey) => Effect.mapError(turn.withPermit(revoke(publicKey)), notStored),
    revoked
  }
})

const notStored = ({ detail, path }: TrustNotStored): TrustError =>
  new TrustError({ reason: "NotStored", node: 0, detail: `${path}: ${detail}` })

const nowSeconds = Effect.map(Clock.currentTimeMillis, (ms) => Math.floor(ms / 1000))
