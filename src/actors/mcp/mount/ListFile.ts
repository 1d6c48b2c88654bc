/**
 * The lists of services that this node has used (mcp §6.9): a file for each, mode 0600, in one directory, named by the key
 * behind the peer and the service. Several mounts may write the same file; the last one wins, having read the others'.
 */
import { type Context, Effect, FileSystem, Option, type Path, Schema } from "effect"
import * as Provided from "../../../core/actor/Provided.ts"
import { Crypto } from "../../../core/crypto/Crypto.ts"
import * as Bytes from "../../../core/data/Bytes.ts"
import * as AtomicFile from "../../../core/storage/AtomicFile.ts"
import * as JsonFile from "../../../core/storage/JsonFile.ts"
import { Known } from "../../../protocol/relay/KnownAnswers.ts"
import type { Target } from "../Target.ts"

/** The file of one service. Nothing in it fails; trouble is logged. */
export interface ListFile {
  /**
   * None if there is no file; undefined if the key of the peer is not known. A peer that is away has the key that was behind
   * its name when the lists were written.
   */
  readonly load: Effect.Effect<ReadonlyArray<Known> | undefined>
  readonly save: (known: ReadonlyArray<Known>) => Effect.Effect<void>
}

/** Whose it is. */
export interface Options {
  readonly target: Target
  /** The key that stands behind the peer; undefined while it cannot be asked for. */
  readonly peerKey: Effect.Effect<string | undefined>
}

/** Makes the files of one directory. Nothing is read yet. */
export const maker = Effect.fnUntraced(function* (
  directory: string
): Effect.fn.Return<(options: Options) => ListFile, never, Crypto | FileSystem.FileSystem | Path.Path> {
  const context = yield* Provided.services<FileSystem.FileSystem | Path.Path>()
  const { sha256 } = yield* Crypto
  return (options) => of(options, directory, sha256, context)
})

const of = (
  options: Options,
  directory: string,
  sha256: Crypto["Service"]["sha256"],
  context: Context.Context<FileSystem.FileSystem | Path.Path>
): ListFile => {
  const { target } = options
  const hash = (...parts: ReadonlyArray<string>) =>
    Bytes.toHex(sha256(Bytes.fromUtf8(JSON.stringify(parts)))).slice(0, NAME_CHARACTERS)
  /** Whose name it was when it last could be asked for: names of peers that are away lead nowhere. */
  const namePath = `${directory}/${hash("peer", target.peer)}${KEY_SUFFIX}`
  let known: string | undefined

  const asked = Effect.suspend(() => (known === undefined ? options.peerKey : Effect.succeed(known)))
  const before = Effect.gen(function* () {
    const files = yield* FileSystem.FileSystem
    const text = yield* Effect.option(files.readFileString(namePath))
    return Option.getOrUndefined(text)?.trim() || undefined
  })

  const pathOf = (key: string) => `${directory}/${hash(key, target.service)}${SUFFIX}`

  const load = Effect.gen(function* () {
    const key = (yield* asked) ?? (yield* before)
    if (key === undefined) return undefined
    const loaded = yield* JsonFile.load(pathOf(key), File)
    return Option.match(loaded, { onNone: () => [], onSome: ({ clients }) => clients })
  })

  const save = Effect.fnUntraced(function* (clients: ReadonlyArray<Known>) {
    const key = yield* asked
    if (key === undefined) return
    yield* makeRoom(directory, pathOf(key))
    yield* JsonFile.save(pathOf(key), File, { v: 1, ...target, peerKey: key, clients: bounded(clients) })
    if (known === undefined && (yield* before) !== key) {
      yield* Effect.mapError(AtomicFile.write(namePath, key, { mode: AtomicFile.OWNER_ONLY }), failed(namePath))
    }
    known = key
  })

  return {
    load: load.pipe(Effect.catch(logged<ReadonlyArray<Known> | undefined>([])), Effect.provideContext(context)),
    save: (clients) => save(clients).pipe(Effect.catch(logged<void>(undefined)), Effect.provideContext(context))
  }
}

const logged =
  <A>(orElse: A) =>
  ({ detail, path }: JsonFile.JsonFileError): Effect.Effect<A> =>
    Effect.as(Effect.logWarning(`mcp: ${path}: ${detail}`), orElse)

const failed =
  (path: string) =>
  ({ message }: { readonly message: string }): JsonFile.JsonFileError =>
    new JsonFile.JsonFileError({ reason: "NotWritable", path, detail: message })

/** The newest kinds of clients, as many as fit. */
const bounded = (clients: ReadonlyArray<Known>): ReadonlyArray<Known> => {
  let left = FILE_CHARACTERS_MAX
  return clients.filter(({ answers }) => {
    left -= Object.values(answers).reduce((sum, { raw }) => sum + raw.length, 0)
    return left >= 0
  })
}

/** The directory, with room for that file: services that were used longest ago go. */
const makeRoom = (
  directory: string,
  path: string
): Effect.Effect<void, JsonFile.JsonFileError, FileSystem.FileSystem> =>
  Effect.gen(function* () {
    const files = yield* FileSystem.FileSystem
    yield* files.makeDirectory(directory, { recursive: true, mode: 0o700 })
    const names = yield* files.readDirectory(directory)
    for (const suffix of [SUFFIX, KEY_SUFFIX]) {
      const some = names.filter((name) => name.endsWith(suffix))
      if (some.length < FILES_MAX || (suffix === SUFFIX && (yield* files.exists(path)))) continue
      yield* removeOldest(directory, some, some.length - FILES_MAX + 1)
    }
  }).pipe(Effect.mapError(failed(directory)))

const removeOldest = Effect.fnUntraced(function* (directory: string, names: ReadonlyArray<string>, count: number) {
  const files = yield* FileSystem.FileSystem
  const dated = yield* Effect.forEach(names, (name) =>
    files.stat(`${directory}/${name}`).pipe(
      Effect.map(({ mtime }) => ({ name, atMs: Option.match(mtime, { onNone: () => 0, onSome: Number }) })),
      Effect.orElseSucceed(() => ({ name, atMs: 0 }))
    )
  )
  const old = dated.toSorted((a, b) => a.atMs - b.atMs).slice(0, count)
  yield* Effect.forEach(old, ({ name }) => Effect.ignore(files.remove(`${directory}/${name}`)), { discard: true })
})

/** Peer and service are for people who look into the file. */
const File = Schema.Struct({
  v: Schema.Literal(1),
  peer: Schema.String,
  service: Schema.String,
  peerKey: Schema.String,
  clients: Schema.Array(Known)
})

const SUFFIX = ".json"
const KEY_SUFFIX = ".key"
const NAME_CHARACTERS = 32
/** Services whose lists are kept, and peers whose keys are. */
const FILES_MAX = 256
/** Their answers, in one file. */
const FILE_CHARACTERS_MAX = 4_194_304
