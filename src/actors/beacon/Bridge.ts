/**
 * The beacon's other door (rendezvous §14.5): WebSockets of nodes that have no UDP. Each proves its node's key, and from then
 * on its messages are beacon datagrams of that node and of nobody else. Owned by `BeaconServerActor`.
 *
 * Bounded: who does not prove himself, says nothing or writes what is no message is closed; to who does not read datagrams
 * are lost, as on any network, and nothing is kept for him.
 */
import { Result } from "effect"
import type { Crypto } from "../../core/crypto/Crypto.ts"
import * as Bytes from "../../core/data/Bytes.ts"
import type { Endpoint } from "../../core/data/Endpoint.ts"
import type { WebSocketMessage, WebSocketPeer } from "../../core/net/WebSocketPeer.ts"
import * as BridgeAddress from "../../nat/BridgeAddress.ts"
import type { NodeId } from "../../protocol/wire/Address.ts"
import * as BeaconMessage from "../../protocol/wire/BeaconMessage.ts"
import * as CompatMessage from "../../protocol/wire/CompatMessage.ts"

/** What the doorkeeper needs. */
export interface Parts {
  readonly crypto: Pick<Crypto["Service"], "randomBytes" | "verify">
  /** The key that a registered node has now. */
  readonly keyOf: (node: NodeId) => Uint8Array | undefined
  /** A datagram of a node that has proved itself. */
  readonly received: (message: BeaconMessage.BeaconMessage, from: Endpoint, nowMs: number) => void
  /** See `BeaconDirectory.bridged`. */
  readonly bridged: (node: NodeId, bridge: Endpoint, to: Endpoint | undefined, nowMs: number) => boolean
  readonly nowMs: () => number
  readonly unixSeconds: () => number
}

/** Plain counts since the start. */
export interface BridgeCounters {
  opened: number
  /** Proofs that were wrong, or of nodes that are not registered. */
  refused: number
  /** Closed for silence. */
  expired: number
  /** Messages that are no beacon datagram, or speak for another node. */
  malformed: number
  /** Datagrams to a node that does not read. */
  dropped: number
}

interface Session {
  readonly peer: WebSocketPeer
  readonly address: Endpoint
  readonly challenge: { readonly nonce: string; readonly unixSeconds: number }
  /** Once it has proved itself. */
  node: NodeId | undefined
  expiresAtMs: number
}

/** All of them. */
export class Bridge {
  readonly counters: BridgeCounters = { opened: 0, refused: 0, expired: 0, malformed: 0, dropped: 0 }
  readonly #parts: Parts
  /** By the port of their addresses. */
  readonly #sessions = new Map<number, Session>()
  readonly #byNode = new Map<NodeId, Session>()
  #next = 1

  constructor(parts: Parts) {
    this.#parts = parts
  }

  /** WebSockets now, those of nodes that are still to prove themselves included. */
  get size(): number {
    return this.#sessions.size
  }

  /** A WebSocket was opened; it is challenged. */
  accept(peer: WebSocketPeer, remote: Endpoint): void {
    const { crypto, nowMs, unixSeconds } = this.#parts
    const challenge = { nonce: Bytes.toHex(crypto.randomBytes(NONCE_BYTES)), unixSeconds: unixSeconds() }
    const address = BridgeAddress.make(remote.host, this.#next++)
    const session: Session = { peer, address, challenge, node: undefined, expiresAtMs: nowMs() + PROOF_MS }
    this.#sessions.set(address.port, session)
    peer.onClosed(() => this.#closed(session))
    peer.onBatch((batch) => {
      for (const message of batch) if (this.#sessions.has(address.port)) this.#receive(session, message)
    })
    peer.send(CompatMessage.encode(CompatMessage.CompatMessage.Challenge(challenge)))
  }

  /** Sends a datagram to whom `BridgeAddress` stands for; lost when that is gone or does not read. */
  deliver(to: Endpoint, message: BeaconMessage.BeaconMessage): void {
    const session = this.#sessions.get(to.port)
    if (session === undefined) return
    if (session.peer.bufferedBytes() > BUFFERED_BYTES_MAX) this.counters.dropped++
    else session.peer.send(BeaconMessage.encode(message))
  }

  /** Closes those whose time is over; to be called every few seconds. */
  sweep(nowMs: number): void {
    for (const session of this.#sessions.values()) {
      if (nowMs < session.expiresAtMs) continue
      this.counters.expired++
      session.peer.destroy()
      this.#closed(session)
    }
  }

  #receive(session: Session, message: WebSocketMessage): void {
    const nowMs = this.#parts.nowMs()
    if (typeof message === "string") return this.#text(session, message, nowMs)
    if (session.node === undefined) return this.#refuse(session)
    session.expiresAtMs = nowMs + IDLE_MS
    const decoded = BeaconMessage.decode(message)
    if (Result.isFailure(decoded) || !speaksFor(decoded.success, session.node)) {
      this.counters.malformed++
      return
    }
    this.#parts.received(decoded.success, session.address, nowMs)
  }

  #text(session: Session, text: string, nowMs: number): void {
    const decoded = CompatMessage.decode(text)
    if (Result.isFailure(decoded)) return this.#refuse(session)
    const message = decoded.success
    if (message._tag === "Reply" && session.node === undefined) return this.#prove(session, message, nowMs)
    if (message._tag !== "Moving" || session.node === undefined) return this.#refuse(session)
    session.expiresAtMs = nowMs + IDLE_MS
    const isDone = this.#parts.bridged(session.node, session.address, message.endpoint, nowMs)
    session.peer.send(CompatMessage.encode(CompatMessage.CompatMessage.Moved({ isDone })))
  }

  #prove(
    session: Session,
    { node, publicKey, signature }: Extract<CompatMessage.CompatMessage, { readonly _tag: "Reply" }>,
    nowMs: number
  ): void {
    const { nonce, unixSeconds } = session.challenge
    const key = this.#parts.keyOf(node)
    const text = Bytes.fromUtf8(CompatMessage.signedText(node, unixSeconds, nonce))
    const isProved =
      key !== undefined && Bytes.equals(key, publicKey) && this.#parts.crypto.verify(publicKey, text, signature)
    if (!isProved) return this.#refuse(session)
    const before = this.#byNode.get(node)
    session.node = node
    session.expiresAtMs = nowMs + IDLE_MS
    this.#byNode.set(node, session)
    this.counters.opened++
    session.peer.send(CompatMessage.encode(CompatMessage.CompatMessage.Accepted({ moves: true })))
    // It can be reached from now on; the answer also tells that it is heard.
    this.#parts.received({ _tag: "Discover", node, identityKey: undefined }, session.address, nowMs)
    if (before !== undefined) this.#end(before)
  }

  #refuse(session: Session): void {
    this.counters.refused++
    this.#end(session)
  }

  #end(session: Session): void {
    session.peer.close()
    this.#closed(session)
  }

  #closed(session: Session): void {
    if (!this.#sessions.delete(session.address.port)) return
    const { node } = session
    if (node === undefined) return
    if (this.#byNode.get(node) === session) this.#byNode.delete(node)
    this.#parts.bridged(node, session.address, undefined, this.#parts.nowMs())
  }
}

/** What a beacon takes from a node names it; id 0 only asks. */
const speaksFor = (message: BeaconMessage.BeaconMessage, node: NodeId): boolean => {
  switch (message._tag) {
    case "Discover":
    case "DiscoverExtended":
      return message.node === node || message.node === 0
    case "PunchRequest":
      return message.requester === node
    case "Relay":
      return message.sender === node
    default:
      return false
  }
}

const NONCE_BYTES = 32
/** rendezvous §14.5: to prove the key. */
const PROOF_MS = 30_000
/** rendezvous §14.5: without a message. */
const IDLE_MS = 90_000
/** A node that reads later than this loses datagrams: a quarter of a second at 8 Mbit/s. */
const BUFFERED_BYTES_MAX = 262_144
