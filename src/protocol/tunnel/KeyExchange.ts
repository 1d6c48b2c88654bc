/**
 * When our PILA goes out (wire §6.3, §6.4): asked for on a schedule, in answer to the peer, and when the peer seems to
 * have lost our keys; and how many of the peer's are looked at. All that a stranger can cause is limited per source.
 *
 * Whoever asks first sends the PILA twice: both are answered, so that the loss of any one frame costs no time-out.
 */
import * as ExchangeSchedule from "./ExchangeSchedule.ts"
import { SourceLimiter } from "./SourceLimiter.ts"
import type { TunnelKeys } from "./TunnelKeys.ts"
import type { Outputs, Path } from "./TunnelOutput.ts"

/** Keys that a key exchange has brought, by this path. */
interface Fresh {
  readonly keys: TunnelKeys
  readonly path: Path
  readonly atMs: number
}

/** Mutable, owned by one tunnel. */
export class KeyExchange {
  readonly #outputs: Outputs
  #schedule: ExchangeSchedule.ExchangeSchedule | undefined
  /** To be answered at the end of the turn. */
  #fresh: Fresh | undefined
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

  /** A request is under way. */
  get isAsking(): boolean {
    return this.#schedule !== undefined
  }

  /** Wants keys: asks now, unless a request is under way, which will be repeated. */
  ask(nowMs: number): void {
    if (this.#schedule === undefined) {
      this.#schedule = ExchangeSchedule.begin(nowMs)
      this.#send(undefined, { isTwice: true })
    } else this.#schedule = ExchangeSchedule.wantAgain(this.#schedule)
  }

  /** Asks a peer that seems to have lost our keys. One that stays silent knows them, but may have lost its own frames. */
  askAgain(isFirst: boolean): void {
    this.#send(undefined, isFirst ? { isTwice: true } : { withKeyRequest: true })
  }

  /** Repeats what is due; true if nobody answers and it is given up. */
  timeout(nowMs: number): boolean {
    if (this.#schedule === undefined) return false
    const due = ExchangeSchedule.due(this.#schedule, nowMs)
    if (due._tag === "Wait") return false
    this.#schedule = due._tag === "Repeat" ? due.schedule : undefined
    if (due._tag === "Repeat") this.#send(undefined, { withKeyRequest: true })
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

  /** A key exchange has brought a new key; those before it have been answered. */
  arrived(fresh: Fresh): void {
    this.#fresh = fresh
  }

  /** A frame has opened under keys. If it came right behind the key exchange, its sender has our half already. */
  proven(keys: TunnelKeys): void {
    if (this.#fresh?.keys === keys) this.#fresh = undefined
  }

  /**
   * Answers the key exchange that brought a new key: never withheld. It is sent twice, so a second answer may follow. Gives
   * what it was about, for the challenge that goes with it; `undefined` if there is nothing to answer any more.
   */
  answerNew(): Fresh | undefined {
    const fresh = this.#fresh
    this.#fresh = undefined
    if (fresh !== undefined) this.#send(fresh.path, {})
    return fresh
  }

  /** Answers a key exchange that said nothing new; false if this source has had its answer. */
  answerRepeated(path: Path, nowMs: number): boolean {
    const isAllowed = this.#answers.take(sourceOf(path), nowMs)
    if (isAllowed) this.#send(path, {})
    return isAllowed
  }

  /** Answers a key request; false if this source has had its answer. */
  answerRequest(path: Path, nowMs: number): boolean {
    const isAllowed = this.#replies.take(sourceOf(path), nowMs)
    if (isAllowed) this.#send(path, {})
    return isAllowed
  }

  /** Asks where a frame came from for which there are no keys; false if that was just done. */
  askBack(path: Path, nowMs: number): boolean {
    const isAllowed = this.#replies.take(sourceOf(path), nowMs)
    if (isAllowed) this.#send(path, { isTwice: true })
    return isAllowed
  }

  #send(path: Path | undefined, how: { readonly isTwice?: boolean; readonly withKeyRequest?: boolean }): void {
    const { isTwice = false, withKeyRequest = false } = how
    this.#outputs.push({ _tag: "SendKeyExchange", path, isTwice, withKeyRequest })
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
