/**
 * Who may come in by HTTP, and with what (mcp §8 rule 5, security rule 8): pure checks of headers, before a body is read,
 * and of a modern body against its headers (mcp §2.4).
 */
import type { Headers } from "effect/http"
import * as Secret from "../../../core/data/Secret.ts"
import * as Era from "../../../protocol/mcp/Era.ts"
import * as HeaderText from "../../../protocol/mcp/HeaderText.ts"
import * as JsonRpcPeek from "../../../protocol/relay/JsonRpcPeek.ts"
import { REVISION_PATH } from "../server/ModernHeaders.ts"

/** What lets a request in. */
export interface EdgeDoor {
  /** Values of `Host` that are this endpoint; a page that rebinds its name to this machine sends another. */
  readonly hosts: ReadonlySet<string>
  /** Values of `Origin` that may use it; a request without one comes from no page. */
  readonly origins: ReadonlySet<string>
  /** Undefined: whoever reaches the port may use it. */
  readonly token: string | undefined
}

/** A refusal with its status. */
export interface Refused {
  readonly status: number
  readonly message: string
}

/** The path of the endpoint. */
export const PATH = "/mcp"

/** Why a request is refused, if it is. */
export const check = (self: EdgeDoor, headers: Headers.Headers): Refused | undefined => {
  if (!self.hosts.has((headers["host"] ?? "").toLowerCase())) return { status: 403, message: "This is not that host." }
  const origin = headers["origin"]
  if (origin !== undefined && !self.origins.has(origin.toLowerCase())) {
    return { status: 403, message: "Pages of this origin may not use this endpoint." }
  }
  if (self.token === undefined || Secret.isSame(headers["authorization"] ?? "", `Bearer ${self.token}`))
    return undefined
  return { status: 401, message: "A bearer token is needed." }
}

/** Whether the body claims to be JSON; a page can post other types to any place without being asked. */
export const isJson = (headers: Headers.Headers): boolean =>
  /^application\/json *(;|$)/i.test(headers["content-type"] ?? "")

/** What is wrong with the headers of a POST. */
export const postProblem = (headers: Headers.Headers): Refused | undefined => {
  if (!isJson(headers)) return { status: 415, message: "Messages are application/json." }
  return accepts(headers, "application/json") && accepts(headers, "text/event-stream")
    ? undefined
    : { status: 406, message: "application/json and text/event-stream must both be acceptable." }
}

/** Whether that type may be answered. */
export const accepts = (headers: Headers.Headers, type: string): boolean => {
  const [family] = type.split("/")
  return (headers["accept"] ?? "")
    .toLowerCase()
    .split(",")
    .map((part) => part.split(";")[0]?.trim())
    .some((part) => part === type || part === "*/*" || part === `${family}/*`)
}

/** A legacy client may leave the revision out; one that it names must be known. */
export const hasKnownRevision = (headers: Headers.Headers): boolean => {
  const revision = headers["mcp-protocol-version"]
  return revision === undefined || Era.isLegacy(revision)
}

/** Whether headers or body say that this is a modern request (mcp §1.2). */
export const isModern = (headers: Headers.Headers, body: Uint8Array): boolean =>
  headers["mcp-protocol-version"] === Era.MODERN || JsonRpcPeek.member(body, REVISION_PATH) !== undefined

/** What a modern request lacks, or says differently in header and body (mcp §2.4). */
export const modernProblem = (
  headers: Headers.Headers,
  body: Uint8Array,
  { method, target }: { readonly method: string; readonly target: string | undefined }
): { readonly code: number; readonly message: string } | undefined => {
  const revision = JsonRpcPeek.string(body, REVISION_PATH)
  if (revision === undefined || JsonRpcPeek.member(body, CAPABILITIES_PATH) === undefined) {
    return { code: -32602, message: "Revision and capabilities of the client are missing in _meta." }
  }
  if (headers["mcp-protocol-version"] !== revision) return { code: -32020, message: "MCP-Protocol-Version differs." }
  if (HeaderText.decode(headers["mcp-method"] ?? "") !== method) return { code: -32020, message: "Mcp-Method differs." }
  const name = target ?? JsonRpcPeek.string(body, ["params", "taskId"])
  const isNamed =
    /^(tools\/call|prompts\/get|resources\/read|tasks\/(get|update|cancel))$/.test(method) && name !== undefined
  return isNamed && HeaderText.decode(headers["mcp-name"] ?? "") !== name
    ? { code: -32020, message: "Mcp-Name differs." }
    : undefined
}

/**
 * The status of a modern answer. A refused discovery has none that a client would take for a modern server's: it shall go
 * on with `initialize` (mcp §1.2).
 */
export const statusOf = (method: string, answer: Uint8Array, isError: boolean): number => {
  if (!isError) return 200
  const code = Number(JsonRpcPeek.member(answer, ["error", "code"]))
  if (method === "server/discover" || (code <= -32020 && code >= -32022)) return 400
  return code === -32601 ? 404 : 200
}

/** The `_meta` member in which a modern request says what its client offers (mcp §1.4). */
export const CAPABILITIES_PATH: ReadonlyArray<string> = [
  "params",
  "_meta",
  "io.modelcontextprotocol/clientCapabilities"
]
