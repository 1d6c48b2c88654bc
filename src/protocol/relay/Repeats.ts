/**
 * What a mount sends again when the keeper has forgotten its session (mcp §6.3). Which tools are safe it hears from the
 * keeper, so before the first WELCOME every call of a tool is kept. Mutable inside one session.
 */
import { Result } from "effect"
import * as BridgeError from "./BridgeError.ts"
import { type Call, REISSUES_MAX } from "./InFlight.ts"
import * as JsonRpcPeek from "./JsonRpcPeek.ts"
import { type Declared, SafeCalls } from "./SafeCalls.ts"

/** A message for the next epoch; `lost` counts the keepers that had it and are gone. */
export interface Carried {
  readonly bytes: Uint8Array
  readonly lost: number
}

/** The rule of one session. */
export class Repeats {
  /** What the owner of the service declares. */
  readonly safe = new SafeCalls()
  #isWelcomed = false

  /** What the keeper says now. */
  welcomed(declared: Declared): void {
    this.safe.configure(declared)
    this.#isWelcomed = true
  }

  /** The message, if it is worth keeping until its answer. */
  kept(message: Uint8Array, envelope: JsonRpcPeek.Envelope | undefined): Uint8Array | undefined {
    if (envelope?._tag !== "Request") return undefined
    if (!this.#isWelcomed && envelope.method === "tools/call") return message
    return this.safe.isSafe(message, envelope.method, envelope.target) ? message : undefined
  }

  /** Whether asking again is harmless, as far as is known now. */
  isHarmless({ message, method }: Call): boolean {
    const envelope = message === undefined ? undefined : Result.getOrUndefined(JsonRpcPeek.peek(message))
    const target = envelope?._tag === "Request" ? envelope.target : undefined
    return message === undefined ? BridgeError.isHarmlessTwice(method) : this.safe.isSafe(message, method, target)
  }

  /** Which of the forgotten calls go to the keeper's successor, and which are lost. */
  sort(forgotten: ReadonlyArray<Call>): { readonly again: ReadonlyArray<Carried>; readonly lost: ReadonlyArray<Call> } {
    const again: Array<Carried> = []
    const lost: Array<Call> = []
    for (const call of forgotten) {
      const { message } = call
      const envelope = message === undefined ? undefined : Result.getOrUndefined(JsonRpcPeek.peek(message))
      const isKept = message !== undefined && call.lost < REISSUES_MAX && this.kept(message, envelope) !== undefined
      if (isKept) again.push({ bytes: message, lost: call.lost + 1 })
      else lost.push(call)
    }
    return { again, lost }
  }
}
