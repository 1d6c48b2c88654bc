/** What a relay session delivers, and what it does not survive (mcp §6.2). */
import { Schema } from "effect"

/** A message received whole. `lastSeq` is the sequence number of its last chunk. */
export interface Message {
  readonly bytes: Uint8Array
  readonly rel: string | undefined
  readonly lastSeq: number
}

/** What the other side did that a session cannot survive on this stream: drop the stream and redial. */
export class ProtocolViolation extends Schema.TaggedError<ProtocolViolation>()("ProtocolViolation", {
  reason: Schema.Literals([
    "Gap",
    "EmptyChunk",
    "ChunkTooLarge",
    "MessageTooLarge",
    "CreditExceeded",
    "TooManyMessages",
    "AckBeyondSent"
  ])
}) {}
