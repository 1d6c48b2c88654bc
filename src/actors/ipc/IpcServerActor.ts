/**
 * The daemon's side of its local sockets (node §1).
 *
 * Owns the sockets and one `IpcClientActor` per client, at most `CLIENTS_MAX`. Told by nobody; tells nobody. It has no
 * mailbox: the listening socket's backlog is one, and clients beyond the bound are accepted and closed at once. A
 * client that fails takes nobody with it. The end of the scope closes all clients, then the sockets; bytes that clients
 * have sent are still delivered until then.
 */
import { Effect, type Scope } from "effect"
import type { Socket, SocketServer } from "effect/socket"
import { LocalSocket, type LocalSocketError } from "../../core/net/LocalSocket.ts"
import * as IpcClientActor from "./IpcClientActor.ts"
import type { Daemon, Services } from "./IpcCommands.ts"

/** What to serve, and where. */
export interface Options {
  readonly daemon: Daemon
  /** Every path is offered; one that cannot be fails the whole (`AlreadyServed` for a second daemon). */
  readonly paths: ReadonlyArray<string>
}

/** Starts serving in the surrounding scope; the sockets can be connected to when it returns. */
export const spawn = Effect.fn("IpcServerActor.spawn")(function* (
  options: Options
): Effect.fn.Return<void, LocalSocketError, LocalSocket | Services | Scope.Scope> {
  const local = yield* LocalSocket
  const servers = yield* Effect.forEach(options.paths, local.listen)
  yield* Effect.forEach(servers, (server) => serve(server, options.daemon), { discard: true })
})

/** Serves one socket that is open already, until the surrounding scope ends. */
export const serve = Effect.fnUntraced(function* (server: SocketServer.SocketServer["Service"], daemon: Daemon) {
  const lingering = yield* Effect.scope
  let clients = 0
  const handle = (socket: Socket.Socket): Effect.Effect<void, never, Services> => {
    if (clients >= CLIENTS_MAX) return Effect.scoped(Effect.ignore(socket.reader))
    clients++
    return Effect.ensuring(
      IpcClientActor.serve({ daemon, lingering }, socket),
      Effect.sync(() => {
        clients--
      })
    )
  }
  yield* Effect.forkScoped(server.run(handle), { startImmediately: true })
})

/** Clients of one daemon (node §1.3 rule 7). */
const CLIENTS_MAX = 1024
