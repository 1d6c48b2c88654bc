/** A mount with one instance, which is never left. */
import { Effect } from "effect"
import type { Moves } from "../../src/actors/mcp/mount/Instances.ts"

/** For sessions that are looked at without their mount. */
export const NO_MOVES: Moves = {
  take: () => false,
  isPending: () => false,
  count: () => 0,
  because: () => "",
  failing: Effect.void,
  refused: Effect.void,
  moved: Effect.never,
  others: () => [],
  stay: () => {}
}
