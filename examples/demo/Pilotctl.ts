/** `pilotctl` as a user runs it: processes of their own, each with its own `PILOT_HOME`. */
import { spawn, spawnSync } from "node:child_process"
import { fileURLToPath } from "node:url"
import { Effect, Schedule, Schema } from "effect"

/** A command said no, in its own words. */
export class CommandFailed extends Schema.TaggedError<CommandFailed>()("CommandFailed", {
  command: Schema.String,
  output: Schema.String
}) {}

/** Where the command line of this checkout was built to, or another build of it that is measured. */
export const PROGRAM =
  process.env["PILOTCTL_PROGRAM"] ??
  fileURLToPath(import.meta.resolve("effect-pilot/package.json")).replace(/package\.json$/, "dist/pilotctl/pilotctl.js")

/** The environment of one node: nothing of the user's own Pilot set-up reaches it, but what Node itself is told does. */
export const environment = (home: string): Record<string, string> => {
  const told = ["NODE_OPTIONS", "NODE_COMPILE_CACHE"].flatMap((name) => {
    const value = process.env[name]
    return value === undefined ? [] : [[name, value]]
  })
  return { PATH: process.env["PATH"] ?? "", HOME: home, PILOT_HOME: home, ...Object.fromEntries(told) }
}

/** Runs one command with `--json` and gives its data. */
export const run = (home: string, ...args: ReadonlyArray<string>): Effect.Effect<Schema.Json, CommandFailed> =>
  Effect.callback<Schema.Json, CommandFailed>((resume) => {
    const child = spawn(process.execPath, [PROGRAM, "--json", ...args], { env: environment(home) })
    let output = ""
    child.stdout.on("data", (chunk: Buffer) => (output += chunk.toString()))
    child.stderr.on("data", (chunk: Buffer) => (output += chunk.toString()))
    child.on("close", (code) => {
      const command = `pilotctl ${args.join(" ")}`
      if (code !== 0) return resume(new CommandFailed({ command, output }))
      const line = output.trim().split("\n").at(-1) ?? ""
      resume(
        Effect.map(
          Effect.mapError(decode(line), () => new CommandFailed({ command, output })),
          ({ data }) => data
        )
      )
    })
    // Whoever is told to stop is waited for: `daemon start` takes its daemon with it.
    return Effect.callback<void>((stopped) => {
      if (child.exitCode !== null || child.signalCode !== null) return stopped(Effect.void)
      child.on("close", () => stopped(Effect.void))
      child.kill()
    })
  })

/** What nodes need to know of a rendezvous. */
export type Card = typeof Card.Type
const Card = Schema.Struct({ registry: Schema.String, beacon: Schema.String, fingerprint: Schema.String })

/** Starts a rendezvous in the background. */
export const startRendezvous = (home: string, ...flags: ReadonlyArray<string>): Effect.Effect<Card, CommandFailed> =>
  Effect.flatMap(run(home, "rendezvous", "start", ...flags), understood("rendezvous start", Card))

/** Waits until a node's request for trust has arrived; requests of strangers come by way of the registry. */
export const awaitPending = (home: string, node: number): Effect.Effect<void, CommandFailed> =>
  until(
    Effect.map(Effect.flatMap(run(home, "pending"), understood("pending", Pending)), ({ pending }) =>
      pending.some((request) => request.node_id === node)
    ),
    "the request did not arrive"
  )

/** Waits until a node trusts somebody. */
export const awaitTrusted = (home: string): Effect.Effect<void, CommandFailed> =>
  until(
    Effect.map(Effect.flatMap(run(home, "trust"), understood("trust", Trusted)), ({ trusted }) => trusted.length > 0),
    "the approval did not arrive"
  )

/** Runs one command to its end whatever it says: for cleaning up, where waiting on an effect is no longer possible. */
export const runSync = (home: string, ...args: ReadonlyArray<string>): void => {
  spawnSync(process.execPath, [PROGRAM, ...args], { env: environment(home), stdio: "ignore" })
}

const until = (
  condition: Effect.Effect<boolean, CommandFailed>,
  otherwise: string
): Effect.Effect<void, CommandFailed> =>
  condition.pipe(
    Effect.repeat({ until: (holds) => holds, schedule: Schedule.spaced("100 millis") }),
    Effect.timeoutOrElse({
      duration: "20 seconds",
      orElse: () => new CommandFailed({ command: "waiting", output: otherwise })
    }),
    Effect.asVoid
  )

const understood =
  <A>(command: string, schema: Schema.Codec<A, Schema.Json>) =>
  (data: unknown): Effect.Effect<A, CommandFailed> =>
    Effect.mapError(
      Schema.decodeUnknownEffect(schema)(data),
      (error) => new CommandFailed({ command, output: error.message })
    )

const Pending = Schema.Struct({ pending: Schema.Array(Schema.Struct({ node_id: Schema.Finite })) })
const Trusted = Schema.Struct({ trusted: Schema.Array(Schema.Struct({ node_id: Schema.Finite })) })

const decode = Schema.decodeEffect(Schema.fromJsonString(Schema.Struct({ data: Schema.Json })))
