/**
 * Directories of peers: announced as a whole, then file by file, over several attempts and on several streams if need be,
 * and moved among the received ones when the last of it is there. Until then nobody sees anything of it.
 */
import { Clock, Effect, FileSystem, Option, type Path, Result, Schema } from "effect"
import * as Provided from "../../core/actor/Provided.ts"
import * as JsonFile from "../../core/storage/JsonFile.ts"
import * as PrivateDirectory from "../../core/storage/PrivateDirectory.ts"
import * as TreeManifest from "../../protocol/exchange/TreeManifest.ts"
import type { Address } from "../../protocol/wire/Address.ts"
import type { Of } from "../../protocol/wire/ExchangeRequest.ts"
import type { FileFacts } from "../../protocol/wire/FileStream.ts"
import * as DiskUse from "./DiskUse.ts"
import * as ExchangePlaces from "./ExchangePlaces.ts"
import { failed, NotTaken, type Opened, type Place } from "./IncomingFile.ts"
import * as PartialFile from "./PartialFile.ts"
import * as ReceivedFiles from "./ReceivedFiles.ts"
import * as StoreQuota from "./StoreQuota.ts"

/** A directory that is coming. */
export interface Tree {
  readonly from: Address
  readonly name: string
  /** Where its files wait for each other. */
  readonly directory: string
  readonly manifest: TreeManifest.TreeManifest
  /** Set when an earlier attempt completed it: under that name. */
  readonly storedAs: string | undefined
}

type Disk = FileSystem.FileSystem | Path.Path

/** Takes an announcement, or says why not. Announcing the same directory again goes on with it. */
export const open = Effect.fnUntraced(function* (
  self: ReceivedFiles.ReceivedFiles,
  from: Address,
  announced: Of<"tree">
): Effect.fn.Return<Tree, NotTaken, Disk> {
  const manifest = TreeManifest.make(announced)
  if (!ID.test(announced.id)) return yield* new NotTaken({ reason: "Name", detail: "not an id of a directory" })
  if (Result.isFailure(manifest)) return yield* new NotTaken({ reason: "Name", detail: manifest.failure.detail })
  const directory = `${self.places.transfers}/${from.node}-${announced.id}${ReceivedFiles.TREE}`
  const tree = { from, name: announced.name, directory, manifest: manifest.success }
  const storedAs = yield* remembered(self, directory)
  if (storedAs !== undefined) return { ...tree, storedAs }
  yield* takeRoom(self, tree)
  yield* PrivateDirectory.make(directory).pipe(
    Effect.mapError(failed),
    Effect.onError(() => leave(self, { ...tree, storedAs }))
  )
  return { ...tree, storedAs }
})

/** Where the files of a directory go, named by the paths its sender uses. */
export const placeFor = (self: ReceivedFiles.ReceivedFiles, tree: Tree): Effect.Effect<Place, never, Disk> =>
  Effect.map(Provided.services<Disk>(), (services) => ({
    open: (file, evict) => Effect.provideContext(openFile(self, tree, file, evict), services),
    commit: (path, file) => Effect.provideContext(commitFile(tree, path, file), services),
    left: (file) => Effect.sync(() => ReceivedFiles.letGo(self, partialName(tree, file)))
  }))

/** Everything is there: moves it among the received ones. Its name there. */
export const close = Effect.fnUntraced(function* (
  self: ReceivedFiles.ReceivedFiles,
  { directory, from, manifest, name: claimed, storedAs }: Tree
): Effect.fn.Return<string, NotTaken, Disk> {
  if (storedAs !== undefined) return storedAs
  for (const { path, sizeBytes } of manifest.files.values()) {
    const present = yield* Effect.mapError(PartialFile.sizeOf(`${directory}/${path}`), failed)
    if (present !== sizeBytes) return yield* new NotTaken({ reason: "Failed", detail: `${path} is missing` })
  }
  for (const path of ["", ...manifest.directories].map((below) => `${directory}${below === "" ? "" : `/${below}`}`)) {
    yield* Effect.mapError(PrivateDirectory.make(path), failed)
    yield* Effect.mapError(ExchangePlaces.syncDirectory(path), failed)
  }
  return yield* ReceivedFiles.withName(self, claimed, (name) =>
    Effect.gen(function* () {
      const atMs = yield* Clock.currentTimeMillis
      yield* Effect.mapError(
        JsonFile.save(`${directory}.done`, Done, { v: 1, name, atMs }),
        () => new NotTaken({ reason: "Failed", detail: "its record cannot be written" })
      )
      yield* ReceivedFiles.moveIn(self, { from, claimed, name, source: directory, sizeBytes: manifest.sizeBytes })
      ReceivedFiles.stored(self, keyOf(directory))
      return name
    })
  )
})

/** The sender has heard that it is complete. */
export const forget = ({ directory }: Tree): Effect.Effect<void, never, FileSystem.FileSystem> =>
  Effect.flatMap(FileSystem.FileSystem, (files) => Effect.ignore(files.remove(`${directory}.done`, { force: true })))

const openFile = Effect.fnUntraced(function* (
  self: ReceivedFiles.ReceivedFiles,
  tree: Tree,
  file: FileFacts,
  evict: Effect.Effect<void>
): Effect.fn.Return<Opened, NotTaken, Disk> {
  const entry = tree.manifest.files.get(file.name)
  if (entry === undefined || tree.storedAs !== undefined)
    return yield* new NotTaken({ reason: "Name", detail: "not a file of the directory that was announced" })
  if (entry.sizeBytes !== file.sizeBytes)
    return yield* new NotTaken({ reason: "Failed", detail: "not the size that was announced" })
  const present = yield* Effect.mapError(PartialFile.sizeOf(`${tree.directory}/${entry.path}`), failed)
  // Nothing gets there without its digest being compared, and another version of it would belong to another directory.
  if (present === entry.sizeBytes) return { storedAs: entry.path }
  const name = partialName(tree, file)
  yield* ReceivedFiles.begin(self, name, evict)
  return { partial: `${self.places.transfers}/${name}` }
})

const commitFile = Effect.fnUntraced(function* (tree: Tree, source: string, file: FileFacts) {
  const files = yield* FileSystem.FileSystem
  const path = tree.manifest.files.get(file.name)?.path ?? ""
  const target = `${tree.directory}/${path}`
  const parent = target.slice(0, target.lastIndexOf("/"))
  yield* PrivateDirectory.make(parent).pipe(
    Effect.andThen(files.rename(source, target)),
    Effect.andThen(ExchangePlaces.syncDirectory(parent)),
    Effect.mapError(failed)
  )
  yield* Effect.ignore(files.remove(PartialFile.markPath(source), { force: true }))
  return path
})

/** Once for all streams of the directory, and only for what is not there yet. */
const takeRoom = Effect.fnUntraced(function* (
  self: ReceivedFiles.ReceivedFiles,
  { directory, manifest }: Omit<Tree, "storedAs">
) {
  const { active, quota } = self
  const key = keyOf(directory)
  const take = Effect.gen(function* () {
    const known = active.get(key)
    if (known !== undefined) return known
    const present = yield* Effect.mapError(onDisk(self, key), failed)
    const whole: StoreQuota.Amount = {
      files: Math.max(manifest.files.size, present.files),
      bytes: Math.max(manifest.sizeBytes, present.bytes)
    }
    yield* quota.take(StoreQuota.minus(whole, present))
    return { held: whole, evict: Effect.void }
  })
  yield* self.trees.withPermit(
    Effect.tap(take, (taken) => Effect.sync(() => active.set(key, { ...taken, streams: (taken.streams ?? 0) + 1 })))
  )
})

/** A stream of the directory is gone, or it is complete; after the last one, what did not come needs no room. */
export const leave = Effect.fnUntraced(function* (
  self: ReceivedFiles.ReceivedFiles,
  { directory, storedAs }: Tree
): Effect.fn.Return<void, never, FileSystem.FileSystem> {
  const { active, quota, trees } = self
  const key = keyOf(directory)
  // One that was complete before it was announced takes no room.
  if (storedAs !== undefined) return
  yield* trees.withPermit(
    Effect.gen(function* () {
      const known = active.get(key)
      if (known === undefined) return
      const streams = (known.streams ?? 1) - 1
      if (streams > 0) return void active.set(key, { ...known, streams })
      const present = yield* Effect.orElseSucceed(onDisk(self, key), () => known.held)
      active.delete(key)
      if (known.held.files > 0) yield* quota.giveBack(StoreQuota.minus(known.held, present))
    })
  )
})

/** What has come of it, the files that are not complete included. */
const onDisk = ({ places }: ReceivedFiles.ReceivedFiles, key: string) =>
  DiskUse.measure(places.transfers, (name) => name === key || name.startsWith(`${key}-`))

const keyOf = (directory: string): string => directory.slice(directory.lastIndexOf("/") + 1)

const remembered = Effect.fnUntraced(function* (self: ReceivedFiles.ReceivedFiles, directory: string) {
  const files = yield* FileSystem.FileSystem
  const done = yield* Effect.orElseSucceed(JsonFile.load(`${directory}.done`, Done), Option.none)
  const nowMs = yield* Clock.currentTimeMillis
  if (Option.isNone(done) || nowMs - done.value.atMs > ReceivedFiles.REMEMBERED_MS) return undefined
  const isThere = yield* Effect.orElseSucceed(files.exists(`${self.places.received}/${done.value.name}`), () => false)
  return isThere ? done.value.name : undefined
})

/** One for each path, because two files of a directory may have the same content. */
const partialName = ({ directory, manifest }: Tree, { name }: FileFacts): string =>
  `${keyOf(directory)}-${[...manifest.files.keys()].indexOf(name)}.part`

const ID = /^[0-9a-f]{32}$/
const Done = Schema.Struct({ v: Schema.Literal(1), name: Schema.String, atMs: Schema.Finite })
