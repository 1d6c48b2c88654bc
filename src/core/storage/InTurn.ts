/**
 * One after another, over all processes of this host: whoever comes while another is at work waits for it, for a few seconds.
 * Used for files that several processes write.
 */
import { Effect, FileSystem, Schedule } from "effect"
import { DirectoryLock, LockError } from "./DirectoryLock.ts"

/** Runs while nobody else runs anything for the same `path`; a directory `….lock` beside it says so. */
export const run = <A, E, R>(
  path: string,
  work: Effect.Effect<A, E, R>
): Effect.Effect<A, E | LockError, R | DirectoryLock | FileSystem.FileSystem> =>
  Effect.scoped(
    Effect.gen(function* () {
      const files = yield* FileSystem.FileSystem
      const lock = yield* DirectoryLock
      // A directory of its own: that of the state belongs to the daemon.
      const directory = `${path}.lock`
      yield* files
        .makeDirectory(directory, { recursive: true, mode: 0o700 })
        .pipe(Effect.mapError(({ message }) => new LockError({ reason: "Other", directory, detail: message })))
      yield* lock.acquire(directory).pipe(
        Effect.retry({
          schedule: Schedule.spaced(RETRY_MS),
          times: RETRIES_MAX,
          while: ({ reason }) => reason === "Held"
        })
      )
      return yield* work
    })
  ) as Effect.Effect<A, E | LockError, R | DirectoryLock | FileSystem.FileSystem>

/** A change takes a few milliseconds. */
const RETRY_MS = 20
const RETRIES_MAX = 250
