/**
 * MCP servers as effects: those of trusted peers by name, and programs of this host. A server of a peer survives lost
 * paths and restarts of either node (`docs/mcp.md`): a call ends with its answer or with an `McpError`, never in silence.
 */
import * as NodeChildProcessSpawner from "@effect/platform-node/NodeChildProcessSpawner"
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import * as NodePath from "@effect/platform-node/NodePath"
import { Clock, Effect, Layer, type Scope } from "effect"
import type * as InputRounds from "../actors/mcp/client/InputRounds.ts"
import * as McpClient from "../actors/mcp/client/McpClient.ts"
import * as CapableInstances from "../actors/mcp/mount/CapableInstances.ts"
import * as EgressGuard from "../actors/mcp/mount/EgressGuard.ts"
import * as Instances from "../actors/mcp/mount/Instances.ts"
import * as PinGuard from "../actors/mcp/mount/PinGuard.ts"
import * as Shim from "../actors/mcp/mount/Shim.ts"
import { CannotReach, ofDialled, sentence } from "../actors/mcp/mount/ShimFailure.ts"
import * as ChildProcess from "../actors/mcp/server/ChildProcess.ts"
import * as EffectServer from "../actors/mcp/server/EffectServer.ts"
import * as Target from "../actors/mcp/Target.ts"
import { DialError } from "../actors/node/Node.ts"
import { Crypto } from "../core/crypto/Crypto.ts"
import * as NativeCrypto from "../core/crypto/NativeCrypto.ts"
import type { JsonObject } from "../core/data/Json.ts"
import type { Duplex } from "../core/net/Duplex.ts"
import * as DuplexPair from "../core/net/DuplexPair.ts"
import * as FileLock from "../core/storage/FileLock.ts"
import { instances } from "../protocol/directory/FoundService.ts"
import type * as AuditChain from "../protocol/relay/AuditChain.ts"
import { MCP_PORT } from "../protocol/relay/RelayControl.ts"
import * as Directory from "./DirectoryService.ts"
import type * as McpCalls from "./McpCalls.ts"
import { McpMounts } from "./McpMounts.ts"
import * as McpReopening from "./McpReopening.ts"
import * as Server from "./McpServer.ts"
import { Pilot } from "./PilotService.ts"
import { VERSION } from "./Version.ts"

export type { Answer, Answers } from "../actors/mcp/client/InputRounds.ts"
export { McpError, type Progress } from "../actors/mcp/client/McpClient.ts"
export type { CallOptions } from "./McpCalls.ts"
export {
  type Access,
  approvals,
  command,
  decide,
  expose,
  layer as layerExpose,
  type ServerOptions,
  type Source,
  serve,
  toolkit,
  url
} from "./McpExpose.ts"
export { Caller, type Exposed, ExposeError, McpHost, type Question, type Verdict } from "./McpHost.ts"
export { type McpServer, type Tool, ToolFailed, type ToolResult, type Update } from "./McpServer.ts"
export { type Call, type Calls, forModel, type ModelToolkit, ToolMismatch, typed } from "./McpTools.ts"

/**
 * Tells the caller a step of the tool, prompt or resource that this handler works on; a caller that does not listen hears
 * nothing, and outside of a handler it does nothing.
 */
export const progress = (step: EffectServer.Step): Effect.Effect<void> =>
  Effect.flatMap(EffectServer.CurrentCall, (tell) => tell(step))

/** What the server is told of this program. */
export interface ClientInfo {
  readonly name: string
  readonly version: string
}

/** How the tools of a peer's server are watched (`docs/mcp.md`, Pinned tools). */
export interface Pins {
  /** `mcp-pins.json` of a state directory, which `pilotctl mcp pins` shows and changes, or a file of the program's own. */
  readonly path: string
  readonly mode: PinGuard.Mode
}

/** What of a peer's server this program may use (`docs/mcp.md`, Rules at the mount). */
export interface Rules {
  /** Patterns: `read_*`, `!write_*`, `read_file(path=data/*)`. None means every tool. */
  readonly tools?: ReadonlyArray<string>
  /** Patterns of tools that are never called. */
  readonly denyTools?: ReadonlyArray<string>
  /** Told of every call that ended or was denied here; never waited for. */
  readonly record?: (call: AuditChain.Call) => void
}

/** How a server is used. */
export interface Options extends McpCalls.CallOptions {
  /** What the server is told of this program. */
  readonly client?: ClientInfo
  /** What this program answers when the server asks; what is not here is not offered to it. */
  readonly answers?: InputRounds.Answers
}

/** A server by what it can do; made by `capable`. */
export interface Capable {
  readonly _tag: "Capable"
  readonly words: string
  /** A JSON Schema of the arguments at hand. */
  readonly schema: JsonObject
}

/**
 * The best service that this node may use for the words and for arguments of that JSON Schema, at every peer that offers the
 * same name and tools; `Directory.search` shows what there is.
 */
export const capable = (words: string, schema: JsonObject = {}): Capable => ({ _tag: "Capable", words, schema })

/**
 * Opens the server `PEER/SERVICE`, or the fastest of several instances of one, with failover; each peer must have exposed it
 * to this node. What is `capable` is looked for now, among trusted peers, for a few seconds if some do not answer at once; who
 * offers the same service later, or is trusted later, joins its instances, and who takes it back leaves them. With `pins`, a
 * tool that is not what it was when it was first listed is logged, or hidden and refused with −31006. `pilotctl mcp status`
 * shows how it does.
 */
export const connect = Effect.fn("Mcp.connect")(function* (
  name: string | ReadonlyArray<string> | Capable,
  options: Options & { readonly pins?: Pins; readonly rules?: Rules } = {}
): Effect.fn.Return<Server.McpServer, McpClient.McpError, Pilot | Scope.Scope> {
  const wanted = typeof name === "object" && "words" in name ? name : undefined
  const targets = yield* targetsOf(name)
  const egress = yield* egressOf(options.rules)
  const pilot = yield* Pilot
  const self = yield* Effect.match(pilot.info, {
    onFailure: () => "this node",
    onSuccess: ({ address, hostname }) => hostname || address
  })
  const dial = (target: Target.Target) =>
    pilot.dial(target.peer, MCP_PORT).pipe(
      Effect.map(({ duplex }) => duplex),
      Effect.mapError((error) =>
        error instanceof DialError
          ? ofDialled(target, self, error)
          : new CannotReach({ kind: "unreachable", detail: sentence(error.detail), isFinal: false })
      )
    )
  const again = wanted && Effect.provideService(searched(wanted), Pilot, pilot)
  const made = again === undefined ? Instances.make(targets, dial) : CapableInstances.make(targets, dial, again)
  const { follow, seen } = yield* Effect.provide(made, NativeCrypto.layer)
  const board = yield* Effect.flatMap(McpMounts, ({ enter }) => enter(seen))
  const session = Effect.gen(function* () {
    const route = yield* follow
    const { target } = route
    const peerKey = Effect.match(
      Effect.suspend(() => pilot.resolve(target.peer)),
      { onFailure: () => undefined, onSuccess: ({ publicKey }) => publicKey || undefined }
    )
    const pins = options.pins && (yield* Effect.provide(PinGuard.make({ ...options.pins, target, peerKey }), GUARD))
    const [near, far] = yield* DuplexPair.make
    const shim = Shim.run({ client: far, egress, ...route, ...(pins && { pins }), ...(board && { board }) })
    // The far side also ends when the session cannot go on, and then nothing more comes.
    yield* Effect.forkScoped(Effect.ensuring(Effect.provide(shim, NativeCrypto.layer), far.end))
    return yield* McpClient.make(near, options.client ?? SELF, options.answers)
  })
  return Server.fromClient(yield* McpReopening.make(session), options)
})

const targetsOf = (
  name: string | ReadonlyArray<string> | Capable
): Effect.Effect<Target.Targets, McpClient.McpError, Pilot> => {
  if (typeof name === "object" && "words" in name) return found(name)
  const targets = Target.parseInstances(typeof name === "string" ? name : name.join(","))
  return targets === undefined ? refused(`${JSON.stringify(name)} is not PEER/SERVICE`) : Effect.succeed(targets)
}

const searched = ({ schema, words }: Capable) =>
  Directory.search(words, { schema, limit: FOUND_MAX, includePublic: false }).pipe(
    Effect.provide(Directory.fromPilot),
    Effect.map(({ services, ...rest }): CapableInstances.Answer => ({ found: services, ...rest })),
    Effect.catchTag("DirectoryError", ({ detail }) => refused(detail))
  )

const found = Effect.fnUntraced(function* (wanted: Capable) {
  const { found: services, problems } = yield* CapableInstances.first(searched(wanted), PATIENCE_MS)
  const texts = instances(services).map(({ target }) => target)
  const targets = Target.parseInstances(texts.slice(0, Target.INSTANCES_MAX).join(","))
  const problem = problems.map(({ detail, node }) => `; node ${node}: ${detail}`)[0] ?? ""
  return targets ?? (yield* refused(`no peer offers ${JSON.stringify(wanted.words)} to this node${problem}`))
})

/** Starts a program of this host as a server: no shell, the environment that MCP clients give, ended with the scope. */
export const stdio = Effect.fn("Mcp.stdio")(
  function* (
    command: string,
    args: ReadonlyArray<string> = [],
    options: Options & { readonly cwd?: string; readonly env?: Readonly<Record<string, string>> } = {}
  ) {
    const child = yield* ChildProcess.spawn(
      { command, args, cwd: options.cwd, env: options.env ?? {} },
      process.env
    ).pipe(Effect.catchTag("CannotStart", ({ detail }) => refused(detail)))
    return yield* open(child.stdio, options)
  },
  Effect.provide(Layer.provide(NodeChildProcessSpawner.layer, [NodeFileSystem.layer, NodePath.layer]))
)

const egressOf = Effect.fnUntraced(function* (
  rules: Rules | undefined
): Effect.fn.Return<EgressGuard.Egress | undefined, McpClient.McpError> {
  if (rules === undefined) return undefined
  const { denyTools = [], record, tools = [] } = rules
  const found = EgressGuard.patterns(tools, denyTools)
  if ("wrong" in found) return yield* refused(`${JSON.stringify(found.wrong)} is no pattern for tools`)
  if (record === undefined) return { ...found, audit: undefined }
  const { sha256 } = yield* Effect.provide(Crypto, NativeCrypto.layer)
  const clock = yield* Clock.Clock
  const time = () => new Date(clock.currentTimeMillisUnsafe()).toISOString()
  return { ...found, audit: { sha256, record, time } }
})

const open = <E>(stream: Duplex<E>, options: Options) =>
  Effect.map(McpClient.make(stream, options.client ?? SELF, options.answers), (client) =>
    Server.fromClient(client, options)
  )

const refused = (message: string) =>
  new McpClient.McpError({ reason: "Closed", code: 0, message, retryable: false, delivered: false })

/** Services that fit, of which those that may be used are looked at. */
const FOUND_MAX = 64
/** What can do something is looked for so long while nobody has it and somebody does not answer, as a first call waits. */
const PATIENCE_MS = 5000
const GUARD = Layer.mergeAll(NativeCrypto.layer, FileLock.layer, NodeFileSystem.layer, NodePath.layer)
const SELF: ClientInfo = { name: "effect-pilot", version: VERSION }
