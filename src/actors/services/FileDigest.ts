/** The SHA-256 of a file that a sender announces before the first byte, and of which it makes sure afterwards. */
import { Effect, FileSystem, Option, type PlatformError, type Scope } from "effect"
import { Crypto } from "../../core/crypto/Crypto.ts"

/** A file at one moment. */
export interface FileVersion {
  readonly sizeBytes: number
  /** Milliseconds since 1970; 0 where nobody knows. */
  readonly changedAtMs: number
  readonly digest: Uint8Array
}

/** Reads the whole file; `progress` is called after each piece. */
export const read = Effect.fnUntraced(function* (
  path: string,
  progress: (doneBytes: number, sizeBytes: number) => Effect.Effect<void> = () => Effect.void
): Effect.fn.Return<FileVersion, PlatformError.PlatformError, Crypto | FileSystem.FileSystem | Scope.Scope> {
  const files = yield* FileSystem.FileSystem
  const hash = (yield* Crypto).hashing()
  const file = yield* files.open(path)
  const info = yield* file.stat
  const expected = Number(info.size)
  let done = 0
  while (true) {
    const block = yield* file.readAlloc(PIECE_BYTES, { position: BigInt(done) })
    if (Option.isNone(block)) break
    hash.update(block.value)
    done += block.value.length
    yield* progress(done, Math.max(done, expected))
  }
  return { sizeBytes: done, changedAtMs: changedAt(info), digest: hash.digest() }
}, Effect.scoped)

/** Whether the file is still what it was. */
export const isSame = (
  path: string,
  { changedAtMs, sizeBytes }: FileVersion
): Effect.Effect<boolean, PlatformError.PlatformError, FileSystem.FileSystem> =>
  Effect.map(
    Effect.flatMap(FileSystem.FileSystem, (files) => files.stat(path)),
    (info) => Number(info.size) === sizeBytes && changedAt(info) === changedAtMs
  )

/** When it was changed last. */
export const changedAt = ({ mtime }: FileSystem.File.Info): number =>
  Option.match(mtime, { onNone: () => 0, onSome: (time) => time.getTime() })

const PIECE_BYTES = 1 << 20
