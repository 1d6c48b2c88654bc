/**
 * Signs of life for long calls (mcp §6.7): clients end a call that is silent for a minute, most of them only if nothing
 * reports progress. While a call that asked for progress hears nothing, it is told every 15 s that it is waited for.
 *
 * Pure; mutable inside the session that owns it. It holds at most as many calls as the session has in flight.
 */

/** What is known of one call. */
export interface Told {
  /** Raw JSON text. */
  readonly token: string
  /** The server's last value; below its first possible one before that. */
  readonly told: number
  /** Signs of ours since then. */
  readonly nudges: number
}

/** The calls of one client that asked for progress. Ids and tokens are raw JSON text. */
export class ProgressKeepAlive {
  readonly #calls = new Map<string, Call>()

  /** A request that gave a token was passed on. */
  started(id: string, token: string, nowMs: number): void {
    this.#calls.set(id, { token, told: -1, nudges: 0, quietSinceMs: nowMs })
  }

  /** A call that an earlier life of this session has begun, and what its client has been told since. */
  restored(id: string, { nudges, told, token }: Told, nowMs: number): void {
    this.#calls.set(id, { token, told, nudges, quietSinceMs: nowMs })
  }

  /** What the client of each call has been told, by id. */
  get told(): Iterable<readonly [string, Told]> {
    return this.#calls
  }

  /** The call has its answer, or nobody waits for it any more. */
  ended(id: string): void {
    this.#calls.delete(id)
  }

  /** The server's own progress. False when it must not be passed on, because more has been told already. */
  progressed(token: string, progress: number, nowMs: number): boolean {
    for (const call of this.#calls.values()) {
      if (call.token !== token) continue
      // A call that runs again begins to count anew, which the client must not see.
      if (progress < call.told || (call.nudges > 0 && !(progress > toldOf(call)))) return false
      call.told = progress
      call.nudges = 0
      call.quietSinceMs = nowMs
    }
    return true
  }

  /** When `due` has something at the earliest. */
  deadlineMs(): number | undefined {
    let earliestMs: number | undefined
    for (const { quietSinceMs } of this.#calls.values()) {
      earliestMs = Math.min(earliestMs ?? Number.POSITIVE_INFINITY, quietSinceMs + QUIET_MS)
    }
    return earliestMs
  }

  /** Notifications for the client that are due now. */
  due(nowMs: number, message: string): ReadonlyArray<Uint8Array> {
    const due: Array<Uint8Array> = []
    for (const call of this.#calls.values()) {
      if (nowMs < call.quietSinceMs + QUIET_MS) continue
      call.nudges++
      call.quietSinceMs = nowMs
      due.push(
        UTF8.encode(
          `{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":${call.token},` +
            `"progress":${toldOf(call)},"message":${JSON.stringify(message)}}}`
        )
      )
    }
    return due
  }
}

interface Call extends Told {
  told: number
  nudges: number
  quietSinceMs: number
}

/** Progress must increase with every notification, and a real step is never as small as ours. */
const toldOf = ({ nudges, told }: Call): number => Math.max(0, told) + nudges * STEP

const STEP = 1e-6
/** Well below the minute after which clients give up, also when one is lost. */
const QUIET_MS = 15_000
const UTF8 = new TextEncoder()
