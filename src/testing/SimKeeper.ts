/**
 * The keeper of a simulated machine (mcp §6.1), a process beside its node: the real one, with simulated children. It finds
 * a restarted node again; its services are on the machine's disk, so that it finds them again after a power cut.
 *
 * It reaches its node by call, not over the daemon's socket, and serves no ports of single services.
 */
import { Clock, Context, Effect, Exit, FileSystem, Layer, Option, Path, Scope } from "effect"
import { ChildProcessSpawner } from "effect/process"
import * as CardShelf from "../actors/mcp/keeper/CardShelf.ts"
import * as Keeper from "../actors/mcp/keeper/Keeper.ts"
import * as ServiceInspector from "../actors/mcp/keeper/ServiceInspector.ts"
import * as ServiceTable from "../actors/mcp/keeper/ServiceTable.ts"
import type { SessionStatus } from "../actors/mcp/keeper/SessionEntry.ts"
import { CannotStart } from "../actors/mcp/server/Child.ts"
import * as ChildProcess from "../actors/mcp/server/ChildProcess.ts"
import { Node } from "../actors/node/Node.ts"
import { RegistryClient } from "../actors/registry/RegistryClient.ts"
import { Trust } from "../actors/trust/Trust.ts"
import * as Bytes from "../core/data/Bytes.ts"
import { MCP_PORT } from "../protocol/relay/RelayControl.ts"
import { HOME, type SimNode } from "./SimNode.ts"
import * as SimWorld from "./SimWorld.ts"
import * as VirtualFileSystem from "./VirtualFileSystem.ts"
import { type Program, VirtualSpawner } from "./VirtualSpawner.ts"

/** One MCP server to expose, as `pilotctl mcp expose NAME --allow PEER -- COMMAND ARGUMENTS…` names it. */
export interface Exposure {
  readonly name: string
  /** One of the machine's programs. */
  readonly command: string
  readonly args?: ReadonlyArray<string>
  readonly env?: Readonly<Record<string, string>>
  /** Nobody else may use it. Their keys count, as they are now. */
  readonly allow: ReadonlyArray<SimNode>
}

/** A keeper, running or not. Its effects run in the world. */
export interface SimKeeper {
  /** Adds or replaces a service; the keeper is started if it does not run. */
  readonly expose: (exposure: Exposure) => Effect.Effect<void>
  /** What a start of the machine does: a keeper that finds services on the disk runs. */
  readonly boot: Effect.Effect<void>
  /** `kill -9` of the keeper; its children lose their standard input. */
  readonly kill: Effect.Effect<void>
  /** Kills its children, and nothing else. */
  readonly killChildren: Effect.Effect<void>
  readonly status: Effect.Effect<ReadonlyArray<SessionStatus>>
}

/** A keeper that does not run. */
export const make = (node: SimNode, programs: Readonly<Record<string, Program>>): SimKeeper => {
  const { machine } = node
  const spawner = new VirtualSpawner(machine.name, new Map(Object.entries(programs)), machine.world.trace)
  let latest: Running | undefined
  const running = () => (latest !== undefined && machine.processes.has(latest.process) ? latest : undefined)
  const start = Effect.suspend(() => {
    const process = SimWorld.startProcess(machine)
    machine.world.trace.record(`keeper of ${machine.name} starts`)
    return run(node, spawner, process).pipe(
      Scope.provide(process.scope),
      Effect.provideContext(machine.services),
      Effect.tap((started) =>
        Effect.sync(() => {
          latest = started
        })
      )
    )
  })
  return {
    expose: Effect.fnUntraced(function* (exposure) {
      const keeper = running() ?? (yield* start)
      yield* keeper.expose(yield* serviceOf(exposure))
    }),
    boot: Effect.suspend(() =>
      running() === undefined && machine.disk.find(SERVICES) !== undefined ? Effect.asVoid(start) : Effect.void
    ),
    kill: Effect.suspend(() => {
      const keeper = running()
      machine.world.trace.record(`keeper of ${machine.name} is killed`)
      return keeper === undefined ? Effect.void : SimWorld.killProcess(machine, keeper.process)
    }),
    killChildren: spawner.killAll,
    status: Effect.suspend(() => running()?.status ?? Effect.succeed([]))
  }
}

/** One life of a keeper. */
interface Running {
  readonly process: SimWorld.Life
  readonly expose: (service: ServiceTable.StoredService) => Effect.Effect<void>
  readonly status: Effect.Effect<ReadonlyArray<SessionStatus>>
}

const run = Effect.fnUntraced(function* (node: SimNode, spawner: VirtualSpawner, process: SimWorld.Life) {
  const { machine } = node
  const disk = VirtualFileSystem.make(machine.disk, () => machine.processes.has(process))
  const files = Context.add(yield* Layer.build(Path.layer), FileSystem.FileSystem, disk)
  let table = yield* Effect.orDie(Effect.provideContext(ServiceTable.load(SERVICES), files))
  const spawn = (service: ServiceTable.Service) => {
    // The virtual machines run processes; HTTP servers are tested with real ones.
    if (!("command" in service)) return new CannotStart({ detail: "only commands are exposed in the simulation" })
    const { args, command, cwd, env } = service
    return Effect.provideService(
      ChildProcess.spawn({ command, args, cwd, env }, {}),
      ChildProcessSpawner.ChildProcessSpawner,
      spawner.service
    )
  }
  const inspector = yield* ServiceInspector.make({ spawn, clientInfo: { name: "sim", version: "1" } })
  const shelf = yield* Effect.provideContext(
    CardShelf.make({
      path: CARDS,
      hash: (text) => Bytes.toHex(machine.crypto.sha256(Bytes.fromUtf8(text))),
      inspector,
      signer: signerOf(node),
      services: () => table.values()
    }),
    files
  )
  const keeper = yield* Keeper.make({
    self: node.name,
    cards: shelf.page,
    find: (name) => Effect.sync(() => Option.fromUndefinedOr(table.get(name))),
    list: ({ node: remote }) =>
      Effect.map(trustedKey(node, remote), (key) =>
        [...table.values()].filter((service) => ServiceTable.isAllowed(service, key))
      ),
    isAllowed: (service, { node: remote }) =>
      Effect.map(trustedKey(node, remote), (key) => ServiceTable.isAllowed(service, key)),
    spawn
  })
  yield* Effect.forkScoped(serveNode(node, keeper))
  const running: Running = {
    process,
    expose: (service) =>
      Effect.gen(function* () {
        const next = new Map([...table, [service.name, service]])
        yield* Effect.orDie(Effect.provideContext(ServiceTable.save(SERVICES, next), files))
        table = next
        yield* keeper.recheck
      }),
    status: keeper.status
  }
  return running
})

/** Serves the streams of one life of the node after the other. */
const serveNode = (node: SimNode, keeper: Keeper.Keeper): Effect.Effect<never> =>
  whileItRuns(node, serveLife(keeper)).pipe(Effect.andThen(Effect.sleep(RETRY)), Effect.forever)

const serveLife = (keeper: Keeper.Keeper) =>
  Effect.scoped(
    Effect.gen(function* () {
      const listener = yield* Effect.flatMap(Node, ({ listen }) => listen(MCP_PORT))
      while (true) {
        const { close: end, read, remote, write } = yield* listener.accept
        yield* Effect.forkScoped(keeper.serve({ duplex: { read, write, end }, remote }))
      }
    })
  )

const trustedKey = (node: SimNode, remote: number): Effect.Effect<string | undefined> => {
  const lookUp = Effect.flatMap(Trust, ({ trusted }) =>
    Effect.map(trusted, (peers) => peers.find((peer) => peer.node === remote))
  )
  return Effect.map(whileItRuns(node, lookUp), (exit) =>
    exit !== undefined && Exit.isSuccess(exit) && exit.value !== undefined
      ? Bytes.toBase64(exit.value.publicKey)
      : undefined
  )
}

/** Runs a program on the node, if it runs; when the node stops, so does the program, and the caller goes on. */
const whileItRuns = <A, E>(node: SimNode, program: Effect.Effect<A, E, Node | Trust>) =>
  Effect.suspend(() => (node.isUp() ? Effect.exit(node.run(program)) : Effect.succeed(undefined)))

const serviceOf = Effect.fnUntraced(function* (exposure: Exposure): Effect.fn.Return<ServiceTable.StoredService> {
  const allowed = yield* Effect.forEach(exposure.allow, (peer) =>
    Effect.map(peer.run(Effect.flatMap(Node, ({ status }) => status)), ({ address, publicKey }) => ({
      node: address.node,
      publicKey: Bytes.toBase64(publicKey),
      name: peer.name
    }))
  )
  const createdAtSeconds = Math.floor((yield* Clock.currentTimeMillis) / 1000)
  const { args = [], command, env = {}, name } = exposure
  return { name, command, args, env, allowed, createdAtSeconds }
})

/** The node signs; nothing is public here, so the registry is not asked. */
const signerOf = (node: SimNode): CardShelf.Signer => ({
  identity: Effect.map(
    whileItRuns(
      node,
      Effect.flatMap(Node, ({ status }) => status)
    ),
    (exit) =>
      exit !== undefined && Exit.isSuccess(exit)
        ? { node: exit.value.address.node, publicKey: Bytes.toBase64(exit.value.publicKey) }
        : undefined
  ),
  sign: (card) =>
    Effect.suspend(() => {
      if (!node.isUp()) return Effect.succeed(undefined)
      return node.run(Effect.map(RegistryClient, ({ cards }) => cards.sign(card)))
    }),
  publish: () => Effect.succeed(false),
  withdraw: () => Effect.succeed(false)
})

const CARDS = `${HOME}/mcp-cards.json`
const SERVICES = `${HOME}/services.json`
/** As the real one waits before it looks for its daemon again. */
const RETRY = "500 millis"
