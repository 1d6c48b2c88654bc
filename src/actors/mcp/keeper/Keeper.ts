/**
 * The process beside the servers (mcp §6.1): it answers streams that the node hands in, decides who may use which
 * service, and keeps one session, with one child, per client.
 *
 * Owns all sessions; told of streams by whoever accepts them. A session that fails ends alone. Streams that do not say
 * soon what they want, and more of them than a peer may have, are closed.
 */
import { Clock, Deferred, Effect, Option, Scope } from "effect"
import * as MonotonicTime from "../../../core/actor/MonotonicTime.ts"
import * as Provided from "../../../core/actor/Provided.ts"
import * as Secret from "../../../core/data/Secret.ts"
import type { Duplex } from "../../../core/net/Duplex.ts"
import type { CallCounts } from "../../../protocol/relay/CallMetrics.ts"
import { type Bye, type Hello, VERSION } from "../../../protocol/relay/RelayControl.ts"
import { Frame } from "../../../protocol/relay/RelayFrame.ts"
import type * as Address from "../../../protocol/wire/Address.ts"
import * as FrameStream from "../FrameStream.ts"
import * as TracedStream from "../mount/TracedStream.ts"
import type { CannotStart, Child, TooManyStarts } from "../server/Child.ts"
import * as SharedChild from "../server/SharedChild.ts"
import { StartLimits } from "../server/StartLimits.ts"
import * as WarmChildren from "../server/WarmChildren.ts"
import type { CallGate } from "./CallGate.ts"
import * as KeeperSession from "./KeeperSession.ts"
import * as LineSession from "./LineSession.ts"
import { PeerTurns } from "./PeerTurns.ts"
import * as PlainAnswers from "./PlainAnswers.ts"
import * as PlainRequests from "./PlainRequests.ts"
import { ServiceBreaker, ServiceBreakers, type ServiceHealth } from "./ServiceBreaker.ts"
import type { Service } from "./ServiceTable.ts"
import { type Entry, endOf, type SessionStatus, statusOf } from "./SessionEntry.ts"
import * as SessionParts from "./SessionParts.ts"
import * as SessionRoom from "./SessionRoom.ts"

/** What a keeper is made of. */
export interface Options extends SessionParts.Options, PlainAnswers.Options {
  /** The service of that name, if it is exposed now. */
  readonly find: (name: string) => Effect.Effect<Option.Option<Service>>
  /** Whether the peer at that address may use the service. Its key decides, not its address (security rule 1). */
  readonly isAllowed: (service: Service, remote: Address.Address) => Effect.Effect<boolean>
  /** A server for one session of the peer at that address. */
  readonly spawn: (
    service: Service,
    gate: CallGate,
    remote: Address.Address
  ) => Effect.Effect<Child, CannotStart, Scope.Scope>
}

/** One accepted stream. `ownPort` names the service whose own port it came to. */
export interface Incoming<E> {
  readonly duplex: Duplex<E>
  readonly remote: Address.Address
  readonly ownPort?: string
}

/** A keeper at work. */
export interface Keeper {
  /** Serves one stream until it is no longer needed, then ends it. Never fails. */
  readonly serve: <E>(incoming: Incoming<E>) => Effect.Effect<void>
  /** Ends the sessions whose service is gone, or whose peer may no longer use it; the others go on with its rules now. */
  readonly recheck: Effect.Effect<void>
  readonly status: Effect.Effect<ReadonlyArray<SessionStatus>>
  /** How calls of the service ended lately, over all of its sessions. */
  readonly health: (service: string) => ServiceHealth
  /** The calls of all services and peers since the start. */
  readonly calls: () => ReadonlyArray<CallCounts>
}

/** A keeper in the surrounding scope; its end stops every child. */
export const make = Effect.fnUntraced(function* (options: Options): Effect.fn.Return<Keeper, never, Scope.Scope> {
  const scope = yield* Effect.scope
  const clock = yield* Clock.Clock
  const nowMs = () => MonotonicTime.nowMsUnsafe(clock)
  const sessions = new Map<string, Entry>()
  const starts = new StartLimits()
  const parts = yield* SessionParts.make(options)
  const warm = yield* WarmChildren.make
  /** A service that was changed is another object, and its new sessions share another server. */
  const shared = new WeakMap<Service, SharedChild.SharedChild>()
  const context = yield* Provided.services<never>()
  const breakers = new ServiceBreakers(
    (service) =>
      new ServiceBreaker({
        nowMs,
        wallMs: () => clock.currentTimeMillisUnsafe(),
        report: (text) => Effect.runForkWith(context)(Effect.logWarning(`mcp ${service}: ${text}`))
      })
  )
  const health = (service: string) => breakers.of(service).health()
  const answer = yield* PlainRequests.make(
    PlainAnswers.handlers(options, health, () => clock.currentTimeMillisUnsafe())
  )
  const turns = new PeerTurns()
  let lineSessions = 0
  let asides = 0

  const admitted = (name: string, remote: Address.Address): Effect.Effect<Option.Option<Service>> =>
    Effect.gen(function* () {
      const service = yield* options.find(name)
      if (Option.isNone(service)) return service
      return (yield* options.isAllowed(service.value, remote)) ? service : Option.none()
    })

  const spawn = (service: Service, remote: Address.Address, gate: CallGate) => {
    const start = Effect.suspend(() => starts.take(service, remote.node, nowMs())).pipe(
      Effect.andThen(options.spawn(service, gate, remote)),
      Effect.flatMap((child) => TracedStream.tracedChild(child, service.name))
    )
    // Only processes are slow to start.
    if (!("command" in service)) return start
    return service.shared === true ? sharedOf(service, start) : warm.take(service, remote.node, start)
  }

  const sharedOf = Effect.fnUntraced(function* (
    service: Service,
    start: Effect.Effect<Child, CannotStart | TooManyStarts, Scope.Scope>
  ) {
    const known = shared.get(service) ?? (yield* Scope.provide(SharedChild.make(start), scope))
    shared.set(service, known)
    return yield* known.join
  })

  const hasRoom = (service: Service, remote: Address.Address): boolean =>
    SessionRoom.make(sessions, service, remote.node)

  const open = Effect.fnUntraced(function* (service: Service, remote: Address.Address, hello: Hello, key: string) {
    const whose = { service, remote, session: hello.session, epoch: (hello.epoch ?? 0) + 1 }
    const gate = yield* parts.gate(whose)
    const ready = yield* Deferred.make<KeeperSession.KeeperSession>()
    const fiber = yield* Effect.scoped(
      Effect.gen(function* () {
        const session = yield* KeeperSession.make({
          service: service.name,
          self: options.self,
          epoch: whose.epoch,
          hello,
          spawn: spawn(service, remote, gate),
          gate,
          breaker: breakers.of(service.name),
          discovery: parts.discovery(whose),
          parking: parts.parking(whose),
          approve: parts.approve(whose)
        })
        yield* Deferred.succeed(ready, session)
        yield* Effect.ensuring(
          session.run,
          Effect.sync(() => {
            for (const [name, entry] of sessions) if (entry.relay?.session === session) sessions.delete(name)
          })
        )
      })
    ).pipe(Effect.forkIn(scope, { startImmediately: true }))
    const session = yield* Deferred.await(ready)
    sessions.set(key, {
      key,
      service: service.name,
      remote,
      upstream: session.upstream,
      gate,
      stop: () => fiber.interruptUnsafe(),
      relay: { session, resumeKey: hello.resumeKey }
    })
    return session
  })

  /** Its client is back after it was given up for good; its parked calls go on, and may be what the client asks for again. */
  const setAside = (entry: Entry): void => {
    const key = `${entry.key}/aside/${++asides}`
    sessions.set(key, { ...entry, key })
  }

  /** The session that a HELLO asks for: the one it proves to own, or a new one. */
  const sessionFor = Effect.fnUntraced(function* (service: Service, remote: Address.Address, hello: Hello) {
    const key = `${remote.node}/${hello.session}`
    const entry = sessions.get(key)
    if (entry?.relay !== undefined) {
      const { resumeKey, session } = entry.relay
      if (!Secret.isSame(resumeKey, hello.resumeKey) || entry.service !== service.name) return refused("denied")
      if (session.canResumeFrom(hello.rx)) return { session, resumed: true } as const
      sessions.delete(key)
      if (entry.upstream.isAbandoned()) setAside(entry)
      else entry.stop()
    }
    if (!hasRoom(service, remote)) return refused("overloaded")
    return { session: yield* open(service, remote, hello, key), resumed: false } as const
  })

  const serveFrames = Effect.fnUntraced(function* <E>(
    incoming: Incoming<E>,
    head: Uint8Array,
    known: Effect.Effect<void>
  ) {
    const stream = FrameStream.make(incoming.duplex, head)
    const first = yield* Effect.timeout(stream.next, HELLO_TIMEOUT)
    if (first._tag !== "Hello") return
    const { hello } = first
    if (hello.v !== VERSION) return yield* stream.send(Frame.Bye({ bye: { reason: "version" } }))
    const service = yield* admitted(hello.service, incoming.remote)
    // The same answer for what does not exist and for what is not for this peer, so that names cannot be probed.
    if (Option.isNone(service)) return yield* stream.send(Frame.Bye({ bye: { reason: "denied" } }))
    const found = yield* sessionFor(service.value, incoming.remote, hello)
    if ("bye" in found) return yield* stream.send(Frame.Bye({ bye: found.bye }))
    yield* known
    yield* found.session.attach(stream, hello, found.resumed)
  })

  const serveLines = Effect.fnUntraced(function* <E>(incoming: Incoming<E>, name: string, head: Uint8Array) {
    const { duplex, remote } = incoming
    const service = yield* admitted(name, remote)
    if (Option.isNone(service) || !hasRoom(service.value, remote)) return
    const key = `${remote.node}/lines/${++lineSessions}`
    const whose = { service: service.value, remote, session: `lines-${lineSessions}`, epoch: 0 }
    const gate = yield* parts.gate(whose)
    const session = yield* LineSession.make({
      service: name,
      self: options.self,
      duplex,
      head,
      spawn: spawn(service.value, remote, gate),
      gate,
      breaker: breakers.of(name),
      discovery: parts.discovery(whose),
      parking: parts.parking(whose),
      approve: parts.approve(whose)
    })
    const stopped = yield* Deferred.make<void>()
    const stop = () => Deferred.doneUnsafe(stopped, Effect.void)
    const { upstream } = session
    sessions.set(key, { key, service: name, remote, upstream, gate, stop, relay: undefined })
    yield* Effect.raceFirst(session.run, Deferred.await(stopped)).pipe(
      Effect.ensuring(Effect.sync(() => sessions.delete(key)))
    )
  }, Effect.scoped)

  /**
   * The first byte tells a plain line (it is a message) from a frame (it is a length) (mcp §6.2). On the port that all
   * services share a line can only ask about them.
   */
  const serveFrom =
    <E>(incoming: Incoming<E>, known: Effect.Effect<void>) =>
    (head: Uint8Array): Effect.Effect<void, unknown> => {
      if (head[0] !== OPEN_BRACE) return serveFrames(incoming, head, known)
      return incoming.ownPort === undefined ? answer(incoming, head) : serveLines(incoming, incoming.ownPort, head)
    }

  const serve = Effect.fnUntraced(function* <E>(incoming: Incoming<E>) {
    const { node } = incoming.remote
    // Once a session carries the stream, the bounds of sessions count it, and the turn is given back.
    const look = (leave: Effect.Effect<void>) =>
      Effect.andThen(Effect.timeout(incoming.duplex.read, HELLO_TIMEOUT), serveFrom(incoming, leave))
    yield* turns.take(node, look).pipe(
      // Whatever a peer does to its stream ends that stream and nothing else.
      Effect.catchCause((cause) => Effect.logDebug(`mcp: stream of ${node} ended`, cause)),
      Effect.ensuring(incoming.duplex.end)
    )
  })

  return {
    serve,
    recheck: Effect.suspend(() => {
      // The owner has just changed something, perhaps what was wrong.
      breakers.pathRestored()
      return Effect.forEach(
        [...sessions.values()],
        (entry) =>
          Effect.flatMap(admitted(entry.service, entry.remote), (service) => {
            if (Option.isNone(service)) return endOf(entry)
            return parts.configure(entry.gate, service.value, entry.remote)
          }),
        { discard: true }
      )
    }),
    status: Effect.suspend(() => Effect.forEach([...sessions.values()], statusOf)),
    health,
    calls: parts.calls
  }
})

const refused = (reason: string): { readonly bye: Bye } => ({ bye: { reason } })

const HELLO_TIMEOUT = "10 seconds"
const OPEN_BRACE = 0x7b
