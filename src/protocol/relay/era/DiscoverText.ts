/** How the openings of the two eras translate (mcp §1.2, §6.6): `initialize` on one side, `server/discover` on the other. */
import * as Json from "../../../core/data/Json.ts"
import * as JsonRpcPeek from "../JsonRpcPeek.ts"
import { KEY, LEGACY, META, MODERN } from "./EraTranslator.ts"
import * as RawRpc from "./RawRpc.ts"

/** What a client says of itself, as JSON text for the `_meta` of a modern request. */
export interface Client {
  readonly capabilities: string
  readonly info: string | undefined
}

/** The client behind an `initialize`. In legacy revisions an elicitation without a mode is one by form. */
export const clientOf = (initialize: Uint8Array): Client => {
  const capabilities = object(JsonRpcPeek.member(initialize, ["params", "capabilities"]))
  const { elicitation, tasks: _, ...others } = capabilities
  const isPlain = Json.isObject(elicitation) && elicitation["form"] === undefined && elicitation["url"] === undefined
  const offered = { ...others, elicitation: isPlain ? { ...elicitation, form: {} } : elicitation }
  return {
    capabilities: JSON.stringify(offered),
    info: JsonRpcPeek.member(initialize, ["params", "clientInfo"])
  }
}

/** A `server/discover` on behalf of that client; `id` is JSON text. */
export const discover = (id: string, { capabilities, info }: Client): Uint8Array => {
  const name = info === undefined ? "" : `,"${KEY.clientInfo}":${info}`
  const meta = `{"${KEY.version}":"${MODERN}","${KEY.capabilities}":${capabilities}${name}}`
  return RawRpc.request(id, "server/discover", `{"_meta":${meta}}`)
}

/** The client behind a modern request. */
export const clientOfRequest = (message: Uint8Array): Client => ({
  capabilities: JSON.stringify(object(JsonRpcPeek.member(message, [...META, KEY.capabilities]))),
  info: JsonRpcPeek.member(message, [...META, KEY.clientInfo])
})

/** The revisions in a DiscoverResult. */
export const revisions = (discovered: Uint8Array): ReadonlyArray<string> =>
  Json.strings(object(JsonRpcPeek.member(discovered, ["result"])), "supportedVersions")

/** The capabilities in a DiscoverResult. */
export const capabilities = (discovered: Uint8Array): Json.JsonObject =>
  object(JsonRpcPeek.member(discovered, ["result", "capabilities"]))

/** What a legacy client gets for its `initialize`: the revision that it offered, if that is one; `tasks` are the bridge's. */
export const initializeResult = (
  initialize: Uint8Array,
  discovered: Uint8Array,
  name: string,
  tasks?: Json.JsonObject
): string => {
  const offered = JsonRpcPeek.string(initialize, ["params", "protocolVersion"]) ?? ""
  const { extensions: _, tasks: __, ...kept } = capabilities(discovered)
  const info = object(JsonRpcPeek.member(discovered, ["result", "_meta", KEY.serverInfo]))
  const instructions = JsonRpcPeek.string(discovered, ["result", "instructions"])
  return JSON.stringify({
    protocolVersion: LEGACY.includes(offered) ? offered : LEGACY[0],
    capabilities: tasks === undefined ? kept : { ...kept, tasks },
    serverInfo: { ...info, name: Json.string(info, "name") || name, version: Json.string(info, "version") || "0" },
    instructions
  })
}

/** The parameters of `initialize` for the client behind a modern request: what legacy servers know of its capabilities. */
export const initializeParams = ({ capabilities: raw, info }: Client): string => {
  const offered = object(raw)
  const { elicitation, experimental, roots, sampling } = offered
  const known = { elicitation, experimental, sampling, roots: Json.isObject(roots) ? {} : undefined }
  const client = info ?? '{"name":"unknown","version":"0"}'
  return `{"protocolVersion":"${LEGACY[0]}","capabilities":${JSON.stringify(known)},"clientInfo":${client}}`
}

/** What a modern client gets for `server/discover`, from the answer to `initialize`. */
export const discoverResult = (initialized: Uint8Array): string => {
  const result = object(JsonRpcPeek.member(initialized, ["result"]))
  const { tasks: _, ...kept } = object(JsonRpcPeek.member(initialized, ["result", "capabilities"]))
  return JSON.stringify({
    resultType: "complete",
    supportedVersions: [MODERN],
    capabilities: kept,
    instructions: Json.string(result, "instructions") || undefined,
    ttlMs: 0,
    cacheScope: "private",
    _meta: { [KEY.serverInfo]: Json.member(result, "serverInfo") }
  })
}

const object = (raw: string | undefined): Json.JsonObject => {
  const value = raw === undefined ? undefined : Json.parse(raw)
  return Json.isObject(value) ? value : {}
}
