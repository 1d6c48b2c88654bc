/**
 * Stores messages (node §4.2). What it has confirmed is on disk: the file is synced under another name, moved into the
 * inbox, and the directory synced. All messages of one turn share the last step, and sync together, which is most of the
 * price.
 *
 * Owns the names in the inbox and its quota. Told by the streams of port 1001. Tells nobody but who asked. Mailbox full:
 * the stream waits. A failing disk is an answer, so it restarts only for a fault of its own, `RESTARTS` times.
 */
import { Deferred, Effect, FileSystem, type Path, Result, type Scope } from "effect"
import * as Actor from "../../core/actor/Actor.ts"
import type { ActorRef } from "../../core/actor/ActorRef.ts"
import * as Bytes from "../../core/data/Bytes.ts"
import * as PrivateDirectory from "../../core/storage/PrivateDirectory.ts"
import * as InboxRecord from "../../protocol/exchange/InboxRecord.ts"
import { nameOf } from "../../protocol/wire/DataFrame.ts"
import * as DiskUse from "./DiskUse.ts"
import * as ExchangePlaces from "./ExchangePlaces.ts"
import { failed, type NotTaken } from "./IncomingFile.ts"
import * as StoreQuota from "./StoreQuota.ts"
import { UniqueName } from "./UniqueName.ts"

/** A message to store; the answer says where it is now. */
export interface InboxWriterMessage {
  readonly record: InboxRecord.InboxRecord
  readonly stored: Deferred.Deferred<string, NotTaken>
}

/** What the inbox may hold (node §4.2, newer). */
export const LIMIT: StoreQuota.Amount = { files: 10_000, bytes: 268_435_456 }

/** Starts the writer in the surrounding scope. */
export const spawn = Effect.fnUntraced(function* (
  places: ExchangePlaces.ExchangePlaces,
  limit: StoreQuota.Amount = LIMIT
): Effect.fn.Return<ActorRef<InboxWriterMessage>, never, FileSystem.FileSystem | Path.Path | Scope.Scope> {
  return yield* Actor.spawn<InboxWriterMessage, never, FileSystem.FileSystem | Path.Path>({
    name: "exchange/inbox",
    mailbox: { capacity: WAITING_MAX, overflow: "backpressure" },
    start: Effect.gen(function* () {
      const files = yield* FileSystem.FileSystem
      const quota = StoreQuota.make({
        name: "inbox",
        limit,
        measure: Effect.provideService(DiskUse.measure(places.inbox), FileSystem.FileSystem, files),
        pending: () => StoreQuota.NOTHING
      })
      const inbox: Inbox = { places, quota, names: new UniqueName(places.inbox) }
      let batch: Array<InboxWriterMessage> = []
      return {
        receive: (message) => {
          batch.push(message)
        },
        afterBatch: () => {
          if (batch.length === 0) return
          const ready = batch
          batch = []
          return store(inbox, ready)
        }
      }
    }),
    restart: RESTARTS
  })
})

interface Inbox {
  readonly places: ExchangePlaces.ExchangePlaces
  readonly quota: StoreQuota.StoreQuota
  readonly names: UniqueName
}

const store = Effect.fnUntraced(function* (inbox: Inbox, batch: ReadonlyArray<InboxWriterMessage>) {
  const made = yield* Effect.result(Effect.mapError(PrivateDirectory.make(inbox.places.inbox), failed))
  const stamp = yield* ExchangePlaces.stamp
  const moved = yield* Effect.forEach(
    batch,
    ({ record }) => Effect.result(Result.isFailure(made) ? made.failure : storeOne(inbox, record, stamp)),
    { concurrency: SYNCS_AT_ONCE }
  )
  const synced = yield* Effect.result(Effect.mapError(ExchangePlaces.syncDirectory(inbox.places.inbox), failed))
  yield* Effect.forEach(
    batch,
    ({ stored }, index) =>
      Effect.gen(function* () {
        const result = Result.isFailure(synced) ? Result.fail(synced.failure) : moved[index]!
        yield* Result.isFailure(result)
          ? Deferred.fail(stored, result.failure)
          : Deferred.succeed(stored, result.success)
      }),
    { discard: true }
  )
})

/** On disk under a name that nobody reads, then moved. Names are claimed in the order of arrival. */
const storeOne = Effect.fnUntraced(function* (
  { names, places, quota }: Inbox,
  record: InboxRecord.InboxRecord,
  stamp: string
) {
  const files = yield* FileSystem.FileSystem
  const content = Bytes.fromUtf8(InboxRecord.encode(record))
  const amount = { files: 1, bytes: content.length }
  const name = yield* Effect.mapError(
    names.claim((count) => `${nameOf(record.kind)}-${stamp}${counter(count)}.json`),
    failed
  )
  const temporary = ExchangePlaces.temporary(places, name)
  const path = `${places.inbox}/${name}`
  const moved = Effect.andThen(ExchangePlaces.writeSynced(temporary, content), files.rename(temporary, path)).pipe(
    Effect.onError(() => Effect.ignore(files.remove(temporary, { force: true }))),
    Effect.mapError(failed),
    Effect.onError(() => quota.giveBack(amount))
  )
  return yield* Effect.andThen(quota.take(amount), moved).pipe(Effect.ensuring(names.release(name)), Effect.as(path))
})

const counter = (count: number): string => (count === 0 ? "" : `-${String(count).padStart(6, "0")}`)

const RESTARTS = { intensity: 5, periodMs: 60_000 }
const WAITING_MAX = 256
/** As many as threads that wait for the disk, and some to write meanwhile. */
const SYNCS_AT_ONCE = 8
