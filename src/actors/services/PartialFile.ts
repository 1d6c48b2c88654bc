/**
 * A file that is coming in pieces, over several attempts if need be. What has arrived lies in one file, and beside it how
 * much of that is surely on disk: after a crash the rest is asked for again, because a file may be as long as it was and
 * still not hold what was written.
 */
import { Effect, Fiber, FileSystem, Option, type Path, PlatformError, Schema, type Scope } from "effect"
import * as Provided from "../../core/actor/Provided.ts"
import { Crypto } from "../../core/crypto/Crypto.ts"
import * as JsonFile from "../../core/storage/JsonFile.ts"

/** An open one. One user, who writes in order. */
export interface PartialFile {
  readonly path: string
  /** Bytes that are there, from the beginning. */
  readonly offset: () => number
  readonly append: (bytes: Uint8Array) => Effect.Effect<void, PlatformError.PlatformError>
  /** SHA-256 of everything that is there. The last thing to ask before `sync`. */
  readonly digest: Effect.Effect<Uint8Array, PlatformError.PlatformError>
  /** Returns when everything is on disk. */
  readonly sync: Effect.Effect<void, PlatformError.PlatformError>
}

/** What may fail, besides the disk. */
export type OpenError = PlatformError.PlatformError | JsonFile.JsonFileError

/**
 * Opens what is there, or begins. When the scope ends, and each `MARK_BYTES` in between, what has arrived becomes sure.
 */
export const open = Effect.fnUntraced(function* (
  path: string
): Effect.fn.Return<PartialFile, OpenError, Crypto | FileSystem.FileSystem | Path.Path | Scope.Scope> {
  const services = yield* Provided.services<Crypto | FileSystem.FileSystem | Path.Path>()
  const files = yield* FileSystem.FileSystem
  const present = yield* sizeOf(path)
  const marked = Option.match(yield* JsonFile.load(markPath(path), Mark), {
    onNone: () => 0,
    onSome: (mark) => mark.sure
  })
  const begin = Math.min(marked, present ?? 0)
  const file = yield* files.open(path, { flag: present === undefined ? "w+" : "r+", mode: OWNER_ONLY })
  if (present !== undefined && present > begin) yield* file.truncate(begin)
  yield* file.seek(BigInt(begin), "start")

  let written = begin
  let sure = begin
  let isMarking = false
  let isFinished = false
  const mark = Effect.suspend(() => {
    const reached = written
    return Effect.andThen(file.sync, JsonFile.save(markPath(path), Mark, { v: 1, sure: reached })).pipe(
      Effect.andThen(
        Effect.sync(() => {
          sure = reached
        })
      )
    )
  })
  const markSoon = Effect.suspend(() => {
    if (isMarking || written - sure < MARK_BYTES) return Effect.void
    isMarking = true
    const done = Effect.sync(() => {
      isMarking = false
    })
    // A mark that cannot be written costs bytes after a crash, and nothing else.
    return Effect.asVoid(Effect.forkIn(Effect.ensuring(Effect.ignore(mark), done), scope))
  })
  const scope = yield* Effect.scope
  const hash = yield* hashed(file, () => written)
  yield* Effect.addFinalizer(() =>
    Effect.suspend(() => (isFinished || written === sure ? Effect.void : Effect.ignore(mark))).pipe(
      Effect.provideContext(services)
    )
  )
  return {
    path,
    offset: () => written,
    append: (bytes) =>
      Effect.andThen(
        file.writeAll(bytes),
        Effect.suspend(() => {
          hash.follow(written, bytes)
          written += bytes.length
          return Effect.provideContext(markSoon, services)
        })
      ),
    digest: hash.digest,
    sync: Effect.andThen(
      file.sync,
      Effect.sync(() => {
        isFinished = true
      })
    )
  }
})

/** Takes away what came, and what is known of it. */
export const remove = Effect.fnUntraced(function* (path: string) {
  const files = yield* FileSystem.FileSystem
  yield* files.remove(path, { force: true })
  yield* files.remove(markPath(path), { force: true })
})

/** The part of it that stays behind when the file itself was moved to its place. */
export const markPath = (path: string): string => `${path}.json`

/** What is there, as far as anybody can tell without opening it. */
export const sizeOf = (
  path: string
): Effect.Effect<number | undefined, PlatformError.PlatformError, FileSystem.FileSystem> =>
  Effect.flatMap(FileSystem.FileSystem, (files) => files.stat(path)).pipe(
    Effect.map(({ size }) => Number(size)),
    Effect.catchIf(
      ({ reason }) => reason._tag === "NotFound",
      () => Effect.undefined
    )
  )

/**
 * The digest keeps up with what is written. What lay there before is read in the background, so that a sender need not wait
 * until gigabytes are hashed before it may go on.
 */
const hashed = Effect.fnUntraced(function* (
  file: FileSystem.File,
  written: () => number
): Effect.fn.Return<
  { readonly follow: (offset: number, bytes: Uint8Array) => void; readonly digest: PartialFile["digest"] },
  never,
  Crypto | Scope.Scope
> {
  const crypto = yield* Crypto
  const hash = crypto.hashing()
  let done = 0
  let isReading = false
  const readOne = Effect.suspend(() => {
    const sizeBytes = Math.min(READ_BYTES, written() - done)
    return Effect.flatMap(file.readAlloc(sizeBytes, { position: BigInt(done) }), (block) => {
      if (Option.isNone(block)) return shorter
      hash.update(block.value)
      done += block.value.length
      return Effect.void
    })
  })
  const catchUp: Effect.Effect<void, PlatformError.PlatformError> = Effect.suspend(() => {
    if (done >= written()) return Effect.void
    isReading = true
    return Effect.ensuring(
      Effect.whileLoop({ while: () => done < written(), body: () => readOne, step: () => {} }),
      Effect.sync(() => {
        isReading = false
      })
    )
  })
  const background = yield* Effect.forkScoped(Effect.exit(catchUp), { startImmediately: true })
  return {
    follow: (offset, bytes) => {
      if (isReading || done !== offset) return
      hash.update(bytes)
      done += bytes.length
    },
    digest: Effect.flatten(Fiber.join(background)).pipe(
      Effect.andThen(catchUp),
      Effect.andThen(Effect.sync(hash.digest))
    )
  }
})

const shorter = Effect.suspend(() =>
  Effect.fail(
    PlatformError.systemError({
      _tag: "UnexpectedEof",
      module: "FileSystem",
      method: "read",
      description: "the file is shorter than what was written to it"
    })
  )
)

const Mark = Schema.Struct({ v: Schema.Literal(1), sure: Schema.Int.check(Schema.isGreaterThanOrEqualTo(0)) })
const OWNER_ONLY = 0o600
/** Bytes that a crash may cost. */
export const MARK_BYTES = 8 << 20
const READ_BYTES = 1 << 20
