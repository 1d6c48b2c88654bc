/** The capability cards of a host's services: what its servers can do, signed by its node, given to the registry by it. */
import { Effect, type FileSystem, type Path, Queue, type Scope } from "effect"
import * as Bytes from "../../../core/data/Bytes.ts"
import * as CardShelf from "./CardShelf.ts"
import * as ServiceInspector from "./ServiceInspector.ts"

/** Cards, and the looks at servers that they are made of. */
export interface ServiceCards {
  readonly shelf: CardShelf.CardShelf
  readonly inspector: ServiceInspector.ServiceInspector
  /** Services have changed: the registry should hear of it soon. */
  readonly changed: Effect.Effect<void>
}

/** What there are cards of, and who signs them. */
export interface Options
  extends Pick<CardShelf.Options, "path" | "services" | "signer">,
    Pick<ServiceInspector.Options, "clientInfo" | "spawn"> {
  readonly sha256: (data: Uint8Array) => Uint8Array
  /** Whether the node can be asked now; always, if it is not said. */
  readonly isConnected?: () => boolean
}

/** Cards of the services, published again and again in the surrounding scope. */
export const make = Effect.fnUntraced(function* ({
  isConnected = () => true,
  ...options
}: Options): Effect.fn.Return<ServiceCards, never, FileSystem.FileSystem | Path.Path | Scope.Scope> {
  const { clientInfo, path, services, sha256, signer, spawn } = options
  const inspector = yield* ServiceInspector.make({ spawn, clientInfo })
  const hash = (text: string) => Bytes.toHex(sha256(Bytes.fromUtf8(text)))
  const shelf = yield* CardShelf.make({ path, hash, inspector, signer, services })
  const changes = yield* Queue.sliding<void>(1)
  yield* Effect.suspend(() => (isConnected() ? shelf.publish : Effect.void)).pipe(
    Effect.andThen(
      Effect.suspend(() => Effect.timeoutOption(Queue.take(changes), isConnected() ? PUBLISH_INTERVAL : CONNECT_POLL))
    ),
    Effect.forever,
    Effect.forkScoped
  )
  return { shelf, inspector, changed: Effect.asVoid(Queue.offer(changes, undefined)) }
})

/** A registry that has lost a card, or forgotten a node for a while, has it again after so long. */
const PUBLISH_INTERVAL = "5 minutes"
const CONNECT_POLL = "1 second"
