/**
 * Where one stream is in its life, and how that life ended. The parts of a connection share it: `Handshake` moves it
 * forward, `Closing` to its end, and everybody asks it what is still allowed.
 */
import type { ResetReason } from "../wire/ResetReason.ts"
import * as ConnectionState from "./ConnectionState.ts"

/** Mutable inside the connection that owns it. */
export class Lifecycle {
  #state: ConnectionState.ConnectionState = "closed"
  #error: ConnectionState.ConnectionFailure | undefined = undefined
  #peerReason: ResetReason | undefined = undefined
  #isReadEnded = false

  /** Where the stream is. */
  get state(): ConnectionState.ConnectionState {
    return this.#state
  }

  /** Why it failed; `undefined` while it lives and after an ordinary end. */
  get error(): ConnectionState.ConnectionFailure | undefined {
    return this.#error
  }

  /** What the peer gave as the reason of its reset. */
  get peerReason(): ResetReason | undefined {
    return this.#peerReason
  }

  /** The peer's data has ended as the peer meant it. */
  get isReadEnded(): boolean {
    return this.#isReadEnded
  }

  /** Data segments may be exchanged. */
  get isSynchronized(): boolean {
    return ConnectionState.isSynchronized(this.#state)
  }

  /** The application may still hand over bytes to send. */
  get canWrite(): boolean {
    return ConnectionState.canWrite(this.#state)
  }

  /** Moves on; an input that means nothing here is ignored. */
  step(input: ConnectionState.ConnectionInput): void {
    this.#state = ConnectionState.next(this.#state, input)
  }

  /** The stream is not what it was meant to be any more. Only the first reason counts: others follow from it. */
  fail(error: ConnectionState.ConnectionFailure, peerReason?: ResetReason): void {
    if (this.#error !== undefined) return
    this.#error = error
    this.#peerReason = peerReason
  }

  /** Nothing more comes from the peer. Of a stream that has failed this is not what the peer meant. */
  endRead(): void {
    this.#isReadEnded ||= this.#error === undefined
  }
}
