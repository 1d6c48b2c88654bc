/**
 * The content of a directory as a peer announces it: its paths made safe, and refused as a whole when two would be stored
 * in one place, or a file would have to be a directory as well.
 */
import { Result } from "effect"
import type { Of } from "../wire/ExchangeRequest.ts"
import * as RelativePath from "./RelativePath.ts"
import type { NameRefused } from "./StoredName.ts"

/** What is to come. */
export interface TreeManifest {
  /** By the path the sender uses: the safe one, and the size that was announced. */
  readonly files: ReadonlyMap<string, { readonly path: string; readonly sizeBytes: number }>
  /** Safe paths, those of files' parents included, a parent before its children. */
  readonly directories: ReadonlyArray<string>
  readonly sizeBytes: number
}

/** Checks an announcement. */
export const make = ({
  directories,
  files
}: Pick<Of<"tree">, "files" | "directories">): Result.Result<TreeManifest, NameRefused> => {
  const stored = new Map<string, { readonly path: string; readonly sizeBytes: number }>()
  const folders = new Map<string, string>()
  const taken = new Set<string>()
  let total = 0
  for (const [claimed, sizeBytes] of files) {
    const path = RelativePath.toStored(claimed)
    if (Result.isFailure(path)) return Result.fail(path.failure)
    const key = RelativePath.folded(path.success)
    if (taken.has(key)) return refuse(`two files of one name: ${path.success}`)
    taken.add(key)
    stored.set(claimed, { path: path.success, sizeBytes })
    addParents(folders, path.success)
    total += sizeBytes
  }
  for (const claimed of directories) {
    const path = RelativePath.toStored(claimed)
    if (Result.isFailure(path)) return Result.fail(path.failure)
    addParents(folders, `${path.success}/`)
  }
  for (const key of folders.keys())
    if (taken.has(key)) return refuse(`a file and a directory of one name: ${folders.get(key)}`)
  if (!Number.isSafeInteger(total)) return refuse("the sizes add up to nonsense")
  return Result.succeed({ files: stored, directories: [...folders.values()].toSorted(), sizeBytes: total })
}

/** Directories that differ only in case are one. */
const addParents = (folders: Map<string, string>, path: string): void => {
  for (let end = path.indexOf("/"); end >= 0; end = path.indexOf("/", end + 1)) {
    const folder = path.slice(0, end)
    const key = RelativePath.folded(folder)
    if (!folders.has(key)) folders.set(key, folder)
  }
}

const refuse = (detail: string): Result.Result<never, NameRefused> => Result.fail({ _tag: "NameRefused", detail })
