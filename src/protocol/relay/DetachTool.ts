/**
 * The tool that fetches what a long call became (mcp §6.7), for clients that know no tasks: its place in the list, and what
 * it says.
 */
import type * as Json from "../../core/data/Json.ts"
import * as RawRpc from "./era/RawRpc.ts"
import * as JsonEdit from "./JsonEdit.ts"
import * as JsonRpcPeek from "./JsonRpcPeek.ts"
import * as JsonScanner from "./JsonScanner.ts"

/** Its name. */
export const TOOL = "pilot_fetch_result"

/** The list with the tool at its end, and without output schemas: what a handle is said with meets none. */
export const listed = (message: Uint8Array): Uint8Array => {
  const found = JsonEdit.find(message, ["result", "tools"])
  const tools = found.missing.length > 0 ? undefined : JsonScanner.read(message, found.span)
  if (tools?._tag !== "Array") return message
  const cuts = tools.elements.flatMap((tool) => JsonEdit.removals(message, tool, (key) => key === "outputSchema"))
  const isLast = JsonRpcPeek.string(message, ["result", "nextCursor"]) === undefined
  const at = tools.elements.at(-1)?.end ?? found.span.start + 1
  const text = `${tools.elements.length === 0 ? "" : ","}${JSON.stringify(DEFINITION)}`
  return JsonEdit.splice(message, isLast ? [...cuts, { start: at, end: at, text }] : cuts)
}

/** A result in words. `id` is JSON text. */
export const said = (id: string, text: string, isError: boolean, isModern: boolean): Uint8Array => {
  const result = { content: [{ type: "text", text }], isError, ...(isModern ? { resultType: "complete" } : {}) }
  return RawRpc.result(id, JSON.stringify(result))
}

/** What a call is answered with meanwhile. */
export const running = (handle: string): string =>
  `Still running, handle ${handle}. Call the tool ${TOOL} with {"handle":"${handle}"} to wait for the result.`

/** The call was stopped by its handle. */
export const CANCELLED = "The call is cancelled."
/** Nothing stands behind the handle. */
export const UNKNOWN =
  "There is no such handle. A handle ends with the mount that gave it, and its result is kept for ten minutes; " +
  "find out whether it was carried out before calling again."
/** Somebody waits for that result already. */
export const ASKED = "Another call waits for this result already."
/** A question came when nobody could be asked any more. */
export const NEEDS_INPUT = "The tool asks for something that only a call in the foreground can answer. Call it again."

const DEFINITION: Json.JsonObject = {
  name: TOOL,
  description:
    "Waits for the result of a call that was answered with a handle, and gives it as that call would have. It may be asked again.",
  inputSchema: {
    type: "object",
    properties: {
      handle: { type: "string", description: "The handle." },
      cancel: { type: "boolean", description: "Stop the call instead." }
    },
    required: ["handle"]
  }
}
