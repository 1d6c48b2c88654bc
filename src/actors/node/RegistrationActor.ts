/**
 * Keeps this node registered (rendezvous §9.2–9.3).
 *
 * Owns the count of failed heartbeats. Every interval it announces the node to the beacon, which keeps the NAT mapping
 * open even while the registry is away, and sends a heartbeat; after three failures, or when the beacon sees the node
 * elsewhere, it registers again. Told by the beacon that it is unknown there, it announces the node at once; it tells `NodeSupervisor` through `registered` and
 * `heartbeat`. Restarted with a fresh count.
 */
import { Clock, Effect, Schedule, type Scope } from "effect"
import * as MonotonicTime from "../../core/actor/MonotonicTime.ts"
import type { Endpoint } from "../../core/data/Endpoint.ts"
import * as EndpointText from "../../core/data/Endpoint.ts"
import { type Address, NodeId } from "../../protocol/wire/Address.ts"
import { RegistryClient, type RegistryError } from "../registry/RegistryClient.ts"
import type { Mapping } from "./Mapping.ts"

/** How this node registers. */
export interface Options {
  readonly mapping: Mapping
  readonly local: Endpoint
  /** A fixed public endpoint; the beacon is not asked then. */
  readonly endpoint: Endpoint | undefined
  /** A port that the router gave, if the world sees this node at its address. */
  readonly portMapped: () => Endpoint | undefined
  readonly owner: string
  readonly intervalMs: number
  /** It is not registered yet, and wants to be as soon as the registry is there. */
  readonly isLate?: boolean
  readonly node: () => NodeId
  readonly isPublic: () => boolean
  readonly hostname: () => string
  readonly registered: (address: Address) => Effect.Effect<void>
  readonly heartbeat: Effect.Effect<void>
  /** The world sees this host elsewhere; told again when the beacon knows. */
  readonly moved: (isAnnounced: boolean) => Effect.Effect<void>
}

/** Registers once, asking the beacon for the address first. */
export const register = Effect.fn("RegistrationActor.register")(function* (
  options: Pick<Options, "mapping" | "local" | "endpoint" | "owner" | "portMapped">
): Effect.fn.Return<Address, RegistryError, RegistryClient> {
  const registry = yield* RegistryClient
  const endpoint =
    options.endpoint ??
    options.portMapped() ??
    (yield* options.mapping.announce(NodeId(0))) ??
    EndpointText.reachable(options.local)
  const { address } = yield* registry.register({
    listenAddress: EndpointText.format(endpoint),
    owner: options.owner,
    lanAddresses: EndpointText.isWildcard(options.local.host) ? [] : [EndpointText.format(options.local)]
  })
  // The answer is known; this time it tells the beacon whose it is.
  yield* Effect.forkDetach(options.mapping.announce(address.node))
  return address
})

/** Tells the registry what it should know about a freshly registered node; a refusal is logged, not fatal. */
export const restore = Effect.fn("RegistrationActor.restore")(function* (
  options: Pick<Options, "isPublic" | "hostname">
): Effect.fn.Return<void, never, RegistryClient> {
  const registry = yield* RegistryClient
  if (options.isPublic()) yield* logged("visibility", registry.setVisibility(true))
  const hostname = options.hostname()
  if (hostname !== "") yield* logged("hostname", registry.setHostname(hostname))
})

/** Starts the heartbeat in the surrounding scope. */
export const spawn = (options: Options): Effect.Effect<void, never, RegistryClient | Scope.Scope> =>
  Effect.gen(function* () {
    const registry = yield* RegistryClient
    const nowMs = yield* Effect.map(Clock.Clock, (clock) => () => MonotonicTime.nowMsUnsafe(clock))
    let isLate = options.isLate ?? false
    let failures = 0
    let told = options.portMapped()
    const pauseMs = () => (isLate ? Math.min(LATE_MS, options.intervalMs) : options.intervalMs)
    let dueAtMs = nowMs() + pauseMs()
    while (true) {
      const woken = yield* Effect.raceFirst(
        Effect.as(Effect.sleep(Math.max(0, dueAtMs - nowMs())), undefined),
        options.mapping.woken
      )
      const isElsewhere = woken?.isSeenElsewhere === true && (yield* isSeenElsewhere(options))
      if (isElsewhere) yield* options.moved(false)
      if (woken?.hasMoved === true || isElsewhere) {
        // The beacon believes a registered place at once; the old connection would only be waited for.
        yield* registry.hangUp ?? Effect.void
        const isRegistered = yield* again(options)
        failures = isRegistered ? 0 : FAILURES_MAX
        dueAtMs = nowMs() + (isRegistered ? options.intervalMs : MOVED_INTERVAL_MS)
        yield* options.moved(true)
        continue
      }
      const isWoken = woken !== undefined
      if (!isWoken) dueAtMs = nowMs() + pauseMs()
      const before = options.mapping.endpoint
      const mapped = yield* options.mapping.announce(options.node())
      const port = options.portMapped()
      const hasMoved = options.endpoint === undefined && (!isSame(before, mapped) || !isSame(told, port))
      told = port
      // A beacon that was restarted knows nobody, and a registry that was with it is asked soon enough.
      if (isWoken && !hasMoved && !isLate) continue
      if (isLate) {
        isLate = !(yield* again(options))
        continue
      }
      const isAlive = yield* Effect.match(registry.heartbeat, { onFailure: () => false, onSuccess: () => true })
      failures = isAlive ? 0 : failures + 1
      if (isAlive) yield* options.heartbeat
      if (hasMoved || failures >= FAILURES_MAX) {
        failures = 0
        yield* again(options)
      }
    }
  }).pipe(
    Effect.retry(Schedule.spaced(options.intervalMs)),
    Effect.forkScoped({ startImmediately: true }),
    Effect.asVoid
  )

/** A translator that was restarted gives another place, maybe another address, and has forgotten the registry's connection too. */
const isSeenElsewhere = ({ endpoint, mapping }: Options) =>
  Effect.suspend(() => {
    const before = mapping.endpoint
    if (endpoint !== undefined || before === undefined) return Effect.succeed(false)
    return Effect.map(mapping.announce(NodeId(0)), (now) => !isSame(before, now))
  })

/** Whether it is registered now. */
const again = (options: Options) =>
  register(options).pipe(
    Effect.tap(() => restore(options)),
    Effect.flatMap(options.registered),
    Effect.as(true),
    Effect.catch((error) => Effect.as(Effect.logWarning("registration failed", error.detail), false))
  )

const logged = (what: string, call: Effect.Effect<unknown, RegistryError>): Effect.Effect<void> =>
  call.pipe(
    Effect.asVoid,
    Effect.catch((error) => Effect.logWarning(`the registry did not take this node's ${what}`, error.detail))
  )

const isSame = (a: Endpoint | undefined, b: Endpoint | undefined): boolean =>
  a === b || (a !== undefined && b !== undefined && EndpointText.equals(a, b))

/** Between attempts of a node that began without its registry. */
const LATE_MS = 5_000
/** rendezvous §9.2. */
const FAILURES_MAX = 3
/** Another network may need a moment before anything can be reached. */
const MOVED_INTERVAL_MS = 2_000
