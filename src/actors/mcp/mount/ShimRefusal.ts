/** What a mount says in the place of messages that it does not pass on (mcp §6.8). */
import * as BridgeError from "../../../protocol/relay/BridgeError.ts"
import * as JsonRpcPeek from "../../../protocol/relay/JsonRpcPeek.ts"
import { STDIO_MESSAGE_BYTES_MAX } from "../../../protocol/relay/RelayControl.ts"
import type { Target } from "../Target.ts"

/** The error for each request of a message. */
export const refusals = (
  envelope: JsonRpcPeek.Envelope | undefined,
  error: BridgeError.BridgeError
): ReadonlyArray<Uint8Array> =>
  envelope === undefined ? [] : JsonRpcPeek.requests(envelope).map(({ id }) => BridgeError.encode(error, id))

/** The same for whoever waits for an answer that the message holds. */
export const inPlaceOf = (envelope: JsonRpcPeek.Envelope, error: BridgeError.BridgeError): ReadonlyArray<Uint8Array> =>
  JsonRpcPeek.responses(envelope).map(({ id }) => BridgeError.encode(error, id))

/** A message is larger than MCP programs take on stdio (mcp §2.1). */
export const tooLarge = (target: Target, delivered: boolean): BridgeError.BridgeError => ({
  kind: "tooLarge",
  message: `The message is larger than ${STDIO_MESSAGE_BYTES_MAX} bytes, the most that MCP programs accept on stdio. Ask for less at a time.`,
  retryable: false,
  delivered,
  ...target
})

/** The client does not wait for answers. */
export const tooMany = (target: Target, count: number): BridgeError.BridgeError => ({
  kind: "overloaded",
  message: `${count} requests are unanswered. Wait for some of them.`,
  retryable: true,
  delivered: false,
  ...target
})

/** It has waited for longer than any request may (mcp §6.7). */
export const tooLong = (target: Target, isHarmless: boolean): BridgeError.BridgeError => ({
  kind: "deadline",
  message:
    `This request was not answered within 24 hours, the most that any may take, and was given up.` +
    (isHarmless ? "" : " Find out whether it was carried out before trying again."),
  retryable: false,
  delivered: true,
  ...target
})
