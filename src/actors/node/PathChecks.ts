/**
 * The search for a direct way to one peer: each side offers the places where it may be reached, inside the tunnel, and tries
 * those of the other by sealed probes. Whatever opens there is authentic, so nobody else can move a path. The relay carries
 * the data meanwhile.
 */
import type { Pieces } from "../../core/data/Bytes.ts"
import * as EndpointOf from "../../core/data/Endpoint.ts"
import * as Path from "../../nat/Path.ts"
import * as Places from "../../nat/Places.ts"
import type { NodeId } from "../../protocol/wire/Address.ts"
import * as ControlMessage from "../../protocol/wire/ControlMessage.ts"
import * as Packet from "../../protocol/wire/Packet.ts"
import type { PathOffer, Place } from "../../protocol/wire/PathOffer.ts"
import * as TunnelFrame from "../../protocol/wire/TunnelFrame.ts"
import type { NodeContext } from "./NodeContext.ts"
import type { PeerPaths } from "./PeerPaths.ts"

/** What it needs of the peer's actor. */
export interface Options {
  readonly context: NodeContext
  readonly node: NodeId
  readonly paths: PeerPaths
  /** By the path in use. */
  readonly send: (packet: Packet.Packet) => void
  /** By one path only. */
  readonly write: (packet: Packet.Packet, path: Path.Path) => void
  readonly seal: (packet: Packet.Packet) => Pieces | undefined
  /** A key exchange, and a request for one: for a peer that has lost our keys. */
  readonly introductions: () => ReadonlyArray<Pieces>
}

/** Owned by a peer's actor. */
export class PathChecks {
  readonly #options: Options
  /** The peer has announced that it understands offers. */
  #isUnderstood = false
  #round = 0
  #places: ReadonlyArray<Place> = []
  #isHeard = false
  #sent = 0
  #sentAtMs = Number.NEGATIVE_INFINITY
  /** The peer's round that was heard last. */
  #heard = 0

  constructor(options: Options) {
    this.#options = options
  }

  /** When there is something to do, if streams are open; `Infinity` if nothing is. */
  get deadlineMs(): number {
    const { selector, searchAtMs } = this.#options.paths
    return Math.min(searchAtMs, selector.hasProven ? selector.probeAtMs : Number.POSITIVE_INFINITY, this.#offerAtMs)
  }

  /** Does what is due. */
  run(nowMs: number): void {
    const { paths, write } = this.#options
    if (paths.selector.hasProven)
      for (const path of paths.selector.probes(PROBE_BYTES, nowMs)) write(paths.probePacket, path)
    if (paths.searchAtMs <= nowMs) this.search(nowMs)
    if (this.#offerAtMs <= nowMs) this.#offer(nowMs)
  }

  /** The peer has announced itself: after its first frame, and after it was restarted. */
  announced(isUnderstood: boolean): void {
    this.#isUnderstood = isUnderstood
    this.#isHeard = false
    this.#sent = 0
  }

  /** The peer says where it may be reached. Strangers may not make this node send anywhere. */
  received(offer: PathOffer, nowMs: number): void {
    const { context, node, paths } = this.#options
    if (!context.isTrusted(node)) return
    if (offer.heard === this.#round && this.#round > 0) this.#isHeard = true
    if (offer.round === this.#heard) return
    this.#heard = offer.round
    const endpoints = Places.worthTrying(offer.places, context.places(), context.beacon)
    for (const endpoint of endpoints) paths.selector.learn(Path.direct(endpoint))
    paths.selector.tryAgain()
    // What it has not heard goes with the answer, and its translator is open now.
    this.#offer(nowMs)
  }

  /** This host is in another network now, or was asleep. */
  networkChanged(nowMs: number): void {
    this.#options.paths.selector.tryAgain()
    if (this.#options.paths.selector.hasProven) this.search(nowMs)
    if (this.#isUnderstood && !isSame(this.#places, this.#options.context.places())) this.#offer(nowMs)
  }

  /** Nothing answers on the path in use: asks on all of them, for a peer with our keys and for one that has lost them. */
  search(nowMs: number): void {
    const { introductions, paths, seal } = this.#options
    paths.searched(nowMs)
    const frame = seal(paths.probePacket)
    if (frame !== undefined) paths.challenge(frame, undefined)
    for (const introduction of introductions()) paths.challenge(introduction, undefined)
  }

  get #offerAtMs(): number {
    const isDue = this.#isUnderstood && !this.#isHeard && this.#sent < OFFERS_MAX && this.#mayTell
    return isDue ? this.#sentAtMs + (this.#sent === 0 ? 0 : OFFER_INTERVAL_MS) : Number.POSITIVE_INFINITY
  }

  /** A private node's places are told to whom it trusts. */
  get #mayTell(): boolean {
    return this.#options.context.isTrusted(this.#options.node) || this.#options.context.isPublic()
  }

  #offer(nowMs: number): void {
    const { context, paths, send } = this.#options
    if (!this.#isUnderstood || !this.#mayTell) return
    const places = context.places()
    if (this.#round === 0 || !isSame(places, this.#places)) {
      this.#round = (this.#round % ROUND_MAX) + 1
      this.#places = places
      this.#isHeard = false
      this.#sent = 0
    }
    this.#sent += 1
    this.#sentAtMs = nowMs
    const offer = { round: this.#round, heard: this.#heard, places }
    send(ControlMessage.pathOffer(context.address, paths.peer, offer))
  }
}

const isSame = (a: ReadonlyArray<Place>, b: ReadonlyArray<Place>): boolean =>
  a.length === b.length && a.every(({ endpoint }, index) => EndpointOf.equals(endpoint, b[index]!.endpoint))

/** A sealed path probe. */
const PROBE_BYTES = Packet.HEADER_BYTES + ControlMessage.PATH_PROBE.length + TunnelFrame.SEALED_OVERHEAD_BYTES
/** One offer is repeated so often, unless it was heard. */
const OFFERS_MAX = 4
const OFFER_INTERVAL_MS = 500
const ROUND_MAX = 255
