/** One call of a legacy client at a modern server, over all its rounds of questions (mcp §1.5, §6.6). */

/** A call. */
export interface Call {
  /** Raw text, as the client sent it. */
  readonly id: string
  /** What it is called at the server: a retry needs an id of its own. */
  serverId: string
  readonly method: string
  /** The client wants a task for it, as the legacy revision has them. */
  readonly isTask: boolean
  /** The request to send again; undefined if it cannot be. */
  kept: Uint8Array | undefined
  rounds: number
  retryAtMs: number | undefined
  /** Raw text of `requestState`; nobody here reads it (mcp §1.5). */
  state: string | undefined
  open: Map<string, Question>
}

/** What the client is asked for it. */
export interface Question {
  readonly id: string
  readonly key: string
  readonly method: string
  readonly call: Call
  answer: string | undefined
}

/** One that goes to the server for the first time. */
export const begun = (id: string, method: string, isTask: boolean, kept: Uint8Array | undefined): Call => ({
  id,
  serverId: id,
  method,
  isTask,
  kept,
  rounds: 0,
  retryAtMs: undefined,
  state: undefined,
  open: new Map()
})
