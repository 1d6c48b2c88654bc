/**
 * The part of one client's session that knows which of its calls wait for a person (mcp §6.10): they are no calls of the
 * server yet, so a client that gives one up takes back a question, and the server hears nothing of it.
 *
 * Mutable, owned by the session's `Upstream`. Ids are raw JSON text.
 */
import { Effect, type Fiber, type Scope } from "effect"
import * as RawRpc from "../../../protocol/relay/era/RawRpc.ts"
import * as JsonSplice from "../../../protocol/relay/JsonSplice.ts"
import type * as CallLedger from "../CallLedger.ts"
import * as OwnLists from "../server/OwnLists.ts"
import type { RunningChild } from "../server/RunningChild.ts"
import * as CallApproval from "./CallApproval.ts"
import type { CallGate } from "./CallGate.ts"

/** A call that waits. */
export interface Asked {
  readonly message: Uint8Array
  readonly request: CallLedger.Request
  readonly place: CallLedger.Place
}

/** What a call that waits needs of its session. */
export interface Way {
  readonly approve: CallApproval.Approve | undefined
  /** The server; nothing if it cannot be started, and then the client knows. */
  readonly child: Effect.Effect<RunningChild | undefined>
  /** Lets the call go on. */
  readonly send: (approval: CallLedger.Approval) => Effect.Effect<void>
  readonly toClient: (message: Uint8Array) => Effect.Effect<void>
}

/** The calls of one session that wait. */
export class SessionAsking {
  readonly #waiting = new Map<string, Waiting>()
  readonly #scope: Scope.Scope
  readonly #gate: CallGate
  #listings = 0

  constructor(scope: Scope.Scope, gate: CallGate) {
    this.#scope = scope
    this.#gate = gate
  }

  /** Each message of a batch by itself: a person is asked about one call, and those that need nobody do not wait for it. */
  static apart<E>(batch: Uint8Array, pass: (one: Uint8Array) => Effect.Effect<void, E>): Effect.Effect<void, E> {
    return Effect.forEach(JsonSplice.elements(batch) ?? [], pass, { discard: true })
  }

  get size(): number {
    return this.#waiting.size
  }

  /** Whether a call of that id waits already. */
  has(id: string): boolean {
    return this.#waiting.size > 0 && this.#waiting.has(RawRpc.idKey(id))
  }

  /** Has a person asked, in a fiber of its own; then the call goes on, or its client reads why it does not. */
  begin(asked: Asked, way: Way): Effect.Effect<void> {
    const key = RawRpc.idKey(asked.request.id)
    const waiting: Waiting = { ...asked, fiber: undefined, isDecided: false, isGivenUp: false }
    this.#waiting.set(key, waiting)
    const gone = Effect.sync(() => {
      if (this.#waiting.get(key) === waiting) this.#waiting.delete(key)
    })
    return Effect.map(Effect.forkIn(Effect.ensuring(this.#decide(waiting, way), gone), this.#scope), (fiber) => {
      waiting.fiber = fiber
    })
  }

  #decide(waiting: Waiting, { approve, child, send, toClient }: Way): Effect.Effect<void> {
    const { message, place, request } = waiting
    const gate = this.#gate
    const { definitions } = gate
    const isKnown = definitions === undefined || definitions.hashOf(request.target ?? "") !== undefined
    return Effect.gen({ self: this }, function* () {
      if (!isKnown) {
        // Not to be stopped half-way: others may wait for the same server.
        const running = yield* Effect.uninterruptible(child)
        if (running === undefined) return
        yield* OwnLists.learn(running, definitions, message, ++this.#listings)
      }
      const outcome = yield* CallApproval.ask(approve, gate, message, request)
      // From here on nothing stops this fiber: it may be starting a server that others wait for.
      waiting.isDecided = true
      if (outcome._tag === "Approved") return yield* send(outcome.approval)
      this.passed(request.id)
      yield* toClient(gate.unapproved(message, request, place, outcome.refusal, outcome.text))
    })
  }

  /** The client gave up a call that is about to go to the server; it must not. */
  isGivenUp(id: string): boolean {
    return this.#waiting.size > 0 && this.#waiting.get(RawRpc.idKey(id))?.isGivenUp === true
  }

  /** The call is the server's now, or has its answer. */
  passed(id: string): void {
    if (this.#waiting.size > 0) this.#waiting.delete(RawRpc.idKey(id))
  }

  /** The client gives a call up; false if it is none of these. */
  cancel(id: string): boolean {
    const key = RawRpc.idKey(id)
    const waiting = this.#waiting.get(key)
    if (waiting === undefined || waiting.isGivenUp) return false
    this.#giveUp(key, waiting)
    return true
  }

  /** The client gives all of them up. */
  abandon(): void {
    for (const [key, waiting] of [...this.#waiting]) if (!waiting.isGivenUp) this.#giveUp(key, waiting)
  }

  #giveUp(key: string, waiting: Waiting): void {
    waiting.isGivenUp = true
    this.#gate.withdrawn(waiting.message, waiting.request, waiting.place)
    if (waiting.isDecided) return
    this.#waiting.delete(key)
    waiting.fiber?.interruptUnsafe()
  }
}

interface Waiting extends Asked {
  fiber: Fiber.Fiber<void> | undefined
  isDecided: boolean
  isGivenUp: boolean
}
