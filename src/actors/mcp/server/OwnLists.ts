/**
 * Lists of tools that the keeper asks a server for itself, in the way the client asks (mcp §1.4): a client may call what it
 * listed in a session of before, and an approval needs to know what that is now.
 */
import { Effect } from "effect"
import * as Bytes from "../../../core/data/Bytes.ts"
import * as RawRpc from "../../../protocol/relay/era/RawRpc.ts"
import * as JsonRpcPeek from "../../../protocol/relay/JsonRpcPeek.ts"
import type { ToolDefinitions } from "../keeper/ToolDefinitions.ts"
import type { RunningChild } from "./RunningChild.ts"

/** Whether that id, as raw text, is kept for requests of ours. */
export const isReserved = (id: string): boolean => id.startsWith('"') && RawRpc.idKey(id).startsWith(`s${PREFIX}`)

/** Fills the definitions, from a server that is open. What does not come in time is not known then. */
export const learn = (
  child: Pick<RunningChild, "ask">,
  definitions: ToolDefinitions,
  call: Uint8Array,
  number: number
): Effect.Effect<void> =>
  Effect.gen(function* () {
    let cursor: string | undefined
    for (let page = 0; page < PAGES_MAX; page++) {
      const id = `"${PREFIX}${number}.${page}"`
      const answer = yield* child.ask(request(id, cursor, call), id)
      if (answer === undefined) return
      definitions.listed(answer)
      const next = JsonRpcPeek.member(answer, ["result", "nextCursor"])
      if (next === undefined || !next.startsWith('"') || next === '""' || next === cursor) return
      cursor = next
    }
  }).pipe(Effect.timeoutOption(TIMEOUT), Effect.asVoid)

/** Of a modern server each request says revision and capabilities: those of the call that wants to know. */
const request = (id: string, cursor: string | undefined, call: Uint8Array): Uint8Array => {
  const meta = META.flatMap((key) => {
    const value = JsonRpcPeek.member(call, ["params", "_meta", key])
    return value === undefined ? [] : [`${JSON.stringify(key)}:${value}`]
  })
  const params = [
    ...(cursor === undefined ? [] : [`"cursor":${cursor}`]),
    ...(meta.length === 0 ? [] : [`"_meta":{${meta.join(",")}}`])
  ]
  return Bytes.fromUtf8(`{"jsonrpc":"2.0","id":${id},"method":"tools/list","params":{${params.join(",")}}}`)
}

/** Without a slash, which some servers escape. */
const PREFIX = "dev.effect-pilot.list."
const META = ["io.modelcontextprotocol/protocolVersion", "io.modelcontextprotocol/clientCapabilities"]
const PAGES_MAX = 32
const TIMEOUT = "10 seconds"
