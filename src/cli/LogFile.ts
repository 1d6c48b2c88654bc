/**
 * The log of a process in the background: appended to by whoever inherits it as standard output, so that what a crash
 * prints is in it too. It is kept in bounds by the process itself.
 */
import { Duration, Effect, FileSystem } from "effect"

/** Bytes after which a log is moved to `PATH.1`. With the older one, a process keeps about twice as much. */
export const MAX_BYTES = 8 * 1024 * 1024

/**
 * Looks at the log now and every minute, and moves it aside when it is too large. The file stays the same one (it is
 * copied and emptied), because descriptors of this process and of its children append to it. Never ends.
 */
export const bound = (path: string): Effect.Effect<never, never, FileSystem.FileSystem> =>
  Effect.forever(Effect.andThen(Effect.ignore(rotate(path)), Effect.sleep(INTERVAL)))

/** One look. Fails with what the file system said; there is nothing to be done then but to look again. */
export const rotate = Effect.fnUntraced(function* (path: string) {
  const files = yield* FileSystem.FileSystem
  const { size } = yield* files.stat(path)
  if (size <= MAX_BYTES) return
  const older = `${path}.1`
  yield* Effect.ignore(Effect.andThen(files.copyFile(path, older), files.chmod(older, OWNER_ONLY)))
  // Also when it could not be copied: a disk that is full must not be filled further.
  yield* files.truncate(path)
})

const INTERVAL = Duration.minutes(1)
const OWNER_ONLY = 0o600
