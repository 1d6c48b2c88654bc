/**
 * `McpHost` beside a running daemon: its keeper exposes the service, the one that `pilotctl mcp expose` uses, started if it
 * does not run. A server that is part of the program gets its clients' lines over the keeper's socket.
 */
import { Deferred, Effect, Option, Schedule, type Scope } from "effect"
import * as ControlLines from "../actors/ipc/ControlLines.ts"
import * as KeeperControl from "../actors/mcp/KeeperControl.ts"
import type { Service } from "../actors/mcp/keeper/ServiceTable.ts"
import * as Json from "../core/data/Json.ts"
import { LocalSocket } from "../core/net/LocalSocket.ts"
import * as Daemon from "./Daemon.ts"
import * as KeeperStart from "./KeeperStart.ts"
import { type Exposed, ExposeError, type McpHost, type Open, type Question } from "./McpHost.ts"

/** The host. Nothing is started before something is exposed. */
export const make = Effect.fnUntraced(function* (
  options: Daemon.Options
): Effect.fn.Return<McpHost["Service"], never, LocalSocket> {
  const local = yield* LocalSocket
  const { home } = yield* Daemon.places(options)
  const opened = Effect.provideService(connect(`${home}/${KeeperControl.SOCKET_NAME}`), LocalSocket, local)
  const started = KeeperStart.start(options, home).pipe(
    Effect.mapError(({ message }) => unavailable(`the keeper cannot be started: ${message}`)),
    Effect.andThen(Effect.retry(opened, { while: ({ reason }) => reason === "Unavailable", schedule: PATIENCE }))
  )
  return {
    peer: Effect.fnUntraced(function* (target) {
      const found = yield* Daemon.peer(options, target).pipe(
        Effect.provideService(LocalSocket, local),
        Effect.mapError((error) =>
          error._tag === "PilotError"
            ? unavailable(error.message)
            : new ExposeError({ reason: "UnknownPeer", detail: error.message })
        )
      )
      const publicKey = Json.string(found, "public_key")
      if (publicKey === "")
        return yield* new ExposeError({ reason: "UnknownPeer", detail: `the key of ${target} is not known` })
      const name = Json.string(found, "hostname") || Json.string(found, "address")
      return { node: Json.unsigned(found, "node_id", 32), publicKey, name }
    }),
    approvals: {
      waiting: Effect.scoped(Effect.flatMap(opened, questions)),
      decide: (id, verdict) =>
        Effect.scoped(Effect.flatMap(opened, (lines) => Effect.asVoid(asked(lines, { op: "decide", id, verdict }))))
    },
    hold: (service, open) =>
      hold(
        Effect.catch(opened, () => started),
        opened,
        service,
        open
        // One that is about to end makes room for another.
      ).pipe(Effect.retry({ while: ({ reason }) => reason === "Ended", schedule: ENDING }))
  }
})

type Conversation = ControlLines.Conversation<KeeperControl.Said, KeeperControl.Request>

const connect = Effect.fnUntraced(function* (
  path: string
): Effect.fn.Return<Conversation, ExposeError, LocalSocket | Scope.Scope> {
  const local = yield* LocalSocket
  const socket = yield* Effect.mapError(local.connect(path, Daemon.owners()), ({ detail }) =>
    unavailable(`the keeper cannot be reached: ${detail}`)
  )
  return yield* Effect.mapError(ControlLines.make(socket, KeeperControl.Said, KeeperControl.Request), lost)
})

/** The keeper's answer to one request. */
const asked = Effect.fnUntraced(function* (
  lines: Conversation,
  request: KeeperControl.Request
): Effect.fn.Return<KeeperControl.Approvals, ExposeError> {
  const said = yield* Effect.mapError(Effect.andThen(lines.write(request), lines.read), lost)
  if ("ticket" in said) return yield* unavailable("the keeper says something else")
  if (said.ok) return said.state.approvals ?? { waiting: [], remembered: [] }
  return yield* new ExposeError({ reason: "NotWaiting", detail: said.detail })
})

/** What waits, whole; one that has its answer meanwhile is left out. */
const questions = Effect.fnUntraced(function* (
  lines: Conversation
): Effect.fn.Return<ReadonlyArray<Question>, ExposeError> {
  const found: Array<Question> = []
  for (const { id } of (yield* asked(lines, { op: "approvals" })).waiting) {
    const reply = yield* Effect.option(asked(lines, { op: "approvals", id }))
    const whole = Option.getOrUndefined(reply)?.waiting.find((question) => question.id === id)
    if (whole?.parameters === undefined) continue
    const { askedAtMs: _askedAtMs, definitionHash, parameters, parametersBytes: _parametersBytes, ...rest } = whole
    found.push({ ...rest, parameters, definitionHash })
  }
  return found
})

const hold = Effect.fnUntraced(function* (
  first: Effect.Effect<Conversation, ExposeError, Scope.Scope>,
  another: Effect.Effect<Conversation, ExposeError, Scope.Scope>,
  service: Service,
  open: Open | undefined
): Effect.fn.Return<Exposed, ExposeError, Scope.Scope> {
  const lines = yield* first
  yield* Effect.mapError(lines.write({ op: "hold", service }), lost)
  const accepted = yield* Deferred.make<void, ExposeError>()
  const over = yield* Deferred.make<never, ExposeError>()
  const listen = Effect.gen(function* () {
    while (true) {
      const said = yield* lines.read
      if ("ticket" in said) yield* Effect.forkScoped(carry(another, said, open))
      else if (said.ok) {
        yield* Effect.forEach(said.state.problems, (problem) => Effect.logWarning(`mcp: ${problem}`), { discard: true })
        yield* Deferred.succeed(accepted, undefined)
      } else yield* Deferred.fail(accepted, refused(said))
    }
  })
  yield* listen.pipe(
    Effect.catch((error) => Effect.andThen(Deferred.fail(accepted, lost(error)), Deferred.fail(over, lost(error)))),
    Effect.forkScoped
  )
  yield* Effect.timeoutOrElse(Deferred.await(accepted), {
    duration: REPLY_TIMEOUT,
    orElse: () => unavailable("the keeper does not answer")
  })
  return { ended: Deferred.await(over) }
})

/** One client: its lines go to a server of this program, and that one's back, until either ends. */
const carry = (
  another: Effect.Effect<Conversation, ExposeError, Scope.Scope>,
  { caller, ticket }: KeeperControl.Opening,
  open: Open | undefined
): Effect.Effect<void> =>
  Effect.gen(function* () {
    if (open === undefined) return
    const lines = yield* another
    yield* lines.write({ op: "carry", ticket })
    const { stdio } = yield* open({ ...caller, publicKey: caller.publicKey ?? "" })
    const there = Effect.forever(Effect.flatMap(lines.rest.read, stdio.write))
    const back = Effect.forever(Effect.flatMap(stdio.read, lines.rest.write))
    return yield* Effect.raceFirst(there, back)
  }).pipe(
    Effect.scoped,
    Effect.catchCause((cause) => Effect.logDebug("mcp: a client of this program is gone", cause))
  )

const refused = ({ code, detail }: Extract<KeeperControl.Reply, { ok: false }>): ExposeError =>
  new ExposeError({ reason: REASONS[code] ?? "Unavailable", detail })

const lost = ({ message }: { readonly message: string }): ExposeError =>
  new ExposeError({ reason: "Ended", detail: `the keeper is gone: ${message}` })

const unavailable = (detail: string): ExposeError => new ExposeError({ reason: "Unavailable", detail })

/** A keeper that is being started answers soon. */
const PATIENCE = Schedule.max([Schedule.spaced("50 millis"), Schedule.recurs(300)])
const ENDING = Schedule.max([Schedule.spaced("100 millis"), Schedule.recurs(20)])
const REASONS: Readonly<Record<string, ExposeError["reason"]>> = { already_exists: "Taken", not_running: "Ended" }
const REPLY_TIMEOUT = "10 seconds"
