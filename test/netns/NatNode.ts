/**
 * A process in a home that runs nodes as it is told, one line of JSON each way; or the rendezvous. Fresh nodes for every dial:
 * a tunnel that is up already would say nothing.
 *
 * `node NatNode.ts rendezvous` | `node NatNode.ts nodes DIRECTORY CARD`
 */
import { mkdtempSync } from "node:fs"
import { join } from "node:path"
import { createInterface } from "node:readline"
import { Context, Effect, Exit, Layer, References, Result, Schema, Scope } from "effect"
import * as DaemonLayer from "../../src/actors/layers/DaemonLayer.ts"
import * as NodeConfig from "../../src/actors/layers/NodeConfig.ts"
import * as NodeLayer from "../../src/actors/layers/NodeLayer.ts"
import { RendezvousConfig } from "../../src/actors/layers/RendezvousConfig.ts"
import * as RendezvousLayer from "../../src/actors/layers/RendezvousLayer.ts"
import { Node } from "../../src/actors/node/Node.ts"
import * as Address from "../../src/protocol/wire/Address.ts"
import { Card, Command } from "./NatCommand.ts"

const [role, directory = "", card = "{}"] = process.argv.slice(2)
const ECHO = Address.Port(7)

const rendezvous = Effect.gen(function* () {
  const running = yield* RendezvousLayer.start(
    Schema.decodeSync(RendezvousConfig)({
      registryAddr: ":9000",
      beaconAddr: "198.51.100.1:9001",
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

const open = Effect.fnUntraced(function* (name: string) {
  const home = mkdtempSync(join(directory, "node-"))
  const { fingerprint, ...places } = Schema.decodeSync(Schema.fromJsonString(Card))(card)
  const values = { ...places, registryFingerprint: fingerprint, public: "true", logLevel: "error" }
  const config = yield* Effect.fromResult(
    NodeConfig.resolve([{ name: "test", values: Object.fromEntries(Object.entries(values).map(flagged)) }], {
      home,
      socket: `${home}/socket`
    })
  )
  const scope = yield* Scope.make()
  const services = yield* Layer.buildWithScope(
    NodeLayer.layer(config).pipe(Layer.provide(DaemonLayer.surroundings)),
    scope
  )
  const node = Context.get(services, Node)
  nodes.set(name, { node, scope })
  return { address: Address.format(yield* node.address) }
})

const flagged = ([key, value]: [string, string]) => [NodeConfig.flagOf(key as NodeConfig.Key), value] as const

const close = (name: string) =>
  Effect.suspend(() => {
    const found = nodes.get(name)
    nodes.delete(name)
    return found === undefined ? Effect.succeed({}) : Effect.as(Scope.close(found.scope, Exit.void), {})
  })

const named = (name: string) =>
  Effect.suspend(() => {
    const found = nodes.get(name)
    return found === undefined ? Effect.die(`no node ${name}`) : Effect.succeed(found.node)
  })

const pathTo = Effect.fnUntraced(function* (node: Node["Service"], peer: Address.Address) {
  const { peers } = yield* node.status
  return peers.find((known) => known.node === peer.node)?.path ?? "none"
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
  let path = yield* pathTo(node, peer)
  while (path !== "direct" && elapsedMs() < waitMs) {
    yield* Effect.sleep("20 millis")
    yield* connection.write(ONE)
    yield* connection.read
    path = yield* pathTo(node, peer)
  }
  return { firstByteMs, path, directMs: path === "direct" ? elapsedMs() : undefined }
}, Effect.scoped)

/** When the way to a peer is direct for this end too: it may have been met by a dial of the other. */
const awaitPath = Effect.fnUntraced(function* (name: string, to: string, waitMs: number) {
  const node = yield* named(name)
  const deadlineMs = performance.now() + waitMs
  let path = yield* pathTo(node, address(to))
  while (path !== "direct" && performance.now() < deadlineMs) {
    yield* Effect.sleep("20 millis")
    path = yield* pathTo(node, address(to))
  }
  return { path }
})

const run = (command: typeof Command.Type): Effect.Effect<object, unknown> => {
  switch (command.op) {
    case "open":
      return open(command.name)
    case "close":
      return close(command.name)
    case "dial":
      return dial(command.name, command.to, command.waitMs)
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
