/**
 * Reliable streams between hosts of a `VirtualNetwork`, as a kernel's TCP would carry them: in order, delayed like
 * datagrams and more for each loss, held up while the path is cut, reset when that lasts or the other side knows nothing
 * of them. Their segments are not simulated, because what our actors see of TCP is only this.
 */
import * as SeededRandom from "./SeededRandom.ts"
import type { Host, VirtualNetwork } from "./VirtualNetwork.ts"

/** What the owner of one end hears. */
export interface Receiver {
  readonly data: (bytes: Uint8Array) => void
  /** The other side has sent everything. */
  readonly ended: () => void
  /** The stream is gone; nothing else follows. */
  readonly lost: (detail: string) => void
}

/** One end of a stream. Mutable; its owner sends, the network delivers. */
export class TcpEnd {
  readonly host: Host
  readonly #network: VirtualNetwork
  readonly #epoch: number
  readonly #outbox: Array<Item> = []
  #receiver: Receiver | undefined
  #held: Array<Item> = []
  #isPaused = true
  #isOpen = true
  #isMoving = false
  #hasEnded = false
  #lastArrivalAtMs = 0
  /** The other end; both are made together. */
  #other: TcpEnd | undefined

  private constructor(network: VirtualNetwork, host: Host) {
    this.#network = network
    this.host = host
    this.#epoch = host.epoch
  }

  /** The two ends of an open stream. */
  static pair(network: VirtualNetwork, from: Host, to: Host): readonly [TcpEnd, TcpEnd] {
    const ends = [new TcpEnd(network, from), new TcpEnd(network, to)] as const
    ends[0].#other = ends[1]
    ends[1].#other = ends[0]
    return ends
  }

  /** Neither closed nor lost, on this side. */
  get isOpen(): boolean {
    return this.#isOpen && this.host.epoch === this.#epoch
  }

  /** Sent and not yet taken by the other side. */
  get bufferedBytes(): number {
    const count = (items: ReadonlyArray<Item>) => items.reduce((sum, item) => sum + (item.bytes?.length ?? 0), 0)
    return count(this.#outbox) + (this.#other === undefined ? 0 : count(this.#other.#held))
  }

  /** Installs the receiver; what arrived before comes now. */
  attach(receiver: Receiver): void {
    this.#receiver = receiver
    this.resume()
  }

  /** Takes nothing more for now. */
  pause(): void {
    this.#isPaused = true
  }

  /** Takes what was held and goes on. */
  resume(): void {
    this.#isPaused = false
    while (!this.#isPaused && this.#held.length > 0) this.#take(this.#held.shift()!)
  }

  /** Ignored once the stream is closed or lost. */
  send(bytes: Uint8Array): void {
    if (!this.isOpen || this.#hasEnded || bytes.length === 0) return
    this.#push(bytes.slice(), false)
  }

  /** No more of ours; what was sent arrives first. */
  end(): void {
    if (!this.isOpen || this.#hasEnded) return
    this.#hasEnded = true
    this.#push(undefined, false)
  }

  /** Gone now on this side; the other side learns it. Idempotent. */
  destroy(): void {
    if (!this.isOpen) return
    this.#isOpen = false
    this.#outbox.length = 0
    this.#push(undefined, true)
  }

  /** Gone without a word to anybody, as in a power cut. */
  vanish(): void {
    this.#isOpen = false
    this.#outbox.length = 0
    this.#receiver = undefined
  }

  #push(bytes: Uint8Array | undefined, isReset: boolean): void {
    if (this.#other === undefined) return
    const { time } = this.#network
    const directAtMs = time.nowMs + oneWayMs(this.#network, this.host, this.#other.host)
    this.#lastArrivalAtMs = Math.max(this.#lastArrivalAtMs, directAtMs)
    this.#outbox.push({ bytes, isReset, arrivesAtMs: this.#lastArrivalAtMs })
    if (!this.#isMoving) this.#move(time.nowMs)
  }

  /** Waits for the arrival of the first item; the others are on their way too, and arrive after it. */
  #move(sinceMs: number): void {
    const other = this.#other
    const item = this.#outbox[0]
    if (other === undefined || item === undefined) {
      this.#isMoving = false
      return
    }
    this.#isMoving = true
    const { time } = this.#network
    time.at(item.arrivesAtMs, () => {
      // What was sent before a reset is dropped with it.
      if (this.#outbox[0] !== item) return this.#move(time.nowMs)
      if (!this.#network.isConnected(this.host, other.host)) return this.#retryLater(sinceMs)
      this.#outbox.shift()
      this.#network.trace.record(`${this.host.name} tcp ${other.host.name} ${item.bytes?.length ?? "end"}`, item.bytes)
      other.#arrived(item)
      this.#move(time.nowMs)
    })
  }

  #retryLater(sinceMs: number): void {
    const { time } = this.#network
    if (time.nowMs - sinceMs > GIVE_UP_MS) {
      this.#isMoving = false
      this.#outbox.length = 0
      return this.#lose("timed out")
    }
    time.at(time.nowMs + RETRY_MS, () => this.#move(sinceMs))
  }

  #arrived(item: Item): void {
    if (!this.isOpen) {
      // A host that does not know the stream says so (RFC 9293 §3.10.7.1); one that is off says nothing.
      if (!item.isReset && this.#other !== undefined) this.#other.#lose("reset by peer")
      return
    }
    if (this.#isPaused || this.#held.length > 0) this.#held.push(item)
    else this.#take(item)
  }

  #take(item: Item): void {
    if (item.isReset) return this.#lose("reset by peer")
    if (item.bytes === undefined) this.#receiver?.ended()
    else this.#receiver?.data(item.bytes)
  }

  #lose(detail: string): void {
    if (!this.#isOpen) return
    this.#isOpen = false
    this.#outbox.length = 0
    this.#receiver?.lost(detail)
  }
}

interface Item {
  /** `undefined` for the end of the stream, or a reset. */
  readonly bytes: Uint8Array | undefined
  readonly isReset: boolean
  /** Unless the path is cut then. */
  readonly arrivesAtMs: number
}

/** From host to host now, retransmissions included. */
export const oneWayMs = (network: VirtualNetwork, from: Host, to: Host): number => {
  if (from === to) return 0
  const { random } = network
  const { up } = from.access
  const { down } = to.access
  let delayMs = up.delayMs + down.delayMs + SeededRandom.below(random, up.jitterMs + down.jitterMs)
  for (let tries = 0; tries < RETRANSMITS_MAX; tries++) {
    if (!SeededRandom.chance(random, up.lossRate) && !SeededRandom.chance(random, down.lossRate)) break
    delayMs += RETRANSMIT_MS * 2 ** tries
  }
  return delayMs
}

/** A lost segment is repeated after so long, doubling (RFC 6298 with the minimum of today's kernels). */
const RETRANSMIT_MS = 200
const RETRANSMITS_MAX = 6
/** How often a stream looks whether its path is back. */
const RETRY_MS = 500
/** How long a stream survives without a path. */
const GIVE_UP_MS = 60_000
