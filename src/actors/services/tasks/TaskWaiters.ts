/**
 * Who waits for a task that it could take, by what it would take, the longest first: one task wakes one of them, however many there
 * are.
 */
import { Effect } from "effect"

/** What programs wait for: a task of the kind that nobody works on. */
export const toClaim = (kind: string): string => `claim ${kind}`

/** What a person waits for: one that nobody has answered. */
export const toAccept = (kind: string): string => `accept ${kind}`

/** Mutable, with one owner. */
export class TaskWaiters {
  readonly #waiting = new Map<string, Set<Waiter>>()

  /** Until there is something under one of these names, unless `isThere` finds that there is already. */
  wait(names: ReadonlyArray<string>, isThere: () => boolean): Effect.Effect<void> {
    return Effect.callback<void>((resume) => {
      if (isThere()) return resume(Effect.void)
      const waiter: Waiter = { names, resume: () => resume(Effect.void) }
      for (const name of names) this.#waiting.set(name, (this.#waiting.get(name) ?? new Set()).add(waiter))
      return Effect.sync(() => this.#remove(waiter))
    })
  }

  /** Somebody that waits and looks: if it goes away, perhaps without a look at what it was woken for, the next one is woken. */
  looking<A, E>(names: ReadonlyArray<string>, look: Effect.Effect<A, E>): Effect.Effect<A, E> {
    return Effect.onInterrupt(look, () =>
      Effect.sync(() => {
        for (const name of names) this.wake(name)
      })
    )
  }

  /** Something is there under this name: whoever has waited longest goes on. */
  wake(name: string): void {
    for (const waiter of this.#waiting.get(name) ?? []) {
      this.#remove(waiter)
      return waiter.resume()
    }
  }

  /** Something will be there, or nobody knows what is: all look again, of one name or of every. */
  wakeAll(name?: string): void {
    const of = name === undefined ? [...this.#waiting.values()] : [this.#waiting.get(name) ?? []]
    for (const waiter of new Set(of.flatMap((waiters) => [...waiters]))) {
      this.#remove(waiter)
      waiter.resume()
    }
  }

  #remove(waiter: Waiter): void {
    for (const name of waiter.names) {
      const waiters = this.#waiting.get(name)
      waiters?.delete(waiter)
      if (waiters?.size === 0) this.#waiting.delete(name)
    }
  }
}

interface Waiter {
  readonly names: ReadonlyArray<string>
  readonly resume: () => void
}
