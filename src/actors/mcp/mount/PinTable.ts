/**
 * The definitions of tools as this node first saw them (mcp §6.9), in `mcp-pins.json`, mode 0600. The service is known by
 * its peer's key, never by what the server says of itself.
 */
import { Effect, FileSystem, Option, type Path, Schema } from "effect"
import type { DirectoryLock, LockError } from "../../../core/storage/DirectoryLock.ts"
import * as InTurn from "../../../core/storage/InTurn.ts"
import * as JsonFile from "../../../core/storage/JsonFile.ts"

const Definition = Schema.Struct({
  /** Hex. */
  sha256: Schema.String,
  /** RFC 8785 text; empty if it was too long to keep. */
  text: Schema.String
})

/** One tool. `changed` is what it is now, while nobody has approved that. */
export const Pin = Schema.Struct({
  /** Ed25519, base64. */
  peerKey: Schema.String,
  /** How the peer was called when it was pinned, for people. */
  peer: Schema.String,
  service: Schema.String,
  tool: Schema.String,
  approved: Schema.optionalKey(Definition),
  changed: Schema.optionalKey(Definition)
})
/** One tool. */
export type Pin = typeof Pin.Type

/** All of them; none if there is no file. */
export const load = (path: string): Effect.Effect<ReadonlyArray<Pin>, JsonFile.JsonFileError, FileSystem.FileSystem> =>
  Effect.map(JsonFile.load(path, File), Option.match({ onNone: () => [], onSome: ({ pins }) => pins }))

/** Reads them again only when the file is another: each change makes one. For whoever asks often. */
export const reader = (
  path: string
): Effect.Effect<ReadonlyArray<Pin>, JsonFile.JsonFileError, FileSystem.FileSystem> => {
  let known: { readonly mark: string; readonly pins: ReadonlyArray<Pin> } | undefined
  return Effect.gen(function* () {
    const files = yield* FileSystem.FileSystem
    const found = yield* Effect.option(files.stat(path))
    const mark = Option.map(found, ({ ino, mtime, size }) => `${String(ino)} ${String(mtime)} ${size}`)
    if (Option.isSome(mark) && known?.mark === mark.value) return known.pins
    const pins = yield* load(path)
    // Read after the mark was taken: a change in between is seen the next time.
    known = Option.isSome(mark) ? { mark: mark.value, pins } : undefined
    return pins
  })
}

/** Replaces the file in one step. */
export const save = (
  path: string,
  pins: ReadonlyArray<Pin>
): Effect.Effect<void, JsonFile.JsonFileError, FileSystem.FileSystem | Path.Path> =>
  JsonFile.save(path, File, { v: 1, pins })

/**
 * Changes the file as it is now: whoever else changes it waits, in other processes too, so that nothing is lost. Nothing is
 * written if `change` gives back what it was given.
 */
export const update = (
  path: string,
  change: (pins: ReadonlyArray<Pin>) => ReadonlyArray<Pin>
): Effect.Effect<void, JsonFile.JsonFileError | LockError, DirectoryLock | FileSystem.FileSystem | Path.Path> =>
  InTurn.run(
    path,
    Effect.gen(function* () {
      const before = yield* load(path)
      const after = change(before)
      if (after !== before) yield* save(path, after)
    })
  )

const File = Schema.Struct({ v: Schema.Literal(1), pins: Schema.Array(Pin) })
