/**
 * Room for the frames that one stream has sent and that are not done with. All streams of a service share it, so that many of
 * them cannot fill the memory together; a stream that gets none is not read.
 */
import { Effect, type Scope, type Semaphore } from "effect"
import type { Reserve } from "./FrameLink.ts"

/** The room of one stream. */
export interface FrameReservation {
  /** For its link. */
  readonly reserve: Reserve
  /** Call once for each frame that was read: gives back what was reserved for it. */
  readonly taken: () => Effect.Effect<void>
}

/** `memory` has a permit for each byte. The end of the surrounding scope gives everything back. */
export const make = Effect.fnUntraced(function* (
  memory: Semaphore.Semaphore
): Effect.fn.Return<FrameReservation, never, Scope.Scope> {
  let heldBytes = 0
  let nextBytes = 0
  const give = (sizeBytes: number) =>
    Effect.suspend(() => {
      heldBytes -= sizeBytes
      return memory.release(sizeBytes)
    })
  yield* Effect.addFinalizer(() => Effect.suspend(() => give(heldBytes)))
  return {
    reserve: (sizeBytes) =>
      Effect.uninterruptibleMask((restore) =>
        Effect.andThen(
          restore(memory.take(sizeBytes)),
          Effect.sync(() => {
            heldBytes += sizeBytes
            nextBytes = sizeBytes
          })
        )
      ),
    taken: () => {
      const reserved = nextBytes
      nextBytes = 0
      return reserved === 0 ? Effect.void : give(reserved)
    }
  }
})
