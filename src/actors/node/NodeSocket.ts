/**
 * The socket of a node: bound where it is asked for, at the port that the node had last, in both address families; with others
 * beside it, and with another way to the beacon where UDP has none.
 */
import { Effect, type Scope } from "effect"
import type { SigningKey } from "../../core/crypto/Crypto.ts"
import type { Endpoint } from "../../core/data/Endpoint.ts"
import * as BothFamilies from "../../core/net/BothFamilies.ts"
import type { BindError, UdpEndpoint, UdpSocket } from "../../core/net/UdpEndpoint.ts"
import type { NodeId } from "../../protocol/wire/Address.ts"
import * as BeaconSocket from "./BeaconSocket.ts"
import { SideSockets } from "./SideSockets.ts"

/** What is configured. */
export interface Settings {
  readonly listen: Endpoint & {
    /** In the other address family, too, where the host has it. */
    readonly isBothFamilies?: boolean
  }
  /** The port that it had in its last life, taken again if any will do: peers look for it there. */
  readonly lastPort?: number | undefined
  readonly beacon: Endpoint | undefined
  /** How the beacon is reached where UDP is not; never if absent. */
  readonly bridge?: Pick<BeaconSocket.Options, "client" | "target"> | undefined
  readonly identity: SigningKey
}

/** What it is told. */
export interface Options extends Settings {
  /** 0 until the registry has given an id. */
  readonly node: () => NodeId
  /** The way to the beacon has changed. */
  readonly changed: () => void
}

/** One socket in its layers; whoever is a peer's uses `socket`. */
export interface NodeSocket {
  readonly bound: UdpSocket
  readonly sides: SideSockets
  readonly beaconSocket: BeaconSocket.BeaconSocket | undefined
  readonly socket: UdpSocket
}

/** Binds it in the surrounding scope. */
export const make = Effect.fnUntraced(function* (
  udp: UdpEndpoint["Service"],
  options: Options
): Effect.fn.Return<NodeSocket, BindError, Scope.Scope> {
  const bound = yield* bind(udp, options)
  const sides = new SideSockets(bound, udp)
  const { beacon, bridge, changed, identity, node } = options
  if (beacon === undefined || bridge === undefined) return { bound, sides, beaconSocket: undefined, socket: sides }
  const beaconSocket = yield* BeaconSocket.make({ ...bridge, socket: sides, beacon, identity, node, changed })
  return { bound, sides, beaconSocket, socket: beaconSocket }
})

const bind = (udp: UdpEndpoint["Service"], { lastPort, listen }: Settings) => {
  const { host, isBothFamilies = false, port: wanted } = listen
  const at = (port: number) => udp.bind({ host, port, receiveBufferBytes: RECEIVE_BUFFER_BYTES })
  const first = wanted === 0 && lastPort !== undefined ? Effect.catch(at(lastPort), () => at(wanted)) : at(wanted)
  return isBothFamilies
    ? Effect.flatMap(first, (socket) => BothFamilies.beside(udp, socket, RECEIVE_BUFFER_BYTES))
    : first
}

/** Datagrams that wait while the loop is busy: under saturation the kernel's default loses one in twelve. */
const RECEIVE_BUFFER_BYTES = 4 << 20
