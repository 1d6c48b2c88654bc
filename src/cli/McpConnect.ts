/** `pilotctl mcp connect PEER/NAME`: a stdio MCP server for any client, whose tools run on another node (mcp §6.1). */
import { Context, Effect, Layer, Logger, Scope } from "effect"
import * as DialErrorText from "../actors/ipc/DialErrorText.ts"
import type { IpcConnection } from "../actors/ipc/IpcClient.ts"
import * as IpcError from "../actors/ipc/IpcError.ts"
import * as DetachBridge from "../actors/mcp/mount/DetachBridge.ts"
import * as EraBridge from "../actors/mcp/mount/EraBridge.ts"
import * as Instances from "../actors/mcp/mount/Instances.ts"
import * as ListFile from "../actors/mcp/mount/ListFile.ts"
import * as PinGuard from "../actors/mcp/mount/PinGuard.ts"
import * as Shim from "../actors/mcp/mount/Shim.ts"
import { CannotReach, ofDialled, sentence } from "../actors/mcp/mount/ShimFailure.ts"
import * as Target from "../actors/mcp/Target.ts"
import type { Crypto } from "../core/crypto/Crypto.ts"
import * as NativeCrypto from "../core/crypto/NativeCrypto.ts"
import * as Json from "../core/data/Json.ts"
import * as FileLock from "../core/storage/FileLock.ts"
import { Verdict } from "../protocol/relay/era/Verdict.ts"
import { MCP_PORT } from "../protocol/relay/RelayControl.ts"
import * as CliError from "./CliError.ts"
import { type Environment, type Input, type Output, silent } from "./Command.ts"
import * as DaemonClient from "./DaemonClient.ts"
import * as DetachFlag from "./DetachFlag.ts"
import * as KeeperPlaces from "./KeeperPlaces.ts"
import * as MountEgress from "./MountEgress.ts"
import * as MountMetrics from "./MountMetrics.ts"
import { Processes } from "./Processes.ts"
import * as ProcessStdio from "./ProcessStdio.ts"
import * as Telemetry from "./Telemetry.ts"
import * as Values from "./Values.ts"

/** Serves the client on standard input and output until it closes. Everything else goes to standard error. */
export const run = Effect.fnUntraced(function* (
  text: string,
  pinText: string,
  input: Input
): Effect.fn.Return<Output, CliError.CliError, Environment> {
  yield* pinMode(pinText)
  const targets = Target.parseInstances(text)
  if (targets === undefined) return yield* CliError.invalidArgument(`${JSON.stringify(text)} is not PEER/NAME`)
  const detachesAfter = yield* detachAfter(input)
  const { endsOnSignal } = yield* Processes
  yield* endsOnSignal
  const client = yield* ProcessStdio.open
  const context = yield* environment
  yield* Effect.gen(function* () {
    const route = yield* Instances.route(targets, (instance) => Effect.provideContext(dial(instance), context))
    const { target } = route
    const pins = yield* guardOf(target, pinText)
    // What one instance lists says nothing of another.
    const lists = targets.length === 1 ? yield* listsOf(targets[0]) : undefined
    const metrics = yield* MountMetrics.open(Values.text(input, "metrics"))
    const egress = yield* MountEgress.open(input)
    const { client: detaching, welcomed } = yield* DetachBridge.make(client, target, detachesAfter)
    const isModernOnly = Values.boolean(input, "modern-client") === true
    const era = { target, verdict: new Verdict(), isModernOnly, isShared: false }
    const bridged = yield* EraBridge.make({ client: detaching, ...era })
    const known = { ...(lists && { lists }), ...(metrics && { metrics }) }
    yield* Shim.run({ client: bridged, pins, egress, welcomed, ...route, ...known })
  }).pipe(
    Effect.scoped,
    Effect.provide(
      Layer.mergeAll(
        NativeCrypto.layer,
        Telemetry.layer("pilot-mount", Values.text(input, "otlp")),
        Layer.succeed(Logger.LogToStderr, true)
      )
    )
  )
  return silent()
})

/** When calls are detached: `--detach-after` wins over what the owner of the service wants, and 0 is never. */
export const detachAfter = (input: Input): Effect.Effect<DetachBridge.After, CliError.CliError> =>
  input.flags.has("detach-after")
    ? Effect.map(Effect.fromResult(DetachFlag.milliseconds(input)), (ms) => ms ?? "never")
    : Effect.succeed("owner")

/** What `--pins` says. */
export const pinMode = (text: string): Effect.Effect<PinGuard.Mode, CliError.CliError> =>
  text === "warn" || text === "hold" || text === "block"
    ? Effect.succeed(text)
    : CliError.invalidArgument(`invalid --pins ${text}`, "warn, hold or block")

/** Watches the tools of a peer's service, in one of the modes of `--pins`. */
export const guardOf = Effect.fnUntraced(function* (
  target: Target.Target,
  text: string
): Effect.fn.Return<PinGuard.PinGuard, CliError.CliError, Environment> {
  const mode = yield* pinMode(text)
  const { pins: path } = yield* KeeperPlaces.places
  const context = yield* environment
  // Of several instances, the one in use when the key is wanted.
  const peerKey = Effect.suspend(() => Effect.provideContext(keyOf(target.peer), context))
  return yield* PinGuard.make({ path, target, mode, peerKey }).pipe(
    Effect.provide(Layer.merge(NativeCrypto.layer, FileLock.layer))
  )
})

/** What is remembered of a peer's service for times when it cannot be reached. */
export const listsOf = Effect.fnUntraced(function* (
  target: Target.Target
): Effect.fn.Return<ListFile.ListFile, never, Environment | Crypto> {
  const { lists: directory } = yield* KeeperPlaces.places
  const peerKey = Effect.provideContext(keyOf(target.peer), yield* environment)
  return yield* ListFile.make({ directory, target, peerKey })
})

/** The service that a text names. */
export const targetOf = (text: string): Effect.Effect<Target.Target, CliError.CliError> => {
  const target = Target.parse(text)
  return target === undefined
    ? CliError.invalidArgument(`${JSON.stringify(text)} is not PEER/NAME`)
    : Effect.succeed(target)
}

/** Without the scope: each stream's daemon connection must end with the stream, not with the command. */
export const environment = Effect.map(Effect.context<Environment>(), Context.omit(Scope.Scope))

/** The key that stands behind the peer; undefined while the daemon cannot tell. */
export const keyOf = (peer: string): Effect.Effect<string | undefined, never, Exclude<Environment, Scope.Scope>> =>
  Effect.scoped(Effect.flatMap(DaemonClient.connect, (client) => client.extension("peer", { target: peer }))).pipe(
    Effect.map((found) => Json.string(found, "public_key") || undefined),
    Effect.orElseSucceed(() => undefined)
  )

/** One stream to the peer's MCP port; its daemon connection lives as long. */
export const dial = (target: Target.Target): Effect.Effect<IpcConnection, CannotReach, Environment> =>
  Effect.gen(function* () {
    const client = yield* Effect.mapError(DaemonClient.connect, unreachable)
    const self = yield* Effect.map(
      Effect.orElseSucceed(client.info, () => ({})),
      (info) => Json.string(info, "hostname") || Json.string(info, "address") || "this node"
    )
    const address = yield* Effect.mapError(DaemonClient.target(client, { json: true }, target.peer), unreachable)
    return yield* Effect.mapError(client.dial(address, MCP_PORT), (error) => dialFailure(target, self, error))
  })

/** Failures before the dial: no daemon, no such name, another key behind it. */
const unreachable = (error: CliError.CliError): CannotReach =>
  new CannotReach({
    kind: error.code === "key_changed" || error.code === "untrusted" ? "denied" : "unreachable",
    detail: sentence(error.message) + (error.hint === undefined ? "" : ` To help: ${error.hint}`),
    isFinal: error.code === "key_changed"
  })

/** What the peer, or the way to it, said; with what a person can do about it. */
export const dialFailure = (target: Target.Target, self: string, error: IpcError.IpcError): CannotReach =>
  error.reason === "Daemon"
    ? ofDialled(target, self, DialErrorText.parse(error.detail, target.peer))
    : new CannotReach({
        kind: "unreachable",
        detail: sentence(`this node: ${IpcError.describe(error)}`),
        isFinal: false
      })
