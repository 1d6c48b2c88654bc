/** A directory for its owner alone, made with its parents. */
import { Effect, FileSystem, Path, PlatformError } from "effect"

/**
 * Makes it, mode 0700, unless it is there. Level by level, because Node's own recursive way never returns where a
 * directory exists and yet nothing can be made in it (`/proc`).
 */
export const make = Effect.fn("PrivateDirectory.make")(function* (
  path: string
): Effect.fn.Return<void, PlatformError.PlatformError, FileSystem.FileSystem | Path.Path> {
  const files = yield* FileSystem.FileSystem
  const { dirname } = yield* Path.Path
  const missing: Array<string> = []
  for (let level = path; missing.length < LEVELS_MAX && !(yield* files.exists(level)); level = dirname(level))
    missing.unshift(level)
  for (const level of missing)
    yield* Effect.catchIf(files.makeDirectory(level, { mode: OWNER_ONLY }), isThere, () => Effect.void)
  const { type } = yield* files.stat(path)
  if (type !== "Directory") return yield* notDirectory(path)
})

/** Somebody was faster. */
const isThere = (error: PlatformError.PlatformError): boolean => error.reason._tag === "AlreadyExists"

const notDirectory = (path: string) =>
  PlatformError.systemError({
    module: "FileSystem",
    method: "makeDirectory",
    _tag: "AlreadyExists",
    pathOrDescriptor: path,
    description: "it is not a directory"
  })

const OWNER_ONLY = 0o700
/** Deeper paths are longer than any system takes. */
const LEVELS_MAX = 256
