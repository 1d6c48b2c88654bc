/**
 * A rendezvous as a process of its own, for tests that kill one: `node RendezvousProcess.ts STORE`. Prints one line of
 * JSON when it serves, and serves until it is killed.
 */
import { Effect, Schema } from "effect"
import { RendezvousConfig } from "../../src/actors/layers/RendezvousConfig.ts"
import * as RendezvousLayer from "../../src/actors/layers/RendezvousLayer.ts"

const [store = ""] = process.argv.slice(2)
const config = Schema.decodeSync(RendezvousConfig)({
  registryAddr: "127.0.0.1:0",
  beaconAddr: "127.0.0.1:0",
  compatUnsignedRegister: "true",
  store
})

Effect.runFork(
  RendezvousLayer.start(config).pipe(
    Effect.tap(({ fingerprint, registry }) =>
      Effect.sync(() => process.stdout.write(`${JSON.stringify({ port: registry.port, fingerprint })}\n`))
    ),
    Effect.andThen(Effect.never),
    Effect.scoped
  )
)
setInterval(() => {}, 1 << 30)
