/** The open sessions of one mount, as it tells of them. Nothing of it runs while nobody asks. */
import { Effect, type Scope } from "effect"
import type * as MountControl from "../MountControl.ts"
import * as Target from "../Target.ts"
import type { ShimSession } from "./ShimSession.ts"
import type { SignOfLife } from "./SignOfLife.ts"

/** One session. */
interface Shown {
  readonly target: Target.Target
  readonly session: ShimSession
  readonly signs: Pick<SignOfLife<never>, "ask" | "last">
}

/** The sessions of one mount. */
export class MountBoard {
  readonly #shown = new Set<Shown>()

  /** Asks the servers of all sessions for a sign of life, at the same time. */
  readonly ask: Effect.Effect<void> = Effect.suspend(() =>
    Effect.forEach([...this.#shown], ({ signs }) => signs.ask, { concurrency: "unbounded", discard: true })
  )

  /** Tells of a session until the scope ends. */
  show(shown: Shown): Effect.Effect<void, never, Scope.Scope> {
    return Effect.acquireRelease(
      Effect.sync(() => {
        this.#shown.add(shown)
      }),
      () => Effect.sync(() => this.#shown.delete(shown))
    )
  }

  /** What there is now. */
  sessions(): ReadonlyArray<MountControl.Session> {
    return [...this.#shown].map(({ session, signs, target }) => {
      const { answeredAtMs, failedAtMs, ...health } = session.health()
      const sign = signs.last()
      return {
        target: Target.format([target]),
        isConnected: session.epoch().relay.session.isAttached,
        ...health,
        ...(answeredAtMs === undefined ? {} : { answeredAtMs }),
        ...(failedAtMs === undefined ? {} : { failedAtMs }),
        ...(sign === undefined ? {} : { sign })
      }
    })
  }
}
