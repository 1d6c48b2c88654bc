/** How long mappings live on the networks where that was measured, in `nat.json`. A damaged file is as good as none. */
import { Effect, FiberSet, type FileSystem, Option, type Path, Schema, type Scope } from "effect"
import * as JsonFile from "../../core/storage/JsonFile.ts"
import type { NatMemory } from "../node/NatMemory.ts"
import { NETWORKS_MAX } from "../node/NatObserver.ts"

/** The memory of a daemon; what is learnt is written in the background, in the surrounding scope. */
export const make = Effect.fnUntraced(function* (
  path: string
): Effect.fn.Return<NatMemory, never, FileSystem.FileSystem | Path.Path | Scope.Scope> {
  const run = yield* FiberSet.makeRuntime<FileSystem.FileSystem | Path.Path>()
  const loaded = yield* Effect.orElseSucceed(JsonFile.load(path, Networks), () => Option.none())
  const rows = Option.getOrElse(loaded, () => []).slice(-NETWORKS_MAX)
  const known = new Map(rows.map(({ alive_ms, gone_ms, network }) => [network, { aliveMs: alive_ms, goneMs: gone_ms }]))
  return {
    isMeasured: true,
    known,
    learnt: (network, lifetime) => {
      known.delete(network)
      known.set(network, lifetime)
      const all = [...known].slice(-NETWORKS_MAX)
      const written = all.map(([name, { aliveMs, goneMs }]) => ({ network: name, alive_ms: aliveMs, gone_ms: goneMs }))
      const saving = JsonFile.save(path, Networks, written).pipe(
        Effect.catch((error) => Effect.logWarning(`the lifetime of mappings could not be written: ${error.detail}`))
      )
      run(saving)
    }
  }
})

const Networks = Schema.Array(
  Schema.Struct({
    network: Schema.String,
    alive_ms: Schema.Finite,
    gone_ms: Schema.UndefinedOr(Schema.Finite)
  })
)
