/** What a server may ask a client for, in either era (mcp §1.5): which capability allows it. */
import * as Json from "../../../core/data/Json.ts"
import * as JsonEdit from "../JsonEdit.ts"
import * as JsonRpcPeek from "../JsonRpcPeek.ts"
import { OWN_ID } from "./EraTranslator.ts"
import * as RawRpc from "./RawRpc.ts"

/** The capability, as `data.requiredCapabilities` names it; undefined for what no client may be asked. */
export const requiredBy = (method: string, params: Json.JsonObject): Json.JsonObject | undefined => {
  switch (method) {
    case "elicitation/create":
      return { elicitation: Json.string(params, "mode") === "url" ? { url: {} } : { form: {} } }
    case "sampling/createMessage":
      return { sampling: {} }
    case "roots/list":
      return { roots: {} }
    default:
      return undefined
  }
}

/** Whether a client with these capabilities may be asked. An elicitation that names no mode is one by form. */
export const isOffered = (capabilities: Json.JsonObject, required: Json.JsonObject): boolean =>
  Object.entries(required).every(([name, detail]) => {
    const offered = Json.member(capabilities, name)
    if (!Json.isObject(offered)) return false
    if (name !== "elicitation" || !Json.isObject(detail)) return true
    const isPlain = Json.member(offered, "form") === undefined && Json.member(offered, "url") === undefined
    return Object.keys(detail).every(
      (mode) => Json.isObject(Json.member(offered, mode)) || (isPlain && mode === "form")
    )
  })

/** The request of a question: legacy clients want an id with every elicitation by URL, of which nothing is told later. */
export const legacyRequest = (id: string, method: string, params: string): Uint8Array => {
  const request = RawRpc.request(id, method, params)
  return JsonRpcPeek.string(request, ["params", "mode"]) === "url"
    ? JsonEdit.setMissing(request, ["params"], [["elicitationId", JSON.stringify(`${OWN_ID}${id}`)]])
    : request
}

/** The questions that a client may be asked at once, and rounds of them for one request. */
export const QUESTIONS_MAX = 16
/** As the official client stops (mcp §1.5). */
export const ROUNDS_MAX = 10
