/**
 * What the streams of a node may hold together for readers that are behind (architecture, decision 7). Each stream has a
 * bound of its own; while many are used up, all shrink to what is left, so that windows close before memory ends.
 *
 * Shared by all streams of a node, and mutable: each of them reports what it holds.
 */
export class ReceiveBudget {
  readonly #bytesMax: number
  #heldBytes = 0

  constructor(bytesMax: number = RECEIVE_BUDGET_BYTES) {
    this.#bytesMax = bytesMax
  }

  /** What all streams hold now. */
  get heldBytes(): number {
    return this.#heldBytes
  }

  /**
   * What one stream may hold for its reader now: all that is left, which leaves as much to the others, and never less than
   * a little, because a slow reader must stop its own stream and no other.
   */
  get streamBytesMax(): number {
    return Math.max(RESERVED_BYTES, this.#bytesMax - this.#heldBytes)
  }

  /** A stream holds so many bytes more, or fewer. */
  changed(bytes: number): void {
    this.#heldBytes += bytes
  }
}

/** Of a node. */
export const RECEIVE_BUDGET_BYTES = 256 * 1024 * 1024
/** What a stream may always hold: the largest datagram fits. */
export const RESERVED_BYTES = 64 * 1024
