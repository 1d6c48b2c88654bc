/** `pilotctl rendezvous`: registry and beacon in the background or in this process (rendezvous §1). */
import { Effect, FileSystem, Option } from "effect"
import type { JsonObject } from "../../core/data/Json.ts"
import * as Background from "../Background.ts"
import * as CliError from "../CliError.ts"
import { type Command, type Environment, type Flag, type Input, type Output, output } from "../Command.ts"
import * as ConfigFile from "../ConfigFile.ts"
import * as LongLived from "../LongLived.ts"
import * as Values from "../Values.ts"
import * as RendezvousCard from "./RendezvousCard.ts"

const FLAGS: ReadonlyArray<Flag> = [
  { name: "config", value: "path", summary: "JSON file whose keys are these flags" },
  { name: "registry-addr", value: "address", summary: "registry, [host]:port, TLS and plain TCP (default :9000)" },
  { name: "beacon-addr", value: "address", summary: "beacon, [host]:port, UDP (default :9001)" },
  {
    name: "beacon-probe-port",
    value: "port",
    summary: "second UDP port of the beacon, for nodes' netcheck (default a free one); open it in the firewall"
  },
  {
    name: "beacon-other-addr",
    value: "address",
    summary: "another address of this machine and a port, for a full netcheck (default none)"
  },
  {
    name: "wss-addr",
    value: "address",
    summary: "WebSockets for nodes without UDP, [host]:port, TLS and plain (default off; :443 is what gets through)"
  },
  {
    name: "wss-proxies",
    value: "text",
    placeholder: "blocks",
    summary: "reverse proxies whose X-Forwarded-For is believed: 127.0.0.1,10.0.0.0/8"
  },
  { name: "http", value: "address", summary: "status page, [host]:port (default off)" },
  { name: "store", value: "path", summary: "database (default rendezvous.db in the state directory)" },
  { name: "tls-cert", value: "path", summary: "own certificate, PEM (default: made once, kept beside the store)" },
  { name: "tls-key", value: "path", summary: "its key, PEM" },
  {
    name: "admin-token",
    value: "text",
    placeholder: "token",
    summary: "guards reputation; better in PILOT_ADMIN_TOKEN"
  },
  { name: "compat-unsigned-register", value: "boolean", summary: "admit nodes that cannot sign their registration" },
  { name: "compat-owner-takeover", value: "boolean", summary: "let an unsigned node come back under a new key" },
  { name: "compat-unbound-rotation", value: "boolean", summary: "accept rotations that do not cover the new key" },
  { name: "compat-open-polo", value: "boolean", summary: "let anybody change anybody's reputation" },
  { name: "log-level", value: "text", placeholder: "level", summary: "debug, info, warn or error (default info)" },
  { name: "log-format", value: "text", placeholder: "fmt", summary: "text or json (default text)" },
  { name: "foreground", value: "boolean", summary: "stay in this process, logs on standard error" }
]

const start: Command = {
  name: "rendezvous start",
  usage: "",
  summary: "Starts a registry and a beacon in the background; --foreground keeps them here",
  returns: "registry, beacon, wss, fingerprint, http, store, pid, log_file",
  flags: FLAGS,
  run: Effect.fnUntraced(function* (input): Effect.fn.Return<Output, CliError.CliError, Environment> {
    const kind = yield* rendezvousKind
    const pid = yield* Background.livePid(kind)
    if (pid !== undefined)
      return yield* CliError.make(
        "already_exists",
        `rendezvous is already running (pid ${pid})`,
        "stop it first with: pilotctl rendezvous stop"
      )
    if (Values.boolean(input, "foreground") === true) return yield* runHere(input)
    // Refused here, before anything is started in the background.
    yield* configOf(input)
    yield* forgetCard
    const words = ["_rendezvous-run", "--json", ...wordsOf(input)]
    const token = Values.text(input, "admin-token")
    const variables: Record<string, string> = token === undefined ? {} : { PILOT_ADMIN_TOKEN: token }
    const started = yield* Background.start(
      kind,
      input,
      words,
      variables,
      Effect.map(RendezvousCard.read, Option.fromUndefinedOr)
    )
    const data = { ...started.answer, pid: started.pid, log_file: kind.logPath }
    return output(data, startedText(data))
  })
}

const run: Command = {
  name: "_rendezvous-run",
  usage: "",
  summary: "The rendezvous itself, as rendezvous start runs it",
  returns: "nothing",
  flags: FLAGS,
  isInternal: true,
  run: (input) => runHere(input)
}

const stop: Command = {
  name: "rendezvous stop",
  usage: "",
  summary: "Stops the registry and the beacon; what was acknowledged is on disk",
  returns: "pid, forced (only when it had to be killed)",
  flags: [],
  run: Effect.fnUntraced(function* (): Effect.fn.Return<Output, CliError.CliError, Environment> {
    const kind = yield* rendezvousKind
    const pid = yield* Background.livePid(kind)
    if (pid === undefined) return yield* CliError.make("not_running", "rendezvous is not running")
    const isForced = yield* Background.stop(kind, pid)
    yield* forgetCard
    return output(
      { ...(isForced ? { forced: true } : {}), pid },
      `rendezvous ${isForced ? "force-stopped" : "stopped"} (pid ${pid})`
    )
  })
}

const status: Command = {
  name: "rendezvous status",
  usage: "",
  summary: "Whether it runs, its addresses, and the certificate fingerprint that nodes pin",
  returns: "running, pid, pid_file, and when running registry, beacon, wss, fingerprint, http, store",
  flags: [],
  run: Effect.fnUntraced(function* (): Effect.fn.Return<Output, CliError.CliError, Environment> {
    const kind = yield* rendezvousKind
    const pid = yield* Background.livePid(kind)
    const card = pid === undefined ? undefined : yield* RendezvousCard.read
    const base = { pid: pid ?? 0, pid_file: kind.pidPath, running: pid !== undefined }
    if (pid === undefined) return output(base, "Rendezvous: stopped\n  start with: pilotctl rendezvous start")
    const data = { ...base, ...card }
    return output(data, [`Rendezvous: running (pid ${pid})`, ...facts(data)].join("\n"))
  })
}

/** The rows of this group. */
export const commands: ReadonlyArray<Command> = [start, stop, status, run]

const rendezvousKind = Effect.map(
  ConfigFile.directory,
  ({ rendezvousPid, rendezvousLog }): Background.Kind => ({
    name: "rendezvous",
    pidPath: rendezvousPid,
    logPath: rendezvousLog,
    nodeOptions: [YOUNG_MEGABYTES]
  })
)

const runHere = Effect.fnUntraced(function* (input: Input): Effect.fn.Return<Output, CliError.CliError, Environment> {
  const { runRendezvous } = yield* Effect.promise(() => import("./rendezvousRun.ts"))
  const config = yield* configOf(input)
  yield* LongLived.begin
  return yield* runRendezvous(config, Background.own(yield* rendezvousKind))
})

const configOf = Effect.fnUntraced(function* (input: Input) {
  const { load } = yield* Effect.promise(() => import("./rendezvousConfig.ts"))
  const { home } = yield* ConfigFile.directory
  yield* ConfigFile.makeHome(home)
  return yield* load(input)
})

const forgetCard = Effect.gen(function* () {
  const files = yield* FileSystem.FileSystem
  const { rendezvousCard } = yield* ConfigFile.directory
  yield* Effect.ignore(files.remove(rendezvousCard))
})

/** A token does not belong on a command line that everybody on the host can read. */
const wordsOf = (input: Input): ReadonlyArray<string> =>
  [...input.flags].flatMap(([name, values]) =>
    name === "admin-token" ? [] : values.map((value) => `--${name}=${value}`)
  )

const startedText = (data: JsonObject): string =>
  [
    `Rendezvous running (pid ${data["pid"]})`,
    ...facts(data),
    `  Logs:        ${data["log_file"]}`,
    "  next, on this host: pilotctl daemon start",
    `  on another host:    pilotctl daemon start --registry HOST:${portOf(data["registry"])} --beacon HOST:${portOf(data["beacon"])} --registry-fingerprint ${data["fingerprint"]}`
  ].join("\n")

const facts = (data: JsonObject): ReadonlyArray<string> =>
  FACTS.flatMap(([title, key]) => (data[key] === undefined ? [] : [`  ${`${title}:`.padEnd(12)} ${data[key]}`]))

const portOf = (address: JsonObject[string]): string => String(address).replace(/^.*:/, "")

/**
 * Requests leave garbage that is young: by default V8 gives it 128 MB, which a registry never gives back, for no more lookups
 * per second than with an eighth of it.
 */
const YOUNG_MEGABYTES = "--max-semi-space-size=4"
const FACTS = [
  ["Registry", "registry"],
  ["Beacon", "beacon"],
  ["WebSocket", "wss"],
  ["Status", "http"],
  ["Fingerprint", "fingerprint"],
  ["Store", "store"]
] as const
