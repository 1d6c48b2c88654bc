/**
 * What a node remembers of translators, and whether it measures them by itself: a daemon does, since it lives longer than
 * the half hour that takes; a node that a program or a test starts for a moment only looks when it is asked to.
 */
import { Context } from "effect"
import type { Options } from "./NatObserver.ts"

/** Given by whoever wires a node. */
export interface NatMemory extends Pick<Options, "known" | "learnt"> {
  readonly isMeasured: boolean
}

/** Nothing, and only when asked, unless somebody provides it. */
export const NatMemory = Context.Reference<NatMemory>("effect-pilot/actors/node/NatMemory", {
  defaultValue: () => ({ isMeasured: false })
})
