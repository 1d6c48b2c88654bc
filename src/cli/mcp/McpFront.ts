/** `pilotctl mcp front`: every service that this node may use as one MCP server, on stdio or at a local URL (mcp §6.11). */
import { Context, Effect, FileSystem, Layer, Logger, Path, Schedule, type Scope, Semaphore } from "effect"
import * as Front from "../../actors/mcp/front/Front.ts"
import type * as FrontLists from "../../actors/mcp/front/FrontLists.ts"
import * as RosterFile from "../../actors/mcp/front/RosterFile.ts"
import * as Instances from "../../actors/mcp/mount/Instances.ts"
import * as PinGuard from "../../actors/mcp/mount/PinGuard.ts"
import * as PinTable from "../../actors/mcp/mount/PinTable.ts"
import * as Target from "../../actors/mcp/Target.ts"
import * as Provided from "../../core/actor/Provided.ts"
import type { Crypto } from "../../core/crypto/Crypto.ts"
import * as NativeCrypto from "../../core/crypto/NativeCrypto.ts"
import * as Json from "../../core/data/Json.ts"
import * as FileLock from "../../core/storage/FileLock.ts"
import * as FederatedName from "../../protocol/mcp/FederatedName.ts"
import * as Address from "../../protocol/wire/Address.ts"
import * as CliError from "../CliError.ts"
import { CliHost } from "../CliHost.ts"
import { type Environment, type Input, type Output, silent } from "../Command.ts"
import * as DaemonClient from "../DaemonClient.ts"
import * as LongLived from "../LongLived.ts"
import * as Telemetry from "../Telemetry.ts"
import * as Values from "../Values.ts"
import * as KeeperPlaces from "./KeeperPlaces.ts"
import * as McpConnect from "./McpConnect.ts"
import * as McpMountHttp from "./McpMountHttp.ts"
import * as McpTargets from "./McpTargets.ts"
import * as MountDoor from "./MountDoor.ts"
import * as MountEgress from "./MountEgress.ts"
import * as MountMetrics from "./MountMetrics.ts"
import * as ProcessStdio from "./ProcessStdio.ts"

/** Serves until the client closes, or at `http` until a signal comes. */
export const run = Effect.fnUntraced(function* (
  input: Input
): Effect.fn.Return<Output, CliError.CliError, Environment> {
  if (input.flags.has("detach-after")) return yield* NOT_DETACHED
  const settings = yield* settingsOf(input)
  const mode = yield* McpConnect.pinMode(Values.text(input, "pins") ?? "warn")
  const http = Values.text(input, "http")
  yield* LongLived.begin
  return yield* Effect.gen(function* () {
    const board = yield* MountDoor.open({ serves: `front, ${http ?? "stdio"}`, instances: () => [] })
    const metrics = yield* MountMetrics.open(Values.text(input, "metrics"))
    const egress = yield* MountEgress.open(input)
    const { roster } = yield* KeeperPlaces.places
    const memory = { roster: yield* RosterFile.make(roster), lists: yield* McpConnect.lists }
    const front = yield* make(settings, mode, { egress, board, memory, ...(metrics && { metrics }) })
    if (http !== undefined) {
      const all = Instances.one({ peer: "all", service: "services" }, Effect.never)
      return yield* McpMountHttp.serve({ ...all, connect: front.connect }, http, input)
    }
    yield* front.run(yield* ProcessStdio.open)
    return silent()
  }).pipe(
    Effect.scoped,
    Effect.provide(
      Layer.mergeAll(
        NativeCrypto.layer,
        // The endpoint has its own.
        http === undefined ? Telemetry.layer("pilot-front", Values.text(input, "otlp")) : Layer.empty,
        Layer.succeed(Logger.LogToStderr, true)
      )
    )
  )
})

/** A front over the daemon's trusted peers, in the surrounding scope. */
export const make = Effect.fnUntraced(function* (
  settings: Front.Settings,
  mode: PinGuard.Mode,
  watching: Pick<Front.Options<unknown>, "egress" | "board" | "memory" | "metrics"> = {}
): Effect.fn.Return<Front.Front, never, Environment | Crypto | Scope.Scope> {
  const { version } = yield* CliHost
  const environment = yield* McpConnect.environment
  const { pins: path } = yield* KeeperPlaces.places
  const files = Context.make(FileSystem.FileSystem, yield* FileSystem.FileSystem)
  const context = Context.merge(environment, Context.add(files, Path.Path, yield* Path.Path))
  const crypto = yield* Provided.services<Crypto>()
  // Many guards write one file.
  const lock = yield* Semaphore.make(1)
  const table = PinTable.reader(path)
  const keyOf = yield* McpConnect.keys
  return yield* Front.make({
    peers: Effect.provideContext(Effect.scoped(peersBy(new Map())), context),
    dial: (target) => Effect.provideContext(McpConnect.dial(target), context),
    pins: (target) =>
      PinGuard.make({
        path,
        target,
        mode,
        lock,
        table,
        peerKey: keyOf(target.peer)
      }).pipe(Effect.provideContext(Context.merge(context, crypto)), Effect.provide(FileLock.layer)),
    ...watching,
    version,
    settings
  })
})

/** What the flags say. */
const settingsOf = Effect.fnUntraced(function* (input: Input): Effect.fn.Return<Front.Settings, CliError.CliError> {
  const mode = Values.text(input, "mode") ?? Front.DEFAULTS.mode
  if (!isMode(mode)) return yield* CliError.invalidArgument(`invalid --mode ${JSON.stringify(mode)}`, MODES.join(", "))
  const aliases = new Map<string, string>()
  for (const text of Values.texts(input, "alias")) {
    const [name = "", alias = ""] = text.split("=")
    if (Target.parse(name) === undefined || !FederatedName.isAlias(alias) || [...aliases.values()].includes(alias)) {
      return yield* CliError.invalidArgument(
        `invalid --alias ${JSON.stringify(text)}`,
        `PEER/NAME=alias; letters, digits, - and single _, at most ${FederatedName.ALIAS_CHARACTERS_MAX}, each once`
      )
    }
    aliases.set(name, alias)
  }
  const only = yield* Effect.forEach(Values.texts(input, "service"), (text) => McpTargets.one("service", text))
  const sampling = yield* Effect.forEach(Values.texts(input, "sampling"), (text) => McpTargets.one("sampling", text))
  return {
    mode,
    budget: {
      tools: yield* Effect.fromResult(Values.count(input, "budget-tools", Front.DEFAULTS.budget.tools)),
      bytes: yield* Effect.fromResult(Values.count(input, "budget-bytes", Front.DEFAULTS.budget.bytes))
    },
    patience: Front.DEFAULTS.patience,
    aliases,
    only: only.length === 0 ? undefined : only,
    sampling: new Set(sampling.map(({ peer, service }) => `${peer}/${service}`))
  }
})

/**
 * Those whose trust is mutual, by their names; a peer without one by its address. Aliases are made of these names, so a
 * look-up that fails must not rename a peer: it keeps the name it had.
 */
const peersBy = Effect.fnUntraced(function* (names: Map<string, string>) {
  const client = yield* DaemonClient.connect
  const reply = yield* client.extension("trust.keys", {})
  const mutual = Json.objects(reply, "trusted").filter((row) => Json.member(row, "mutual") !== false)
  return yield* Effect.forEach(
    mutual,
    (row) => {
      const target = Address.format(Address.make(0, Json.unsigned(row, "node_id", 32)))
      return client.extension("peer", { target, recent: true }).pipe(
        Effect.map((found) => Json.string(found, "hostname") || target),
        Effect.tap((name) => Effect.sync(() => names.set(target, name))),
        Effect.retry({
          times: LOOKUPS_AGAIN,
          schedule: Schedule.spaced("500 millis"),
          while: () => !names.has(target)
        }),
        // Not known now, or behind another key: it is tried by its address, and fails there with the reason.
        Effect.orElseSucceed(() => names.get(target) ?? target)
      )
    },
    { concurrency: LOOKUPS_AT_ONCE }
  )
})

const MODES: ReadonlyArray<FrontLists.Mode> = ["reveal", "call", "all"]
const isMode = (text: string): text is FrontLists.Mode => MODES.some((mode) => mode === text)
const NOT_DETACHED = CliError.invalidArgument(
  "--detach-after does not go with mcp front: a handle belongs to the mount of one service",
  "pilotctl mcp mount PEER/NAME --detach-after 50s"
)
const LOOKUPS_AT_ONCE = 8
const LOOKUPS_AGAIN = 2
