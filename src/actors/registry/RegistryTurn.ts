/**
 * What the registry server does between two waits: take what arrived, answer it, store what changed in one transaction,
 * then let the replies go. Replies that acknowledge no change do not wait for the disk.
 */
import { type Clock, Effect, Result } from "effect"
import * as MonotonicTime from "../../core/actor/MonotonicTime.ts"
import { ExpiringMap } from "../../core/data/ExpiringMap.ts"
import * as SourceGroup from "../../core/data/SourceGroup.ts"
import { type Config as BucketConfig, TokenBucket } from "../../core/data/TokenBucket.ts"
import type { ServerEvent } from "../../core/net/TlsSniffServer.ts"
import type { Change } from "../../protocol/registry/Change.ts"
import type { Instant } from "../../protocol/registry/Instant.ts"
import type { Registry } from "../../protocol/registry/Registry.ts"
import * as RegistryMessage from "../../protocol/wire/RegistryMessage.ts"
import * as RegistryMetrics from "./RegistryMetrics.ts"
import { RegistryNotices } from "./RegistryNotices.ts"
import * as RegistrySession from "./RegistrySession.ts"
import type { RegistryStore, RegistryStoreError } from "./RegistryStore.ts"

/** The limits of a server. */
export interface Limits extends RegistrySession.SessionLimits {
  /** Requests of one source group. */
  readonly requests: BucketConfig
  /** Sources whose budgets are remembered. */
  readonly sourcesMax: number
}

/** What a turn works with. */
export interface Parts {
  readonly registry: Registry
  readonly store: RegistryStore["Service"]
  readonly metrics: RegistryMetrics.RegistryMetrics
  readonly clock: Clock.Clock
  readonly limits: Limits
}

/** One life of the server. Mutable; owned by the server actor. */
export class RegistryTurn {
  readonly #parts: Parts
  readonly #sessions = new Map<number, RegistrySession.RegistrySession>()
  /** Sessions with requests or replies of this turn. */
  readonly #active = new Set<RegistrySession.RegistrySession>()
  /** Sessions with requests left: others had to get their turn, their source's budget is used up, or they do not read. */
  readonly #held = new Set<RegistrySession.RegistrySession>()
  #heldRetryAtMs = Number.POSITIVE_INFINITY
  readonly #budgets: ExpiringMap<string, TokenBucket>
  #changes: Array<Change> = []
  #nextSweepAtMs: number
  #nextCheckAtMs: number
  readonly #notices = new RegistryNotices()

  constructor(parts: Parts) {
    this.#parts = parts
    this.#budgets = new ExpiringMap({ entriesMax: parts.limits.sourcesMax, lifeMs: BUDGET_LIFE_MS })
    const { nowMs } = this.#now()
    this.#nextSweepAtMs = nowMs + SWEEP_MS
    this.#nextCheckAtMs = nowMs + CHECK_MS
  }

  /** Connections open. */
  get sessionsCount(): number {
    return this.#sessions.size
  }

  /** Takes one batch of events and handles its requests; replies wait for `finish`. */
  receive(events: ReadonlyArray<ServerEvent>): void {
    const at = this.#now()
    for (const event of events) {
      if (event._tag === "Opened") {
        this.#sessions.set(event.connection.id, RegistrySession.make(event.connection, at.nowMs))
        continue
      }
      const session = this.#sessions.get(event.connection.id)
      if (session === undefined) {
        // A connection of an earlier life of this actor.
        event.connection.destroy()
      } else if (event._tag === "Closed") {
        this.#forget(session)
      } else {
        if (!RegistrySession.received(session, event.bytes, at.nowMs)) this.#malformed(session, "FrameTooLong")
        this.#active.add(session)
        this.#handleWaiting(session)
      }
    }
  }

  /** Ends the turn: replies without changes leave, changes are stored, the other replies leave. */
  finish(): Effect.Effect<void, RegistryStoreError> | void {
    const { nowMs } = this.#now()
    for (const session of this.#active) if (!session.holdsChange) this.#release(session, nowMs)
    if (this.#changes.length === 0) return this.#notices.report(nowMs)
    const changes = this.#changes
    this.#changes = []
    return Effect.flatMap(this.#parts.store.commit(changes), () => {
      for (const session of this.#active) this.#release(session, nowMs)
      return this.#notices.report(nowMs) ?? Effect.void
    })
  }

  /** When `timerFired` is due. */
  deadlineMs(): number {
    return Math.min(this.#nextSweepAtMs, this.#nextCheckAtMs, this.#heldRetryAtMs)
  }

  /** Sweeps the registry, drops clients that take too long, goes on with those that were held back. */
  timerFired(): void {
    const at = this.#now()
    if (at.nowMs >= this.#nextSweepAtMs) {
      this.#nextSweepAtMs = at.nowMs + SWEEP_MS
      this.#changes.push(...this.#parts.registry.sweep(at))
      this.#budgets.prune(at.nowMs)
    }
    if (at.nowMs >= this.#nextCheckAtMs) {
      this.#nextCheckAtMs = at.nowMs + CHECK_MS
      for (const session of this.#sessions.values()) {
        if (RegistrySession.isExpired(session, this.#parts.limits, at.nowMs)) session.connection.destroy()
      }
    }
    if (at.nowMs < this.#heldRetryAtMs) return
    const held = [...this.#held]
    this.#held.clear()
    this.#heldRetryAtMs = Number.POSITIVE_INFINITY
    for (const session of held) {
      this.#active.add(session)
      this.#handleWaiting(session)
    }
  }

  /** Closes every connection. */
  destroy(): void {
    for (const session of this.#sessions.values()) session.connection.destroy()
  }

  #handleWaiting(session: RegistrySession.RegistrySession): void {
    let handled = 0
    for (const body of session.waiting) {
      const at = this.#now()
      if (handled >= REQUESTS_PER_TURN || RegistrySession.isBlocked(session, this.#parts.limits, at.nowMs)) break
      if (!this.#spend(session.connection.remote.host, at.nowMs)) break
      handled++
      if (!this.#handle(session, body, at)) {
        session.isEnding = true
        handled = session.waiting.length
        break
      }
    }
    session.waiting.splice(0, handled)
    if (session.waiting.length === 0) return
    this.#held.add(session)
    const pauseMs = handled === REQUESTS_PER_TURN ? 0 : HELD_RETRY_MS
    this.#heldRetryAtMs = Math.min(this.#heldRetryAtMs, this.#now().nowMs + pauseMs)
  }

  /** False when the connection ends after what it was answered so far. */
  #handle(session: RegistrySession.RegistrySession, body: Uint8Array, at: Instant): boolean {
    const decoded = RegistryMessage.decode(body)
    if (Result.isFailure(decoded)) {
      this.#malformed(session, "NotAnObject")
      return false
    }
    const handled = this.#parts.registry.handle(decoded.success, session.connection.remote, at)
    for (const change of handled.changes) this.#changes.push(change)
    if (handled.changes.length > 0) session.holdsChange = true
    if (handled.kind === "deregister" && handled.changes.length > 0) this.#parts.metrics.deregistrations++
    if (handled.refusal?.code === "unsigned_register") this.#notices.unsignedRefused()
    session.outbox.push(RegistryMessage.encode(handled.reply))
    const durationMs = this.#now().nowMs - at.nowMs
    RegistryMetrics.record(this.#parts.metrics, handled.kind, handled.refusal !== undefined, durationMs)
    return !handled.isLast
  }

  #release(session: RegistrySession.RegistrySession, nowMs: number): void {
    this.#active.delete(session)
    RegistrySession.flush(session, nowMs)
  }

  #forget(session: RegistrySession.RegistrySession): void {
    this.#sessions.delete(session.connection.id)
    this.#active.delete(session)
    this.#held.delete(session)
  }

  #spend(host: string, nowMs: number): boolean {
    const source = SourceGroup.of(host)
    const known = this.#budgets.get(source, nowMs)
    if (known !== undefined) return known.take(nowMs)
    const bucket = new TokenBucket(this.#parts.limits.requests, nowMs)
    this.#budgets.set(source, bucket, nowMs)
    return bucket.take(nowMs)
  }

  #malformed({ connection }: RegistrySession.RegistrySession, reason: RegistryMetrics.BadInput): void {
    this.#parts.metrics.malformed[reason]++
    this.#notices.malformed(reason, connection.remote.host)
  }

  #now(): Instant {
    const { clock } = this.#parts
    return {
      nowMs: MonotonicTime.nowMsUnsafe(clock),
      unixSeconds: Math.floor(clock.currentTimeMillisUnsafe() / 1000)
    }
  }
}

/** How often silent nodes are looked for (rendezvous §3.1). */
const SWEEP_MS = 60_000
/** How often slow and idle clients are looked for. */
const CHECK_MS = 5000
/** How soon a client that was held back is tried again. */
const HELD_RETRY_MS = 20
/** Requests of one connection before others get their turn. */
const REQUESTS_PER_TURN = 256
/** A budget is recreated full after this long, which is longer than it takes to refill. */
const BUDGET_LIFE_MS = 60_000
