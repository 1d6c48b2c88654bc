/**
 * One open connection to a registry: requests leave as they are made, and the replies, which carry no name of their
 * request, come in the same order (rendezvous §2.1). So several calls share a round trip.
 */
import { type Cause, Deferred, Effect, Exit, Result, Scope } from "effect"
import type * as Json from "../../core/data/Json.ts"
import { type ClientStream, StreamLost } from "../../core/net/TlsClient.ts"
import * as RegistryMessage from "../../protocol/wire/RegistryMessage.ts"

/** The registry does not keep to the protocol: nothing it says on this connection is to be believed any more. */
export interface Malformed {
  readonly _tag: "Malformed"
  readonly detail: string
}

/** Why a request on this connection has no reply. */
export type Failure = StreamLost | Malformed

/** Mutable, with one owner. */
export class RegistryPipeline {
  readonly #stream: ClientStream
  readonly #scope: Scope.Closeable
  readonly #splitter = RegistryMessage.makeSplitter()
  /** Oldest first. */
  readonly #pending: Array<Deferred.Deferred<Json.JsonObject, Failure>> = []
  #over: Failure | undefined

  private constructor(stream: ClientStream, scope: Scope.Closeable) {
    this.#stream = stream
    this.#scope = scope
  }

  /** Over a stream that ends with `scope`, which belongs to the pipeline from now on. */
  static open(stream: ClientStream, scope: Scope.Closeable): Effect.Effect<RegistryPipeline> {
    const pipeline = new RegistryPipeline(stream, scope)
    return Effect.as(Effect.forkIn(pipeline.#readAll, scope, { startImmediately: true }), pipeline)
  }

  /** Nothing more can be asked here. */
  get isOver(): boolean {
    return this.#over !== undefined
  }

  /**
   * Sends one request and waits for its reply. Whoever stops waiting ends the connection, for the reply would be taken
   * for that of the next request, and a registry that lets one wait lets all wait.
   */
  ask(request: Json.JsonObject): Effect.Effect<Json.JsonObject, Failure> {
    return Effect.suspend(() => {
      if (this.#over !== undefined) return Effect.fail(this.#over)
      const reply = Deferred.makeUnsafe<Json.JsonObject, Failure>()
      this.#pending.push(reply)
      const written = Effect.catch(this.#stream.write(RegistryMessage.encodeOrdered(request)), (lost) =>
        this.#end(lost)
      )
      return Effect.andThen(written, Deferred.await(reply)).pipe(Effect.onInterrupt(() => this.close))
    })
  }

  /** Ends the connection; requests without a reply are told that it is lost. */
  readonly close: Effect.Effect<void> = Effect.suspend(() => this.#end(new StreamLost({ detail: "closed" })))

  readonly #readAll: Effect.Effect<void> = Effect.suspend(() => this.#stream.read).pipe(
    Effect.flatMap((chunk) => this.#take(chunk)),
    Effect.forever,
    Effect.catch((error: StreamLost | Malformed | Cause.Done) =>
      this.#end(error._tag === "Done" ? new StreamLost({ detail: "closed by the registry" }) : error)
    )
  )

  /** A reply nobody asked for makes all others of its chunk doubtful: whose is it? */
  #take(chunk: Uint8Array): Effect.Effect<void, Malformed> {
    const { exceeded, frames } = this.#splitter.push(chunk)
    if (exceeded !== undefined || frames.length > this.#pending.length) {
      return malformed("the registry sent more answers than it was asked for, or one that is too long")
    }
    for (const frame of frames) {
      const reply = RegistryMessage.decode(frame)
      if (Result.isFailure(reply)) return malformed("the reply is not a JSON object")
      Deferred.doneUnsafe(this.#pending.shift()!, Exit.succeed(reply.success))
    }
    return Effect.void
  }

  #end(failure: Failure): Effect.Effect<void> {
    if (this.#over !== undefined) return Effect.void
    this.#over = failure
    for (const reply of this.#pending.splice(0)) Deferred.doneUnsafe(reply, Exit.fail(failure))
    return Scope.close(this.#scope, Exit.void)
  }
}

const malformed = (detail: string): Effect.Effect<never, Malformed> => Effect.fail({ _tag: "Malformed", detail })
