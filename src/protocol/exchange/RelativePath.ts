/**
 * A path below a directory as a peer writes it: names with `/` between them. Parsed, it leads nowhere but below.
 */
import { Result } from "effect"
import * as Bytes from "../../core/data/Bytes.ts"
import * as StoredName from "./StoredName.ts"

/** The names of a path that asks for something that exists here; `undefined` for one that could lead elsewhere. */
export const parse = (path: string): ReadonlyArray<string> | undefined => {
  if (path === "") return []
  const names = path.split("/")
  return names.length <= DEPTH_MAX && Bytes.fromUtf8(path).length <= PATH_BYTES_MAX && names.every(isPlain)
    ? names
    : undefined
}

/** The path under which a peer's file of this path is stored: every name made safe by `StoredName`. */
export const toStored = (path: string): Result.Result<string, StoredName.NameRefused> => {
  const names = path.split("/")
  if (names.length > DEPTH_MAX || path.length > PATH_BYTES_MAX)
    return Result.fail({ _tag: "NameRefused", detail: "the path is too long" })
  const safe = names.map(StoredName.element)
  const refused = safe.find(Result.isFailure)
  return refused === undefined
    ? Result.succeed(safe.map((name) => Result.getOrElse(name, () => "")).join("/"))
    : Result.fail(refused.failure)
}

/** What file systems that know no case take for the same path. */
export const folded = (path: string): string => path.normalize("NFKC").toLowerCase().normalize("NFKC")

/** One that is used as it stands: whatever the file system allows in a name, and no more. */
const isPlain = (name: string): boolean =>
  name !== "" && name !== "." && name !== ".." && !name.includes("\0") && !name.includes("\\") && name.isWellFormed()

/** Directories within directories. */
export const DEPTH_MAX = 64
/** As long as systems take a path. */
export const PATH_BYTES_MAX = 4096
