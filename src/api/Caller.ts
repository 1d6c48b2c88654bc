/** Who calls: the peer at the other end of a stream, as handlers of its requests know it. */
import { Context, Effect } from "effect"

/** The peer whose call a handler works on. Its key was checked; nothing here is a claim of its own but the name. */
export class Caller extends Context.Service<
  Caller,
  {
    readonly node: number
    readonly address: string
    /** Empty when it has no name, or the registry cannot be asked. */
    readonly hostname: string
    /** Of the key that it is trusted under; empty when it cannot be told. */
    readonly fingerprint: string
    /** That key, Ed25519, base64; empty when it cannot be told. */
    readonly publicKey: string
  }
>()("effect-pilot/api/Caller") {}

/**
 * The same, of whatever runs on behalf of a peer: set around every handler that this library calls for one. `keys` are all that
 * may stand for it.
 */
export const Current = Context.Reference<(Caller["Service"] & { readonly keys: ReadonlyArray<string> }) | undefined>(
  "effect-pilot/api/CurrentCaller",
  {
    defaultValue: () => undefined
  }
)

/**
 * The peer that the surrounding handler works for: of an rpc, of an HTTP request, of a message to an actor. A defect where
 * nobody calls.
 */
export const caller: Effect.Effect<Caller["Service"]> = Effect.flatMap(Current, (current) => {
  if (current === undefined) return Effect.die(new Error("Pilot.caller: no peer calls here"))
  const { keys: _, ...facts } = current
  return Effect.succeed(facts)
})
