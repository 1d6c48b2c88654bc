/** The connections to a broker: one fiber for each, so many in all and of one peer, others reset (node §5). */
import { Effect, type Scope } from "effect"
import * as Bytes from "../../core/data/Bytes.ts"
import * as Quota from "../../core/data/Quota.ts"
import type { NodeId } from "../../protocol/wire/Address.ts"
import * as EventFrame from "../../protocol/wire/EventFrame.ts"
import { type Connection, Node, type PortInUse } from "../node/Node.ts"
import { PeerKeys } from "../trust/PeerKeys.ts"
import { ArrivingFrames } from "./ArrivingFrames.ts"
import type { BrokerContext } from "./BrokerContext.ts"
import * as BrokerSession from "./BrokerSession.ts"

/** Listens in the surrounding scope; who subscribes is in the table that it gives. */
export const spawn = Effect.fnUntraced(function* (
  context: BrokerContext
): Effect.fn.Return<ReadonlyMap<number, BrokerSession.Subscriber>, PortInUse, Node | PeerKeys | Scope.Scope> {
  const node = yield* Node
  const keys = yield* PeerKeys
  const scope = yield* Effect.scope
  const listener = yield* node.listen(EventFrame.PORT)
  const subscribers = new Map<number, BrokerSession.Subscriber>()
  const { connectionsMax, connectionsPerPeerMax } = context.limits
  const quota = Quota.make<NodeId>({ countMax: connectionsMax, perKeyMax: connectionsPerPeerMax })
  const arriving = new ArrivingFrames(context.limits)
  let origin = 0
  const admit = Effect.fnUntraced(function* (connection: Connection) {
    const peer = connection.remote.node
    const { node: own } = yield* node.address
    const isSelf = peer === own
    if (!(isSelf ? quota.count < connectionsMax : Quota.enter(quota, peer))) {
      context.counters.refused++
      return yield* connection.reset
    }
    const publicKey = isSelf ? (yield* node.status).publicKey : keys.pinned(peer)
    const key = publicKey === undefined ? `node ${peer}` : Bytes.toHex(publicKey)
    const left = Effect.sync(() => {
      if (!isSelf) Quota.leave(quota, peer)
    })
    const session = { context, connection, isSelf, key, arriving, subscribers, origin: ++origin }
    yield* Effect.forkIn(Effect.ensuring(BrokerSession.serve(session), left), scope)
  })
  yield* Effect.forkScoped(Effect.ignore(Effect.forever(Effect.flatMap(listener.accept, admit))), {
    startImmediately: true
  })
  return subscribers
})
