/** Where one session of a mount is, and where it goes next: the selection of an instance as that session sees it. */
import { Effect, Latch } from "effect"
import * as InstanceSelector from "../../../protocol/relay/InstanceSelector.ts"
import { isSame, type Target, type Targets } from "../Target.ts"

/** The choice of one session. It is where it was until it takes the move. */
export class InstanceChoice {
  readonly moved = Latch.makeUnsafe(false)
  readonly target: Target
  state: InstanceSelector.State
  /** The instance that the session is at. */
  used: number
  isPending = false
  moves = 0
  because = ""
  readonly #targets: Targets
  readonly #learned = Latch.makeUnsafe(false)
  #chosen: number

  constructor(targets: Targets, state: InstanceSelector.State) {
    this.#targets = targets
    this.state = state
    this.used = this.#chosen =
      state.current ??
      Math.max(
        0,
        state.instances.findIndex(({ isGone }) => !isGone)
      )
    const current = () => this.#at(this.used)
    this.target = {
      get peer() {
        return current().peer
      },
      get service() {
        return current().service
      }
    }
  }

  /** Waits until there is a move, or nothing is left that was never heard of. */
  get settled(): Effect.Effect<void> {
    return Effect.suspend(() => {
      if (this.isPending || !this.state.instances.some(InstanceSelector.isUnheardOf)) return Effect.void
      this.#learned.closeUnsafe()
      return Effect.andThen(this.#learned.await, this.settled)
    })
  }

  /** Whether it is there, or about to go there. */
  isAt(index: number): boolean {
    return index === this.used || index === this.#chosen || index === this.state.current
  }

  knows(index: number): InstanceSelector.Instance {
    return this.state.instances[index] ?? InstanceSelector.UNKNOWN
  }

  /** Something was seen; a sentence if it means a move. */
  learn(input: InstanceSelector.Input, nowMs: number): string | undefined {
    const step = SELECTOR.step(this.state, input, nowMs)
    this.state = step.state
    this.#learned.openUnsafe()
    const { index = this.#chosen, reason = "first" } = step.outputs.at(-1) ?? {}
    if (index === this.#chosen) return undefined
    const [before, after] = [this.#at(this.#chosen), this.#at(index)]
    this.#chosen = index
    this.moves++
    this.because = `${before.peer} ${REASONS[reason]}, so this mount uses ${after.peer} now.`
    this.isPending = true
    this.moved.openUnsafe()
    return `${before.peer}/${before.service} → ${after.peer}/${after.service}: ${this.because}`
  }

  stay(target: Target): void {
    const index = this.#targets.findIndex((one) => isSame(one, target))
    if (index < 0 || this.isPending) return
    this.used = this.#chosen = index
    // Or it would never leave it for the one that was chosen before.
    this.state = { ...this.state, current: index }
  }

  take(): boolean {
    const had = this.isPending
    this.isPending = false
    this.used = this.#chosen
    this.moved.closeUnsafe()
    return had
  }

  #at(index: number): Target {
    return this.#targets[index] ?? this.#targets[0]
  }
}

const SELECTOR = InstanceSelector.make()

const REASONS: Readonly<Record<InstanceSelector.Reason, string>> = {
  first: "was not measured yet",
  away: "cannot be reached",
  gone: "does not offer the service any more",
  failing: "answers, but its server does not work",
  slower: "has become slower than another"
}
