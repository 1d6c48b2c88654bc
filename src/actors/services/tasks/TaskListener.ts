/**
 * Port 1003 (node §6): what peers say of tasks, each stream a fiber of its own, for trusted peers only (security rule 3). What is
 * answered is on disk. A stream that breaks the rules or falls silent is closed and takes nobody with it.
 */
import { Cause, Effect, Fiber, type FileSystem, type Path, Result, Schema, type Scope, Semaphore } from "effect"
import * as Bytes from "../../../core/data/Bytes.ts"
import * as Quota from "../../../core/data/Quota.ts"
import * as Executing from "../../../protocol/task/Executing.ts"
import * as Submitting from "../../../protocol/task/Submitting.ts"
import type { TaskRecord } from "../../../protocol/task/TaskRecord.ts"
import type { Peer } from "../../../protocol/task/TaskRefusal.ts"
import type { Address, NodeId } from "../../../protocol/wire/Address.ts"
import type { DataFrame } from "../../../protocol/wire/DataFrame.ts"
import * as TaskFrame from "../../../protocol/wire/TaskFrame.ts"
import { type Connection, Node, type PortInUse } from "../../node/Node.ts"
import type { Guard } from "../../policy/PolicyGuard.ts"
import type { PeerKeys } from "../../trust/PeerKeys.ts"
import * as ExchangeReplies from "../ExchangeReplies.ts"
import * as FrameLink from "../FrameLink.ts"
import * as FrameReservation from "../FrameReservation.ts"
import type { TaskDesk } from "./TaskActor.ts"
import * as TaskPeer from "./TaskPeer.ts"
import * as TaskPlaces from "./TaskPlaces.ts"
import { TaskError } from "./Tasks.ts"

/** What is counted, mutable. */
export interface Counters {
  malformed: number
  refused: number
}

/** What the streams share. */
export interface Options {
  readonly home: string
  readonly desk: TaskDesk
  readonly counters: Counters
  readonly guard: Guard
  /** Why new tasks of this peer are not taken, if they are not. */
  readonly gate: (from: Address) => Effect.Effect<string | undefined>
  /** A result has come and is stored. Must not wait. */
  readonly completed: (task: TaskRecord) => void
}

type Disk = FileSystem.FileSystem | Path.Path

/** Listens in the surrounding scope, whose end resets the streams. */
export const start = Effect.fnUntraced(function* (
  options: Options
): Effect.fn.Return<void, PortInUse, Disk | Node | PeerKeys | Scope.Scope> {
  const node = yield* Node
  const scope = yield* Effect.scope
  const memory = yield* Semaphore.make(FRAME_BYTES_HELD_MAX)
  const streams = Quota.make<NodeId>({ countMax: STREAMS_MAX, perKeyMax: STREAMS_PER_NODE_MAX })
  const listener = yield* node.listen(TaskFrame.PORT)
  const admit = Effect.fnUntraced(function* (connection: Connection) {
    const { remote } = connection
    const peer = yield* TaskPeer.find(remote.node)
    if (peer === undefined || !Quota.enter(streams, remote.node)) {
      options.counters.refused++
      return yield* connection.reset
    }
    const left = Effect.sync(() => Quota.leave(streams, remote.node))
    yield* Effect.forkIn(Effect.ensuring(session(options, connection, peer, memory), left), scope)
  })
  yield* Effect.forkScoped(Effect.ignore(Effect.forever(Effect.flatMap(listener.accept, admit))), {
    startImmediately: true
  })
})

/** Until the peer ends, falls silent, or breaks the rules. Letters are done at once and answered in their order. */
const session = (
  options: Options,
  connection: Connection,
  peer: Peer,
  memory: Semaphore.Semaphore
): Effect.Effect<void, never, Disk | Node> =>
  Effect.gen(function* () {
    const room = yield* FrameReservation.make(memory)
    const link = FrameLink.make(patient(connection), room.reserve)
    const replies = yield* ExchangeReplies.make(link.write)
    const one = Effect.flatMap(link.read, (frame) =>
      receive(options, peer, frame, (done) => reply(replies, Effect.ensuring(done, room.taken())))
    )
    const ended = yield* Effect.exit(Effect.forever(one, { disableYield: true }))
    yield* replies.flushed
    if (ended._tag === "Failure" && isBroken(ended.cause)) options.counters.malformed++
  }).pipe(
    Effect.scoped,
    Effect.catchCause((cause) => (Cause.hasInterruptsOnly(cause) ? Effect.void : Effect.logWarning("tasks", cause))),
    Effect.ensuring(connection.close),
    Effect.onInterrupt(() => connection.reset)
  )

/** Answers in its turn what the effect gives. */
type Answering = (
  done: Effect.Effect<TaskFrame.TaskFrame | undefined, never, Disk>
) => Effect.Effect<void, never, Disk | Scope.Scope>

const receive = Effect.fnUntraced(function* (
  options: Options,
  peer: Peer,
  frame: DataFrame,
  answer: Answering
): Effect.fn.Return<void, BrokenRules, Disk | Node | Scope.Scope> {
  const decoded = TaskFrame.decode(frame, false)
  if (Result.isFailure(decoded)) return yield* new BrokenRules()
  const message = decoded.success
  switch (message._tag) {
    case "Submit": {
      const own = yield* Effect.flatMap(Node, ({ address }) => address)
      return yield* answer(submitted(options, peer, own, message))
    }
    case "Status": {
      const heard = options.desk.decide((table, nowMs) => Submitting.heard(table, message, peer, nowMs))
      return yield* answer(receipt(message, heard))
    }
    case "Results":
      return yield* answer(receipt(message, arrived(options, peer, message)))
    default:
      return yield* new BrokenRules()
  }
})

const submitted = Effect.fnUntraced(function* (
  { counters, desk, gate, guard }: Options,
  peer: Peer,
  own: Address,
  message: TaskFrame.Submit
): Effect.fn.Return<TaskFrame.TaskFrame> {
  const answer = { _tag: "Answer", id: message.id, isOurs: message.ours !== undefined } as const
  const wish = { service: "tasks", target: message.ours?.kind ?? "", sizeBytes: message.description.length } as const
  const asked = guard.ask(peer.address.node, wish, true)
  const closed = asked.isAllowed ? yield* gate(peer.address) : asked.text
  const taken =
    closed === undefined
      ? yield* Effect.result(desk.decide((table, nowMs) => Executing.receive(table, message, peer, own, nowMs)))
      : Result.fail({ detail: closed })
  if (Result.isFailure(taken)) {
    counters.refused++
    return { ...answer, isTaken: false, message: taken.failure.detail }
  }
  return { ...answer, isTaken: true, message: "Task received with status NEW" }
})

/** Results are on the disk before the task says that there are any. */
const arrived = Effect.fnUntraced(function* (
  { completed, desk, home }: Options,
  peer: Peer,
  message: TaskFrame.Results
) {
  const task = yield* Effect.fromResult(Submitting.wants(desk.table(), message, peer)).pipe(
    Effect.mapError((refusal) => new TaskError(refusal))
  )
  const result = yield* TaskPlaces.keep(home, "submitted", task.id, message.result)
  const done = yield* desk.decide((table, nowMs) => Submitting.completed(table, message, result, peer, nowMs))
  completed(done)
  return done
})

/** A letter that changes nothing is done with as well; one that the disk does not take comes again. */
const receipt = (
  { id, ours }: TaskFrame.Status | TaskFrame.Results,
  done: Effect.Effect<unknown, TaskError, Disk>
): Effect.Effect<TaskFrame.TaskFrame | undefined, never, Disk> => {
  const given: TaskFrame.TaskFrame | undefined = ours && { _tag: "Receipt", id, revision: ours.revision }
  return Effect.match(done, {
    onSuccess: () => given,
    onFailure: ({ reason }) => (KEPT.has(reason) ? undefined : given)
  })
}

/** All frames of a turn are done at once, and so share a transaction. */
const reply = Effect.fnUntraced(function* (
  replies: ExchangeReplies.ExchangeReplies,
  done: Effect.Effect<TaskFrame.TaskFrame | undefined, never, Disk>
) {
  const fiber = yield* Effect.forkScoped(done, { startImmediately: true })
  yield* replies.add(
    Effect.map(Fiber.await(fiber), (exit) =>
      exit._tag === "Success" && exit.value !== undefined ? TaskFrame.encode(exit.value) : Bytes.empty
    )
  )
})

/** A frame that means nothing here: the stream is closed, and nothing said. */
class BrokenRules extends Schema.TaggedError<BrokenRules>()("BrokenRules", {}) {}

/** The peer says nothing, or takes nothing, for too long. */
class StreamIdle extends Schema.TaggedError<StreamIdle>()("StreamIdle", {}) {}

const patient = ({ end, read, reset, write }: Connection) => ({
  read: Effect.timeoutOrElse(read, { duration: IDLE_TIMEOUT, orElse: () => new StreamIdle() }),
  write: (bytes: Uint8Array) =>
    Effect.timeoutOrElse(write(bytes), {
      duration: IDLE_TIMEOUT,
      orElse: () => Effect.andThen(reset, new StreamIdle())
    }),
  end
})

const isBroken = (cause: Cause.Cause<unknown>): boolean =>
  cause.reasons.some(
    (reason) =>
      Cause.isFailReason(reason) &&
      (reason.error instanceof BrokenRules || reason.error instanceof FrameLink.FrameTooLong)
  )

/** What the sender should try again. */
const KEPT: ReadonlySet<TaskError["reason"]> = new Set(["NotStored", "Stopped"])
/** Streams at once, in all and of one peer. */
const STREAMS_MAX = 256
const STREAMS_PER_NODE_MAX = 32
/** Four of the largest frames. */
const FRAME_BYTES_HELD_MAX = 67_108_864
const IDLE_TIMEOUT = "1 minute"
