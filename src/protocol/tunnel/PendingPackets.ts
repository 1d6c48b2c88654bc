/**
 * Packets waiting for keys (wire §6.5). When it is full the newest is refused, so that the ordered start of a stream,
 * its SYN first, survives.
 */
import { Deque } from "../../core/data/Deque.ts"

/** Mutable, owned by one tunnel. */
export class PendingPackets {
  readonly #packets = new Deque<Uint8Array>()
  #sizeBytes = 0
  readonly #packetsMax: number
  readonly #bytesMax: number

  constructor(packetsMax: number, bytesMax: number) {
    this.#packetsMax = packetsMax
    this.#bytesMax = bytesMax
  }

  /** How many wait. */
  get count(): number {
    return this.#packets.length
  }

  /** False when there is no room. The bytes must not change afterwards. */
  push(packet: Uint8Array): boolean {
    if (this.#packets.length >= this.#packetsMax || this.#sizeBytes + packet.length > this.#bytesMax) return false
    this.#packets.push(packet)
    this.#sizeBytes += packet.length
    return true
  }

  /** Takes out the one that waits longest. */
  shift(): Uint8Array | undefined {
    const packet = this.#packets.shift()
    this.#sizeBytes -= packet?.length ?? 0
    return packet
  }

  /** Forgets them all; returns how many they were. */
  clear(): number {
    const { count } = this
    this.#packets.clear()
    this.#sizeBytes = 0
    return count
  }
}
