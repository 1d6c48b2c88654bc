/** The capability cards of what a program exposes on the node of its own process: made, signed and published here. */
import { Effect, type FileSystem, type Path, Queue, type Scope } from "effect"
import * as CardShelf from "../actors/mcp/keeper/CardShelf.ts"
import * as ServiceInspector from "../actors/mcp/keeper/ServiceInspector.ts"
import type { Service } from "../actors/mcp/keeper/ServiceTable.ts"
import type { CannotStart, Child } from "../actors/mcp/server/Child.ts"
import { Node } from "../actors/node/Node.ts"
import { RegistryClient } from "../actors/registry/RegistryClient.ts"
import { Crypto } from "../core/crypto/Crypto.ts"
import * as Bytes from "../core/data/Bytes.ts"

/** What there are cards of. */
export interface Options {
  /** Where their numbers are kept, which only ever grow. */
  readonly path: string
  readonly services: () => Iterable<Service>
  /** A server like for a client, for a look at what it can do. */
  readonly spawn: (service: Service) => Effect.Effect<Child, CannotStart, Scope.Scope>
}

/** The cards. */
export interface HostCards extends Pick<CardShelf.CardShelf, "page">, Pick<ServiceInspector.ServiceInspector, "known"> {
  /** There is another service: the registry should hear of it soon, if it is public. */
  readonly added: Effect.Effect<void>
  /** One is gone: what was public must not be found any more, if the registry can be told within a moment. */
  readonly removed: Effect.Effect<void>
}

type Needs = Crypto | FileSystem.FileSystem | Node | Path.Path | RegistryClient | Scope.Scope

/** Public ones are given to the registry again and again, as long as the scope lives. */
export const make = Effect.fnUntraced(function* (options: Options): Effect.fn.Return<HostCards, never, Needs> {
  const { sha256 } = yield* Crypto
  const node = yield* Node
  const { cards } = yield* RegistryClient
  const { services, spawn } = options
  const inspector = yield* ServiceInspector.make({ spawn, clientInfo: { name: "effect-pilot", version: "0.1.0" } })
  const isDone = (effect: Effect.Effect<void, unknown>) =>
    Effect.match(effect, { onFailure: () => false, onSuccess: () => true })
  const shelf = yield* CardShelf.make({
    path: options.path,
    hash: (text) => Bytes.toHex(sha256(Bytes.fromUtf8(text))),
    inspector,
    signer: {
      identity: Effect.map(node.status, ({ address, publicKey }) => ({
        node: address.node,
        publicKey: Bytes.toBase64(publicKey)
      })),
      sign: (card) => Effect.sync(() => cards.sign(card)),
      publish: (signed) => isDone(cards.publish(signed)),
      withdraw: (service) => isDone(cards.withdraw(service))
    },
    services
  })
  const changes = yield* Queue.sliding<void>(1)
  yield* shelf.publish.pipe(
    Effect.andThen(Effect.timeoutOption(Queue.take(changes), PUBLISH_INTERVAL)),
    Effect.forever,
    Effect.forkScoped
  )
  return {
    page: shelf.page,
    known: inspector.known,
    added: Effect.asVoid(Queue.offer(changes, undefined)),
    removed: Effect.ignore(Effect.timeout(shelf.publish, WITHDRAWAL_TIMEOUT))
  }
})

/** A registry that has lost a card, or forgotten a node for a while, has it again after so long. */
const PUBLISH_INTERVAL = "5 minutes"
const WITHDRAWAL_TIMEOUT = "2 seconds"
