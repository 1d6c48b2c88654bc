/** What lies in a directory, counted. */
import { Effect, FileSystem, type PlatformError } from "effect"
import { type Amount, NOTHING, sum } from "./StoreQuota.ts"

/** All files below; nothing if there is no such directory. Links are counted as what they are, not followed. */
export const measure = (
  directory: string,
  isCounted: (name: string) => boolean = () => true
): Effect.Effect<Amount, PlatformError.PlatformError, FileSystem.FileSystem> =>
  Effect.gen(function* () {
    const files = yield* FileSystem.FileSystem
    const names = yield* ifThere(files.readDirectory(directory), [])
    const amounts = yield* Effect.forEach(
      names.filter(isCounted),
      (name) =>
        Effect.flatMap(ifThere(files.lstat(`${directory}/${name}`), undefined), (info) => {
          if (info === undefined) return Effect.succeed(NOTHING)
          return info.type === "Directory"
            ? measure(`${directory}/${name}`)
            : Effect.succeed({ files: 1, bytes: Number(info.size) })
        }),
      { concurrency: CONCURRENCY }
    )
    return amounts.reduce(sum, NOTHING)
  })

/** Somebody may take a file away while it is counted. */
const ifThere = <A>(
  effect: Effect.Effect<A, PlatformError.PlatformError>,
  orElse: A
): Effect.Effect<A, PlatformError.PlatformError> =>
  Effect.catchIf(
    effect,
    ({ reason }) => reason._tag === "NotFound",
    () => Effect.succeed(orElse)
  )

const CONCURRENCY = 16
