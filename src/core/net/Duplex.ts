/**
 * A reliable, ordered byte stream in both directions, whatever carries it: an overlay connection, a local socket,
 * a child's standard streams.
 */
import type { Cause, Effect } from "effect"

/** `read` gives the next non-empty chunk and fails with `Cause.Done` at the end of the stream. */
export interface Duplex<E = never> {
  readonly read: Effect.Effect<Uint8Array, E | Cause.Done>
  /** Waits while the other side does not read; the bytes are accepted, not necessarily delivered, when it succeeds. */
  readonly write: (bytes: Uint8Array) => Effect.Effect<void, E>
  /** No more writes: everything accepted is delivered first, then the other side reads its end. Idempotent. */
  readonly end: Effect.Effect<void>
}
