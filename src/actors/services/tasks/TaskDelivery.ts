/**
 * Tells peers what they have not heard of (node §6): offers and cancellations of tasks that were given away, states and results
 * of those that were given here. A peer has one fiber while there is something to tell it; what it does not take is told again
 * later, for as long as the task is remembered. To our nodes many letters share a stream, and each is told once it is on their
 * disk; one of the reference gets a stream for each letter, and has taken it when it ends that stream.
 */
import { Effect, type FileSystem, Result, type Scope, Semaphore } from "effect"
import * as Provided from "../../../core/actor/Provided.ts"
import { Crypto } from "../../../core/crypto/Crypto.ts"
import * as Backoff from "../../../core/data/Backoff.ts"
import * as Bytes from "../../../core/data/Bytes.ts"
import * as Passing from "../../../protocol/task/Passing.ts"
import * as Submitting from "../../../protocol/task/Submitting.ts"
import type { TaskRecord } from "../../../protocol/task/TaskRecord.ts"
import * as TaskRefusal from "../../../protocol/task/TaskRefusal.ts"
import type { TaskTable } from "../../../protocol/task/TaskTable.ts"
import { make as makeAddress, type NodeId } from "../../../protocol/wire/Address.ts"
import * as TaskFrame from "../../../protocol/wire/TaskFrame.ts"
import { Node } from "../../node/Node.ts"
import type { PeerKeys } from "../../trust/PeerKeys.ts"
import * as FrameLink from "../FrameLink.ts"
import type { TaskDesk } from "./TaskActor.ts"
import * as TaskLetter from "./TaskLetter.ts"
import * as TaskPeer from "./TaskPeer.ts"
import { TaskError } from "./Tasks.ts"

/** What a delivery can do for its neighbours. */
export interface TaskDelivery {
  /** Tells a peer everything now; fails if it cannot be reached or does not answer. */
  readonly pass: (peer: NodeId) => Effect.Effect<void, TaskError>
}

/** Of a peer that has a fiber: whether something has come up since that looked last. */
interface News {
  isThere: boolean
}

type Services = Crypto | FileSystem.FileSystem | Node | PeerKeys

/** Starts in the surrounding scope. */
export const start = Effect.fnUntraced(function* (
  desk: TaskDesk
): Effect.fn.Return<TaskDelivery, never, Services | Scope.Scope> {
  const services = yield* Provided.services<Services>()
  const { randomBytes } = yield* Crypto
  const turns = new Map<NodeId, Semaphore.Semaphore>()
  const pass = (peer: NodeId): Effect.Effect<void, TaskError> =>
    Effect.suspend(() => {
      const turn = turns.get(peer) ?? Semaphore.makeUnsafe(1)
      turns.set(peer, turn)
      // The scope is innermost: the services bring that of the node, with which a stream would outlive its pass.
      const told = Effect.provideContext(Effect.scoped(tellAll(desk, peer)), services)
      return Effect.tapError(turn.withPermit(told), ({ detail }) =>
        desk.decide((table, nowMs) => Result.succeed(Passing.unreached(table, table.untold(peer), detail, nowMs)))
      )
    })
  const random = () => Bytes.readU32(randomBytes(4), 0) / 2 ** 32
  const telling = new Map<NodeId, News>()
  const loop = Effect.fnUntraced(function* (peer: NodeId, news: News) {
    for (let attempt = 0; news.isThere; ) {
      news.isThere = false
      const told = yield* Effect.result(pass(peer))
      if (Result.isSuccess(told)) {
        attempt = 0
        continue
      }
      news.isThere = desk.table().isUntold(peer)
      yield* Effect.logDebug(`tasks: node ${peer} was not told: ${told.failure.detail}`)
      yield* Effect.sleep(PAUSE_MIN_MS)
      yield* Effect.raceFirst(Effect.sleep(Backoff.delayMs(PAUSE, attempt++, random())), desk.news(peer))
    }
    // With the last look at the news, and no turn of anybody else in between.
    telling.delete(peer)
    turns.delete(peer)
  })
  const tell = (peer: NodeId) =>
    Effect.suspend(() => {
      const running = telling.get(peer)
      const news = running ?? { isThere: true }
      news.isThere = true
      if (running !== undefined) return Effect.void
      telling.set(peer, news)
      const ended = Effect.sync(() => telling.get(peer) === news && telling.delete(peer))
      return Effect.asVoid(Effect.forkScoped(Effect.ensuring(loop(peer, news), ended)))
    })
  yield* Effect.forkScoped(Effect.forever(Effect.flatMap(desk.untold, tell)))
  return { pass }
})

const tellAll = Effect.fnUntraced(function* (
  desk: TaskDesk,
  peer: NodeId
): Effect.fn.Return<void, TaskError, Services | Scope.Scope> {
  const known = yield* TaskPeer.find(peer)
  if (known === undefined) return yield* new TaskError({ reason: "Unreachable", detail: `node ${peer} is not trusted` })
  let line: FrameLink.FrameLink<unknown> | undefined
  const passed = new Set<string>()
  for (;;) {
    // One that stands behind another key now is told nothing; and nothing is told twice in one pass.
    const isWanted = (task: TaskRecord) =>
      TaskRefusal.isKeyOf(known, task.peerKey) && !passed.has(TaskLetter.nameOf(task))
    // Asked for, not looked up: the table may hold what is not on disk yet, and that nobody may hear of.
    const letters = yield* desk.decide((table) => Result.succeed(table.untold(peer, TaskLetter.WINDOW, isWanted)))
    const [first] = letters
    if (first === undefined) return
    // Also beside an open stream, which it would never be written to.
    if (!first.isOurs && !TaskLetter.isOffer(first)) {
      passed.add(TaskLetter.nameOf(first))
      yield* Effect.scoped(tellReference(desk, peer, first))
      continue
    }
    const link: FrameLink.FrameLink<unknown> = line ?? (yield* dial(peer))
    const isKnown = line !== undefined || first.isOurs
    const together = isKnown
      ? TaskLetter.fitting(letters.filter((task) => task.isOurs || TaskLetter.isOffer(task)))
      : [first]
    for (const task of together) passed.add(TaskLetter.nameOf(task))
    const replies = yield* exchange(link, together)
    yield* desk.decide((table, nowMs) => Result.succeed(heardOf(table, together, replies, nowMs)))
    const isOurs = replies.every((reply) => reply._tag === "Receipt" || (reply._tag === "Answer" && reply.isOurs))
    line = isOurs ? link : undefined
    if (!isOurs) yield* Effect.ignore(link.end)
  }
})

const dial = Effect.fnUntraced(function* (peer: NodeId) {
  const node = yield* Node
  const connection = yield* Effect.mapError(
    node.dial(makeAddress(0, peer), TaskFrame.PORT, { timeoutMs: DIAL_TIMEOUT_MS }),
    ({ message }) => new TaskError({ reason: "Unreachable", detail: message })
  )
  return FrameLink.make<unknown>(connection)
})

/** Writes all, and reads a reply to each. */
const exchange = Effect.fnUntraced(function* (
  link: FrameLink.FrameLink<unknown>,
  tasks: ReadonlyArray<TaskRecord>
): Effect.fn.Return<ReadonlyArray<TaskFrame.TaskFrame>, TaskError, FileSystem.FileSystem> {
  const replies: Array<TaskFrame.TaskFrame> = []
  const write = Effect.forEach(tasks, (task) => Effect.flatMap(TaskLetter.make(task), (frame) => link.write(frame)), {
    discard: true
  })
  const read = Effect.gen(function* () {
    while (replies.length < tasks.length) {
      const decoded = TaskFrame.decode(yield* link.read, true)
      if (Result.isFailure(decoded)) return yield* Effect.fail("it breaks the rules")
      replies.push(decoded.success)
    }
  })
  yield* Effect.all([write, read], { concurrency: 2, discard: true }).pipe(
    Effect.timeoutOrElse({ duration: REPLY_TIMEOUT, orElse: () => Effect.fail("it does not answer") }),
    Effect.mapError((error) => lost(typeof error === "string" ? error : "the stream broke"))
  )
  return replies
})

const heardOf = (
  table: TaskTable,
  tasks: ReadonlyArray<TaskRecord>,
  replies: ReadonlyArray<TaskFrame.TaskFrame>,
  nowMs: number
): void => {
  for (const reply of replies) {
    const task = tasks.find(({ id }) => id === reply.id)
    if (task === undefined) continue
    if (reply._tag === "Answer" && task.side === "submitted") Submitting.answered(table, reply, nowMs)
    // Not what it says, but what was sent: a peer cannot acknowledge what it has not been told.
    if (reply._tag === "Receipt") table.told(task.side, task.id, task.revision)
  }
}

/** It reads one frame and ends the stream, which is all that it says. */
const tellReference = Effect.fnUntraced(function* (desk: TaskDesk, peer: NodeId, task: TaskRecord) {
  const link = yield* dial(peer)
  const ended: Effect.Effect<void, unknown> = Effect.catch(Effect.forever(link.read), (error) =>
    isDone(error) ? Effect.void : Effect.fail(error)
  )
  yield* Effect.flatMap(TaskLetter.make(task), link.write).pipe(
    Effect.andThen(link.end),
    Effect.andThen(ended),
    Effect.timeoutOrElse({ duration: REPLY_TIMEOUT, orElse: () => Effect.fail("it does not end the stream") }),
    Effect.mapError(() => lost("the stream broke"))
  )
  yield* desk.decide((table) => Result.succeed(table.told(task.side, task.id, task.revision)))
})

const isDone = (error: unknown): boolean =>
  typeof error === "object" && error !== null && "_tag" in error && error._tag === "Done"

const lost = (detail: string) => new TaskError({ reason: "Unreachable", detail })

const DIAL_TIMEOUT_MS = 15_000
const REPLY_TIMEOUT = "30 seconds"
const PAUSE_MIN_MS = 250
const PAUSE = { initialMs: 1_000, factor: 2, maxMs: 60_000, jitter: 0.5 }
