/** What a modern request must say (mcp §1.4), checked before it is translated for a legacy server. */
import * as Json from "../../../core/data/Json.ts"
import * as JsonRpcPeek from "../JsonRpcPeek.ts"
import { KEY, META, MODERN } from "./EraTranslator.ts"
import * as RawRpc from "./RawRpc.ts"

/** The refusal of a request without revision or capabilities, of another revision, or that the revision does not have. */
export const problem = (
  message: Uint8Array,
  { id, method }: { readonly id: string; readonly method: string }
): Uint8Array | undefined => {
  const revision = JsonRpcPeek.string(message, [...META, KEY.version])
  const capabilities = Json.parse(JsonRpcPeek.member(message, [...META, KEY.capabilities]) ?? "null")
  if (revision === undefined || !Json.isObject(capabilities)) {
    return RawRpc.failure(id, -32602, "Revision and capabilities of the client are missing in _meta.")
  }
  if (revision !== MODERN) {
    const data = { supported: [MODERN], requested: revision }
    return RawRpc.failure(id, -32022, `This bridge to a legacy server speaks ${MODERN}.`, data)
  }
  return REMOVED.has(method) || method.startsWith("tasks/")
    ? RawRpc.failure(id, -32601, `Revision ${MODERN} has no ${method}.`)
    : undefined
}

/** Methods of legacy revisions only. */
const REMOVED: ReadonlySet<string> = new Set([
  "initialize",
  "logging/setLevel",
  "resources/subscribe",
  "resources/unsubscribe"
])
