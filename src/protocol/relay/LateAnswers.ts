/**
 * Answers that are still owed to calls which have been answered in the place of the server already, so that nobody is given a
 * second one. Mutable inside its one owner; at most `OWED_MAX`, of those beyond the oldest are forgotten and pass.
 */
import { InFlight } from "./InFlight.ts"

/** Those of one session. Ids are raw text. */
export class LateAnswers {
  #owed = new InFlight()

  /** The call of that id has its end; the server may answer it all the same. */
  expect(id: string): void {
    const [oldest] = this.#owed.size >= OWED_MAX ? this.#owed.waiting : []
    if (oldest !== undefined) this.#owed.settle(oldest.id)
    this.#owed.add(id, "", 0)
  }

  /** Whether the server may still answer an earlier call of that id. */
  isOwed(id: string): boolean {
    return this.#owed.size > 0 && this.#owed.has(id)
  }

  /** Whether an answer that nobody waits for is one of these; it comes once. */
  isLate(id: string): boolean {
    return this.#owed.size > 0 && this.#owed.settle(id) !== undefined
  }

  /** Nothing is owed any more. */
  clear(): void {
    this.#owed = new InFlight()
  }
}

/** Answers that a server may still owe. */
export const OWED_MAX = 1024
