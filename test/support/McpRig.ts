/** A keeper and any number of shims in one process, joined by streams in memory that can be cut. */
import { createHash } from "node:crypto"
import { Effect, Exit, Option, Scope } from "effect"
import type { CallGate } from "../../src/actors/mcp/keeper/CallGate.ts"
import * as Keeper from "../../src/actors/mcp/keeper/Keeper.ts"
import type { CommandService, Service } from "../../src/actors/mcp/keeper/ServiceTable.ts"
import * as DetachBridge from "../../src/actors/mcp/mount/DetachBridge.ts"
import type { Egress } from "../../src/actors/mcp/mount/EgressGuard.ts"
import * as EraBridge from "../../src/actors/mcp/mount/EraBridge.ts"
import type { ListFile } from "../../src/actors/mcp/mount/ListFile.ts"
import type { PinGuard } from "../../src/actors/mcp/mount/PinGuard.ts"
import * as Shim from "../../src/actors/mcp/mount/Shim.ts"
import { CannotReach } from "../../src/actors/mcp/mount/ShimFailure.ts"
import type { CannotStart, Child } from "../../src/actors/mcp/server/Child.ts"
import type { Crypto } from "../../src/core/crypto/Crypto.ts"
import type { Duplex } from "../../src/core/net/Duplex.ts"
import { Verdict } from "../../src/protocol/relay/era/Verdict.ts"
import * as Address from "../../src/protocol/wire/Address.ts"
import * as DuplexPair from "./DuplexPair.ts"

/** One host with services, and clients elsewhere. */
export interface McpRig {
  /** The keeper that answers now. */
  readonly keeper: () => Keeper.Keeper
  /** A client of a service, through a shim of its own: lines in, lines out. Ends when the shim does. */
  readonly client: (
    service: string,
    node?: number,
    pins?: PinGuard,
    era?: EraOptions,
    egress?: Egress,
    lists?: ListFile,
    isEager?: boolean
  ) => Effect.Effect<Duplex<DuplexPair.Cut>, never, Crypto | Scope.Scope>
  /** A bare stream to the keeper, as node `node`; `ownPort` if it goes to a service's own port. */
  readonly stream: (node: number, ownPort?: string) => Effect.Effect<Duplex<DuplexPair.Cut>, never, Scope.Scope>
  /** Cuts every stream between the hosts. */
  readonly cut: Effect.Effect<void>
  /** The same without a word to either side, and nothing comes after it. */
  readonly stall: Effect.Effect<void>
  /** Nothing between the hosts from now on, or again. */
  readonly connect: (isConnected: boolean) => Effect.Effect<void>
  /** The keeper is killed and another takes its place, which knows nothing. */
  readonly restartKeeper: Effect.Effect<void>
  /** Node ids that may use everything. */
  readonly allowed: Set<number>
}

/** How a client's mount bridges the eras; without it, it does not. */
export interface EraOptions {
  readonly isModernOnly: boolean
  /** Calls that take longer are detached. */
  readonly detachAfter?: DetachBridge.After
}

/** What a rig is made of. */
export interface Options {
  readonly services: ReadonlyArray<Service>
  readonly spawn: (service: Service, gate: CallGate) => Effect.Effect<Child, CannotStart, Scope.Scope>
  readonly pieceBytes?: number
  readonly caller?: Keeper.Options["caller"]
  readonly audit?: Keeper.Options["audit"]
  readonly approvals?: Keeper.Options["approvals"]
}

/** A host whose services nodes 1 to 9 may use. */
export const make = Effect.fnUntraced(function* (options: Options): Effect.fn.Return<McpRig, never, Scope.Scope> {
  const scope = yield* Effect.scope
  const services = new Map(options.services.map((service) => [service.name, service]))
  const allowed = new Set([1, 2, 3, 4, 5, 6, 7, 8, 9])
  const pairs = new Set<DuplexPair.DuplexPair>()
  let isConnected = true
  const start = Keeper.make({
    self: "mcp-host",
    find: (name) => Effect.succeed(Option.fromUndefinedOr(services.get(name))),
    list: (remote) => Effect.succeed(allowed.has(remote.node) ? [...services.values()] : []),
    isAllowed: (_service, remote) => Effect.succeed(allowed.has(remote.node)),
    spawn: options.spawn,
    sha256: (data) => new Uint8Array(createHash("sha256").update(data).digest()),
    ...(options.caller === undefined ? {} : { caller: options.caller }),
    ...(options.audit === undefined ? {} : { audit: options.audit }),
    ...(options.approvals === undefined ? {} : { approvals: options.approvals }),
    peerKey: ({ node }) => Effect.succeed(allowed.has(node) ? `key-${node}` : undefined)
  })
  let life = yield* Scope.fork(scope, "sequential")
  let keeper = yield* Scope.provide(start, life)

  const stream = Effect.fnUntraced(function* (node: number, ownPort?: string) {
    const pair = yield* DuplexPair.make(options)
    pairs.add(pair)
    yield* Effect.addFinalizer(() =>
      Effect.andThen(
        pair.left.end,
        Effect.sync(() => pairs.delete(pair))
      )
    )
    const incoming = { duplex: pair.right, remote: Address.make(0, node) }
    yield* Effect.forkIn(keeper.serve(ownPort === undefined ? incoming : { ...incoming, ownPort }), life)
    return pair.left
  })
  const dial = (node: number) =>
    Effect.suspend(() =>
      isConnected
        ? stream(node)
        : new CannotReach({ kind: "unreachable", detail: "mcp-host does not answer.", isFinal: false })
    )
  const cut = Effect.suspend(() => Effect.forEach([...pairs], (pair) => pair.cut, { discard: true }))

  return {
    keeper: () => keeper,
    allowed,
    stream,
    cut,
    stall: Effect.suspend(() => {
      isConnected = false
      return Effect.forEach([...pairs], (pair) => pair.stall, { discard: true })
    }),
    connect: (connected) =>
      Effect.suspend(() => {
        isConnected = connected
        return connected ? Effect.void : cut
      }),
    restartKeeper: Effect.gen(function* () {
      const dead = life
      life = yield* Scope.fork(scope, "sequential")
      keeper = yield* Scope.provide(start, life)
      yield* cut
      yield* Scope.close(dead, Exit.void)
    }),
    client: (service, node = 2, pins, era, egress, lists, isEager = false) =>
      Effect.gen(function* () {
        const stdio = yield* DuplexPair.make(options)
        const target = { peer: "mcp-host", service }
        const detaching = yield* DetachBridge.make(stdio.right, target, era?.detachAfter ?? "never")
        const bridged = { client: detaching.client, target, verdict: new Verdict(), isShared: false }
        const client = era === undefined ? stdio.right : yield* EraBridge.make({ ...bridged, ...era })
        const shim = { client, target, dial: dial(node), egress, welcomed: detaching.welcomed }
        yield* Shim.run({ ...shim, ...(pins && { pins }), isEager, ...(lists && { lists: () => lists }) }).pipe(
          Effect.ensuring(stdio.right.end),
          Effect.forkScoped
        )
        return stdio.left
      })
  }
})

/** A service of that name; what it runs is up to the rig's `spawn`. */
export const service = (name: string, command = "server", args: ReadonlyArray<string> = []): CommandService => ({
  name,
  command,
  args,
  env: {},
  allowed: [],
  createdAtSeconds: 0
})
