/**
 * Sealed frames that came before the keys that open them. A challenge follows its key exchange at once, and where a link
 * reorders by a millisecond it overtakes it: dropped, it would cost the round trip until it is asked for again. No SYN is
 * among them: those wait until this end has proven the keys, too.
 */
import * as Bytes from "../../core/data/Bytes.ts"
import type * as Path from "../../nat/Path.ts"
import type * as TunnelFrame from "../../protocol/wire/TunnelFrame.ts"

/** One of them. */
export interface Early {
  readonly frame: TunnelFrame.Sealed
  readonly path: Path.Path
  /** The side socket that it came by; of no use to one that is kept. */
  readonly by?: number | undefined
}

/** Of one peer that has proven nothing yet, so that anybody may have sent them: few, and small. */
export class EarlyFrames {
  #kept: Array<Early> = []

  /** Keeps one, if there is room; there is nothing to give yet. */
  keep({ frame, path }: Early): undefined {
    if (this.#kept.length >= FRAMES_MAX || frame.sealed.length > SEALED_BYTES_MAX) return undefined
    const own = { ...frame, nonce: Bytes.copy(frame.nonce), sealed: Bytes.copy(frame.sealed) }
    this.#kept.push({ frame: own, path })
    return undefined
  }

  /** All of them, in order; afterwards there is none. */
  take(): ReadonlyArray<Early> {
    const kept = this.#kept
    this.#kept = []
    return kept
  }
}

/** A challenge in both generations, by two ways. */
export const FRAMES_MAX = 4
/** A challenge has less. */
export const SEALED_BYTES_MAX = 128
