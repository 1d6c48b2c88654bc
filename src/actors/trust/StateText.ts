/** Reading the small state files of a node. */
import { Effect, FileSystem, type PlatformError } from "effect"

/** The text of a file; `undefined` when there is none. */
export const read = (
  path: string
): Effect.Effect<string | undefined, PlatformError.PlatformError, FileSystem.FileSystem> =>
  Effect.flatMap(FileSystem.FileSystem, (files) => files.readFileString(path)).pipe(
    Effect.catchIf(
      (error) => error.reason._tag === "NotFound",
      () => Effect.undefined
    )
  )
