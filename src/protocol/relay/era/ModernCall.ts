/** One request of a modern client at a legacy server, from the first asking to the last answer (mcp §6.6). */
import * as Bytes from "../../../core/data/Bytes.ts"
import * as Json from "../../../core/data/Json.ts"
import * as JsonEdit from "../JsonEdit.ts"
import * as JsonRpcPeek from "../JsonRpcPeek.ts"
import * as JsonSplice from "../JsonSplice.ts"
import * as ClientInput from "./ClientInput.ts"
import { KEY, LOG_LEVELS, META, RESULT_META } from "./EraTranslator.ts"
import * as RawRpc from "./RawRpc.ts"

/** A call. While the client is asked, `id` is undefined: its request is finished, and a retry has another id. */
export interface ModernCall {
  id: string | undefined
  /** At the server, from the first asking on. */
  readonly number: string
  readonly method: string
  token: string | undefined
  capabilities: Json.JsonObject
  /** Index in `LOG_LEVELS`; undefined if the client wants no logs. */
  logLevel: number | undefined
  readonly digest: string | undefined
  /** What the server wants to know, by the name that the client hears. */
  readonly questions: Map<string, Question>
  /** What the server answered while the client was being asked. */
  answer: Answer | undefined
  /** The name in the `requestState` that the client has; undefined while it has none. */
  name: string | undefined
  expiresAtMs: number
  rounds: number
}

/** A request of the server. */
export interface Question {
  /** Raw id at the server; undefined if the question was in an error, and the whole call is sent again (-32042). */
  readonly id: string | undefined
  readonly method: string
  /** JSON text. */
  readonly params: string
}

/** A response of the server. */
export interface Answer {
  readonly message: Uint8Array
  readonly isError: boolean
}

/** The log level that a request asks for. */
export const logLevelOf = (message: Uint8Array): number | undefined => {
  const index = LOG_LEVELS.indexOf(JsonRpcPeek.string(message, [...META, KEY.logLevel]) ?? "")
  return index < 0 ? undefined : index
}

/** The request as a legacy server takes it, under its number; the progress token is the number, too. */
export const legacyRequest = (message: Uint8Array, number: string, token: string | undefined): Uint8Array => {
  const stripped = JsonEdit.remove(JsonEdit.remove(message, META, PRIVATE), ["params"], RETRY)
  const numbered = JsonSplice.replace(stripped, ["id"], number)
  return token === undefined ? numbered : JsonSplice.replace(numbered, [...META, "progressToken"], number)
}

/** The answer as a modern client takes it: with what is missing in a legacy result, and codes that it knows. */
export const modernAnswer = (
  { isError, message }: Answer,
  call: Pick<ModernCall, "method" | "logLevel">,
  id: string,
  serverInfo: string | undefined
): Uint8Array => {
  const addressed = JsonSplice.replace(message, ["id"], id)
  if (isError) {
    const code = Number(JsonRpcPeek.member(message, ["error", "code"]))
    return code === -32002 ? JsonSplice.replace(addressed, ["error", "code"], "-32602") : addressed
  }
  const marked = JsonEdit.setMissing(
    addressed,
    ["result"],
    [
      ["resultType", '"complete"'],
      ...(CACHEABLE.has(call.method)
        ? ([
            ["ttlMs", "0"],
            ["cacheScope", '"private"']
          ] as const)
        : [])
    ]
  )
  return serverInfo === undefined ? marked : JsonEdit.setMissing(marked, RESULT_META, [[KEY.serverInfo, serverInfo]])
}

/** The questions that the client is asked now, as the answer to its request (mcp §1.5). */
export const inputRequired = (id: string, questions: ReadonlyMap<string, Question>, state: string): Uint8Array => {
  const requests = [...questions].map(
    ([name, { method, params }]) => `${JSON.stringify(name)}:{"method":${JSON.stringify(method)},"params":${params}}`
  )
  return RawRpc.result(
    id,
    `{"resultType":"input_required","inputRequests":{${requests.join(",")}},"requestState":${JSON.stringify(state)}}`
  )
}

/** A question of a legacy server, from its request; undefined for what no client of this revision is asked. */
export const questionOf = (message: Uint8Array, id: string, method: string): Question | undefined => {
  const raw = JsonRpcPeek.member(message, ["params"]) ?? "{}"
  const params = Json.parseObject(raw)
  if (params === undefined || ClientInput.requiredBy(method, params) === undefined) return undefined
  if (method !== "elicitation/create" || Json.string(params, "mode") !== "") return { id, method, params: raw }
  const named = JsonEdit.set(message, ["params"], [["mode", '"form"']])
  return { id, method, params: JsonRpcPeek.member(named, ["params"]) ?? raw }
}

/** Whether the client behind the call may be asked that. */
export const canAsk = ({ capabilities }: Pick<ModernCall, "capabilities">, { method, params }: Question): boolean => {
  const required = ClientInput.requiredBy(method, Json.parseObject(params) ?? {})
  return required !== undefined && ClientInput.isOffered(capabilities, required)
}

/** Whether the call is over at the server, and is sent again when its questions are answered. */
export const isResent = ({ questions }: ModernCall): boolean =>
  [...questions.values()].some(({ id }) => id === undefined)

/** What the server hears to its questions when nobody answers. */
export const unanswered = ({ questions }: ModernCall): ReadonlyArray<Uint8Array> =>
  [...questions.values()].flatMap(({ id, method }) => {
    if (id === undefined) return []
    const answer =
      method === "elicitation/create"
        ? RawRpc.result(id, '{"action":"cancel"}')
        : RawRpc.failure(id, -32603, "The client has not answered.")
    return [answer]
  })

/** The visits that a server wants before it carries the call out (-32042, revision 2025-11-25). */
export const elicitationsOf = (message: Uint8Array): ReadonlyArray<Question> => {
  if (JsonRpcPeek.member(message, ["error", "code"]) !== "-32042") return []
  const list = JsonRpcPeek.member(message, ["error", "data", "elicitations"])
  return (list === undefined ? [] : (JsonSplice.elements(Bytes.fromUtf8(list)) ?? [])).flatMap((element) => {
    const params = Bytes.toUtf8(element)
    return params === undefined ? [] : [{ id: undefined, method: "elicitation/create", params }]
  })
}

const PRIVATE = [KEY.version, KEY.capabilities, KEY.clientInfo, KEY.logLevel]
const RETRY = ["inputResponses", "requestState"]
const CACHEABLE: ReadonlySet<string> = new Set([
  "tools/list",
  "prompts/list",
  "resources/list",
  "resources/templates/list",
  "resources/read"
])
