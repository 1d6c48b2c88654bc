/** Wires the broker of a node: its log in the state directory, and port 1002 unless the operator wants none. */
import { Clock, Context, Effect, type Scope } from "effect"
import { SqlClient } from "effect/sql"
import { Crypto } from "../../core/crypto/Crypto.ts"
import * as Bytes from "../../core/data/Bytes.ts"
import { Databases } from "../../core/storage/Databases.ts"
import type { ProtocolEvent } from "../../protocol/ProtocolEvent.ts"
import type { Node, PortInUse } from "../node/Node.ts"
import { Broker, PublishError } from "../pubsub/Broker.ts"
import * as BrokerActor from "../pubsub/BrokerActor.ts"
import * as BrokerContext from "../pubsub/BrokerContext.ts"
import * as EventJournal from "../pubsub/EventJournal.ts"
import type { PeerKeys } from "../trust/PeerKeys.ts"
import type { NodeConfig } from "./NodeConfig.ts"
import { NodeError } from "./NodeError.ts"

/** Starts it in the surrounding scope. */
export const start = Effect.fnUntraced(function* (
  config: NodeConfig,
  report: (event: ProtocolEvent) => void
): Effect.fn.Return<Context.Context<Broker>, NodeError, Crypto | Databases | Node | PeerKeys | Scope.Scope> {
  if (config.noEventstream) return Context.make(Broker, none)
  const path = `${config.home}/events.db`
  const { openGrouped } = yield* Databases
  const { randomBytes } = yield* Crypto
  const { sql, synced } = yield* Effect.mapError(openGrouped(path), ({ detail }) => unusable(path, detail))
  const log = Bytes.toHex(randomBytes(LOG_NAME_BYTES))
  const opened = EventJournal.open(BrokerActor.LIMITS.retention, log, yield* Clock.currentTimeMillis, synced)
  const journal = yield* Effect.mapError(Effect.provideService(opened, SqlClient.SqlClient, sql), ({ detail }) =>
    unusable(path, detail)
  )
  const broker = yield* Effect.mapError(BrokerActor.spawn({ journal, report }), portTaken)
  return Context.make(Broker, broker)
})

/** Of a node that was told to have no broker. */
const none: Broker["Service"] = {
  publish: () => Effect.fail(new PublishError({ reason: "Stopped", detail: "this node has no event stream" })),
  status: Effect.succeed({
    ...{ log: "", first: 1, last: 0, sizeBytes: 0, subscribers: [], counters: BrokerContext.counters() }
  })
}

const unusable = (path: string, detail: string) =>
  new NodeError({
    reason: "StateUnusable",
    detail: `cannot use ${path}: ${detail}`,
    hint: "make room, or move it away: events that nobody has heard yet are lost then; or start with --no-eventstream"
  })

const portTaken = ({ port }: PortInUse) =>
  new NodeError({ reason: "PortInUse", detail: `virtual port ${port} is taken`, hint: "this is a bug: report it" })

const LOG_NAME_BYTES = 8
