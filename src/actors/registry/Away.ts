/**
 * How patient one is with a registry when the answer can be done without: it may be away, and whoever dials a peer whose key is
 * pinned should not wait for that to be certain. One for each registry's client; mutable.
 */
import { Effect } from "effect"
import * as MonotonicTime from "../../core/actor/MonotonicTime.ts"
import { RegistryError } from "./RegistryClient.ts"

/** What is known of its being away. */
export class Away {
  #untilMs = Number.NEGATIVE_INFINITY

  /** The answer, or the alternative when none comes in time. A refusal is an answer. */
  orElse<A, B, E, R>(answer: Effect.Effect<A, E, R>, otherwise: () => B): Effect.Effect<A | B, E, R> {
    return Effect.flatMap(MonotonicTime.nowMs, (nowMs) => {
      const absent = Effect.sync(() => {
        this.#untilMs = nowMs + REMEMBERED_MS
        return otherwise()
      })
      return answer.pipe(
        Effect.tap(() =>
          Effect.sync(() => {
            this.#untilMs = Number.NEGATIVE_INFINITY
          })
        ),
        Effect.catchIf(isAway, () => absent),
        Effect.timeoutOrElse({ duration: nowMs < this.#untilMs ? IMPATIENCE_MS : PATIENCE_MS, orElse: () => absent })
      )
    })
  }
}

const isAway = (error: unknown): boolean =>
  error instanceof RegistryError && (error.reason === "Unavailable" || error.reason === "Timeout")

/** A round trip to the other side of the world, with repeats. */
const PATIENCE_MS = 2_000
/** With one that was away a moment ago. */
const IMPATIENCE_MS = 250
/** How long that is a moment ago. */
const REMEMBERED_MS = 30_000
