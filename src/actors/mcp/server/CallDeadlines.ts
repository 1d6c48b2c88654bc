/**
 * The end of calls that take longer than their owner allows (mcp §6.10), or than any may (§6.7): the client gets a typed
 * error, the server is told to stop, and what it still answers is dropped.
 *
 * Owned by one session's `Upstream`. One timer, armed by calls for when their time is over.
 */
import { Clock, Effect, Latch, type Scope } from "effect"
import { DeadlineTimer } from "../../../core/actor/DeadlineTimer.ts"
import * as Provided from "../../../core/actor/Provided.ts"
import { Timers } from "../../../core/actor/Timers.ts"
import * as BridgeError from "../../../protocol/relay/BridgeError.ts"
import * as BridgeReplies from "../../../protocol/relay/BridgeReplies.ts"
import type { InFlight } from "../../../protocol/relay/InFlight.ts"
import { LateAnswers } from "../../../protocol/relay/LateAnswers.ts"
import type * as CallLedger from "../CallLedger.ts"
import type { CallGate } from "../keeper/CallGate.ts"
import type { SessionParking } from "../keeper/SessionParking.ts"

/** What it needs of the session. */
export interface Options {
  readonly gate: CallGate
  /** The client's calls. */
  readonly calls: InFlight
  readonly parking: SessionParking | undefined
  readonly error: (lastedMs: number, harmless: boolean) => BridgeError.BridgeError
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
  const scope = yield* Effect.scope
  const timers = Timers.of(yield* Clock.Clock)
  const over = Latch.makeUnsafe(false)
  const timer = new DeadlineTimer(timers, yield* Provided.services<never>(), () => {
    timer.takeFired()
    over.openUnsafe()
  })
  yield* Effect.addFinalizer(() => Effect.sync(() => timer.cancel()))
  const late = new LateAnswers()

  const end = ({ id, lastedMs, mark, method }: CallLedger.Due): Effect.Effect<void> => {
    const waits = calls.drain(({ at }) => at === mark).length > 0
    const parked = parking?.expired(id)
    calls.unpark(({ at }) => at === mark)
    const answer = BridgeError.encode(error(lastedMs, BridgeError.isHarmlessTwice(method)), id)
    gate.ended(mark, "answered", answer)
    // One of an earlier session ends with that session's own deadline.
    if (parked === "Attached") return toClient(answer)
    late.expect(id)
    // A server that reads nothing any more hears nothing of it either, and that must not hold up the rest.
    const told = Effect.forkIn(toServer(BridgeReplies.cancelled(id)), scope)
    return Effect.andThen(told, waits ? toClient(answer) : Effect.void)
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
    isLate: (id) => late.isLate(id),
    isOwed: (id) => late.isOwed(id),
    serverGone: () => late.clear()
  }
})
