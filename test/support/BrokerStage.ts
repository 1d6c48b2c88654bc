/** A broker on a node in memory, its log in a database that outlives it, and clients on other nodes. */
import { type Cause, Context, Effect, Exit, Layer, Result, Scope } from "effect"
import { SqlClient } from "effect/sql"
import { type Connection, Node } from "../../src/actors/node/Node.ts"
import type { Broker } from "../../src/actors/pubsub/Broker.ts"
import * as BrokerActor from "../../src/actors/pubsub/BrokerActor.ts"
import type { Limits } from "../../src/actors/pubsub/BrokerContext.ts"
import * as EventJournal from "../../src/actors/pubsub/EventJournal.ts"
import { FrameReader } from "../../src/actors/pubsub/FrameReader.ts"
import { PeerKeys } from "../../src/actors/trust/PeerKeys.ts"
import * as PeerKeysStore from "../../src/actors/trust/PeerKeysStore.ts"
import * as NativeCrypto from "../../src/core/crypto/NativeCrypto.ts"
import * as Bytes from "../../src/core/data/Bytes.ts"
import * as SqliteClient from "../../src/core/storage/SqliteClient.ts"
import { IN_MEMORY } from "../../src/core/storage/SqliteDatabase.ts"
import type { ProtocolEvent } from "../../src/protocol/ProtocolEvent.ts"
import * as Address from "../../src/protocol/wire/Address.ts"
import * as EventExtension from "../../src/protocol/wire/EventExtension.ts"
import * as EventFrame from "../../src/protocol/wire/EventFrame.ts"
import { MemoryNodes } from "./MemoryNodes.ts"

/** The broker's node. */
export const BROKER = Address.make(0, 1)
/** Its log as it is first called. */
export const LOG = "log"

/** A running broker; `restart` gives the next one on the same log. */
export interface Stage {
  readonly nodes: MemoryNodes
  readonly sql: SqlClient.SqlClient
  readonly broker: () => Broker["Service"]
  readonly reports: Array<ProtocolEvent>
  readonly stop: Effect.Effect<void>
  readonly start: (limits?: Partial<Limits>) => Effect.Effect<void>
  /** A stream to the broker from a node. */
  readonly dial: (node: number) => Effect.Effect<Connection, unknown, Scope.Scope>
}

/** A stage with a broker that runs. */
export const make = Effect.fnUntraced(function* (limits: Partial<Limits> = {}) {
  const nodes = new MemoryNodes()
  const server = nodes.add(BROKER.node, new Uint8Array(32).fill(1))
  const outer = yield* Effect.scope
  const sql = yield* SqliteClient.open({ path: IN_MEMORY })
  const keys = Context.get(yield* Layer.build(Layer.provide(PeerKeysStore.layerMemory(), NativeCrypto.layer)), PeerKeys)
  const reports: Array<ProtocolEvent> = []
  let life: { readonly scope: Scope.Closeable; readonly broker: Broker["Service"] } | undefined
  const start = Effect.fnUntraced(function* (changed: Partial<Limits> = limits) {
    const scope = yield* Scope.fork(outer)
    const { retention } = { ...BrokerActor.LIMITS, ...changed }
    const journal = yield* Effect.provide(
      Effect.provideService(EventJournal.open(retention, LOG, 0), SqlClient.SqlClient, sql),
      Context.make(Scope.Scope, scope)
    )
    const options = { journal, limits: changed, report: (event: ProtocolEvent) => void reports.push(event) }
    const broker = yield* BrokerActor.spawn(options).pipe(
      Effect.provideService(Node, server.service),
      Effect.provideService(PeerKeys, keys),
      Scope.provide(scope)
    )
    life = { scope, broker }
  }, Effect.orDie)
  yield* start()
  const stage: Stage = {
    ...{ nodes, sql, reports, start },
    broker: () => life!.broker,
    stop: Effect.suspend(() => Scope.close(life!.scope, Exit.void)),
    dial: (node) => {
      const from = node === BROKER.node ? server : nodes.add(node, new Uint8Array(32).fill(node))
      return from.service.dial(BROKER, EventFrame.PORT)
    }
  }
  return stage
})

/** A client of the reference: it knows frames and nothing else. */
export const plain = Effect.fnUntraced(function* (stage: Stage, node: number, topic: string) {
  const connection = yield* stage.dial(node)
  const send = (text: string, data = "") =>
    connection.write(EventFrame.encode(Bytes.fromUtf8(text), Bytes.fromUtf8(data)))
  yield* send(topic)
  const reader = new FrameReader(connection.read)
  const next: Effect.Effect<string, unknown> = Effect.map(
    reader.next,
    ({ payload, topic: heard }) => `${Bytes.toUtf8Lossy(heard)}=${Bytes.toUtf8Lossy(payload)}`
  )
  return { connection, send, next }
})

/** A client of ours, frame by frame. */
export const extended = Effect.fnUntraced(function* (stage: Stage, node: number, offer: EventExtension.Offer) {
  const connection = yield* stage.dial(node)
  yield* connection.write(EventFrame.encode(Bytes.empty, EventExtension.encodeOffer(offer)))
  const reader = new FrameReader(connection.read)
  const answer = Result.getOrThrow(EventExtension.decodeAnswer((yield* reader.next).payload))
  const next: Effect.Effect<EventExtension.Message, unknown | Cause.Done> = Effect.map(reader.next, ({ payload }) =>
    Result.getOrThrow(EventExtension.decode(payload))
  )
  const acknowledge = (sequence: number) =>
    connection.write(EventFrame.encode(Bytes.empty, EventExtension.encode({ _tag: "Acknowledge", sequence })))
  return { connection, answer, next, acknowledge }
})

/** Lets everything happen that happens without time: so many turns of all fibers. */
export const turns = (count: number): Effect.Effect<void> =>
  Effect.asVoid(Effect.repeat(Effect.yieldNow, { times: count }))
