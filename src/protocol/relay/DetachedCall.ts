/**
 * One long call (mcp §6.7) on its way from the client's request to the result that is fetched: how it stands, in the words of
 * the tasks extension, and what the server wants to know meanwhile. Mutable inside the `DetachedCalls` that own it.
 */

import * as ClientInput from "./era/ClientInput.ts"
import * as InputRetry from "./era/InputRetry.ts"
import * as JsonEdit from "./JsonEdit.ts"
import * as JsonRpcPeek from "./JsonRpcPeek.ts"
import type * as TaskExtension from "./TaskExtension.ts"

/** Whom an answer is for. */
export interface Asker {
  /** Raw text. */
  readonly id: string
  readonly isModern: boolean
  readonly sinceMs: number
}

/** One call. Ids are raw JSON text. */
export interface DetachedCall {
  /** At the server; another one for each round of questions. */
  number: string
  readonly token: string | undefined
  asker: Asker | undefined
  /** Undefined until it is detached. */
  handle: string | undefined
  /** What the server answered, or what is said in its place; `id` is of no meaning. */
  result: Uint8Array | undefined
  /** When it is forgotten; a running one is cancelled then. */
  untilMs: number | undefined
  /** Undefined if the client knows no tasks. */
  readonly task: Task | undefined
}

/** What a task has besides. */
export interface Task {
  /** The request to send again with answers; undefined if there was no room for it. */
  kept: Uint8Array | undefined
  status: TaskExtension.Status
  message: string | undefined
  readonly createdAtMs: number
  updatedAtMs: number
  rounds: number
  /** What the client is asked now, by the name it hears: none is ever used twice. */
  questions: Map<string, Question>
  /** The server's own word, given back with the answers. */
  state: string | undefined
  /** When the request is sent again without answers, because the server asks for none. */
  retryAtMs: number | undefined
  /** The server made a task of the call as well: everything about ours is asked of that one. */
  serverTask: string | undefined
}

/** A question of the server. */
interface Question {
  /** As the server calls it. */
  readonly key: string
  /** JSON text. */
  readonly request: string
  answer: string | undefined
}

/** A task that has just begun. */
export const task = (nowMs: number, kept: Uint8Array | undefined): Task => ({
  kept,
  status: "working",
  message: undefined,
  createdAtMs: nowMs,
  updatedAtMs: nowMs,
  rounds: 0,
  questions: new Map(),
  state: undefined,
  retryAtMs: undefined,
  serverTask: undefined
})

/** The server wants something (mcp §1.5); false if it cannot have it. */
export const asked = (self: Task, answer: Uint8Array, nowMs: number): boolean => {
  const requests = JsonEdit.members(answer, ["result", "inputRequests"]) ?? []
  const isTooMuch = requests.length > ClientInput.QUESTIONS_MAX || ++self.rounds > ClientInput.ROUNDS_MAX
  if (self.kept === undefined || isTooMuch) return false
  self.state = JsonRpcPeek.member(answer, ["result", "requestState"])
  const named = requests.map(
    ({ key, raw }) => [`${self.rounds}.${key}`, { key, request: raw, answer: undefined }] as const
  )
  self.questions = new Map(named)
  self.retryAtMs = requests.length === 0 ? nowMs + InputRetry.pauseMs(self.rounds) : undefined
  changed(self, requests.length === 0 ? "working" : "input_required", nowMs)
  return true
}

/** The client has answered; true when nothing is open any more, and the server can go on. */
export const answered = (self: Task, update: Uint8Array): boolean => {
  if (self.status !== "input_required") return false
  for (const { key, raw } of JsonEdit.members(update, ["params", "inputResponses"]) ?? []) {
    const question = self.questions.get(key)
    if (question !== undefined) question.answer ??= raw
  }
  return [...self.questions.values()].every(({ answer }) => answer !== undefined)
}

/** The request of the next round, under another id. */
export const nextRound = (self: Task, id: string, nowMs: number): Uint8Array | undefined => {
  if (self.kept === undefined) return undefined
  const answers = [...self.questions.values()].map(({ answer, key }) => [key, answer ?? "{}"] as const)
  self.questions = new Map()
  self.retryAtMs = undefined
  changed(self, "working", nowMs)
  return InputRetry.of(self.kept, id, answers, self.state)
}

/** It stands otherwise from now on. */
export const changed = (self: Task, status: TaskExtension.Status, nowMs: number, message?: string): void => {
  self.status = status
  self.updatedAtMs = nowMs
  self.message = message
}

/** What the status has to tell besides itself. */
export const detail = ({ result, task }: DetachedCall): readonly [key: string, raw: string] | undefined => {
  switch (task?.status) {
    case "completed":
    case "failed": {
      const key = task.status === "completed" ? "result" : "error"
      return [key, (result === undefined ? undefined : JsonRpcPeek.member(result, [key])) ?? "{}"]
    }
    case "input_required": {
      const open = [...task.questions].filter(([, { answer }]) => answer === undefined)
      return ["inputRequests", `{${open.map(([key, { request }]) => `${JSON.stringify(key)}:${request}`).join(",")}}`]
    }
    default:
      return undefined
  }
}
