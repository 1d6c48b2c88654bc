/**
 * When our PILA goes out (wire §6.3, §6.4): asked for on a schedule, in answer to the peer, and when the peer seems to
 * have lost our keys; and how many of the peer's are looked at. All that a stranger can cause is limited per source.
 */
import * as ExchangeSchedule from "./ExchangeSchedule.ts"
import { SourceLimiter } from "./SourceLimiter.ts"
import type { Path } from "./TunnelOutput.ts"

/** Mutable, owned by one tunnel. Methods say whether to send; the tunnel does. */
export class KeyExchange {
  #schedule: ExchangeSchedule.ExchangeSchedule | undefined
  readonly #verifications = new SourceLimiter(VERIFICATIONS_PER_SECOND)
  readonly #answers = new SourceLimiter(ANSWERS_PER_SECOND)

  /** When to call `due`. */
  get deadlineMs(): number {
    return this.#schedule?.dueAtMs ?? Number.POSITIVE_INFINITY
  }

  /** Wants keys; true if a request goes out now, false if one is under way and will be repeated. */
  ask(nowMs: number): boolean {
    const isFirst = this.#schedule === undefined
    this.#schedule =
      this.#schedule === undefined ? ExchangeSchedule.begin(nowMs) : ExchangeSchedule.wantAgain(this.#schedule)
    return isFirst
  }

  /** What the schedule wants now. */
  due(nowMs: number): "nothing" | "repeat" | "giveUp" {
    if (this.#schedule === undefined) return "nothing"
    const due = ExchangeSchedule.due(this.#schedule, nowMs)
    if (due._tag === "Wait") return "nothing"
    this.#schedule = due._tag === "Repeat" ? due.schedule : undefined
    return due._tag === "Repeat" ? "repeat" : "giveUp"
  }

  /** There are keys now, or the request is to start afresh. */
  stop(): void {
    this.#schedule = undefined
  }

  /** True if a key exchange from this source may cost a signature check. */
  mayVerify(path: Path, nowMs: number): boolean {
    return this.#verifications.take(sourceOf(path), nowMs)
  }

  /** True if this source may have our PILA now. */
  mayAnswer(path: Path, nowMs: number): boolean {
    return this.#answers.take(sourceOf(path), nowMs)
  }
}

/** What rate limits count by: the IP address, or the relay. */
const sourceOf = (path: Path): string => (path.relayed ? "relay" : (path.endpoint?.host ?? ""))

/** Per source (wire §6.4, better d). */
const VERIFICATIONS_PER_SECOND = 5
/** Per source (wire §6.3). */
const ANSWERS_PER_SECOND = 1
