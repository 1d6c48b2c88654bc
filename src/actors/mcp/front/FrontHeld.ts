/**
 * Questions of legacy services to a modern client (mcp §6.6): a modern client is never sent a request, so the question becomes
 * the answer to its call, and the call is held until the client sends it again with what it was asked. The handle that it
 * sends along is random, good for this session only, and expires.
 */
import { Effect, type Fiber, type Scope } from "effect"
import * as Bytes from "../../../core/data/Bytes.ts"
import * as Json from "../../../core/data/Json.ts"
import * as JsonRpcPeek from "../../../protocol/relay/JsonRpcPeek.ts"
import type { Call } from "./FrontCall.ts"
import type { FrontClient } from "./FrontClient.ts"
import { signed } from "./FrontQuestions.ts"
import { INVALID_PARAMS, type Refused, refused } from "./FrontRefusal.ts"
import type { KnownService } from "./FrontRoster.ts"
import type { Write } from "./FrontUpstream.ts"

/** Held calls of one session. */
export interface FrontHeld {
  /** Asks the client by answering the call, at once or when the client comes back for it. */
  readonly ask: (call: Call, question: Question) => Effect.Effect<void>
  /** Keeps the service's answer to a call that the client has not come back for; false if it waits for it. */
  readonly settle: (call: Call, response: Uint8Array) => boolean
  /** A request that is another one sent again; false if it is not. */
  readonly resume: (message: Uint8Array, request: Request) => Effect.Effect<boolean, Refused>
}

/** What a service asks, and where its answer goes. */
export interface Question {
  readonly service: KnownService
  readonly write: Write
  readonly message: Uint8Array
  readonly request: Request
}

/** What is done with calls that were held. */
export interface Calls {
  readonly finish: (call: Call, response: Uint8Array) => Effect.Effect<void>
  readonly resume: (call: Call, id: string) => void
  readonly abandon: (call: Call) => Effect.Effect<void>
}

type Request = Extract<JsonRpcPeek.Envelope, { _tag: "Request" }>

/** No calls are held. `calls` are those of the session; `random` makes handles that nobody can guess. */
export const make = Effect.fnUntraced(function* (
  client: FrontClient,
  calls: () => Calls,
  random: () => string
): Effect.fn.Return<FrontHeld, never, Scope.Scope> {
  const scope = yield* Effect.scope
  const held = new Map<string, Held>()

  const of = (call: Call) => [...held].find(([, { call: other }]) => other === call)

  const expire = (handle: string, call: Call) =>
    Effect.sleep(EXPIRY).pipe(
      Effect.andThen(Effect.suspend(() => (held.delete(handle) ? calls().abandon(call) : Effect.void))),
      Effect.forkIn(scope)
    )

  const hold = Effect.fnUntraced(function* (call: Call, question: Question, queued: ReadonlyArray<Question>) {
    const handle = `${PREFIX}${random()}`
    const expiry = yield* expire(handle, call)
    held.set(handle, { call, question, queued: [...queued], response: undefined, expiry })
    const { message, request, service } = question
    const params = Json.parseObject(JsonRpcPeek.member(signed(service, request.method, message), ["params"]) ?? "{}")
    yield* client.respond(call.id, {
      inputRequests: { [KEY]: { method: request.method, params: params ?? {} } },
      requestState: handle,
      resultType: "input_required"
    })
  })

  const answer = ({ question }: Held, result: string) =>
    question.write(Bytes.fromUtf8(`{"jsonrpc":"2.0","id":${question.request.id},"result":${result}}`))

  return {
    ask: (call, question) =>
      Effect.suspend(() => {
        const waiting = of(call)
        if (waiting === undefined) return hold(call, question, [])
        waiting[1].queued.push(question)
        return Effect.void
      }),
    settle: (call, response) => {
      const waiting = of(call)
      if (waiting !== undefined) waiting[1].response = response
      return waiting !== undefined
    },
    resume: Effect.fnUntraced(function* (message, request) {
      const handle = JsonRpcPeek.string(message, ["params", "requestState"])
      if (handle?.startsWith(PREFIX) !== true) return false
      const waiting = held.get(handle)
      if (waiting === undefined || waiting.call.method !== request.method) {
        return yield* refused(INVALID_PARAMS, "This requestState is not known any more. Start the request again.")
      }
      held.delete(handle)
      waiting.expiry.interruptUnsafe()
      const { call } = waiting
      calls().resume(call, request.id)
      const result = JsonRpcPeek.member(message, ["params", "inputResponses", KEY])
      yield* answer(waiting, result ?? '{"action":"cancel"}')
      const [next, ...queued] = waiting.queued
      if (waiting.response !== undefined) yield* calls().finish(call, waiting.response)
      else if (next !== undefined) yield* hold(call, next, queued)
      return true
    })
  }
})

interface Held {
  readonly call: Call
  readonly question: Question
  readonly queued: Array<Question>
  /** The service answered the call all the same. */
  response: Uint8Array | undefined
  readonly expiry: Fiber.Fiber<void>
}

const PREFIX = "pilot-front/"
const KEY = "question"
/** As long as a person may think (mcp §6.6). */
const EXPIRY = "10 minutes"
