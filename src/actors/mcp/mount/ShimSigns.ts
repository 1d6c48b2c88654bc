/**
 * Tells calls that hear nothing that they are waited for (mcp §6.7), also while there is no stream, and lets only such
 * progress of the server pass that a sign has not overtaken. Owned by one `ShimSession`.
 */
import { Effect, Latch } from "effect"
import * as JsonRpcPeek from "../../../protocol/relay/JsonRpcPeek.ts"
import { ProgressKeepAlive, type Told } from "../../../protocol/relay/ProgressKeepAlive.ts"

/** What signs are given with. */
export interface Options {
  readonly nowMs: () => number
  /** What is waited for, in a few words. */
  readonly text: () => string
  readonly write: (sign: Uint8Array) => Effect.Effect<void>
}

/** The signs of one session. */
export class ShimSigns {
  readonly #options: Options
  readonly #alive = new ProgressKeepAlive()
  readonly #watched = Latch.makeUnsafe(false)

  constructor(options: Options) {
    this.#options = options
  }

  /** A call that wants progress waits. */
  started(id: string, progressToken: string): void {
    this.#alive.started(id, progressToken, this.#options.nowMs())
    this.#watched.openUnsafe()
  }

  /** Goes on with a call of another process. */
  restored(id: string, told: Told): void {
    this.#alive.restored(id, told, this.#options.nowMs())
    this.#watched.openUnsafe()
  }

  /** What the client of each call has been told, by id. */
  get told(): Iterable<readonly [string, Told]> {
    return this.#alive.told
  }

  /** A call waits no longer. */
  ended(id: string): void {
    this.#alive.ended(id)
  }

  /** Whether a progress of the server says something new. */
  isNews({ progressToken }: { readonly progressToken: string | undefined }, bytes: Uint8Array): boolean {
    const progress = () => Number(JsonRpcPeek.member(bytes, ["params", "progress"]))
    return progressToken === undefined || this.#alive.progressed(progressToken, progress(), this.#options.nowMs())
  }

  /** Gives signs for ever. */
  readonly run: Effect.Effect<never> = Effect.gen({ self: this }, function* () {
    const { nowMs, text, write } = this.#options
    while (true) {
      const deadlineMs = this.#alive.deadlineMs()
      if (deadlineMs === undefined) {
        this.#watched.closeUnsafe()
        yield* this.#watched.await
        continue
      }
      yield* Effect.sleep(Math.max(1, deadlineMs - nowMs()))
      for (const sign of this.#alive.due(nowMs(), text())) yield* write(sign)
    }
  })
}
