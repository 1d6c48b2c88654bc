/**
 * A process in a home that runs nodes as it is told, one line of JSON each way; or the rendezvous. Fresh nodes for every dial:
 * a tunnel that is up already would say nothing.
 *
 * `node NatNode.ts rendezvous` | `node NatNode.ts nodes DIRECTORY CARD`
 */
import { copyFileSync, mkdtempSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { createInterface } from "node:readline"
import { Context, Effect, Exit, Layer, References, Result, Schedule, Schema, Scope } from "effect"
import * as DaemonLayer from "../../src/actors/layers/DaemonLayer.ts"
import * as NodeConfig from "../../src/actors/layers/NodeConfig.ts"
import * as NodeLayer from "../../src/actors/layers/NodeLayer.ts"
import { RendezvousConfig } from "../../src/actors/layers/RendezvousConfig.ts"
import * as RendezvousLayer from "../../src/actors/layers/RendezvousLayer.ts"
import { Node } from "../../src/actors/node/Node.ts"
import * as Bytes from "../../src/core/data/Bytes.ts"
import * as Endpoint from "../../src/core/data/Endpoint.ts"
import * as Address from "../../src/protocol/wire/Address.ts"
import { Card, Command, type Open, type Pulsed, type Reserved } from "./NatCommand.ts"

const [role, directory = "", card = "{}"] = process.argv.slice(2)
const ECHO = Address.Port(7)

const rendezvous = Effect.gen(function* () {
  const running = yield* RendezvousLayer.start(
    Schema.decodeSync(RendezvousConfig)({
      registryAddr: ":9000",
      beaconAddr: ":9001",
      beaconOtherAddr: "198.51.100.2:9001",
      wssAddr: ":443"
    })
  )
  const { fingerprint } = running
  const wss = "wss://198.51.100.1"
  say({ registry: "198.51.100.1:9000", beacon: "198.51.100.1:9001", wss, fingerprint } satisfies typeof Card.Type)
  return yield* Effect.never
})

/** The nodes of this process by the name they were given. */
const nodes = new Map<string, { readonly node: Node["Service"]; readonly scope: Scope.Closeable }>()

/**
 * Keys that no node has now. A registry takes few new keys from one address, and any number of old ones; everything else that a node
 * remembers is new each time.
 */
const reserve: Array<typeof Reserved.Type> = []

const take = Effect.suspend(() => {
  const reserved = reserve.pop()
  return reserved === undefined ? Effect.scoped(born) : Effect.succeed(reserved)
}).pipe(
  // On a fast machine all those few are in use: one of them comes back, or the registry takes another.
  Effect.retry({
    while: (error) => error.message.includes("rate limited"),
    schedule: Schedule.spaced("1 second"),
    times: 60
  })
)

/** A node that has been there once, so that it is known who it is. */
const born = Effect.gen(function* () {
  const home = mkdtempSync(join(directory, "node-"))
  const { address, publicKey } = yield* Effect.flatMap(started(home, yield* Effect.scope), ({ status }) => status)
  return {
    address: Address.format(address),
    publicKey: Bytes.toBase64(publicKey),
    identity: `${home}/identity.key`
  } satisfies typeof Reserved.Type
})

const started = Effect.fnUntraced(function* (home: string, scope: Scope.Scope) {
  const { fingerprint, ...places } = Schema.decodeSync(Schema.fromJsonString(Card))(card)
  const values = { ...places, registryFingerprint: fingerprint, public: "true", logLevel: "error" }
  const config = yield* Effect.fromResult(
    NodeConfig.resolve([{ name: "test", values: Object.fromEntries(Object.entries(values).map(flagged)) }], {
      home,
      socket: `${home}/socket`
    })
  )
  const layer = NodeLayer.layer(config).pipe(Layer.provide(DaemonLayer.surroundings))
  return Context.get(yield* Layer.buildWithScope(layer, scope), Node)
})

/** Both trust each other, as if two people had said so before; they have not met. */
const open = Effect.fnUntraced(function* ({ name, own, peer }: typeof Open.Type) {
  const home = mkdtempSync(join(directory, "node-"))
  copyFileSync(own.identity, `${home}/identity.key`)
  const row = { node_id: address(peer.address).node, public_key: peer.publicKey, mutual: true }
  writeFileSync(`${home}/trust.json`, JSON.stringify({ trusted: [row] }), { mode: 0o600 })
  const scope = yield* Scope.make()
  const node = yield* Effect.onError(started(home, scope), () => Scope.close(scope, Exit.void))
  nodes.set(name, { node, scope })
  return {}
})

const flagged = ([key, value]: [string, string]) => [NodeConfig.flagOf(key as NodeConfig.Key), value] as const

/** The key is free when nothing of its node is left: else two lives of it answer at once. */
const close = Effect.fnUntraced(function* ({ name, own }: typeof Open.Type) {
  const found = nodes.get(name)
  nodes.delete(name)
  if (found !== undefined) yield* Scope.close(found.scope, Exit.void)
  reserve.push(own)
  return {}
})

const named = (name: string) =>
  Effect.suspend(() => {
    const found = nodes.get(name)
    return found === undefined ? Effect.die(`no node ${name}`) : Effect.succeed(found.node)
  })

const wayTo = Effect.fnUntraced(function* (node: Node["Service"], peer: Address.Address) {
  const { peers } = yield* node.status
  const { endpoint, path = "none" } = peers.find((known) => known.node === peer.node) ?? {}
  return { path, endpoint: endpoint === undefined ? undefined : Endpoint.format(endpoint) }
})

const address = (text: string) => Result.getOrThrow(Address.parse(text))

/** Dials the echo service: when its first byte came, and when the way to it was direct, if it was within `waitMs`. */
const dial = Effect.fnUntraced(function* (name: string, to: string, waitMs: number) {
  const node = yield* named(name)
  const peer = address(to)
  const startedAtMs = performance.now()
  const elapsedMs = () => performance.now() - startedAtMs
  const connection = yield* node.dial(peer, ECHO)
  yield* connection.write(ONE)
  yield* connection.read
  const firstByteMs = elapsedMs()
  let way = yield* wayTo(node, peer)
  while (way.path !== "direct" && elapsedMs() < waitMs) {
    yield* Effect.sleep("20 millis")
    yield* connection.write(ONE)
    yield* connection.read
    way = yield* wayTo(node, peer)
  }
  return { firstByteMs, ...way, directMs: way.path === "direct" ? elapsedMs() : undefined }
}, Effect.scoped)

/** A byte there and back, again and again for `waitMs`, by a way that is direct to begin with. */
const pulse = Effect.fnUntraced(function* (name: string, to: string, waitMs: number) {
  const node = yield* named(name)
  const peer = address(to)
  const connection = yield* node.dial(peer, ECHO)
  const changes: Array<(typeof Pulsed.Type)["changes"][number]> = []
  let silentMs = 0
  let startedAtMs: number | undefined
  while (startedAtMs === undefined || performance.now() - startedAtMs < waitMs) {
    const sentAtMs = performance.now()
    yield* connection.write(ONE)
    yield* connection.read
    if (startedAtMs !== undefined) silentMs = Math.max(silentMs, performance.now() - sentAtMs)
    const { path } = yield* wayTo(node, peer)
    if (path !== changes.at(-1)?.path) changes.push({ atMs: Date.now(), path })
    if (path === "direct") startedAtMs ??= performance.now()
    yield* Effect.sleep("5 millis")
  }
  return { silentMs, changes }
}, Effect.scoped)

/** When the way to a peer is direct for this end too: it may have been met by a dial of the other. */
const awaitPath = Effect.fnUntraced(function* (name: string, to: string, waitMs: number) {
  const node = yield* named(name)
  const deadlineMs = performance.now() + waitMs
  let way = yield* wayTo(node, address(to))
  while (way.path !== "direct" && performance.now() < deadlineMs) {
    yield* Effect.sleep("20 millis")
    way = yield* wayTo(node, address(to))
  }
  return { path: way.path }
})

const run = (command: typeof Command.Type): Effect.Effect<object, unknown> => {
  switch (command.op) {
    case "take":
      return take
    case "open":
      return open(command)
    case "close":
      return close(command)
    case "dial":
      return dial(command.name, command.to, command.waitMs)
    case "pulse":
      return pulse(command.name, command.to, command.waitMs)
    case "await":
      return awaitPath(command.name, command.to, command.waitMs)
  }
}

const say = (value: object) => process.stdout.write(`${JSON.stringify(value)}\n`)
const ONE = Uint8Array.of(1)

const quiet = Effect.provideService(References.MinimumLogLevel, "None")

if (role === "rendezvous") Effect.runFork(quiet(Effect.scoped(rendezvous)))
else {
  for await (const line of createInterface({ input: process.stdin })) {
    const command = Schema.decodeSync(Schema.fromJsonString(Command))(line)
    Effect.runFork(
      quiet(
        Effect.matchCause(run(command), {
          onSuccess: (value) => say({ id: command.id, value }),
          onFailure: (cause) => say({ id: command.id, error: String(cause) })
        })
      )
    )
  }
}
