/** The official clients as a person would use them: each starts a command as its stdio server and asks it things. */
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Client as Client2 } from "@modelcontextprotocol/client"
import { StdioClientTransport as Stdio2 } from "@modelcontextprotocol/client/stdio"
import { Client as Client1 } from "@modelcontextprotocol/sdk/client/index.js"
import { StdioClientTransport as Stdio1 } from "@modelcontextprotocol/sdk/client/stdio.js"
import { Effect, Schema, type Scope } from "effect"
import * as PilotProcesses from "../../support/PilotProcesses.ts"

/** A command line and its environment. */
export interface Command {
  readonly args: ReadonlyArray<string>
  readonly env: Readonly<Record<string, string>>
}

/** One question, as a method of MCP. */
export interface Question {
  readonly method: string
  readonly params?: Readonly<Record<string, unknown>>
}

/** What came of it, as text: a result, or an error with its code. */
export type Answer = string

/** Asks all of it in turn. */
export type Client = (command: Command, questions: ReadonlyArray<Question>) => Effect.Effect<ReadonlyArray<Answer>>

/** What both SDK generations offer for any method. */
interface Asking {
  readonly request: (question: Question) => Promise<unknown>
  readonly close: () => Promise<void>
}

const asking =
  (open: (command: Command) => Promise<Asking>): Client =>
  (command, questions) =>
    Effect.scoped(
      Effect.gen(function* () {
        const client: Asking = yield* connected(() => open(command))
        return yield* Effect.forEach(questions, (question) =>
          Effect.promise(() =>
            client.request(question).then(
              (result) => JSON.stringify(sorted(result)),
              (error: unknown) => `error ${Schema.is(Coded)(error) ? error.code : ""} ${String(error)}`
            )
          )
        )
      })
    )

const connected = (open: () => Promise<Asking>): Effect.Effect<Asking, never, Scope.Scope> =>
  Effect.acquireRelease(Effect.promise(open), (client) => Effect.promise(() => client.close()))

const stdio = ({ args, env }: Command) => ({
  command: process.execPath,
  args: [...args],
  env: { ...env },
  stderr: "ignore" as const
})

/** SDK 1, with every capability a client can have. */
export const sdk1: Client = asking(async (command) => {
  const client = new Client1({ name: "differential", version: "1" }, { capabilities: {} })
  // The SDK's transport is not declared for exactOptionalPropertyTypes.
  await client.connect(new Stdio1(stdio(command)) as Parameters<typeof client.connect>[0])
  return {
    request: ({ method, params }) =>
      client.request({ method, params: params ?? {} } as Parameters<typeof client.request>[0], ANYTHING1 as never),
    close: () => client.close()
  }
})

/** SDK 2, which finds out the era by itself. */
export const sdk2: Client = asking(async (command) => {
  const client = new Client2(
    { name: "differential", version: "1" },
    { capabilities: {}, versionNegotiation: { mode: "auto" } }
  )
  await client.connect(new Stdio2(stdio(command)))
  return {
    request: ({ method, params }) => client.request({ method, params: params ?? {} } as never, ANYTHING2 as never),
    close: () => client.close()
  }
})

/** The inspector's command line, a process for each question. It hands a server only what `-e` names. */
export const inspector: Client = ({ args, env }, questions) =>
  Effect.forEach(questions, ({ method, params = {} }) =>
    Effect.gen(function* () {
      const home = mkdtempSync(join(tmpdir(), "inspector-"))
      const environment = Object.entries(env).flatMap(([name, value]) => ["-e", `${name}=${value}`])
      const options = [...environment, "--method", method, ...flagsOf(params), "--format", "json", "-q"]
      const { exitCode, stdout } = yield* PilotProcesses.run(
        process.execPath,
        [INSPECTOR, "--cli", ...options, "--", process.execPath, ...args],
        { PATH: process.env["PATH"] ?? "", HOME: home }
      )
      rmSync(home, { recursive: true, force: true })
      return `exit ${exitCode} ${stdout}`
    })
  )

const flagsOf = (params: Readonly<Record<string, unknown>>): ReadonlyArray<string> => {
  const { arguments: args = {}, name, uri } = params
  return [
    ...(name === undefined ? [] : ["--tool-name", String(name)]),
    ...(uri === undefined ? [] : ["--uri", String(uri)]),
    ...Object.entries(args as object).flatMap(([key, value]) => ["--tool-arg", `${key}=${value}`])
  ]
}

/** Members in order of their names, so that only what is said counts. */
const sorted = (value: unknown): unknown => {
  if (Array.isArray(value)) return value.map(sorted)
  if (typeof value !== "object" || value === null) return value
  return Object.fromEntries(
    Object.entries(value)
      .toSorted(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, member]) => [key, sorted(member)])
  )
}

const Coded = Schema.Struct({ code: Schema.Union([Schema.Number, Schema.String]) })
const passes = { parse: (value: unknown) => value, safeParse: (value: unknown) => ({ success: true, data: value }) }
/** Result schemas that let everything through: the comparison is about what was said, not about what a client knows. */
const ANYTHING1 = passes
const ANYTHING2 = {
  "~standard": { version: 1, vendor: "test", validate: (value: unknown) => ({ value }) }
}
const INSPECTOR = new URL(
  "../../../node_modules/@modelcontextprotocol/inspector/clients/launcher/build/index.js",
  import.meta.url
).pathname
