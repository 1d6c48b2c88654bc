/**
 * The keeper's connection to its node: binds the MCP ports through the daemon and hands accepted streams to the keeper,
 * again and again for as long as the process lives. A restarted daemon is found again; sessions outlive it (mcp §6.1).
 */
import { Deferred, Effect, FiberMap, Result, type Scope } from "effect"
import type { IpcClient, IpcListener } from "../../actors/ipc/IpcClient.ts"
import * as IpcError from "../../actors/ipc/IpcError.ts"
import type { Keeper } from "../../actors/mcp/keeper/Keeper.ts"
import type { Service } from "../../actors/mcp/keeper/ServiceTable.ts"
import * as Bytes from "../../core/data/Bytes.ts"
import * as Json from "../../core/data/Json.ts"
import { MCP_PORT } from "../../protocol/relay/RelayControl.ts"
import * as Fingerprint from "../../protocol/trust/Fingerprint.ts"
import * as Address from "../../protocol/wire/Address.ts"
import { Port } from "../../protocol/wire/Address.ts"
import type { Environment } from "../Command.ts"
import * as DaemonClient from "../DaemonClient.ts"

/** The connection, whether it is up or not. */
export interface KeeperNode {
  /** What this node is called in errors to clients. */
  readonly name: () => string
  readonly isConnected: () => boolean
  /** Streams to that port come to the keeper now. */
  readonly isBound: (port: number) => boolean
  readonly problems: () => ReadonlyArray<string>
  /** The key under which this node trusts that node now; undefined if it does not, or cannot be asked. */
  readonly trustedKey: (node: number) => Effect.Effect<string | undefined>
  /** The same with the keys it follows from, the present one first; empty for a stranger. */
  readonly trustedKeys: (node: number) => Effect.Effect<ReadonlyArray<string>>
  /** What is known of that node; its key is the pinned one. */
  readonly caller: (node: number) => Effect.Effect<Json.JsonObject>
  /** Asks the daemon; undefined while it is away, or when it refuses. */
  readonly ask: (operation: string, value: Json.JsonObject) => Effect.Effect<Json.JsonObject | undefined>
  /** This node, as far as it is known. */
  readonly identity: Effect.Effect<{ readonly node: number; readonly publicKey: string } | undefined>
  /** Binds the ports that services want now, and releases those they want no more. */
  readonly update: Effect.Effect<void>
  /** Serves streams for ever. */
  readonly serve: (keeper: Keeper) => Effect.Effect<never, never, Environment>
}

/** A connection that is not up yet; `services` are those at any time. */
export const make = (services: () => ReadonlyArray<Service>, sha256: (bytes: Uint8Array) => Uint8Array): KeeperNode => {
  let link: Link | undefined
  let name = "the host"
  let daemonProblem: string | undefined = "The daemon has not been reached yet."

  const serveOnce = (keeper: Keeper) =>
    Effect.gen(function* () {
      const client = yield* DaemonClient.connect
      const info = yield* DaemonClient.ask("mcp", client.info)
      name = Json.string(info, "hostname") || Json.string(info, "address")
      const lost = yield* Deferred.make<void>()
      const opened: Link = {
        client,
        keeper,
        lost,
        ports: yield* FiberMap.make<number>(),
        bound: new Set(),
        problems: new Map()
      }
      link = opened
      daemonProblem = undefined
      yield* update(opened, services())
      yield* Deferred.await(lost)
      return "The daemon is gone."
    }).pipe(
      Effect.scoped,
      Effect.catch((error) => Effect.succeed(`${error.message}.`)),
      Effect.flatMap((problem) => {
        link = undefined
        daemonProblem = problem
        return Effect.sleep(RETRY)
      })
    )

  return {
    name: () => name,
    isConnected: () => link !== undefined,
    isBound: (port) => link?.bound.has(port) === true,
    problems: () => [...(daemonProblem === undefined ? [] : [daemonProblem]), ...(link?.problems.values() ?? [])],
    trustedKey: (node) =>
      Effect.suspend(() => (link === undefined ? Effect.succeed(undefined) : trustedKey(link.client, node))),
    trustedKeys: (node) =>
      Effect.suspend(() => (link === undefined ? Effect.succeed([]) : trustedKeys(link.client, node))),
    caller: (node) =>
      Effect.suspend(() => (link === undefined ? Effect.succeed(bare(node)) : callerOf(link.client, node, sha256))),
    ask: (operation, value) =>
      Effect.suspend(() => {
        if (link === undefined) return Effect.succeed(undefined)
        const asked = Effect.timeout(link.client.extension(operation, value), ASK_TIMEOUT)
        return Effect.orElseSucceed(asked, () => undefined)
      }),
    identity: Effect.suspend(() => {
      if (link === undefined) return Effect.succeed(undefined)
      return Effect.orElseSucceed(
        Effect.map(link.client.info, (info) => ({
          node: Json.unsigned(info, "node_id", 32),
          publicKey: Json.string(info, "public_key")
        })),
        () => undefined
      )
    }),
    update: Effect.suspend(() => (link === undefined ? Effect.void : update(link, services()))),
    serve: (keeper) => Effect.forever(serveOnce(keeper))
  }
}

interface Link {
  readonly client: IpcClient
  readonly keeper: Keeper
  /** Completed when the daemon is gone. */
  readonly lost: Deferred.Deferred<void>
  readonly ports: FiberMap.FiberMap<number>
  readonly bound: Set<number>
  readonly problems: Map<number, string>
}

const update = Effect.fnUntraced(function* (link: Link, services: ReadonlyArray<Service>) {
  const wanted = new Map<number, string | undefined>([[MCP_PORT, undefined]])
  for (const { name, port } of services) if (port !== undefined) wanted.set(port, name)
  for (const [port] of link.ports) if (!wanted.has(port)) yield* FiberMap.remove(link.ports, port)
  for (const [port, service] of wanted) {
    yield* FiberMap.run(link.ports, port, servePort(link, port, service), { onlyIfMissing: true })
  }
})

/** One port, tried again while somebody else has it. */
const servePort = (link: Link, port: number, service: string | undefined): Effect.Effect<void> =>
  Effect.gen(function* () {
    while (true) {
      const listener = yield* Effect.result(link.client.bind(Port(port)))
      if (Result.isSuccess(listener)) {
        link.problems.delete(port)
        link.bound.add(port)
        yield* acceptAll(link, listener.success, service)
        return
      }
      if (listener.failure.reason === "Disconnected") return
      link.problems.set(port, `Port ${port} cannot be bound: ${IpcError.describe(listener.failure)}.`)
      yield* Effect.sleep(REBIND)
    }
  }).pipe(
    Effect.scoped,
    // A port that could not stay bound because the daemon is gone takes the whole connection with it.
    Effect.onExit((exit) => (exit._tag === "Success" ? Deferred.succeed(link.lost, undefined) : Effect.void)),
    Effect.ensuring(
      Effect.sync(() => {
        link.problems.delete(port)
        link.bound.delete(port)
      })
    )
  )

const acceptAll = (
  link: Link,
  listener: IpcListener,
  service: string | undefined
): Effect.Effect<void, never, Scope.Scope> =>
  listener.accept.pipe(
    Effect.flatMap((duplex) => {
      const incoming = { duplex, remote: duplex.remote }
      return Effect.forkScoped(link.keeper.serve(service === undefined ? incoming : { ...incoming, ownPort: service }))
    }),
    Effect.forever,
    Effect.ignore
  )

const trustedKey = (client: IpcClient, node: number): Effect.Effect<string | undefined> =>
  Effect.map(trustedKeys(client, node), ([key]) => key)

const trustedKeys = (client: IpcClient, node: number): Effect.Effect<ReadonlyArray<string>> =>
  client.extension("trust.keys", {}).pipe(
    Effect.map((reply) => {
      const row = Json.objects(reply, "trusted").find((candidate) => Json.unsigned(candidate, "node_id", 32) === node)
      const key = row === undefined ? "" : Json.string(row, "public_key")
      return row === undefined || key === "" ? [] : [key, ...Json.strings(row, "former_keys")]
    }),
    Effect.orElseSucceed(() => [])
  )

const bare = (node: number) => ({ node_id: node, address: Address.format(Address.make(0, node)) })

/**
 * The key is the one of the trust list, under which its tunnel was opened, so the registry need not answer; the name is what
 * the registry says now, and only if it says it of that key.
 */
const callerOf = Effect.fnUntraced(function* (
  client: IpcClient,
  node: number,
  sha256: (bytes: Uint8Array) => Uint8Array
): Effect.fn.Return<Json.JsonObject> {
  const key = yield* trustedKey(client, node)
  const bytes = key === undefined ? undefined : Bytes.fromBase64(key)
  const found = yield* Effect.orElseSucceed(
    Effect.timeout(client.extension("peer", { target: bare(node).address, recent: true }), NAME_TIMEOUT),
    () => ({})
  )
  return {
    ...bare(node),
    hostname: key !== undefined && Json.string(found, "public_key") === key ? Json.string(found, "hostname") : "",
    fingerprint: bytes === undefined ? "" : Fingerprint.format(sha256(bytes)),
    public_key: key ?? ""
  }
})

const ASK_TIMEOUT = "15 seconds"
/** A registry that keeps silent must not keep a call waiting. */
const NAME_TIMEOUT = "2 seconds"
const RETRY = "500 millis"
const REBIND = "5 seconds"
