/**
 * Ids of many sessions on one server (mcp §6.4): `"<session>.<n>"` in place of a request's id and of its progress token,
 * and back again as raw text, so that their JSON type stays what it was. Mutable inside one shared child.
 */
import * as JsonRpcPeek from "./JsonRpcPeek.ts"
import * as JsonScanner from "./JsonScanner.ts"
import * as JsonSplice from "./JsonSplice.ts"

/** A message of the server for one session. */
export interface Addressed {
  readonly session: number
  readonly message: Uint8Array
}

/** The requests that wait. Their number is bounded by the sessions, each of which bounds its own. */
export class SharedIds {
  readonly #waiting = new Map<string, Waiting>()
  readonly #bySession = new Map<string, string>()
  #count = 0

  /** A request or a cancellation under our id; undefined for what has no place at a shared server. */
  toServer(session: number, message: Uint8Array, envelope: JsonRpcPeek.Envelope): Uint8Array | undefined {
    if (envelope._tag === "Notification" && envelope.cancels !== undefined) {
      const key = this.#bySession.get(`${session} ${envelope.cancels}`)
      const call = key === undefined ? undefined : this.#waiting.get(key)
      if (key === undefined || call === undefined) return undefined
      // Most servers answer nothing then, and an answer that comes all the same is for nobody.
      this.#forget(key, call)
      return JsonSplice.replace(message, REQUEST_ID, JSON.stringify(key))
    }
    if (envelope._tag !== "Request") return undefined
    const key = `${session}.${++this.#count}`
    const { id, progressToken: token } = envelope
    this.#waiting.set(key, { session, id, token })
    this.#bySession.set(`${session} ${id}`, key)
    const numbered = JsonSplice.replace(message, ["id"], JSON.stringify(key))
    return token === undefined ? numbered : JsonSplice.replace(numbered, META_TOKEN, JSON.stringify(key))
  }

  /** Whose message of the server it is, with that session's own ids; undefined if it is nobody's. */
  toSession(message: Uint8Array, envelope: JsonRpcPeek.Envelope): Addressed | undefined {
    if (envelope._tag === "Response") {
      const key = keyOf(envelope.id)
      const call = this.#waiting.get(key)
      if (call === undefined) return undefined
      this.#forget(key, call)
      const answered = JsonSplice.replace(message, ["id"], call.id)
      return { session: call.session, message: JsonSplice.replace(answered, RESULT_SUBSCRIPTION, call.id) }
    }
    if (envelope._tag !== "Notification") return undefined
    const subscription = JsonRpcPeek.member(message, SUBSCRIPTION)
    const call = this.#waiting.get(keyOf(envelope.progressToken ?? subscription ?? envelope.cancels ?? ""))
    if (call === undefined) return undefined
    const named = JsonSplice.replace(message, SUBSCRIPTION, call.id)
    const ended = envelope.cancels === undefined ? named : JsonSplice.replace(named, REQUEST_ID, call.id)
    const told = call.token === undefined ? ended : JsonSplice.replace(ended, TOKEN, call.token)
    return { session: call.session, message: told }
  }

  /** Forgets a session; gives our ids of what it waited for, as raw text. */
  drop(session: number): ReadonlyArray<string> {
    const dropped: Array<string> = []
    for (const [key, call] of this.#waiting) {
      if (call.session !== session) continue
      this.#forget(key, call)
      dropped.push(JSON.stringify(key))
    }
    return dropped
  }

  #forget(key: string, { id, session }: Waiting): void {
    this.#waiting.delete(key)
    const own = `${session} ${id}`
    if (this.#bySession.get(own) === key) this.#bySession.delete(own)
  }
}

/** What the session called it; raw text. */
interface Waiting {
  readonly session: number
  readonly id: string
  readonly token: string | undefined
}

/** A server may spell the same string in another way. */
const keyOf = (id: string): string => {
  const bytes = UTF8.encode(id)
  return JsonScanner.string(bytes, { start: 0, end: bytes.length }) ?? ""
}

const REQUEST_ID = ["params", "requestId"]
const TOKEN = ["params", "progressToken"]
const META_TOKEN = ["params", "_meta", "progressToken"]
const SUBSCRIPTION = ["params", "_meta", "io.modelcontextprotocol/subscriptionId"]
const RESULT_SUBSCRIPTION = ["result", "_meta", "io.modelcontextprotocol/subscriptionId"]
const UTF8 = new TextEncoder()
