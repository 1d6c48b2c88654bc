/**
 * What servers answered to `server/discover` (mcp §6.4). Official clients ask it of a server that they throw away, then
 * start another: answered from here, only the second one is started. Mutable inside the one keeper that owns it.
 *
 * An answer is kept for one peer, since a server may answer each differently, and for one set of client capabilities. It
 * goes when its service is another, when a server of the service dies, and with time.
 */
import * as JsonRpcPeek from "./JsonRpcPeek.ts"
import * as JsonSplice from "./JsonSplice.ts"

/** What servers of this service answered to this peer's `server/discover` (mcp §6.4). */
export interface Discovery {
  readonly recall: (request: Uint8Array, id: string) => Uint8Array | undefined
  readonly note: (request: Uint8Array, answer: Uint8Array) => void
  /** A server died. */
  readonly forget: () => void
}

/** The memory of all services. `S` is a service; another object under the same name is another service. */
export class DiscoveryMemory<S extends { readonly name: string }> {
  readonly #entries = new Map<string, Entry<S>>()

  /** The answer to this request, if it is known. */
  recall(service: S, node: number, request: Uint8Array, id: string, nowMs: number): Uint8Array | undefined {
    const key = keyOf(service, node, request)
    const entry = key === undefined ? undefined : this.#entries.get(key)
    if (key === undefined || entry === undefined) return undefined
    if (entry.service !== service || nowMs >= entry.untilMs) {
      this.#entries.delete(key)
      return undefined
    }
    return JsonSplice.replace(entry.answer, ["id"], id)
  }

  /** Notes what a server answered, if it says what kind of server it is; a passing failure does not. */
  note(service: S, node: number, request: Uint8Array, answer: Uint8Array, nowMs: number): void {
    const key = keyOf(service, node, request)
    if (key === undefined || answer.length > ANSWER_BYTES_MAX || !isVerdict(answer)) return
    this.#entries.delete(key)
    const [oldest] = this.#entries.keys()
    if (this.#entries.size >= ENTRIES_MAX && oldest !== undefined) this.#entries.delete(oldest)
    this.#entries.set(key, { service, answer: answer.slice(), untilMs: nowMs + KEPT_MS })
  }

  /** A server of that service is gone: the next one may be another. */
  forget(name: string): void {
    for (const [key, { service }] of this.#entries) if (service.name === name) this.#entries.delete(key)
  }
}

interface Entry<S> {
  readonly service: S
  readonly answer: Uint8Array
  readonly untilMs: number
}

const keyOf = ({ name }: { readonly name: string }, node: number, request: Uint8Array): string | undefined => {
  const said = [REVISION, CAPABILITIES].map((path) => JsonRpcPeek.member(request, path) ?? "")
  const key = [name, node, ...said].join(" ")
  return key.length > KEY_CHARACTERS_MAX ? undefined : key
}

/** A result, or an error by which a server shows that it does not know the request or the revision (mcp §1.2, §1.3). */
const isVerdict = (answer: Uint8Array): boolean => {
  const code = JsonRpcPeek.member(answer, ["error", "code"])
  return code === undefined ? JsonRpcPeek.member(answer, ["result"]) !== undefined : VERDICTS.has(Number(code))
}

const REVISION = ["params", "_meta", "io.modelcontextprotocol/protocolVersion"]
const CAPABILITIES = ["params", "_meta", "io.modelcontextprotocol/clientCapabilities"]
const VERDICTS: ReadonlySet<number> = new Set([-32600, -32601, -32602, -32022])
/** Peers and kinds of clients that are remembered. */
const ENTRIES_MAX = 256
const ANSWER_BYTES_MAX = 65_536
const KEY_CHARACTERS_MAX = 4096
/** An owner who replaces the program behind a command or URL is not asked to tell anybody. */
const KEPT_MS = 300_000
