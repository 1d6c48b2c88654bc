/** A host behind a `NatBox` and a beacon that answers its questions, in steps of virtual time; nothing waits. */
import { Result } from "effect"
import * as NativeCrypto from "../../src/core/crypto/NativeCrypto.ts"
import * as Bytes from "../../src/core/data/Bytes.ts"
import * as Endpoint from "../../src/core/data/Endpoint.ts"
import * as ProbeResponder from "../../src/nat/ProbeResponder.ts"
import type { Sending, Socket } from "../../src/nat/ProbeSending.ts"
import * as BeaconMessage from "../../src/protocol/wire/BeaconMessage.ts"
import * as NatProbe from "../../src/protocol/wire/NatProbe.ts"
import * as NatBox from "../../src/testing/NatBox.ts"
import * as SeededRandom from "../../src/testing/SeededRandom.ts"

export const BEACON = { host: "203.0.113.1", port: 9001 }
export const OTHER_PORT = 9002
export const OTHER_HOST = { host: "203.0.113.2", port: 9001 }
/** A beacon of the reference: it only says where it sees whom. */
export const PLAIN = { host: "203.0.113.3", port: 9001 }
export const INSIDE: Readonly<Record<Socket, Endpoint.Endpoint>> = {
  tunnel: { host: "10.0.0.2", port: 4000 },
  second: { host: "10.0.0.2", port: 4001 }
}
const OUTSIDE = "198.51.100.7"

/** What is on the way to one of the two sockets. */
export interface Arrival {
  readonly socket: Socket
  readonly bytes: Uint8Array
  readonly from: Endpoint.Endpoint
}

export interface Options {
  /** `undefined`: the host has a public address. */
  readonly nat?: Partial<NatBox.Config> | undefined
  readonly seed?: number
  readonly others?: ProbeResponder.Others
  /** What a filter in front of a public host lets in. */
  readonly isBlocked?: (to: Endpoint.Endpoint) => boolean
}

/** One host, its translator and the beacons. */
export class ProbedNat {
  readonly box: NatBox.NatBox | undefined
  readonly responder: ProbeResponder.ProbeResponder
  readonly inside: Readonly<Record<Socket, Endpoint.Endpoint>>
  sentCount = 0
  readonly #options: Options

  constructor(options: Options) {
    this.#options = options
    const random = SeededRandom.make(options.seed ?? 1)
    this.box =
      options.nat === undefined ? undefined : new NatBox.NatBox({ ...NatBox.kinds.fullCone, ...options.nat }, random)
    const own = { tunnel: { host: OUTSIDE, port: 4000 }, second: { host: OUTSIDE, port: 4001 } }
    this.inside = this.box === undefined ? own : INSIDE
    const key = Bytes.fromUtf8("a secret of the beacon")
    this.responder = new ProbeResponder.ProbeResponder(ProbeResponder.defaults, (bytes) =>
      NativeCrypto.crypto.hmacSha256(key, bytes)
    )
  }

  /** What one datagram of the host brings back to it. */
  send({ bytes, socket, to }: Sending, nowMs: number): ReadonlyArray<Arrival> {
    this.sentCount++
    if (this.#options.isBlocked?.(to) === true) return []
    const inside = this.inside[socket]
    const outside = this.#outbound(inside, to, nowMs)
    if (outside === undefined) return []
    if (to.host === OUTSIDE) return this.#inbound(to.port, bytes, outside, nowMs, inside)
    return this.#answers(bytes, outside, to, nowMs).flatMap((answer) =>
      this.#inbound(answer.to.port, answer.bytes, answer.from, nowMs)
    )
  }

  #outbound(inside: Endpoint.Endpoint, to: Endpoint.Endpoint, nowMs: number): Endpoint.Endpoint | undefined {
    if (this.box === undefined) return inside
    const port = to.host === OUTSIDE ? this.box.hairpin(inside, to, nowMs) : this.box.outbound(inside, to, nowMs)
    return port === undefined ? undefined : { host: OUTSIDE, port }
  }

  #inbound(
    port: number,
    bytes: Uint8Array,
    from: Endpoint.Endpoint,
    nowMs: number,
    self?: Endpoint.Endpoint
  ): ReadonlyArray<Arrival> {
    const to = this.box === undefined ? { host: OUTSIDE, port } : this.box.inbound(port, from, nowMs)
    const socket = (["tunnel", "second"] as const).find(
      (name) => to !== undefined && Endpoint.equals(this.inside[name], to)
    )
    return socket === undefined || (self !== undefined && Endpoint.equals(this.inside[socket], self))
      ? []
      : [{ socket, bytes, from }]
  }

  #answers(bytes: Uint8Array, from: Endpoint.Endpoint, to: Endpoint.Endpoint, nowMs: number) {
    if (Endpoint.equals(to, PLAIN)) {
      const asked = Result.isSuccess(BeaconMessage.decode(bytes))
      return asked
        ? [{ to: from, from: to, bytes: BeaconMessage.encode({ _tag: "DiscoverReply", endpoint: from }) }]
        : []
    }
    const others = this.#options.others ?? { port: OTHER_PORT, host: OTHER_HOST }
    const decoded = NatProbe.decode(bytes)
    const answer = Result.isSuccess(decoded) ? this.responder.receive(decoded.success, from, others, nowMs) : undefined
    if (answer === undefined) return []
    const origins = { Same: to, OtherPort: { host: to.host, port: OTHER_PORT }, OtherHost: OTHER_HOST }
    return [{ to: answer.to, from: origins[answer.reply.from], bytes: NatProbe.encode(answer.reply) }]
  }
}

/** Nonces that are all different. */
export const nonces = (): (() => Uint8Array) => {
  let count = 0
  return () => Bytes.concat(Bytes.ofU32(0), Bytes.ofU32(++count))
}
