/**
 * The part of one client's session that knows of parked calls (mcp §6.7): which of its own may park, and which calls of
 * earlier sessions it waits for instead of calling again.
 *
 * Mutable, owned by the session's `Upstream`. Ids are raw JSON text.
 */
import { Effect, Latch, Result } from "effect"
import * as Bytes from "../../../core/data/Bytes.ts"
import type * as AuditChain from "../../../protocol/relay/AuditChain.ts"
import * as RawRpc from "../../../protocol/relay/era/RawRpc.ts"
import * as JsonRpcPeek from "../../../protocol/relay/JsonRpcPeek.ts"
import * as JsonScanner from "../../../protocol/relay/JsonScanner.ts"
import type { ParkedCall, ParkedCalls, Watcher } from "./ParkedCalls.ts"

/** What a session is told. */
export interface Options {
  readonly lot: ParkedCalls
  /** The peer's use of this service as it is now. */
  readonly place: string
  readonly sha256: AuditChain.Sha256
}

/** What is known of the way to the client. */
export interface Client {
  /** A stream leads there now. */
  readonly isAttached: () => boolean
  /** The message of that ordinal has been handed over to it. */
  readonly hasTaken: (ordinal: number) => boolean
}

/** A call of an earlier session that this one waits for. `mark` is that of the session's gate. */
export interface Attached {
  readonly parked: ParkedCall
  readonly mark: number
}

/** What one session has parked, and waits for. */
export class SessionParking implements Watcher {
  readonly #options: Options
  readonly #client: Client
  /** Calls of this session's server that may park, by id. */
  readonly #running = new Map<string, Attached>()
  readonly #attached = new Map<string, Attached>()
  /** Results on their way to the client, by the id that they go under; the ordinal once they have one. */
  readonly #given = new Map<string, Given>()
  readonly #changed = Latch.makeUnsafe(false)
  #isGone = false

  constructor(options: Options, client: Client) {
    this.#options = options
    this.#client = client
  }

  isThere(): boolean {
    return !this.#isGone && this.#client.isAttached()
  }

  hasTaken(call: ParkedCall): boolean {
    for (const [key, given] of this.#given) {
      if (given.parked === call && this.#isTaken(given)) return this.#given.delete(key)
    }
    return false
  }

  /** The client is sent a result that others get if it never arrives. */
  get isGiving(): boolean {
    return this.#given.size > 0
  }

  /** That message of the session has that ordinal. */
  sent(message: Uint8Array, ordinal: number | undefined): void {
    const envelope = Result.getOrUndefined(JsonRpcPeek.peek(message))
    const given = envelope?._tag === "Response" ? this.#given.get(RawRpc.idKey(envelope.id)) : undefined
    if (given !== undefined) given.ordinal ??= ordinal
  }

  /** Calls that are no longer, or never were, among those the server owes the client. */
  get size(): number {
    let count = this.#attached.size
    for (const { parked } of this.#running.values()) if (!parked.watchers.has(this)) count++
    return count
  }

  /** What a call asks for; nothing if it says more than its tool, its arguments and how it is asked. */
  keyOf(message: Uint8Array): string | undefined {
    if (message.length > CALL_BYTES_MAX) return undefined
    const root = JsonScanner.read(message, { start: 0, end: message.length })
    const params = root?._tag === "Object" ? root.members.find(({ key }) => key === "params") : undefined
    const inner = params === undefined ? undefined : JsonScanner.read(message, params)
    if (inner?._tag !== "Object") return undefined
    const parts: Array<string> = []
    for (const name of PARAMS) {
      const found = inner.members.filter(({ key }) => key === name)
      if (found.length > 1) return undefined
      parts.push(found[0] === undefined ? "" : JsonScanner.text(message, found[0]))
    }
    // Answers to questions, a state, a task: such a call is one step of something.
    if (inner.members.some(({ key }) => key !== "_meta" && !PARAMS.includes(key))) return undefined
    parts.push(...META.map((key) => JsonRpcPeek.member(message, ["params", "_meta", key]) ?? ""))
    return Bytes.toHex(this.#options.sha256(Bytes.fromUtf8(JSON.stringify(parts))))
  }

  /**
   * A call goes to the server; without a key it does not park, nor does another one that still runs under its id, since their
   * answers could not be told apart.
   */
  began(id: string, key: string | undefined, mark: number): void {
    const idKey = RawRpc.idKey(id)
    const running = this.#running.get(idKey)
    if (running !== undefined) this.#end(idKey, running, undefined)
    const parked = key === undefined ? undefined : this.#options.lot.began(this.#options.place, key, this)
    if (parked !== undefined) this.#running.set(idKey, { parked, mark })
  }

  /** The result of a call like this, which is then given under `id`, or one to wait for. */
  find(id: string, key: string): { readonly result: Uint8Array } | { readonly parked: ParkedCall } | undefined {
    const { lot, place } = this.#options
    const parked = lot.find(place, key)
    if (parked?.result === undefined) return parked && { parked }
    this.#give(RawRpc.idKey(id), parked)
    lot.give(parked, this)
    return { result: parked.result }
  }

  /** The client waits for that one, under an id of its own. */
  attach(id: string, attached: Attached): void {
    attached.parked.watchers.add(this)
    this.#attached.set(RawRpc.idKey(id), attached)
  }

  /** The wait is over, with a result that is given now or none; false if the client gave up before. */
  detach(id: string, attached: Attached): boolean {
    const key = RawRpc.idKey(id)
    if (this.#attached.get(key) !== attached) return false
    if (attached.parked.result !== undefined) this.#give(key, attached.parked)
    return this.#attached.delete(key)
  }

  /**
   * The client gives a call up. `Attached`: it had none of its own. `Parked`: it goes on, and the server must not hear of it.
   * Nothing: this is a call like any other.
   */
  cancel(id: string, message: Uint8Array): { readonly _tag: "Attached" | "Parked"; readonly mark: number } | undefined {
    const key = RawRpc.idKey(id)
    const attached = this.#attached.get(key)
    if (attached !== undefined) {
      this.#attached.delete(key)
      attached.parked.watchers.delete(this)
      return { _tag: "Attached", mark: attached.mark }
    }
    const running = this.#running.get(key)
    if (running === undefined) return undefined
    if (isMeant(message)) {
      this.#end(key, running, undefined)
      return undefined
    }
    running.parked.watchers.delete(this)
    return { _tag: "Parked", mark: running.mark }
  }

  /** The time of a call is over. `Attached`: it waited for one of an earlier session. `Running`: it was to park. */
  expired(id: string): "Attached" | "Running" | undefined {
    const key = RawRpc.idKey(id)
    const attached = this.#attached.get(key)
    if (attached !== undefined) {
      this.#attached.delete(key)
      attached.parked.watchers.delete(this)
      return "Attached"
    }
    const running = this.#running.get(key)
    if (running === undefined) return undefined
    this.#end(key, running, undefined)
    return "Running"
  }

  /** The server answered; false if the client does not wait for it any more. */
  answered(id: string, answer: Uint8Array): boolean {
    const key = RawRpc.idKey(id)
    const running = this.#running.get(key)
    if (running === undefined) return true
    // Whoever waits for it again under the same id is answered as one that waits.
    const isWanted = running.parked.watchers.has(this) && !this.#attached.has(key)
    const needsInput = JsonRpcPeek.string(answer, ["result", "resultType"]) === "input_required"
    if (isWanted && !needsInput) this.#give(key, running.parked)
    this.#end(key, running, needsInput ? undefined : answer)
    return isWanted
  }

  /** The server is gone. */
  failed(): void {
    for (const [key, running] of this.#running) this.#end(key, running, undefined)
  }

  /** The client is gone for good; gives the ids' keys of the calls that go on, and the marks of those it waited for. */
  abandon(): { readonly parked: ReadonlySet<string>; readonly left: ReadonlyArray<number> } {
    this.#isGone = true
    for (const { parked } of this.#running.values()) parked.watchers.delete(this)
    for (const given of this.#given.values()) if (!this.#isTaken(given)) given.parked.watchers.delete(this)
    const left = [...this.#attached.values()]
    for (const { parked } of left) parked.watchers.delete(this)
    this.#attached.clear()
    return { parked: new Set(this.#running.keys()), left: left.map(({ mark }) => mark) }
  }

  /** Waits until no call of an abandoned session runs any more, but not for ever. */
  readonly finished: Effect.Effect<void> = Effect.suspend(() =>
    this.#running.size === 0 ? Effect.void : Effect.asVoid(Effect.timeoutOption(this.#ended, RUNNING_MS))
  )

  readonly #ended: Effect.Effect<void> = Effect.suspend(() => {
    if (this.#running.size === 0) return Effect.void
    this.#changed.closeUnsafe()
    return Effect.andThen(this.#changed.await, this.#ended)
  })

  #isTaken({ ordinal }: Given): boolean {
    return ordinal !== undefined && this.#client.hasTaken(ordinal)
  }

  #give(key: string, parked: ParkedCall): void {
    this.#given.set(key, { parked, ordinal: undefined })
    const [oldest] = this.#given.keys()
    // As many as a place has calls: what is older is forgotten there as well.
    if (this.#given.size > GIVEN_MAX && oldest !== undefined) this.#given.delete(oldest)
  }

  #end(key: string, { parked }: Attached, result: Uint8Array | undefined): void {
    this.#running.delete(key)
    this.#options.lot.finished(parked, result)
    this.#changed.openUnsafe()
  }
}

interface Given {
  readonly parked: ParkedCall
  ordinal: number | undefined
}

/** A person or a program stopped it; a client that only lost patience says so, or gives no reason. */
const isMeant = (message: Uint8Array): boolean => {
  const reason = JsonRpcPeek.string(message, ["params", "reason"])
  return reason !== undefined && reason !== "" && !/time[sd]?[ -]?out/i.test(reason)
}

/** Members of `params` that say what is asked for, and of `_meta` that change the answer. */
const PARAMS: ReadonlyArray<string> = ["name", "arguments"]
const META = ["io.modelcontextprotocol/protocolVersion", "io.modelcontextprotocol/clientCapabilities"]
/** A call with larger arguments is not parked. */
const CALL_BYTES_MAX = 65_536
const GIVEN_MAX = 64
/** A call whose client is gone for good may run so long, and keep its server alive. */
const RUNNING_MS = 3_600_000
