/** How long whoever uses many peers waits for those that do not answer: a front, and a mount that looks for a capability (mcp §6.11). */

/** A peer that fails sooner than this at the first question is asked again: the way to it may only have been made by the first try. */
export const SOON_MS = 5000
/** The pause before that. */
export const AGAIN_MS = 1000
/** What is known of a peer that is away is kept for so long. */
export const FORGET_MS = 600_000
