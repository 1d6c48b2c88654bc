/**
 * One peer's encrypted association (wire §6): asks for keys, seals, opens, renews. A hot object (architecture, decision
 * 4): synchronous, mutable inside one owner, which performs what `drain` returns after each call and calls `timeout` at
 * `deadlineMs`. X25519, Ed25519 and randomness stay with the owner; their results arrive as arguments.
 *
 * Nothing unauthenticated changes anything but rate limits (security rule 5). A key exchange, which anybody may replay,
 * makes a candidate; only a frame that opens under it makes it current. The owner must give each `Tunnel` an X25519 key
 * of its own, made for it: recorded frames of an earlier tunnel with the same key would open again.
 */
import * as Bytes from "../../core/data/Bytes.ts"
import * as Address from "../wire/Address.ts"
import type { Announcement } from "../wire/Announcement.ts"
import * as ControlMessage from "../wire/ControlMessage.ts"
import * as Packet from "../wire/Packet.ts"
import type * as TunnelFrame from "../wire/TunnelFrame.ts"
import { Announcer } from "./Announcer.ts"
import type { Scheme } from "./KeyDerivation.ts"
import { KeyExchange } from "./KeyExchange.ts"
import { KeyRing } from "./KeyRing.ts"
import * as PacketSource from "./PacketSource.ts"
import { PendingPackets } from "./PendingPackets.ts"
import { SchemeChoice } from "./SchemeChoice.ts"
import * as SealedOpening from "./SealedOpening.ts"
import { SILENCE_MS, Suspicion } from "./Suspicion.ts"
import type { TunnelConfig } from "./TunnelConfig.ts"
import * as TunnelCounters from "./TunnelCounters.ts"
import { TunnelKeys, type VerifiedExchange } from "./TunnelKeys.ts"
import { type Output, Outputs, type Path } from "./TunnelOutput.ts"

/** See the module. */
export class Tunnel {
  readonly counters = TunnelCounters.make()
  readonly #self: Address.NodeId
  readonly #peer: Address.NodeId
  readonly #config: TunnelConfig
  readonly #ring = new KeyRing()
  readonly #pending: PendingPackets
  readonly #announcer = new Announcer()
  readonly #schemes: SchemeChoice
  readonly #suspicion = new Suspicion()
  readonly #outputs = new Outputs()
  readonly #exchange = new KeyExchange(this.#outputs)
  readonly #probe: Uint8Array
  readonly #announcements: ReturnType<typeof Announcer.packets>
  #establishedAtMs = Number.NEGATIVE_INFINITY
  #renewAtMs = Number.POSITIVE_INFINITY
  #isRenewalAsked = false
  #challengedAtMs = Number.NEGATIVE_INFINITY
  #lives = 0
  /** Ours for this life, whatever the keys: by it the peer tells a renewal from a restart. */
  #prefixes: Uint8Array | undefined

  constructor(options: {
    readonly self: Address.NodeId
    readonly peer: Address.NodeId
    readonly config: TunnelConfig
  }) {
    this.#self = options.self
    this.#peer = options.peer
    this.#config = options.config
    this.#schemes = new SchemeChoice(options.config.preferredScheme)
    this.#pending = new PendingPackets(options.config.pendingPacketsMax, options.config.pendingBytesMax)
    const [own, other] = [Address.make(0, options.self), Address.make(0, options.peer)]
    this.#probe = Packet.encode(ControlMessage.pathProbe(own, other))
    this.#announcements = Announcer.packets(own, other, options.config.capabilities)
  }

  /** True when packets can be sealed now, under keys that the peer has proven. */
  get isReady(): boolean {
    return this.#ring.current?.isExhausted === false
  }

  /** True once a frame of the peer has opened. */
  get hasOpened(): boolean {
    return this.#ring.current !== undefined
  }

  /** Our key exchange is under way, and worth sending by a path found meanwhile. */
  get isAsking(): boolean {
    return this.#exchange.isAsking && this.#ring.current === undefined
  }

  /** The generation in use, once the peer has shown it. */
  get scheme(): Scheme | undefined {
    return this.#ring.current?.scheme
  }

  /** True once the later generation has opened; to be kept with the peer's identity. */
  get laterOnly(): boolean {
    return this.#schemes.laterOnly
  }

  /** How many lives of the peer have opened a frame here: one more after each restart of it. */
  get lives(): number {
    return this.#lives
  }

  /** What the peer announced; `undefined` for a peer to be treated as the reference. */
  get announcement(): Announcement | undefined {
    return this.#announcer.peer
  }

  /** When to call `timeout`; infinity when nothing is due. */
  get deadlineMs(): number {
    return Math.min(this.#exchange.deadlineMs, this.#ring.deadlineMs, this.#renewAtMs)
  }

  /** What is to be done, in order; empties the list. */
  drain(): ReadonlyArray<Output> {
    this.#answerNew()
    return this.#outputs.drain()
  }

  /** Asks the peer for a session, unless there is one that has proven itself. */
  connect(nowMs: number): void {
    if (this.#ring.current === undefined) this.#exchange.ask(nowMs)
  }

  /**
   * Seals a packet into the outputs, or keeps it until the peer has proven keys, since what answered so far may be a replay
   * from an address that is not the peer's; false if there is no room for it.
   */
  send(packet: Bytes.Pieces, nowMs: number): boolean {
    if (this.#transmit(packet, nowMs)) {
      if (this.#announcer.shouldRepeat()) this.#transmit(this.#announcements.first, nowMs)
      if (this.#suspicion.sent(nowMs)) this.#askAgain()
      return true
    }
    const hasRoom = this.#pending.push(Bytes.join(packet))
    if (!hasRoom) this.counters.refused += 1
    this.#wantKeys(nowMs)
    this.#challengeAgain(nowMs)
    return hasRoom
  }

  /** A frame for the owner to send by a path of its choice; `undefined` without keys. */
  seal(packet: Bytes.Pieces, nowMs: number): Bytes.Pieces | undefined {
    const keys = this.#ring.current
    if (keys === undefined) return undefined
    return this.#sealUnder(keys, this.#schemes.toSeal(keys, this.#announcer.peer !== undefined), packet, nowMs)
  }

  /**
   * Cheap checks before any public-key work. "verify": look up the key this peer must show, check the signature, agree,
   * derive, and call `keyExchangeVerified`.
   */
  keyExchangeReceived(frame: TunnelFrame.KeyExchange, path: Path, nowMs: number): "verify" | "ignore" {
    if (frame.sender !== this.#peer) return "ignore"
    const known = this.#ring.find(frame.agreementKey)
    if (known !== undefined && this.#ring.isLive(known)) {
      // It says nothing new, whoever sent it, and the answer reveals nothing: no signature needs to be checked.
      this.#repeated(known, path, nowMs)
      return "ignore"
    }
    if (this.#exchange.mayVerify(path, nowMs)) return "verify"
    this.counters.limited += 1
    return "ignore"
  }

  /** A PILK, which never installs keys since every node signs: a request for our PILA (wire §6.2). */
  keyRequestReceived(path: Path, nowMs: number): void {
    if (!this.#exchange.answerRequest(path, nowMs)) this.counters.limited += 1
  }

  /** A genuine key exchange: its keys become a candidate and are asked to prove themselves. */
  keyExchangeVerified(exchange: VerifiedExchange, path: Path, nowMs: number): void {
    const known = this.#ring.find(exchange.agreementKey)
    if (known !== undefined && this.#ring.isLive(known)) return this.#repeated(known, path, nowMs)
    if (exchange.laterOnly) this.#schemes.neverBack()
    const keys = known ?? this.#makeKeys(exchange)
    if (!this.#ring.offer(keys)) {
      this.counters.postponed += 1
      return this.#renew(nowMs)
    }
    this.#answerNew()
    this.#exchange.arrived({ keys, path, atMs: nowMs })
  }

  /**
   * The packet in a sealed frame, its source proven to be the peer; `undefined` if it is to be dropped. The packet's
   * own checks are left to the caller.
   */
  open(frame: TunnelFrame.Sealed, path: Path, nowMs: number): Uint8Array | undefined {
    const opened = SealedOpening.open(frame, this.#peer, this.#ring.inUse, this.#schemes.toTry)
    if (opened === "badTag") return this.#unopened(frame, path, nowMs)
    if (opened === "replayed") this.#outputs.replayed(frame, nowMs)
    if (typeof opened === "string") return this.#drop(opened)
    this.#opened(opened, path, nowMs)
    return opened.packet
  }

  /** Takes a control packet that opened; true if it was the peer's announcement and is dealt with. */
  controlReceived(packet: Packet.Packet, nowMs: number): boolean {
    const message = ControlMessage.classify(packet)
    if (message._tag !== "Announced") return false
    if (this.#announcer.seen(message.announcement)) this.#transmit(this.#announcements.answer, nowMs)
    return true
  }

  /** The owner has made a new X25519 key for this tunnel: exchanges it while the old keys go on (wire §6.1, better). */
  agreementKeyRenewed(nowMs: number): void {
    this.#ring.renewed()
    this.#isRenewalAsked = false
    this.#exchange.stop()
    if (this.#ring.sending !== undefined || this.#pending.count > 0) this.#exchange.ask(nowMs)
  }

  /** Performs what is due; harmless before the deadline. */
  timeout(nowMs: number): void {
    this.#ring.expire(nowMs)
    if (nowMs >= this.#renewAtMs) this.#renew(nowMs)
    if (this.#exchange.timeout(nowMs)) this.counters.expired += this.#pending.clear()
  }

  /** Our half, and a challenge right behind it. */
  #answerNew(): void {
    const fresh = this.#exchange.answerNew()
    if (fresh !== undefined) this.#challenge(fresh.keys, fresh.path, fresh.atMs)
  }

  #makeKeys(exchange: VerifiedExchange): TunnelKeys {
    const { keyLifetimeFrames } = this.#config
    this.#prefixes ??= Bytes.copy(exchange.randomPrefixes)
    const own = { self: this.#self, peer: this.#peer, randomPrefixes: this.#prefixes }
    const keys = new TunnelKeys({ ...exchange, ...own, lifetimeFrames: keyLifetimeFrames })
    // The same key of the peer is the same process, which speaks as it did; after a restart it may be another version.
    const current = this.#ring.current
    if (current !== undefined && Bytes.equals(current.peerKey, keys.peerKey)) keys.scheme = current.scheme
    return keys
  }

  #transmit(packet: Bytes.Pieces, nowMs: number): boolean {
    const frame = this.seal(packet, nowMs)
    if (frame === undefined) return false
    this.#outputs.push({ _tag: "Transmit", frame, path: undefined })
    return true
  }

  #sealUnder(keys: TunnelKeys, scheme: Scheme, packet: Bytes.Pieces, nowMs: number): Bytes.Pieces | undefined {
    if (keys.isWorn) this.#renew(nowMs)
    const frame = keys.seal(scheme, packet)
    if (frame !== undefined) this.counters.sealed += 1
    return frame
  }

  #flush(nowMs: number): void {
    while (this.isReady) {
      const packet = this.#pending.shift()
      if (packet === undefined) return
      this.#transmit(packet, nowMs)
    }
  }

  /** Asks the peer to prove keys by answering a ping, in every generation it may speak. */
  #challenge(keys: TunnelKeys, path: Path | undefined, nowMs: number): void {
    this.#challengedAtMs = nowMs
    for (const scheme of this.#schemes.toChallenge(keys)) {
      const frame = this.#sealUnder(keys, scheme, this.#probe, nowMs)
      if (frame !== undefined) this.#outputs.push({ _tag: "Transmit", frame, path })
    }
  }

  /** Somebody waits, and the challenge or its answer may be lost. */
  #challengeAgain(nowMs: number): void {
    const keys = this.#ring.newestCandidate
    if (this.#ring.current !== undefined || keys === undefined) return
    if (nowMs - this.#challengedAtMs >= CHALLENGE_INTERVAL_MS) this.#challenge(keys, undefined, nowMs)
  }

  #opened({ keys, prefix, scheme }: SealedOpening.Opened, path: Path, nowMs: number): void {
    this.counters.opened += 1
    keys.lastOpenedAtMs = nowMs
    this.#exchange.proven(keys)
    const isNewScheme = this.#schemes.opened(keys, scheme)
    if (this.#ring.isCandidate(keys)) this.#promote(keys, scheme, prefix, path, nowMs)
    else if (isNewScheme) this.#outputs.push({ _tag: "Established", scheme, path })
    // Frames that were under way before a change of keys say nothing about the keys of now.
    if (keys === this.#ring.current) this.#suspicion.opened()
  }

  #promote(keys: TunnelKeys, scheme: Scheme, prefix: number, path: Path, nowMs: number): void {
    const promotion = this.#ring.promote(keys, prefix, nowMs)
    if (promotion !== "renewal") this.#lives += 1
    this.#exchange.stop()
    this.#establishedAtMs = nowMs
    this.#renewAtMs = nowMs + this.#config.keyLifetimeMs
    this.#announcer.keysChanged(promotion === "renewal")
    if (promotion === "restart") this.#outputs.push({ _tag: "PeerRestarted" })
    this.#outputs.push({ _tag: "Established", scheme, path })
    this.#flush(nowMs)
    this.#transmit(this.#announcements.first, nowMs)
  }

  /** A frame opened under no keys: the peer has lost ours, or we have lost its, or somebody forges (wire §6.4 c). */
  #unopened(frame: TunnelFrame.Sealed, path: Path, nowMs: number): undefined {
    if (this.#ring.current === undefined) {
      if (!this.#exchange.askBack(path, nowMs)) this.counters.limited += 1
    } else if (this.#suspicion.badTag(this.#establishedAtMs, nowMs)) this.#askAgain()
    const packet = this.#schemes.downgraded(this.#ring.inUse, frame, nowMs)
    // A peer that has forgotten us may challenge in both generations: that is no attempt to go back.
    if (packet !== undefined && !PacketSource.isChallenge(packet)) {
      this.#outputs.push({ _tag: "Downgraded" })
      return this.#drop("downgraded")
    }
    return this.#drop(this.#ring.inUse.length === 0 ? "noKeys" : "badTag")
  }

  /** A key exchange for keys in use: answered only if the peer may have missed our first answer (wire §6.3). */
  #repeated(keys: TunnelKeys, path: Path, nowMs: number): void {
    this.counters.repeated += 1
    if (nowMs - keys.lastOpenedAtMs <= SILENCE_MS) return
    if (!this.#exchange.answerRepeated(path, nowMs)) this.counters.limited += 1
    // It may also have missed our challenge, and it has no other reason to use keys that it does not need yet.
    else if (this.#ring.isCandidate(keys)) this.#challenge(keys, path, nowMs)
  }

  /** Asks a peer that seems to have lost our keys, which stay in use until it has proven new ones. */
  #askAgain(): void {
    if (this.#ring.current !== undefined) this.#outputs.push({ _tag: "Desynchronised" })
    this.#exchange.askAgain(this.#suspicion.raised === 1)
  }

  /** There are no keys to seal with, or they are exhausted. */
  #wantKeys(nowMs: number): void {
    const { current } = this.#ring
    if (current === undefined || this.#ring.isOutdated(current)) this.#exchange.ask(nowMs)
    else this.#renew(nowMs)
  }

  /** Wants a new key of our own, once; if that was made and met no answer, asks the peer again. */
  #renew(nowMs: number): void {
    if (this.#ring.current !== undefined) this.#renewAtMs = nowMs + RENEWAL_RETRY_MS
    if (this.#isRenewalAsked) return
    const { sending } = this.#ring
    if (sending !== undefined && this.#ring.isOutdated(sending)) return this.#exchange.ask(nowMs)
    this.#isRenewalAsked = true
    this.#outputs.push({ _tag: "RenewAgreementKey" })
  }

  #drop(reason: keyof TunnelCounters.TunnelCounters): undefined {
    this.counters[reason] += 1
    return undefined
  }
}

/** Between challenges for which a packet waits: as often as a SYN is repeated (wire §15.3). */
const CHALLENGE_INTERVAL_MS = 250
/** A renewal that met no answer is tried again after this, while the old keys go on. */
const RENEWAL_RETRY_MS = 600_000
