/**
 * The node of a gateway, through the daemon's socket. Each peer that is dialled has a client of its own, because a client
 * dials one after another and a peer that is away would hold up the rest; a client whose daemon went away is replaced.
 */
import { Duration, Effect, RcMap, type Scope } from "effect"
import { type Overlay, type OverlayStream, Unreachable } from "../actors/gateway/Overlay.ts"
import type { IpcConnection } from "../actors/ipc/IpcClient.ts"
import * as IpcError from "../actors/ipc/IpcError.ts"
import * as Json from "../core/data/Json.ts"
import * as Address from "../protocol/wire/Address.ts"
import type * as CliError from "./CliError.ts"
import type { Environment } from "./Command.ts"
import * as DaemonClient from "./DaemonClient.ts"

/** Over the daemon of whoever runs the command. */
export const make = Effect.gen(function* (): Effect.fn.Return<Overlay, never, Environment> {
  const context = yield* Effect.context<Environment>()
  const clients = yield* RcMap.make({
    lookup: (_key: string) => Effect.tap(DaemonClient.connect, (client) => Effect.ignore(client.knowEnds)),
    idleTimeToLive: IDLE
  })

  const dialOnce = Effect.fnUntraced(function* (peer: string, port: number) {
    const client = yield* Effect.mapError(RcMap.get(clients, peer), unreachable)
    const dialled = client.dialTarget(peer, Address.Port(port), Duration.toMillis(DIAL_TIMEOUT))
    return streamOf(yield* Effect.mapError(dialled, (error) => dialFailure(error)))
  })
  const dial = (peer: string, port: number): Effect.Effect<OverlayStream, Unreachable | Lost, Scope.Scope> =>
    Effect.provideContext(dialOnce(peer, port), context)
  const serveOnce = Effect.fnUntraced(function* (
    port: number,
    take: (stream: OverlayStream) => Effect.Effect<void>,
    tell: (problem: string | undefined) => Effect.Effect<void>
  ) {
    const client = yield* DaemonClient.connect
    yield* Effect.ignore(client.knowEnds)
    const listener = yield* DaemonClient.ask("gateway", client.bind(Address.Port(port)))
    yield* tell(undefined)
    const accepted = DaemonClient.ask("gateway", listener.accept)
    return yield* Effect.forever(Effect.flatMap(accepted, (connection) => take(streamOf(connection))))
  })
  return {
    dial: (peer, port) =>
      Effect.catch(dial(peer, port), (error) =>
        error._tag === "Unreachable"
          ? error
          : RcMap.invalidate(clients, peer).pipe(
              Effect.andThen(dial(peer, port)),
              Effect.mapError((again) => (again._tag === "Unreachable" ? again : again.unreachable))
            )
      ),
    serve: (port, take, tell) =>
      serveOnce(port, take, tell).pipe(
        Effect.scoped,
        Effect.provideContext(context),
        Effect.catch((error) => tell(error.message)),
        Effect.andThen(Effect.sleep(RETRY)),
        Effect.forever
      ),
    caller: (remote) => {
      const bare = { node_id: remote.node, address: Address.format(remote) }
      return Effect.flatMap(RcMap.get(clients, LOOKUPS), (client) =>
        client.extension("peer", { target: bare.address })
      ).pipe(
        Effect.map((found) => ({
          ...bare,
          hostname: Json.string(found, "hostname"),
          fingerprint: Json.string(found, "fingerprint")
        })),
        Effect.timeout(LOOKUP_TIMEOUT),
        Effect.catch(() => Effect.as(RcMap.invalidate(clients, LOOKUPS), bare)),
        Effect.scoped,
        Effect.provideContext(context)
      )
    }
  }
})

/** The daemon went away while it was asked: another one may be there now. */
interface Lost {
  readonly _tag: "Lost"
  readonly unreachable: Unreachable
}

const dialFailure = (error: IpcError.IpcError): Unreachable | Lost => {
  const failed = new Unreachable({
    detail: IpcError.describe(error),
    isRefused: /refused/.test(error.detail)
  })
  return error.reason === "Disconnected" ? { _tag: "Lost", unreachable: failed } : failed
}

const unreachable = (error: CliError.CliError): Unreachable =>
  new Unreachable({ detail: error.message, isRefused: false })

const streamOf = (connection: IpcConnection): OverlayStream => ({
  read: connection.read,
  write: connection.write,
  end: connection.endWriting,
  close: connection.end,
  remote: connection.remote
})

/** The client that only asks. */
const LOOKUPS = ""
const IDLE = "60 seconds"
const RETRY = "500 millis"
const DIAL_TIMEOUT = Duration.seconds(30)
const LOOKUP_TIMEOUT = "5 seconds"
