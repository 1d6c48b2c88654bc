/** `LanDiscovery` on real sockets. The package that speaks multicast DNS is loaded when somebody wants it. */
import { Effect, Layer } from "effect"
import { LanDiscovery } from "./LanDiscovery.ts"

/** Provides `LanDiscovery`. */
export const layer: Layer.Layer<LanDiscovery> = Layer.succeed(LanDiscovery, {
  open: (service) =>
    Effect.flatMap(
      Effect.promise(() => import("./NodeLanPresence.ts")),
      (adapter) => adapter.open(service)
    )
})
