/** The passphrase of this process's identity, if it was given one. A reference, since few nodes have any. */
import { Context, type Redacted } from "effect"

/** Given by whoever starts the node; `undefined` for an identity in the clear. */
export const Passphrase = Context.Reference<Redacted.Redacted<string> | undefined>(
  "effect-pilot/core/crypto/Passphrase",
  { defaultValue: () => undefined }
)
