/**
 * One session of a legacy HTTP client (mcp §6.5): each POST becomes messages on a relay session of its own, and what comes
 * back is sorted onto the event streams of the requests, or onto the one stream that belongs to no request.
 *
 * Owns the streams with what they last said; told of requests by the `HttpEdge`, of messages by the client's end of a
 * `Shim`. A stream that nobody reads keeps its last events for a client that comes back; one that is read too slowly
 * stops the reading of the server. The session ends with its scope, or when the shim does.
 */
import { Deferred, Effect, Latch, Result, type Scope, Stream } from "effect"
import * as Bytes from "../../../core/data/Bytes.ts"
import type { Duplex } from "../../../core/net/Duplex.ts"
import * as EventLog from "../../../protocol/mcp/EventLog.ts"
import * as SseText from "../../../protocol/mcp/SseText.ts"
import * as BridgeError from "../../../protocol/relay/BridgeError.ts"
import * as BridgeReplies from "../../../protocol/relay/BridgeReplies.ts"
import { InFlight } from "../../../protocol/relay/InFlight.ts"
import * as JsonRpcPeek from "../../../protocol/relay/JsonRpcPeek.ts"
import * as JsonSplice from "../../../protocol/relay/JsonSplice.ts"
import { LineSplitter } from "../../../protocol/relay/LineSplitter.ts"
import { MESSAGE_BYTES_MAX } from "../../../protocol/relay/RelayControl.ts"
import type { SessionRecord } from "../SessionRecord.ts"
import type { Target } from "../Target.ts"
import * as EdgeState from "./EdgeState.ts"
import * as EventStream from "./EventStream.ts"

/** A session. */
export interface EdgeSession {
  /** Passes messages on. The events with the answers; undefined if they ask nothing; `Duplicate` if an id still waits. */
  readonly post: (
    messages: ReadonlyArray<Uint8Array>
  ) => Effect.Effect<Stream.Stream<Uint8Array> | undefined | "Duplicate">
  /** The stream of no request, or the one that `lastEventId` names, from there on; undefined if it is not known. */
  readonly listen: (lastEventId: string | undefined) => Stream.Stream<Uint8Array> | undefined
  /** The revision that the server chose; undefined before it did. */
  readonly revision: () => string | undefined
  /** Nobody reads and nothing waits. */
  readonly isIdle: () => boolean
  /** Completes when the server's side has ended, or when the client was neither seen nor waited for too long. */
  readonly ended: Effect.Effect<void>
}

/** A session whose server is at the other end of `server`; with a `record` that has one, that of an earlier process. */
export const make = Effect.fnUntraced(function* <E>(
  server: Duplex<E>,
  target: Target,
  record?: SessionRecord
): Effect.fn.Return<EdgeSession, never, Scope.Scope> {
  const scope = yield* Effect.scope
  const ended = yield* Deferred.make<void>()
  const restored = record?.restored && EdgeState.restore(record.restored)
  const calls = new InFlight()
  const waiting = new Map(restored?.waiting)
  const streams = new Map(restored?.streams ?? [[0, EventStream.make(0)]])
  const common = streams.get(0) ?? EventStream.make(0)
  const room = Latch.makeUnsafe(false)
  let isOver = false
  let wasUsed = false
  let revision = restored?.revision
  let nextStream = restored?.nextStream ?? 1
  for (const [id, { method, stream }] of waiting) calls.add(id, method, stream.id)
  record?.share("edge", () => EdgeState.snapshot({ revision, nextStream, streams, waiting }))

  const lost = (id: string) => BridgeError.encode({ ...BridgeError.SESSION_ENDED, ...target }, id)
  const write = (message: Uint8Array) => Effect.ignore(server.write(Bytes.concat(message, NEWLINE)))

  /** Nobody waits on the stream any more; it is kept for a while. */
  const finish = (stream: EventStream.EventStream) => {
    stream.isDone = true
    const done = [...streams.values()].filter(({ isDone, readers }) => isDone && readers === 0)
    let sizeBytes = done.reduce((sum, { log }) => sum + log.sizeBytes, 0)
    for (const [index, old] of done.entries()) {
      if (done.length - index <= STREAMS_KEPT && sizeBytes <= KEPT_BYTES_MAX) break
      if (old !== stream) streams.delete(old.id)
      sizeBytes -= old.log.sizeBytes
    }
  }

  /** The stream on which a request waited, with its answer on it; undefined if nobody waits for that. */
  const answer = (id: string, message: Uint8Array): EventStream.EventStream | undefined => {
    const call = calls.settle(id)
    const stream = call === undefined ? undefined : waiting.get(call.id)?.stream
    if (call === undefined || stream === undefined) return undefined
    if (call.method === "initialize") revision ??= JsonRpcPeek.string(message, ["result", "protocolVersion"])
    waiting.delete(call.id)
    stream.log.append(message)
    if (--stream.unanswered === 0) finish(stream)
    return stream
  }

  /** Where a message belongs that is no answer. */
  const homeOf = (envelope: JsonRpcPeek.Envelope): EventStream.EventStream => {
    if (envelope._tag === "Notification" && envelope.progressToken !== undefined) {
      for (const { stream, token } of waiting.values()) if (token === envelope.progressToken) return stream
    }
    const busy = new Set([...waiting.values()].map(({ stream }) => stream))
    const [only] = busy
    return busy.size === 1 && only !== undefined ? only : common
  }

  /** A question of the server for which no client comes is refused, so that the server does not wait for ever. */
  const refuseUnread = (id: string, seq: number) =>
    Effect.sleep(UNREAD_TIMEOUT).pipe(
      Effect.andThen(
        Effect.suspend(() => (common.sent >= seq ? Effect.void : write(BridgeReplies.noClient(id, "noStream"))))
      ),
      Effect.forkIn(scope)
    )

  /** Puts one message on its stream, at once, and gives the stream. */
  const place = (message: Uint8Array): EventStream.EventStream | undefined => {
    const envelope = Result.getOrUndefined(JsonRpcPeek.peek(message))
    if (envelope === undefined) return undefined
    if (envelope._tag === "Response") return answer(envelope.id, message)
    const stream = homeOf(envelope)
    stream.log.append(message)
    return stream
  }

  /** Adds to streams what the server says; a reader that is behind is waited for, a stream without one forgets its oldest. */
  const receive = Effect.fnUntraced(function* (line: Uint8Array) {
    const messages = JsonSplice.elements(line) ?? [line]
    for (const message of messages) {
      const envelope = Result.getOrUndefined(JsonRpcPeek.peek(message))
      if (envelope === undefined) continue
      const stream = envelope._tag === "Response" ? waiting.get(envelope.id)?.stream : homeOf(envelope)
      if (stream !== undefined) yield* EventStream.waitForRoom(stream, room)
    }
    // In one go, so that a record has the message with its place or has it not; readers see it when it is written down.
    const placed = messages.map(place)
    record?.arrived()
    for (const stream of placed) stream?.wake.openUnsafe()
    for (const [index, message] of messages.entries()) {
      if (placed[index] === common) yield* watchQuestion(message, common.log.lastSeq)
    }
  })

  const watchQuestion = (message: Uint8Array, seq: number): Effect.Effect<unknown> => {
    const envelope = Result.getOrUndefined(JsonRpcPeek.peek(message))
    return envelope?._tag === "Request" ? refuseUnread(envelope.id, seq) : Effect.void
  }

  /** Nothing more comes. */
  const finishAll = Effect.suspend(() => {
    isOver = true
    for (const { id } of calls.waiting) answer(id, lost(id))
    for (const stream of streams.values()) {
      finish(stream)
      stream.wake.openUnsafe()
    }
    return Deferred.succeed(ended, undefined)
  })

  const readServer = Effect.gen(function* () {
    const lines = new LineSplitter(MESSAGE_BYTES_MAX)
    while (true)
      for (const line of lines.push(yield* server.read)) if (line._tag === "Whole") yield* receive(line.bytes)
  }).pipe(Effect.ignore, Effect.andThen(finishAll))

  const follow = (stream: EventStream.EventStream, from: number) => EventStream.follow(stream, from, room, () => isOver)

  const post = Effect.fnUntraced(function* (messages: ReadonlyArray<Uint8Array>) {
    wasUsed = true
    const peeked = messages.map((message) => Result.getOrUndefined(JsonRpcPeek.peek(message)))
    const requests = peeked.flatMap((envelope) => (envelope?._tag === "Request" ? [envelope] : []))
    if (requests.some(({ id }) => waiting.has(id))) return "Duplicate" as const
    const stream = EventStream.make(nextStream++)
    for (const { id, method, progressToken: token } of requests) {
      calls.add(id, method, stream.id)
      waiting.set(id, { stream, method, token })
      stream.unanswered++
    }
    for (const envelope of peeked) {
      // The official servers do not answer a cancelled request, and nobody waits for its stream any more.
      if (envelope?._tag === "Notification" && envelope.cancels !== undefined) cancel(envelope.cancels)
    }
    if (requests.length > 0) streams.set(stream.id, stream)
    for (const message of messages) yield* write(message)
    if (requests.length === 0) return undefined
    const events = follow(stream, 0)
    // Only clients of this revision know what an event without a message is for.
    return revision === "2025-11-25"
      ? Stream.concat(Stream.succeed(SseText.priming(EventLog.formatId(stream.id, 0), RETRY_MS)), events)
      : events
  })

  const cancel = (id: string) => {
    const stream = waiting.get(id)?.stream
    calls.cancel(id)
    if (stream === undefined) return
    waiting.delete(id)
    if (--stream.unanswered > 0) return
    finish(stream)
    stream.wake.openUnsafe()
  }

  const isIdle = () => waiting.size === 0 && [...streams.values()].every(({ readers }) => readers === 0)

  /** A client that is gone without a word would keep one of the few sessions that a peer allows. */
  const expire = Effect.gen(function* () {
    let idleChecks = 0
    while (idleChecks < IDLE_CHECKS_MAX) {
      yield* Effect.sleep(IDLE_CHECK)
      // Says that the session is still in use, and what readers have taken.
      record?.save()
      idleChecks = isIdle() && !wasUsed ? idleChecks + 1 : 0
      wasUsed = false
    }
    yield* Deferred.succeed(ended, undefined)
  })

  // What another process goes on with is not answered here; its clients come back for it when this one is gone.
  yield* Effect.addFinalizer(() => (record?.isOver === false ? Deferred.succeed(ended, undefined) : finishAll))
  if (record !== undefined) yield* Effect.addFinalizer(() => Effect.sync(() => record.save()))
  if (record?.restored !== undefined) {
    for (const id of EdgeState.orphans(record.restored)) answer(id, lost(id))
    for (const { data, seq } of common.log.after(common.sent)) yield* watchQuestion(data, seq)
  }
  yield* Effect.forkScoped(readServer)
  yield* Effect.forkScoped(expire)
  return {
    post,
    listen: (lastEventId) => {
      if (lastEventId === undefined) return follow(common, common.sent)
      const place = EventLog.parseId(lastEventId)
      const stream = place === undefined ? undefined : streams.get(place.stream)
      return place === undefined || stream === undefined ? undefined : follow(stream, place.seq)
    },
    revision: () => revision,
    isIdle,
    ended: Deferred.await(ended)
  }
})

const NEWLINE = Uint8Array.of(0x0a)
/** Finished streams of a session, kept for clients that lost the last of them. */
const STREAMS_KEPT = 32
const KEPT_BYTES_MAX = 16_777_216
const RETRY_MS = 1000
const UNREAD_TIMEOUT = "10 seconds"
/** Official clients keep a stream open for as long as they live; others may pause as long as this. */
const IDLE_CHECK = "60 seconds"
const IDLE_CHECKS_MAX = 15
