/** One session as the table of a `Keeper` holds it. */
import { Effect } from "effect"
import type { Address } from "../../../protocol/wire/Address.ts"
import type { Upstream } from "../server/Upstream.ts"
import type { CallGate } from "./CallGate.ts"
import type { KeeperSession } from "./KeeperSession.ts"

/** One session as `mcp status` shows it. */
export interface SessionStatus {
  readonly service: string
  readonly remote: Address
  readonly isIdle: boolean
  readonly inFlight: number
  readonly pid: number | undefined
  readonly stderrTail: ReadonlyArray<string>
}

/** What the keeper knows of it. */
export interface Entry {
  readonly key: string
  readonly service: string
  readonly remote: Address
  readonly upstream: Upstream
  readonly gate: CallGate
  readonly stop: () => void
  /** Absent for a plain line client, which has nothing to resume. */
  readonly relay: { readonly session: KeeperSession; readonly resumeKey: string } | undefined
}

/** Ends it, telling the other side why. */
export const endOf = (entry: Entry): Effect.Effect<void> =>
  entry.relay === undefined ? Effect.sync(entry.stop) : entry.relay.session.end({ reason: "denied" })

/** What there is to show. */
export const statusOf = (entry: Entry): Effect.Effect<SessionStatus> => {
  const child = entry.upstream.child()
  return Effect.map(child?.stderrTail ?? Effect.succeed([]), (stderrTail) => ({
    service: entry.service,
    remote: entry.remote,
    isIdle: entry.relay?.session.isIdle() ?? false,
    inFlight: entry.upstream.inFlight(),
    pid: child?.pid,
    stderrTail
  }))
}
