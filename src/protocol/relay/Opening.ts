/**
 * What a legacy server was told before the calls (mcp §6.3): `initialize`, `notifications/initialized`, the log level and
 * the subscriptions. A server that takes the place of a lost one must hear it again, and must be the same kind of server.
 * Mutable inside the session that owns it.
 */
import { Result, Schema } from "effect"
import * as CanonicalJson from "../../core/data/CanonicalJson.ts"
import { type Envelope, member } from "./JsonRpcPeek.ts"

/** A message to send again; `id` is that of a request, whose answer the client must not see twice. */
export interface Replay {
  readonly bytes: Uint8Array
  readonly id: string | undefined
}

/** The record as another process may go on with it. `result` is undefined before the server has answered. */
export interface Kept {
  readonly replays: ReadonlyArray<Replay & { readonly key: string }>
  readonly result: string | undefined
}

/** The record of one session's opening. */
export class Opening {
  readonly #replays = new Map<string, Replay>()
  #sizeBytes = 0
  #result: string | undefined

  /** Goes on with what an earlier life has noted. */
  constructor(kept?: Kept) {
    for (const { key, ...replay } of kept?.replays ?? []) {
      this.#replays.set(key, replay)
      this.#sizeBytes += replay.bytes.length
    }
    this.#result = kept?.result
  }

  /** Everything noted. Each replay is the same object for as long as it stays the same. */
  get kept(): { readonly replays: ReadonlyMap<string, Replay>; readonly result: string | undefined } {
    return { replays: this.#replays, result: this.#result }
  }

  /** Notes a message of the client. */
  sent(bytes: Uint8Array, envelope: Envelope): void {
    const key = keyOf(bytes, envelope)
    if (key === undefined) return
    // A client that opens again starts from nothing.
    if (key.key === "initialize") this.#clear()
    this.#remove(key.key)
    if (key.isUndone) return
    if (this.#sizeBytes + bytes.length > SIZE_BYTES_MAX) return
    this.#sizeBytes += bytes.length
    // Copied, because the bytes may be a view of a large chunk that would stay alive with them.
    this.#replays.set(key.key, {
      bytes: bytes.slice(),
      id: envelope._tag === "Request" ? envelope.id : undefined
    })
  }

  /** Notes a message of the server: the answer to `initialize` says what kind of server it is. */
  received(bytes: Uint8Array, envelope: Envelope): void {
    if (envelope._tag !== "Response" || this.#result !== undefined) return
    if (envelope.id !== this.#replays.get("initialize")?.id) return
    // A server that refused it, as one of the modern era does, has nothing to hear again.
    if (envelope.isError) this.#clear()
    else this.#result = identity(bytes)
  }

  /** True once a server has answered `initialize`: only then is there something to repeat. */
  get isComplete(): boolean {
    return this.#result !== undefined
  }

  /** What to tell a new server, in order. */
  get replays(): ReadonlyArray<Replay> {
    return [...this.#replays.values()]
  }

  /** Whether a new server's answer to `initialize` has the revision and capabilities of the first. */
  isSame(bytes: Uint8Array): boolean {
    return identity(bytes) === this.#result
  }

  #clear(): void {
    this.#replays.clear()
    this.#sizeBytes = 0
    this.#result = undefined
  }

  #remove(key: string): void {
    this.#sizeBytes -= this.#replays.get(key)?.bytes.length ?? 0
    this.#replays.delete(key)
  }
}

/** What a message settles; a later message with the same key replaces it, or undoes it. */
const keyOf = (
  bytes: Uint8Array,
  envelope: Envelope
): { readonly key: string; readonly isUndone: boolean } | undefined => {
  if (envelope._tag !== "Request" && envelope._tag !== "Notification") return undefined
  switch (envelope.method) {
    case "initialize":
    case "notifications/initialized":
    case "logging/setLevel":
      return { key: envelope.method, isUndone: false }
    case "resources/subscribe":
    case "resources/unsubscribe":
      return {
        key: `subscribe ${member(bytes, ["params", "uri"])}`,
        isUndone: envelope.method === "resources/unsubscribe"
      }
    default:
      return undefined
  }
}

/** Revision and capabilities in one spelling: key order is of no meaning. */
const identity = (bytes: Uint8Array): string => {
  const part = (name: string): string => {
    const value = decodeJson(member(bytes, ["result", name]) ?? "null")
    return Result.isSuccess(value) ? CanonicalJson.encode(value.success) : ""
  }
  return `${part("protocolVersion")} ${part("capabilities")}`
}

const decodeJson = Schema.decodeResult(Schema.fromJsonString(Schema.Json))

/** Enough for thousands of subscriptions; what does not fit is not repeated. */
const SIZE_BYTES_MAX = 262_144
