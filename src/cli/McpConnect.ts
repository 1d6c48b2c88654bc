/** How commands reach an MCP service of a peer: a stream to its keeper through the daemon, and what is kept of its tools (mcp §6.1). */
import { Context, Effect, Layer, Scope, Semaphore } from "effect"
import * as DialErrorText from "../actors/ipc/DialErrorText.ts"
import type { IpcConnection } from "../actors/ipc/IpcClient.ts"
import * as IpcError from "../actors/ipc/IpcError.ts"
import type * as DetachBridge from "../actors/mcp/mount/DetachBridge.ts"
import * as ListFile from "../actors/mcp/mount/ListFile.ts"
import * as PinGuard from "../actors/mcp/mount/PinGuard.ts"
import { CannotReach, ofDialled, sentence } from "../actors/mcp/mount/ShimFailure.ts"
import type * as Target from "../actors/mcp/Target.ts"
import type { Crypto } from "../core/crypto/Crypto.ts"
import * as NativeCrypto from "../core/crypto/NativeCrypto.ts"
import * as Json from "../core/data/Json.ts"
import * as FileLock from "../core/storage/FileLock.ts"
import { MCP_PORT } from "../protocol/relay/RelayControl.ts"
import * as CliError from "./CliError.ts"
import type { Environment, Input } from "./Command.ts"
import * as DaemonClient from "./DaemonClient.ts"
import * as DetachFlag from "./DetachFlag.ts"
import * as KeeperPlaces from "./KeeperPlaces.ts"

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

/** What makes the guards of sessions, in one of the modes of `--pins`: each watches the tools of the service that it is at. */
export const guards = Effect.fnUntraced(function* (
  text: string
): Effect.fn.Return<(target: Target.Target) => Effect.Effect<PinGuard.PinGuard>, CliError.CliError, Environment> {
  const mode = yield* pinMode(text)
  const { pins: path } = yield* KeeperPlaces.places
  const context = yield* environment
  const lock = yield* Semaphore.make(1)
  return (target) =>
    PinGuard.make({
      ...{ path, target, mode, lock },
      // Of several instances, the one that the session is at when the key is wanted.
      peerKey: Effect.suspend(() => Effect.provideContext(keyOf(target.peer), context))
    }).pipe(Effect.provide(Layer.merge(NativeCrypto.layer, FileLock.layer)), Effect.provideContext(context))
})

/** What is remembered of a peer's service for times when it cannot be reached. */
export const listsOf = Effect.fnUntraced(function* (
  target: Target.Target
): Effect.fn.Return<ListFile.ListFile, never, Environment | Crypto> {
  const { lists: directory } = yield* KeeperPlaces.places
  const peerKey = Effect.provideContext(keyOf(target.peer), yield* environment)
  return yield* ListFile.make({ directory, target, peerKey })
})

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
