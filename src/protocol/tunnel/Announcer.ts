/**
 * When to announce what we can do (wire §17): as soon as the first frame has opened under new keys, then with each of
 * the next three packets of ours, until the peer's own announcement is seen. A peer that repeats its own has not seen ours,
 * or not yet: it is answered once more, with a field that says that no answer is wanted, or a lost one would stay lost.
 */
import type { Address } from "../wire/Address.ts"
import type { Announcement, Field } from "../wire/Announcement.ts"
import * as ControlMessage from "../wire/ControlMessage.ts"
import * as Packet from "../wire/Packet.ts"

/** The field of an announcement that answers one: type 1, without a value. */
export const SEEN: Field = { type: 1, value: new Uint8Array(0) }

/** Mutable, owned by one tunnel. */
export class Announcer {
  #peer: Announcement | undefined
  #repeats = 0

  /** Our announcement, and the same as an answer to the peer's, as whole packets. */
  static packets(own: Address, peer: Address, capabilities: number) {
    const packet = (fields: ReadonlyArray<Field>) =>
      Packet.encode(ControlMessage.announcement(own, peer, { capabilities, fields }))
    return { first: packet([]), answer: packet([SEEN]) }
  }

  /** What the peer announced; without it, it is treated as the reference. */
  get peer(): Announcement | undefined {
    return this.#peer
  }

  /** A frame has opened under new keys: the caller announces now. Another key of the peer means another process. */
  keysChanged(isSameProcess: boolean): void {
    if (!isSameProcess) this.#peer = undefined
    this.#repeats = REPEATS
  }

  /** Asked after each packet sent: true if the announcement goes with it. */
  shouldRepeat(): boolean {
    if (this.#repeats === 0) return false
    this.#repeats -= 1
    return true
  }

  /** The peer's announcement, out of a frame that opened; true if ours shall answer it. */
  seen(announcement: Announcement): boolean {
    const isRepeated = this.#peer !== undefined && !announcement.fields.some(({ type }) => type === SEEN.type)
    this.#peer = announcement
    this.#repeats = 0
    return isRepeated
  }
}

const REPEATS = 3
