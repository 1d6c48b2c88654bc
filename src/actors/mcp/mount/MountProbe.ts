/**
 * One probe of a peer's service over the path that a client's calls take (mcp §6.1): shim, node, peer, keeper, server. The
 * session is one of its own and ends with the probe.
 */
import { Clock, Effect, type Scope } from "effect"
import * as MonotonicTime from "../../../core/actor/MonotonicTime.ts"
import type { Crypto } from "../../../core/crypto/Crypto.ts"
import type { Duplex } from "../../../core/net/Duplex.ts"
import * as DuplexPair from "../../../core/net/DuplexPair.ts"
import * as ServerProbe from "../keeper/ServerProbe.ts"
import type { Target } from "../Target.ts"
import * as Shim from "./Shim.ts"
import type { CannotReach } from "./ShimFailure.ts"

/** What was found at `target`, to whose MCP port `dial` leads. */
export const run = Effect.fn("MountProbe.run")(function* <E>(options: {
  readonly target: Target
  readonly dial: Effect.Effect<Duplex<E>, CannotReach, Scope.Scope>
  readonly clientInfo: { readonly name: string; readonly version: string }
  readonly timeoutMs?: number
}): Effect.fn.Return<ServerProbe.Report, never, Crypto> {
  const { dial, target, ...others } = options
  const clock = yield* Clock.Clock
  let reachedAtMs: number | undefined
  const noting = Effect.tap(dial, () =>
    Effect.sync(() => {
      reachedAtMs = MonotonicTime.nowMsUnsafe(clock)
    })
  )
  return yield* Effect.scoped(
    Effect.gen(function* () {
      const [near, far] = yield* DuplexPair.make
      yield* Shim.run({ client: far, target, dial: noting }).pipe(Effect.ensuring(far.end), Effect.forkScoped)
      return yield* ServerProbe.run({ ...others, stream: near, reachedAtMs: () => reachedAtMs })
    })
  )
})
