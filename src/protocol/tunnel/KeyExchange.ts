/**
 * When our PILA goes out (wire §6.3, §6.4): asked for on a schedule, in answer to the peer, and when the peer seems to
 * have lost our keys; and how many of the peer's are looked at. All that a stranger can cause is limited per source.
 *
 * Whoever asks sends a PILK too: the other answers both, so that the loss of any one frame costs no time-out.
 */
import * as ExchangeSchedule from "./ExchangeSchedule.ts"
import { SourceLimiter } from "./SourceLimiter.ts"
import type { Outputs, Path } from "./TunnelOutput.ts"

/** Mutable, owned by one tunnel. */
export class KeyExchange {
  readonly #outputs: Outputs
  #schedule: ExchangeSchedule.ExchangeSchedule | undefined
  readonly #verifications = new SourceLimiter(VERIFICATIONS_PER_SECOND)
  readonly #answers = new SourceLimiter(ANSWERS_PER_SECOND)
  readonly #replies = new SourceLimiter(REPLIES_PER_SECOND)

  constructor(outputs: Outputs) {
    this.#outputs = outputs
  }

  /** When to call `due`. */
  get deadlineMs(): number {
    return this.#schedule?.dueAtMs ?? Number.POSITIVE_INFINITY
  }

  /** Wants keys: asks now, unless a request is under way, which will be repeated. */
  ask(nowMs: number): void {
    if (this.#schedule === undefined) {
      this.#schedule = ExchangeSchedule.begin(nowMs)
      this.askOnce()
    } else this.#schedule = ExchangeSchedule.wantAgain(this.#schedule)
  }

  /** Asks the peer by every path, without repeating it. */
  askOnce(): void {
    this.#send(undefined, true)
  }

  /** Repeats what is due; true if nobody answers and it is given up. */
  timeout(nowMs: number): boolean {
    if (this.#schedule === undefined) return false
    const due = ExchangeSchedule.due(this.#schedule, nowMs)
    if (due._tag === "Wait") return false
    this.#schedule = due._tag === "Repeat" ? due.schedule : undefined
    if (due._tag === "Repeat") this.askOnce()
    return due._tag === "GiveUp"
  }

  /** There are keys now, or the request is to start afresh. */
  stop(): void {
    this.#schedule = undefined
  }

  /** True if a key exchange from this source may cost a signature check. */
  mayVerify(path: Path, nowMs: number): boolean {
    return this.#verifications.take(sourceOf(path), nowMs)
  }

  /** Answers a key exchange that brought a new key: never withheld, but counted. */
  answerNew(path: Path, nowMs: number): void {
    this.#answers.take(sourceOf(path), nowMs)
    this.#send(path, false)
  }

  /** Answers a key exchange that said nothing new; false if this source has had its answer. */
  answerRepeated(path: Path, nowMs: number): boolean {
    const isAllowed = this.#answers.take(sourceOf(path), nowMs)
    if (isAllowed) this.#send(path, false)
    return isAllowed
  }

  /** Answers a key request, or asks back where a frame came from that nobody here can open; false if limited. */
  reply(path: Path, withKeyRequest: boolean, nowMs: number): boolean {
    const isAllowed = this.#replies.take(sourceOf(path), nowMs)
    if (isAllowed) this.#send(path, withKeyRequest)
    return isAllowed
  }

  #send(path: Path | undefined, withKeyRequest: boolean): void {
    this.#outputs.push({ _tag: "SendKeyExchange", path, withKeyRequest })
  }
}

/** What rate limits count by: the IP address, or the relay. */
const sourceOf = (path: Path): string => (path.relayed ? "relay" : (path.endpoint?.host ?? ""))

/** Per source (wire §6.4, better d). */
const VERIFICATIONS_PER_SECOND = 5
/** To key exchanges, per source (wire §6.3). */
const ANSWERS_PER_SECOND = 1
/** To key requests and to frames without keys, per source (wire §6.4, better c). */
const REPLIES_PER_SECOND = 1
