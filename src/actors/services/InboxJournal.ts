/**
 * What the inbox has acknowledged while the files of its messages may not be on the disk yet (record 0079): many messages in
 * one file that one sync makes sure of. Half a minute later the system has written most of the files themselves; then they
 * are synced, and what was noted of them goes.
 *
 * A journal that is found at a start was left by a crash. Within one boot of the machine every file is as it was written, and
 * one that is missing was taken away by its reader. After another boot, what is missing or torn is written again.
 */
import { Clock, Deferred, Effect, Exit, FileSystem, Latch, type PlatformError, Scope, Semaphore } from "effect"
import * as Bytes from "../../core/data/Bytes.ts"
import * as Crc32 from "../../core/data/Crc32.ts"
import * as Json from "../../core/data/Json.ts"
import * as ExchangePlaces from "./ExchangePlaces.ts"

/** A message in the inbox: the name of its file, and what is in it. */
export interface Entry {
  readonly name: string
  readonly content: Uint8Array
}

/** The journal at work. */
export interface InboxJournal {
  /** Returns when all of them are on disk, here if not in their files; those of several callers share a sync. */
  readonly append: (entries: ReadonlyArray<Entry>) => Effect.Effect<void, PlatformError.PlatformError>
}

/** Restores what a crash has left, then notes what comes until the scope ends, which syncs what is not yet. */
export const open = Effect.fnUntraced(function* (
  places: ExchangePlaces.ExchangePlaces
): Effect.fn.Return<InboxJournal, never, FileSystem.FileSystem | Scope.Scope> {
  const files = yield* FileSystem.FileSystem
  const boot = yield* Effect.orElseSucceed(files.readFileString(BOOT_ID), () => "")
  yield* restored(places, boot)
  const changing = yield* Semaphore.make(1)
  const hasEntries = Latch.makeUnsafe(false)
  let current: Generation | undefined
  let waiting: Array<Waiting> = []
  let count = 0

  const begin = Effect.gen(function* () {
    const scope = yield* Scope.make()
    const path = ExchangePlaces.journal(places, `${yield* Clock.currentTimeNanos}-${count++}`)
    const begun = Effect.gen(function* () {
      const file = yield* Scope.provide(files.open(path, { flag: "wx", mode: OWNER_ONLY }), scope)
      yield* file.writeAll(lineOf({ boot }))
      yield* ExchangePlaces.syncDirectory(places.transfers)
      return { path, file, scope, names: [], sizeBytes: 0 } satisfies Generation
    })
    return yield* Effect.onError(begun, () => Scope.close(scope, Exit.void))
  })
  /** Ends the one that is written: the next message begins another. */
  const ended = Effect.suspend(() => {
    const generation = current
    current = undefined
    hasEntries.closeUnsafe()
    return generation === undefined ? Effect.undefined : Effect.as(Scope.close(generation.scope, Exit.void), generation)
  })
  const settled = (generation: Generation | undefined) =>
    generation === undefined
      ? Effect.void
      : Effect.andThen(syncAll(places, generation.names), files.remove(generation.path)).pipe(
          Effect.catch(({ message }) => Effect.logError(`inbox: the journal is kept: ${message}`))
        )
  const append = Effect.fnUntraced(function* (entries: ReadonlyArray<Entry>) {
    if (current !== undefined && current.sizeBytes >= GENERATION_BYTES_MAX) yield* settled(yield* ended)
    const generation = current ?? (yield* begin)
    current = generation
    hasEntries.openUnsafe()
    const lines = Bytes.concat(
      ...entries.map(({ content, name }) => lineOf({ name, content: Bytes.toUtf8Lossy(content) }))
    )
    // Nothing may follow a line that is cut, so a journal that could not be written is written no more.
    yield* Effect.onError(Effect.andThen(generation.file.writeAll(lines), generation.file.sync), () =>
      Effect.flatMap(ended, settled)
    )
    generation.sizeBytes += lines.length
    for (const { name } of entries) generation.names.push(name)
  })
  /** What has come while the disk worked is noted together. */
  const appendWaiting = Effect.suspend(() => {
    const group = waiting
    waiting = []
    if (group.length === 0) return Effect.void
    return Effect.flatMap(Effect.exit(append(group.flatMap(({ entries }) => entries))), (exit) =>
      Effect.forEach(group, ({ noted }) => Deferred.done(noted, exit), { discard: true })
    )
  }).pipe(changing.withPermit, Effect.uninterruptible, Effect.provideService(FileSystem.FileSystem, files))

  const sweep = Effect.uninterruptibleMask((restore) =>
    Effect.gen(function* () {
      yield* restore(Effect.andThen(hasEntries.await, Effect.sleep(GENERATION_AGE)))
      const generation = yield* changing.withPermit(ended)
      // Left alone that long, most of it reaches the disk without being waited for.
      yield* Effect.ensuring(restore(Effect.sleep(WRITTEN_BACK_AFTER)), settled(generation))
    })
  )
  yield* Effect.addFinalizer(() => changing.withPermit(Effect.flatMap(ended, settled)))
  yield* Effect.forkScoped(Effect.forever(sweep))
  return {
    append: (entries) =>
      Effect.suspend(() => {
        const noted = Deferred.makeUnsafe<void, PlatformError.PlatformError>()
        waiting.push({ entries, noted })
        return Effect.andThen(appendWaiting, Deferred.await(noted))
      })
  }
})

/** Entries whose sender waits. */
interface Waiting {
  readonly entries: ReadonlyArray<Entry>
  readonly noted: Deferred.Deferred<void, PlatformError.PlatformError>
}

/** A journal is a file of lines, the first of which names the boot; what is in it is also in files with these names. */
interface Generation {
  readonly path: string
  readonly file: FileSystem.File
  readonly scope: Scope.Closeable
  readonly names: Array<string>
  sizeBytes: number
}

/** A journal that cannot be read or whose messages cannot be written stays for the next start. */
const restored = Effect.fnUntraced(function* (places: ExchangePlaces.ExchangePlaces, boot: string) {
  const files = yield* FileSystem.FileSystem
  const names = yield* Effect.orElseSucceed(files.readDirectory(places.transfers), () => [])
  for (const name of names.filter(ExchangePlaces.isJournal).toSorted()) {
    const path = `${places.transfers}/${name}`
    const one = Effect.gen(function* () {
      const [head, ...entries] = linesIn(yield* files.readFile(path))
      const isSameBoot = boot !== "" && Json.string(head ?? {}, "boot") === boot
      const known = entries.map((line) => Json.string(line, "name"))
      if (!isSameBoot) yield* Effect.forEach(entries, (entry) => rewrite(places, entry), { discard: true })
      yield* syncAll(places, known)
      yield* files.remove(path)
    })
    yield* Effect.catch(one, ({ message }) => Effect.logError(`inbox: ${path} cannot be restored: ${message}`))
  }
})

/** Unless the file is there as it was. */
const rewrite = Effect.fnUntraced(function* (places: ExchangePlaces.ExchangePlaces, entry: Json.JsonObject) {
  const files = yield* FileSystem.FileSystem
  const [name, content] = [Json.string(entry, "name"), Json.string(entry, "content")]
  const path = `${places.inbox}/${name}`
  const there = yield* Effect.orElseSucceed(files.readFileString(path), () => undefined)
  if (there === content) return
  const temporary = ExchangePlaces.temporary(places, name)
  yield* files.remove(temporary, { force: true })
  yield* ExchangePlaces.writeSynced(temporary, Bytes.fromUtf8(content))
  yield* files.makeDirectory(places.inbox, { recursive: true, mode: OWNER_ALONE })
  yield* files.rename(temporary, path)
})

/** Files of the inbox and their names; those that were taken away meanwhile are nobody's concern. */
const syncAll = Effect.fnUntraced(function* (places: ExchangePlaces.ExchangePlaces, names: ReadonlyArray<string>) {
  const files = yield* FileSystem.FileSystem
  const ifThere = <R>(effect: Effect.Effect<void, PlatformError.PlatformError, R>) =>
    Effect.catchIf(
      effect,
      ({ reason }) => reason._tag === "NotFound",
      () => Effect.void
    )
  const sync = (name: string) =>
    Effect.scoped(Effect.flatMap(files.open(`${places.inbox}/${name}`, { flag: "r+" }), (file) => file.sync))
  yield* Effect.forEach(names, (name) => ifThere(sync(name)), { concurrency: SYNCS_AT_ONCE, discard: true })
  yield* ifThere(ExchangePlaces.syncDirectory(places.inbox))
})

/** Its check, then what it says. */
const lineOf = (value: Json.JsonObject): Uint8Array => {
  const text = Bytes.fromUtf8(JSON.stringify(value))
  return Bytes.concat(Bytes.fromUtf8(`${checkOf(text)} `), text, NEWLINE)
}

/** Up to the first that a crash has cut: what follows it was not acknowledged. */
const linesIn = (bytes: Uint8Array): ReadonlyArray<Json.JsonObject> => {
  const lines: Array<Json.JsonObject> = []
  for (let start = 0; ; ) {
    const end = bytes.indexOf(NEWLINE[0]!, start)
    if (end < start + CHECK_CHARACTERS + 1) return lines
    const text = bytes.subarray(start + CHECK_CHARACTERS + 1, end)
    const isWhole = Bytes.toUtf8(bytes.subarray(start, start + CHECK_CHARACTERS)) === checkOf(text)
    const value = isWhole ? Json.parseObject(Bytes.toUtf8Lossy(text)) : undefined
    if (value === undefined) return lines
    lines.push(value)
    start = end + 1
  }
}

const checkOf = (text: Uint8Array): string => Bytes.toHex(Bytes.ofU32(Crc32.checksum(text)))

const CHECK_CHARACTERS = 8
const NEWLINE = Uint8Array.of(0x0a)
/** Of Linux; elsewhere every start counts as one after another boot. */
const BOOT_ID = "/proc/sys/kernel/random/boot_id"
const GENERATION_AGE = "30 seconds"
/** Linux writes what is half a minute old, and looks every five seconds. */
const WRITTEN_BACK_AFTER = "40 seconds"
/** A journal that has so many bytes is settled before another message is taken. */
const GENERATION_BYTES_MAX = 16_777_216
const SYNCS_AT_ONCE = 4
const OWNER_ONLY = 0o600
const OWNER_ALONE = 0o700
