/**
 * What one service answered last to the questions that open a client (mcp §6.9): how it was opened, and its whole lists. Kept
 * by who asked, because a server may answer differently to what a client can do.
 */
import { Schema } from "effect"
import * as CanonicalJson from "../../core/data/CanonicalJson.ts"
import * as Json from "../../core/data/Json.ts"
import { KEY, META } from "./era/EraTranslator.ts"
import * as RawRpc from "./era/RawRpc.ts"
import * as JsonEdit from "./JsonEdit.ts"
import * as JsonRpcPeek from "./JsonRpcPeek.ts"

/** An answer without its id; `raw` is the JSON text of its result or error. */
export const Answer = Schema.Struct({
  isError: Schema.Boolean,
  raw: Schema.String,
  /** Wall clock. */
  asOfMs: Schema.Int
})
/** An answer without its id. */
export type Answer = typeof Answer.Type

/** What one kind of client was answered, by method. */
export const Known = Schema.Struct({ client: Schema.String, answers: Schema.Record(Schema.String, Answer) })
/** What one kind of client was answered. */
export type Known = typeof Known.Type

/** How each list is called in its result, by its method. */
export const LISTS: Readonly<Record<string, string>> = {
  "tools/list": "tools",
  "prompts/list": "prompts",
  "resources/list": "resources",
  "resources/templates/list": "resourceTemplates"
}

/** What a server tells of a change, and the lists that it makes old. */
export const CHANGES: Readonly<Record<string, ReadonlyArray<string>>> = {
  "notifications/tools/list_changed": ["tools/list"],
  "notifications/prompts/list_changed": ["prompts/list"],
  "notifications/resources/list_changed": ["resources/list", "resources/templates/list"]
}

/** Whether answers to that method are worth keeping. */
export const isKept = (method: string): boolean => OPENINGS.has(method) || Object.hasOwn(LISTS, method)

/** A kind of client, from a request that says what it can do; undefined for one that says nothing. */
export const clientOf = (message: Uint8Array, method: string): string | undefined => {
  const isLegacy = method === "initialize"
  const at = isLegacy ? ["params"] : META
  const revision = JsonRpcPeek.string(message, [...at, isLegacy ? "protocolVersion" : KEY.version])
  if (revision === undefined) return undefined
  const said = JsonRpcPeek.member(message, [...at, isLegacy ? "capabilities" : KEY.capabilities]) ?? "{}"
  return `${method === "initialize" ? "legacy" : "modern"} ${revision} ${CanonicalJson.encode(Json.parse(said) ?? null)}`
}

/** The answer to such a question; undefined for one that says nothing lasting, such as a passing failure. */
export const answerOf = (message: Uint8Array, method: string, asOfMs: number): Answer | undefined => {
  const error = JsonRpcPeek.member(message, ["error"])
  if (error !== undefined) {
    const code = Number(JsonRpcPeek.member(message, ["error", "code"]))
    return OPENINGS.has(method) && VERDICTS.has(code) ? { isError: true, raw: error, asOfMs } : undefined
  }
  const raw = JsonRpcPeek.member(message, ["result"])
  return raw === undefined ? undefined : { isError: false, raw, asOfMs }
}

/**
 * The answer for a request with that raw id: marked with the instant it is of, and good for nothing but this once
 * (`ttlMs: 0`) where the server said how long.
 */
export const recalled = ({ isError, raw }: Answer, id: string, instant: string): Uint8Array => {
  if (isError) return RawRpc.rawFailure(id, raw)
  const message = RawRpc.result(id, raw)
  const isTimed = JsonRpcPeek.member(message, ["result", "ttlMs"]) !== undefined
  const timed = isTimed ? JsonEdit.set(message, ["result"], [["ttlMs", "0"]]) : message
  return JsonEdit.set(timed, ["result", "_meta"], [[AS_OF, JSON.stringify(instant)]])
}

/** Where an answer from memory says of when it is. */
export const AS_OF = "dev.effect-pilot/asOf"

const OPENINGS: ReadonlySet<string> = new Set(["initialize", "server/discover"])
/** Errors by which a server shows that it does not know the request or the revision (mcp §1.2, §1.3). */
const VERDICTS: ReadonlySet<number> = new Set([-32600, -32601, -32602, -32022])
