/**
 * How a service does, as its keeper tells peers that may use it: an optional member `health` of `ServiceListing`. It says what
 * such a peer would learn from its own calls, and nothing of who else calls or why a server fails.
 *
 *     {"breaker":"closed","retry_in_ms":0,"look":{"verdict":"healthy","tools":14,"ago_ms":61000}}
 */
import * as Json from "../../core/data/Json.ts"

/** What a keeper found when it looked at a server itself; one without tools is never healthy. */
export type Verdict = "healthy" | "no-tools" | "failing"

/** How a service does. */
export interface ListedHealth {
  readonly breaker: "closed" | "open" | "half-open"
  /** Until a call is let through again, in milliseconds. */
  readonly retryInMs: number
  /** The last look at the server; absent while there was none. */
  readonly look?: {
    readonly verdict: Verdict
    readonly tools: number
    /** How long ago, in milliseconds. */
    readonly agoMs: number
  }
}

/** As it stands in a listing. */
export const encode = ({ breaker, look, retryInMs }: ListedHealth): Json.JsonObject => ({
  breaker,
  retry_in_ms: retryInMs,
  ...(look === undefined
    ? {}
    : { look: { verdict: look.verdict, tools: look.tools, ago_ms: Math.min(look.agoMs, 0xffff_ffff) } })
})

/** What stands in a listing; undefined for anything else. Members that are not known are left out. */
export const decode = (value: Json.Json | undefined): ListedHealth | undefined => {
  if (!Json.isObject(value)) return undefined
  const breaker = BREAKERS.find((known) => known === Json.member(value, "breaker"))
  if (breaker === undefined) return undefined
  const look = Json.member(value, "look")
  const verdict = Json.isObject(look) ? VERDICTS.find((known) => known === Json.member(look, "verdict")) : undefined
  return {
    breaker,
    retryInMs: Json.unsigned(value, "retry_in_ms", 32),
    ...(Json.isObject(look) && verdict !== undefined
      ? { look: { verdict, tools: Json.unsigned(look, "tools", 32), agoMs: Json.unsigned(look, "ago_ms", 32) } }
      : {})
  }
}

const BREAKERS = ["closed", "open", "half-open"] as const
const VERDICTS = ["healthy", "no-tools", "failing"] as const
