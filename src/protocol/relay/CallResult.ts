/** What the answer to a call says about how it ended, from its raw bytes. */
import { Result } from "effect"
import * as BridgeError from "./BridgeError.ts"
import type { Outcome } from "./CallMetrics.ts"
import * as JsonRpcPeek from "./JsonRpcPeek.ts"
import * as JsonScanner from "./JsonScanner.ts"

/** An answer. `code` is that of an error; `result` is where the result is. Of a batch only that it came. */
export interface CallResult {
  readonly code: number | undefined
  readonly isToolError: boolean
  readonly result: JsonScanner.Span | undefined
}

/** Reads one answer, without another pass over what may be megabytes; of a batch or of anything else there is `NONE`. */
export const read = (answer: Uint8Array): CallResult => {
  const looked = Result.getOrUndefined(JsonRpcPeek.look(answer))
  return looked === undefined || looked.envelope._tag === "Batch" ? NONE : of(answer, looked.members)
}

const of = (answer: Uint8Array, members: ReadonlyArray<JsonScanner.Member>): CallResult => {
  let result: JsonScanner.Member | undefined
  let isTwice = false
  for (const member of members) {
    if (member.key !== "result") continue
    isTwice = result !== undefined
    result = member
  }
  if (result === undefined || isTwice) {
    const error = members.find(({ key }) => key === "error")
    const found = error?.members?.find(({ key }) => key === "code")
    const code = found === undefined ? Number.NaN : Number(JsonScanner.text(answer, found))
    return { ...NONE, code: Number.isSafeInteger(code) ? code : 0 }
  }
  const isError = result.members?.find(({ key }) => key === "isError")
  return {
    code: undefined,
    isToolError: isError !== undefined && JsonScanner.text(answer, isError) === "true",
    result
  }
}

/** How a call with that answer ended, as its server said it. */
export const outcome = ({ code, isToolError }: CallResult): "error" | "toolError" | "ok" =>
  code !== undefined ? "error" : isToolError ? "toolError" : "ok"

/** The same, where the answer may also be the bridge's own. */
export const bridged = (result: CallResult): Outcome => {
  if (result.code === BridgeError.CODE.outcomeUnknown) return "unknown"
  return result.code === BridgeError.CODE.denied ? "denied" : outcome(result)
}

/** No answer. */
export const NONE: CallResult = { code: undefined, isToolError: false, result: undefined }
