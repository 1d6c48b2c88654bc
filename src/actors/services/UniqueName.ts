/**
 * Names in one directory that belong to one file each. This process is the only one that adds files there, so a name is
 * free when no file has it and nobody here is about to use it. Case does not tell names apart: on some systems it does not.
 */
import { Effect, FileSystem, type PlatformError } from "effect"

/** Mutable, one per directory. */
export class UniqueName {
  readonly #directory: string
  readonly #claimed = new Set<string>()

  constructor(directory: string) {
    this.#directory = directory
  }

  /** The first of `nameOf(0)`, `nameOf(1)`, … that is free; it must be released when the file is there, or will not be. */
  claim(nameOf: (count: number) => string): Effect.Effect<string, PlatformError.PlatformError, FileSystem.FileSystem> {
    const tryFrom = (first: number): Effect.Effect<string, PlatformError.PlatformError, FileSystem.FileSystem> =>
      Effect.suspend(() => {
        let count = first
        while (this.#claimed.has(nameOf(count).toLowerCase())) count++
        const name = nameOf(count)
        this.#claimed.add(name.toLowerCase())
        return Effect.flatMap(FileSystem.FileSystem, (files) => files.exists(`${this.#directory}/${name}`)).pipe(
          Effect.onError(() => this.release(name)),
          Effect.flatMap((isTaken) =>
            isTaken ? Effect.andThen(this.release(name), tryFrom(count + 1)) : Effect.succeed(name)
          )
        )
      })
    return tryFrom(0)
  }

  /** Gives a name back. */
  release(name: string): Effect.Effect<void> {
    return Effect.sync(() => {
      this.#claimed.delete(name.toLowerCase())
    })
  }
}
