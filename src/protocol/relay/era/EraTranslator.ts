/** What stands between a client of one era and a server of the other (mcp §6.6), and the words both directions share. */
import { Data } from "effect"

/** A message to pass on, without its newline. */
export type Output = Data.TaggedEnum<{
  ToClient: { readonly bytes: Uint8Array }
  ToServer: { readonly bytes: Uint8Array }
}>
const Output = Data.taggedEnum<Output>()

/** Messages to pass on, in order. */
export type Outputs = ReadonlyArray<Output>

/** One for the client. */
export const toClient = (bytes: Uint8Array): Output => Output.ToClient({ bytes })
/** One for the server. */
export const toServer = (bytes: Uint8Array): Output => Output.ToServer({ bytes })

/**
 * Pure; mutable inside the session that owns it. Messages are single lines of valid JSON-RPC; what is none passes as it
 * came. Times are instants of a monotonic clock.
 */
export interface EraTranslator {
  readonly fromClient: (message: Uint8Array, nowMs: number) => Outputs
  readonly fromServer: (message: Uint8Array, nowMs: number) => Outputs
  /** When `timeout` has something to do at the earliest. */
  readonly deadlineMs: () => number | undefined
  readonly timeout: (nowMs: number) => Outputs
  /** The client has closed its end. */
  readonly closed: () => Outputs
}

/** The modern revision (`Era.MODERN`, which is of another room; a test compares them). */
export const MODERN = "2026-07-28"
/** Revisions opened by `initialize`, newest first. */
export const LEGACY: ReadonlyArray<string> = ["2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05"]

/** Members of `_meta` (mcp §1.4). */
export const KEY = {
  version: "io.modelcontextprotocol/protocolVersion",
  capabilities: "io.modelcontextprotocol/clientCapabilities",
  clientInfo: "io.modelcontextprotocol/clientInfo",
  logLevel: "io.modelcontextprotocol/logLevel",
  serverInfo: "io.modelcontextprotocol/serverInfo",
  subscriptionId: "io.modelcontextprotocol/subscriptionId"
} as const

/** Where a request, or a notification, has its `_meta`. */
export const META = ["params", "_meta"]
/** Where a result has it. */
export const RESULT_META = ["result", "_meta"]

/** The only requests that may be answered with questions (mcp §1.5). */
export const INTERACTIVE: ReadonlySet<string> = new Set(["tools/call", "prompts/get", "resources/read"])

/** Notifications of changes by their name in a filter of `subscriptions/listen` and the capability that offers them. */
export const CHANGES = [
  { filter: "toolsListChanged", capability: "tools", method: "notifications/tools/list_changed" },
  { filter: "promptsListChanged", capability: "prompts", method: "notifications/prompts/list_changed" },
  { filter: "resourcesListChanged", capability: "resources", method: "notifications/resources/list_changed" }
] as const

/** The tag of a change to one resource. */
export const RESOURCE_UPDATED = "notifications/resources/updated"

/** Log levels of RFC 5424, the most talkative first. */
export const LOG_LEVELS: ReadonlyArray<string> = [
  "debug",
  "info",
  "notice",
  "warning",
  "error",
  "critical",
  "alert",
  "emergency"
]

/** Ids of the bridge's own requests to a server that also gets the client's ids begin so. */
export const OWN_ID = "dev.effect-pilot/era-"

/** URIs that one side may watch at once. */
export const URIS_MAX = 1024
