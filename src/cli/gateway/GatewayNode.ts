/**
 * The node of a gateway, through the daemon's socket. Each peer that is dialled has clients of its own, because a client
 * dials one after another and a peer that is away would hold up the rest, and several, so that connections that come together
 * are not dialled in a row; a client whose daemon went away is replaced.
 */
import { Duration, Effect, Queue, RcMap, type Scope } from "effect"
import { type Overlay, type OverlayStream, Unreachable } from "../../actors/gateway/Overlay.ts"
import type { IpcConnection } from "../../actors/ipc/IpcClient.ts"
import * as IpcError from "../../actors/ipc/IpcError.ts"
import * as Provided from "../../core/actor/Provided.ts"
import * as Json from "../../core/data/Json.ts"
import * as Address from "../../protocol/wire/Address.ts"
import type * as CliError from "../CliError.ts"
import type { Environment } from "../Command.ts"
import * as DaemonClient from "../DaemonClient.ts"

/** Over the daemon of whoever runs the command. */
export const make = Effect.gen(function* (): Effect.fn.Return<Overlay, never, Environment> {
  const context = yield* Provided.services<Environment>()
  const clients = yield* RcMap.make({
    lookup: (_key: string) => Effect.tap(DaemonClient.connect, (client) => Effect.ignore(client.knowEnds)),
    idleTimeToLive: IDLE
  })

  let turn = 0
  const dialOnce = Effect.fnUntraced(function* (peer: string, port: number, key: string) {
    const client = yield* Effect.mapError(RcMap.get(clients, key), unreachable)
    const dialled = client.dialTarget(peer, Address.Port(port), Duration.toMillis(DIAL_TIMEOUT))
    return streamOf(yield* Effect.mapError(dialled, (error) => dialFailure(error)))
  })
  const dial = (
    peer: string,
    port: number,
    key: string
  ): Effect.Effect<OverlayStream, Unreachable | Lost, Scope.Scope> =>
    Effect.provideContext(dialOnce(peer, port, key), context)
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
      Effect.suspend(() => {
        turn = (turn + 1) % CLIENTS_OF_PEER
        const key = `${turn}/${peer}`
        return Effect.catch(dial(peer, port, key), (error) =>
          error._tag === "Unreachable"
            ? error
            : RcMap.invalidate(clients, key).pipe(
                Effect.andThen(dial(peer, port, key)),
                Effect.mapError((again) => (again._tag === "Unreachable" ? again : again.unreachable))
              )
        )
      }),
    serve: (port, take, tell) =>
      serveOnce(port, take, tell).pipe(
        Effect.scoped,
        Effect.provideContext(context),
        Effect.catch((error) => tell(error.message)),
        Effect.andThen(Effect.sleep(RETRY)),
        Effect.forever
      ),
    datagrams: (port) => Effect.provideContext(holdDatagrams(port), context),
    locate: (peer) =>
      Effect.gen(function* () {
        const client = yield* Effect.mapError(RcMap.get(clients, LOOKUPS), unreachable)
        const found = Effect.catchIf(
          client.extension("peer", { target: peer, recent: true }),
          ({ reason }) => reason === "Disconnected",
          () =>
            Effect.andThen(
              RcMap.invalidate(clients, LOOKUPS),
              Effect.flatMap(RcMap.get(clients, LOOKUPS), (fresh) => fresh.extension("peer", { target: peer }))
            )
        )
        const row = yield* Effect.mapError(found, (error) =>
          error._tag === "CliError"
            ? unreachable(error)
            : new Unreachable({ detail: IpcError.describe(error), isRefused: false })
        )
        return Address.make(0, Json.unsigned(row, "node_id", 32))
      }).pipe(Effect.scoped, Effect.provideContext(context)),
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

/** A client of its own, because a client sends from one port. */
const holdDatagrams = Effect.fnUntraced(function* (port: number | undefined) {
  const client = yield* Effect.mapError(DaemonClient.connect, unreachable)
  const lost = (error: IpcError.IpcError) => unreachable(DaemonClient.failure("gateway", error))
  const received = yield* client.datagrams(DATAGRAMS_MAX)
  yield* Effect.mapError(client.holdDatagrams(port === undefined ? undefined : Address.Port(port)), lost)
  return {
    send: (to: Address.Address, toPort: number, payload: Uint8Array) =>
      Effect.ignore(client.sendTo(to, Address.Port(toPort), payload)),
    receive: Effect.mapError(Queue.take(received), lost)
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

/** Datagrams that wait for a way; the oldest are dropped. */
const DATAGRAMS_MAX = 256
/** Connections to one peer that are dialled at the same time. */
const CLIENTS_OF_PEER = 8
/** The client that only asks. */
const LOOKUPS = ""
const IDLE = "60 seconds"
const RETRY = "500 millis"
const DIAL_TIMEOUT = Duration.seconds(30)
const LOOKUP_TIMEOUT = "5 seconds"
