/**
 * When to announce what we can do (wire §17): as soon as the first frame has opened under new keys, then with each of
 * the next three packets of ours, until the peer's own announcement is seen.
 */
import type { Announcement } from "../wire/Announcement.ts"

/** Mutable, owned by one tunnel. */
export class Announcer {
  #peer: Announcement | undefined
  #repeats = 0

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

  /** The peer's announcement, out of a frame that opened. */
  seen(announcement: Announcement): void {
    this.#peer = announcement
    this.#repeats = 0
  }
}

const REPEATS = 3
