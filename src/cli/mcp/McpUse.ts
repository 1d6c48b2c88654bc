/** `pilotctl mcp tools` and `mcp call`: the tools of a peer's server for people and scripts. */
import { Effect, Layer, Logger, Stream } from "effect"
import * as McpClient from "../../actors/mcp/client/McpClient.ts"
import * as Shim from "../../actors/mcp/mount/Shim.ts"
import * as Target from "../../actors/mcp/Target.ts"
import * as McpServer from "../../api/McpServer.ts"
import * as NativeCrypto from "../../core/crypto/NativeCrypto.ts"
import * as Json from "../../core/data/Json.ts"
import * as DuplexPair from "../../core/net/DuplexPair.ts"
import * as PlainText from "../../protocol/mcp/PlainText.ts"
import * as BridgeError from "../../protocol/relay/BridgeError.ts"
import * as CliError from "../CliError.ts"
import { CliHost } from "../CliHost.ts"
import { type Environment, type Input, type Output, output } from "../Command.ts"
import * as DaemonClient from "../DaemonClient.ts"
import * as Terminal from "../Terminal.ts"
import * as Values from "../Values.ts"
import * as McpConnect from "./McpConnect.ts"
import * as McpTargets from "./McpTargets.ts"
import * as MountEgress from "./MountEgress.ts"

/** The tools of a service, of one or several peers. */
export const tools = Effect.fnUntraced(function* (
  targets: Target.Targets,
  pinMode: string
): Effect.fn.Return<Output, CliError.CliError, Environment> {
  const server = yield* open(targets, pinMode)
  const found = yield* Effect.mapError(server.tools, failure)
  const rows = found.map(({ definition, description, name, title }) => ({
    name,
    title,
    description: PlainText.clean(description).text,
    hidden_characters: PlainText.clean(JSON.stringify(definition)).hidden,
    input_schema: Json.member(definition, "inputSchema")
  }))
  const width = Math.max(0, ...rows.map(({ name }) => name.length))
  const suspicious = rows.filter((row) => row.hidden_characters > 0).map(({ name }) => PlainText.line(name))
  const human = [
    ...rows.map(
      ({ description, name }) => `${PlainText.line(name).padEnd(width)}  ${PlainText.line(description, 100)}`
    ),
    ...(rows.length === 0 ? [`${Target.format(targets)} has no tools`] : []),
    ...suspicious.map((name) => `warning: the definition of ${name} holds characters that cannot be seen`)
  ]
  return output({ server: server.info, revision: server.revision, tools: rows }, human.join("\n"))
})

/** Runs one tool. Steps go to standard error, the result to standard output; a tool that failed is exit code 1. */
export const call = Effect.fnUntraced(function* (
  targets: Target.Targets,
  tool: string,
  argsText: string,
  input: Input
): Effect.fn.Return<Output, CliError.CliError, Environment> {
  yield* argumentsOf(argsText)
  const server = yield* open(targets, Values.text(input, "pins") ?? "warn", input)
  // A definition that changed shows in a list only. A server without one still has its call.
  yield* Effect.ignore(server.tools)
  return yield* perform(server, targets.map((target) => Target.format([target])).join(" "), tool, argsText, input)
})

/** The value of `--args`. */
export const argumentsOf = (text: string): Effect.Effect<Json.JsonObject, CliError.CliError> => {
  const args = Json.parseObject(text)
  return args === undefined
    ? CliError.invalidArgument("--args is not a JSON object", `--args '{"path":"."}'`)
    : Effect.succeed(args)
}

/** Runs one tool of an open server, which people know as `label`. */
export const perform = Effect.fnUntraced(function* (
  server: McpServer.McpServer,
  label: string,
  tool: string,
  argsText: string,
  input: Input
): Effect.fn.Return<Output, CliError.CliError, Environment> {
  const args = yield* argumentsOf(argsText)
  const last = yield* server.watch(tool, args).pipe(
    Stream.tap((update) =>
      update._tag === "Progress" ? Terminal.note(input, progressLine(update.progress)) : Effect.void
    ),
    Stream.runLast,
    Effect.flatMap(Effect.fromOption),
    Effect.mapError((error) => failureOf(label, error))
  )
  if (last._tag !== "Done") return yield* CliError.make("internal", "the server ended the call without a result")
  const { content, structured, text: said } = last.result
  const others = content.length - content.filter((part) => Json.string(part, "type") === "text").length
  return output(
    { content, structured, text: said },
    [PlainText.clean(said).text, ...(others > 0 ? [`(${others} parts that are no text: see --json)`] : [])].join("\n")
  )
})

/** A session of its own with the server, as long as the command runs. */
const open = Effect.fnUntraced(function* (
  targets: Target.Targets,
  pinMode: string,
  input?: Input
): Effect.fn.Return<McpServer.McpServer, CliError.CliError, Environment> {
  const { version } = yield* CliHost
  const [near, far] = yield* DuplexPair.make
  const pinsOf = yield* McpConnect.guards(pinMode)
  yield* Effect.gen(function* () {
    const route = yield* Effect.flatMap(McpTargets.open(targets), ({ follow }) => follow)
    const pins = yield* pinsOf(route.target)
    const egress = input && (yield* MountEgress.open(input))
    yield* Effect.forkScoped(Effect.ensuring(Shim.run({ client: far, pins, egress, ...route }), far.end))
  }).pipe(Effect.provide(Layer.merge(NativeCrypto.layer, Layer.succeed(Logger.LogToStderr, true))))
  return McpServer.fromClient(
    yield* Effect.catch(McpClient.make(near, { name: "pilotctl", version }), (error) =>
      // A daemon that is not there is told as by every other command.
      error.code === BridgeError.CODE.unreachable
        ? Effect.andThen(Effect.scoped(DaemonClient.connect), Effect.fail(failure(error)))
        : Effect.fail(failure(error))
    )
  )
})

const progressLine = ({ message, progress, total }: McpClient.Progress): string =>
  [total === undefined ? `${progress}` : `${progress}/${total}`, PlainText.line(message)].join(" ").trim()

const failureOf = (
  target: string,
  error: McpClient.McpError | McpServer.ToolFailed | { readonly _tag: "NoSuchElementError" }
): CliError.CliError => {
  switch (error._tag) {
    case "McpError":
      return failure(error)
    case "ToolFailed":
      return CliError.make(
        "internal_error",
        `${error.tool} failed: ${PlainText.clean(error.message).text}`,
        `what it wants: pilotctl mcp tools ${target} --json`
      )
    case "NoSuchElementError":
      return CliError.make("internal", "the server ended the call without a result")
  }
}

/** What went wrong between this command and a server, in the words of commands. */
export const failure = ({ code, message, reason }: McpClient.McpError): CliError.CliError => {
  const text = PlainText.clean(message).text
  switch (code) {
    case BridgeError.CODE.unreachable:
      return CliError.make("connection_failed", text)
    case BridgeError.CODE.denied:
      return CliError.make("untrusted", text)
    case BridgeError.CODE.deadline:
      return CliError.make("timeout", text)
    case BridgeError.CODE.overloaded:
      return CliError.make("invalid_state", text)
    case INVALID_PARAMS:
      return CliError.invalidArgument(text)
    default:
      return CliError.make(reason === "Closed" ? "connection_failed" : "internal_error", text)
  }
}

/** JSON-RPC's code for arguments that a tool does not take, and for tools that do not exist. */
const INVALID_PARAMS = -32602
