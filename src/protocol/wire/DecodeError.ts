/**
 * Why bytes are not a message. Plain values without a stack, because anybody may cause them at the rate of the link;
 * whoever reports one wraps it in an error of its own.
 */
import { Result } from "effect"

/** The closed list of causes. */
export type DecodeError =
  /** Fewer bytes than the format needs. */
  | { readonly _tag: "Truncated"; readonly neededBytes: number; readonly actualBytes: number }
  /** The leading bytes belong to no known format. */
  | { readonly _tag: "BadMagic" }
  /** A format version that is not spoken. */
  | { readonly _tag: "UnsupportedVersion"; readonly version: number }
  /** Damaged on the way. */
  | { readonly _tag: "ChecksumMismatch" }
  /** A length or count above what is accepted; nothing was allocated for it. */
  | { readonly _tag: "LimitExceeded"; readonly limit: number; readonly actual: number }
  /** A message kind outside the format's list. */
  | { readonly _tag: "UnknownType"; readonly type: number }
  /** Complete, but against the format; `detail` names the field. */
  | { readonly _tag: "Malformed"; readonly detail: string }

/** Fewer bytes than needed. */
export const truncated = (neededBytes: number, actualBytes: number): Result.Result<never, DecodeError> =>
  Result.fail({ _tag: "Truncated", neededBytes, actualBytes })

/** Another format. */
export const badMagic: Result.Result<never, DecodeError> = Result.fail({ _tag: "BadMagic" })

/** Another version. */
export const unsupportedVersion = (version: number): Result.Result<never, DecodeError> =>
  Result.fail({ _tag: "UnsupportedVersion", version })

/** Damaged. */
export const checksumMismatch: Result.Result<never, DecodeError> = Result.fail({ _tag: "ChecksumMismatch" })

/** Too large. */
export const limitExceeded = (limit: number, actual: number): Result.Result<never, DecodeError> =>
  Result.fail({ _tag: "LimitExceeded", limit, actual })

/** Another kind of message. */
export const unknownType = (type: number): Result.Result<never, DecodeError> =>
  Result.fail({ _tag: "UnknownType", type })

/** Against the format. */
export const malformed = (detail: string): Result.Result<never, DecodeError> =>
  Result.fail({ _tag: "Malformed", detail })

/** One line for a log. */
export const format = (self: DecodeError): string => {
  switch (self._tag) {
    case "Truncated":
      return `truncated: ${self.actualBytes} of ${self.neededBytes} bytes`
    case "BadMagic":
      return "not a known format"
    case "UnsupportedVersion":
      return `unsupported version ${self.version}`
    case "ChecksumMismatch":
      return "checksum mismatch"
    case "LimitExceeded":
      return `${self.actual} is above the limit of ${self.limit}`
    case "UnknownType":
      return `unknown type ${self.type}`
    case "Malformed":
      return `malformed: ${self.detail}`
  }
}
