/**
 * The echo service on port 7 (node §3): every segment comes back, for as long as the peer sends. Who may reach it is the
 * node's decision (security rule 3): trusted peers, and anybody while the node is public.
 *
 * A peer that does not read what it is sent stops being read, because writing waits for room; it then holds no more than
 * one stream's buffers.
 */
import { Clock, Effect, type Scope } from "effect"
import * as Bytes from "../../core/data/Bytes.ts"
import * as Quota from "../../core/data/Quota.ts"
import { type NodeId, Port } from "../../protocol/wire/Address.ts"
import { type Connection, type Listener, Node, type PortInUse } from "../node/Node.ts"

/** Echo (wire §2). */
export const PORT = Port(7)

/** Serves in the surrounding scope, whose end resets the streams. */
export const spawn: Effect.Effect<void, PortInUse, Node | Scope.Scope> = Effect.gen(function* () {
  const node = yield* Node
  const listener = yield* node.listen(PORT)
  yield* Effect.forkScoped(serve(listener), { startImmediately: true })
})

const serve = Effect.fnUntraced(function* (listener: Listener) {
  const scope = yield* Effect.scope
  const streams = Quota.make<NodeId>({ countMax: STREAMS_MAX, perKeyMax: STREAMS_PER_NODE_MAX })
  const admit = (connection: Connection): Effect.Effect<unknown> => {
    const peer = connection.remote.node
    if (!Quota.enter(streams, peer)) return connection.reset
    const left = Effect.sync(() => Quota.leave(streams, peer))
    return Effect.forkIn(Effect.ensuring(echo(connection), left), scope)
  }
  yield* Effect.ignore(Effect.forever(Effect.flatMap(listener.accept, admit)))
})

/** The reference leaves its side open when the peer closes; here the peer reads its end, after everything it sent. */
const echo = (connection: Connection): Effect.Effect<void> =>
  Effect.forever(Effect.flatMap(connection.read, (segment) => Effect.flatMap(answer(segment), connection.write))).pipe(
    Effect.catchTags({ Done: () => connection.close, ConnectionReset: () => Effect.void }),
    Effect.onInterrupt(() => connection.reset)
  )

/** A trace segment of newer peers is answered with our time behind theirs, in nanoseconds (node §3). */
const answer = (segment: Uint8Array): Effect.Effect<Uint8Array> =>
  Clock.clockWith((clock) =>
    Effect.sync(() => {
      if (segment.length < TRACE_BYTES || !Bytes.equals(segment.subarray(0, TRACE_MAGIC.length), TRACE_MAGIC))
        return segment
      const receivedAt = new Uint8Array(8)
      new DataView(receivedAt.buffer).setBigUint64(0, clock.currentTimeNanosUnsafe())
      return Bytes.concat(segment.subarray(0, TRACE_BYTES), receivedAt)
    })
  )

/** Our own bounds: a public node serves strangers. */
const STREAMS_MAX = 256
const STREAMS_PER_NODE_MAX = 32
const TRACE_MAGIC = Bytes.fromUtf8("TRCE")
/** Magic and the sender's time. */
const TRACE_BYTES = 12
