/** What the answer to a call says about how it ended, from its raw bytes. */
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

/** Reads one answer. */
export const read = (answer: Uint8Array): CallResult => {
  // Two passes over what may be megabytes: one for its members, one for those of the result.
  const root = JsonScanner.read(answer, { start: 0, end: answer.length })
  if (root?._tag !== "Object") return NONE
  const [result, second] = root.members.filter(({ key }) => key === "result")
  if (result === undefined || second !== undefined) {
    const code = Number(JsonRpcPeek.member(answer, ["error", "code"]))
    return { ...NONE, code: Number.isSafeInteger(code) ? code : 0 }
  }
  const inner = JsonScanner.read(answer, result)
  const isError = inner?._tag === "Object" ? inner.members.find(({ key }) => key === "isError") : undefined
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
