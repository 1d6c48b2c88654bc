/**
 * The keeper process (mcp §6.1): one per state directory, apart from the daemon, so that a restarted daemon loses no call.
 * Its control socket is its lock. It ends when the last service goes, or when told to stop.
 */
import * as NodeChildProcessSpawner from "@effect/platform-node/NodeChildProcessSpawner"
import { Clock, Deferred, Effect, Layer, Logger, Option, Schedule, Semaphore } from "effect"
import { HttpClient } from "effect/http"
import { ChildProcessSpawner } from "effect/process/ChildProcessSpawner"
import type { Socket } from "effect/socket"
import * as ControlLines from "../../actors/ipc/ControlLines.ts"
import * as KeeperControl from "../../actors/mcp/KeeperControl.ts"
import * as AuditLog from "../../actors/mcp/keeper/AuditLog.ts"
import { HeldServices } from "../../actors/mcp/keeper/HeldServices.ts"
import * as Keeper from "../../actors/mcp/keeper/Keeper.ts"
import * as ServiceCards from "../../actors/mcp/keeper/ServiceCards.ts"
import type * as ServiceInspector from "../../actors/mcp/keeper/ServiceInspector.ts"
import * as ServiceTable from "../../actors/mcp/keeper/ServiceTable.ts"
import * as ChildProcess from "../../actors/mcp/server/ChildProcess.ts"
import * as HttpUpstream from "../../actors/mcp/server/HttpUpstream.ts"
import { Crypto } from "../../core/crypto/Crypto.ts"
import * as NativeCrypto from "../../core/crypto/NativeCrypto.ts"
import * as Bytes from "../../core/data/Bytes.ts"
import type { JsonObject } from "../../core/data/Json.ts"
import * as Json from "../../core/data/Json.ts"
import { LocalSocket } from "../../core/net/LocalSocket.ts"
import * as NodeUpstreamClient from "../../core/net/NodeUpstreamClient.ts"
import { MCP_PORT } from "../../protocol/relay/RelayControl.ts"
import * as CliError from "../CliError.ts"
import { CliHost } from "../CliHost.ts"
import type { Environment } from "../Command.ts"
import * as ConfigFile from "../ConfigFile.ts"
import * as LogFile from "../LogFile.ts"
import * as LongLived from "../LongLived.ts"
import { Processes } from "../Processes.ts"
import * as Telemetry from "../Telemetry.ts"
import * as KeeperApprovals from "./KeeperApprovals.ts"
import * as KeeperNode from "./KeeperNode.ts"
import * as KeeperPlaces from "./KeeperPlaces.ts"
import * as KeeperPolicy from "./KeeperPolicy.ts"
import * as KeeperSigner from "./KeeperSigner.ts"

/** Runs the keeper until it is stopped. `ready` runs when it can be asked; `initial` is exposed first. */
export const run = Effect.fn("KeeperRun.run")(
  function* <R>(options: {
    readonly initial?: ServiceTable.StoredService
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
    yield* LongLived.begin
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
  Effect.provide(
    Layer.mergeAll(NodeChildProcessSpawner.layer, NodeUpstreamClient.layer, Telemetry.layer("pilot-keeper"))
  ),
  Effect.provideService(Logger.LogToStderr, true)
)

/** Everything a command may ask for, on one table of services. */
interface Office {
  readonly expose: (service: ServiceTable.StoredService) => Effect.Effect<void, CliError.CliError, Environment>
  readonly perform: (
    request: Exclude<KeeperControl.Request, { readonly op: "hold" | "carry" }>
  ) => Effect.Effect<void, CliError.CliError, Environment>
  /** Exposes a service until the conversation ends. */
  readonly hold: (
    service: ServiceTable.Service,
    lines: Lines
  ) => Effect.Effect<void, CliError.CliError | ControlLines.BadConversation, Environment>
  readonly held: HeldServices
  readonly state: Effect.Effect<KeeperControl.State>
  /** What only some requests are told. */
  readonly details: (request: KeeperControl.Request) => Pick<KeeperControl.State, "calls" | "approvals">
  readonly serveNode: Effect.Effect<never, never, Environment>
  readonly stopped: Effect.Effect<void>
}

const makeOffice = Effect.fnUntraced(function* (places: KeeperPlaces.KeeperPlaces) {
  const spawner = yield* ChildProcessSpawner
  const client = yield* HttpClient.HttpClient
  const { variables, version } = yield* CliHost
  const { ownPid } = yield* Processes
  const changing = yield* Semaphore.make(1)
  const stopped = yield* Deferred.make<void>()
  const scope = yield* Effect.scope
  let table = yield* Effect.mapError(ServiceTable.load(places.services), unreadable)
  const held = new HeldServices()
  const services = () => [...table.values(), ...held.services]
  const { randomBytes, sha256 } = yield* Effect.provide(Crypto, NativeCrypto.layer)
  const node = KeeperNode.make(services, sha256)
  const clock = yield* Clock.Clock
  const log = yield* AuditLog.make(places.audit, sha256)
  const policy = yield* KeeperPolicy.make(node.ask)
  const audit = { sha256, record: policy.recording(log.record), time: () => timeText(clock.currentTimeMillisUnsafe()) }
  const people = yield* Effect.mapError(
    KeeperApprovals.make({ path: places.approvals, randomBytes, audit }),
    unreadable
  )
  const spawn = (service: ServiceTable.Service, asker: Asker) => {
    if ("program" in service) {
      const ticket = Bytes.toHex(randomBytes(TICKET_BYTES))
      return Effect.flatMap(asker.peer, (caller) => held.open(service.name, ticket, callerOf(caller)))
    }
    if (!("url" in service)) {
      return Effect.provideService(ChildProcess.spawn(commandOf(service), variables), ChildProcessSpawner, spawner)
    }
    const { headers, name, url } = service
    return HttpUpstream.open({ client, service: name, self: node.name(), url, headers, ...asker.upstream })
  }
  /** This node itself: a look at a server is nobody's call. */
  const ourselves: Asker = {
    peer: Effect.flatMap(node.identity, (identity) => node.caller(identity?.node ?? 0)),
    upstream: { caller: () => ({}), mayRepeat: () => false }
  }
  const cards = yield* ServiceCards.make({
    ...{ path: places.cards, sha256, services },
    clientInfo: { name: "pilotctl", version },
    signer: KeeperSigner.make(node),
    spawn: (service) => spawn(service, ourselves),
    isConnected: node.isConnected
  })
  const isAllowed = policy.admitting(node.trustedKeys)
  const keeper = yield* Keeper.make({
    cards: cards.shelf.page,
    inspected: cards.inspector.known,
    sha256,
    audit,
    approvals: people.approvals,
    peerKey: (remote) => node.trustedKey(remote.node),
    caller: (remote) => node.caller(remote.node),
    // Read when a session opens, because the name is known only while the daemon answers.
    get self() {
      return node.name()
    },
    find: (name) => Effect.sync(() => Option.fromUndefinedOr(table.get(name) ?? held.find(name))),
    list: (remote) => Effect.filter(services(), (service) => isAllowed(service, remote)),
    ...{ isAllowed, guard: policy.guard },
    spawn: (service, gate, remote) =>
      spawn(service, {
        peer: node.caller(remote.node),
        upstream: {
          caller: () => gate.callerHeaders(),
          mayRepeat: (message, envelope) => gate.mayRepeat(message, envelope)
        }
      })
  })

  const changed = node.update.pipe(Effect.andThen(keeper.recheck), Effect.andThen(cards.changed))
  const endIfEmpty = Effect.suspend(() => {
    if (services().length > 0) return Effect.void
    // The process ends now, and a public service that is gone must not be found any more.
    const withdrawn = Effect.timeoutOption(cards.shelf.publish, WITHDRAW_TIMEOUT)
    return Effect.andThen(withdrawn, Deferred.succeed(stopped, undefined))
  })
  const replace = (next: ServiceTable.ServiceTable) =>
    Effect.gen(function* () {
      yield* Effect.mapError(ServiceTable.save(places.services, next), unreadable)
      table = next
      yield* changed
    })

  const unexpose = Effect.fnUntraced(function* (name: string) {
    if (!table.has(name)) return yield* CliError.make("not_found", `no service ${JSON.stringify(name)} is exposed`)
    yield* replace(new Map([...table].filter(([key]) => key !== name)))
    yield* endIfEmpty
  })

  const expose = (service: ServiceTable.StoredService) => {
    const other = held.find(service.name)
    return other === undefined
      ? replace(new Map([...table, [service.name, service]]))
      : taken(service.name, `by ${ServiceTable.source(other)}`)
  }

  /** Clients that come now are let in; for a while only, since a daemon may be down for long. */
  const serving = (service: ServiceTable.Service) =>
    Effect.repeat(
      Effect.sync(() => [MCP_PORT, service.port ?? MCP_PORT].every(node.isBound)),
      { until: (isBound) => isBound, schedule: Schedule.max([Schedule.spaced("20 millis"), Schedule.recurs(150)]) }
    )

  const hold: Office["hold"] = (service, lines) =>
    Effect.gen(function* () {
      if (yield* Deferred.isDone(stopped)) return yield* CliError.make("not_running", "the keeper is ending")
      const isTaken = table.has(service.name) || !held.add(service, lines.write)
      if (isTaken) return yield* taken(service.name, "on this node")
      yield* changing.withPermit(changed)
      yield* serving(service)
      yield* lines.write({ ok: true, state: yield* office.state })
      // The program says nothing more; its end is the end of the service.
      yield* Effect.ignore(lines.read)
    }).pipe(
      Effect.ensuring(
        Effect.suspend(() => {
          held.remove(service)
          // Programs come and go: the next one should not have to wait for another keeper.
          const later = Effect.andThen(Effect.sleep(IDLE), endIfEmpty)
          return Effect.andThen(changing.withPermit(changed), Effect.forkIn(later, scope))
        })
      )
    )

  const lookAtAll = Effect.suspend(() =>
    Effect.forEach(services(), (service) => cards.inspector.look(service, LOOK_MS), UNBOUNDED)
  )
  const office: Office = {
    expose: (service) => changing.withPermit(expose(service)),
    perform: (request) => {
      switch (request.op) {
        case "expose":
          return changing.withPermit(expose(request.service))
        case "unexpose":
          return changing.withPermit(unexpose(request.name))
        case "allow":
          return changing.withPermit(replace(ServiceTable.allow(table, request.names, request.peer)))
        case "approvals":
        case "decide":
        case "revoke":
          return people.perform(request)
        case "stop":
          return Effect.asVoid(Deferred.succeed(stopped, undefined))
        case "status":
          return request.look === true ? lookAtAll : Effect.void
      }
    },
    hold,
    held,
    state: Effect.map(keeper.status, (sessions) => ({
      pid: ownPid,
      isConnected: node.isConnected(),
      problems: [
        ...node.problems(),
        ...people.problems(),
        ...(log.lost() === 0 ? [] : [`${log.lost()} calls could not be written to ${places.audit}.`])
      ],
      services: services(),
      sessions: sessions.map(({ inFlight, isIdle, pid, remote, service, stderrTail }) => ({
        service,
        node: remote.node,
        isIdle,
        inFlight,
        stderrTail,
        ...(pid === undefined ? {} : { pid })
      })),
      health: services().map((service) => healthOf(service.name, keeper.health, cards.inspector.known(service)))
    })),
    details: (request) => {
      switch (request.op) {
        case "status":
          return request.calls === true ? { calls: keeper.calls() } : {}
        case "approvals":
          return { approvals: people.state(request.id) }
        case "decide":
        case "revoke":
          return { approvals: people.state(undefined) }
        default:
          return {}
      }
    },
    serveNode: Effect.raceFirst(node.serve(keeper), policy.follow(keeper.recheck)),
    stopped: Deferred.await(stopped)
  }
  return office
})

const healthOf = (
  service: string,
  health: Keeper.Keeper["health"],
  seen: ServiceInspector.Inspection | undefined
): KeeperControl.Health => {
  const { answeredAtMs, failedAtMs, ...others } = health(service)
  const look = seen && { ...seen.report, tools: seen.report.tools.length, atMs: seen.atMs }
  return {
    service,
    ...others,
    ...(answeredAtMs === undefined ? {} : { answeredAtMs }),
    ...(failedAtMs === undefined ? {} : { failedAtMs }),
    ...(look && { look: { verdict: look.verdict, tools: look.tools, reason: look.reason, atMs: look.atMs } })
  }
}

/** For whom a server is opened: what a program's server is told of it, and what goes with requests to a URL. */
interface Asker {
  readonly peer: Effect.Effect<Json.JsonObject>
  readonly upstream: Pick<HttpUpstream.Options, "caller" | "mayRepeat">
}

/** A status that looks at servers waits so long for what they answer; less than commands wait for it. */
const LOOK_MS = 8000
const UNBOUNDED = { concurrency: "unbounded", discard: true } as const
const WITHDRAW_TIMEOUT = "3 seconds"

const commandOf = ({ args, command, cwd, env }: ServiceTable.CommandService) => ({ command, args, cwd, env })

/** One command, or one program, on the control socket. */
const converse = (socket: Socket.Socket, office: Office): Effect.Effect<void, never, Environment> =>
  Effect.gen(function* () {
    const lines: Lines = yield* ControlLines.make(socket, KeeperControl.Request, KeeperControl.Said)
    const refuse = ({ code, message }: CliError.CliError) => lines.write({ ok: false, code, detail: message })
    while (true) {
      const request = yield* lines.read
      if (request.op === "carry") return yield* office.held.carry(request.ticket, lines.rest)
      if (request.op === "hold") {
        return yield* Effect.catchTag(office.hold(request.service, lines), "CliError", refuse)
      }
      yield* Effect.matchEffect(office.perform(request), {
        onFailure: refuse,
        onSuccess: () =>
          Effect.flatMap(office.state, (state) =>
            lines.write({ ok: true, state: { ...state, ...office.details(request) } })
          )
      })
    }
  }).pipe(Effect.scoped, Effect.ignore)

type Lines = ControlLines.Conversation<KeeperControl.Request, KeeperControl.Said>

const taken = (name: string, where: string): Effect.Effect<never, CliError.CliError> =>
  CliError.make("already_exists", `a service ${JSON.stringify(name)} is exposed ${where} already`)

const callerOf = (caller: JsonObject): KeeperControl.Caller => ({
  node: Json.unsigned(caller, "node_id", 32),
  address: Json.string(caller, "address"),
  hostname: Json.string(caller, "hostname"),
  fingerprint: Json.string(caller, "fingerprint"),
  publicKey: Json.string(caller, "public_key")
})

const unreadable = (error: { readonly message: string; readonly path: string }): CliError.CliError =>
  CliError.make("internal", `${error.path}: ${error.message}`)

const timeText = (atMs: number): string => new Date(atMs).toISOString()
/** How long a keeper without services waits for another program. */
const IDLE = "60 seconds"
/** A ticket is worth one stream to one client. */
const TICKET_BYTES = 16
