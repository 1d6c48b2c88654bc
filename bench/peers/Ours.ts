/** A node of this package in this process. The contact is its name. */
import { Cause, Effect, Layer, ManagedRuntime, References, Scope, Stream } from "effect"
import { Pilot } from "effect-pilot"
import type { Transport, Wire } from "./Wire.ts"

/** A node with these options, registered before anything else happens. */
export const make = async (options: Pilot.NodeOptions): Promise<Transport> => {
  const quiet = Layer.succeed(References.MinimumLogLevel, "Warn")
  const runtime = ManagedRuntime.make(Layer.provideMerge(Pilot.layer(options), quiet))
  const run = <A, E>(effect: Effect.Effect<A, E, Pilot.Pilot>) => runtime.runPromise(effect)
  const { hostname } = await run(Pilot.info)

  const wire = ({ close, duplex }: Pilot.Connection): Wire => ({
    write: (bytes) => run(duplex.write(bytes)),
    read: () =>
      run(Effect.catch(duplex.read, (error) => (Cause.isDone(error) ? Effect.succeed(undefined) : Effect.fail(error)))),
    close: () => run(close)
  })
  // Its connections are closed one by one; the scope ends with the process.
  const scope = Scope.makeUnsafe()
  const serve = (served: (wire: Wire) => void) =>
    Stream.runForEach(Pilot.listen(PORT), (connection) => Effect.sync(() => served(wire(connection))))
  return {
    serve: async (served) => {
      void run(serve(served))
      return hostname
    },
    dial: async (contact) => wire(await run(Scope.provide(Pilot.dial(contact, PORT), scope))),
    ping: async (contact) => (await run(Pilot.ping(contact))).rttMs,
    close: () => runtime.dispose()
  }
}

const PORT = 5100
