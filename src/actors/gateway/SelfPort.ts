/** One stream of a peer to a port of this host. */
import { Effect } from "effect"
import * as Endpoint from "../../core/data/Endpoint.ts"
import type { HttpHead, HttpRoute } from "../../core/net/HttpRelay.ts"
import * as CallerHeaders from "../../protocol/mcp/CallerHeaders.ts"
import type { OpenDoor, SelfDoor } from "./Door.ts"
import type { House } from "./House.ts"
import type { OverlayStream } from "./Overlay.ts"
import * as Splice from "./Splice.ts"

/** Passes bytes on, or requests that say who calls. */
export const pass = (house: House, state: OpenDoor, door: SelfDoor, stream: OverlayStream): Effect.Effect<void> =>
  door.isHttp ? passHttp(house, state, door, stream) : passBytes(house, state, door, stream)

const passBytes = ({ tcp }: House, state: OpenDoor, { to }: SelfDoor, stream: OverlayStream): Effect.Effect<void> =>
  tcp.connect(to).pipe(
    Effect.flatMap((connection) =>
      Splice.run({ stream, drop: stream.close }, { stream: connection, drop: connection.reset }, state)
    ),
    Effect.catch(({ detail }) => {
      state.refused++
      state.problem = `${Endpoint.format(to)}: ${detail}`
      return Effect.andThen(stream.close, Effect.logWarning(`gateway: ${state.problem}`))
    }),
    Effect.scoped
  )

/** The headers that name the caller come from the node, whatever the request says of itself (security rule 8). */
const passHttp = ({ http, overlay }: House, state: OpenDoor, { to }: SelfDoor, stream: OverlayStream) =>
  Effect.flatMap(overlay.caller(stream.remote), (caller) => {
    const route = ({ target }: HttpHead): HttpRoute => ({
      to,
      path: target,
      headers: CallerHeaders.of(caller),
      strip: CallerHeaders.PREFIX
    })
    return http.serve(Splice.counted(stream, state), route)
  })
