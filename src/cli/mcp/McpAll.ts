/**
 * `pilotctl mcp tools` and `mcp call` over every service that this node may use (mcp §6.11): a front in this process, and a
 * client of our own on it, for as long as the command runs.
 */
import { Duration, Effect, Logger } from "effect"
import * as McpClient from "../../actors/mcp/client/McpClient.ts"
import * as Front from "../../actors/mcp/front/Front.ts"
import * as McpServer from "../../api/McpServer.ts"
import * as NativeCrypto from "../../core/crypto/NativeCrypto.ts"
import * as Json from "../../core/data/Json.ts"
import * as FederatedName from "../../protocol/mcp/FederatedName.ts"
import * as MetaTools from "../../protocol/mcp/MetaTools.ts"
import * as PlainText from "../../protocol/mcp/PlainText.ts"
import * as CliError from "../CliError.ts"
import { CliHost } from "../CliHost.ts"
import { type Environment, type Input, type Output, output } from "../Command.ts"
import * as DaemonClient from "../DaemonClient.ts"
import * as Values from "../Values.ts"
import * as McpConnect from "./McpConnect.ts"
import * as McpFront from "./McpFront.ts"
import * as McpUse from "./McpUse.ts"
import * as MountEgress from "./MountEgress.ts"

/** Whether a text is a federated name, and not `PEER/SERVICE`. */
export const isName = (text: string): boolean => !text.includes("/") && FederatedName.aliasIn(text) !== undefined

/** Every tool, or those that fit the words, best first. */
export const tools = Effect.fnUntraced(
  function* (words: string | undefined, limit: number): Effect.fn.Return<Output, CliError.CliError, Environment> {
    const rows = words === undefined ? yield* listed : yield* found(words, limit)
    const width = Math.max(0, ...rows.map(({ name }) => name.length))
    const human = rows.map(({ description, name }) => `${name.padEnd(width)}  ${PlainText.line(description, LINE_MAX)}`)
    return output({ tools: rows }, human.length === 0 ? NOTHING : human.join("\n"))
  },
  Effect.provideService(Logger.LogToStderr, true)
)

/** Runs the tool of that federated name. */
export const call = Effect.fnUntraced(
  function* (name: string, argsText: string, input: Input): Effect.fn.Return<Output, CliError.CliError, Environment> {
    yield* McpUse.argumentsOf(argsText)
    const server = yield* open("all", input)
    return yield* McpUse.perform(server, name, name, argsText, input)
  },
  Effect.provideService(Logger.LogToStderr, true)
)

const listed = Effect.gen(function* () {
  const server = yield* open("all")
  const all = yield* Effect.mapError(server.tools, McpUse.failure)
  return all.map(({ definition, description, inputSchema, name, title }) => ({
    name,
    title,
    description,
    hints: Json.member(definition, "annotations") ?? {},
    input_schema: inputSchema
  }))
})

const found = Effect.fnUntraced(function* (query: string, limit: number) {
  const server = yield* open("call")
  const result = yield* Effect.mapError(server.call(MetaTools.NAME.search, { query, limit }), (error) =>
    error._tag === "ToolFailed" ? CliError.invalidArgument(error.message) : McpUse.failure(error)
  )
  const value = Json.isObject(result.structured) ? result.structured : {}
  return Json.objects(value, "tools").map((tool) => ({
    name: Json.string(tool, "name"),
    title: Json.string(tool, "title"),
    description: Json.string(tool, "description"),
    hints: Json.member(tool, "hints") ?? {},
    service: Json.string(tool, "service"),
    pin: Json.string(tool, "pin")
  }))
})

const open = Effect.fnUntraced(function* (mode: Front.Settings["mode"], input?: Input) {
  const { version } = yield* CliHost
  // Without it nobody can be asked, and nobody is waited for.
  yield* Effect.scoped(DaemonClient.connect)
  const pins = yield* McpConnect.pinMode((input && Values.text(input, "pins")) ?? "warn")
  const front = yield* Effect.gen(function* () {
    const egress = input && (yield* MountEgress.open(input))
    return yield* McpFront.make({ ...Front.DEFAULTS, mode, patience: PATIENCE }, pins, { egress })
  }).pipe(Effect.provide(NativeCrypto.layer))
  const lines = yield* front.connect(false)
  return McpServer.fromClient(
    yield* Effect.mapError(McpClient.make(lines, { name: "pilotctl", version }), McpUse.failure)
  )
})

/** Nobody tells a command what comes later, so it waits as long as the list of one service may take. */
const PATIENCE = Duration.seconds(60)
const LINE_MAX = 100
const NOTHING = "no tools; peers that trust this node have to expose services to it, see: pilotctl mcp front --help"
