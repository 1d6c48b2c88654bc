/**
 * A client with a translator before it (mcp §6.6, §6.7): to the session it is the client, to the client it is the server. It
 * moves messages and keeps the translator's time; every rule is the translator's. As soon as that has nothing to do any
 * more, it is gone, and the bytes go by as they come.
 *
 * Owns the translator and, until then, the reading of the client.
 */
import { type Cause, Clock, Effect, Latch, Queue, type Scope, Semaphore } from "effect"
import * as MonotonicTime from "../../../core/actor/MonotonicTime.ts"
import * as Bytes from "../../../core/data/Bytes.ts"
import type { Duplex } from "../../../core/net/Duplex.ts"
import * as BridgeError from "../../../protocol/relay/BridgeError.ts"
import type { EraTranslator, Outputs } from "../../../protocol/relay/era/EraTranslator.ts"
import * as JsonRpcPeek from "../../../protocol/relay/JsonRpcPeek.ts"
import { type Line, LineSplitter } from "../../../protocol/relay/LineSplitter.ts"
import { MESSAGE_BYTES_MAX } from "../../../protocol/relay/RelayControl.ts"
import type { Target } from "../Target.ts"

/** What stands between. */
export interface Options<E> {
  readonly client: Duplex<E>
  readonly target: Target
  readonly translator: EraTranslator
  /** It has nothing to do any more, now and for ever. */
  readonly isThrough: () => boolean
  /** Runs after each message. */
  readonly performed: Effect.Effect<void>
}

/** The client as a session sees it. */
export interface TranslatedClient<E> extends Duplex<E> {
  /** The translator was told something from outside: its time is read again. */
  readonly retime: () => void
}

/** Translates in the surrounding scope. */
export const make = Effect.fnUntraced(function* <E>(
  options: Options<E>
): Effect.fn.Return<TranslatedClient<E>, never, Scope.Scope> {
  const { client, target, translator } = options
  const clock = yield* Clock.Clock
  const nowMs = () => MonotonicTime.nowMsUnsafe(clock)
  const toServer = yield* Queue.unbounded<Uint8Array, Cause.Done>()
  const room = Latch.makeUnsafe(true)
  const changed = Latch.makeUnsafe(false)
  const writing = yield* Semaphore.make(1)
  /** Nothing of the client is left in here: the session reads it itself. */
  let isGone = false

  const perform = Effect.fnUntraced(function* (outputs: Outputs) {
    for (const { _tag, bytes } of outputs) {
      const line = Bytes.concat(bytes, NEWLINE)
      if (_tag === "ToServer") Queue.offerUnsafe(toServer, line)
      else yield* writing.withPermits(1)(client.write(line))
    }
    changed.openUnsafe()
    yield* options.performed
  })

  const fromClient = (line: Line): Effect.Effect<void, E> =>
    line._tag === "Whole" ? perform(translator.fromClient(line.bytes, nowMs())) : perform(refuse(target, line.envelope))

  const lines = new LineSplitter(MESSAGE_BYTES_MAX)
  const readClient = Effect.gen(function* () {
    let isWhole = true
    while (!(options.isThrough() && isWhole)) {
      const chunk = yield* client.read
      isWhole = chunk[chunk.length - 1] === NEWLINE[0]
      yield* Effect.forEach(lines.push(chunk), fromClient, { discard: true })
      if (Queue.sizeUnsafe(toServer) < WAITING_MAX) continue
      room.closeUnsafe()
      yield* room.await
    }
  }).pipe(
    Effect.catchCause(() => {
      // The session meets the client's end, or its failure, itself.
      const last = lines.finish()
      const rest = last === undefined ? Effect.void : fromClient(last)
      return Effect.ignore(
        Effect.andThen(
          rest,
          Effect.suspend(() => perform(translator.closed()))
        )
      )
    }),
    Effect.andThen(Queue.end(toServer))
  )

  /** Wakes the translator when it has something to do. */
  const keepTime = Effect.gen(function* () {
    while (true) {
      changed.closeUnsafe()
      const deadlineMs = translator.deadlineMs()
      const slept = deadlineMs === undefined ? Effect.never : Effect.sleep(Math.max(1, deadlineMs - nowMs()))
      yield* Effect.raceFirst(slept, changed.await)
      yield* Effect.ignore(perform(translator.timeout(nowMs())))
      if (options.isThrough()) return
    }
  })

  /** One write may hold several messages, each whole. */
  const answers = new LineSplitter(MESSAGE_BYTES_MAX)
  const fromServer = (line: Line): Effect.Effect<void, E> => {
    if (line._tag === "Oversized") return Effect.void
    return options.isThrough()
      ? client.write(Bytes.concat(line.bytes, NEWLINE))
      : perform(translator.fromServer(line.bytes, nowMs()))
  }

  yield* Effect.forkScoped(readClient)
  yield* Effect.forkScoped(keepTime)
  const translated = Queue.take(toServer).pipe(
    Effect.tap(() => Effect.sync(() => room.openUnsafe())),
    Effect.catch(() => {
      isGone = true
      return client.read
    })
  )
  return {
    read: Effect.suspend(() => (isGone ? client.read : translated)),
    write: (bytes) =>
      options.isThrough() ? client.write(bytes) : Effect.forEach(answers.push(bytes), fromServer, DISCARD),
    end: client.end,
    retime: () => changed.openUnsafe()
  }
})

const refuse = (target: Target, envelope: JsonRpcPeek.Envelope | undefined): Outputs => {
  const error = { kind: "tooLarge", message: TOO_LARGE, retryable: false, delivered: false, ...target } as const
  return (envelope === undefined ? [] : JsonRpcPeek.requests(envelope)).map(({ id }) => ({
    _tag: "ToClient",
    bytes: BridgeError.encode(error, id)
  }))
}

const TOO_LARGE = `A message may have at most ${MESSAGE_BYTES_MAX} bytes.`
/** Messages for the server that it has not taken; then the client is not read. */
const WAITING_MAX = 64
const DISCARD = { discard: true } as const
const NEWLINE = Uint8Array.of(0x0a)
