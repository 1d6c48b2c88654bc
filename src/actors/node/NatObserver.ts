/**
 * Knows the translator in front of a node: asks the beacons by the tunnel's own socket and a second one beside it
 * (`NatDiscovery`), and measures in the background how long a mapping lives (`MappingLifetime`).
 *
 * Owns the second socket while a question is out. Told by the socket's router of answers, in the callback; asked by whoever
 * wants to know. One round at a time; who comes meanwhile gets its result. Nothing in it can fail: what cannot be found out
 * is unknown.
 */
import { Clock, Deferred, Effect, Exit, Latch, Option, type Scope } from "effect"
import * as MonotonicTime from "../../core/actor/MonotonicTime.ts"
import type { Crypto } from "../../core/crypto/Crypto.ts"
import * as AddressScope from "../../core/data/AddressScope.ts"
import * as Endpoint from "../../core/data/Endpoint.ts"
import type { UdpEndpoint, UdpSocket } from "../../core/net/UdpEndpoint.ts"
import { MappingLifetime } from "../../nat/MappingLifetime.ts"
import * as NatClassification from "../../nat/NatClassification.ts"
import { NatDiscovery } from "../../nat/NatDiscovery.ts"
import * as NatReport from "../../nat/NatReport.ts"
import type { Sending, Socket } from "../../nat/ProbeSending.ts"
import * as NatProbe from "../../protocol/wire/NatProbe.ts"

/** Through what it looks. */
export interface Options {
  /** What peers reach; its answers come by `received`. */
  readonly socket: UdpSocket
  readonly udp: UdpEndpoint["Service"]
  readonly crypto: Crypto["Service"]
  /** The one in use first. */
  readonly beacons: () => ReadonlyArray<Endpoint.Endpoint>
  /** Lifetimes that were measured before, by network (`NatReport.networkOf`). */
  readonly known?: ReadonlyMap<string, NatReport.Lifetime> | undefined
  /** A lifetime was measured on a network. */
  readonly learnt?: ((network: string, lifetime: NatReport.Lifetime) => void) | undefined
}

/** What the surroundings know of translators. */
export interface Surroundings extends Pick<Options, "known" | "learnt"> {
  readonly beacons?: ReadonlyArray<Endpoint.Endpoint> | undefined
  readonly isMeasured?: boolean | undefined
}

/** One per socket that peers reach. */
export class NatObserver {
  readonly #options: Options
  readonly #nowMs: () => number
  readonly #lifetimes: Map<string, NatReport.Lifetime>
  readonly #heard = Latch.makeUnsafe(false)
  #discovery: NatDiscovery | undefined
  #measuring: MappingLifetime | undefined
  #round: Deferred.Deferred<NatReport.NatReport> | undefined
  #knowledge: NatReport.NatKnowledge = { report: undefined, lifetime: undefined }

  constructor(options: Options, nowMs: () => number) {
    this.#options = options
    this.#nowMs = nowMs
    this.#lifetimes = new Map(options.known ?? [])
  }

  /** What was found last. */
  get knowledge(): NatReport.NatKnowledge {
    return this.#knowledge
  }

  /** Whether the world sees the tunnel's socket elsewhere than it is; asks the host for its addresses. */
  isTranslated(mapped: Endpoint.Endpoint): boolean {
    return NatClassification.isElsewhere(mapped, this.#asked([]))
  }

  /** How often a mapping has to be used on the network of now; cheap, because peers ask with every packet. */
  get keepaliveMs(): number {
    return NatReport.keepaliveMs(this.#knowledge.lifetime)
  }

  /** A beacon's datagram came by the tunnel's socket; true if it was an answer to a question of this. */
  received(bytes: Uint8Array, from: Endpoint.Endpoint): boolean {
    const discovery = this.#discovery
    const isOurs = discovery?.received("tunnel", bytes, from, this.#nowMs()) === true
    if (isOurs) this.#heard.openUnsafe()
    return isOurs || NatProbe.isType(bytes[0])
  }

  /** Looks anew; a second or two. */
  readonly discover: Effect.Effect<NatReport.NatReport> = Effect.suspend(() => {
    if (this.#round !== undefined) return Deferred.await(this.#round)
    const round = Deferred.makeUnsafe<NatReport.NatReport>()
    this.#round = round
    return this.#look().pipe(
      Effect.onExit((exit) =>
        Effect.sync(() => {
          this.#round = undefined
          this.#discovery = undefined
          // Whoever waited for an interrupted round gets what was known.
          const report = Exit.isSuccess(exit)
            ? exit.value
            : (this.#knowledge.report ?? new NatDiscovery(this.#asked([]), 0).report)
          Deferred.doneUnsafe(round, Exit.succeed(report))
        })
      )
    )
  })

  /** Looks once, and measures the lifetime unless it is known on this network. Ends when it is. */
  readonly measure: Effect.Effect<void> = Effect.suspend(() =>
    Effect.flatMap(this.discover, (report) => {
      const beacon = report.beacons.find(({ isOurs }) => isOurs)?.endpoint
      const network = this.#network
      if (beacon === undefined || network === undefined || report.isTranslated !== true) return Effect.void
      return this.#lifetimes.has(network) ? Effect.void : this.#wait(beacon, network)
    })
  )

  #look(): Effect.Effect<NatReport.NatReport> {
    return Effect.scoped(
      Effect.gen({ self: this }, function* () {
        const second = yield* this.#second((bytes, from) => {
          if (this.#discovery?.received("second", bytes, from, this.#nowMs()) === true) this.#heard.openUnsafe()
        })
        const discovery = new NatDiscovery(this.#asked(this.#options.beacons()), this.#nowMs())
        this.#discovery = discovery
        yield* this.#run(discovery, this.#heard, second)
        const { report } = discovery
        this.#know(report)
        return report
      })
    )
  }

  #wait(beacon: Endpoint.Endpoint, network: string): Effect.Effect<void> {
    return Effect.scoped(
      Effect.gen({ self: this }, function* () {
        const heard = Latch.makeUnsafe(false)
        const second = yield* this.#second((bytes) => {
          if (this.#measuring?.received(bytes, this.#nowMs()) === true) heard.openUnsafe()
        })
        const measuring = new MappingLifetime(beacon, () => this.#nonce(), this.#nowMs())
        this.#measuring = measuring
        yield* this.#run(measuring, heard, second)
        const { lifetime } = measuring
        // Somewhere else in the meantime: it belongs to neither network.
        if (lifetime === undefined || this.#network !== network) return
        this.#remember(network, lifetime)
      })
    )
  }

  /** Performs what a machine wants until it is over. */
  #run(
    machine: NatDiscovery | MappingLifetime,
    heard: Latch.Latch,
    second: UdpSocket | undefined
  ): Effect.Effect<void> {
    return Effect.gen({ self: this }, function* () {
      while (true) {
        heard.closeUnsafe()
        for (const sending of machine.take()) this.#send(sending, second)
        const dueAtMs = machine.deadlineMs
        if (dueAtMs === undefined) return
        yield* Effect.raceFirst(Effect.sleep(Math.max(0, dueAtMs - this.#nowMs())), heard.await)
        machine.timeout(this.#nowMs())
      }
    })
  }

  #send({ bytes, socket, to }: Sending, second: UdpSocket | undefined): void {
    const by: Readonly<Record<Socket, UdpSocket | undefined>> = { tunnel: this.#options.socket, second }
    by[socket]?.send(bytes, to)
  }

  /** A socket beside the tunnel's, in its family; without one, less is found out. */
  #second(
    receive: (bytes: Uint8Array, from: Endpoint.Endpoint) => void
  ): Effect.Effect<UdpSocket | undefined, never, Scope.Scope> {
    const { socket, udp } = this.#options
    return Effect.map(Effect.option(udp.bind({ host: socket.local.host, port: 0 })), (bound) => {
      const second = Option.getOrUndefined(bound)
      second?.onBatch((batch) => {
        for (const { bytes, from } of batch) receive(bytes, from)
      })
      return second
    })
  }

  #asked(beacons: ReadonlyArray<Endpoint.Endpoint>) {
    const { socket, udp } = this.#options
    const isV6 = socket.local.host.includes(":")
    const own = Endpoint.isWildcard(socket.local.host) ? (udp.addresses?.() ?? []) : [socket.local.host]
    return {
      beacons: beacons.filter(({ host }) => host.includes(":") === isV6),
      local: socket.local,
      localHosts: own,
      nonce: () => this.#nonce()
    }
  }

  #nonce(): Uint8Array {
    return this.#options.crypto.randomBytes(NatProbe.NONCE_BYTES)
  }

  /** This node's own addresses there, and the one the world sees. */
  get #network(): string | undefined {
    const { mapped } = this.#knowledge.report ?? {}
    if (mapped === undefined) return undefined
    const hosts = this.#asked([]).localHosts.filter(AddressScope.isUsable)
    return NatReport.networkOf(hosts.toSorted().slice(0, HOSTS_MAX).join(","), mapped)
  }

  #know(report: NatReport.NatReport | undefined): void {
    this.#knowledge = { report, lifetime: undefined }
    const network = this.#network
    if (network !== undefined) this.#knowledge = { report, lifetime: this.#lifetimes.get(network) }
  }

  #remember(network: string, lifetime: NatReport.Lifetime): void {
    const oldest = this.#lifetimes.keys().next().value
    if (this.#lifetimes.size >= NETWORKS_MAX && oldest !== undefined) this.#lifetimes.delete(oldest)
    this.#lifetimes.set(network, lifetime)
    this.#know(this.#knowledge.report)
    this.#options.learnt?.(network, lifetime)
  }
}

/** One for a socket, on the clock of this fiber. */
export const make = (options: Options): Effect.Effect<NatObserver> =>
  Effect.map(Clock.Clock, (clock) => new NatObserver(options, () => MonotonicTime.nowMsUnsafe(clock)))

/** Networks whose lifetime is remembered; the oldest is forgotten first. */
export const NETWORKS_MAX = 16
/** Addresses that name a network; more tell it no better. */
const HOSTS_MAX = 8
