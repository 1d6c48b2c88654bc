/** Telling the operator that something was turned away for want of room, but not as often as a peer that goes on sending wishes. */
import { Clock, Effect } from "effect"
import * as MonotonicTime from "../../core/actor/MonotonicTime.ts"
import type { ProtocolEvent } from "../../protocol/ProtocolEvent.ts"
import type { Address } from "../../protocol/wire/Address.ts"

/** Called for everything that was turned away. */
export type Full = (store: "inbox" | "received", from: Address, sizeBytes: number) => void

/** Reports the first of each store, and then one a minute. */
export const make = (report: (event: ProtocolEvent) => void): Effect.Effect<Full> =>
  Effect.map(Clock.Clock, (clock) => {
    const toldAtMs = new Map<string, number>()
    return (store, peer, sizeBytes) => {
      const nowMs = MonotonicTime.nowMsUnsafe(clock)
      if (nowMs - (toldAtMs.get(store) ?? Number.NEGATIVE_INFINITY) < FULL_INTERVAL_MS) return
      toldAtMs.set(store, nowMs)
      report({ _tag: "StoreFull", store, peer, sizeBytes })
    }
  })

const FULL_INTERVAL_MS = 60_000
