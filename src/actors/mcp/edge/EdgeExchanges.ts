/**
 * Modern requests of HTTP clients at a server of either era. A modern server has no sessions, so all of them share one
 * `EdgeExchange`; a legacy server, behind the era bridge, is opened with the capabilities of a client, so clients that
 * offer different ones get sessions of their own (mcp §6.6).
 *
 * Owns the exchanges; told of requests by the `HttpEdge`.
 */
import { Effect, type Scope } from "effect"
import * as CanonicalJson from "../../../core/data/CanonicalJson.ts"
import * as Json from "../../../core/data/Json.ts"
import type { Duplex } from "../../../core/net/Duplex.ts"
import type { Verdict } from "../../../protocol/relay/era/Verdict.ts"
import * as JsonRpcPeek from "../../../protocol/relay/JsonRpcPeek.ts"
import type { Target } from "../Target.ts"
import { CAPABILITIES_PATH } from "./EdgeDoor.ts"
import * as EdgeExchange from "./EdgeExchange.ts"

/** No session yet; `connect` opens one whose messages are lines. */
export const make = Effect.fnUntraced(function* (
  connect: Effect.Effect<Duplex, never, Scope.Scope>,
  target: Target,
  verdict: Verdict
): Effect.fn.Return<EdgeExchange.EdgeExchange, never, Scope.Scope> {
  const first = yield* EdgeExchange.make(connect, target)
  const exchanges: Array<Entry> = [{ exchange: first, capabilities: undefined }]
  for (let index = 1; index < EXCHANGES_MAX; index++) {
    exchanges.push({ exchange: yield* EdgeExchange.make(connect, target), capabilities: undefined })
  }

  /** The session of clients with these capabilities; when there are too many kinds, the first is everybody's. */
  const exchangeFor = (message: Uint8Array): EdgeExchange.EdgeExchange => {
    const capabilities = CanonicalJson.encode(
      Json.parse(JsonRpcPeek.member(message, CAPABILITIES_PATH) ?? "null") ?? null
    )
    const own = exchanges.find((entry) => entry.capabilities === capabilities)
    const free = exchanges.find((entry) => entry.capabilities === undefined)
    const entry = verdict.last === "legacy" ? (own ?? free) : exchanges[0]
    if (entry === undefined) return first
    entry.capabilities ??= capabilities
    return entry.exchange
  }

  return { ask: (message, request) => Effect.suspend(() => exchangeFor(message).ask(message, request)) }
})

interface Entry {
  readonly exchange: EdgeExchange.EdgeExchange
  /** Of the client that opened it. */
  capabilities: string | undefined
}

/** One less than the sessions that a peer allows (mcp §6.4), so that a legacy client still gets one. */
const EXCHANGES_MAX = 3
