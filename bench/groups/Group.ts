/** A part of the benchmark that can be run alone. */
import type { Cause, Effect, FileSystem, Scope } from "effect"
import type { Figure } from "../Figure.ts"

/** Measures for about so many seconds on two idle cores. A group that cannot run here fails and says why. */
export interface Group {
  readonly name: string
  readonly about: string
  readonly seconds: number
  readonly run: Effect.Effect<ReadonlyArray<Figure>, Cause.YieldableError, FileSystem.FileSystem | Scope.Scope>
}
