/** `pilotctl daemon`: a node in the background or in this process (cli §3). */
import { Duration, Effect, FileSystem, Option, Redacted, Result } from "effect"
import * as IpcClient from "../../actors/ipc/IpcClient.ts"
import * as SocketPath from "../../actors/ipc/SocketPath.ts"
import { ServiceOpener } from "../../actors/trust/ServiceOpener.ts"
import { Passphrase } from "../../core/crypto/Passphrase.ts"
import * as Json from "../../core/data/Json.ts"
import { LocalSocket } from "../../core/net/LocalSocket.ts"
import * as Background from "../Background.ts"
import * as CliError from "../CliError.ts"
import { CliHost } from "../CliHost.ts"
import { type Command, type Environment, type Input, type Output, output, silent } from "../Command.ts"
import * as ConfigFile from "../ConfigFile.ts"
import * as DaemonClient from "../DaemonClient.ts"
import * as PassphraseInput from "../identity/PassphraseInput.ts"
import * as LongLived from "../LongLived.ts"
import * as Render from "../Render.ts"
import * as Values from "../Values.ts"
import { FLAGS } from "./daemonFlags.ts"

const start: Command = {
  name: "daemon start",
  usage: "",
  summary: "Starts this node in the background; --foreground keeps it here",
  returns: "address, hostname, node_id, pid, socket, log_file",
  flags: FLAGS,
  run: Effect.fnUntraced(function* (input): Effect.fn.Return<Output, CliError.CliError, Environment> {
    yield* refuseForeignHome
    const config = yield* configOf(input)
    yield* refuseSecond(config.socket)
    if (Values.boolean(input, "foreground") === true) return yield* runHere(input)
    const kind = yield* daemonKind
    yield* ConfigFile.makeHome(config.home)
    const words = ["_daemon-run", "--json", ...wordsOf(input)]
    const secret = yield* askedFor(input, config.identity)
    const { pid, answer } = yield* Background.start(kind, input, words, secret, inquire(kind, config.socket))
    const data = {
      address: Json.string(answer, "address"),
      hostname: Json.string(answer, "hostname"),
      log_file: kind.logPath,
      node_id: Json.integer(answer, "node_id"),
      pid,
      socket: config.socket
    }
    return output(data, startedText(data))
  })
}

const run: Command = {
  name: "_daemon-run",
  usage: "",
  summary: "The daemon itself, as daemon start runs it",
  returns: "nothing",
  flags: FLAGS,
  isInternal: true,
  run: (input) => runHere(input)
}

const stop: Command = {
  name: "daemon stop",
  usage: "",
  summary: "Stops the node: its streams end regularly, then it leaves the registry",
  returns: "pid, forced (only when it had to be killed)",
  flags: [],
  run: Effect.fnUntraced(function* (): Effect.fn.Return<Output, CliError.CliError, Environment> {
    const files = yield* FileSystem.FileSystem
    const kind = yield* daemonKind
    const hadPid = yield* Effect.orElseSucceed(files.exists(kind.pidPath), () => false)
    const pid = yield* Background.livePid(kind)
    if (pid === undefined) return yield* nothingToStop(hadPid)
    const isForced = yield* Background.stop(kind, pid)
    return output(
      { ...(isForced ? { forced: true } : {}), pid },
      `daemon ${isForced ? "force-stopped" : "stopped"} (pid ${pid})`
    )
  })
}

const status: Command = {
  name: "daemon status",
  usage: "",
  summary: "Whether the node runs; with --check only the exit code says so",
  returns: "running, responsive, pid, pid_file, socket, and when running address, hostname, node_id, peers, …",
  flags: [{ name: "check", value: "boolean", summary: "no output; exit code 0 when the daemon answers, else 1" }],
  run: Effect.fnUntraced(function* (input): Effect.fn.Return<Output, CliError.CliError, Environment> {
    const kind = yield* daemonKind
    const pid = (yield* Background.livePid(kind)) ?? 0
    const found = yield* Effect.option(Effect.flatMap(DaemonClient.connect, (client) => client.info))
    if (Values.boolean(input, "check") === true) return silent(Option.isSome(found) ? 0 : 1)
    const socket = SocketPath.listening(yield* DaemonClient.socketOptions)
    const base = { pid, pid_file: kind.pidPath, responsive: Option.isSome(found), socket }
    if (Option.isNone(found)) {
      const running = pid > 0
      return output({ ...base, running }, running ? `Daemon: running (pid ${pid}), not responsive` : STOPPED)
    }
    const info = found.value
    const data = {
      ...base,
      running: true,
      address: Json.string(info, "address"),
      connections: Json.integer(info, "connections"),
      hostname: Json.string(info, "hostname"),
      node_id: Json.integer(info, "node_id"),
      peers: Json.integer(info, "peers"),
      uptime_secs: Json.integer(info, "uptime_secs")
    }
    return output(data, runningText(data))
  })
}

/** The rows of this group. */
export const commands: ReadonlyArray<Command> = [start, stop, status, run]

const daemonKind = Effect.map(
  ConfigFile.directory,
  ({ pid, log }): Background.Kind => ({ name: "daemon", pidPath: pid, logPath: log })
)

/** The heavy part is loaded only where a node runs. */
const runHere = (input: Input): Effect.Effect<Output, CliError.CliError, Environment> =>
  Effect.gen(function* () {
    const config = yield* configOf(input)
    const kind = yield* daemonKind
    const { version } = yield* CliHost
    const { runDaemon } = yield* Effect.promise(() => import("./daemonRun.ts"))
    const passphrase = yield* PassphraseInput.given(input)
    const secret = passphrase ?? (yield* typedFor(config.identity))
    yield* LongLived.begin
    const { opener } = yield* Effect.promise(() => import("../trust/ServiceGrants.ts"))
    return yield* runDaemon(config, version, Effect.andThen(Background.own(kind), Effect.forkScoped(exposed))).pipe(
      Effect.provideService(Passphrase, secret),
      Effect.provideService(ServiceOpener, yield* opener)
    )
  })

/** The process in the background has no terminal, and cannot read a pipe twice: what is known here goes along in its environment. */
const askedFor = Effect.fnUntraced(function* (input: Input, identity: string) {
  const secret = (yield* PassphraseInput.given(input)) ?? (yield* typedFor(identity))
  return secret === undefined ? {} : { [PassphraseInput.VARIABLE]: Redacted.value(secret) }
})

/** What a person types for an identity that is encrypted; `undefined` for one that is not, or without a terminal. */
const typedFor = Effect.fnUntraced(function* (identity: string) {
  const { askSecret } = yield* CliHost
  const { isSealed } = yield* Effect.promise(() => import("../identity/identityRun.ts"))
  if (askSecret === undefined || (yield* isSealed(identity)) !== true) return undefined
  const typed = yield* askSecret("Passphrase of the identity: ")
  return typed === undefined ? undefined : Redacted.make(typed)
})

/** What was exposed is exposed again after a reboot: the keeper runs wherever its node does. */
const exposed = Effect.flatMap(
  Effect.promise(() => import("../mcp/KeeperClient.ts")),
  ({ status }) => Effect.catch(status, ({ message }) => Effect.logWarning(`mcp services: ${message}`))
)

const configOf = (input: Input) =>
  Effect.flatMap(
    Effect.promise(() => import("./daemonConfig.ts")),
    ({ load }) => load(input)
  )

/** Root would leave files in a user's state directory that the user cannot change. */
const refuseForeignHome = Effect.gen(function* () {
  const { uid, effectiveUid } = yield* CliHost
  const { isExplicit } = yield* ConfigFile.directory
  if (uid !== effectiveUid && !isExplicit)
    return yield* CliError.make(
      "permission_denied",
      "a node started with sudo would belong to root, not to you",
      "run it without sudo, or name its state directory with PILOT_HOME"
    )
})

const refuseSecond = Effect.fnUntraced(function* (socket: string) {
  const hint = "stop it first with: pilotctl daemon stop"
  const pid = yield* Effect.flatMap(daemonKind, Background.livePid)
  if (pid !== undefined) return yield* CliError.make("already_exists", `daemon is already running (pid ${pid})`, hint)
  if (SocketPath.isTooLong(socket))
    return yield* CliError.invalidArgument(
      `socket path is too long (at most ${SocketPath.BYTES_MAX} bytes): ${socket}`,
      "choose a shorter one with --socket or PILOT_HOME"
    )
  const { uid, effectiveUid } = yield* CliHost
  const local = yield* LocalSocket
  const answer = yield* Effect.exit(Effect.scoped(local.connect(socket, [uid, effectiveUid])))
  if (answer._tag === "Success")
    return yield* CliError.make("already_exists", `daemon is already running (socket ${socket} is active)`, hint)
})

/** Info, once the daemon answers and has left its process id: `daemon stop` must find it from then on. */
const inquire = (
  kind: Background.Kind,
  socket: string
): Effect.Effect<Option.Option<Json.JsonObject>, never, Environment> =>
  Effect.gen(function* () {
    const { uid, effectiveUid } = yield* CliHost
    const local = yield* LocalSocket
    const connected = yield* local.connect(socket, [uid, effectiveUid])
    const client = yield* IpcClient.make(connected)
    const info = yield* Effect.timeout(client.info, INFO_TIMEOUT)
    return (yield* Background.livePid(kind)) === undefined ? Option.none() : Option.some(info)
  }).pipe(
    Effect.scoped,
    Effect.orElseSucceed(() => Option.none())
  )

const nothingToStop = Effect.fnUntraced(function* (hadPid: boolean) {
  const isActive = Result.isSuccess(yield* Effect.result(DaemonClient.connect))
  const socket = SocketPath.listening(yield* DaemonClient.socketOptions)
  if (isActive)
    return yield* CliError.make(
      "not_running",
      "daemon socket is active but PID file is missing",
      `find and kill the process manually: lsof -U | grep ${socket}`
    )
  return yield* CliError.make("not_running", `daemon is not running${hadPid ? " (cleaned up stale state)" : ""}`)
})

/** The flags of this command for the process in the background. */
const wordsOf = (input: Input): ReadonlyArray<string> =>
  [...input.flags]
    .filter(([name]) => name !== PassphraseInput.FLAG.name)
    .flatMap(([name, values]) => values.map((value) => `--${name}=${value}`))

const startedText = (data: Json.JsonObject): string => {
  const hostname = Json.string(data, "hostname")
  return [
    `Daemon running (pid ${Json.integer(data, "pid")})`,
    `  Address:  ${Json.string(data, "address")}`,
    ...(hostname === "" ? [] : [`  Hostname: ${hostname}`]),
    `  Socket:   ${Json.string(data, "socket")}`,
    `  Logs:     ${Json.string(data, "log_file")}`
  ].join("\n")
}

const runningText = (data: Json.JsonObject): string => {
  const pid = Json.integer(data, "pid")
  const hostname = Json.string(data, "hostname")
  return [
    pid > 0 ? `Daemon: running (pid ${pid})` : "Daemon: running",
    `  Node ID:     ${Json.integer(data, "node_id")}`,
    `  Address:     ${Json.string(data, "address")}`,
    ...(hostname === "" ? [] : [`  Hostname:    ${hostname}`]),
    `  Uptime:      ${Render.uptime(Json.integer(data, "uptime_secs"))}`,
    `  Peers:       ${Json.integer(data, "peers")}`,
    `  Connections: ${Json.integer(data, "connections")}`
  ].join("\n")
}

const STOPPED = "Daemon: stopped\n  start with: pilotctl daemon start"
const INFO_TIMEOUT = Duration.seconds(2)
