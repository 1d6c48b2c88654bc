/**
 * What a peer may see and pull (`FileShares`), found on the disk when it asks: a path leads only to what lies inside the
 * share, links that lead out of it included.
 */
import { Effect, FileSystem } from "effect"
import type { Crypto } from "../../core/crypto/Crypto.ts"
import * as RelativePath from "../../protocol/exchange/RelativePath.ts"
import { ENTRIES_MAX, type Entry, type Of, type Refusal } from "../../protocol/wire/ExchangeRequest.ts"
import * as DirectoryWalk from "./DirectoryWalk.ts"
import * as FileDigest from "./FileDigest.ts"
import * as FileShares from "./FileShares.ts"

/** Who asks: a trusted peer, by the key it is trusted under and those it follows from (security rule 9), base64. */
export interface Asker {
  readonly node: number
  readonly publicKeys: ReadonlyArray<string>
  /** What the policy says of a path that is, or is not, shared with it. */
  readonly mayPull: (path: string, isExposed: boolean) => boolean
}

/** What a path leads to. */
export type Found =
  | (Shared & { readonly _tag: "File"; readonly sizeBytes: number })
  | (Shared & { readonly _tag: "Directory" })

interface Shared {
  readonly name: string
  readonly path: string
  /** Its owner shares it with the peer; else a rule of the policy grants it. */
  readonly isExposed: boolean
}

type Refused = Of<"refused">
type Disk = FileSystem.FileSystem

/** What is in a directory, or which shares there are for this peer. */
export const list = Effect.fnUntraced(function* (
  home: string,
  asker: Asker,
  path: string
): Effect.fn.Return<Of<"entries">, Refused, Disk> {
  const files = yield* FileSystem.FileSystem
  if (path === "") {
    const shares = (yield* load(home)).filter((share) => asker.mayPull(share.name, isShared(share, asker)))
    const rows = yield* Effect.forEach(shares, ({ name, path: at }) => entry(at, name))
    return { op: "entries", entries: rows.flat() }
  }
  const found = yield* find(home, asker, path)
  if (found._tag === "File")
    return { op: "entries", entries: [{ name: found.name, kind: "file", bytes: found.sizeBytes }] }
  const names = yield* Effect.mapError(files.readDirectory(found.path), gone)
  const rows = yield* Effect.forEach(
    names.toSorted().slice(0, ENTRIES_MAX),
    (name) => entry(`${found.path}/${name}`, name),
    {
      concurrency: STATS_AT_ONCE
    }
  )
  return { op: "entries", entries: rows.flat() }
})

/** What stands behind a path, for this peer. Not shared with it and not there look the same. */
export const find = Effect.fnUntraced(function* (
  home: string,
  asker: Asker,
  path: string
): Effect.fn.Return<Found, Refused, Disk> {
  const files = yield* FileSystem.FileSystem
  const names = RelativePath.parse(path)
  if (names === undefined) return yield* Effect.fail(refuse("Invalid", "not a path in a share"))
  const share = (yield* load(home)).find(({ name }) => name === names[0])
  if (share === undefined) return yield* Effect.fail(GONE)
  const isExposed = isShared(share, asker)
  if (!asker.mayPull(names.join("/"), isExposed)) return yield* Effect.fail(GONE)
  const root = yield* Effect.mapError(files.realPath(share.path), gone)
  const real = yield* Effect.mapError(files.realPath([root, ...names.slice(1)].join("/")), gone)
  if (real !== root && !real.startsWith(root.endsWith("/") ? root : `${root}/`)) return yield* Effect.fail(GONE)
  const info = yield* Effect.mapError(files.stat(real), gone)
  const name = names.at(-1) ?? ""
  if (info.type === "Directory") return { _tag: "Directory", name, path: real, isExposed }
  if (info.type !== "File") return yield* Effect.fail(GONE)
  return { _tag: "File", name, path: real, sizeBytes: Number(info.size), isExposed }
})

const isShared = (share: FileShares.Share, { publicKeys }: Asker): boolean => FileShares.isAllowed(share, publicKeys)

/** All files of a directory that the peer may pull, to be pulled one by one. `asked`: how it calls the directory. */
export const manifest = Effect.fnUntraced(function* (
  { isExposed, name, path }: Extract<Found, { readonly _tag: "Directory" }>,
  { mayPull }: Asker,
  asked: string
): Effect.fn.Return<Of<"manifest">, Refused, Disk> {
  const walked = yield* Effect.mapError(DirectoryWalk.walk(path), (error) =>
    error._tag === "TooManyEntries" ? refuse("TooLarge", error.message) : GONE
  )
  return {
    op: "manifest",
    name,
    files: walked.files
      .filter((file) => mayPull(`${asked}/${file.path}`, isExposed))
      .map((file) => [file.path, file.sizeBytes]),
    directories: walked.directories
  }
})

/** Digests of files that were pulled lately, so that a resumed pull need not wait for gigabytes to be read. */
export class DigestMemory {
  readonly #known = new Map<string, FileDigest.FileVersion>()

  /** The digest of the file as it is now. */
  read(
    path: string,
    progress: (doneBytes: number, sizeBytes: number) => Effect.Effect<void>
  ): Effect.Effect<FileDigest.FileVersion, Refused, Crypto | Disk> {
    return Effect.gen({ self: this }, function* () {
      const known = this.#known.get(path)
      if (known !== undefined && (yield* Effect.mapError(FileDigest.isSame(path, known), gone))) return known
      const version = yield* Effect.mapError(FileDigest.read(path, progress), gone)
      this.#known.delete(path)
      this.#known.set(path, version)
      if (this.#known.size > DIGESTS_MAX) this.#known.delete(this.#known.keys().next().value ?? "")
      return version
    })
  }
}

/** A row for what is there; none for what is not, or is neither file nor directory. */
const entry = Effect.fnUntraced(function* (path: string, name: string) {
  const files = yield* FileSystem.FileSystem
  const info = yield* Effect.orElseSucceed(files.lstat(path), () => undefined)
  const rows: ReadonlyArray<Entry> =
    info?.type === "Directory"
      ? [{ name, kind: "directory", bytes: 0 }]
      : info?.type === "File"
        ? [{ name, kind: "file", bytes: Number(info.size) }]
        : []
  return rows
})

const load = (home: string): Effect.Effect<ReadonlyArray<FileShares.Share>, Refused, Disk> =>
  Effect.mapError(FileShares.load(home), () => refuse("Failed", "the list of shares cannot be read"))

const refuse = (reason: Refusal, detail: string): Refused => ({ op: "refused", reason, detail })

const GONE = refuse("NotFound", "nothing of that name is shared with you")
const gone = (): Refused => GONE

const STATS_AT_ONCE = 16
/** Files whose digests are remembered. */
export const DIGESTS_MAX = 256
