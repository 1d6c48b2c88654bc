/** The regular files and the directories below a directory. Links and devices are left out, and counted. */
import { Effect, FileSystem, type PlatformError, Schema } from "effect"
import * as RelativePath from "../../protocol/exchange/RelativePath.ts"
import { ENTRIES_MAX } from "../../protocol/wire/ExchangeRequest.ts"
import * as FileDigest from "./FileDigest.ts"

/** Paths are relative, with `/` between names, in the order of their names. */
export interface Walked {
  readonly files: ReadonlyArray<WalkedFile>
  readonly directories: ReadonlyArray<string>
  readonly sizeBytes: number
  /** What is neither a regular file nor a directory. */
  readonly skipped: number
}

/** One file. */
export interface WalkedFile {
  readonly path: string
  readonly sizeBytes: number
  readonly changedAtMs: number
}

/** More than a directory may have to be sent as one. */
export class TooManyEntries extends Schema.TaggedError<TooManyEntries>()("TooManyEntries", { limit: Schema.Finite }) {
  override get message(): string {
    return `more than ${this.limit} files and directories, or too deep`
  }
}

/** Walks in the order of names, so that the same directory gives the same list. */
export const walk = Effect.fnUntraced(function* (
  root: string
): Effect.fn.Return<Walked, PlatformError.PlatformError | TooManyEntries, FileSystem.FileSystem> {
  const fileSystem = yield* FileSystem.FileSystem
  const files: Array<WalkedFile> = []
  const directories: Array<string> = []
  let skipped = 0
  let sizeBytes = 0
  const visit: (at: string, depth: number) => Effect.Effect<void, PlatformError.PlatformError | TooManyEntries> =
    Effect.fnUntraced(function* (at, depth) {
      for (const name of (yield* fileSystem.readDirectory(`${root}${at === "" ? "" : `/${at}`}`)).toSorted()) {
        const path = at === "" ? name : `${at}/${name}`
        const info = yield* fileSystem.lstat(`${root}/${path}`)
        if (info.type === "Directory") directories.push(path)
        else if (info.type === "File") {
          files.push({ path, sizeBytes: Number(info.size), changedAtMs: FileDigest.changedAt(info) })
          sizeBytes += Number(info.size)
        } else skipped++
        if (files.length + directories.length > ENTRIES_MAX || depth > RelativePath.DEPTH_MAX)
          return yield* new TooManyEntries({ limit: ENTRIES_MAX })
        if (info.type === "Directory") yield* visit(path, depth + 1)
      }
    })
  yield* visit("", 1)
  return { files, directories, sizeBytes, skipped }
})
