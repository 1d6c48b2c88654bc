/** Asks which key a peer must show, for frames that cannot be judged without: one question at a time, and not too often. */
import { Effect, type Scope } from "effect"
import * as Bytes from "../../core/data/Bytes.ts"
import type { NodeId } from "../../protocol/wire/Address.ts"
import type { KeyDirectory } from "./KeyDirectory.ts"
import { type Inbound, Message } from "./PeerMessage.ts"

/** Whom to ask about whom, and whom to tell. */
export interface Options {
  readonly keys: KeyDirectory
  readonly node: NodeId
  readonly scope: Scope.Scope
  readonly tell: (message: Message) => boolean
}

/** The questions of one life of a peer's actor; each answer is a `KeyKnown`. */
export class KeyLookups {
  readonly #options: Options
  #isRunning = false
  #doubtAgainAtMs = Number.NEGATIVE_INFINITY

  constructor(options: Options) {
    this.#options = options
  }

  /** Nothing is known of the peer. */
  ask(inbound: Inbound): Effect.Effect<void> | undefined {
    return this.#question(inbound, this.#options.keys.expected(this.#options.node))
  }

  /** The peer shows another key than the known one; the registry may know how it follows (security rule 9). */
  doubt(inbound: Inbound, known: Uint8Array, nowMs: number): Effect.Effect<void> | undefined {
    if (nowMs < this.#doubtAgainAtMs) return undefined
    this.#doubtAgainAtMs = nowMs + DOUBT_INTERVAL_MS
    return this.#question(inbound, this.#options.keys.reconsidered(this.#options.node), known)
  }

  /** The answer has arrived. */
  answered(): void {
    this.#isRunning = false
  }

  /** An answer that is `known` says nothing new about the frame. */
  #question(
    inbound: Inbound,
    question: Effect.Effect<Uint8Array, unknown>,
    known?: Uint8Array
  ): Effect.Effect<void> | undefined {
    if (this.#isRunning) return undefined
    this.#isRunning = true
    const { scope, tell } = this.#options
    return question.pipe(
      Effect.match({
        onFailure: () => undefined,
        onSuccess: (key) => (known !== undefined && Bytes.equals(key, known) ? undefined : key)
      }),
      Effect.flatMap((key) => Effect.sync(() => void tell(Message.KeyKnown({ inbound, key })))),
      Effect.forkIn(scope),
      Effect.asVoid
    )
  }
}

/** Between two questions about a peer that shows another key: anybody can show one. */
const DOUBT_INTERVAL_MS = 3_000
