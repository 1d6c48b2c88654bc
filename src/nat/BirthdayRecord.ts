/** What is to be told of the birthday probing with one peer: the try under way, or the last one. Mutable, one for each peer. */
import type { BirthdayOutcome } from "../protocol/ProtocolEvent.ts"
import type { Report, Role } from "./Birthday.ts"

/** Begun, then added to, then over. */
export class BirthdayRecord {
  #report: Report | undefined

  /** `undefined` before the first try. */
  at(nowMs: number): Report | undefined {
    const report = this.#report
    return report?.outcome === "running" ? { ...report, tookMs: nowMs - report.startedAtMs } : report
  }

  /** A try begins, and the last one is forgotten. */
  begin(role: Role, startedAtMs: number): void {
    this.#report = { role, outcome: "running", detail: "", sockets: 0, probes: 0, startedAtMs, tookMs: 0 }
  }

  /** The opener's sockets are open. */
  opened(sockets: number): void {
    if (this.#report !== undefined) this.#report = { ...this.#report, sockets }
  }

  /** A probe was sent. */
  sent(): void {
    if (this.#report !== undefined) this.#report = { ...this.#report, probes: this.#report.probes + 1 }
  }

  /** The try is over. */
  end(outcome: BirthdayOutcome, detail: string, nowMs: number): Report | undefined {
    const report = this.at(nowMs)
    this.#report = report === undefined ? undefined : { ...report, outcome, detail }
    return this.#report
  }
}
