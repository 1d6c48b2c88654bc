/**
 * What the operator of a registry should know of its clients: gathered, and told at most once a minute, because it is
 * strangers who cause it.
 */
import { Effect } from "effect"
import type { BadInput } from "./RegistryMetrics.ts"

/** Mutable; owned by one life of the server. */
export class RegistryNotices {
  #unsigned = 0
  #unsignedReportedAtMs = Number.NEGATIVE_INFINITY
  #malformed: Record<BadInput, number> = { FrameTooLong: 0, NotAnObject: 0 }
  /** Of the last of them: one is enough to look for. */
  #malformedFrom = ""
  #malformedReportedAtMs = Number.NEGATIVE_INFINITY

  /** A node that signs nothing was turned away. */
  unsignedRefused(): void {
    this.#unsigned++
  }

  /** A connection from this host was ended for what it sent. */
  malformed(reason: BadInput, host: string): void {
    this.#malformed[reason]++
    this.#malformedFrom = host
  }

  /** Tells what is due, and begins to count afresh. */
  report(nowMs: number): Effect.Effect<void> | void {
    const unsigned = this.#reportUnsigned(nowMs)
    const malformed = this.#reportMalformed(nowMs)
    if (unsigned === undefined) return malformed
    return malformed === undefined ? unsigned : Effect.andThen(unsigned, malformed)
  }

  #reportUnsigned(nowMs: number): Effect.Effect<void> | undefined {
    if (this.#unsigned === 0 || nowMs - this.#unsignedReportedAtMs < REPORT_MS) return undefined
    const refused = this.#unsigned
    this.#unsigned = 0
    this.#unsignedReportedAtMs = nowMs
    return Effect.logWarning(
      `registry: refused ${refused} unsigned registrations; --compat-unsigned-register admits nodes that cannot sign`
    )
  }

  #reportMalformed(nowMs: number): Effect.Effect<void> | undefined {
    const reasons = this.#malformed
    const count = reasons.FrameTooLong + reasons.NotAnObject
    if (count === 0 || nowMs - this.#malformedReportedAtMs < REPORT_MS) return undefined
    this.#malformed = { FrameTooLong: 0, NotAnObject: 0 }
    this.#malformedReportedAtMs = nowMs
    return Effect.logWarning("registry: closed connections that sent no requests", {
      ...reasons,
      last: this.#malformedFrom
    })
  }
}

const REPORT_MS = 60_000
