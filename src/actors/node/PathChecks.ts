/**
 * The search for a direct way to one peer: each side offers the places where it may be reached, inside the tunnel, and tries
 * those of the other by sealed probes. Whatever opens there is authentic, so nobody else can move a path. The relay carries
 * the data meanwhile.
 */
import type { Pieces } from "../../core/data/Bytes.ts"
import * as EndpointOf from "../../core/data/Endpoint.ts"
import * as TokenBucket from "../../core/data/TokenBucket.ts"
import * as Path from "../../nat/Path.ts"
import type { Opened } from "../../nat/PathCandidate.ts"
import * as Places from "../../nat/Places.ts"
import type { NodeId } from "../../protocol/wire/Address.ts"
import { Capability } from "../../protocol/wire/Announcement.ts"
import * as ControlMessage from "../../protocol/wire/ControlMessage.ts"
import * as Packet from "../../protocol/wire/Packet.ts"
import type { PathOffer, Place } from "../../protocol/wire/PathOffer.ts"
import * as TunnelFrame from "../../protocol/wire/TunnelFrame.ts"
import type { NodeContext } from "./NodeContext.ts"
import { PeerBirthday } from "./PeerBirthday.ts"
import type { Message } from "./PeerMessage.ts"
import type { PeerPaths } from "./PeerPaths.ts"

/** What it needs of the peer's actor. */
export interface Options {
  readonly context: NodeContext
  readonly node: NodeId
  readonly paths: PeerPaths
  readonly nowMs: number
  /** By the path in use. */
  readonly send: (packet: Packet.Packet) => void
  /** For one path only; nothing while there are no keys. */
  readonly seal: (packet: Packet.Packet) => Pieces | undefined
  /** Streams that may still carry something; looks at all of them. */
  readonly hasStreams: () => boolean
  /** To the owner, from outside its turn. */
  readonly tell: (message: Message) => boolean
  /** A probe was answered so soon by the path it went by. */
  readonly measured: (path: Path.Path, rttMs: number) => void
  /** A key exchange, and a request for one: for a peer that has lost our keys. */
  readonly introductions: () => ReadonlyArray<Pieces>
}

/** Owned by a peer's actor. */
export class PathChecks {
  /** What is tried when all of this has been in vain. */
  readonly birthday: PeerBirthday
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
  readonly #offers: TokenBucket.TokenBucket
  #punchedAtMs = Number.NEGATIVE_INFINITY
  /** Of the last probe by one path. */
  #sequence = 0

  constructor(options: Options) {
    this.#options = options
    this.birthday = new PeerBirthday(options)
    this.#offers = new TokenBucket.TokenBucket(OFFERS, options.nowMs)
  }

  /** When there is something to do; `Infinity` if nothing is. Ways are sought while there are streams to go by them. */
  deadlineMs(isBusy: boolean): number {
    return isBusy ? Math.min(this.#checkAtMs, this.birthday.deadlineMs) : this.birthday.deadlineMs
  }

  get #checkAtMs(): number {
    const { context, paths } = this.#options
    const { searchAtMs, selector } = paths
    const probeAtMs = selector.hasProven ? selector.probeAtMs : Number.POSITIVE_INFINITY
    const measureAtMs = this.#isUnderstood ? selector.measureAtMs(context.keepaliveMs()) : Number.POSITIVE_INFINITY
    const doubtAtMs = this.#isUnderstood ? selector.doubtAtMs : Number.POSITIVE_INFINITY
    return Math.min(searchAtMs, probeAtMs, measureAtMs, doubtAtMs, this.#offerAtMs)
  }

  /** Does what is due; how good the paths are is asked while there are streams. */
  run(isBusy: boolean, nowMs: number): void {
    const { paths } = this.#options
    if (paths.selector.hasProven)
      for (const path of paths.selector.probes(PROBE_BYTES, nowMs)) this.#probe(path, false, nowMs)
    if (paths.searchAtMs <= nowMs) this.search(nowMs)
    if (this.#offerAtMs <= nowMs) this.#offer(nowMs)
    if (isBusy) this.#measure(nowMs)
    this.birthday.run(isBusy, nowMs)
  }

  #measure(nowMs: number): void {
    if (!this.#isUnderstood) return
    const { context, paths } = this.#options
    if (paths.selector.doubtAtMs <= nowMs) this.#askAll(nowMs)
    for (const path of paths.selector.measures(nowMs, context.keepaliveMs())) this.#probe(path, true, nowMs)
  }

  /** Answers a probe by the path it came by, and takes an answer. True if the packet was one of them. */
  probed(packet: Packet.Packet, path: Path.Path, nowMs: number): boolean {
    if (!ControlMessage.isPathProbe(packet)) return false
    const { context, measured, node, paths } = this.#options
    if ((packet.flags & Packet.Flag.Ack) !== 0) {
      const rttMs = paths.selector.answered(path, packet.sequence, nowMs)
      if (rttMs !== undefined) measured(path, rttMs)
    } else if (context.isTrusted(node) || context.isPublic()) {
      const pong = ControlMessage.pong(packet, context.address)
      if (pong !== undefined) this.#write(pong, path)
    }
    return true
  }

  #probe(path: Path.Path, onlyMeasures: boolean, nowMs: number): void {
    const { paths } = this.#options
    this.#sequence = (this.#sequence % SEQUENCE_MAX) + 1
    const packet = ControlMessage.numbered(paths.probePacket, this.#sequence, onlyMeasures)
    paths.selector.probed(path, packet.sequence, nowMs)
    this.#write(packet, path)
  }

  #write(packet: Packet.Packet, path: Path.Path): void {
    const frame = this.#options.seal(packet)
    if (frame !== undefined) this.#options.paths.write(frame, path)
  }

  /** The peer has announced itself: after its first frame, and after it was restarted. */
  announced(capabilities: number): void {
    this.#isUnderstood = (capabilities & Capability.PathProbe) !== 0
    this.birthday.announced((capabilities & Capability.Birthday) !== 0)
    this.#isHeard = false
    this.#sent = 0
  }

  /** A message about paths; false if it is about something else. */
  told(message: ControlMessage.ControlMessage, nowMs: number): boolean {
    if (message._tag === "PathOffered") this.received(message.offer, nowMs)
    else if (message._tag === "BirthdayTold") this.birthday.received(message.message, nowMs)
    else return false
    return true
  }

  /** The peer says where it may be reached. Strangers may not make this node send anywhere. */
  received(offer: PathOffer, nowMs: number): void {
    const { context, node, paths } = this.#options
    if (!context.isTrusted(node)) return
    if (offer.heard === this.#round && this.#round > 0) this.#isHeard = true
    if (offer.round === this.#heard || !this.#offers.take(nowMs)) return
    if (this.#heard > 0) paths.selector.departed(new Set(offer.places.map(({ endpoint }) => endpoint.host)))
    this.#heard = offer.round
    const endpoints = Places.worthTrying(offer.places, context.places(), context.beacon)
    for (const endpoint of endpoints) paths.selector.learn(Path.direct(endpoint))
    this.#punchAhead(offer.places, nowMs)
    paths.selector.tryAgain()
    // What it has not heard goes with the answer, and its translator is open now.
    this.#offer(nowMs)
  }

  /** Opens our translator for frames from ports that are only guessed. Seldom, because the peer says where that is. */
  #punchAhead(places: ReadonlyArray<Place>, nowMs: number): void {
    const { places: own, socket } = this.#options.context
    const endpoints = Places.predicted(places)
    // Behind such a translator itself, a node would only use up the ports that others guess.
    if (endpoints.length === 0 || own().some(({ kind }) => kind === "sequential")) return
    if (nowMs - this.#punchedAtMs < PUNCH_INTERVAL_MS) return
    this.#punchedAtMs = nowMs
    for (const endpoint of endpoints) socket.send(TunnelFrame.encode({ _tag: "Punch" }), endpoint)
  }

  /** This host is in another network now, or was asleep; once more when the beacon knows where. Nobody knows which path works. */
  networkChanged(isAnnounced: boolean, nowMs: number): void {
    const { paths } = this.#options
    this.birthday.networkChanged(nowMs)
    if (isAnnounced) paths.selector.announced()
    else paths.selector.moved(nowMs)
    this.#offer(nowMs, (packet) => this.#writeToAll(packet))
    if (paths.selector.hasProven) this.search(nowMs)
  }

  /** Nothing answers on the path in use: asks on all of them, for a peer with our keys and for one that has lost them. */
  search(nowMs: number): void {
    const { introductions, paths } = this.#options
    paths.searched(nowMs)
    // Streams follow now, and not when they next have something to send.
    paths.selector.select(nowMs)
    this.#askAll(nowMs)
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

  #askAll(nowMs: number): void {
    const { selector } = this.#options.paths
    selector.asked(nowMs)
    // Each its own frame, since of copies only the first one opens.
    for (const path of selector.toAsk(PROBE_BYTES)) this.#probe(path, false, nowMs)
  }

  #writeToAll(packet: Packet.Packet): void {
    const { paths } = this.#options
    const sealedBytes = Packet.HEADER_BYTES + packet.payload.length + TunnelFrame.SEALED_OVERHEAD_BYTES
    for (const path of paths.selector.toAsk(sealedBytes)) this.#write(packet, path)
  }

  #offer(nowMs: number, send = this.#options.send): void {
    const { context, paths } = this.#options
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

/** What a packet that opened says of the path that it came by. */
export const openedBy = (packet: Packet.Packet): Opened => {
  // An answer without a number is to a challenge, and came by the path that its sender uses.
  const isAnswer = (packet.flags & Packet.Flag.Ack) !== 0 && packet.sequence === 0
  if (isAnswer || !ControlMessage.isPathProbe(packet)) return "Data"
  return ControlMessage.onlyMeasures(packet) ? "Measure" : "Probe"
}

const isSame = (a: ReadonlyArray<Place>, b: ReadonlyArray<Place>): boolean =>
  a.length === b.length && a.every(({ endpoint }, index) => EndpointOf.equals(endpoint, b[index]!.endpoint))

/** A sealed path probe. */
const PROBE_BYTES = Packet.HEADER_BYTES + ControlMessage.PATH_PROBE.length + TunnelFrame.SEALED_OVERHEAD_BYTES
/** One offer is repeated so often, unless it was heard. */
const OFFERS_MAX = 4
const OFFER_INTERVAL_MS = 500
/** New lists of places that a peer may have tried, at once and per second: each sends six probes to wherever it says. */
const OFFERS = { capacity: 5, perSecond: 0.5 }
const ROUND_MAX = 255
/** Between two openings of guessed ports, two kilobytes each, for one peer. */
const PUNCH_INTERVAL_MS = 5_000
/** Below the bit that says what a probe is for. */
const SEQUENCE_MAX = 0x7fff_ffff
