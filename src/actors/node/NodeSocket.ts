/** The UDP socket of a node: where it is asked for, at the port that the node had last, in both address families. */
import { Effect, type Scope } from "effect"
import type { Endpoint } from "../../core/data/Endpoint.ts"
import * as BothFamilies from "../../core/net/BothFamilies.ts"
import type { BindError, UdpEndpoint, UdpSocket } from "../../core/net/UdpEndpoint.ts"

/** Where. */
export interface Options {
  readonly listen: Endpoint & {
    /** In the other address family, too, where the host has it. */
    readonly isBothFamilies?: boolean
  }
  /** The port that it had in its last life, taken again if any will do: peers look for it there. */
  readonly lastPort?: number | undefined
}

/** Binds it in the surrounding scope. */
export const bind = (
  udp: UdpEndpoint["Service"],
  { lastPort, listen }: Options
): Effect.Effect<UdpSocket, BindError, Scope.Scope> => {
  const { host, isBothFamilies = false, port: wanted } = listen
  const at = (port: number) => udp.bind({ host, port, receiveBufferBytes: RECEIVE_BUFFER_BYTES })
  const first = wanted === 0 && lastPort !== undefined ? Effect.catch(at(lastPort), () => at(wanted)) : at(wanted)
  return isBothFamilies
    ? Effect.flatMap(first, (socket) => BothFamilies.beside(udp, socket, RECEIVE_BUFFER_BYTES))
    : first
}

/** Datagrams that wait while the loop is busy: under saturation the kernel's default loses one in twelve. */
const RECEIVE_BUFFER_BYTES = 4 << 20
