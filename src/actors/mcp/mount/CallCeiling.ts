/**
 * The end of calls that nobody ever answers (mcp §6.7), on the client's side: the keeper ends what its server works on, this
 * what never came so far, because something on the way takes nothing any more.
 *
 * Looks at the calls of one session now and then: one ends an hour or two after its time, when a keeper that lives has had its
 * say.
 */
import { Clock, Effect } from "effect"
import * as MonotonicTime from "../../../core/actor/MonotonicTime.ts"
import type { Call, InFlight } from "../../../protocol/relay/InFlight.ts"
import { LateAnswers } from "../../../protocol/relay/LateAnswers.ts"
import * as Policy from "../../../protocol/relay/Policy.ts"

/** The ceiling of one session's calls, which are its owner's. */
export class CallCeiling {
  readonly #calls: InFlight
  readonly #late = new LateAnswers()
  /** When each of those that wait was first seen. */
  #seen: ReadonlyMap<Call, number> = new Map()

  constructor(calls: InFlight) {
    this.#calls = calls
  }

  /** Whether an answer is that of a call which has ended here; it comes once. */
  isLate(id: string): boolean {
    return !this.#calls.has(id) && this.#late.isLate(id)
  }

  /** Looks for ever. `end` is told of each call that waits no longer because of it. */
  run(end: (call: Call) => Effect.Effect<void>): Effect.Effect<never> {
    return Effect.gen({ self: this }, function* () {
      const clock = yield* Clock.Clock
      while (true) {
        for (const call of this.#overdue(MonotonicTime.nowMsUnsafe(clock))) yield* end(call)
        yield* Effect.sleep(LOOK_MS)
      }
    })
  }

  #overdue(nowMs: number): ReadonlyArray<Call> {
    const waiting = this.#calls.waiting.filter(({ method }) => method !== Policy.ENDLESS)
    this.#seen = new Map(waiting.map((call) => [call, this.#seen.get(call) ?? nowMs]))
    const isOverdue = (call: Call) => nowMs - (this.#seen.get(call) ?? nowMs) > Policy.DEADLINE_MAX_MS
    const overdue = this.#calls.drain(isOverdue)
    for (const { id } of overdue) this.#late.expect(id)
    return overdue
  }
}

const LOOK_MS = 3_600_000
