/** `UdpEndpoint` of one host of a `VirtualNetwork`. */

import { Effect, type Scope } from "effect"
import * as Bytes from "../core/data/Bytes.ts"
import { BindError, type UdpEndpoint, type UdpSocket, uncounted } from "../core/net/UdpEndpoint.ts"
import * as VirtualAddress from "./VirtualAddress.ts"
import type * as VirtualNetwork from "./VirtualNetwork.ts"

/** UDP of a machine from its start to its stop; afterwards nothing can be bound or sent. */
export const make = (
  network: VirtualNetwork.VirtualNetwork,
  host: VirtualNetwork.Host,
  isRunning: () => boolean
): UdpEndpoint["Service"] => ({
  addresses: () => [host.address, host.address6].filter((address) => address !== undefined),
  bind: Effect.fnUntraced(function* (where): Effect.fn.Return<UdpSocket, BindError, Scope.Scope> {
    const refuse = (reason: BindError["reason"]) =>
      new BindError({ ...where, reason, detail: `simulated host ${host.name}` })
    if (!isRunning() || !isOwn(host, where.host)) return yield* refuse("AddressNotAvailable")
    if (host.sockets.size >= host.socketsMax) return yield* refuse("Other")
    const port = where.port === 0 ? freePort(host, where.host) : where.port
    if (port === undefined) return yield* refuse("PortInUse")
    const key = VirtualAddress.socketKey(where.host, port)
    if (host.sockets.has(key)) return yield* refuse("PortInUse")
    const socket = makeSocket(where.host, port, where.counters)
    yield* Effect.acquireRelease(
      Effect.sync(() => host.sockets.set(key, socket)),
      () =>
        Effect.sync(() => {
          if (host.sockets.get(key) === socket) host.sockets.delete(key)
        })
    )
    return {
      local: { host: where.host, port },
      counters: socket.counters,
      onBatch: (receive) => {
        socket.receive = receive
      },
      send: (pieces, to) => {
        // The kernel would copy too: what the sender does to its bytes later concerns nobody.
        const bytes = Bytes.copy(Bytes.join(pieces))
        const { counters } = socket
        const isOpen = host.sockets.get(key) === socket
        if (!isOpen || bytes.length > payloadBytesMax(where.host) || !canReach(where.host, to.host)) {
          counters.sendErrors++
          return
        }
        counters.sentDatagrams++
        counters.sentBytes += bytes.length
        network.send(host, port, to, bytes)
      },
      mtuTowards: (to) => Effect.sync(() => mtuBytes(host, to.host))
    }
  })
})

const makeSocket = (address: string, port: number, counters = uncounted()): VirtualNetwork.BoundSocket => ({
  address,
  port,
  counters,
  receive: () => {},
  pending: []
})

const isOwn = (host: VirtualNetwork.Host, address: string): boolean =>
  address === host.address ||
  address === host.address6 ||
  VirtualAddress.isWildcard(address) ||
  VirtualAddress.isLoopback(address)

/** A socket reaches its own family only. Bound to the loopback it reaches only its own host; another one the world, or both. */
const canReach = (bound: string, to: string): boolean =>
  VirtualAddress.isV6(to) === VirtualAddress.isV6(bound) &&
  (VirtualAddress.isWildcard(bound) || VirtualAddress.isLoopback(bound) === VirtualAddress.isLoopback(to))

/** A host knows its own access, not what lies beyond. */
const mtuBytes = (host: VirtualNetwork.Host, to: string): number => {
  if (VirtualAddress.isLoopback(to) || to === host.address || to === host.address6) return LOOPBACK_MTU_BYTES
  return Math.min(host.access.up.mtuBytes, LOOPBACK_MTU_BYTES)
}

const freePort = (host: VirtualNetwork.Host, address: string): number | undefined => {
  for (let port = EPHEMERAL_PORT_MIN; port <= PORT_MAX; port++) {
    if (!host.sockets.has(VirtualAddress.socketKey(address, port))) return port
  }
  return undefined
}

/** The largest UDP payload: an IPv4 packet counts its own header, an IPv6 packet does not. */
const payloadBytesMax = (address: string): number => (VirtualAddress.isV6(address) ? 65_527 : 65_507)

/** Of Linux. */
const LOOPBACK_MTU_BYTES = 65_536
const EPHEMERAL_PORT_MIN = 49_152
const PORT_MAX = 65_535
