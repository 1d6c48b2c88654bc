/** The trust table in `trust.json` (node §2.5). */
import { Effect, FileSystem, type Path } from "effect"
import * as Provided from "../../core/actor/Provided.ts"
import * as AtomicFile from "../../core/storage/AtomicFile.ts"
import * as StateText from "./StateText.ts"
import * as TrustFile from "./TrustFile.ts"
import { TrustNotStored, type TrustStore } from "./TrustStore.ts"

/**
 * A file that only its owner can read. One that is no JSON trusts nobody: it is copied to `<path>.unreadable`
 * first, because the next change replaces it.
 */
export const make = Effect.fn("TrustStoreFile.make")(function* (
  path: string
): Effect.fn.Return<TrustStore, never, FileSystem.FileSystem | Path.Path> {
  const services = yield* Provided.services<FileSystem.FileSystem | Path.Path>()
  const notStored = (error: { readonly message: string }) => new TrustNotStored({ path, detail: error.message })
  const keepCopy = Effect.gen(function* () {
    const files = yield* FileSystem.FileSystem
    const copy = `${path}.unreadable`
    yield* files.copyFile(path, copy)
    yield* files.chmod(copy, AtomicFile.OWNER_ONLY)
    yield* Effect.logWarning(`${path} is not JSON and trusts nobody; a copy is kept as ${copy}`)
    return TrustFile.empty
  })
  return {
    load: (nowSeconds) =>
      StateText.read(path).pipe(
        Effect.flatMap((text) =>
          text === undefined
            ? Effect.succeed(TrustFile.empty)
            : Effect.fromNullishOr(TrustFile.decode(text, nowSeconds)).pipe(Effect.catch(() => keepCopy))
        ),
        Effect.mapError(notStored),
        Effect.provide(services)
      ),
    save: (content) =>
      AtomicFile.write(path, TrustFile.encode(content), { mode: AtomicFile.OWNER_ONLY }).pipe(
        Effect.mapError(notStored),
        Effect.provide(services)
      )
  }
})
