/**
 * One session of a legacy HTTP client (mcp §6.5): each POST becomes messages on a relay session of its own, and what comes
 * back is sorted onto the event streams of the requests, or onto the one stream that belongs to no request.
 *
 * Owns the streams with what they last said; told of requests by the `HttpEdge`, of messages by the client's end of a
 * `Shim`. A stream that nobody reads keeps its last events for a client that comes back; one that is read too slowly
 * stops the reading of the server. The session ends with its scope, or when the shim does.
 */
import { Cause, Deferred, Effect, Latch, Result, type Scope, Stream } from "effect"
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
import type { Target } from "../Target.ts"

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

/** A session whose server is at the other end of `server`. */
export const make = Effect.fnUntraced(function* <E>(
  server: Duplex<E>,
  target: Target
): Effect.fn.Return<EdgeSession, never, Scope.Scope> {
  const scope = yield* Effect.scope
  const ended = yield* Deferred.make<void>()
  const calls = new InFlight()
  const waiting = new Map<string, EventStream>()
  const tokens = new Map<string, EventStream>()
  const common = open(0)
  const streams = new Map<number, EventStream>([[0, common]])
  const room = Latch.makeUnsafe(false)
  let isOver = false
  let wasUsed = false
  let revision: string | undefined

  const write = (message: Uint8Array) => Effect.ignore(server.write(Bytes.concat(message, NEWLINE)))

  /** Adds an event; a reader that is behind is waited for, a stream without one forgets its oldest. */
  const append = Effect.fnUntraced(function* (stream: EventStream, message: Uint8Array) {
    while (stream.readers > 0 && stream.log.bytesAfter(stream.sent) > BEHIND_BYTES_MAX) {
      room.closeUnsafe()
      yield* room.await
    }
    stream.log.append(message)
    stream.wake.openUnsafe()
  })

  const finish = (stream: EventStream) => {
    stream.isDone = true
    stream.wake.openUnsafe()
    const done = [...streams.values()].filter(({ isDone, readers }) => isDone && readers === 0)
    let sizeBytes = done.reduce((sum, { log }) => sum + log.sizeBytes, 0)
    for (const [index, old] of done.entries()) {
      if (done.length - index <= STREAMS_KEPT && sizeBytes <= KEPT_BYTES_MAX) break
      if (old !== stream) streams.delete(old.id)
      sizeBytes -= old.log.sizeBytes
    }
  }

  const answer = Effect.fnUntraced(function* (id: string, message: Uint8Array) {
    const call = calls.settle(id)
    const stream = call === undefined ? undefined : waiting.get(call.id)
    if (call === undefined || stream === undefined) return
    if (call.method === "initialize") revision ??= JsonRpcPeek.string(message, ["result", "protocolVersion"])
    waiting.delete(call.id)
    stream.unanswered--
    yield* append(stream, message)
    if (stream.unanswered > 0) return
    for (const [token, owner] of tokens) if (owner === stream) tokens.delete(token)
    finish(stream)
  })

  /** Where a message belongs that is no answer. */
  const homeOf = (envelope: JsonRpcPeek.Envelope): EventStream => {
    if (envelope._tag === "Notification" && envelope.progressToken !== undefined) {
      const owner = tokens.get(envelope.progressToken)
      if (owner !== undefined) return owner
    }
    const busy = new Set(waiting.values())
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

  const receive = (message: Uint8Array): Effect.Effect<void> =>
    Effect.gen(function* () {
      const envelope = Result.getOrUndefined(JsonRpcPeek.peek(message))
      if (envelope === undefined) return
      if (envelope._tag === "Batch") {
        for (const element of JsonSplice.elements(message) ?? []) yield* receive(element)
        return
      }
      if (envelope._tag === "Response") return yield* answer(envelope.id, message)
      const stream = homeOf(envelope)
      yield* append(stream, message)
      if (stream === common && envelope._tag === "Request") yield* refuseUnread(envelope.id, common.log.lastSeq)
    })

  const readServer = Effect.gen(function* () {
    const lines = new LineSplitter(MESSAGE_BYTES_MAX)
    while (true)
      for (const line of lines.push(yield* server.read)) if (line._tag === "Whole") yield* receive(line.bytes)
  }).pipe(
    Effect.ignore,
    Effect.andThen(
      Effect.gen(function* () {
        isOver = true
        for (const { id } of calls.drain()) {
          const stream = waiting.get(id)
          if (stream !== undefined)
            stream.log.append(BridgeError.encode({ ...BridgeError.SESSION_ENDED, ...target }, id))
        }
        for (const stream of streams.values()) finish(stream)
        yield* Deferred.succeed(ended, undefined)
      })
    )
  )

  /** The events after `from`, as they come; a newer reader of the same stream takes its place. */
  const follow = (stream: EventStream, from: number): Stream.Stream<Uint8Array> =>
    Stream.suspend(() => {
      const reader = ++stream.newestReader
      let seq = from
      stream.readers++
      const pull: Effect.Effect<readonly [Uint8Array, ...Array<Uint8Array>], Cause.Done> = Effect.gen(function* () {
        while (true) {
          if (stream.newestReader !== reader) return yield* Cause.done()
          const [first, ...more] = stream.log.after(seq)
          if (first !== undefined) {
            const events = [first, ...more]
            seq = events[events.length - 1]?.seq ?? seq
            stream.sent = Math.max(stream.sent, seq)
            room.openUnsafe()
            return [textOf(stream, first), ...more.map((event) => textOf(stream, event))] as const
          }
          if (stream.isDone || isOver) return yield* Cause.done()
          stream.wake.closeUnsafe()
          const woken = yield* Effect.timeoutOption(stream.wake.await, KEEP_ALIVE)
          if (woken._tag === "None") return [SseText.COMMENT] as const
        }
      })
      return Stream.fromPull(Effect.succeed(pull)).pipe(
        Stream.ensuring(
          Effect.sync(() => {
            stream.readers--
            room.openUnsafe()
          })
        )
      )
    })

  const post = Effect.fnUntraced(function* (messages: ReadonlyArray<Uint8Array>) {
    wasUsed = true
    const peeked = messages.map((message) => Result.getOrUndefined(JsonRpcPeek.peek(message)))
    const requests = peeked.flatMap((envelope) => (envelope?._tag === "Request" ? [envelope] : []))
    if (requests.some(({ id }) => waiting.has(id))) return "Duplicate" as const
    const stream = open(nextStream++)
    for (const { id, method, progressToken } of requests) {
      calls.add(id, method, stream.id)
      waiting.set(id, stream)
      stream.unanswered++
      if (progressToken !== undefined) tokens.set(progressToken, stream)
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
    const stream = waiting.get(id)
    calls.cancel(id)
    if (stream === undefined) return
    waiting.delete(id)
    if (--stream.unanswered === 0) finish(stream)
  }

  let nextStream = 1
  const isIdle = () => waiting.size === 0 && [...streams.values()].every(({ readers }) => readers === 0)

  /** A client that is gone without a word would keep one of the few sessions that a peer allows. */
  const expire = Effect.gen(function* () {
    let idleChecks = 0
    while (idleChecks < IDLE_CHECKS_MAX) {
      yield* Effect.sleep(IDLE_CHECK)
      idleChecks = isIdle() && !wasUsed ? idleChecks + 1 : 0
      wasUsed = false
    }
    yield* Deferred.succeed(ended, undefined)
  })

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

interface EventStream {
  readonly id: number
  readonly log: EventLog.EventLog
  readonly wake: Latch.Latch
  /** The newest event that a reader has taken. */
  sent: number
  unanswered: number
  readers: number
  newestReader: number
  isDone: boolean
}

const open = (id: number): EventStream => ({
  id,
  log: new EventLog.EventLog(),
  wake: Latch.makeUnsafe(false),
  sent: 0,
  unanswered: 0,
  readers: 0,
  newestReader: 0,
  isDone: false
})

const textOf = (stream: EventStream, { data, seq }: EventLog.LoggedEvent): Uint8Array =>
  SseText.message(data, EventLog.formatId(stream.id, seq))

const NEWLINE = Uint8Array.of(0x0a)
/** What a slow reader of one stream may have before it (mcp §6.5). */
const BEHIND_BYTES_MAX = 4_194_304
/** Finished streams of a session, kept for clients that lost the last of them. */
const STREAMS_KEPT = 32
const KEPT_BYTES_MAX = 16_777_216
const RETRY_MS = 1000
const KEEP_ALIVE = "15 seconds"
const UNREAD_TIMEOUT = "10 seconds"
/** Official clients keep a stream open for as long as they live; others may pause as long as this. */
const IDLE_CHECK = "60 seconds"
const IDLE_CHECKS_MAX = 15
