/** Small state as one JSON file, written atomically and decoded by a schema. */
import { Effect, FileSystem, Option, type Path, Schema } from "effect"
import * as AtomicFile from "./AtomicFile.ts"

/** The file exists but is not what the schema says, or too large. It is left as it is. */
export class JsonFileError extends Schema.TaggedError<JsonFileError>()("JsonFileError", {
  reason: Schema.Literals(["NotReadable", "NotWritable", "TooLarge", "Malformed"]),
  path: Schema.String,
  detail: Schema.String
}) {}

/** The content, or none if there is no such file. */
export const load = Effect.fn("JsonFile.load")(function* <A, I>(
  path: string,
  schema: Schema.Codec<A, I>
): Effect.fn.Return<Option.Option<A>, JsonFileError, FileSystem.FileSystem> {
  const files = yield* FileSystem.FileSystem
  const read = Effect.gen(function* () {
    const { size } = yield* files.stat(path)
    if (Number(size) > FILE_BYTES_MAX) {
      return yield* new JsonFileError({ reason: "TooLarge", path, detail: `more than ${FILE_BYTES_MAX} bytes` })
    }
    return yield* files.readFileString(path)
  })
  const text = yield* read.pipe(
    Effect.asSome,
    Effect.catchTag("PlatformError", (error) =>
      error.reason._tag === "NotFound"
        ? Effect.succeed(Option.none<string>())
        : Effect.fail(new JsonFileError({ reason: "NotReadable", path, detail: error.message }))
    )
  )
  if (Option.isNone(text)) return Option.none()
  return yield* Schema.decodeEffect(Schema.fromJsonString(schema))(text.value).pipe(
    Effect.mapBoth({
      onFailure: (error) => new JsonFileError({ reason: "Malformed", path, detail: error.message }),
      onSuccess: Option.some
    })
  )
})

/** Replaces the file; it is on disk when this succeeds. Readable by its owner only, unless told otherwise. */
export const save = Effect.fn("JsonFile.save")(function* <A, I>(
  path: string,
  schema: Schema.Codec<A, I>,
  value: A,
  options: AtomicFile.Options = { mode: AtomicFile.OWNER_ONLY }
): Effect.fn.Return<void, JsonFileError, FileSystem.FileSystem | Path.Path> {
  const text = yield* Effect.orDie(Schema.encodeEffect(Schema.fromJsonString(schema))(value))
  yield* Effect.mapError(
    AtomicFile.write(path, `${text}\n`, options),
    (error) => new JsonFileError({ reason: "NotWritable", path, detail: error.message })
  )
})

/** A larger file is not ours: it is refused before it is read. */
export const FILE_BYTES_MAX = 16 * 1024 * 1024
