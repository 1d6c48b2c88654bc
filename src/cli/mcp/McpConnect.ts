/** How commands reach an MCP service of a peer: a stream to its keeper through the daemon, and what is kept of its tools (mcp §6.1). */
import { type Context, Effect, Layer, type Scope, Semaphore } from "effect"
import * as DialErrorText from "../../actors/ipc/DialErrorText.ts"
import type { IpcConnection } from "../../actors/ipc/IpcClient.ts"
import * as IpcError from "../../actors/ipc/IpcError.ts"
import type * as DetachBridge from "../../actors/mcp/mount/DetachBridge.ts"
import * as ListFile from "../../actors/mcp/mount/ListFile.ts"
import * as PinGuard from "../../actors/mcp/mount/PinGuard.ts"
import * as PinTable from "../../actors/mcp/mount/PinTable.ts"
import { CannotReach, ofDialled, sentence } from "../../actors/mcp/mount/ShimFailure.ts"
import * as Target from "../../actors/mcp/Target.ts"
import * as Provided from "../../core/actor/Provided.ts"
import type { Crypto } from "../../core/crypto/Crypto.ts"
import * as NativeCrypto from "../../core/crypto/NativeCrypto.ts"
import * as Json from "../../core/data/Json.ts"
import * as FileLock from "../../core/storage/FileLock.ts"
import { MCP_PORT } from "../../protocol/relay/RelayControl.ts"
import * as CliError from "../CliError.ts"
import type { Environment, Input } from "../Command.ts"
import * as DaemonClient from "../DaemonClient.ts"
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
    : CliError.invalidArgument(`invalid --pins ${JSON.stringify(text)}`, "warn, hold or block")

/** What makes the guards of sessions, in one of the modes of `--pins`: each watches the tools of the service that it is at. */
export const guards = Effect.fnUntraced(function* (
  text: string
): Effect.fn.Return<(target: Target.Target) => Effect.Effect<PinGuard.PinGuard>, CliError.CliError, Environment> {
  const mode = yield* pinMode(text)
  const { pins: path } = yield* KeeperPlaces.places
  const context = yield* environment
  const lock = yield* Semaphore.make(1)
  const table = PinTable.reader(path)
  const keyOf = yield* keys
  return (target) =>
    PinGuard.make({
      ...{ path, target, mode, lock, table },
      // Of several instances, the one that the session is at when the key is wanted.
      peerKey: Effect.suspend(() => keyOf(target.peer))
    }).pipe(Effect.provide(Layer.merge(NativeCrypto.layer, FileLock.layer)), Effect.provideContext(context))
})

/** What is remembered of services for times when they cannot be reached, a file for each. */
export const lists: Effect.Effect<(target: Target.Target) => ListFile.ListFile, never, Environment | Crypto> =
  Effect.gen(function* () {
    const { lists: directory } = yield* KeeperPlaces.places
    const keyOf = yield* keys
    const make = yield* ListFile.maker(directory)
    const files = new Map<string, ListFile.ListFile>()
    return ({ peer, service }) => {
      const name = Target.format([{ peer, service }])
      const file = files.get(name) ?? make({ target: { peer, service }, peerKey: keyOf(peer) })
      files.set(name, file)
      return file
    }
  })

/** Without the scope: each stream's daemon connection must end with the stream, not with the command. */
export const environment = Provided.services<Environment>()

/** Tells the key that stands behind a peer, by name; undefined while the daemon cannot tell. */
export type KeyOf = (peer: string) => Effect.Effect<string | undefined>

/** Many services of one peer ask for its key at the same moment: the daemon is asked once a second. */
export const keys: Effect.Effect<KeyOf, never, Environment> = Effect.map(environment, (context) => {
  const known = new Map<string, Effect.Effect<string | undefined>>()
  return (peer) =>
    Effect.gen(function* () {
      const asked = known.get(peer) ?? (yield* Effect.cachedWithTTL(provided(peer, context), KEY_TTL))
      known.delete(peer)
      known.set(peer, asked)
      const [oldest] = known.keys()
      if (known.size > KEYS_MAX && oldest !== undefined) known.delete(oldest)
      return yield* asked
    })
})

const provided = (peer: string, context: Context.Context<Exclude<Environment, Scope.Scope>>) =>
  Effect.scoped(Effect.flatMap(DaemonClient.connect, (client) => client.extension("peer", { target: peer }))).pipe(
    Effect.map((found) => Json.string(found, "public_key") || undefined),
    Effect.orElseSucceed(() => undefined),
    Effect.provideContext(context)
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

const KEY_TTL = "1 second"
/** Peers whose keys are asked for, as many as a front asks. */
const KEYS_MAX = 256
