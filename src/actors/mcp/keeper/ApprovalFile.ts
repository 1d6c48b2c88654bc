/**
 * What people decided about calls for good (mcp §6.10), in `mcp-approvals.json`, mode 0600: it holds for one key, one tool as
 * it is defined now, and one server. Nothing but the owner's commands writes it.
 */
import { Effect, type FileSystem, Option, type Path, Schema } from "effect"
import * as JsonFile from "../../../core/storage/JsonFile.ts"

/** One decision. */
export const Remembered = Schema.Struct({
  /** What commands call it. */
  id: Schema.String,
  verdict: Schema.Literals(["allow", "deny"]),
  /** Ed25519, base64. */
  peerKey: Schema.String,
  /** How the peer was called then, for people. */
  peer: Schema.String,
  service: Schema.String,
  /** What serves it (`ServiceTable.server`): another one's tools were not asked about. */
  server: Schema.String,
  tool: Schema.String,
  /** Hex, of the tool as its server defined it then (mcp §6.9). */
  definitionHash: Schema.String,
  createdAtSeconds: Schema.Int
})
/** One decision. */
export type Remembered = typeof Remembered.Type

/** All of them; none if there is no file. */
export const load = (
  path: string
): Effect.Effect<ReadonlyArray<Remembered>, JsonFile.JsonFileError, FileSystem.FileSystem> =>
  Effect.map(JsonFile.load(path, File), Option.match({ onNone: () => [], onSome: ({ approvals }) => approvals }))

/** Replaces the file in one step. */
export const save = (
  path: string,
  approvals: ReadonlyArray<Remembered>
): Effect.Effect<void, JsonFile.JsonFileError, FileSystem.FileSystem | Path.Path> =>
  JsonFile.save(path, File, { v: 1, approvals })

const File = Schema.Struct({ v: Schema.Literal(1), approvals: Schema.Array(Remembered) })
