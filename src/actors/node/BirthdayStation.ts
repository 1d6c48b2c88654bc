/**
 * What the peers of one socket share for birthday probing: what its translator allows, where the beacon has placed whom, the sockets
 * beside it, and the bounds of the node.
 */
import { Effect } from "effect"
import * as MonotonicTime from "../../core/actor/MonotonicTime.ts"
import type { Endpoint } from "../../core/data/Endpoint.ts"
import * as Birthday from "../../nat/Birthday.ts"
import { isTarget, PlacedHosts } from "../../nat/GuessLimit.ts"
import * as NatReport from "../../nat/NatReport.ts"
import type { Reason } from "../../protocol/wire/BirthdayMessage.ts"
import * as ControlMessage from "../../protocol/wire/ControlMessage.ts"
import * as Packet from "../../protocol/wire/Packet.ts"
import * as TunnelFrame from "../../protocol/wire/TunnelFrame.ts"
import type { BirthdayDesk } from "./BirthdayDesk.ts"
import type { Mapping } from "./Mapping.ts"
import type { NatObserver } from "./NatObserver.ts"
import type { SideSockets } from "./SideSockets.ts"

/** What it is made of. */
export interface Options {
  readonly sides: SideSockets
  readonly nat: Pick<NatObserver, "knowledge" | "discover">
  readonly mapping: Pick<Mapping, "endpoint">
  readonly desk: BirthdayDesk
  readonly beacon: Endpoint | undefined
  /** Of this host's interfaces. */
  readonly addresses: () => ReadonlyArray<string>
}

/** One for each socket that peers reach. */
export class BirthdayStation {
  readonly placed = new PlacedHosts()
  readonly desk: BirthdayDesk
  readonly sides: SideSockets
  readonly #options: Options
  #lookedAtMs = Number.NEGATIVE_INFINITY

  constructor(options: Options) {
    this.#options = options
    this.desk = options.desk
    this.sides = options.sides
  }

  /** Where the beacon sees this node by UDP. */
  get place(): Endpoint | undefined {
    const { endpoint } = this.#options.mapping
    return endpoint?.port === 0 ? undefined : endpoint
  }

  /** What this node can be in a try, as its translator is; `unknown` before anybody has looked at it from here. */
  get role(): Birthday.Role | "none" | "unknown" {
    const { place } = this
    if (place === undefined || this.#options.beacon === undefined) return "none"
    const { report } = this.#options.nat.knowledge
    if (report?.mapped?.host !== place.host) return "unknown"
    if (NatReport.isSymmetric(report)) return "opener"
    return NatReport.isPredictable(report) ? "guesser" : "none"
  }

  /** Where this node is, for a peer that asks it to guess ports of that host; or why it does not. */
  answer(host: string, nowMs: number): Endpoint | Reason {
    const { place, role } = this
    if (role !== "guesser" || place === undefined) return "NotPredictable"
    if (!this.#mayProbe(host)) return "Unplaced"
    return this.#hasRoom(host, Birthday.defaults.guesses, nowMs) ? place : "Limited"
  }

  /** Whether sockets may knock where the peer says it is: the beacon has placed somebody at exactly that. */
  mayKnock(place: Endpoint, nowMs: number): boolean {
    return (
      this.placed.has(place, nowMs) &&
      this.#mayProbe(place.host) &&
      this.#hasRoom(place.host, Birthday.defaults.sockets, nowMs)
    )
  }

  /** Whether one more probe may go there; counts it if so. */
  take(host: string, nowMs: number): boolean {
    return this.desk.limit.take(host, probeBytes(host), nowMs)
  }

  #hasRoom(host: string, probes: number, nowMs: number): boolean {
    return this.desk.limit.hasRoom(host, probes * probeBytes(host), nowMs)
  }

  #mayProbe(host: string): boolean {
    const { addresses, beacon } = this.#options
    const { place } = this
    return isTarget(host, place === undefined ? addresses() : [place.host, ...addresses()], beacon)
  }

  /** Looks at the translator, once in a while. */
  readonly look: Effect.Effect<void> = Effect.clockWith((clock) => {
    const nowMs = MonotonicTime.nowMsUnsafe(clock)
    if (nowMs - this.#lookedAtMs < LOOK_INTERVAL_MS) return Effect.void
    this.#lookedAtMs = nowMs
    return Effect.asVoid(this.#options.nat.discover)
  })
}

/** With the headers of IP and UDP. */
const probeBytes = (host: string): number => PROBE_BYTES + (host.includes(":") ? 48 : 28)

/** A sealed path probe. */
const PROBE_BYTES = Packet.HEADER_BYTES + ControlMessage.PATH_PROBE.length + TunnelFrame.SEALED_OVERHEAD_BYTES
/** Twenty datagrams each; what is unknown then is so for longer. */
const LOOK_INTERVAL_MS = 60_000
