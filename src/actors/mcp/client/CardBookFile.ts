/** The newest cards seen, in a file (mode 0600), so that a restart brings no old card back. */
import { type Context, Effect, type FileSystem, Option, type Path, Schema } from "effect"
import * as JsonFile from "../../../core/storage/JsonFile.ts"
import type { CardBook } from "../../../protocol/directory/CardBook.ts"

/** A book that is read and written, whole, at `path`. One that cannot be read is empty; two writers may lose a line. */
export const at = (path: string, context: Context.Context<FileSystem.FileSystem | Path.Path>) => ({
  load: JsonFile.load(path, File).pipe(
    Effect.map(Option.match({ onNone: (): CardBook => [], onSome: ({ services }): CardBook => services })),
    Effect.catch((error) => Effect.as(Effect.logWarning(`mcp: ${path} cannot be read: ${error.detail}`), [])),
    Effect.provideContext(context)
  ),
  save: (services: CardBook) =>
    JsonFile.save(path, File, { v: 1, services }).pipe(
      Effect.catch((error) => Effect.logWarning(`mcp: ${path} cannot be written: ${error.detail}`)),
      Effect.provideContext(context)
    )
})

const File = Schema.Struct({
  v: Schema.Literal(1),
  services: Schema.Array(
    Schema.Struct({
      publicKey: Schema.String,
      service: Schema.String,
      sequence: Schema.Int,
      signature: Schema.String
    })
  )
})
