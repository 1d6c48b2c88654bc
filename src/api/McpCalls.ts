/** How requests of a program are made: how long they may take, and which are made again when they fail (mcp §6.3). */
import { type Duration, Effect, Schedule } from "effect"
import { type McpClient, McpError } from "../actors/mcp/client/McpClient.ts"
import * as Json from "../core/data/Json.ts"
import * as BridgeError from "../protocol/relay/BridgeError.ts"

/** What a program wants of its requests. */
export interface CallOptions {
  /**
   * When to make a request again that failed for a passing reason: 0.2 s, doubling, four times unless told otherwise; `false`
   * never. A request that the server may have seen is made again only if that is harmless: lists and reads, and the tools
   * that `safe` names.
   */
  readonly retry?: Schedule.Schedule<unknown, McpError> | false
  /** The whole request with everything that is made again; without it the server has all the time it wants. */
  readonly timeLimit?: Duration.Input
  /** Tools that may run twice without harm, by this program's own knowledge. */
  readonly safe?: ReadonlyArray<string>
}

/** The client's requests under these options. */
export const guarded = (client: Pick<McpClient, "request">, options: CallOptions): McpClient["request"] => {
  const { retry = RETRY, timeLimit } = options
  const safe = new Set(options.safe)
  return (method, params, onProgress) => {
    const isSafe =
      BridgeError.isHarmlessTwice(method) || (method === "tools/call" && safe.has(Json.string(params, "name")))
    const asked = client.request(method, params, onProgress)
    const repeated =
      retry === false
        ? asked
        : Effect.retry(asked, { schedule: retry, while: (error: McpError) => isRepeatable(error, isSafe) })
    return timeLimit === undefined
      ? repeated
      : Effect.timeoutOrElse(repeated, { duration: timeLimit, orElse: () => timedOut(method) })
  }
}

/** Whether asking again may help, and cannot do harm. */
export const isRepeatable = (error: McpError, isSafe: boolean): boolean => {
  if (!error.delivered) return error.retryable
  return isSafe && (error.retryable || error.code === BridgeError.CODE.outcomeUnknown)
}

const timedOut = (method: string): Effect.Effect<never, McpError> =>
  new McpError({
    reason: "Timeout",
    code: 0,
    message: `no answer to ${method} within the time limit; it was cancelled`,
    retryable: false,
    delivered: true
  })

const RETRY: Schedule.Schedule<unknown, McpError> = Schedule.max([
  Schedule.exponential("200 millis").pipe(Schedule.jittered),
  Schedule.recurs(4)
])
