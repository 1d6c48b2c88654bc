/**
 * The one `subscriptions/listen` that the bridge keeps open at a modern server for a legacy client (mcp §6.6): for every
 * kind of change that the server announces, and for the resources that the client has subscribed to.
 *
 * Mutable inside its `LegacyClientBridge`. A listen that ends is opened again, and the client is then told of a change in
 * everything, because what happened in between is not known.
 */
import * as Json from "../../../core/data/Json.ts"
import * as JsonEdit from "../JsonEdit.ts"
import {
  CHANGES,
  KEY,
  META,
  type Outputs,
  OWN_ID,
  RESOURCE_UPDATED,
  toClient,
  toServer,
  URIS_MAX
} from "./EraTranslator.ts"
import * as RawRpc from "./RawRpc.ts"

/** What a listen is opened with. */
export interface Options {
  /** What the server announces. */
  readonly capabilities: Json.JsonObject
  /** A request with the `_meta` that a modern one needs. */
  readonly modern: (request: Uint8Array) => Uint8Array
}

/** The listen of one session. */
export class ListenKeeper {
  readonly #options: Options
  readonly #kinds: ReadonlyArray<(typeof CHANGES)[number]>
  readonly #uris = new Set<string>()
  #count = 0
  #isStarted = false
  /** Acknowledged: its notifications reach the client. */
  #current: string | undefined
  #opening: Opening | undefined
  /** Requests of the client that are answered when the next listen is acknowledged. */
  #waiters: Array<string> = []
  #isStale = false
  #wasLost = false
  #failures = 0
  #retryAtMs: number | undefined

  constructor(options: Options) {
    this.#options = options
    this.#kinds = CHANGES.filter(({ capability }) =>
      Json.boolean(object(options.capabilities, capability), "listChanged")
    )
  }

  /** The client is ready for notifications. */
  start(): Outputs {
    this.#isStarted = true
    return this.#refresh()
  }

  /** Answers a `resources/subscribe` or `resources/unsubscribe`, at the latest when the new listen is acknowledged. */
  subscribe(id: string, uri: string | undefined, isWanted: boolean): Outputs {
    if (!Json.boolean(object(this.#options.capabilities, "resources"), "subscribe")) {
      return [toClient(RawRpc.failure(id, -32601, "The server has no subscriptions to resources."))]
    }
    if (uri === undefined) return [toClient(RawRpc.failure(id, -32602, "A URI is missing."))]
    if (this.#uris.has(uri) === isWanted) return [toClient(RawRpc.result(id, "{}"))]
    if (isWanted && this.#uris.size >= URIS_MAX) {
      return [toClient(RawRpc.failure(id, -32602, `At most ${URIS_MAX} resources are watched at once.`))]
    }
    if (isWanted) this.#uris.add(uri)
    else this.#uris.delete(uri)
    this.#isStarted = true
    this.#waiters.push(id)
    return this.#refresh()
  }

  /** Whether this is the key of an id of ours. */
  owns(key: string): boolean {
    return key === this.#current || key === this.#opening?.key
  }

  /** The server has confirmed the listen of that key. */
  acknowledged(key: string): Outputs {
    const opening = this.#opening
    if (opening === undefined || opening.key !== key) return []
    const replaced = this.#current
    this.#opening = undefined
    this.#current = key
    this.#failures = 0
    const missed = this.#wasLost ? this.#missed() : []
    this.#wasLost = false
    return [
      ...(replaced === undefined ? [] : [toServer(RawRpc.cancelled(JSON.stringify(replaced.slice(1))))]),
      ...opening.waiters.map((id) => toClient(RawRpc.result(id, "{}"))),
      ...missed,
      ...(this.#isStale ? this.#refresh() : [])
    ]
  }

  /** The listen of that key is over, or was refused with `code`. */
  ended(key: string, code: number | undefined, nowMs: number): Outputs {
    const opening = this.#opening
    if (key === this.#current) {
      this.#current = undefined
      this.#wasLost = true
    } else if (opening?.key === key) {
      this.#opening = undefined
    } else {
      return []
    }
    const waiting = opening?.key === key ? [...opening.waiters] : []
    if (code === -32601) {
      // A server that does not know the method will not learn it: nobody waits for the next listen, and nothing is watched.
      waiting.push(...this.#waiters)
      this.#waiters = []
      this.#uris.clear()
    } else this.#retryAtMs = nowMs + Math.min(RETRY_MAX_MS, RETRY_MIN_MS * 2 ** this.#failures++)
    return waiting.map((id) => toClient(RawRpc.failure(id, -32603, "The server does not watch resources now.")))
  }

  /** When an ended listen is opened again. */
  deadlineMs(): number | undefined {
    return this.#retryAtMs
  }

  /** Opens it, if it is time. */
  timeout(nowMs: number): Outputs {
    if (this.#retryAtMs === undefined || nowMs < this.#retryAtMs) return []
    this.#retryAtMs = undefined
    return this.#refresh()
  }

  /** Ends it. */
  close(): Outputs {
    const keys = [this.#current, this.#opening?.key].filter((key) => key !== undefined)
    this.#current = undefined
    this.#opening = undefined
    this.#retryAtMs = undefined
    return keys.map((key) => toServer(RawRpc.cancelled(JSON.stringify(key.slice(1)))))
  }

  #refresh(): Outputs {
    if (!this.#isStarted) return []
    if (this.#opening !== undefined) {
      this.#isStale = true
      return []
    }
    this.#isStale = false
    const waiters = this.#waiters
    this.#waiters = []
    if (this.#kinds.length === 0 && this.#uris.size === 0) {
      return [...this.close(), ...waiters.map((id) => toClient(RawRpc.result(id, "{}")))]
    }
    const id = `${OWN_ID}listen-${++this.#count}`
    this.#opening = { key: `s${id}`, waiters }
    const filter = {
      ...Object.fromEntries(this.#kinds.map(({ filter: name }) => [name, true])),
      ...(this.#uris.size === 0 ? {} : { resourceSubscriptions: [...this.#uris] })
    }
    const params = JSON.stringify({ notifications: filter })
    return [toServer(this.#options.modern(RawRpc.request(JSON.stringify(id), "subscriptions/listen", params)))]
  }

  #missed(): Outputs {
    return [
      ...this.#kinds.map(({ method }) => toClient(RawRpc.notification(method, "{}"))),
      ...[...this.#uris].map((uri) => toClient(RawRpc.notification(RESOURCE_UPDATED, JSON.stringify({ uri }))))
    ]
  }
}

interface Opening {
  readonly key: string
  readonly waiters: ReadonlyArray<string>
}

/** The notification without the tag of a listen, which legacy clients do not know. */
export const untagged = (message: Uint8Array): Uint8Array => JsonEdit.remove(message, META, [KEY.subscriptionId])

const object = (self: Json.JsonObject, key: string): Json.JsonObject => {
  const value = Json.member(self, key)
  return Json.isObject(value) ? value : {}
}

const RETRY_MIN_MS = 1000
const RETRY_MAX_MS = 60_000
