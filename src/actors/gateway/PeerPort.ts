/** One connection from this host to a port of a peer. */
import { Effect } from "effect"
import type { TcpConnection } from "../../core/net/Tcp.ts"
import type { OpenDoor, PeerDoor } from "./Door.ts"
import type { House } from "./House.ts"
import * as Splice from "./Splice.ts"

/** Dials, then passes on. A peer that cannot be reached resets the connection, as a host that refuses does. */
export const pass = (
  { overlay }: Pick<House, "overlay">,
  state: OpenDoor,
  { peer, port }: Pick<PeerDoor, "peer" | "port">,
  connection: TcpConnection
): Effect.Effect<void> =>
  overlay.dial(peer, port).pipe(
    Effect.flatMap((stream) =>
      Splice.run({ stream: connection, drop: connection.reset }, { stream, drop: stream.close }, state)
    ),
    Effect.catch(({ detail }) => {
      state.refused++
      state.problem = detail
      return Effect.andThen(connection.reset, Effect.logWarning(`gateway: ${peer}:${port}: ${detail}`))
    }),
    Effect.scoped
  )
