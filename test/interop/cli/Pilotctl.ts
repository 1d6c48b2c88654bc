/** `pilotctl` as processes of its own, each user with a state directory of its own under one temporary directory. */
import { spawn } from "node:child_process"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { Effect, type Scope } from "effect"
import * as Json from "../../../src/core/data/Json.ts"

/** What one invocation left. */
export interface Outcome {
  readonly exit: number | null
  readonly stdout: string
  readonly stderr: string
  /** `data` of the envelope, or the error object. */
  readonly json: Json.JsonObject
}

/** One user of this host. */
export interface User {
  readonly home: string
  readonly run: (...args: ReadonlyArray<string>) => Effect.Effect<Outcome>
  readonly runWith: (
    variables: Readonly<Record<string, string>>,
    ...args: ReadonlyArray<string>
  ) => Effect.Effect<Outcome>
}

/** A user whose daemon and rendezvous are stopped, and whose directory is removed, with the scope. */
export const user = (name: string): Effect.Effect<User, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() => at(join(mkdtempSync(join(tmpdir(), "pilot-")), name))),
    ({ home, run }) =>
      Effect.all([run("daemon", "stop"), run("rendezvous", "stop")], { discard: true }).pipe(
        Effect.andThen(Effect.sync(() => rmSync(join(home, ".."), { recursive: true, force: true })))
      )
  )

/** A user of an existing state directory. */
export const at = (home: string): User => ({
  home,
  run: (...args) => execute({ PILOT_HOME: home }, args),
  runWith: (variables, ...args) => execute({ PILOT_HOME: home, ...variables }, args)
})

const execute = (variables: Readonly<Record<string, string>>, args: ReadonlyArray<string>): Effect.Effect<Outcome> =>
  Effect.callback((resume) => {
    const { NODE_COMPILE_CACHE = "", PATH = "" } = process.env
    const child = spawn(process.execPath, [PROGRAM, ...args], {
      env: { PATH, NODE_COMPILE_CACHE, HOME: "/nonexistent", ...variables },
      stdio: ["ignore", "pipe", "pipe"]
    })
    let stdout = ""
    let stderr = ""
    child.stdout.on("data", (chunk: Buffer) => {
      stdout += chunk.toString()
    })
    child.stderr.on("data", (chunk: Buffer) => {
      stderr += chunk.toString()
    })
    child.on("close", (exit) => {
      const data = Json.parseObject(stdout)
      const json =
        (data === undefined ? Json.parseObject(stderr) : (Json.member(data, "data") as Json.JsonObject)) ?? {}
      resume(Effect.succeed({ exit, stdout, stderr, json }))
    })
    return Effect.sync(() => child.kill())
  })

const PROGRAM = fileURLToPath(new URL("../../../dist/pilotctl/pilotctl.js", import.meta.url))
