/** Questions of one client to its daemon, and their answers, which come in the order of the questions (node §1.3). */
import { Deferred, Duration, Effect, type Semaphore } from "effect"
import type * as Json from "../../core/data/Json.ts"
import type * as IpcReply from "../../protocol/wire/IpcReply.ts"
import type * as IpcRequest from "../../protocol/wire/IpcRequest.ts"
import { IpcError } from "./IpcError.ts"
import type * as IpcExchange from "./IpcExchange.ts"
import { dialledBy, type IpcSession } from "./IpcSession.ts"

/** A socket to a daemon, and what is going on over it. */
export interface Wire {
  readonly session: IpcSession
  readonly oneAtATime: Semaphore.Semaphore
  /** Held from taking a place among the replies until the request is written. */
  readonly inOrder: Semaphore.Semaphore
  knowsEnds: boolean
  readonly send: (request: IpcRequest.IpcRequest, operation: string) => Effect.Effect<void, IpcError>
  /** Bytes of one stream, in as few writes as the socket takes. */
  readonly sendAll: (connection: number, bytes: Uint8Array) => Effect.Effect<void, IpcError>
}

/** One request and its reply. After a time-out or an interruption the reply is still expected, and then undone. */
export const ask = (
  { inOrder, session, oneAtATime, send }: Wire,
  operation: string,
  request: IpcRequest.IpcRequest,
  accepts: (reply: IpcReply.IpcReply) => boolean
): Effect.Effect<IpcReply.IpcReply, IpcError> =>
  Effect.suspend(() => {
    let pending: IpcExchange.Pending | undefined
    const begun = Effect.suspend(() => {
      pending = session.exchange.begin(operation, accepts)
      return Effect.as(send(request, operation), pending)
    })
    return Effect.flatMap(inOrder.withPermit(begun), ({ reply }) => Deferred.await(reply)).pipe(
      Effect.timeoutOrElse({
        duration: REPLY_TIMEOUT,
        orElse: () =>
          Effect.fail(new IpcError({ reason: "Timeout", operation, detail: Duration.format(REPLY_TIMEOUT) }))
      }),
      Effect.onError(() => {
        if (pending === undefined) return Effect.void
        pending.isAbandoned = true
        const dialled = pending.delivered === undefined ? undefined : dialledBy(pending.delivered)
        return dialled === undefined
          ? Effect.void
          : Effect.ignore(send({ _tag: "Close", connection: dialled }, "close"))
      })
    )
  }).pipe(oneAtATime.withPermit)

/** The same with a JSON answer to this kind of request. */
export const askJson = (
  wire: Wire,
  operation: string,
  to: IpcReply.Answered,
  request: IpcRequest.IpcRequest
): Effect.Effect<Json.JsonObject, IpcError> =>
  Effect.flatMap(
    ask(wire, operation, request, (reply) => reply._tag === "Answer" && reply.to === to),
    (reply) =>
      reply._tag === "Answer"
        ? Effect.succeed(reply.value)
        : Effect.fail(new IpcError({ reason: "BadReply", operation, detail: "not a JSON reply" }))
  )

/** One of our own operations (`IpcExtension`). */
export const askOwn = (wire: Wire, op: string, value: Json.JsonObject): Effect.Effect<Json.JsonObject, IpcError> =>
  askJson(wire, op, "Extension", { _tag: "Extension", op, value })

/** The same, when nobody waits for the answer, not even behind a dial that takes its time. */
export const tellOwn = ({ inOrder, send, session }: Wire, op: string, value: Json.JsonObject): Effect.Effect<void> =>
  Effect.suspend(() => {
    session.exchange.begin(op, isOwnAnswer)
    return Effect.ignore(send({ _tag: "Extension", op, value }, op))
  }).pipe(inOrder.withPermit)

const isOwnAnswer = (reply: IpcReply.IpcReply): boolean => reply._tag === "Answer" && reply.to === "Extension"

/** The socket is gone. */
export const disconnected = (operation: string): IpcError =>
  new IpcError({ reason: "Disconnected", operation, detail: "" })

/** Longer than a daemon of the reference dials: 39 s (node §9). */
const REPLY_TIMEOUT = Duration.seconds(45)
