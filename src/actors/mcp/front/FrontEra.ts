/**
 * What a front changes in messages where its client and a service are of different eras (mcp §6.6); where they are of the
 * same, nothing but names of services in questions. Bytes that need no change stay.
 */
import * as Bytes from "../../../core/data/Bytes.ts"
import * as Json from "../../../core/data/Json.ts"
import type * as Era from "../../../protocol/mcp/Era.ts"
import * as JsonEdit from "../../../protocol/relay/JsonEdit.ts"
import * as JsonRpcPeek from "../../../protocol/relay/JsonRpcPeek.ts"
import * as JsonSplice from "../../../protocol/relay/JsonSplice.ts"
import { signedText } from "./FrontQuestions.ts"
import type { KnownService } from "./FrontRoster.ts"
import { type ClientProfile, envelopeOf } from "./FrontUpstream.ts"

/** A request of the client as the service wants it. */
export const adapted = (
  message: Uint8Array,
  profile: ClientProfile,
  capabilities: Json.JsonObject,
  era: Era.Era["kind"]
): Uint8Array => {
  if (era === "legacy") {
    return profile.era === "legacy" ? message : JsonEdit.remove(message, META, MODERN_KEYS)
  }
  if (profile.era === "legacy") return JsonEdit.set(message, META, raw(envelopeOf({ ...profile, capabilities })))
  return capabilities === profile.capabilities
    ? message
    : JsonEdit.set(message, META, raw({ [CAPABILITIES]: capabilities }))
}

/** A result of a legacy service as a modern client wants it. */
export const completed = (method: string, response: Uint8Array): Uint8Array => {
  if (JsonRpcPeek.member(response, ["result"]) === undefined) return response
  const members = method === "resources/read" ? [...COMPLETE, ...UNCACHED] : COMPLETE
  return JsonEdit.set(response, ["result"], members)
}

/** What a modern service wants to know before it can answer; undefined for an answer. */
export const inputRequests = (response: Uint8Array): Json.JsonObject | undefined => {
  if (JsonRpcPeek.string(response, ["result", "resultType"]) !== "input_required") return undefined
  const text = JsonRpcPeek.member(response, ["result", "inputRequests"])
  return (text === undefined ? undefined : Json.parseObject(text)) ?? {}
}

/** The same answer with its origin in the texts of questions; its state is not touched (mcp §1.5). */
export const signedInputs = (service: KnownService, response: Uint8Array, inputs: Json.JsonObject): Uint8Array => {
  const requests = Object.entries(inputs).map(([key, request]) => {
    const params = Json.isObject(request) ? Json.member(request, "params") : undefined
    if (!Json.isObject(request) || !Json.isObject(params) || Json.string(request, "method") !== "elicitation/create") {
      return [key, request] as const
    }
    const message = signedText(service, Json.string(params, "message"))
    return [key, { ...request, params: { ...params, message } }] as const
  })
  return requests.length === 0
    ? response
    : JsonSplice.replace(response, ["result", "inputRequests"], JSON.stringify(Object.fromEntries(requests)))
}

/** The request again, with raw answers to what `response` asked, and its state as it was. */
export const withInputs = (
  request: Uint8Array,
  answers: Readonly<Record<string, string>>,
  response: Uint8Array
): Uint8Array => {
  const inputs = Object.entries(answers).map(([key, answer]) => `${JSON.stringify(key)}:${answer}`)
  const state = JsonRpcPeek.member(response, ["result", "requestState"])
  return JsonEdit.set(
    request,
    ["params"],
    [
      ...(inputs.length === 0 ? [] : [["inputResponses", `{${inputs.join(",")}}`] as const]),
      ...(state === undefined ? [] : [["requestState", state] as const])
    ]
  )
}

/** What a legacy client gets in place of an answer, when it did not answer itself. */
export const unanswered = (method: string): Uint8Array =>
  Bytes.fromUtf8(
    JSON.stringify({
      jsonrpc: "2.0",
      id: 0,
      error: { code: -32603, message: `The server asked for ${method}, and this client did not answer.` }
    })
  )

const raw = (members: Json.JsonObject) =>
  Object.entries(members).map(([key, value]) => [key, JSON.stringify(value)] as const)

const META = ["params", "_meta"]
const CAPABILITIES = "io.modelcontextprotocol/clientCapabilities"
const MODERN_KEYS = [
  CAPABILITIES,
  "io.modelcontextprotocol/protocolVersion",
  "io.modelcontextprotocol/clientInfo",
  "io.modelcontextprotocol/logLevel"
]
const COMPLETE = [["resultType", '"complete"']] as const
const UNCACHED = [
  ["ttlMs", "0"],
  ["cacheScope", '"private"']
] as const
