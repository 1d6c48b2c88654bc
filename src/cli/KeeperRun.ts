/**
 * The keeper process (mcp §6.1): one per state directory, apart from the daemon, so that a restarted daemon loses no call.
 * Its control socket is its lock. It ends when the last service goes, or when told to stop.
 */
import * as NodeChildProcessSpawner from "@effect/platform-node/NodeChildProcessSpawner"
import { Clock, Deferred, Effect, Layer, Logger, Option, Semaphore } from "effect"
import { HttpClient } from "effect/http"
import { ChildProcessSpawner } from "effect/process/ChildProcessSpawner"
import type { Socket } from "effect/socket"
import * as AuditLog from "../actors/mcp/AuditLog.ts"
import * as ChildProcess from "../actors/mcp/ChildProcess.ts"
import * as HttpUpstream from "../actors/mcp/HttpUpstream.ts"
import * as Keeper from "../actors/mcp/Keeper.ts"
import * as KeeperControl from "../actors/mcp/KeeperControl.ts"
import * as ServiceTable from "../actors/mcp/ServiceTable.ts"
import { Crypto } from "../core/crypto/Crypto.ts"
import * as NativeCrypto from "../core/crypto/NativeCrypto.ts"
import { LocalSocket } from "../core/net/LocalSocket.ts"
import * as NodeUpstreamClient from "../core/net/NodeUpstreamClient.ts"
import * as CliError from "./CliError.ts"
import { CliHost } from "./CliHost.ts"
import type { Environment } from "./Command.ts"
import * as ConfigFile from "./ConfigFile.ts"
import * as KeeperNode from "./KeeperNode.ts"
import * as KeeperPlaces from "./KeeperPlaces.ts"
import * as LogFile from "./LogFile.ts"
import { Processes } from "./Processes.ts"
import * as SocketLines from "./SocketLines.ts"

/** Runs the keeper until it is stopped. `ready` runs when it can be asked; `initial` is exposed first. */
export const run = Effect.fn("KeeperRun.run")(
  function* <R>(options: {
    readonly initial?: ServiceTable.Service
    readonly ready: Effect.Effect<void, never, R>
  }): Effect.fn.Return<void, CliError.CliError, Environment | ChildProcessSpawner | HttpClient.HttpClient | R> {
    const places = yield* KeeperPlaces.places
    const local = yield* LocalSocket
    yield* ConfigFile.makeHome(places.home)
    const server = yield* Effect.mapError(local.listen(places.socket), ({ detail, reason }) =>
      reason === "AlreadyServed"
        ? CliError.make("already_exists", "a keeper is already running", "stop it first with: pilotctl mcp stop")
        : CliError.make("internal", `cannot make the socket ${places.socket}: ${detail}`)
    )
    const { endsOnSignal } = yield* Processes
    yield* endsOnSignal
    const office = yield* makeOffice(places)
    if (options.initial !== undefined) yield* office.expose(options.initial)
    yield* Effect.forkScoped(LogFile.bound(places.log))
    yield* Effect.forkScoped(office.serveNode)
    yield* Effect.forkScoped(server.run((socket) => converse(socket, office)))
    yield* options.ready
    yield* office.stopped
    // The command that asked for the end still wants its answer.
    yield* Effect.sleep("100 millis")
  },
  Effect.provide(Layer.merge(NodeChildProcessSpawner.layer, NodeUpstreamClient.layer)),
  Effect.provideService(Logger.LogToStderr, true)
)

/** Everything a command may ask for, on one table of services. */
interface Office {
  readonly expose: (service: ServiceTable.Service) => Effect.Effect<void, CliError.CliError, Environment>
  readonly perform: (request: KeeperControl.Request) => Effect.Effect<void, CliError.CliError, Environment>
  readonly state: Effect.Effect<KeeperControl.State>
  readonly serveNode: Effect.Effect<never, never, Environment>
  readonly stopped: Effect.Effect<void>
}

const makeOffice = Effect.fnUntraced(function* (places: KeeperPlaces.KeeperPlaces) {
  const spawner = yield* ChildProcessSpawner
  const client = yield* HttpClient.HttpClient
  const { variables } = yield* CliHost
  const { ownPid } = yield* Processes
  const changing = yield* Semaphore.make(1)
  const stopped = yield* Deferred.make<void>()
  let table = yield* Effect.mapError(ServiceTable.load(places.services), unreadable)
  const node = KeeperNode.make(() => table)
  const { sha256 } = yield* Effect.provide(Crypto, NativeCrypto.layer)
  const clock = yield* Clock.Clock
  const audit = yield* AuditLog.make(places.audit, sha256)
  const keeper = yield* Keeper.make({
    audit: { sha256, record: audit.record, time: () => new Date(clock.currentTimeMillisUnsafe()).toISOString() },
    caller: (remote) => node.caller(remote.node),
    // Read when a session opens, because the name is known only while the daemon answers.
    get self() {
      return node.name()
    },
    find: (name) => Effect.sync(() => Option.fromUndefinedOr(table.get(name))),
    list: (remote) =>
      Effect.map(node.trustedKey(remote.node), (key) =>
        [...table.values()].filter((service) => ServiceTable.isAllowed(service, remote.node, key))
      ),
    isAllowed: (service, remote) =>
      Effect.map(node.trustedKey(remote.node), (key) => ServiceTable.isAllowed(service, remote.node, key)),
    spawn: (service, gate) =>
      "url" in service
        ? HttpUpstream.open({
            client,
            service: service.name,
            self: node.name(),
            url: service.url,
            headers: service.headers,
            caller: () => gate.callerHeaders(),
            mayRepeat: (message, envelope) => gate.mayRepeat(message, envelope)
          })
        : Effect.provideService(ChildProcess.spawn(commandOf(service), variables), ChildProcessSpawner, spawner)
  })

  const replace = (next: ServiceTable.ServiceTable) =>
    Effect.gen(function* () {
      yield* Effect.mapError(ServiceTable.save(places.services, next), unreadable)
      table = next
      yield* node.update
      yield* keeper.recheck
    })

  const unexpose = Effect.fnUntraced(function* (name: string) {
    if (!table.has(name)) return yield* CliError.make("not_found", `no service ${JSON.stringify(name)} is exposed`)
    yield* replace(new Map([...table].filter(([key]) => key !== name)))
    if (table.size === 0) yield* Deferred.succeed(stopped, undefined)
  })

  const expose = (service: ServiceTable.Service) => replace(new Map([...table, [service.name, service]]))

  const office: Office = {
    expose: (service) => changing.withPermit(expose(service)),
    perform: (request) => {
      switch (request.op) {
        case "expose":
          return changing.withPermit(expose(request.service))
        case "unexpose":
          return changing.withPermit(unexpose(request.name))
        case "stop":
          return Effect.asVoid(Deferred.succeed(stopped, undefined))
        case "status":
          return Effect.void
      }
    },
    state: Effect.map(keeper.status, (sessions) => ({
      pid: ownPid,
      isConnected: node.isConnected(),
      problems: [
        ...node.problems(),
        ...(audit.lost() === 0 ? [] : [`${audit.lost()} calls could not be written to ${places.audit}.`])
      ],
      services: [...table.values()],
      sessions: sessions.map(({ inFlight, isIdle, pid, remote, service, stderrTail }) => ({
        service,
        node: remote.node,
        isIdle,
        inFlight,
        stderrTail,
        ...(pid === undefined ? {} : { pid })
      })),
      health: [...table.keys()].map((service) => {
        const { answeredAtMs, failedAtMs, ...health } = keeper.health(service)
        return {
          service,
          ...health,
          ...(answeredAtMs === undefined ? {} : { answeredAtMs }),
          ...(failedAtMs === undefined ? {} : { failedAtMs })
        }
      })
    })),
    serveNode: node.serve(keeper),
    stopped: Deferred.await(stopped)
  }
  return office
})

const commandOf = ({ args, command, cwd, env }: ServiceTable.CommandService) => ({ command, args, cwd, env })

/** One command on the control socket. */
const converse = (socket: Socket.Socket, office: Office): Effect.Effect<void, never, Environment> =>
  Effect.gen(function* () {
    const lines = yield* SocketLines.make(socket, KeeperControl.Request, KeeperControl.Reply)
    while (true) {
      const request = yield* lines.read
      const reply = yield* Effect.matchEffect(office.perform(request), {
        onFailure: ({ code, message }) => Effect.succeed({ ok: false as const, code, detail: message }),
        onSuccess: () => Effect.map(office.state, (state) => ({ ok: true as const, state }))
      })
      yield* lines.write(reply)
    }
  }).pipe(Effect.scoped, Effect.ignore)

const unreadable = (error: { readonly message: string; readonly path: string }): CliError.CliError =>
  CliError.make("internal", `${error.path}: ${error.message}`)
