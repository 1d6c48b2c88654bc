/** The capability cards of a keeper process: what its servers can do, signed by the daemon, given to the registry by it. */
import { Effect, Queue, type Scope } from "effect"
import * as CardShelf from "../../actors/mcp/keeper/CardShelf.ts"
import * as ServiceInspector from "../../actors/mcp/keeper/ServiceInspector.ts"
import type { Service } from "../../actors/mcp/keeper/ServiceTable.ts"
import type { CannotStart, Child } from "../../actors/mcp/server/Child.ts"
import * as Bytes from "../../core/data/Bytes.ts"
import type { KeeperNode } from "./KeeperNode.ts"

/** Cards, and the looks at servers that they are made of. */
export interface KeeperCards {
  readonly shelf: CardShelf.CardShelf
  readonly inspector: ServiceInspector.ServiceInspector
  /** Services have changed: the registry should hear of it soon. */
  readonly changed: Effect.Effect<void>
}

/** Cards of the services, published again and again in the surrounding scope. */
export const make = Effect.fnUntraced(function* (options: {
  readonly path: string
  readonly node: KeeperNode
  readonly sha256: (data: Uint8Array) => Uint8Array
  readonly version: string
  readonly services: () => Iterable<Service>
  readonly spawn: (service: Service) => Effect.Effect<Child, CannotStart, Scope.Scope>
}) {
  const { node } = options
  const inspector = yield* ServiceInspector.make({
    spawn: options.spawn,
    clientInfo: { name: "pilotctl", version: options.version }
  })
  const shelf = yield* CardShelf.make({
    path: options.path,
    inspector,
    hash: (text) => Bytes.toHex(options.sha256(Bytes.fromUtf8(text))),
    services: options.services,
    signer: {
      identity: node.identity,
      sign: (card) => node.ask("card.sign", { card }),
      publish: (signed) => Effect.map(node.ask("card.publish", { signed }), (reply) => reply !== undefined),
      withdraw: (service) => Effect.map(node.ask("card.withdraw", { service }), (reply) => reply !== undefined)
    }
  })
  const changes = yield* Queue.sliding<void>(1)
  yield* Effect.suspend(() => (node.isConnected() ? shelf.publish : Effect.void)).pipe(
    Effect.andThen(
      Effect.suspend(() =>
        Effect.timeoutOption(Queue.take(changes), node.isConnected() ? PUBLISH_INTERVAL : CONNECT_POLL)
      )
    ),
    Effect.forever,
    Effect.forkScoped
  )
  return { shelf, inspector, changed: Effect.asVoid(Queue.offer(changes, undefined)) }
})

/** A registry that has lost a card, or forgotten a node for a while, has it again after so long. */
const PUBLISH_INTERVAL = "5 minutes"
const CONNECT_POLL = "1 second"
