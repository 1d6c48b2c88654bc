/**
 * How a client is told that a list has changed (mcp §1.1): a legacy one in any case, a modern one on each
 * `subscriptions/listen` of it that wants to hear it and has begun. Mutable inside the session that owns it.
 */
import { CHANGES, KEY, META } from "./era/EraTranslator.ts"
import * as RawRpc from "./era/RawRpc.ts"
import * as JsonRpcPeek from "./JsonRpcPeek.ts"

/** The listens of one client. */
export class ListNews {
  /** By the keys of their raw ids. */
  readonly #listens = new Map<string, Listen>()

  /** A listen has not ended. */
  get isOpen(): boolean {
    return this.#listens.size > 0
  }

  /** The client asks to hear of changes. */
  asked(message: Uint8Array, id: string): void {
    if (this.#listens.size < LISTENS_MAX) {
      this.#listens.set(RawRpc.idKey(id), { id, wants: wantedBy(message), missed: new Set(), hasBegun: false })
    }
  }

  /** The listen is over. */
  ended(id: string): void {
    this.#listens.delete(RawRpc.idKey(id))
  }

  /** The server has taken the listen; gives what came before that. */
  begun(acknowledged: Uint8Array): ReadonlyArray<Uint8Array> {
    const tag = JsonRpcPeek.member(acknowledged, [...META, KEY.subscriptionId])
    const listen = tag === undefined || !/^["\d-]/.test(tag) ? undefined : this.#listens.get(RawRpc.idKey(tag))
    if (listen === undefined) return []
    listen.hasBegun = true
    const missed = [...listen.missed]
    listen.missed.clear()
    return missed.map((method) => tagged(method, listen))
  }

  /** What a modern client hears of that change; for a listen that has not begun it is kept. */
  changed(method: string): ReadonlyArray<Uint8Array> {
    const listening = [...this.#listens.values()].filter(({ wants }) => wants.has(method))
    for (const { hasBegun, missed } of listening) if (!hasBegun) missed.add(method)
    return listening.filter(({ hasBegun }) => hasBegun).map((listen) => tagged(method, listen))
  }
}

/** What a legacy client hears. */
export const plain = (method: string): Uint8Array => RawRpc.notification(method, "{}")

interface Listen {
  /** Raw text. */
  readonly id: string
  readonly wants: ReadonlySet<string>
  readonly missed: Set<string>
  hasBegun: boolean
}

const wantedBy = (message: Uint8Array): ReadonlySet<string> =>
  new Set(
    CHANGES.flatMap(({ filter, method }) =>
      JsonRpcPeek.member(message, ["params", "notifications", filter]) === "true" ? [method] : []
    )
  )

const tagged = (method: string, { id }: Listen): Uint8Array =>
  RawRpc.notification(method, `{"_meta":{"${KEY.subscriptionId}":${id}}}`)

/** Listens of one client that are known; those beyond hear nothing from here. */
const LISTENS_MAX = 64
