/**
 * Serves the registry over TCP and TLS on one port (rendezvous §2).
 *
 * Owns the registry, its sessions and their counters. Told by the server socket what happened to connections, one
 * message per event-loop turn; tells nobody. Its mailbox cannot fill: a connection is not read again before its
 * requests are answered; a batch that is refused nevertheless loses its connections. A failed commit restarts it from
 * what the store holds, with every connection closed, because what memory knows beyond the disk was never acknowledged.
 */
import { Clock, Effect, type Scope } from "effect"
import * as Actor from "../../core/actor/Actor.ts"
import * as MonotonicTime from "../../core/actor/MonotonicTime.ts"
import { Crypto } from "../../core/crypto/Crypto.ts"
import type { TlsIdentity } from "../../core/crypto/SelfSignedCertificate.ts"
import type { Endpoint } from "../../core/data/Endpoint.ts"
import { type ListeningServer, type ServerEvent, TlsSniffServer } from "../../core/net/TlsSniffServer.ts"
import type { BindError } from "../../core/net/UdpEndpoint.ts"
import { Registry } from "../../protocol/registry/Registry.ts"
import type { RegistryPolicy } from "../../protocol/registry/RegistryPolicy.ts"
import type { RegistryStatistics } from "../../protocol/registry/RegistryStatistics.ts"
import * as RegistryMetrics from "./RegistryMetrics.ts"
import { RegistryStore, type RegistryStoreError } from "./RegistryStore.ts"
import { type Limits, RegistryTurn } from "./RegistryTurn.ts"

/** What to serve, and within which limits. */
export interface RegistryServerOptions {
  readonly host: string | undefined
  readonly port: number
  readonly tls: TlsIdentity
  readonly policy: RegistryPolicy
  readonly limits: RegistryServerLimits
}

/** Bounds of the server; `defaultLimits` has the reference's or generous ones. */
export interface RegistryServerLimits extends Limits {
  readonly connectionsMax: number
  readonly connectionsPerSourceMax: number
  readonly openingTimeoutMs: number
}

/** A running registry, as its neighbours in the process see it. */
export interface RegistryServer {
  readonly local: Endpoint
  /** From where and when a node registered that is registered now. */
  readonly registration: Registry["registration"]
  /** Serves a client whose stream comes by a WebSocket. */
  readonly adopt: ListeningServer["adopt"]
  readonly metrics: RegistryMetrics.RegistryMetrics
  /** Walks everything; ask rarely. */
  readonly statistics: (nowMs: number) => RegistryStatistics
  /** Completes when the actor has given up. */
  readonly exit: Effect.Effect<Actor.ActorExit>
}

/** One batch of connection events. */
export type Message = ReadonlyArray<ServerEvent>

/** Limits that no honest network meets. */
export const defaultLimits: RegistryServerLimits = {
  idleMs: 300_000,
  blockedMs: 30_000,
  endingMs: 5_000,
  bufferedBytesMax: 256 * 1024,
  requests: { capacity: 10_000, perSecond: 2000 },
  sourcesMax: 50_000,
  connectionsMax: 20_000,
  connectionsPerSourceMax: 1000,
  openingTimeoutMs: 30_000
}

/** Starts the server in the surrounding scope, whose end closes it. */
export const spawn = Effect.fn("RegistryServerActor.spawn")(function* (
  options: RegistryServerOptions
): Effect.fn.Return<
  RegistryServer,
  BindError | RegistryStoreError,
  TlsSniffServer | RegistryStore | Crypto | Scope.Scope
> {
  const store = yield* RegistryStore
  const crypto = yield* Crypto
  const clock = yield* Clock.clockWith(Effect.succeed)
  const metrics = RegistryMetrics.make()
  const restored = Effect.map(
    store.load,
    (rows) => new Registry(options.policy, crypto.verify, rows, MonotonicTime.nowMsUnsafe(clock))
  )
  let registry = yield* restored
  let isFirstLife = true
  const server = yield* (yield* TlsSniffServer).listen({ ...options, ...options.limits })

  const start = Effect.gen(function* () {
    if (!isFirstLife) registry = yield* restored
    isFirstLife = false
    const turn = new RegistryTurn({ registry, store, metrics, clock, limits: options.limits })
    yield* Effect.addFinalizer(() => Effect.sync(() => turn.destroy()))
    return {
      receive: (batch: Message) => turn.receive(batch),
      afterBatch: () => turn.finish(),
      deadlineMs: () => turn.deadlineMs(),
      timerFired: () => turn.timerFired()
    }
  })
  const actor = yield* Actor.spawn<Message, RegistryStoreError, never>({
    name: "registry",
    mailbox: { capacity: MAILBOX_CAPACITY, overflow: "fail" },
    restart: RESTART,
    start,
    onExit: (exit) => (exit._tag === "Failed" ? Effect.logError("registry: gave up", exit.cause) : Effect.void)
  })
  server.onBatch((batch) => {
    if (actor.tellUnsafe(batch)) return
    for (const { connection } of batch) connection.destroy()
  })
  return {
    local: server.local,
    registration: (node) => registry.registration(node),
    adopt: server.adopt,
    metrics,
    statistics: (nowMs) => registry.statistics(nowMs),
    exit: actor.exit
  }
})

const MAILBOX_CAPACITY = 4096
/** A disk that fails more often than this is not coming back by itself. */
const RESTART = { intensity: 5, periodMs: 60_000 }
