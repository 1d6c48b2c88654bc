/**
 * Files that are either the old or the new content, whatever interrupts the writing: a temporary file beside it, synced,
 * renamed over it, and the directory synced, so that success means on disk.
 */
import { Effect, FileSystem, Path, PlatformError, Random } from "effect"

/** `mode` is that of the result, whatever the process's umask and the old file's mode are. */
export interface Options {
  readonly mode: number
}

/** A file that only its owner can read. */
export const OWNER_ONLY = 0o600

/** Replaces or creates `path`. On failure or interruption the old content stays and nothing is left beside it. */
export const write = Effect.fn("AtomicFile.write")(function* (
  path: string,
  content: Uint8Array | string,
  options: Options
): Effect.fn.Return<void, PlatformError.PlatformError, FileSystem.FileSystem | Path.Path> {
  const files = yield* FileSystem.FileSystem
  const { dirname } = yield* Path.Path
  const temporary = `${path}.${(yield* Random.nextInt).toString(36)}.tmp`
  const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content
  const fill = Effect.gen(function* () {
    // `wx` refuses a file or link that somebody laid here in advance.
    const file = yield* files.open(temporary, { flag: "wx", mode: options.mode })
    yield* Effect.onError(
      Effect.gen(function* () {
        yield* files.chmod(temporary, options.mode)
        yield* file.writeAll(bytes)
        yield* file.sync
      }),
      () => Effect.ignore(files.remove(temporary))
    )
  }).pipe(Effect.scoped)
  const replace = files.rename(temporary, path).pipe(Effect.onError(() => Effect.ignore(files.remove(temporary))))
  const syncDirectory = Effect.flatMap(files.open(dirname(path)), (directory) => directory.sync).pipe(Effect.scoped)
  yield* Effect.andThen(Effect.uninterruptible(Effect.andThen(fill, replace)), syncDirectory).pipe(
    Effect.mapError((error) => explained(path, error))
  )
})

/** A full disk has no tag of its own, and a write knows its file by number only: the system's words say both. */
export const explained = (path: string, { reason }: PlatformError.PlatformError): PlatformError.PlatformError =>
  reason._tag === "Unknown" && reason.cause instanceof Error
    ? PlatformError.systemError({ ...reason, pathOrDescriptor: path, description: reason.cause.message })
    : new PlatformError.PlatformError(reason)
