/**
 * Serves the beacon over UDP (rendezvous §8).
 *
 * Owns the socket and the directory of announced nodes. Told by the socket what arrived, one batch per event-loop turn;
 * answers it there and then, in the callback: there is nothing to wait for, so there is no mailbox that could fill, and
 * what the socket cannot hold the network drops. Nothing in it can fail, so nothing restarts it.
 */
import { Clock, Effect, Option, Result, type Scope } from "effect"
import * as MonotonicTime from "../../core/actor/MonotonicTime.ts"
import type { Endpoint } from "../../core/data/Endpoint.ts"
import { type BindError, type Datagram, UdpEndpoint, type UdpSocket } from "../../core/net/UdpEndpoint.ts"
import { type BeaconCounters, BeaconDirectory, type Config, type Registration } from "../../nat/BeaconDirectory.ts"
import type { NodeId } from "../../protocol/wire/Address.ts"
import * as BeaconMessage from "../../protocol/wire/BeaconMessage.ts"

/** Where to serve, whom, and within which limits. */
export interface BeaconServerOptions {
  /** `undefined` for every address of this machine. */
  readonly host: string | undefined
  readonly port: number
  /** What the registry of this process knows of a node; others are not served. */
  readonly registration: (node: NodeId) => Registration | undefined
  readonly config: Config
}

/** A running beacon. */
export interface BeaconServer {
  readonly local: Endpoint
  readonly counters: BeaconCounters
  /** Datagrams that were no beacon message. */
  readonly malformed: () => number
  /** Nodes remembered now. */
  readonly nodesCount: (nowMs: number) => number
}

/** Starts the beacon in the surrounding scope, whose end closes its socket. */
export const spawn = Effect.fn("BeaconServerActor.spawn")(function* (
  options: BeaconServerOptions
): Effect.fn.Return<BeaconServer, BindError, UdpEndpoint | Scope.Scope> {
  const clock = yield* Clock.clockWith(Effect.succeed)
  const sockets = yield* bind(options)
  const directory = new BeaconDirectory(options.config, options.registration)
  let malformed = 0

  const receive = ({ bytes, from }: Datagram, nowMs: number): void => {
    const message = BeaconMessage.decode(bytes)
    if (Result.isFailure(message)) {
      malformed++
      return
    }
    for (const { to, message: reply } of directory.receive(message.success, from, nowMs)) {
      // A node that announced itself over the other family is answered over that one.
      sockets.find(({ isV6 }) => isV6 === to.host.includes(":"))?.socket.send(BeaconMessage.encode(reply), to)
    }
  }
  for (const { socket } of sockets) {
    socket.onBatch((batch) => {
      const nowMs = MonotonicTime.nowMsUnsafe(clock)
      for (const datagram of batch) receive(datagram, nowMs)
    })
  }
  return {
    local: sockets[0].socket.local,
    counters: directory.counters,
    malformed: () => malformed,
    nodesCount: (nowMs) => directory.size(nowMs)
  }
})

interface FamilySocket {
  readonly isV6: boolean
  readonly socket: UdpSocket
}

/** One socket for a given address; for every address one per family, the second where the machine has it. */
const bind = Effect.fnUntraced(function* ({
  host,
  port
}: BeaconServerOptions): Effect.fn.Return<
  readonly [FamilySocket, ...ReadonlyArray<FamilySocket>],
  BindError,
  UdpEndpoint | Scope.Scope
> {
  const endpoint = yield* UdpEndpoint
  if (host !== undefined) return [{ isV6: host.includes(":"), socket: yield* endpoint.bind({ host, port }) }]
  const v4 = yield* endpoint.bind({ host: "0.0.0.0", port })
  const v6 = yield* Effect.option(endpoint.bind({ host: "::", port: v4.local.port }))
  const first = { isV6: false, socket: v4 }
  return Option.isNone(v6) ? [first] : [first, { isV6: true, socket: v6.value }]
})
