/** Where a registry keeps its rows. A committed change survives the process being killed. */
import { Context, Effect, Layer, Schema } from "effect"
import { type Change, noRows, type Rows } from "../../protocol/registry/Change.ts"
import * as RowTable from "./RowTable.ts"

/** Reading or writing the rows failed; nothing of the commit is stored. */
export class RegistryStoreError extends Schema.TaggedError<RegistryStoreError>()("RegistryStoreError", {
  operation: Schema.Literals(["load", "commit"]),
  detail: Schema.String
}) {}

/** The rows of one registry. */
export class RegistryStore extends Context.Service<
  RegistryStore,
  {
    readonly load: Effect.Effect<Rows, RegistryStoreError>
    /** All changes or none, in order; on disk when it succeeds. */
    readonly commit: (changes: ReadonlyArray<Change>) => Effect.Effect<void, RegistryStoreError>
  }
>()("effect-pilot/actors/registry/RegistryStore") {}

/** Rows in memory, gone with the process: for tests, and for a rendezvous started without a store. */
export const layerMemory: Layer.Layer<RegistryStore> = Layer.sync(RegistryStore, () => {
  const table = RowTable.make(noRows)
  return RegistryStore.of({
    load: Effect.sync(() => RowTable.rows(table)),
    commit: (changes) => Effect.sync(() => RowTable.apply(table, changes))
  })
})
