/**
 * Stores messages (node §4.2). What it has confirmed is on disk. Messages become files of the inbox that are not synced,
 * are noted in the `InboxJournal`, many together, and acknowledged by its one sync. A long message is written once only: its
 * file is synced, moved into the inbox, and the directory synced.
 *
 * Owns the names in the inbox and its quota. Told by the streams of port 1001. Tells nobody but who asked. Mailbox full:
 * the stream waits. A failing disk is an answer, so it restarts only for a fault of its own, `RESTARTS` times.
 */
import { Deferred, Effect, FileSystem, type Path, PlatformError, Result, type Scope } from "effect"
import * as Actor from "../../core/actor/Actor.ts"
import type { ActorRef } from "../../core/actor/ActorRef.ts"
import * as Bytes from "../../core/data/Bytes.ts"
import * as PrivateDirectory from "../../core/storage/PrivateDirectory.ts"
import * as InboxRecord from "../../protocol/exchange/InboxRecord.ts"
import { nameOf } from "../../protocol/wire/DataFrame.ts"
import * as DiskUse from "./DiskUse.ts"
import * as ExchangePlaces from "./ExchangePlaces.ts"
import * as InboxJournal from "./InboxJournal.ts"
import { failed, type NotTaken } from "./IncomingFile.ts"
import * as StoreQuota from "./StoreQuota.ts"

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
      // First, because it fills files that a crash of the machine has emptied.
      const journal = yield* InboxJournal.open(places)
      yield* sweep(places)
      const quota = StoreQuota.make({
        name: "inbox",
        limit,
        measure: Effect.provideService(DiskUse.measure(places.inbox), FileSystem.FileSystem, files),
        pending: () => StoreQuota.NOTHING
      })
      const inbox: Inbox = { places, quota, journal, scope: yield* Effect.scope, stamp: "", count: 0 }
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
  readonly journal: InboxJournal.InboxJournal
  /** Of the writer's life. */
  readonly scope: Scope.Scope
  /** The last name that was given: names of one millisecond are counted. */
  stamp: string
  count: number
}

/** A process that is killed while it writes leaves files with nothing in them: no messages, which nobody would take away. */
const sweep = Effect.fnUntraced(function* ({ inbox }: ExchangePlaces.ExchangePlaces) {
  const files = yield* FileSystem.FileSystem
  const names = yield* Effect.orElseSucceed(files.readDirectory(inbox), () => [])
  const removeEmpty = (path: string) =>
    Effect.flatMap(files.lstat(path), ({ size, type }) =>
      type === "File" && Number(size) === 0 ? files.remove(path) : Effect.void
    )
  yield* Effect.forEach(
    names.filter((name) => name.endsWith(SUFFIX)),
    (name) => Effect.ignore(removeEmpty(`${inbox}/${name}`)),
    { concurrency: LOOKS_AT_ONCE, discard: true }
  )
})

/** While the disk makes sure of these, the next are written. */
const store = Effect.fnUntraced(function* (inbox: Inbox, batch: ReadonlyArray<InboxWriterMessage>) {
  const made = yield* Effect.result(Effect.mapError(PrivateDirectory.make(inbox.places.inbox), failed))
  const stamp = yield* ExchangePlaces.stamp
  const placed = yield* Effect.forEach(
    batch,
    ({ record }) => Effect.result(Result.isFailure(made) ? made.failure : storeOne(inbox, record, stamp)),
    { concurrency: WRITTEN_AT_ONCE }
  )
  yield* Effect.forkIn(acknowledge(inbox, batch, placed), inbox.scope, { startImmediately: true })
})

const acknowledge = Effect.fnUntraced(function* (
  inbox: Inbox,
  batch: ReadonlyArray<InboxWriterMessage>,
  placed: ReadonlyArray<Result.Result<InboxJournal.Entry, NotTaken>>
) {
  const entries = placed.flatMap((result) => (Result.isSuccess(result) ? [result.success] : []))
  const sure = yield* Effect.result(Effect.mapError(ensured(inbox, entries), failed))
  // Who is told that it was not stored may send it again.
  if (Result.isFailure(sure)) yield* Effect.forEach(entries, (entry) => takeBack(inbox, entry), { discard: true })
  for (const [index, { stored }] of batch.entries()) {
    const result = Result.andThen(placed[index]!, ({ name }) => Result.map(sure, () => `${inbox.places.inbox}/${name}`))
    yield* Result.isFailure(result) ? Deferred.fail(stored, result.failure) : Deferred.succeed(stored, result.success)
  }
})

/** All of them are on disk. */
const ensured = Effect.fnUntraced(function* ({ journal, places }: Inbox, placed: ReadonlyArray<InboxJournal.Entry>) {
  const noted = placed.filter((entry) => !isLong(entry))
  if (noted.length > 0) yield* journal.append(noted)
  if (noted.length < placed.length) yield* ExchangePlaces.syncDirectory(places.inbox)
})

const takeBack = Effect.fnUntraced(function* ({ places, quota }: Inbox, { content, name }: InboxJournal.Entry) {
  const files = yield* FileSystem.FileSystem
  yield* Effect.ignore(files.remove(`${places.inbox}/${name}`, { force: true }))
  yield* quota.giveBack({ files: 1, bytes: content.length })
})

/** Names are given in the order of arrival. */
const storeOne = Effect.fnUntraced(function* (inbox: Inbox, record: InboxRecord.InboxRecord, stamp: string) {
  const content = Bytes.fromUtf8(InboxRecord.encode(record))
  const amount = { files: 1, bytes: content.length }
  const name = nextName(inbox, record.kind, stamp)
  yield* inbox.quota.take(amount)
  return yield* placeAt(inbox, record.kind, { name, content }).pipe(
    Effect.mapError(failed),
    Effect.onError(() => inbox.quota.giveBack(amount))
  )
})

/** A name that a file of somebody else has is left to it. */
const placeAt = (
  inbox: Inbox,
  kind: number,
  entry: InboxJournal.Entry
): Effect.Effect<InboxJournal.Entry, PlatformError.PlatformError, FileSystem.FileSystem> =>
  Effect.as(isLong(entry) ? moveIn(inbox.places, entry) : writeIn(inbox.places, entry), entry).pipe(
    Effect.catchIf(
      ({ reason }) => reason._tag === "AlreadyExists",
      () => placeAt(inbox, kind, { ...entry, name: nextName(inbox, kind, inbox.stamp) })
    )
  )

/** Not synced: the journal makes sure of it, and tells after a crash if it is whole. */
const writeIn = Effect.fnUntraced(function* ({ inbox }: ExchangePlaces.ExchangePlaces, entry: InboxJournal.Entry) {
  const files = yield* FileSystem.FileSystem
  const path = `${inbox}/${entry.name}`
  yield* Effect.tapError(files.writeFile(path, entry.content, { flag: "wx", mode: OWNER_ONLY }), ({ reason }) =>
    reason._tag === "AlreadyExists" ? Effect.void : Effect.ignore(files.remove(path, { force: true }))
  )
})

/** Synced under a name that nobody reads, then moved; this process is the only one that adds files there. */
const moveIn = Effect.fnUntraced(function* (
  places: ExchangePlaces.ExchangePlaces,
  { content, name }: InboxJournal.Entry
) {
  const files = yield* FileSystem.FileSystem
  const path = `${places.inbox}/${name}`
  if (yield* files.exists(path)) return yield* taken(path)
  const temporary = ExchangePlaces.temporary(places, name)
  yield* Effect.onError(
    Effect.andThen(ExchangePlaces.writeSynced(temporary, content), files.rename(temporary, path)),
    () => Effect.ignore(files.remove(temporary, { force: true }))
  )
})

const taken = (path: string) =>
  PlatformError.systemError({ module: "FileSystem", method: "rename", _tag: "AlreadyExists", pathOrDescriptor: path })

const nextName = (inbox: Inbox, kind: number, stamp: string): string => {
  if (inbox.stamp !== stamp) inbox.count = 0
  inbox.stamp = stamp
  return `${nameOf(kind)}-${stamp}${counter(inbox.count++)}${SUFFIX}`
}

const isLong = ({ content }: InboxJournal.Entry): boolean => content.length > NOTED_BYTES_MAX

const counter = (count: number): string => (count === 0 ? "" : `-${String(count).padStart(6, "0")}`)

const SUFFIX = ".json"
const RESTARTS = { intensity: 5, periodMs: 60_000 }
const WAITING_MAX = 256
/** As many as threads that wait for the disk, and some to go on with meanwhile. */
const WRITTEN_AT_ONCE = 8
const LOOKS_AT_ONCE = 16
/** Beyond this it costs more to write a message twice than to sync it by itself. */
const NOTED_BYTES_MAX = 65_536
const OWNER_ONLY = 0o600
