/**
 * What a legacy client would not read in the results of a modern server (mcp §1.1): schemas and structured content that
 * are no objects. They are cut out; everything else stays, since unknown members disturb nobody (mcp §6.6).
 */
import * as JsonEdit from "../JsonEdit.ts"
import * as JsonRpcPeek from "../JsonRpcPeek.ts"
import * as JsonScanner from "../JsonScanner.ts"
import * as JsonSplice from "../JsonSplice.ts"
import * as RawJson from "../RawJson.ts"

/** The answer as a legacy client takes it. */
export const of = (message: Uint8Array, method: string): Uint8Array => {
  if (method === "tools/list") return JsonEdit.splice(message, schemas(message))
  if (method !== "tools/call") return message
  const result = JsonEdit.find(message, ["result"])
  return result.missing.length > 0
    ? message
    : JsonEdit.splice(
        message,
        JsonEdit.removals(
          message,
          result.span,
          (key, value) => key === "structuredContent" && JsonScanner.read(message, value)?._tag !== "Object"
        )
      )
}

/** The refusal with a code that a legacy client knows (mcp §1.3). */
export const refusal = (message: Uint8Array, method: string): Uint8Array => {
  const code = Number(JsonRpcPeek.member(message, ["error", "code"]))
  if (code === -32602 && method === "resources/read") return JsonSplice.replace(message, ["error", "code"], "-32002")
  if (code <= -32020 && code >= -32022) return JsonSplice.replace(message, ["error", "code"], "-32603")
  return message
}

const schemas = (message: Uint8Array): ReadonlyArray<JsonEdit.Edit> => {
  const tools = JsonEdit.find(message, ["result", "tools"])
  const list = tools.missing.length > 0 ? undefined : JsonScanner.read(message, tools.span)
  if (list?._tag !== "Array") return []
  return list.elements.flatMap((tool) =>
    JsonEdit.removals(message, tool, (key, value) => key === "outputSchema" && !isOfObjects(message, value))
  )
}

const isOfObjects = (message: Uint8Array, schema: JsonScanner.Span): boolean => {
  const type = RawJson.only(message, schema, "type")
  return type !== undefined && type !== RawJson.TWICE && JsonScanner.string(message, type) === "object"
}
