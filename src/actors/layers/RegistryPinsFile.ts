/** The certificates of registries this node has met without being given a fingerprint, in `registry-pins.json`. */
import { Effect, type FileSystem, Option, type Path, Ref, Schema } from "effect"
import * as Provided from "../../core/actor/Provided.ts"
import * as JsonFile from "../../core/storage/JsonFile.ts"
import type { RegistryPins } from "../registry/RegistryPins.ts"
import { NodeError } from "./NodeError.ts"

/** Pins over a file; a damaged one is refused and left as it is. */
export const make = Effect.fn("RegistryPinsFile.make")(function* (
  path: string
): Effect.fn.Return<RegistryPins, NodeError, FileSystem.FileSystem | Path.Path> {
  const services = yield* Provided.services<FileSystem.FileSystem | Path.Path>()
  const loaded = yield* Effect.mapError(
    JsonFile.load(path, Pins),
    (error) =>
      new NodeError({
        reason: "TrustUnusable",
        detail: `cannot use ${path}: ${error.detail}`,
        hint: "restore it, or delete it and compare the registry's fingerprint again"
      })
  )
  const pins = yield* Ref.make<typeof Pins.Type>(Option.getOrElse(loaded, () => ({})))
  return {
    read: (registry) => Effect.map(Ref.get(pins), (known) => known[registry]),
    write: (registry, fingerprint) =>
      Ref.updateAndGet(pins, (known) => ({ ...known, [registry]: fingerprint })).pipe(
        Effect.flatMap((known) => JsonFile.save(path, Pins, known)),
        Effect.tap(() => Effect.logInfo(`first contact with registry ${registry}: pinned certificate ${fingerprint}`)),
        Effect.catch((error) => Effect.logError(`the pin of ${registry} could not be written: ${error.detail}`)),
        Effect.provide(services)
      )
  }
})

/** `host:port` → SHA-256 of the certificate, lower-case hex. */
const Pins = Schema.Record(Schema.String, Schema.String)
