/**
 * Replies leave in the order of their requests, however long each takes (node §1.3 rule 1). A request takes a slot when
 * it is read; its reply waits in the slot until all earlier ones have left. Mutable, with one owner.
 */
import { type Effect, Latch } from "effect"

/** The place of one reply. */
export interface Slot {
  frame: Uint8Array | undefined
  /** What may happen only once the reply is on its way: the first data of a dialled stream, the first Accept. */
  afterwards: (() => void) | undefined
}

/** The replies that are due, oldest first. */
export class ReplyOrder {
  readonly #slots: Array<Slot> = []
  readonly #emit: (frame: Uint8Array) => void
  readonly #hasRoom = Latch.makeUnsafe(true)

  constructor(emit: (frame: Uint8Array) => void) {
    this.#emit = emit
  }

  /** Completes when another request may be read (node §1.3 rule 7). */
  readonly hasRoom: Effect.Effect<void> = this.#hasRoom.await

  /** `hasRoom` would complete now. */
  get isRoomy(): boolean {
    return this.#slots.length < IN_PROGRESS_MAX
  }

  /** The place of the next reply. */
  reserve(): Slot {
    const slot: Slot = { frame: undefined, afterwards: undefined }
    this.#slots.push(slot)
    if (this.#slots.length >= IN_PROGRESS_MAX) this.#hasRoom.closeUnsafe()
    return slot
  }

  /** The reply is ready. Emits it, and those that waited for it, as far as the order allows. */
  fill(slot: Slot, frame: Uint8Array, afterwards?: () => void): void {
    slot.frame = frame
    slot.afterwards = afterwards
    while (this.#slots[0]?.frame !== undefined) {
      const ready = this.#slots.shift()!
      this.#emit(ready.frame!)
      ready.afterwards?.()
    }
    if (this.#slots.length < IN_PROGRESS_MAX) this.#hasRoom.openUnsafe()
  }
}

/** Requests of one client whose replies have not left. */
const IN_PROGRESS_MAX = 1024
