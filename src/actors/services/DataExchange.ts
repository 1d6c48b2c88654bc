/**
 * Data exchange on port 1001 (node §4): messages into the inbox, files among the received ones, and the files that this
 * node shares to those it shares them with. For trusted peers only (security rule 3).
 *
 * Each stream is a fiber of its own; one that breaks the rules or falls silent is closed and takes nobody with it. What is
 * acknowledged is on disk.
 */
import { Cause, Effect, type FileSystem, type Path, type PlatformError, Schema, type Scope, Semaphore } from "effect"
import type { Crypto } from "../../core/crypto/Crypto.ts"
import * as Bytes from "../../core/data/Bytes.ts"
import * as Quota from "../../core/data/Quota.ts"
import { type NodeId, Port } from "../../protocol/wire/Address.ts"
import { AuditTrail, type Trail } from "../audit/AuditTrail.ts"
import { type Connection, type Listener, Node, type PortInUse } from "../node/Node.ts"
import { PolicyGuard } from "../policy/PolicyGuard.ts"
import { PeerKeys } from "../trust/PeerKeys.ts"
import * as ExchangePlaces from "./ExchangePlaces.ts"
import * as ExchangePolicy from "./ExchangePolicy.ts"
import * as ExchangeReplies from "./ExchangeReplies.ts"
import * as ExchangeSession from "./ExchangeSession.ts"
import * as FrameLink from "./FrameLink.ts"
import * as FrameReservation from "./FrameReservation.ts"
import * as InboxWriter from "./InboxWriter.ts"
import * as ReceivedFiles from "./ReceivedFiles.ts"
import * as SessionRequests from "./SessionRequests.ts"
import { DigestMemory } from "./SharedFiles.ts"
import * as StoreFull from "./StoreFull.ts"

/** Data exchange (wire §2). */
export const PORT = Port(1001)

/** What is to be served. */
export interface Options {
  /** The state directory. */
  readonly home: string
  /** Bytes of received files that may lie here. */
  readonly receivedBytesMax: number
  /** Must not wait. */
  readonly report: ExchangeSession.Stores["report"]
}

type Services = Crypto | FileSystem.FileSystem | Node | Path.Path | PeerKeys

/** Serves in the surrounding scope, whose end resets the streams. */
export const spawn = Effect.fn("DataExchange.spawn")(function* (
  options: Options
): Effect.fn.Return<void, PortInUse | PlatformError.PlatformError, Services | Scope.Scope> {
  const node = yield* Node
  const places = ExchangePlaces.at(options.home)
  yield* ExchangePlaces.prepare(places)
  const inbox = yield* InboxWriter.spawn(places)
  const { receivedBytesMax: bytesMax, report } = options
  const full = yield* StoreFull.make(report)
  const received = yield* ReceivedFiles.make({ places, bytesMax, report, full })
  const shared: Shared = {
    home: options.home,
    stores: { inbox, received, report, full, guard: yield* PolicyGuard },
    memory: yield* Semaphore.make(FRAME_BYTES_HELD_MAX),
    digests: new DigestMemory(),
    trail: yield* AuditTrail
  }
  const listener = yield* node.listen(PORT)
  yield* Effect.forkScoped(accept(listener, shared), { startImmediately: true })
})

interface Shared {
  readonly home: string
  readonly stores: ExchangeSession.Stores
  /** Bytes of frames that may be held at once, by all streams. */
  readonly memory: Semaphore.Semaphore
  readonly digests: DigestMemory
  readonly trail: Trail
}

const accept = Effect.fnUntraced(function* (listener: Listener, shared: Shared) {
  const scope = yield* Effect.scope
  const keys = yield* PeerKeys
  const streams = Quota.make<NodeId>({ countMax: STREAMS_MAX, perKeyMax: STREAMS_PER_NODE_MAX })
  const admit = (connection: Connection): Effect.Effect<unknown, never, Services> => {
    const peer = connection.remote.node
    const key = keys.isTrusted(peer) ? keys.pinned(peer) : undefined
    if (key === undefined || !Quota.enter(streams, peer)) return connection.reset
    const left = Effect.sync(() => Quota.leave(streams, peer))
    return Effect.forkIn(
      Effect.ensuring(session(connection, [key, ...keys.chains.formerKeys(peer)], shared), left),
      scope
    )
  }
  yield* Effect.ignore(Effect.forever(Effect.flatMap(listener.accept, admit)))
})

/** Until the peer ends, falls silent, or breaks the frames. */
const session = (
  connection: Connection,
  publicKeys: ReadonlyArray<Uint8Array>,
  shared: Shared
): Effect.Effect<void, never, Services> =>
  Effect.gen(function* () {
    const { memory, stores } = shared
    const room = yield* FrameReservation.make(memory)
    const link = FrameLink.make(impatient(connection), room.reserve)
    const replies = yield* ExchangeReplies.make(link.write)
    const { node } = connection.remote
    const requests = yield* SessionRequests.make({
      home: shared.home,
      from: connection.remote,
      asker: {
        node,
        publicKeys: publicKeys.map(Bytes.toBase64),
        mayPull: ExchangePolicy.mayPull(stores.guard, node)
      },
      link,
      replies,
      received: stores.received,
      guard: stores.guard,
      trail: shared.trail,
      digests: shared.digests
    })
    const one = Effect.flatMap(link.read, (frame) =>
      ExchangeSession.receive({ from: connection.remote, stores, replies, requests, done: room.taken() }, frame)
    )
    const ended = yield* Effect.exit(Effect.forever(one, { disableYield: true }))
    yield* replies.flushed
    if (ended._tag === "Failure" && isDone(ended.cause)) yield* requests.ended
  }).pipe(
    Effect.scoped,
    Effect.catchCause((cause) => (Cause.hasInterruptsOnly(cause) ? Effect.void : Effect.logWarning("exchange", cause))),
    Effect.ensuring(connection.close),
    Effect.onInterrupt(() => connection.reset)
  )

const isDone = (cause: Cause.Cause<unknown>): boolean =>
  cause.reasons.some((reason) => Cause.isFailReason(reason) && Cause.isDone(reason.error))

/** The peer has said nothing, or read nothing, for too long: it has left, whatever its stream says. */
class StreamIdle extends Schema.TaggedError<StreamIdle>()("StreamIdle", {}) {}

const impatient = ({ end, read, reset, write }: Connection) => ({
  read: Effect.timeoutOrElse(read, { duration: IDLE_TIMEOUT, orElse: () => new StreamIdle() }),
  write: (bytes: Uint8Array) =>
    Effect.timeoutOrElse(write(bytes), {
      duration: IDLE_TIMEOUT,
      orElse: () => Effect.andThen(reset, new StreamIdle())
    }),
  end
})

/** Streams at once, in all and of one peer: a peer sends a directory on several, and each message on one of its own. */
const STREAMS_MAX = 256
const STREAMS_PER_NODE_MAX = 64
/** Four of the largest frames. */
const FRAME_BYTES_HELD_MAX = 67_108_864
/** node §4.2, newer. */
const IDLE_TIMEOUT = "2 minutes"
