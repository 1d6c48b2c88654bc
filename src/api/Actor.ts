/**
 * Actors for programs (`docs/remote-actors.md`): a state that only its messages reach, one after the other, behind a bounded
 * mailbox. The protocol is typed by schemas, so that the same messages are told and asked from another node: `Pilot.register` and
 * `Pilot.actor`.
 */
import { Cause, Data, Deferred, Duration, Effect, Exit as EffectExit, Schema, type Scope } from "effect"
import * as Kernel from "../core/actor/Actor.ts"
import type { ActorStopped, AskTimeout, MailboxFull } from "../core/actor/ActorError.ts"
import { type ActorRef, ASK_TIMEOUT_MS } from "../core/actor/ActorRef.ts"
import type { MailboxOptions } from "../core/actor/Mailbox.ts"
import type { RestartPolicy } from "../core/actor/Restart.ts"
import { type Caller, Current } from "./Caller.ts"

export { stopSelf } from "../core/actor/Actor.ts"
export { ActorStopped, AskTimeout, MailboxFull } from "../core/actor/ActorError.ts"

/** One kind of message: what it carries, and what answers it. */
export interface Definition<Payload, Reply, Failure> {
  readonly payload: Schema.Codec<Payload, unknown>
  /** None for a message that is told. */
  readonly reply: Schema.Codec<Reply, unknown> | undefined
  readonly error: Schema.Codec<Failure, unknown>
}

/** The messages of a protocol, by name. */
export type Definitions = Readonly<Record<string, Definition<unknown, unknown, unknown>>>

/** A message. `Reply` and `Failure` are what an `ask` of it may bring. */
export interface Message<Tag extends string = string, Payload = unknown, out Reply = unknown, out Failure = unknown> {
  readonly _tag: Tag
  readonly payload: Payload
  readonly "~types"?: { readonly reply: Reply; readonly failure: Failure }
}

type MessageFor<Tag extends string, D> =
  D extends Definition<infer Payload, infer Reply, infer Failure> ? Message<Tag, Payload, Reply, Failure> : never
type Make<Tag extends string, D> =
  D extends Definition<infer Payload, infer Reply, infer Failure>
    ? undefined extends Payload
      ? () => Message<Tag, Payload, Reply, Failure>
      : (payload: Payload) => Message<Tag, Payload, Reply, Failure>
    : never

/** Every message of a protocol. */
export type MessageOf<D extends Definitions> = { readonly [Tag in keyof D & string]: MessageFor<Tag, D[Tag]> }[keyof D &
  string]

/** The name of a protocol, for people, and its messages. Both nodes have it. */
export interface Protocol<D extends Definitions> {
  readonly name: string
  readonly definitions: D
}

/** What makes the messages of a protocol: `Counter.Add({ by: 2 })`. */
export type Constructors<D extends Definitions> = { readonly [Tag in keyof D & string]: Make<Tag, D[Tag]> }

/** What an actor does with each message: an effect, whose success answers an `ask` and whose declared failure fails it. */
export type Handlers<D extends Definitions, R> = {
  readonly [Tag in keyof D & string]: D[Tag] extends Definition<infer Payload, infer Reply, infer Failure>
    ? (payload: Payload) => Effect.Effect<Reply, Failure, R>
    : never
}

/** How an actor ended, as whoever watches it hears. `Lost`: its node cannot be reached, so nobody knows. */
export type Exit = Data.TaggedEnum<{
  Stopped: {}
  Failed: { readonly detail: string }
  Lost: { readonly detail: string }
}>
/** Constructors and matchers of `Exit`. */
export const Exit = Data.taggedEnum<Exit>()

/** How long to wait for an answer. */
export interface AskOptions {
  /** Five seconds unless told otherwise. */
  readonly timeout?: Duration.Input
}

/** An actor to be told and asked, wherever it lives. `E` is what distance adds. */
export interface Ref<D extends Definitions, E = never> {
  readonly name: string
  /** Succeeds when the message is in the mailbox; waits while that is full, if its actor is made so. */
  readonly tell: (message: MessageOf<D>) => Effect.Effect<void, ActorStopped | MailboxFull | E>
  /** A message that the actor died of has no answer: `AskTimeout`. */
  readonly ask: <Reply, Failure>(
    message: Message<keyof D & string, unknown, Reply, Failure>,
    options?: AskOptions
  ) => Effect.Effect<Reply, Failure | ActorStopped | AskTimeout | MailboxFull | E>
  /** Waits for the end. */
  readonly exit: Effect.Effect<Exit>
}

/** An actor of this program. */
export interface LocalRef<D extends Definitions> extends Ref<D> {
  readonly protocol: Protocol<D>
  /** Interrupts what it does and waits until it has ended. Idempotent. */
  readonly stop: Effect.Effect<void>
  /** Messages that found no room, since the start. */
  readonly dropped: Effect.Effect<number>
  /** The same actor on behalf of a peer, whom its handlers then know by `Pilot.caller`. */
  readonly from: (caller: typeof Current.Service) => Ref<D>
}

/** An actor to be spawned, with the constructors of its messages. */
export type Actor<D extends Definitions, E, R> = Constructors<D> & {
  readonly Protocol: Protocol<D> & Constructors<D>
  readonly behaviour: Behaviour<D, E, R>
}

/** What an actor is made of. */
export interface Behaviour<D extends Definitions, E, R> {
  /** Begins a life, in a scope that ends with it: its state is made here. Runs again after each restart. */
  readonly start: Effect.Effect<Handlers<D, R>, E, R | Scope.Scope>
  /** 256 messages, senders wait, unless told otherwise. */
  readonly mailbox?: MailboxOptions
  /** Three times in a minute unless told otherwise; the message being handled is lost, the others wait. */
  readonly restart?: RestartPolicy
}

/** A message that is told: nobody waits for an answer, though an `ask` of it waits until it was handled. */
export const tell = <Payload = undefined>(
  payload: Schema.Codec<Payload, unknown> = Schema.Undefined as never
): Definition<Payload, void, never> => ({ payload, reply: undefined, error: Schema.Never as never })

/** What an `ask` carries (nothing unless told otherwise), its answer, and the failure that it may be answered with (none). */
export interface AskSchemas {
  readonly reply: Schema.Codec<unknown, unknown>
  readonly payload?: Schema.Codec<unknown, unknown>
  readonly error?: Schema.Codec<unknown, unknown>
}

type TypeIn<S, Key extends string, None> =
  S extends Readonly<Record<Key, Schema.Codec<infer Type, unknown>>> ? Type : None

/** A message that is answered. */
export const ask = <S extends AskSchemas>(
  schemas: S
): Definition<TypeIn<S, "payload", undefined>, TypeIn<S, "reply", never>, TypeIn<S, "error", never>> =>
  ({ payload: Schema.Undefined, error: Schema.Never, ...schemas }) as never

/** A protocol, for nodes that have only that. */
export const protocol = <const D extends Definitions>(name: string, definitions: D): Protocol<D> & Constructors<D> => ({
  ...constructors(definitions),
  name,
  definitions
})

/** An actor of that protocol. */
export const make = <D extends Definitions, E, R>(
  of: Protocol<D> & Constructors<D>,
  behaviour: Behaviour<D, E, R>
): Actor<D, E, R> => ({ ...constructors(of.definitions), Protocol: of, behaviour })

/** Starts an actor in the surrounding scope, whose end stops it and waits for its finalizers. */
export const spawn = Effect.fnUntraced(function* <D extends Definitions, E, R>(
  actor: Actor<D, E, R>,
  options: { readonly name?: string } = {}
): Effect.fn.Return<LocalRef<D>, never, R | Scope.Scope> {
  const { behaviour, Protocol: of } = actor
  const cell = yield* Kernel.spawn<Envelope, E, R>({
    name: options.name ?? of.name,
    mailbox: behaviour.mailbox ?? { capacity: MAILBOX_CAPACITY, overflow: "backpressure" },
    restart: behaviour.restart ?? { intensity: RESTARTS_MAX, periodMs: RESTART_PERIOD_MS },
    start: Effect.map(behaviour.start, (handlers) => ({ receive: (envelope: Envelope) => handle(handlers, envelope) }))
  })
  return localRef(cell, of)
})

/** Runs `onExit` in the surrounding scope when the actor ends, at once if it has; also when its node is lost. */
export const watch = <E, R>(
  actor: { readonly exit: Effect.Effect<Exit> },
  onExit: (exit: Exit) => Effect.Effect<void, E, R>
): Effect.Effect<void, never, R | Scope.Scope> =>
  Effect.asVoid(Effect.forkScoped(Effect.flatMap(actor.exit, onExit), { startImmediately: true }))

/** A message on its way, with whoever waits for what. */
interface Envelope {
  readonly message: Message
  readonly caller: Caller["Service"] | undefined
  readonly reply: Deferred.Deferred<unknown, unknown> | undefined
}

const handle = <D extends Definitions, R>(
  handlers: Handlers<D, R>,
  { caller, message, reply }: Envelope
): Effect.Effect<void, never, R> => {
  const handler = handlers[message._tag] as (payload: unknown) => Effect.Effect<unknown, unknown, R>
  const handled = Effect.provideService(
    Effect.suspend(() => handler(message.payload)),
    Current,
    caller
  )
  return Effect.flatMap(Effect.exit(handled), (exit) => {
    // Only what the protocol declares is an answer; a defect ends this life.
    const isAnswer = EffectExit.isSuccess(exit) || !(Cause.hasDies(exit.cause) || Cause.hasInterrupts(exit.cause))
    if (!isAnswer) return Effect.failCause(exit.cause as Cause.Cause<never>)
    return reply === undefined ? Effect.void : Effect.asVoid(Deferred.done(reply, exit))
  })
}

const localRef = <D extends Definitions>(cell: ActorRef<Envelope>, of: Protocol<D>): LocalRef<D> => {
  const exit = Effect.map(cell.exit, (ended) =>
    ended._tag === "Stopped" ? Exit.Stopped() : Exit.Failed({ detail: String(Cause.squash(ended.cause)) })
  )
  const from = (caller: typeof Current.Service): Ref<D> => ({
    name: cell.name,
    tell: (message) => cell.tell({ message, caller, reply: undefined }),
    ask: <Reply, Failure>(message: Message, options: AskOptions = {}) =>
      cell.ask<Reply, Failure>(
        (reply) => ({ message, caller, reply: reply as Deferred.Deferred<unknown, unknown> }),
        timeoutMs(options)
      ),
    exit
  })
  return {
    ...from(undefined),
    protocol: of,
    from,
    stop: cell.stop,
    dropped: Effect.sync(() => cell.dropped())
  }
}

/** The time-out of an `ask` in milliseconds. */
export const timeoutMs = ({ timeout }: AskOptions): number =>
  timeout === undefined ? ASK_TIMEOUT_MS : Duration.toMillis(Duration.fromInputUnsafe(timeout))

const constructors = <D extends Definitions>(definitions: D): Constructors<D> =>
  Object.fromEntries(
    Object.keys(definitions).map((_tag) => [_tag, (payload?: unknown): Message => ({ _tag, payload })] as const)
  ) as Constructors<D>

const MAILBOX_CAPACITY = 256
const RESTARTS_MAX = 3
const RESTART_PERIOD_MS = 60_000
