/** What a command knows of the process it runs in: environment, user, and how to start itself again. */
import { Context, type Effect } from "effect"

/** One process' surroundings; `NodeCliHost` reads the real ones. */
export class CliHost extends Context.Service<
  CliHost,
  {
    readonly variables: Readonly<Record<string, string | undefined>>
    /** The home directory of the user who asked: under `sudo` the invoking user's. */
    readonly homeDirectory: string
    /** The user who asked: under `sudo` the invoking user. */
    readonly uid: number
    /** The user the process runs as. */
    readonly effectiveUid: number
    /** Absolute paths of the running Node and of the running program. */
    readonly nodePath: string
    readonly programPath: string
    /** Options given to the running Node, needed to start the program again. */
    readonly nodeOptions: ReadonlyArray<string>
    readonly version: string
    /** The operating system, as Node names it. */
    readonly platform: string
    /** Takes a variable out of the environment, so that no process started from here inherits it. */
    readonly forgetVariable?: (name: string) => void
    /** Asks a person at the terminal for a line that is not shown; `undefined` without a terminal, or when given up. */
    readonly askSecret?: (question: string) => Effect.Effect<string | undefined>
    /** Minutes to add to UTC for local time at an instant, for tables people read. */
    readonly localOffsetMinutes: (epochMs: number) => number
  }
>()("effect-pilot/cli/CliHost") {}
