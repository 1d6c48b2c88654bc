/**
 * One socket of both address families, made of two: what goes to an address of IPv6 leaves by one, the rest by the other. So a
 * host that has both reaches peers that have only either, and by IPv6 those that no translator lets through.
 */
import { Effect, type Scope } from "effect"
import * as Endpoint from "../data/Endpoint.ts"
import type { UdpEndpoint, UdpSocket } from "./UdpEndpoint.ts"

/** With a second socket for every address of the other family, at the same port if it is free; the first alone without. */
export const beside = (
  udp: UdpEndpoint["Service"],
  first: UdpSocket,
  receiveBufferBytes: number
): Effect.Effect<UdpSocket, never, Scope.Scope> => {
  const host = first.local.host.includes(":") ? "0.0.0.0" : "::"
  const at = (port: number) => udp.bind({ host, port, receiveBufferBytes, counters: first.counters })
  return Effect.match(
    Effect.catch(at(first.local.port), () => at(0)),
    {
      onSuccess: (second) => joined(first, second),
      // A host without that family.
      onFailure: () => first
    }
  )
}

const joined = (first: UdpSocket, second: UdpSocket): UdpSocket => {
  const towards = ({ host }: Endpoint.Endpoint) => (Endpoint.isSameFamily(host, first.local.host) ? first : second)
  return {
    local: first.local,
    other: second.local,
    counters: first.counters,
    onBatch: (receive) => {
      first.onBatch(receive)
      second.onBatch(receive)
    },
    send: (bytes, to) => towards(to).send(bytes, to),
    mtuTowards: (to) => towards(to).mtuTowards(to)
  }
}
