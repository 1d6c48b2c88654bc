/**
 * What services ask the client (mcp §6.11): elicitation, sampling, roots. Each question goes to the client under a number of
 * ours, with the asking service named where a person reads it; the answer goes back under the id that the service chose. A
 * service can ask only for what it was told the client can do.
 *
 * Owns the questions that a legacy client has not answered. Modern clients are asked by `FrontHeld`.
 */
import { Clock, Deferred, Effect } from "effect"
import * as MonotonicTime from "../../../core/actor/MonotonicTime.ts"
import * as Bytes from "../../../core/data/Bytes.ts"
import * as Json from "../../../core/data/Json.ts"
import { TokenBucket } from "../../../core/data/TokenBucket.ts"
import * as JsonRpc from "../../../protocol/mcp/JsonRpc.ts"
import * as PlainText from "../../../protocol/mcp/PlainText.ts"
import * as IdMap from "../../../protocol/relay/IdMap.ts"
import * as JsonRpcPeek from "../../../protocol/relay/JsonRpcPeek.ts"
import * as JsonSplice from "../../../protocol/relay/JsonSplice.ts"
import type { FrontClient } from "./FrontClient.ts"
import { METHOD_NOT_FOUND } from "./FrontRefusal.ts"
import type { KnownService } from "./FrontRoster.ts"
import * as FrontTaskIds from "./FrontTaskIds.ts"
import type { ClientProfile, Write } from "./FrontUpstream.ts"

/** Questions of services to one client. */
export interface FrontQuestions {
  /** Whether a service may ask that, of a client of that profile; counts what costs the client's owner money. */
  readonly isAllowed: (service: KnownService, method: string, profile: ClientProfile) => boolean
  /** Passes a question of a service on; refuses it there if it may not be asked. */
  readonly pass: (service: KnownService, write: Write, message: Uint8Array, request: Request) => Effect.Effect<void>
  /** Asks a question of our own making; the raw `result`, or undefined if the client refuses. */
  readonly ask: (service: KnownService, method: string, params: Json.JsonObject) => Effect.Effect<string | undefined>
  /** An answer of the client. */
  readonly answered: (message: Uint8Array, id: string) => Effect.Effect<void>
  /** A step towards an answer; false if it belongs to no question. */
  readonly progressed: (message: Uint8Array, token: string) => Effect.Effect<boolean>
  /** The service takes its question back. */
  readonly withdrawn: (service: KnownService, id: string) => Effect.Effect<void>
  /** The service is gone: its questions need no answer. */
  readonly closed: (service: KnownService) => Effect.Effect<void>
}

type Request = Extract<JsonRpcPeek.Envelope, { _tag: "Request" }>

/** No questions yet. `capabilities` are those that services are told of. */
export const make = Effect.fnUntraced(function* (
  client: FrontClient,
  capabilities: (service: KnownService, profile: ClientProfile) => Json.JsonObject
): Effect.fn.Return<FrontQuestions> {
  const clock = yield* Clock.Clock
  const waiting = new IdMap.IdMap<Question>()
  const sampling = new TokenBucket(SAMPLING_RATE, MonotonicTime.nowMsUnsafe(clock))

  const isAllowed = (service: KnownService, method: string, profile: ClientProfile): boolean => {
    const capability = Object.hasOwn(CAPABILITY, method) ? CAPABILITY[method] : undefined
    if (capability === undefined || Json.member(capabilities(service, profile), capability) === undefined) return false
    return capability !== "sampling" || sampling.take(MonotonicTime.nowMsUnsafe(clock))
  }

  const cancel = (number: number) =>
    Effect.suspend(() =>
      waiting.take(number) === undefined ? Effect.void : client.notify("notifications/cancelled", { requestId: number })
    )

  return {
    isAllowed,
    pass: Effect.fnUntraced(function* (service, write, message, { id, method, progressToken }) {
      if (waiting.size >= QUESTIONS_MAX || !isAllowed(service, method, client.profile()))
        return yield* write(refusal(id, method))
      const number = waiting.add(keyOf(service, id), {
        alias: service.alias,
        token: progressToken,
        write,
        answer: (response) => write(JsonSplice.replace(FrontTaskIds.replied(service.alias, response), ["id"], id))
      })
      const numbered = JsonSplice.replace(message, ["id"], String(number))
      const asked = JsonSplice.replace(numbered, ["params", "_meta", "progressToken"], String(number))
      yield* client.write(signed(service, method, asked))
    }),
    ask: Effect.fnUntraced(function* (service, method, params) {
      const done = yield* Deferred.make<string | undefined>()
      const number = waiting.add(keyOf(service, "ours"), {
        alias: service.alias,
        token: undefined,
        write: undefined,
        answer: (response) => Effect.asVoid(Deferred.succeed(done, JsonRpcPeek.member(response, ["result"])))
      })
      yield* client.write(signed(service, method, Bytes.fromUtf8(JsonRpc.request(number, method, params))))
      return yield* Effect.onInterrupt(Deferred.await(done), () => cancel(number))
    }),
    answered: (message, id) => waiting.take(IdMap.numberIn(id))?.answer(message) ?? Effect.void,
    progressed: (message, token) =>
      Effect.suspend(() => {
        const question = waiting.get(IdMap.numberIn(token))
        if (question?.token === undefined || question.write === undefined) return Effect.succeed(false)
        const named = JsonSplice.replace(message, ["params", "progressToken"], question.token)
        return Effect.as(question.write(named), true)
      }),
    withdrawn: (service, id) =>
      Effect.suspend(() => {
        const number = waiting.numberOf(keyOf(service, id))
        return number === undefined ? Effect.void : cancel(number)
      }),
    closed: ({ alias }) =>
      Effect.suspend(() =>
        Effect.forEach(
          waiting.entries().filter(([, question]) => question.alias === alias && question.write !== undefined),
          ([number]) => cancel(number),
          { discard: true }
        )
      )
  }
})

interface Question {
  readonly alias: string
  /** Raw text of the service's own token. */
  readonly token: string | undefined
  /** Undefined for a question of our own making. */
  readonly write: Write | undefined
  readonly answer: (response: Uint8Array) => Effect.Effect<void>
}

/** The question with its origin, where a person reads it (mcp §8, rules 6 and 7). */
export const signed = (service: KnownService, method: string, message: Uint8Array): Uint8Array => {
  if (method !== "elicitation/create") return message
  const text = JsonRpcPeek.string(message, ["params", "message"])
  return text === undefined
    ? message
    : JsonSplice.replace(message, ["params", "message"], JSON.stringify(signedText(service, text)))
}

/** A text for a person, cleaned, with its origin. */
export const signedText = ({ target }: KnownService, text: string): string =>
  `[${target.peer}/${target.service}] ${PlainText.clean(text).text}`

/** What a service is told that asks for what it may not. */
export const refusal = (id: string, method: string): Uint8Array =>
  Bytes.fromUtf8(
    `{"jsonrpc":"2.0","id":${id},"error":${JSON.stringify({ code: METHOD_NOT_FOUND, message: `This client offers no ${method}.` })}}`
  )

/** Ids of services meet each other, so theirs is a part of the key only. */
const keyOf = ({ alias }: KnownService, id: string): string => JSON.stringify(`${alias} ${id}`)

/** The capability that each question needs. */
const CAPABILITY: Readonly<Record<string, string>> = {
  "elicitation/create": "elicitation",
  "sampling/createMessage": "sampling",
  "roots/list": "roots"
}
/** Unanswered questions of all services together. */
const QUESTIONS_MAX = 64
/** Sampling of all services together: it spends the client owner's money (mcp §8, rule 9). */
const SAMPLING_RATE = { capacity: 20, perSecond: 0.05 }
