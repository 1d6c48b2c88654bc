/**
 * The beacon's other endpoints, from which nodes find out what their translator does (`ProbeResponder`): another port of
 * every family, and another host where the operator has one. A beacon without them still says where it sees whom.
 */
import { Effect, Option, Result, type Scope } from "effect"
import { Crypto } from "../../core/crypto/Crypto.ts"
import type { Endpoint } from "../../core/data/Endpoint.ts"
import { type Datagram, UdpEndpoint, type UdpSocket } from "../../core/net/UdpEndpoint.ts"
import * as ProbeResponder from "../../nat/ProbeResponder.ts"
import * as NatProbe from "../../protocol/wire/NatProbe.ts"

/** Where to bind; what cannot be bound is left out. */
export interface Options {
  /** As the beacon's own. */
  readonly host: string | undefined
  /** 0 for a free one. */
  readonly port: number
  /** Another address of this machine, and its port. */
  readonly other: Endpoint | undefined
  readonly nowMs: () => number
}

/** A datagram that a probe socket received, or the beacon's own for it; false if it is no probe. */
export type Receive = (datagram: Datagram, asked: UdpSocket) => boolean

/** The sockets in the surrounding scope. */
export interface ProbeSockets {
  readonly receive: Receive
  readonly counters: ProbeResponder.ProbeCounters
  /** 0 if there is none. */
  readonly port: number
}

/** Binds them. */
export const open = Effect.fnUntraced(function* (
  options: Options
): Effect.fn.Return<ProbeSockets, never, Crypto | UdpEndpoint | Scope.Scope> {
  const crypto = yield* Crypto
  const secret = crypto.randomBytes(SECRET_BYTES)
  const responder = new ProbeResponder.ProbeResponder(ProbeResponder.defaults, (bytes) =>
    crypto.hmacSha256(secret, bytes)
  )
  const hosts = options.host === undefined ? ["0.0.0.0", "::"] : [options.host]
  let port = options.port
  const byPort: Array<UdpSocket> = []
  for (const host of hosts) {
    const socket = yield* bound({ host, port })
    if (socket === undefined) continue
    port = socket.local.port
    byPort.push(socket)
  }
  const byHost = options.other === undefined ? undefined : yield* bound(options.other)
  const portOf = (isV6: boolean) => byPort.find(({ local }) => local.host.includes(":") === isV6)
  const hostOf = (isV6: boolean) => (byHost?.local.host.includes(":") === isV6 ? byHost : undefined)

  const receive: Receive = ({ bytes, from }, asked) => {
    if (!NatProbe.isType(bytes[0])) return false
    const message = NatProbe.decode(bytes)
    if (Result.isFailure(message)) return true
    const isV6 = from.host.includes(":")
    const others = { port: portOf(isV6)?.local.port ?? 0, host: hostOf(isV6)?.local }
    const answer = responder.receive(message.success, from, others, options.nowMs())
    if (answer === undefined) return true
    const { from: origin } = answer.reply
    const socket = origin === "Same" ? asked : origin === "OtherPort" ? portOf(isV6) : hostOf(isV6)
    socket?.send(NatProbe.encode(answer.reply), answer.to)
    return true
  }
  for (const socket of byHost === undefined ? byPort : [...byPort, byHost])
    socket.onBatch((batch) => {
      for (const datagram of batch) receive(datagram, socket)
    })
  return { receive, counters: responder.counters, port: byPort[0]?.local.port ?? 0 }
})

const bound = (endpoint: Endpoint) =>
  Effect.gen(function* () {
    const udp = yield* UdpEndpoint
    const socket = yield* Effect.option(udp.bind(endpoint))
    return Option.getOrUndefined(socket)
  })

const SECRET_BYTES = 32
