/** How a client opens a front, in either era (mcp §1.1, §1.2): what it says of itself, and what it is told. */
import { Result } from "effect"
import * as Json from "../../../core/data/Json.ts"
import * as Era from "../../../protocol/mcp/Era.ts"
import * as JsonRpcPeek from "../../../protocol/relay/JsonRpcPeek.ts"
import { EXTENSION } from "../../../protocol/relay/TaskExtension.ts"
import { INVALID_PARAMS, Refused, refused } from "./FrontRefusal.ts"
import type { ClientProfile } from "./FrontUpstream.ts"

/** What an `initialize` says. */
export const initializing = (message: Uint8Array): ClientProfile => {
  const params = Json.parseObject(JsonRpcPeek.member(message, ["params"]) ?? "{}") ?? {}
  const revision = Json.string(params, "protocolVersion")
  return {
    era: "legacy",
    revision: Era.isLegacy(revision) ? revision : Era.LEGACY,
    capabilities: objectOf(params, "capabilities"),
    info: objectOf(params, "clientInfo")
  }
}

/** What a modern request says of its client; undefined for a request of a legacy one. */
export const ofRequest = (message: Uint8Array): Result.Result<ClientProfile, Refused> | undefined => {
  const text = JsonRpcPeek.member(message, ["params", "_meta"])
  const meta = text === undefined || !text.includes(REVISION) ? undefined : Json.parseObject(text)
  const revision = meta === undefined ? undefined : Json.member(meta, REVISION)
  if (meta === undefined || revision === undefined) return undefined
  if (revision !== Era.MODERN) return Result.fail(unsupported(revision))
  const capabilities = Json.member(meta, "io.modelcontextprotocol/clientCapabilities")
  if (!Json.isObject(capabilities)) {
    return Result.fail(refused(INVALID_PARAMS, "io.modelcontextprotocol/clientCapabilities is missing in _meta"))
  }
  const level = Json.string(meta, "io.modelcontextprotocol/logLevel")
  return Result.succeed({
    era: "modern",
    revision: Era.LEGACY,
    capabilities,
    info: objectOf(meta, "io.modelcontextprotocol/clientInfo"),
    ...(level === "" ? {} : { logLevel: level })
  })
}

/** The answer to `initialize`. */
export const initialized = ({ revision }: ClientProfile, self: Json.JsonObject): Json.JsonObject => ({
  protocolVersion: revision,
  capabilities: { ...CAPABILITIES, tasks: { list: {}, cancel: {}, requests: { tools: { call: {} } } } },
  serverInfo: self,
  instructions: INSTRUCTIONS
})

/** The answer to `server/discover`. */
export const discovered = (): Json.JsonObject => ({
  supportedVersions: [Era.MODERN],
  capabilities: { ...CAPABILITIES, extensions: { [EXTENSION]: {} } },
  instructions: INSTRUCTIONS
})

const unsupported = (requested: Json.Json): Refused =>
  new Refused({
    error: { code: -32022, message: "Unsupported protocol version", data: { supported: [Era.MODERN], requested } }
  })

const objectOf = (self: Json.JsonObject, key: string): Json.JsonObject => {
  const value = Json.member(self, key)
  return Json.isObject(value) ? value : {}
}

const REVISION = "io.modelcontextprotocol/protocolVersion"
/** All that services could have: which of them do is known only later, and lists may be empty. */
const CAPABILITIES: Json.JsonObject = {
  tools: { listChanged: true },
  prompts: { listChanged: true },
  resources: { listChanged: true, subscribe: true },
  completions: {},
  logging: {}
}
const INSTRUCTIONS =
  "Tools of several services on other machines. A name is alias__tool; the description begins with the service. " +
  "If search_tools is listed, more tools than these can be found with it."
