/** What a client reads whose request an upstream answers itself (mcp §1.3). */
import type * as BridgeError from "../../../protocol/relay/BridgeError.ts"
import * as BridgeReplies from "../../../protocol/relay/BridgeReplies.ts"
import * as Policy from "../../../protocol/relay/Policy.ts"
import type { Target } from "../Target.ts"

/** The failures of one service on this host. */
export interface UpstreamErrors {
  /** It, or its answer, is larger than that. */
  readonly tooLarge: (bytesMax: number, delivered: boolean) => BridgeError.BridgeError
  /** The server answered with what is no JSON. */
  readonly unreadable: BridgeError.BridgeError
  /** The server asks too much at once. */
  readonly askedTooMuch: BridgeError.BridgeError
  readonly cannotStart: BridgeError.BridgeError
  readonly tooManyStarts: BridgeError.BridgeError
  /** So many requests of the session wait. */
  readonly tooManyCalls: (count: number) => BridgeError.BridgeError
  /** The server stopped while it worked on it. */
  readonly stopped: (harmless: boolean) => BridgeError.BridgeError
  /** It took that long, which its owner, or nobody, allows. */
  readonly deadline: (lastedMs: number, harmless: boolean) => BridgeError.BridgeError
}

/** Those of that service; `peer` is how this host is called. */
export const of = ({ peer: self, service }: Target): UpstreamErrors => {
  const error = (kind: BridgeError.Kind, message: string, delivered: boolean, retryable: boolean) =>
    ({ kind, message, delivered, retryable, service, peer: self }) as const
  const server = `The server ${service} on ${self}`
  return {
    tooLarge: (bytesMax, delivered) =>
      error(
        "tooLarge",
        `The message is larger than ${bytesMax} bytes, the most that MCP programs accept on stdio. Ask for less at a time.`,
        delivered,
        false
      ),
    unreadable: error("outcomeUnknown", `${server} answered with something that is no JSON. ${FIND_OUT}`, true, false),
    askedTooMuch: error("overloaded", "Too many requests of this server wait for the client.", false, true),
    cannotStart: error(
      "unreachable",
      `The server ${service} could not be started on ${self}. Its owner finds the reason with: pilotctl mcp status`,
      false,
      true
    ),
    tooManyStarts: error(
      "overloaded",
      `${self} has too many servers running or starting. Try again later.`,
      false,
      true
    ),
    tooManyCalls: (count) =>
      error("overloaded", `${count} requests of this session are unanswered. Wait for some of them.`, false, true),
    stopped: (harmless) =>
      error(
        "outcomeUnknown",
        `${server} stopped during this request. ${harmless ? "Trying again is safe." : FIND_OUT}`,
        true,
        harmless
      ),
    // Not to be retried by a program: it would most likely take as long again.
    deadline: (lastedMs, harmless) =>
      error(
        "deadline",
        `This request took longer than ${lastedMs < Policy.DEADLINE_MAX_MS ? "its owner allows" : CEILING}, and was cancelled ` +
          `at ${self}.${harmless ? "" : ` ${FIND_OUT}`}`,
        true,
        false
      )
  }
}

/** The answer to a request whose answer could not be told from that of another one. */
export const idTaken = ({ id }: { readonly id: string }): Uint8Array =>
  BridgeReplies.failure(id, INVALID_REQUEST, "The id of this request belongs to another one that has no end yet.")

/** JSON-RPC's code for what is no request here. */
export const INVALID_REQUEST = -32600
const CEILING = "the 24 hours that any may take"
const FIND_OUT = "Find out whether it was carried out before trying again."
