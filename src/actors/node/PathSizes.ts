/**
 * How large a peer's datagrams may be, path by path: performs what `PathMtu` decides with sealed, padded probes. Relayed
 * paths, and peers that have not announced that they answer probes and take segments cut anew, stay at the base.
 * Owned by the peer's actor.
 */
import { Effect, type Scope } from "effect"
import type { UdpSocket } from "../../core/net/UdpEndpoint.ts"
import * as Path from "../../nat/Path.ts"
import * as PathMtu from "../../nat/PathMtu.ts"
import { CANDIDATES_MAX } from "../../nat/PathSelector.ts"
import { SEGMENT_BYTES_BASE, SEGMENT_BYTES_FLOOR } from "../../protocol/stream/StreamConfig.ts"
import { Capability } from "../../protocol/wire/Announcement.ts"
import * as SizeProbe from "../../protocol/wire/SizeProbe.ts"
import { Message, type SizeMessage } from "./PeerMessage.ts"

/** How the world is reached. */
export interface Options {
  /** Seals the message and sends it by this path. */
  readonly send: (message: SizeProbe.SizeProbe, path: Path.Path) => void
  readonly socket: Pick<UdpSocket, "mtuTowards">
  /** To the owner, from outside its turn. */
  readonly tell: (message: Message) => boolean
}

/** What is known of one path. */
interface Entry {
  readonly path: Path.Path
  readonly token: number
  state: PathMtu.State
  /** When the MTU of the interface is looked at, and whether it has been. */
  askAtMs: number
  hasAsked: boolean
}

/** Mutable, inside the one actor that owns it. */
export class PathSizes {
  readonly #options: Options
  /** By the text of the path, oldest first. */
  readonly #entries = new Map<string, Entry>()
  #current: Entry | undefined
  #token = 0

  constructor(options: Options) {
    this.#options = options
  }

  /** Payload of the largest segment for the path in use. */
  get segmentBytes(): number {
    const datagramBytes = PathMtu.sizeBytes(this.#current?.state ?? PathMtu.initial)
    if (datagramBytes > PathMtu.BASE_BYTES) return datagramBytes - SizeProbe.OVERHEAD_BYTES
    // Up to the base there is room to be wrapped for the relay, to which the path may change at any time.
    return datagramBytes < PathMtu.BASE_BYTES ? SEGMENT_BYTES_FLOOR : SEGMENT_BYTES_BASE
  }

  /** When to call `timeout`. */
  get deadlineMs(): number {
    if (this.#current === undefined) return Number.POSITIVE_INFINITY
    const { askAtMs, hasAsked, state } = this.#current
    return Math.min(state.dueAtMs ?? Number.POSITIVE_INFINITY, hasAsked ? Number.POSITIVE_INFINITY : askAtMs)
  }

  /** Says which path is in use, and what both ends have announced; a path that works is searched. */
  follow(path: Path.Path | undefined, capabilities: number, nowMs: number): void {
    if (path === undefined || path.relayed || (capabilities & NEEDED) !== NEEDED) {
      this.#current = undefined
      return
    }
    if (this.#current === undefined || !Path.equals(this.#current.path, path)) this.#current = this.#entry(path, nowMs)
    if (nowMs < this.#current.askAtMs) return
    // Again later: the interface may have changed under a path that looks the same from outside.
    this.#current.askAtMs = nowMs + ASK_INTERVAL_MS
    this.#current.hasAsked = true
    this.#options.tell(Message.FindMtu({ path }))
  }

  /** Does what the owner was told; what takes time lives in `scope`. */
  perform(message: SizeMessage, scope: Scope.Scope, nowMs: number): Effect.Effect<void> | void {
    switch (message._tag) {
      case "FindMtu":
        return Effect.asVoid(Effect.forkIn(this.#findMtu(message.path), scope))
      case "MtuKnown":
        return this.#learned(message.path, message.mtuBytes, nowMs)
      case "SizeVanished":
        return this.#vanished(message.segmentBytes, nowMs)
    }
  }

  /** A message of the peer arrived by a path: probes are answered the way they came. */
  received(message: SizeProbe.SizeProbe, path: Path.Path, nowMs: number): void {
    if (message._tag === "Probe") return this.#options.send(SizeProbe.SizeProbe.Answer(message), path)
    for (const entry of this.#entries.values())
      if (entry.token === message.token)
        this.#step(entry, PathMtu.Input.ProbeAnswered({ sizeBytes: message.datagramBytes }), nowMs)
  }

  /** Performs what is due; harmless before the deadline. */
  timeout(nowMs: number): void {
    if (this.#current !== undefined) this.#step(this.#current, PathMtu.Input.TimerFired(), nowMs)
  }

  #findMtu(path: Path.Path): Effect.Effect<void> {
    const { socket, tell } = this.#options
    if (path.endpoint === undefined) return Effect.void
    return Effect.map(socket.mtuTowards(path.endpoint), (mtuBytes) => void tell(Message.MtuKnown({ path, mtuBytes })))
  }

  #learned(path: Path.Path, mtuBytes: number, nowMs: number): void {
    const entry = this.#entries.get(Path.format(path))
    const isIpv6 = path.endpoint?.host.includes(":") === true
    if (entry !== undefined) this.#step(entry, PathMtu.Input.Started({ mtuBytes, isIpv6 }), nowMs)
  }

  #vanished(segmentBytes: number, nowMs: number): void {
    if (this.#current === undefined) return
    const sizeBytes = segmentBytes <= SEGMENT_BYTES_BASE ? PathMtu.BASE_BYTES : segmentBytes + SizeProbe.OVERHEAD_BYTES
    this.#step(this.#current, PathMtu.Input.BlackHoleFound({ sizeBytes }), nowMs)
  }

  #step(entry: Entry, input: PathMtu.Input, nowMs: number): void {
    const { outputs, state } = PathMtu.machine.step(entry.state, input, nowMs)
    entry.state = state
    for (const { sizeBytes } of outputs)
      this.#options.send(SizeProbe.SizeProbe.Probe({ token: entry.token, datagramBytes: sizeBytes }), entry.path)
  }

  #entry(path: Path.Path, nowMs: number): Entry {
    const key = Path.format(path)
    const known = this.#entries.get(key)
    if (known !== undefined) return known
    if (this.#entries.size === CANDIDATES_MAX) this.#entries.delete(this.#entries.keys().next().value ?? key)
    this.#token += 1
    const entry = { path, token: this.#token, state: PathMtu.initial, askAtMs: nowMs + SETTLE_MS, hasAsked: false }
    this.#entries.set(key, entry)
    return entry
  }
}

/** What both ends must have announced for datagrams above the base. */
const NEEDED = Capability.PathProbe | Capability.Recut
/** A path that has just opened carries what waited for it first: looking at interfaces takes as long as a short dial. */
const SETTLE_MS = 10
/** How often the MTU of the interface is looked at. */
const ASK_INTERVAL_MS = 60_000
