/**
 * Files of peers (node §4.2, §4.4): whole ones from one frame, and those that come in chunks, over several attempts. A
 * sender that lost the last word of a transfer and begins again gets it, and no second copy.
 */
import { Clock, Effect, FileSystem, Option, type Path, Result, Schema, type Scope, Semaphore } from "effect"
import * as Provided from "../../core/actor/Provided.ts"
import * as Bytes from "../../core/data/Bytes.ts"
import * as JsonFile from "../../core/storage/JsonFile.ts"
import * as PrivateDirectory from "../../core/storage/PrivateDirectory.ts"
import * as StoredName from "../../protocol/exchange/StoredName.ts"
import type { ProtocolEvent } from "../../protocol/ProtocolEvent.ts"
import type { Address, NodeId } from "../../protocol/wire/Address.ts"
import * as FileStream from "../../protocol/wire/FileStream.ts"
import * as DiskUse from "./DiskUse.ts"
import * as ExchangePlaces from "./ExchangePlaces.ts"
import { failed, NotTaken, type Place, TAKEN_OVER } from "./IncomingFile.ts"
import * as PartialFile from "./PartialFile.ts"
import type { Full } from "./StoreFull.ts"
import * as StoreQuota from "./StoreQuota.ts"
import { UniqueName } from "./UniqueName.ts"

/** What all streams of one node share. */
export interface ReceivedFiles {
  readonly places: ExchangePlaces.ExchangePlaces
  readonly names: UniqueName
  readonly quota: StoreQuota.StoreQuota
  /** Transfers under way, by the name of their partial file or directory. */
  readonly active: Map<string, Active>
  /** One directory at a time takes room, or gives it back. */
  readonly trees: Semaphore.Semaphore
  readonly report: (event: ProtocolEvent) => void
  readonly full: Full
}

/** A transfer under way. */
export interface Active {
  /** What is there of it, and what was taken for the rest. */
  readonly held: StoreQuota.Amount
  readonly evict: Effect.Effect<void>
  /** Of a directory: the streams that bring it. */
  readonly streams?: number
}

/** For one node, until the scope ends. `bytesMax` bounds all that was received and not yet taken away. */
export const make = Effect.fnUntraced(function* (options: {
  readonly places: ExchangePlaces.ExchangePlaces
  readonly bytesMax: number
  readonly report: (event: ProtocolEvent) => void
  readonly full: Full
}): Effect.fn.Return<ReceivedFiles, never, FileSystem.FileSystem | Scope.Scope> {
  const { bytesMax, full, places, report } = options
  const services = yield* Provided.services<FileSystem.FileSystem>()
  const active = new Map<string, Active>()
  const measure = Effect.zipWith(
    DiskUse.measure(places.received),
    DiskUse.measure(places.transfers, (name) => !active.has(name) && !active.has(treeOf(name))),
    StoreQuota.sum
  )
  const quota = StoreQuota.make({
    name: "store of received files",
    limit: { files: FILES_MAX, bytes: bytesMax },
    measure: Effect.provideContext(measure, services),
    pending: () => [...active.values()].reduce((total, { held }) => StoreQuota.sum(total, held), StoreQuota.NOTHING)
  })
  const trees = yield* Semaphore.make(1)
  const self = { places, names: new UniqueName(places.received), quota, active, trees, report, full }
  yield* Effect.forkScoped(Effect.forever(Effect.delay(clear(self), CLEAR_INTERVAL)))
  return self
})

/** Takes away what nobody has come back for, as each start does: a node may run for a year. */
const clear = Effect.fnUntraced(function* ({
  active,
  places
}: ReceivedFiles): Effect.fn.Return<void, never, FileSystem.FileSystem> {
  for (const name of yield* Effect.orElseSucceed(ExchangePlaces.abandoned(places), () => [])) {
    if (active.has(name) || active.has(treeOf(name))) continue
    // Whoever comes back for it just now is told to come again.
    active.set(name, { held: StoreQuota.NOTHING, evict: Effect.void })
    yield* Effect.ensuring(
      Effect.ignore(ExchangePlaces.remove(places, name)),
      Effect.sync(() => active.delete(name))
    )
  }
})

/** A file that came whole. It is on disk when this returns; its path, or nothing for a file without a name. */
export const save = Effect.fnUntraced(function* (
  self: ReceivedFiles,
  from: Address,
  claimed: string,
  content: Uint8Array
): Effect.fn.Return<string | undefined, NotTaken, FileSystem.FileSystem | Path.Path> {
  if (claimed === "") return undefined
  const amount = { files: 1, bytes: content.length }
  yield* takeRoom(self, from, amount, content.length)
  return yield* withName(self, claimed, (name) => {
    const temporary = ExchangePlaces.temporary(self.places, name)
    return Effect.andThen(
      Effect.mapError(ExchangePlaces.writeSynced(temporary, content), failed),
      moveIn(self, { from, claimed, name, source: temporary, sizeBytes: content.length })
    ).pipe(
      Effect.onError(() =>
        Effect.ignore(Effect.flatMap(FileSystem.FileSystem, (files) => files.remove(temporary, { force: true })))
      )
    )
  }).pipe(Effect.onError(() => self.quota.giveBack(amount)))
})

const takeRoom = (self: ReceivedFiles, from: Address, amount: StoreQuota.Amount, sizeBytes: number) =>
  Effect.tapError(self.quota.take(amount), ({ reason }) =>
    Effect.sync(() => {
      if (reason === "Full") self.full("received", from, sizeBytes)
    })
  )

/** Where files in chunks of one peer go. */
export const placeFor = (
  self: ReceivedFiles,
  from: Address
): Effect.Effect<Place, never, FileSystem.FileSystem | Path.Path> =>
  Effect.map(Provided.services<FileSystem.FileSystem | Path.Path>(), (services) => ({
    open: (file, evict) => Effect.provideContext(open(self, from, file, evict), services),
    commit: (path, file) => Effect.provideContext(commit(self, from, path, file), services),
    left: (file) => Effect.provideContext(leave(self, partialName(from.node, file)), services)
  }))

/** The sender has heard of every transfer that is remembered here: the same content may come again as a new file. */
export const forget = Effect.fnUntraced(function* (self: ReceivedFiles, from: Address, file: FileStream.FileFacts) {
  const files = yield* FileSystem.FileSystem
  yield* Effect.ignore(files.remove(donePath(self, from, file), { force: true }))
})

/** Runs `use` with a name in the directory of received files that nobody else gets. */
export const withName = <A, R>(
  self: Pick<ReceivedFiles, "names">,
  claimed: string,
  use: (name: string) => Effect.Effect<A, NotTaken, R>
): Effect.Effect<A, NotTaken, R | FileSystem.FileSystem> =>
  Effect.gen(function* () {
    const safe = StoredName.reduce(claimed)
    if (Result.isFailure(safe)) return yield* new NotTaken({ reason: "Name", detail: safe.failure.detail })
    const stamp = yield* ExchangePlaces.stamp
    const claim = self.names.claim((count) => StoredName.stored(safe.success, stamp, count))
    return yield* Effect.acquireUseRelease(Effect.mapError(claim, failed), use, (name) => self.names.release(name))
  })

/** Moves what is synced into the directory of received files, durably, and reports it. */
export const moveIn = Effect.fnUntraced(function* (
  { places, report }: Pick<ReceivedFiles, "places" | "report">,
  file: {
    readonly from: Address
    readonly claimed: string
    readonly name: string
    readonly source: string
    readonly sizeBytes: number
  }
): Effect.fn.Return<string, NotTaken, FileSystem.FileSystem | Path.Path> {
  const files = yield* FileSystem.FileSystem
  const path = `${places.received}/${file.name}`
  yield* PrivateDirectory.make(places.received).pipe(
    Effect.andThen(files.rename(file.source, path)),
    Effect.andThen(ExchangePlaces.syncDirectory(places.received)),
    Effect.mapError(failed)
  )
  report({ _tag: "FileReceived", peer: file.from, name: file.claimed, path, sizeBytes: file.sizeBytes })
  return path
})

const open = Effect.fnUntraced(function* (
  self: ReceivedFiles,
  from: Address,
  file: FileStream.FileFacts,
  evict: Effect.Effect<void>
) {
  const safe = StoredName.reduce(file.name)
  if (Result.isFailure(safe)) return yield* new NotTaken({ reason: "Name", detail: safe.failure.detail })
  const storedAs = yield* remembered(self, from, file)
  if (storedAs !== undefined) return { storedAs }
  const name = partialName(from.node, file)
  yield* begin(self, name, evict)
  const partial = `${self.places.transfers}/${name}`
  return yield* Effect.gen(function* () {
    const present = amountOf(yield* Effect.mapError(PartialFile.sizeOf(partial), failed))
    const whole = { files: 1, bytes: Math.max(file.sizeBytes, present.bytes) }
    // What is there was counted; room is taken for what is still to come.
    self.active.set(name, { held: present, evict })
    yield* takeRoom(self, from, StoreQuota.minus(whole, present), file.sizeBytes)
    self.active.set(name, { held: whole, evict })
    return { partial }
  }).pipe(Effect.onError(() => leave(self, name)))
})

/** A sender that comes again has lost its earlier stream, whether this side knows or not. */
export const begin = Effect.fnUntraced(function* (
  self: Pick<ReceivedFiles, "active">,
  name: string,
  evict: Effect.Effect<void>
) {
  const other = self.active.get(name)
  if (other !== undefined) yield* Effect.timeoutOption(other.evict, EVICTION_TIMEOUT)
  if (self.active.has(name)) return yield* new NotTaken({ reason: "Failed", detail: TAKEN_OVER })
  self.active.set(name, { held: StoreQuota.NOTHING, evict })
  self.active.set(PartialFile.markPath(name), { held: StoreQuota.NOTHING, evict: Effect.void })
})

const commit = Effect.fnUntraced(function* (
  self: ReceivedFiles,
  from: Address,
  source: string,
  file: FileStream.FileFacts
): Effect.fn.Return<string, NotTaken, FileSystem.FileSystem | Path.Path> {
  const files = yield* FileSystem.FileSystem
  return yield* withName(self, file.name, (name) =>
    Effect.gen(function* () {
      // First, so that a crash after the move is remembered; a record whose file is not there counts for nothing.
      const atMs = yield* Clock.currentTimeMillis
      yield* Effect.mapError(JsonFile.save(donePath(self, from, file), Done, { v: 1, name, atMs }), unrecorded)
      yield* moveIn(self, { from, claimed: file.name, name, source, sizeBytes: file.sizeBytes })
      stored(self, partialName(from.node, file))
      yield* Effect.ignore(files.remove(PartialFile.markPath(source), { force: true }))
      return name
    })
  )
})

/** What was held for it is among the received ones now. */
export const stored = ({ active }: Pick<ReceivedFiles, "active">, name: string): void => {
  const transfer = active.get(name)
  if (transfer !== undefined) active.set(name, { ...transfer, held: StoreQuota.NOTHING })
}

/** The transfer is over, or was never begun: what did not come needs no room. */
const leave = Effect.fnUntraced(function* (
  self: ReceivedFiles,
  name: string
): Effect.fn.Return<void, never, FileSystem.FileSystem> {
  const path = `${self.places.transfers}/${name}`
  const present = yield* Effect.orElseSucceed(Effect.map(PartialFile.sizeOf(path), amountOf), () => undefined)
  const held = self.active.get(name)?.held ?? StoreQuota.NOTHING
  letGo(self, name)
  // What is on the disk of one that is not held any more was counted when it came.
  if (held.files > 0) yield* self.quota.giveBack(StoreQuota.minus(held, present ?? held))
})

/** The name is free for another attempt. */
export const letGo = ({ active }: Pick<ReceivedFiles, "active">, name: string): void => {
  active.delete(name)
  active.delete(PartialFile.markPath(name))
}

/** Under which name this very content of this peer was stored a moment ago, if its sender may not know. */
const remembered = Effect.fnUntraced(function* (self: ReceivedFiles, from: Address, file: FileStream.FileFacts) {
  const files = yield* FileSystem.FileSystem
  const done = yield* Effect.orElseSucceed(JsonFile.load(donePath(self, from, file), Done), Option.none)
  const nowMs = yield* Clock.currentTimeMillis
  if (Option.isNone(done) || nowMs - done.value.atMs > REMEMBERED_MS) return undefined
  const isThere = yield* Effect.orElseSucceed(files.exists(`${self.places.received}/${done.value.name}`), () => false)
  return isThere ? done.value.name : undefined
})

const partialName = (node: NodeId, file: FileStream.FileFacts): string =>
  `${node}-${Bytes.toHex(FileStream.idOf(file.digest))}-${file.sizeBytes}.part`

/** The directory to which a partial file belongs that is named after one. */
const treeOf = (name: string): string => `${name.split(TREE, 1)[0]}${TREE}`

const amountOf = (sizeBytes: number | undefined): StoreQuota.Amount =>
  sizeBytes === undefined ? StoreQuota.NOTHING : { files: 1, bytes: sizeBytes }

const donePath = ({ places }: ReceivedFiles, from: Address, file: FileStream.FileFacts): string =>
  `${places.transfers}/${partialName(from.node, file)}.done`

const unrecorded = (error: JsonFile.JsonFileError): NotTaken =>
  new NotTaken({ reason: "Failed", detail: `its record cannot be written: ${error.reason}` })

const Done = Schema.Struct({ v: Schema.Literal(1), name: Schema.String, atMs: Schema.Finite })

/** At the end of the names of directories that are coming, and within those of their partial files. */
export const TREE = ".tree"
/** The quota of bytes is the one that counts; so many names are still listed in good time. */
export const FILES_MAX = 100_000
/** A write to a slow disk may be under way. */
const EVICTION_TIMEOUT = "5 seconds"
const CLEAR_INTERVAL = "1 hour"
/** How long a sender may take to come back for the last word. */
export const REMEMBERED_MS = 3_600_000
