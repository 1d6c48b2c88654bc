/**
 * Requests of the client that services answer (mcp §6.11). Each travels as the bytes it came as, but for its id, the name by
 * which its service knows its target, and what the era of the service wants (mcp §6.6); so does its answer.
 *
 * Owns the requests that wait. Each is answered once: by the service, with the reason why none was asked, or not at all when
 * the client has given it up.
 */
import { Effect, Fiber, type Scope } from "effect"
import * as Bytes from "../../../core/data/Bytes.ts"
import * as Json from "../../../core/data/Json.ts"
import * as IdMap from "../../../protocol/relay/IdMap.ts"
import type * as JsonRpcPeek from "../../../protocol/relay/JsonRpcPeek.ts"
import * as JsonSplice from "../../../protocol/relay/JsonSplice.ts"
import type { FrontAlone } from "./FrontAlone.ts"
import type { Call, Outcome, Routed } from "./FrontCall.ts"
import type { FrontClient } from "./FrontClient.ts"
import * as FrontEra from "./FrontEra.ts"
import type { FrontHeld } from "./FrontHeld.ts"
import type { FrontQuestions } from "./FrontQuestions.ts"
import { ofBridge, type Refused } from "./FrontRefusal.ts"
import type { KnownService } from "./FrontRoster.ts"
import type { FrontServices } from "./FrontServices.ts"
import * as FrontTaskIds from "./FrontTaskIds.ts"
import type { ClientProfile, FrontUpstream } from "./FrontUpstream.ts"

/** What the calls of one session are made of. */
export interface Options {
  readonly client: FrontClient
  readonly services: FrontServices
  readonly questions: FrontQuestions
  readonly held: FrontHeld
  /** What a service is told the client can do, if that differs from what the client says. */
  readonly capabilities: (service: KnownService, profile: ClientProfile) => Json.JsonObject
  /** Sessions of single calls, where a call must not meet others at its service. */
  readonly alone: FrontAlone | undefined
  /** Looks at an answer that passes, before the client gets it. */
  readonly observe: (service: KnownService, response: Uint8Array) => void
}

/** The calls of one session. */
export interface FrontCalls {
  /** Takes a request; what `route` refuses is told to the client. */
  readonly submit: (request: Request, route: Effect.Effect<Routed, Refused>) => Effect.Effect<void>
  /** The same, where only running it tells whether it answers the request itself. */
  readonly submitOr: (request: Request, outcome: Effect.Effect<Outcome, Refused>) => Effect.Effect<void>
  /** Runs something that answers the request itself. */
  readonly run: (request: Request, work: Effect.Effect<Json.JsonObject, Refused>) => Effect.Effect<void>
  /** The client gives a request up; false if it is none of these. */
  readonly cancel: (id: string, message: Uint8Array) => Effect.Effect<boolean>
  /** Whether a call of that service asked to be told its steps under that token. */
  readonly hasToken: (alias: string, token: string) => boolean
  /** The oldest call that the service works on. */
  readonly oldest: (alias: string) => Call | undefined
  /** A request that the client sent again, under a new id, for a call that waits. */
  readonly resume: (call: Call, id: string) => void
  /** Answers a call. */
  readonly finish: (call: Call, response: Uint8Array) => Effect.Effect<void>
  /** Gives a call up that the client asks for no more. */
  readonly abandon: (call: Call) => Effect.Effect<void>
  readonly size: () => number
}

type Request = Extract<JsonRpcPeek.Envelope, { _tag: "Request" }>

/** No calls yet. */
export const make = Effect.fnUntraced(function* (options: Options): Effect.fn.Return<FrontCalls, never, Scope.Scope> {
  const scope = yield* Effect.scope
  const calls = new IdMap.IdMap<Call>()
  const { alone, client, held, questions, services } = options

  /** It waits no more. False if it did not. */
  const take = (call: Call): Effect.Effect<boolean> =>
    Effect.suspend(() =>
      calls.take(call.slot) === undefined ? Effect.succeed(false) : Effect.as(Effect.forkIn(call.release, scope), true)
    )

  const start = (request: Request, work: (call: Call) => Effect.Effect<void, Refused>) =>
    Effect.suspend(() => {
      const { id, method, progressToken: token } = request
      if (calls.size >= IN_FLIGHT_MAX) return client.refuse(id, TOO_MANY)
      const call: Call = {
        id,
        slot: 0,
        method,
        token,
        profile: client.profile(),
        service: undefined,
        sent: undefined,
        number: undefined,
        upstream: undefined,
        fiber: undefined,
        release: Effect.void
      }
      call.slot = calls.add(id, call)
      const ran = Effect.catch(work(call), (error) => Effect.andThen(take(call), client.refuse(call.id, error)))
      // Up to the first wait at once, so that requests reach a service in the order of the client.
      return Effect.map(Effect.forkIn(ran, scope, { startImmediately: true }), (fiber) => {
        call.fiber = fiber
      })
    })

  const finish = (call: Call, response: Uint8Array) =>
    Effect.flatMap(take(call), (didWait) =>
      didWait ? client.write(JsonSplice.replace(response, ["id"], call.id)) : Effect.void
    )

  const send = (call: Call, service: KnownService, upstream: FrontUpstream): Effect.Effect<void> =>
    Effect.suspend(() => {
      const answer = (response: Uint8Array) => answered(call, service, upstream, response)
      call.upstream = upstream
      return Effect.map(upstream.send(call.sent ?? EMPTY, answer), (number) => {
        call.number = number
      })
    })

  const answered = (
    call: Call,
    service: KnownService,
    upstream: FrontUpstream,
    said: Uint8Array
  ): Effect.Effect<void> =>
    Effect.suspend(() => {
      call.number = undefined
      options.observe(service, said)
      const response = FrontTaskIds.answer(service.alias, call.method, call.sent ?? EMPTY, said)
      const isModern = call.profile.era === "modern"
      if (upstream.era.kind === "legacy") {
        const whole = isModern ? FrontEra.completed(call.method, response) : response
        return held.settle(call, whole) ? Effect.void : finish(call, whole)
      }
      const inputs = FrontEra.inputRequests(response)
      if (inputs === undefined) return finish(call, response)
      if (isModern) return finish(call, FrontEra.signedInputs(service, response, inputs))
      // By another fiber: the service must be read while a person thinks.
      return Effect.map(Effect.forkIn(answerInputs(call, service, upstream, response, inputs), scope), (fiber) => {
        call.fiber = fiber
      })
    })

  /** A legacy client is asked one by one, and the request goes out again with what it said (mcp §1.5, §6.6). */
  const answerInputs = Effect.fnUntraced(function* (
    call: Call,
    service: KnownService,
    upstream: FrontUpstream,
    response: Uint8Array,
    inputs: Json.JsonObject
  ) {
    const answers: Record<string, string> = {}
    for (const [key, request] of Object.entries(inputs)) {
      const method = Json.isObject(request) ? Json.string(request, "method") : ""
      const params = Json.isObject(request) ? Json.member(request, "params") : undefined
      const answer = questions.isAllowed(service, method, call.profile)
        ? yield* questions.ask(service, method, Json.isObject(params) ? params : {})
        : undefined
      if (answer === undefined) return yield* finish(call, FrontEra.unanswered(method))
      answers[key] = answer
    }
    if (calls.get(call.slot) === undefined) return
    if (Object.keys(inputs).length === 0) yield* Effect.sleep(AT_ONCE)
    call.sent = FrontEra.withInputs(call.sent ?? EMPTY, answers, response)
    yield* send(call, service, upstream)
  })

  const pass = Effect.fnUntraced(function* (call: Call, { message, service }: Routed): Effect.fn.Return<void, Refused> {
    call.service = service
    const known = yield* services.upstream(service.alias)
    // A legacy server keeps what it is told for its session, and its questions name no call.
    const upstream = known.era.kind === "legacy" && alone !== undefined ? yield* alone.open(call, service) : known
    const capabilities = options.capabilities(service, call.profile)
    call.sent = FrontEra.adapted(message, call.profile, capabilities, upstream.era.kind)
    yield* send(call, service, upstream)
  })

  const respond = (call: Call, result: Json.JsonObject) =>
    Effect.flatMap(take(call), (didWait) => (didWait ? client.respond(call.id, result) : Effect.void))

  return {
    submit: (request, route) => start(request, (call) => Effect.flatMap(route, (routed) => pass(call, routed))),
    submitOr: (request, outcome) =>
      start(request, (call) =>
        Effect.flatMap(outcome, (found) =>
          found._tag === "Done" ? respond(call, found.result) : pass(call, found.routed)
        )
      ),
    run: (request, work) => start(request, (call) => Effect.flatMap(work, (result) => respond(call, result))),
    cancel: (id, message) =>
      Effect.suspend(() => {
        const slot = calls.numberOf(id)
        const call = slot === undefined ? undefined : calls.get(slot)
        if (call === undefined) return Effect.succeed(false)
        const { fiber, number, upstream } = call
        if (number !== undefined && upstream !== undefined) {
          const named = JsonSplice.replace(message, ["params", "requestId"], String(number))
          return Effect.andThen(upstream.cancel(number, named), take(call))
        }
        return Effect.as(Effect.andThen(take(call), fiber === undefined ? Effect.void : Fiber.interrupt(fiber)), true)
      }),
    hasToken: (alias, token) =>
      calls.entries().some(([, call]) => call.token === token && call.service?.alias === alias),
    oldest: (alias) =>
      calls.entries().find(([, call]) => call.service?.alias === alias && call.number !== undefined)?.[1],
    finish,
    resume: (call, id) => {
      calls.take(call.slot)
      call.id = id
      call.slot = calls.add(id, call)
    },
    abandon: (call) =>
      Effect.suspend(() => {
        const { number, upstream } = call
        const cancelled = number === undefined || upstream === undefined ? Effect.void : upstream.cancel(number)
        return Effect.andThen(cancelled, take(call))
      }),
    size: () => calls.size
  }
})

const EMPTY = Bytes.fromUtf8("{}")
const TOO_MANY = ofBridge(
  "overloaded",
  "Too many requests are unanswered. Wait for some of them.",
  { peer: "this node", service: "front" },
  true
)
/** Unanswered requests of one client (mcp §6.8). */
const IN_FLIGHT_MAX = 256
/** A service that wants the same request again at once is slowed down (mcp §1.5). */
const AT_ONCE = "200 millis"
