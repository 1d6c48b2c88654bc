/**
 * What our nodes ask of each other on port 1001 beyond the reference (node §4; wire §17): shared files are listed and
 * pulled, directories are pushed as a whole. JSON both ways, in frames of kind `Request`.
 *
 * | asked | answered |
 * |---|---|
 * | `list` path | `entries`: what is in a share, or which shares there are for an empty path |
 * | `get` path | of a file `sending`, then a FileStream in the other direction; of a directory its `manifest` |
 * | `tree` id, name, files, directories | `ok`; then one FileStream per file, named by its path in the directory |
 * | `end` id | `ok`: the directory is complete, under the name it has now |
 *
 * Each may be answered `refused`. While a large file is being hashed before it is sent, `hashing` says that the peer is
 * alive.
 */
import { Result, Schema } from "effect"
import * as Bytes from "../../core/data/Bytes.ts"
import * as Json from "../../core/data/Json.ts"
import * as DataFrame from "./DataFrame.ts"
import * as DecodeError from "./DecodeError.ts"

const Text = Schema.String.check(Schema.isMaxLength(4096))
const SizeBytes = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER }))
/** Files and directories that one directory may have in all. */
export const ENTRIES_MAX = 10_000
const Paths = Schema.Array(Text).check(Schema.isMaxLength(ENTRIES_MAX))
const Files = Schema.Array(Schema.Tuple([Text, SizeBytes])).check(Schema.isMaxLength(ENTRIES_MAX))

/** A file or a directory in a list. */
export const Entry = Schema.Struct({ name: Text, kind: Schema.Literals(["file", "directory"]), bytes: SizeBytes })
/** A file or a directory in a list; the size of a directory is that of its files, or 0 if nobody counted. */
export type Entry = typeof Entry.Type

const refusals = ["NotFound", "NotAllowed", "Invalid", "TooLarge", "Full", "Failed"] as const
/** Why something was not done. */
export type Refusal = (typeof refusals)[number]

/** Paths are relative, with `/` between names, and safe only after `RelativePath.parse`. */
export const ExchangeRequest = Schema.Union([
  Schema.Struct({ op: Schema.Literal("list"), path: Text }),
  Schema.Struct({ op: Schema.Literal("get"), path: Text }),
  Schema.Struct({ op: Schema.Literal("tree"), id: Text, name: Text, files: Files, directories: Paths }),
  Schema.Struct({ op: Schema.Literal("end"), id: Text }),
  Schema.Struct({ op: Schema.Literal("entries"), entries: Schema.Array(Entry).check(Schema.isMaxLength(ENTRIES_MAX)) }),
  Schema.Struct({ op: Schema.Literal("manifest"), name: Text, files: Files, directories: Paths }),
  Schema.Struct({ op: Schema.Literal("sending"), name: Text, bytes: SizeBytes }),
  Schema.Struct({ op: Schema.Literal("hashing"), done: SizeBytes, of: SizeBytes }),
  Schema.Struct({ op: Schema.Literal("ok"), name: Text }),
  Schema.Struct({ op: Schema.Literal("refused"), reason: Schema.Literals(refusals), detail: Text })
])
/** One question or answer. */
export type ExchangeRequest = typeof ExchangeRequest.Type

/** One of them. */
export type Of<Op extends ExchangeRequest["op"]> = Extract<ExchangeRequest, { readonly op: Op }>

/** Reads one payload. */
export const decode = (payload: Uint8Array): Result.Result<ExchangeRequest, DecodeError.DecodeError> => {
  if (payload.length > REQUEST_BYTES_MAX) return DecodeError.limitExceeded(REQUEST_BYTES_MAX, payload.length)
  const text = Bytes.toUtf8(payload)
  const value = text === undefined ? undefined : Json.parseObject(text)
  if (value === undefined) return DecodeError.malformed("JSON")
  return Result.mapError(read(value), () => ({ _tag: "Malformed", detail: "request" }))
}

/** The whole frame. */
export const encodeFrame = (self: ExchangeRequest): Uint8Array => DataFrame.encode(DataFrame.Kind.Request, encode(self))

/** The payload. */
export const encode = (self: ExchangeRequest): Uint8Array => Bytes.fromUtf8(JSON.stringify(self))

const read = Schema.decodeUnknownResult(ExchangeRequest)
/** Longest JSON; the list of a directory at its bounds fits with paths of 350 characters. */
export const REQUEST_BYTES_MAX = 4_194_304
