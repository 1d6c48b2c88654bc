/**
 * The end of calls that take longer than their owner allows (mcp §6.10): the server is told to stop, the client gets a
 * typed error, and what the server still answers is dropped.
 *
 * Owned by one session's `Upstream`. One timer, armed only while a call with a deadline runs.
 */
import { Clock, Effect, Latch, type Scope } from "effect"
import { DeadlineTimer } from "../../../core/actor/DeadlineTimer.ts"
import { Timers } from "../../../core/actor/Timers.ts"
import * as BridgeError from "../../../protocol/relay/BridgeError.ts"
import * as BridgeReplies from "../../../protocol/relay/BridgeReplies.ts"
import { InFlight } from "../../../protocol/relay/InFlight.ts"
import type * as CallLedger from "../CallLedger.ts"
import type { CallGate } from "../keeper/CallGate.ts"
import type { SessionParking } from "../keeper/SessionParking.ts"

/** What it needs of the session. */
export interface Options {
  readonly gate: CallGate
  /** The client's calls. */
  readonly calls: InFlight
  readonly parking: SessionParking | undefined
  readonly error: (harmless: boolean) => BridgeError.BridgeError
  readonly toServer: (message: Uint8Array) => Effect.Effect<void>
  readonly toClient: (message: Uint8Array) => Effect.Effect<void>
}

/** The deadlines of one session. */
export interface CallDeadlines {
  /** A call was started; `mark` is that of the gate. */
  readonly started: (mark: number) => void
  /** Whether an answer that nobody waits for is the late one of such a call; it comes once. */
  readonly isLate: (id: string) => boolean
  /** Whether the server may still answer an earlier call of that id: another one's answer could not be told from it. */
  readonly isOwed: (id: string) => boolean
  /** The server is gone, and with it whatever it owed. */
  readonly serverGone: () => void
}

/** None yet; they end with the surrounding scope. */
export const make = Effect.fnUntraced(function* ({
  calls,
  error,
  gate,
  parking,
  toClient,
  toServer
}: Options): Effect.fn.Return<CallDeadlines, never, Scope.Scope> {
  const timers = Timers.of(yield* Clock.Clock)
  const over = Latch.makeUnsafe(false)
  const timer = new DeadlineTimer(timers, yield* Effect.context<never>(), () => {
    timer.takeFired()
    over.openUnsafe()
  })
  yield* Effect.addFinalizer(() => Effect.sync(() => timer.cancel()))
  let late = new InFlight()

  const end = ({ id, mark, method }: CallLedger.Due): Effect.Effect<void> => {
    const waits = calls.drain(({ at }) => at === mark).length > 0
    const parked = parking?.expired(id)
    const answer = BridgeError.encode(error(BridgeError.isHarmlessTwice(method)), id)
    gate.ended(mark, "answered", answer)
    // One of an earlier session ends with that session's own deadline.
    if (parked === "Attached") return toClient(answer)
    const [oldest] = late.size >= LATE_MAX ? late.waiting : []
    if (oldest !== undefined) late.settle(oldest.id)
    late.add(id, method, mark)
    return Effect.andThen(toServer(BridgeReplies.cancelled(id)), waits ? toClient(answer) : Effect.void)
  }

  yield* Effect.gen(function* () {
    yield* over.await
    over.closeUnsafe()
    const { due, nextMs } = gate.overdue(timers.nowMs)
    if (nextMs !== undefined) timer.arm(nextMs, false)
    yield* Effect.forEach(due, end, { discard: true })
  }).pipe(Effect.forever, Effect.forkScoped)

  return {
    started: (mark) => {
      const dueAtMs = gate.dueAtMs(mark)
      if (dueAtMs !== undefined) timer.arm(dueAtMs, false)
    },
    isLate: (id) => late.size > 0 && late.settle(id) !== undefined,
    isOwed: (id) => late.size > 0 && late.has(id),
    serverGone: () => {
      late = new InFlight()
    }
  }
})

/** Answers that a server may still owe; those before are passed on, and clients drop them. */
const LATE_MAX = 1024
