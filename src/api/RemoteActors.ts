/** Actors across nodes: those that this program registers, and references to those of peers. */
import { Context, Effect, Layer, RcMap, Schema, type Scope } from "effect"
import { Rpc, RpcClient, type RpcClientError, RpcServer } from "effect/rpc"
import { type Access, type Identity, members } from "./Access.ts"
import * as Actor from "./Actor.ts"
import {
  Declared,
  Actors as Group,
  NAME_CHARACTERS_MAX,
  NoSuchActor,
  PORT,
  ProtocolMismatch
} from "./ActorsProtocol.ts"
import { Current } from "./Caller.ts"
import * as Peer from "./Peer.ts"
import type { Pilot } from "./PilotService.ts"
import { rpcClient, rpcServer } from "./Rpc.ts"
import type { ServerError } from "./VirtualSocket.ts"

/** The peer, or the way to it, is not there. Nobody knows whether the message arrived. */
export class PeerUnreachable extends Schema.TaggedError<PeerUnreachable>()("PeerUnreachable", {
  peer: Schema.String,
  detail: Schema.String
}) {
  override get message(): string {
    return `${this.peer} cannot be reached: ${this.detail}`
  }
}

/** A living actor of this program has the name already. */
export class NameTaken extends Schema.TaggedError<NameTaken>()("NameTaken", { actor: Schema.String }) {}

/** What distance adds to the failures of an actor. */
export type RemoteError = NoSuchActor | PeerUnreachable | ProtocolMismatch

/** An actor of another node. */
export type RemoteRef<D extends Actor.Definitions> = Actor.Ref<D, RemoteError>

/** Where actors are found, and by whom. */
export interface RegisterOptions extends Access {
  /** 6271 unless told otherwise. With a daemon, one program has a port: others take one of their own. */
  readonly port?: number
}

interface Registered extends Pick<Actor.LocalRef<Actor.Definitions>, "protocol" | "exit"> {
  readonly isMember: (identity: Identity) => boolean
  readonly tell: (message: Actor.Message, from: Identity) => Effect.Effect<void, KernelError>
  readonly ask: (message: Actor.Message, from: Identity, timeoutMs: number) => Effect.Effect<unknown, unknown>
}
type KernelError = Actor.ActorStopped | Actor.MailboxFull
type Client = RpcClient.FromGroup<typeof Group, RpcClientError.RpcClientError>

/** The actors of this program that peers may reach, and connections to those of peers. Made by the layers of `Pilot`. */
export class Actors extends Context.Service<
  Actors,
  {
    readonly host: (port: number) => Effect.Effect<Map<string, Registered>, ServerError, Scope.Scope>
    readonly client: (peer: string | Peer.Selector, port: number) => Effect.Effect<Client, never, Scope.Scope>
  }
>()("effect-pilot/api/Actors") {}

/** Over any `Pilot`. A port is served while an actor is registered there, a peer connected while a reference is used. */
export const make: Effect.Effect<Actors["Service"], never, Pilot | Scope.Scope> = Effect.gen(function* () {
  const hosts = yield* RcMap.make({ lookup: serve })
  const clients = yield* RcMap.make({ lookup: connect, idleTimeToLive: CLIENT_IDLE })
  return {
    host: (port) => RcMap.get(hosts, port),
    client: (peer, port) => RcMap.get(clients, JSON.stringify([peer, port]))
  }
})

/** The layer of `make`. */
export const layer: Layer.Layer<Actors, never, Pilot> = Layer.effect(Actors, make)

/**
 * Lets peers tell, ask and watch the actor under that name, as long as the scope lives. Nobody until `allow` names someone, as
 * for everything that is served. The name is free again when the actor has ended and its scope too.
 */
export const register = Effect.fn("Pilot.register")(function* <D extends Actor.Definitions>(
  name: string,
  ref: Actor.LocalRef<D>,
  options: RegisterOptions = {}
): Effect.fn.Return<void, NameTaken | ServerError, Actors | Pilot | Scope.Scope> {
  const { host } = yield* Actors
  const isMember = yield* members(options, `the actor ${name}`)
  const table = yield* host(options.port ?? PORT)
  if (table.has(name) || name.length > NAME_CHARACTERS_MAX) return yield* new NameTaken({ actor: name })
  const entry: Registered = {
    protocol: ref.protocol,
    exit: ref.exit,
    isMember,
    tell: (message, from) => ref.from(from).tell(message as Actor.MessageOf<D>),
    ask: (message, from, timeoutMs) =>
      ref.from(from).ask(message as Actor.Message<keyof D & string>, { timeout: timeoutMs })
  }
  yield* Effect.acquireRelease(
    Effect.sync(() => table.set(name, entry)),
    () => Effect.sync(() => table.delete(name))
  )
})

/**
 * A reference to the actor of that name at a peer. Nothing is sent before it is told, asked or watched, so that this succeeds
 * whether there is one or not; one that is registered again later under the name is reached by the same reference.
 */
export const actor = Effect.fn("Pilot.actor")(function* <D extends Actor.Definitions>(
  peer: string | Peer.Selector,
  name: string,
  protocol: Actor.Protocol<D>,
  options: { readonly port?: number } = {}
): Effect.fn.Return<RemoteRef<D>, never, Actors | Scope.Scope> {
  const client = yield* (yield* Actors).client(peer, options.port ?? PORT)
  const lost = ({ message }: { readonly message: string }) =>
    new PeerUnreachable({ peer: Peer.format(peer), detail: message })
  const mismatch = (error: Schema.SchemaError) => new ProtocolMismatch({ actor: name, detail: error.message })
  const definitionOf = (tag: string) => protocol.definitions[tag] as Actor.Definition<unknown, unknown, unknown>
  const encoded = (message: Actor.Message) =>
    Effect.map(Effect.mapError(encode(definitionOf(message._tag).payload, message.payload), mismatch), (payload) => ({
      actor: name,
      tag: message._tag,
      payload
    }))
  return {
    name,
    tell: (message) =>
      Effect.flatMap(encoded(message), (given) => client.tell(given)).pipe(
        Effect.catchTag("RpcClientError", (error) => Effect.fail(lost(error)))
      ),
    ask: <Reply, Failure>(message: Actor.Message, how: Actor.AskOptions = {}) => {
      const timeoutMs = Actor.timeoutMs(how)
      const { error, reply } = definitionOf(message._tag)
      const asked = Effect.flatMap(encoded(message), (given) => client.ask({ ...given, timeoutMs })).pipe(
        Effect.timeoutOrElse({
          duration: timeoutMs,
          orElse: () => Effect.fail(new Actor.AskTimeout({ actor: name, timeoutMs }))
        })
      )
      return asked.pipe(
        Effect.catchTags({
          RpcClientError: (failure) => Effect.fail(lost(failure)),
          Declared: (failure) =>
            Effect.flatMap(Effect.mapError(decode(error, failure.error), mismatch), (value) =>
              Effect.fail(value as Failure)
            )
        }),
        Effect.flatMap((value) => (reply === undefined ? Effect.void : Effect.mapError(decode(reply, value), mismatch)))
      ) as Effect.Effect<Reply, Failure | Effect.Error<typeof asked> | RemoteError>
    },
    exit: Effect.match(client.watch({ actor: name }), {
      onSuccess: (ended) => (ended._tag === "Stopped" ? Actor.Exit.Stopped() : Actor.Exit.Failed(ended)),
      onFailure: ({ message }) => Actor.Exit.Lost({ detail: message })
    })
  } as RemoteRef<D>
})

/** The group on a port, over a table of names. */
const serve = Effect.fnUntraced(function* (port: number) {
  const table = new Map<string, Registered>()
  const found = Effect.fnUntraced(function* (name: string) {
    const identity = yield* Current
    const entry = table.get(name)
    return entry === undefined || identity === undefined || !entry.isMember(identity)
      ? yield* new NoSuchActor({ actor: name })
      : { entry, identity }
  })
  const told = Effect.fnUntraced(function* (request: {
    readonly actor: string
    readonly tag: string
    readonly payload: Schema.Json
  }) {
    const { entry, identity } = yield* found(request.actor)
    const { actor, payload, tag } = request
    const definition = Object.hasOwn(entry.protocol.definitions, tag) ? entry.protocol.definitions[tag] : undefined
    if (definition === undefined) return yield* new ProtocolMismatch({ actor, detail: `it knows no message ${tag}` })
    const value = yield* Effect.mapError(
      decode(definition.payload, payload),
      (error) => new ProtocolMismatch({ actor, detail: error.message })
    )
    return { definition, message: { _tag: tag, payload: value }, entry, identity }
  })
  const handlers = Group.toLayer({
    tell: (request) => Effect.flatMap(told(request), ({ entry, identity, message }) => entry.tell(message, identity)),
    ask: (request) =>
      Effect.gen(function* () {
        const { definition, entry, identity, message } = yield* told(request)
        // What the actor says is not what its protocol promises: the asker's business as much as its own.
        const answer = (schema: Schema.Codec<unknown, unknown>, value: unknown) =>
          Effect.mapError(
            encode(schema, value),
            (error) => new ProtocolMismatch({ actor: request.actor, detail: error.message })
          )
        const timeoutMs = Math.min(Math.max(request.timeoutMs, 0), ASK_MS_MAX)
        const exit = yield* Effect.result(entry.ask(message, identity, timeoutMs))
        if (exit._tag === "Success")
          return definition.reply === undefined ? null : yield* answer(definition.reply, exit.success)
        const failure: unknown = exit.failure
        if (isKernels(failure)) return yield* failure
        return yield* new Declared({ error: yield* answer(definition.error, failure) })
      }),
    // Beside the bound of what is under way, since it may last for ever.
    watch: ({ actor }) =>
      Rpc.fork(
        Effect.flatMap(found(actor), ({ entry }) =>
          Effect.map(entry.exit, (exit) =>
            exit._tag === "Stopped"
              ? ({ _tag: "Stopped" } as const)
              : ({ _tag: "Failed", detail: exit.detail } as const)
          )
        )
      )
  })
  yield* Layer.build(
    RpcServer.layer(Group, { concurrency: REQUESTS_MAX, disableFatalDefects: true }).pipe(
      Layer.provide(handlers),
      Layer.provide(rpcServer({ port, allow: "trusted" }))
    )
  )
  return table
})

const connect = Effect.fnUntraced(function* (key: string) {
  const [peer, port] = JSON.parse(key) as [string | Peer.Selector, number]
  return yield* RpcClient.make(Group).pipe(Effect.provide(rpcClient(peer, { port })))
})

const encode = (
  schema: Schema.Codec<unknown, unknown>,
  value: unknown
): Effect.Effect<Schema.Json, Schema.SchemaError> =>
  value === undefined ? Effect.succeed(null) : Schema.encodeUnknownEffect(Schema.toCodecJson(schema))(value)

/** `null` stands for no payload. */
const decode = (schema: Schema.Codec<unknown, unknown>, json: unknown): Effect.Effect<unknown, Schema.SchemaError> =>
  json === null && (schema as unknown) === Schema.Undefined
    ? Effect.undefined
    : Schema.decodeUnknownEffect(Schema.toCodecJson(schema))(json)

const isKernels = Schema.is(Schema.Union([Actor.ActorStopped, Actor.AskTimeout, Actor.MailboxFull]))

/** Messages of peers to the actors of one port that wait for a mailbox or an answer; more wait in their streams. */
const REQUESTS_MAX = 1024
/** The longest that an actor is asked on behalf of a peer. */
const ASK_MS_MAX = 86_400_000
/** A connection that no reference uses stays so long for the next one. */
const CLIENT_IDLE = "30 seconds"
