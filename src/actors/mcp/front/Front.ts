/**
 * All services that this node may use as one MCP server (mcp §6.11), for any number of clients. They share what is known of
 * the peers and nothing else: each has its own relay session to every service it uses, so that no client ever sees what
 * another does.
 */
import { Duration, Effect, type Scope } from "effect"
import { Crypto } from "../../../core/crypto/Crypto.ts"
import * as Bytes from "../../../core/data/Bytes.ts"
import type { Duplex } from "../../../core/net/Duplex.ts"
import * as DuplexPair from "../../../core/net/DuplexPair.ts"
import type { CallMetrics } from "../../../protocol/relay/CallMetrics.ts"
import * as DetachBridge from "../mount/DetachBridge.ts"
import type { Egress } from "../mount/EgressGuard.ts"
import type { ListFile } from "../mount/ListFile.ts"
import type { MountBoard } from "../mount/MountBoard.ts"
import type { PinGuard } from "../mount/PinGuard.ts"
import * as Shim from "../mount/Shim.ts"
import type { CannotReach } from "../mount/ShimFailure.ts"
import type { Target } from "../Target.ts"
import type * as FrontLists from "./FrontLists.ts"
import * as FrontRoster from "./FrontRoster.ts"
import * as FrontSession from "./FrontSession.ts"

/** What a front is made of. */
export interface Options<E> {
  /** Names of the trusted peers. */
  readonly peers: Effect.Effect<ReadonlyArray<string>, unknown>
  /** A stream to the MCP port of a target's peer. */
  readonly dial: (target: Target) => Effect.Effect<Duplex<E>, CannotReach, Scope.Scope>
  /** Watches the tools of a service, before their names are changed (mcp §6.9). */
  readonly pins?: (target: Target) => Effect.Effect<PinGuard>
  /** What is remembered of the services and shown until they have answered; absent: everything is asked first. */
  readonly memory?: FrontMemory
  /** What of every service may be used, by the names that its server gives. */
  readonly egress?: Egress | undefined
  /** Where sessions are told of. */
  readonly board?: MountBoard
  /** Counts the calls at each service, by its own name and those of its tools. */
  readonly metrics?: CallMetrics
  readonly version: string
  readonly settings: Settings
}

/** What is known from before. */
export interface FrontMemory {
  readonly roster: FrontRoster.RosterMemory
  readonly lists: (target: Target) => ListFile
}

/** What the owner of the client decides. */
export interface Settings {
  readonly mode: FrontLists.Mode
  readonly budget: FrontLists.Budget
  /** How long a list waits for services that do not answer. */
  readonly patience: Duration.Duration
  /** Aliases, by `PEER/SERVICE`. */
  readonly aliases: ReadonlyMap<string, string>
  /** Only these services; undefined for all. */
  readonly only: ReadonlyArray<Target> | undefined
  /** Services that may ask for sampling, as `PEER/SERVICE`. */
  readonly sampling: ReadonlySet<string>
}

/** What holds unless the owner says otherwise (mcp §6.11). */
export const DEFAULTS: Settings = {
  mode: "reveal",
  budget: { tools: 40, bytes: 40_000 },
  patience: Duration.seconds(5),
  aliases: new Map(),
  only: undefined,
  sampling: new Set()
}

/** A front in the surrounding scope. */
export interface Front {
  /** Serves one client to its end. */
  readonly run: <E>(client: Duplex<E>) => Effect.Effect<void>
  /** The client's end of a session of its own, which ends with the scope; shared if several modern clients will use it. */
  readonly connect: (isShared: boolean) => Effect.Effect<Duplex, never, Scope.Scope>
}

/** Asks the peers from now on. */
export const make = Effect.fn("Front.make")(function* <E>(
  options: Options<E>
): Effect.fn.Return<Front, never, Crypto | Scope.Scope> {
  const crypto = yield* Crypto
  const { dial, metrics, pins, settings } = options
  const hash = (text: string) => Bytes.toHex(crypto.sha256(Bytes.fromUtf8(text)))
  const roster = yield* FrontRoster.make({
    peers: options.peers,
    dial: (peer) => dial({ peer, service: "" }),
    hash,
    aliases: settings.aliases,
    ...(options.memory && { memory: options.memory.roster }),
    ...(settings.only === undefined ? {} : { only: settings.only })
  })

  const connect = Effect.fnUntraced(function* (
    target: Target,
    isOfCall = false
  ): Effect.fn.Return<Duplex, never, Scope.Scope> {
    const [near, far] = yield* DuplexPair.make
    const detaching = DetachBridge.make(far, target, "owner")
    const { client, welcomed } = yield* Effect.provideService(detaching, Crypto, crypto)
    const guard = pins === undefined ? undefined : yield* pins(target)
    const { board, egress, memory } = options
    // A session of one call has no lists, and nothing to gain.
    const known = memory === undefined || isOfCall ? {} : { lists: memory.lists, isEager: true }
    const watching = { egress, ...(guard && { pins: guard }), ...(board && { board }), ...(metrics && { metrics }) }
    yield* Shim.run({ client, target, welcomed, dial: dial(target), ...watching, ...known }).pipe(
      Effect.ensuring(far.end),
      Effect.provideService(Crypto, crypto),
      Effect.forkScoped
    )
    return near
  })

  const run = <E2>(client: Duplex<E2>, isShared: boolean): Effect.Effect<void> =>
    FrontSession.run({
      client,
      isShared,
      roster,
      connect,
      hash,
      random: () => Bytes.toHex(crypto.randomBytes(HANDLE_BYTES)),
      version: options.version,
      mode: settings.mode,
      budget: settings.budget,
      patience: settings.patience,
      maySample: ({ target }) => settings.sampling.has(`${target.peer}/${target.service}`)
    })

  return {
    run: (client) => run(client, false),
    connect: Effect.fnUntraced(function* (isShared) {
      const [near, far] = yield* DuplexPair.make
      yield* Effect.forkScoped(Effect.ensuring(run(far, isShared), far.end))
      return near
    })
  }
})

/** Handles are not authentication, but must not be guessed either (mcp §8, rule 2). */
const HANDLE_BYTES = 16
