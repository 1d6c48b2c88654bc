/**
 * The two eras of MCP as a client opens them (mcp §1.1, §1.2): *legacy* servers are opened by `initialize`, *modern* ones
 * hear the revision with every request. The verdict belongs to one server.
 */
import * as Json from "../../core/data/Json.ts"

/** Which era a server is of, with the revision spoken and what it says of itself. */
export interface Era {
  readonly kind: "legacy" | "modern"
  readonly revision: string
  readonly capabilities: Json.JsonObject
  /** What the server says it is; never a basis for trust. */
  readonly serverInfo: Json.JsonObject
  readonly instructions: string
}

/** The newest legacy revision, offered in `initialize`; a server may answer an older one. */
export const LEGACY = "2025-11-25"
/** The modern revision. */
export const MODERN = "2026-07-28"
/** Whether it is one of the revisions opened by `initialize`. */
export const isLegacy = (revision: string): boolean => LEGACY_KNOWN.has(revision)

const LEGACY_KNOWN: ReadonlySet<string> = new Set([LEGACY, "2025-06-18", "2025-03-26", "2024-11-05"])

/** The parameters of `initialize`; `capabilities` are the client's. */
export const initialize = (clientInfo: Json.JsonObject, capabilities: Json.JsonObject = {}): Json.JsonObject => ({
  protocolVersion: LEGACY,
  capabilities,
  clientInfo
})

/** What an answer to `initialize` means; undefined for a revision that nobody here speaks. */
export const ofInitialize = (result: Json.JsonObject): Era | undefined => {
  const revision = Json.string(result, "protocolVersion")
  if (!LEGACY_KNOWN.has(revision)) return undefined
  return {
    kind: "legacy",
    revision,
    capabilities: object(result, "capabilities"),
    serverInfo: object(result, "serverInfo"),
    instructions: Json.string(result, "instructions")
  }
}

/** What an answer to `server/discover` means; undefined when it does not offer the modern revision. */
export const ofDiscover = (result: Json.JsonObject): Era | undefined => {
  if (!Json.strings(result, "supportedVersions").includes(MODERN)) return undefined
  return {
    kind: "modern",
    revision: MODERN,
    capabilities: object(result, "capabilities"),
    serverInfo: object(object(result, "_meta"), "io.modelcontextprotocol/serverInfo"),
    instructions: Json.string(result, "instructions")
  }
}

/** Parameters as an era wants them: modern requests carry revision and capabilities each (mcp §1.4). */
export const params = (
  kind: Era["kind"],
  clientInfo: Json.JsonObject,
  own: Json.JsonObject,
  progressToken: number | undefined,
  capabilities: Json.JsonObject = {}
): Json.JsonObject => {
  const meta = {
    ...object(own, "_meta"),
    ...(progressToken === undefined ? {} : { progressToken }),
    ...(kind === "modern"
      ? {
          "io.modelcontextprotocol/protocolVersion": MODERN,
          "io.modelcontextprotocol/clientCapabilities": capabilities,
          "io.modelcontextprotocol/clientInfo": clientInfo
        }
      : {})
  }
  return Object.keys(meta).length === 0 ? own : { ...own, _meta: meta }
}

const object = (self: Json.JsonObject, key: string): Json.JsonObject => {
  const value = Json.member(self, key)
  return Json.isObject(value) ? value : {}
}
