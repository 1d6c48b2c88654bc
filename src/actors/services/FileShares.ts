/**
 * The files and directories that this node lets peers pull, and which peers: `shares/shares.json` in the state directory,
 * written by its owner's commands. A share names whom it is for by key; it is for nobody else (security rules 1 and 3).
 */
import { Effect, FileSystem, Option, Path, Result, Schedule, Schema } from "effect"
import { DirectoryLock } from "../../core/storage/DirectoryLock.ts"
import * as JsonFile from "../../core/storage/JsonFile.ts"
import * as PrivateDirectory from "../../core/storage/PrivateDirectory.ts"
import * as StoredName from "../../protocol/exchange/StoredName.ts"

/** A peer that may pull: its key decides, address and name are for people. */
export const SharePeer = Schema.Struct({ node: Schema.Int, publicKey: Schema.String, name: Schema.String })
/** One peer of a share. */
export type SharePeer = typeof SharePeer.Type

/** One shared file or directory. */
export const Share = Schema.Struct({
  name: Schema.String,
  /** Absolute. */
  path: Schema.String,
  allowed: Schema.Array(SharePeer),
  /** Every trusted peer, as its owner said. */
  allowTrusted: Schema.Boolean,
  createdAtSeconds: Schema.Int
})
/** One shared file or directory. */
export type Share = typeof Share.Type

/** A share cannot be made, or found. */
export class ShareError extends Schema.TaggedError<ShareError>()("ShareError", {
  reason: Schema.Literals(["NotFound", "Taken", "Invalid", "TooMany", "Unusable"]),
  detail: Schema.String
}) {
  override get message(): string {
    return this.detail
  }
}

type Disk = FileSystem.FileSystem

/** The shares, by the order in which they were made; none if there is no file. */
export const load = (home: string): Effect.Effect<ReadonlyArray<Share>, ShareError, Disk> =>
  JsonFile.load(fileOf(home), File).pipe(
    Effect.map(Option.match({ onNone: () => [], onSome: ({ shares }) => shares })),
    Effect.mapError(unusable)
  )

/** Adds a share, or replaces the one of the same name and path. */
export const add = Effect.fn("FileShares.add")(function* (
  home: string,
  options: {
    readonly path: string
    readonly name?: string | undefined
    readonly allowed: ReadonlyArray<SharePeer>
    readonly allowTrusted: boolean
    readonly nowSeconds: number
  }
): Effect.fn.Return<Share, ShareError, Disk | Path.Path | DirectoryLock> {
  const files = yield* FileSystem.FileSystem
  const paths = yield* Path.Path
  const path = yield* Effect.mapError(
    files.realPath(paths.resolve(options.path)),
    () => new ShareError({ reason: "NotFound", detail: `file not found: ${options.path}` })
  )
  const name = options.name ?? paths.basename(path)
  const safe = StoredName.element(name)
  if (Result.isFailure(safe) || safe.success !== name)
    return yield* new ShareError({ reason: "Invalid", detail: `not a name for a share: ${JSON.stringify(name)}` })
  const share: Share = {
    name,
    path,
    allowed: options.allowed,
    allowTrusted: options.allowTrusted,
    createdAtSeconds: options.nowSeconds
  }
  return yield* change(home, (shares) => {
    const same = shares.find((other) => other.name === name)
    if (same !== undefined && same.path !== path)
      return Result.fail(new ShareError({ reason: "Taken", detail: `the name ${name} is shared as ${same.path}` }))
    if (same === undefined && shares.length >= SHARES_MAX)
      return Result.fail(new ShareError({ reason: "TooMany", detail: `more than ${SHARES_MAX} shares` }))
    return Result.succeed([[...shares.filter((other) => other !== same), share], share])
  })
})

/** Takes a share away, by its name or its path; the file stays. */
export const remove = Effect.fn("FileShares.remove")(function* (
  home: string,
  nameOrPath: string
): Effect.fn.Return<Share, ShareError, Disk | Path.Path | DirectoryLock> {
  const paths = yield* Path.Path
  const absolute = paths.resolve(nameOrPath)
  return yield* change(home, (shares) => {
    const found = shares.find(({ name, path }) => name === nameOrPath || path === absolute)
    return found === undefined
      ? Result.fail(new ShareError({ reason: "NotFound", detail: `nothing is shared as ${nameOrPath}` }))
      : Result.succeed([shares.filter((other) => other !== found), found])
  })
})

/** Whether the peer with these keys, which it had one after the other, may pull from the share. */
export const isAllowed = (share: Share, publicKeys: ReadonlyArray<string>): boolean =>
  share.allowTrusted || share.allowed.some((peer) => publicKeys.includes(peer.publicKey))

/** One process at a time reads, changes and writes. */
const change = Effect.fnUntraced(function* <A>(
  home: string,
  decide: (shares: ReadonlyArray<Share>) => Result.Result<readonly [next: ReadonlyArray<Share>, answer: A], ShareError>
): Effect.fn.Return<A, ShareError, Disk | Path.Path | DirectoryLock> {
  const { acquire } = yield* DirectoryLock
  yield* Effect.mapError(PrivateDirectory.make(directoryOf(home)), ({ message }) => unusable({ detail: message }))
  return yield* Effect.gen(function* () {
    yield* acquire(directoryOf(home)).pipe(
      Effect.retry({ while: ({ reason }) => reason === "Held", schedule: PATIENCE }),
      Effect.mapError(unusable)
    )
    const [next, answer] = yield* Effect.flatMap(load(home), (shares) => Effect.fromResult(decide(shares)))
    yield* Effect.mapError(JsonFile.save(fileOf(home), File, { v: 1, shares: next }), unusable)
    return answer
  }).pipe(Effect.scoped)
})

const unusable = ({ detail }: { readonly detail: string }): ShareError =>
  new ShareError({ reason: "Unusable", detail: `the list of shares cannot be used: ${detail}` })

const File = Schema.Struct({ v: Schema.Literal(1), shares: Schema.Array(Share) })
const directoryOf = (home: string): string => `${home}/shares`
const fileOf = (home: string): string => `${directoryOf(home)}/shares.json`
const PATIENCE = Schedule.max([Schedule.spaced("20 millis"), Schedule.recurs(100)])
/** Shares of one node. */
export const SHARES_MAX = 256
