/**
 * Headers that repeat parts of a modern request, for servers and proxies that look at headers only (mcp §2.4). Which
 * arguments are repeated is in the schemas of the tools, so the lists that pass are read. Mutable inside one `HttpUpstream`.
 */
import * as Bytes from "../../../core/data/Bytes.ts"
import * as Json from "../../../core/data/Json.ts"
import * as HeaderText from "../../../protocol/mcp/HeaderText.ts"
import * as ParamHeaders from "../../../protocol/mcp/ParamHeaders.ts"
import * as JsonRpcPeek from "../../../protocol/relay/JsonRpcPeek.ts"

/** The `_meta` member that makes a request a modern one (mcp §1.4). */
export const REVISION_PATH: ReadonlyArray<string> = ["params", "_meta", "io.modelcontextprotocol/protocolVersion"]

/** What is known of one server's tools. */
export class ModernHeaders {
  readonly #annotations = new Map<string, ReadonlyArray<ParamHeaders.Annotation>>()

  /** The headers of a request. */
  of(message: Uint8Array, envelope: JsonRpcPeek.Envelope): Readonly<Record<string, string>> {
    if (envelope._tag !== "Request") return {}
    const revision = JsonRpcPeek.string(message, REVISION_PATH)
    const name = envelope.target ?? JsonRpcPeek.string(message, ["params", "taskId"])
    return {
      "mcp-method": HeaderText.encode(envelope.method),
      ...(revision === undefined ? {} : { "mcp-protocol-version": HeaderText.encode(revision) }),
      ...(name === undefined ? {} : { "mcp-name": HeaderText.encode(name) }),
      ...this.#params(message, envelope)
    }
  }

  /** Notes the tools of a list; other messages change nothing. */
  received(message: Uint8Array): void {
    if (JsonRpcPeek.member(message, ["result", "tools"]) === undefined) return
    const value = Json.parse(Bytes.toUtf8(message) ?? "")
    const result = Json.isObject(value) ? Json.member(value, "result") : undefined
    if (!Json.isObject(result)) return
    for (const tool of Json.objects(result, "tools")) {
      const found = ParamHeaders.annotations(Json.member(tool, "inputSchema"))
      if (found.length === 0) this.#annotations.delete(Json.string(tool, "name"))
      else if (this.#annotations.size < TOOLS_MAX) this.#annotations.set(Json.string(tool, "name"), found)
    }
  }

  #params(message: Uint8Array, envelope: { readonly method: string; readonly target: string | undefined }) {
    const annotations = envelope.method === "tools/call" ? this.#annotations.get(envelope.target ?? "") : undefined
    if (annotations === undefined) return {}
    const values = Json.parse(JsonRpcPeek.member(message, ["params", "arguments"]) ?? "{}")
    return Json.isObject(values) ? ParamHeaders.headers(annotations, values) : {}
  }
}

/** Tools of one server whose arguments are repeated in headers (mcp §8, rule 6). */
const TOOLS_MAX = 1000
