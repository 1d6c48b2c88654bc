/**
 * The JSON-RPC errors that the bridge itself gives (mcp §1.3): outside every range the specification reserves, with
 * enough in `data` for a program to decide whether to try again.
 */

/**
 * Code per fact. `outcomeUnknown`: the server may have done it, and so with `deadline`, which is ours: its owner's time for
 * it was over, and it was told to stop. The rest certainly were not done.
 */
export const CODE = {
  unreachable: -31001,
  outcomeUnknown: -31002,
  denied: -31003,
  credentials: -31004,
  tooLarge: -31005,
  definitionChanged: -31006,
  overloaded: -31007,
  deadline: -31008
} as const

/** What went wrong between client and server. */
export type Kind = keyof typeof CODE

/** One failure, before it is addressed to a request. `message` says which and what to do. */
export interface BridgeError {
  readonly kind: Kind
  readonly message: string
  /** Trying again may help. */
  readonly retryable: boolean
  /** False only if the server certainly never saw the request. */
  readonly delivered: boolean
  readonly service: string
  readonly peer: string
}

/** What a request is told whose session ended before its answer. */
export const SESSION_ENDED = {
  kind: "outcomeUnknown",
  message: "The session ended during this request. Find out whether it was carried out before trying again.",
  retryable: false,
  delivered: true
} as const

/** The error response to one request; `id` is the raw text of its id. */
export const encode = (self: BridgeError, id: string): Uint8Array => {
  const error = {
    code: CODE[self.kind],
    message: self.message,
    data: { retryable: self.retryable, delivered: self.delivered, service: self.service, peer: self.peer }
  }
  return UTF8.encode(`{"jsonrpc":"2.0","id":${id},"error":${JSON.stringify(error)}}`)
}

/**
 * True for requests that change nothing by their definition, so that asking twice is harmless (mcp §6.3). A tool is
 * never one of them: what a server says of its own tools is a claim.
 */
export const isHarmlessTwice = (method: string): boolean => HARMLESS.has(method)

const HARMLESS: ReadonlySet<string> = new Set([
  "completion/complete",
  "initialize",
  "ping",
  "prompts/get",
  "prompts/list",
  "resources/list",
  "resources/read",
  "resources/templates/list",
  "server/discover",
  "tools/list"
])
const UTF8 = new TextEncoder()
