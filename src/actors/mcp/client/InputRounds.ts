/**
 * What a server may ask of its client (mcp §1.5): answers to elicitation, sampling and roots, given by the program. A legacy
 * server asks by requests of its own; a modern one ends the call with its questions, and the call is made again with the
 * answers.
 */
import { Effect } from "effect"
import * as Json from "../../../core/data/Json.ts"

/** No answer: the server is told the reason. */
export interface Refusal {
  readonly message: string
}

/** One method's answers. */
export type Answer = (params: Json.JsonObject) => Effect.Effect<Json.JsonObject, Refusal>

/** What the program answers, by method; a method that is not here is not offered. */
export interface Answers {
  readonly "elicitation/create"?: Answer
  readonly "sampling/createMessage"?: Answer
  readonly "roots/list"?: Answer
}

/** The answer to that method, if the program gives any. */
export const answerTo = (answers: Answers, method: string): Answer | undefined =>
  METHODS.some((known) => known === method) ? answers[method as (typeof METHODS)[number]] : undefined

/** What a client with these answers says it can do (mcp §1.1). */
export const capabilities = (answers: Answers): Json.JsonObject =>
  Object.fromEntries(
    METHODS.flatMap((method) => (answers[method] === undefined ? [] : [[method.slice(0, method.indexOf("/")), {}]]))
  )

/** Whether the result only asks. */
export const isQuestion = (result: Json.JsonObject): boolean => Json.string(result, "resultType") === "input_required"

/** The questions of a result, by their names; those beyond the bound are not asked. */
export const questions = (result: Json.JsonObject): ReadonlyArray<readonly [string, Json.JsonObject]> => {
  const value = Json.member(result, "inputRequests")
  if (!Json.isObject(value)) return []
  return Object.keys(value)
    .slice(0, QUESTIONS_MAX)
    .flatMap((name) => {
      const question = Json.member(value, name)
      return Json.isObject(question) ? [[name, question] as const] : []
    })
}

/**
 * The members with which the same request is made again, once everything is answered; undefined if the program does not
 * answer all of it. `requestState` goes back byte for byte.
 */
export const answered = (
  answers: Answers,
  result: Json.JsonObject
): Effect.Effect<Json.JsonObject | undefined, Refusal> =>
  Effect.gen(function* () {
    const responses: Record<string, Json.Json> = {}
    for (const [name, question] of questions(result)) {
      const answer = answerTo(answers, Json.string(question, "method"))
      if (answer === undefined) return undefined
      const params = Json.member(question, "params")
      responses[name] = yield* answer(Json.isObject(params) ? params : {})
    }
    const state = Json.member(result, "requestState")
    return {
      ...(Object.keys(responses).length === 0 ? {} : { inputResponses: responses }),
      ...(typeof state === "string" ? { requestState: state } : {})
    }
  })

/** Rounds of one request; the official SDK stops there, too (mcp §1.5). */
export const ROUNDS_MAX = 10
/** Before a round without questions, doubled each time. */
export const PAUSE_MS = 100

const METHODS = ["elicitation/create", "sampling/createMessage", "roots/list"] as const
/** Questions of one result. */
const QUESTIONS_MAX = 32
