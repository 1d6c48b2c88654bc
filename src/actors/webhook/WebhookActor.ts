/**
 * Tells an operator's URL what happens at the node (node §8).
 *
 * Owns the queue of what is to be told and the letters that were given up. Told by the node of its events, by its own requests
 * how they ended; tells the URL, one request at a time. Mailbox full: the newest event is dropped, counted by the mailbox.
 * Restarted with its queue, three times a minute. Its end gives what waits one try each, and keeps the rest as dead letters.
 */
import {
  Clock,
  Data,
  DateTime,
  Deferred,
  Effect,
  Exit,
  type FileSystem,
  type Path,
  Random,
  Result,
  Scope
} from "effect"
import * as Actor from "../../core/actor/Actor.ts"
import * as MonotonicTime from "../../core/actor/MonotonicTime.ts"
import { Crypto } from "../../core/crypto/Crypto.ts"
import * as Bytes from "../../core/data/Bytes.ts"
import { WebhookPost } from "../../core/net/WebhookPost.ts"
import type { ProtocolEvent } from "../../protocol/ProtocolEvent.ts"
import * as WebhookEvent from "../../protocol/webhook/WebhookEvent.ts"
import * as WebhookQueue from "../../protocol/webhook/WebhookQueue.ts"
import * as WebhookTarget from "../../protocol/webhook/WebhookTarget.ts"
import { NodeId } from "../../protocol/wire/Address.ts"
import * as DeadLetters from "./DeadLetters.ts"
import { WebhookRefused, type WebhookStatus, type Webhooks } from "./Webhooks.ts"

/** What may be told to the actor. */
export type Message = Data.TaggedEnum<{
  Happened: { readonly event: WebhookEvent.WebhookEvent }
  /** A request has ended, as `State.outcomes` tells. */
  Settled: {}
  Retry: { readonly id: string | undefined; readonly reply: Deferred.Deferred<number> }
  Drop: { readonly id: string | undefined; readonly reply: Deferred.Deferred<number> }
  Drain: { readonly reply: Deferred.Deferred<void> }
}>
/** Constructors of `Message`. */
export const Message = Data.taggedEnum<Message>()

/** Where it begins. */
export interface Options {
  /** Empty for none. */
  readonly url: string
  /** Blocks of addresses that names may lead to besides the public internet. */
  readonly allowed: ReadonlyArray<string>
  /** Signs every request. */
  readonly secret: Uint8Array
  readonly deadLetters: string
  readonly queue?: WebhookQueue.Config
}

/** A running webhook, and what takes the node's events; that never waits. */
export interface Running {
  readonly webhooks: Webhooks["Service"]
  readonly report: (event: ProtocolEvent) => void
}

/** Starts it in the surrounding scope. Fails when the URL cannot be used. */
export const spawn = Effect.fn("WebhookActor.spawn")(function* (
  options: Options
): Effect.fn.Return<Running, WebhookRefused, Crypto | FileSystem.FileSystem | Path.Path | Scope.Scope | WebhookPost> {
  // Requests go on while the rest of the node ends, so that its last events are told.
  const scope = yield* Scope.make()
  const state: State = {
    options,
    queue: new WebhookQueue.WebhookQueue(options.queue ?? WebhookQueue.DEFAULTS),
    letters: yield* DeadLetters.open(options.deadLetters),
    crypto: yield* Crypto,
    post: (yield* WebhookPost).post,
    clock: yield* Clock.Clock,
    scope,
    target: yield* targetOf(options.url, options.allowed),
    node: NodeId(0),
    ...{ delivered: 0, failed: 0, writeAtMs: Number.POSITIVE_INFINITY, outcomes: [] }
  }
  const ref = yield* Actor.spawn<Message, never, never>({
    name: "webhook",
    mailbox: { capacity: MAILBOX_CAPACITY, overflow: "dropNewest" },
    start: (self) => Effect.succeed(handlers(state, self)),
    restart: { intensity: 3, periodMs: 60_000 }
  })
  yield* Effect.addFinalizer(() =>
    Effect.ignore(ref.ask<void>((reply) => Message.Drain({ reply }), DRAIN_MS)).pipe(
      Effect.andThen(Scope.close(scope, Exit.void)),
      Effect.andThen(Effect.suspend(() => abandon(state)))
    )
  )
  const ask = (message: (reply: Deferred.Deferred<number>) => Message) =>
    Effect.orElseSucceed(ref.ask<number>(message), () => 0)
  return {
    report: (event) => {
      if (event._tag === "NodeRegistered" || event._tag === "NodeReregistered") state.node = event.address.node
      if (state.target === undefined) return
      const told = WebhookEvent.of(event)
      if (told !== undefined) ref.tellUnsafe(Message.Happened({ event: told }))
    },
    webhooks: {
      set: (url) =>
        Effect.map(targetOf(url, options.allowed), (target) => {
          state.target = target
        }),
      status: Effect.sync(() => statusOf(state)),
      dead: Effect.sync(() => state.letters.list()),
      retry: (id) => ask((reply) => Message.Retry({ id, reply })),
      drop: (id) => ask((reply) => Message.Drop({ id, reply }))
    }
  }
})

interface State {
  readonly options: Options
  readonly queue: WebhookQueue.WebhookQueue
  readonly letters: DeadLetters.DeadLetters
  readonly crypto: Crypto["Service"]
  readonly post: WebhookPost["Service"]["post"]
  readonly clock: Clock.Clock
  readonly scope: Scope.Scope
  target: WebhookTarget.WebhookTarget | undefined
  node: NodeId
  delivered: number
  failed: number
  writeAtMs: number
  /** How requests ended that are not settled: kept here, because a full mailbox drops what it is told. */
  readonly outcomes: Array<{ readonly failure: string | undefined }>
  drained?: Deferred.Deferred<void>
}

const targetOf = (url: string, allowed: ReadonlyArray<string>) => {
  if (url === "") return Effect.succeed(undefined)
  const target = WebhookTarget.parse(url, allowed)
  return Result.isFailure(target)
    ? Effect.fail(new WebhookRefused({ detail: target.failure }))
    : Effect.succeed(target.success)
}

const handlers = (state: State, self: Actor.ActorRef<Message>): Actor.Handlers<Message, never, never> => {
  const nowMs = () => MonotonicTime.nowMsUnsafe(state.clock)
  return {
    receive: (message) => {
      switch (message._tag) {
        case "Happened":
          return happened(state, message.event, nowMs())
        case "Settled":
          return
        case "Retry":
          return Effect.asVoid(Deferred.succeed(message.reply, retry(state, message.id, nowMs())))
        case "Drop":
          return Effect.asVoid(Deferred.succeed(message.reply, drop(state, message.id, nowMs())))
        case "Drain":
          state.drained = message.reply
      }
    },
    // A message is in the batch whenever there is an outcome, its own or one that left it no room.
    afterBatch: () =>
      state.outcomes.length === 0
        ? advance(state, self, nowMs())
        : Effect.flatMap(Random.next, (random) => {
            for (const { failure } of state.outcomes.splice(0)) settled(state, failure, nowMs(), random)
            return advance(state, self, nowMs()) ?? Effect.void
          }),
    deadlineMs: () => Math.min(state.queue.deadlineMs ?? Number.POSITIVE_INFINITY, state.writeAtMs),
    timerFired: () => advance(state, self, nowMs())
  }
}

const happened = (state: State, event: WebhookEvent.WebhookEvent, nowMs: number): void => {
  const { target } = state
  if (target === undefined) return
  const body = WebhookEvent.body(event, state.node, timestamp(state.clock.currentTimeNanosUnsafe()))
  const id = Bytes.toHex(state.crypto.randomBytes(ID_BYTES))
  enqueue(state, { id, event: event.event, body, url: target.url }, nowMs)
}

const enqueue = (state: State, delivery: WebhookQueue.Delivery, nowMs: number): void =>
  bury(state, state.queue.offer(delivery), nowMs)

const settled = (state: State, failure: string | undefined, nowMs: number, random: number): void => {
  if (failure === undefined) state.delivered++
  else state.failed++
  bury(state, state.queue.settled(failure, nowMs, random), nowMs)
}

const retry = (state: State, id: string | undefined, nowMs: number): number => {
  const letters = state.letters.take(id)
  for (const { body, event, id: same, url } of letters) enqueue(state, { id: same, event, body, url }, nowMs)
  if (letters.length > 0) state.writeAtMs = Math.min(state.writeAtMs, nowMs + WRITE_DELAY_MS)
  return letters.length
}

const drop = (state: State, id: string | undefined, nowMs: number): number => {
  const { length } = state.letters.take(id)
  if (length > 0) state.writeAtMs = Math.min(state.writeAtMs, nowMs + WRITE_DELAY_MS)
  return length
}

const bury = (state: State, letter: WebhookQueue.DeadLetter | undefined, nowMs: number): void => {
  if (letter === undefined) return
  state.letters.add([letter])
  state.writeAtMs = Math.min(state.writeAtMs, nowMs + WRITE_DELAY_MS)
}

/** Sends the next one, if it is time; writes what was given up, if it is time; ends a drain that has come to its end. */
const advance = (state: State, self: Actor.ActorRef<Message>, nowMs: number): Effect.Effect<void> | undefined => {
  const effects: Array<Effect.Effect<void>> = []
  const next = state.queue.next(nowMs)
  if (next !== undefined) effects.push(send(state, self, next.delivery, next.attempt))
  if (nowMs >= state.writeAtMs) {
    state.writeAtMs = Number.POSITIVE_INFINITY
    effects.push(state.letters.write)
  }
  const { drained, queue } = state
  const { deadlineMs } = queue
  // Nothing waits, or the next try is later than now.
  if (drained !== undefined && (queue.size === 0 || (deadlineMs !== undefined && deadlineMs > nowMs)))
    effects.push(Effect.asVoid(Deferred.succeed(drained, undefined)))
  return effects.length === 0 ? undefined : Effect.all(effects, { discard: true })
}

const send = (state: State, self: Actor.ActorRef<Message>, delivery: WebhookQueue.Delivery, attempt: number) => {
  const { crypto, options, post } = state
  const target = Result.getOrUndefined(WebhookTarget.parse(delivery.url, options.allowed))
  const seconds = Math.floor(state.clock.currentTimeMillisUnsafe() / 1000)
  const signed = Bytes.fromUtf8(`${seconds}.${delivery.body}`)
  const request = post({
    url: delivery.url,
    body: delivery.body,
    timeoutMs: REQUEST_TIMEOUT_MS,
    admits: (address) => target?.admits(address) ?? false,
    headers: {
      "Content-Type": "application/json",
      "X-Pilot-Event": delivery.event,
      "X-Pilot-Delivery": delivery.id,
      "X-Pilot-Attempt": String(attempt),
      "X-Pilot-Signature": `t=${seconds},v1=${Bytes.toHex(crypto.hmacSha256(options.secret, signed))}`
    }
  })
  const told = Effect.match(request, {
    onFailure: ({ detail }) => detail,
    onSuccess: ({ status }) => refusalOf(status)
  }).pipe(
    Effect.flatMap((failure) =>
      Effect.sync(() => {
        state.outcomes.push({ failure })
        self.tellUnsafe(Message.Settled())
      })
    )
  )
  return Effect.asVoid(Effect.forkIn(told, state.scope))
}

const refusalOf = (status: number): string | undefined => {
  if (status >= 300 && status < 400) return `HTTP ${status}: a webhook follows no redirects`
  return status >= 200 && status < 300 ? undefined : `HTTP ${status}`
}

const abandon = (state: State): Effect.Effect<void> => {
  const rest = state.queue.abandon("the node has stopped")
  if (rest.length === 0 && state.writeAtMs === Number.POSITIVE_INFINITY) return Effect.void
  state.letters.add(rest)
  return state.letters.write
}

const statusOf = ({ delivered, failed, letters, queue, target }: State): WebhookStatus => ({
  url: target?.url ?? "",
  waiting: queue.size,
  ...{ delivered, failed },
  dead: letters.list().length,
  lost: letters.lost()
})

/** `2026-11-20T17:44:18.910781914Z`: up to nine digits, zeros at the end left out. */
const timestamp = (unixNanos: bigint): string => {
  const day = DateTime.formatIso(DateTime.makeUnsafe(Number(unixNanos / NANOS_PER_SECOND) * 1000)).slice(0, 19)
  const fraction = String(unixNanos % NANOS_PER_SECOND)
    .padStart(9, "0")
    .replace(/0+$/, "")
  return fraction === "" ? `${day}Z` : `${day}.${fraction}Z`
}

const NANOS_PER_SECOND = 1_000_000_000n
const ID_BYTES = 16
const MAILBOX_CAPACITY = 1_024
/** node §8. */
const REQUEST_TIMEOUT_MS = 5_000
/** What the end of the node waits for. */
const DRAIN_MS = 5_000
/** Letters that are given up one after another are written together. */
const WRITE_DELAY_MS = 1_000
