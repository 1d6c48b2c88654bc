/**
 * Serves the beacon over UDP (rendezvous §8).
 *
 * Owns the socket and the directory of announced nodes. Told by the socket what arrived, one batch per event-loop turn;
 * answers it there and then, in the callback: there is nothing to wait for, so there is no mailbox that could fill, and
 * what the socket cannot hold the network drops. Nothing in it can fail, so nothing restarts it.
 */
import { Clock, Effect, Option, Result, type Scope } from "effect"
import * as MonotonicTime from "../../core/actor/MonotonicTime.ts"
import { Crypto } from "../../core/crypto/Crypto.ts"
import type { Endpoint } from "../../core/data/Endpoint.ts"
import { type BindError, type Datagram, UdpEndpoint, type UdpSocket } from "../../core/net/UdpEndpoint.ts"
import type { WebSocketPeer } from "../../core/net/WebSocketPeer.ts"
import { type BeaconCounters, BeaconDirectory, type Config, type Registration } from "../../nat/BeaconDirectory.ts"
import * as BridgeAddress from "../../nat/BridgeAddress.ts"
import type { NodeId } from "../../protocol/wire/Address.ts"
import * as BeaconMessage from "../../protocol/wire/BeaconMessage.ts"
import { Bridge, type BridgeCounters } from "./Bridge.ts"
import * as ProbeSockets from "./ProbeSockets.ts"

/** Where to serve, whom, and within which limits. */
export interface BeaconServerOptions {
  /** `undefined` for every address of this machine. */
  readonly host: string | undefined
  readonly port: number
  /** What the registry of this process knows of a node; others are not served. */
  readonly registration: (node: NodeId) => (Registration & { readonly publicKey: Uint8Array }) | undefined
  readonly config: Config
  /** Where else nodes may ask what their translator does; a free port of the same host if absent. */
  readonly probes?: { readonly port: number; readonly other: Endpoint | undefined } | undefined
}

/** A running beacon. */
export interface BeaconServer {
  readonly local: Endpoint
  readonly counters: BeaconCounters
  /** Datagrams that were no beacon message. */
  readonly malformed: () => number
  /** Nodes remembered now. */
  readonly nodesCount: (nowMs: number) => number
  /** Takes a WebSocket of a node that has no UDP. */
  readonly bridge: (peer: WebSocketPeer, remote: Endpoint) => void
  readonly bridgeCounters: BridgeCounters
  /** The other port at which nodes may ask what their translator does; 0 if there is none. */
  readonly probePort: number
}

/** Starts the beacon in the surrounding scope, whose end closes its socket. */
export const spawn = Effect.fn("BeaconServerActor.spawn")(function* (
  options: BeaconServerOptions
): Effect.fn.Return<BeaconServer, BindError, Crypto | UdpEndpoint | Scope.Scope> {
  const clock = yield* Clock.clockWith(Effect.succeed)
  const crypto = yield* Crypto
  const sockets = yield* bind(options)
  const directory = new BeaconDirectory(options.config, options.registration)
  let malformed = 0

  const received = (message: BeaconMessage.BeaconMessage, from: Endpoint, nowMs: number): void => {
    for (const { to, message: reply } of directory.receive(message, from, nowMs)) {
      if (BridgeAddress.is(to)) bridge.deliver(to, reply)
      // A node that announced itself over the other family is answered over that one.
      else sockets.find(({ isV6 }) => isV6 === to.host.includes(":"))?.socket.send(BeaconMessage.encode(reply), to)
    }
  }
  const bridge = new Bridge({
    crypto,
    keyOf: (node) => options.registration(node)?.publicKey,
    received,
    bridged: (node, at, to, nowMs) => directory.bridged(node, at, to, nowMs),
    nowMs: () => MonotonicTime.nowMsUnsafe(clock),
    unixSeconds: () => Math.floor(clock.currentTimeMillisUnsafe() / 1000)
  })
  const probes = yield* ProbeSockets.open({
    host: options.host,
    ...(options.probes ?? { port: 0, other: undefined }),
    nowMs: () => MonotonicTime.nowMsUnsafe(clock)
  })
  const receive = (datagram: Datagram, socket: UdpSocket, nowMs: number): void => {
    if (probes.receive(datagram, socket)) return
    const { bytes, from } = datagram
    const message = BeaconMessage.decode(bytes)
    if (Result.isFailure(message)) malformed++
    else received(message.success, from, nowMs)
  }
  for (const { socket } of sockets) {
    socket.onBatch((batch) => {
      const nowMs = MonotonicTime.nowMsUnsafe(clock)
      for (const datagram of batch) receive(datagram, socket, nowMs)
    })
  }
  const sweep = Effect.map(MonotonicTime.nowMs, (nowMs) => bridge.sweep(nowMs))
  yield* Effect.forkScoped(Effect.forever(Effect.andThen(Effect.sleep(SWEEP_MS), sweep)))
  return {
    local: sockets[0].socket.local,
    counters: directory.counters,
    malformed: () => malformed,
    nodesCount: (nowMs) => directory.size(nowMs),
    bridge: (peer, remote) => bridge.accept(peer, remote),
    bridgeCounters: bridge.counters,
    probePort: probes.port
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

/** How late a WebSocket may be closed whose time is over. */
const SWEEP_MS = 5_000
