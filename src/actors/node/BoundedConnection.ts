/**
 * A stream that the policy bounds in bytes: after what it has read or written it pauses, as long as it must. Whoever is at
 * the other end feels a slow reader, through the window of the stream.
 */
import { Effect, type Scope } from "effect"
import type { Answer } from "../policy/PolicyGuard.ts"
import type { Connection } from "./Node.ts"

/** The same connection if nothing is bounded. */
export const of = (connection: Connection, { isBounded, spend }: Answer): Connection => {
  if (!isBounded) return connection
  const paused = (sizeBytes: number) =>
    Effect.suspend(() => {
      const waitMs = spend(sizeBytes)
      return waitMs > 0 ? Effect.sleep(waitMs) : Effect.void
    })
  const { closed, close, end, id, localPort, read, remote, remotePort, reset } = connection
  return {
    ...{ id, localPort, remote, remotePort, closed, close, end, reset },
    read: Effect.tap(read, (bytes) => paused(bytes.length)),
    write: (bytes) => Effect.andThen(connection.write(bytes), paused(bytes.length)),
    setNoDelay: (isOn) => connection.setNoDelay(isOn)
  }
}

/** It counts until it is gone, or its peer is. */
export const releaseAfter = ({ closed }: Connection, { release }: Answer): Effect.Effect<void, never, Scope.Scope> =>
  Effect.asVoid(Effect.forkScoped(Effect.ensuring(closed, Effect.sync(release)), { startImmediately: true }))
