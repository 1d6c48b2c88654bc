/** Why a message or a file did not arrive, or did not come, beyond what dialling says of its own. */
import { Schema } from "effect"

/** `Lost`: the stream broke, and stayed broken; what was transferred is taken up again next time. */
export class TransferError extends Schema.TaggedError<TransferError>()("TransferError", {
  reason: Schema.Literals([
    "NotFound",
    "Unreadable",
    "Unwritable",
    "AlreadyExists",
    "TooLarge",
    "Changed",
    "Refused",
    "Unsupported",
    "Timeout",
    "Broken",
    "Lost"
  ]),
  detail: Schema.String
}) {
  override get message(): string {
    return this.detail
  }
}

/** One of them. */
export const make = (reason: TransferError["reason"], detail: string): TransferError =>
  new TransferError({ reason, detail })
