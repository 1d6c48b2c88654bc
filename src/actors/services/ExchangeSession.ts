/**
 * One stream on port 1001 (node §4.2): each frame is done and answered in order, until the peer ends. What is acknowledged
 * is on disk.
 */
import { Clock, Effect, Fiber, type FileSystem, type Path, Result, type Scope } from "effect"
import type { ActorRef } from "../../core/actor/ActorRef.ts"
import type { Crypto } from "../../core/crypto/Crypto.ts"
import * as Bytes from "../../core/data/Bytes.ts"
import * as InboxRecord from "../../protocol/exchange/InboxRecord.ts"
import type { ProtocolEvent } from "../../protocol/ProtocolEvent.ts"
import * as Address from "../../protocol/wire/Address.ts"
import { type DataFrame, encode, encodeText, Kind, nameOf } from "../../protocol/wire/DataFrame.ts"
import * as FileFrame from "../../protocol/wire/FileFrame.ts"
import * as FileStream from "../../protocol/wire/FileStream.ts"
import { type Answer, FREE, type Guard } from "../policy/PolicyGuard.ts"
import * as ExchangePlaces from "./ExchangePlaces.ts"
import type { ExchangeReplies } from "./ExchangeReplies.ts"
import type { InboxWriterMessage } from "./InboxWriter.ts"
import { NotTaken } from "./IncomingFile.ts"
import * as ReceivedFiles from "./ReceivedFiles.ts"
import type { SessionRequests } from "./SessionRequests.ts"
import type { Full } from "./StoreFull.ts"

/** What the streams of one node share. */
export interface Stores {
  readonly guard: Guard
  readonly inbox: ActorRef<InboxWriterMessage>
  readonly received: ReceivedFiles.ReceivedFiles
  readonly report: (event: ProtocolEvent) => void
  readonly full: Full
}

/** One stream. */
export interface Session {
  readonly from: Address.Address
  readonly stores: Stores
  readonly replies: ExchangeReplies
  readonly requests: SessionRequests
  /** Gives back what was reserved for a frame. */
  readonly done: Effect.Effect<void>
}

type Disk = Crypto | FileSystem.FileSystem | Path.Path

/** Does what one frame asks for; its answer may come later, in its turn. */
export const receive = Effect.fnUntraced(function* (
  self: Session,
  frame: DataFrame
): Effect.fn.Return<void, never, Disk | Scope.Scope> {
  const { requests } = self
  if (frame.kind === Kind.FileStream) {
    const message = FileStream.decode(frame.payload)
    const taken = Result.isSuccess(message)
      ? requests.chunk(message.success)
      : reply(self, Effect.succeed(FileFrame.refused(frame.kind, "not a message of a file stream")))
    return yield* Effect.ensuring(taken, self.done)
  }
  if (frame.kind === Kind.Request) return yield* Effect.ensuring(requests.ask(frame.payload), self.done)
  if (frame.kind !== Kind.Trace) return yield* reply(self, yield* stored(self, frame))
  return yield* traced(self, frame)
})

/** Starts storing; the effect waits for it and gives the acknowledgement's text. */
const stored = Effect.fnUntraced(function* (
  { done, from, stores }: Session,
  frame: DataFrame
): Effect.fn.Return<Effect.Effect<string>, never, Disk | Scope.Scope> {
  const file = frame.kind === Kind.File ? FileFrame.decodeFile(frame.payload) : undefined
  const sizeBytes = file === undefined ? frame.payload.length : file.content.length
  const answer = admit(stores.guard, from, frame.kind, sizeBytes)
  const store: Effect.Effect<unknown, NotTaken, Disk> = !answer.isAllowed
    ? new NotTaken({ reason: "Failed", detail: answer.text })
    : file !== undefined
      ? ReceivedFiles.save(stores.received, from, file.name, file.content)
      : InboxRecord.isMessage(frame.kind)
        ? saveMessage(stores, from, frame)
        : Effect.void
  const fiber = yield* Effect.forkScoped(
    Effect.ensuring(
      Effect.match(store, {
        onSuccess: () => FileFrame.acknowledged(frame.kind, sizeBytes),
        onFailure: ({ detail, reason }) => {
          if (reason === "Full" && file === undefined) stores.full("inbox", from, sizeBytes)
          return FileFrame.refused(frame.kind, detail)
        }
      }),
      done
    ),
    { startImmediately: true }
  )
  return Fiber.join(fiber)
})

/** What asks for nothing to be stored is nobody's to forbid. */
const admit = ({ ask }: Guard, { node }: Address.Address, kind: number, sizeBytes: number): Answer =>
  kind === Kind.File
    ? ask(node, { service: "files/push", sizeBytes }, true)
    : InboxRecord.isMessage(kind)
      ? ask(node, { service: "messages", sizeBytes }, true)
      : FREE

const saveMessage = Effect.fnUntraced(function* ({ inbox, report }: Stores, from: Address.Address, frame: DataFrame) {
  const receivedAt = ExchangePlaces.timeText(yield* Clock.currentTimeMillis)
  const record = { kind: frame.kind, payload: frame.payload, from: Address.format(from), receivedAt }
  yield* inbox
    .ask<string, NotTaken>((answer) => ({ record, stored: answer }), STORE_TIMEOUT_MS)
    .pipe(
      Effect.mapError((error) =>
        error._tag === "NotTaken" ? error : new NotTaken({ reason: "Failed", detail: "the inbox does not answer" })
      )
    )
  report({ _tag: "MessageReceived", peer: from, kind: nameOf(frame.kind), sizeBytes: frame.payload.length })
})

const reply = ({ replies }: Session, text: Effect.Effect<string>): Effect.Effect<void> =>
  replies.add(Effect.map(text, encodeText))

/** The frame inside is done as if it had come alone; the answer says when (node §4.1). */
const traced = Effect.fnUntraced(function* (self: Session, { kind, payload }: DataFrame) {
  const clock = yield* Clock.Clock
  const trace = FileFrame.decodeTrace(payload)
  const isStorable =
    Result.isSuccess(trace) && ![Kind.FileStream, Kind.Request].some((own) => own === trace.success.inner.kind)
  if (Result.isFailure(trace) || !isStorable)
    return yield* Effect.ensuring(reply(self, Effect.succeed(FileFrame.refused(kind, "no frame inside"))), self.done)
  const receivedAt = clock.currentTimeNanosUnsafe()
  const text = yield* stored(self, trace.success.inner)
  yield* self.replies.add(
    Effect.map(text, (innerAck) => {
      const storedAt = clock.currentTimeNanosUnsafe()
      return encode(
        Kind.Json,
        Bytes.fromUtf8(
          FileFrame.traceAnswer({ sentAt: trace.success.sentAtNanoseconds, receivedAt, storedAt, innerAck })
        )
      )
    })
  )
})

/** A disk that takes longer is as good as none. */
const STORE_TIMEOUT_MS = 60_000
