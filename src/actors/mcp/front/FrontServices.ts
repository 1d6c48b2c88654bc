/**
 * The services behind one front session (mcp §6.11): a relay session to each, opened when it is first needed, and what it
 * lists. Told by the roster which there are; tells through `Events` what the client may have to hear.
 *
 * Owns the upstreams and the catalog. A list is fetched when the client wants it, again when its server says that it changed,
 * and kept while the server cannot be reached.
 */
import { Deferred, Effect, Exit, Schedule, Scope } from "effect"
import * as Json from "../../../core/data/Json.ts"
import type { Duplex } from "../../../core/net/Duplex.ts"
import type { Catalog, Kind } from "../../../protocol/mcp/Catalog.ts"
import * as ServedDefinition from "../../../protocol/mcp/ServedDefinition.ts"
import type * as JsonRpcPeek from "../../../protocol/relay/JsonRpcPeek.ts"
import type { Target } from "../Target.ts"
import { INVALID_PARAMS, type Refused, refused } from "./FrontRefusal.ts"
import type { KnownService } from "./FrontRoster.ts"
import * as FrontUpstream from "./FrontUpstream.ts"

/** What the services of one session are made of. */
export interface Options<E> {
  readonly catalog: Catalog
  readonly connect: (target: Target) => Effect.Effect<Duplex<E>, never, Scope.Scope>
  /** What a service is told of the client, which may differ by service. */
  readonly profile: (service: KnownService) => FrontUpstream.ClientProfile
  /** A request or notification of a service. */
  readonly receive: (
    service: KnownService,
    message: Uint8Array,
    envelope: JsonRpcPeek.Envelope,
    write: FrontUpstream.Write
  ) => Effect.Effect<void>
  /** A service was opened; what it has to hear first is sent here. */
  readonly opened: (service: KnownService, upstream: FrontUpstream.FrontUpstream) => Effect.Effect<void>
  /** A service was closed, by either side. */
  readonly closed: (service: KnownService) => Effect.Effect<void>
}

/** The services of one session. */
export interface FrontServices {
  /** Work for the client ends with it. */
  readonly scope: Scope.Scope
  readonly all: () => ReadonlyArray<KnownService>
  readonly find: (alias: string) => KnownService | undefined
  /** The open service of that alias. */
  readonly upstream: (alias: string) => Effect.Effect<FrontUpstream.FrontUpstream, Refused>
  /** The same if it is open now. */
  readonly openNow: (alias: string) => FrontUpstream.FrontUpstream | undefined
  /** Fetches what is missing of a list, from every service that is up. Never fails; what cannot be had is left out. */
  readonly fetch: (kind: Kind) => Effect.Effect<void>
  /** The same of one service. */
  readonly fetchOne: (alias: string, kind: Kind) => Effect.Effect<void>
  /** Services that are up, and whose list is not known as it is now. */
  readonly pending: (kind: Kind) => ReadonlyArray<KnownService>
  /** Marks a list as outdated. */
  readonly outdate: (alias: string, kind: Kind) => void
  /** Whether the client has ever wanted such a list. */
  readonly isWanted: (kind: Kind) => boolean
  /** Takes over what the roster says now. */
  readonly update: (services: ReadonlyArray<KnownService>) => Effect.Effect<void>
}

/** No services yet. Everything ends with the surrounding scope. */
export const make = Effect.fnUntraced(function* <E>(
  options: Options<E>
): Effect.fn.Return<FrontServices, never, Scope.Scope> {
  const scope = yield* Effect.scope
  // All at once: each may wait for its goodbye to arrive, and the client does not wait long.
  const lives = yield* Scope.fork(scope, "parallel")
  const entries = new Map<string, Entry>()
  const wanted = new Set<Kind>()
  const { catalog } = options

  const close = (entry: Entry) =>
    Effect.suspend(() => {
      const { life } = entry
      entry.fresh.clear()
      entry.life = undefined
      entry.upstream = undefined
      if (life === undefined) return Effect.void
      return Effect.andThen(options.closed(entry.service), Effect.forkIn(Scope.close(life, Exit.void), scope))
    })

  const openOnce = Effect.fnUntraced(function* (entry: Entry) {
    yield* close(entry)
    const life = yield* Scope.fork(lives, "sequential")
    entry.life = life
    const { service } = entry
    const upstream = yield* Scope.provide(
      Effect.flatMap(options.connect(service.target), (lines) =>
        FrontUpstream.open({
          target: service.target,
          lines,
          profile: options.profile(service),
          receive: (message, envelope, write) => options.receive(service, message, envelope, write)
        })
      ),
      life
    ).pipe(Effect.onError(() => close(entry)))
    entry.upstream = upstream
    yield* options.opened(service, upstream)
    return upstream
  })

  const upstream = (alias: string) =>
    Effect.gen(function* () {
      const entry = entries.get(alias)
      if (entry === undefined)
        return yield* refused(INVALID_PARAMS, `There is no service ${JSON.stringify(alias)} now.`)
      if (entry.upstream !== undefined && !entry.upstream.isOver()) return entry.upstream
      if (entry.opening === undefined) {
        const opening = yield* Deferred.make<FrontUpstream.FrontUpstream, Refused>()
        entry.opening = opening
        // By a fiber of the session: whoever wanted it first may give up, and others want it too.
        yield* openOnce(entry).pipe(
          Effect.exit,
          Effect.flatMap((exit) => {
            entry.opening = undefined
            return Deferred.done(opening, exit)
          }),
          Effect.forkIn(scope)
        )
      }
      return yield* entry.opening === undefined ? upstreamLater(alias) : Deferred.await(entry.opening)
    })
  const upstreamLater = (alias: string): Effect.Effect<FrontUpstream.FrontUpstream, Refused> =>
    Effect.suspend(() => upstream(alias))

  const fetchNow = Effect.fnUntraced(function* (entry: Entry, kind: Kind) {
    const { alias, target } = entry.service
    const opened = yield* upstream(alias)
    const items: Array<Json.JsonObject> = []
    // What is said to have changed meanwhile is fetched again.
    entry.fresh.add(kind)
    if (capability(opened, kind) !== undefined) yield* pages(opened, kind, items)
    if (!isTold(opened, kind)) entry.fresh.delete(kind)
    if (entries.get(alias) !== entry) return
    for (const { name, reason } of catalog.set(alias, `${target.peer}/${target.service}`, kind, items)) {
      yield* Effect.logWarning(`mcp: ${target.peer}/${target.service}: ${kind} ${JSON.stringify(name)}: ${reason}`)
    }
  })

  const fetchOne = (alias: string, kind: Kind, isSecond = false): Effect.Effect<void> =>
    Effect.gen(function* () {
      const entry = entries.get(alias)
      if (entry === undefined) return
      const running = entry.fetching.get(kind)
      if (running !== undefined) {
        yield* Deferred.await(running)
        // It may have begun before the list changed.
        return entry.fresh.has(kind) || isSecond ? undefined : yield* fetchOne(alias, kind, true)
      }
      if (entry.fresh.has(kind)) return
      const done = yield* Deferred.make<void>()
      entry.fetching.set(kind, done)
      // By a fiber of the session: others wait for the same, and whoever wanted it may give up.
      yield* fetchNow(entry, kind).pipe(
        // A shim gives up soon on a first connection; a busy peer that has just listed the service is only slow.
        Effect.retry({
          times: FETCH_AGAIN,
          schedule: Schedule.spaced(FETCH_AGAIN_AFTER),
          while: (error) => error.isUnreachable && entries.get(entry.service.alias) === entry && entry.service.isUp
        }),
        Effect.catch((error) => {
          entry.fresh.delete(kind)
          const { peer, service } = entry.service.target
          return Effect.logWarning(`mcp: no ${kind} of ${peer}/${service}: ${error.message}`)
        }),
        Effect.ensuring(
          Effect.suspend(() => {
            entry.fetching.delete(kind)
            return Deferred.succeed(done, undefined)
          })
        ),
        Effect.forkIn(scope)
      )
      yield* Deferred.await(done)
    })

  const remove = (entry: Entry) =>
    Effect.suspend(() => {
      entries.delete(entry.service.alias)
      catalog.remove(entry.service.alias)
      return close(entry)
    })

  return {
    scope,
    all: () => [...entries.values()].map(({ service }) => service),
    find: (alias) => entries.get(alias)?.service,
    upstream,
    openNow: (alias) => {
      const open = entries.get(alias)?.upstream
      return open?.isOver() === false ? open : undefined
    },
    fetchOne: (alias, kind) => fetchOne(alias, kind),
    fetch: (kind) =>
      Effect.suspend(() => {
        wanted.add(kind)
        const some = [...entries.values()].filter(({ service, upstream: open }) => service.isUp || open !== undefined)
        return Effect.forEach(some, ({ service }) => fetchOne(service.alias, kind), {
          concurrency: FETCHES_AT_ONCE,
          discard: true
        })
      }),
    pending: (kind) =>
      [...entries.values()]
        .filter(({ fetching, service }) => service.isUp && fetching.has(kind))
        .map((entry) => entry.service),
    outdate: (alias, kind) => void entries.get(alias)?.fresh.delete(kind),
    isWanted: (kind) => wanted.has(kind),
    update: Effect.fnUntraced(function* (services) {
      const next = new Map(services.map((service) => [service.alias, service]))
      for (const entry of [...entries.values()]) {
        const { alias, target } = entry.service
        const now = next.get(alias)
        if (now === undefined || now.target.peer !== target.peer || now.target.service !== target.service) {
          yield* remove(entry)
        } else {
          // Whoever was down may offer something else now.
          if (now.isUp && !entry.service.isUp) entry.fresh.clear()
          entry.service = now
        }
      }
      for (const service of services) {
        if (!entries.has(service.alias)) entries.set(service.alias, fresh(service))
      }
    })
  }
})

interface Entry {
  service: KnownService
  life: Scope.Closeable | undefined
  upstream: FrontUpstream.FrontUpstream | undefined
  opening: Deferred.Deferred<FrontUpstream.FrontUpstream, Refused> | undefined
  /** Lists that are as the server has them, as far as it has said. */
  readonly fresh: Set<Kind>
  readonly fetching: Map<Kind, Deferred.Deferred<void>>
}

const fresh = (service: KnownService): Entry => ({
  service,
  life: undefined,
  upstream: undefined,
  opening: undefined,
  fresh: new Set(),
  fetching: new Map()
})

/** All pages, joined in order. */
const pages = (
  { ask, params }: FrontUpstream.FrontUpstream,
  kind: Kind,
  items: Array<Json.JsonObject>
): Effect.Effect<void, Refused> =>
  Effect.gen(function* () {
    let cursor = ""
    for (let page = 0; page < PAGES_MAX && items.length <= ServedDefinition.ITEMS_MAX; page++) {
      const result = yield* ask(METHOD[kind], params(cursor === "" ? {} : { cursor }))
      items.push(...Json.objects(result, kind))
      cursor = Json.string(result, "nextCursor")
      if (cursor === "") return
    }
  }).pipe(
    Effect.timeoutOrElse({
      duration: FETCH_TIMEOUT,
      orElse: () => Effect.fail(refused(TIMED_OUT, "The list does not come."))
    })
  )

const capability = ({ era }: FrontUpstream.FrontUpstream, kind: Kind): Json.JsonObject | undefined => {
  const value = Json.member(era.capabilities, kind === "resourceTemplates" ? "resources" : kind)
  return Json.isObject(value) ? value : undefined
}

/** A modern server that tells no changes says only how long its lists are good (mcp §1.1): they are asked for each time. */
const isTold = (upstream: FrontUpstream.FrontUpstream, kind: Kind): boolean =>
  upstream.era.kind === "legacy" || Json.boolean(capability(upstream, kind) ?? { listChanged: true }, "listChanged")

/** The method that lists each kind. */
export const METHOD: Readonly<Record<Kind, string>> = {
  tools: "tools/list",
  prompts: "prompts/list",
  resources: "resources/list",
  resourceTemplates: "resources/templates/list"
}
const FETCHES_AT_ONCE = 16
const PAGES_MAX = 100
const FETCH_AGAIN = 3
const FETCH_AGAIN_AFTER = "1 second"
const FETCH_TIMEOUT = "60 seconds"
const TIMED_OUT = -32603
