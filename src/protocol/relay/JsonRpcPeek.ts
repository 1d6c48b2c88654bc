/**
 * A read-only look at JSON-RPC messages (mcp §5): what a relay must know of them, taken from the raw bytes, which pass
 * on untouched. Ids and progress tokens stay the text they were, because their JSON type and digits matter (mcp §2.1).
 */
import { Data, Result, Schema } from "effect"
import * as Bytes from "../../core/data/Bytes.ts"
import * as JsonScanner from "./JsonScanner.ts"

/** What a message is. `id`, `progressToken` and `cancels` are raw JSON text. */
export type Envelope = Data.TaggedEnum<{
  Request: {
    readonly id: string
    readonly method: string
    /** `params.name`, else `params.uri`: the tool, prompt or resource. */
    readonly target: string | undefined
    readonly progressToken: string | undefined
  }
  Notification: {
    readonly method: string
    readonly progressToken: string | undefined
    /** `params.requestId` of `notifications/cancelled`. */
    readonly cancels: string | undefined
  }
  /** `id` is `null` when the responder could not read the request. */
  Response: { readonly id: string; readonly isError: boolean }
  /** The messages of an array (2025-03-26 only), at most `BATCH_MAX`. */
  Batch: { readonly items: ReadonlyArray<Envelope> }
  /** A JSON object that is none of these; it is passed on, since a later revision may give it a meaning. */
  Other: {}
}>
/** Constructors of `Envelope`. */
export const Envelope = Data.taggedEnum<Envelope>()

/** Bytes that are no message and are dropped. `Ambiguous`: a member that decides about the message occurs twice. */
export class NotAMessage extends Schema.TaggedError<NotAMessage>()("NotAMessage", {
  reason: Schema.Literals(["Utf8", "Json", "Ambiguous", "Scalar", "BatchTooLong"])
}) {}

/** The most messages in one array. */
export const BATCH_MAX = 256

/**
 * What one pass over a message shows. `members` are those of a single message; of its `params`, `result` and `error` the
 * members as well, and those of `params._meta`. A batch has none.
 */
export interface Look {
  readonly envelope: Envelope
  readonly members: ReadonlyArray<JsonScanner.Member>
}

/**
 * Looks at one message without its newline, once: whoever has the very same bytes after that, be it a guard, a rule or the
 * record of calls, is given what was seen. The bytes of a message never change.
 */
export const look = (bytes: Uint8Array): Result.Result<Look, NotAMessage> => {
  if (bytes.length > SHORT_BYTES_MAX) {
    const known = LONG.get(bytes)
    if (known !== undefined) return known
    const seen = read(bytes)
    LONG.set(bytes, seen)
    return seen
  }
  if (latest?.bytes !== bytes) latest = { bytes, seen: read(bytes) }
  return latest.seen
}

const read = (bytes: Uint8Array): Result.Result<Look, NotAMessage> => {
  if (!isUtf8(bytes)) return fail("Utf8")
  const root = JsonScanner.read(bytes, { start: 0, end: bytes.length }, FOLLOW)
  if (root === undefined) return fail("Json")
  if (root._tag === "Scalar") return fail("Scalar")
  if (root._tag === "Object") {
    const { members } = root
    const found = envelope(bytes, members)
    return Result.isFailure(found) ? Result.fail(found.failure) : Result.succeed({ envelope: found.success, members })
  }
  if (root.elements.length > BATCH_MAX) return fail("BatchTooLong")
  const items: Array<Envelope> = []
  for (const span of root.elements) {
    const element = JsonScanner.read(bytes, span, FOLLOW)
    if (element?._tag !== "Object") return fail("Scalar")
    const item = envelope(bytes, element.members)
    if (Result.isFailure(item)) return Result.fail(item.failure)
    items.push(item.success)
  }
  return Result.succeed({ envelope: { _tag: "Batch", items }, members: [] })
}

/** What one message is. */
export const peek = (bytes: Uint8Array): Result.Result<Envelope, NotAMessage> => Result.map(look(bytes), envelopeOf)

const envelopeOf = ({ envelope }: Look): Envelope => envelope

/** The request that fills the bytes, if they are one. */
export const request = (bytes: Uint8Array): Extract<Envelope, { _tag: "Request" }> | undefined => {
  const envelope = Result.getOrUndefined(peek(bytes))
  return envelope?._tag === "Request" ? envelope : undefined
}

/** The requests of a message: itself, or those of a batch. */
export const requests = (self: Envelope): ReadonlyArray<Extract<Envelope, { _tag: "Request" }>> => {
  if (self._tag === "Request") return [self]
  return self._tag === "Batch" ? self.items.filter((item) => item._tag === "Request") : []
}

/** The responses of a message: itself, or those of a batch. */
export const responses = (self: Envelope): ReadonlyArray<Extract<Envelope, { _tag: "Response" }>> => {
  if (self._tag === "Response") return [self]
  return self._tag === "Batch" ? self.items.filter((item) => item._tag === "Response") : []
}

/** The messages of a batch, or the one that is none. */
export const messages = (self: Envelope): ReadonlyArray<Envelope> => (self._tag === "Batch" ? self.items : [self])

/** The raw text of the member at the end of `path`, however deep, if every step is an object. */
export const member = (bytes: Uint8Array, path: ReadonlyArray<string>): string | undefined => {
  let span: JsonScanner.Span = { start: 0, end: bytes.length }
  for (const key of path) {
    const root = JsonScanner.read(bytes, span)
    const next = root?._tag === "Object" ? root.members.find((candidate) => candidate.key === key) : undefined
    if (next === undefined) return undefined
    span = next
  }
  return JsonScanner.text(bytes, span)
}

/** The string at the end of `path`, its escapes resolved; undefined for anything else. */
export const string = (bytes: Uint8Array, path: ReadonlyArray<string>): string | undefined => {
  const raw = member(bytes, path)
  if (raw === undefined) return undefined
  const text = Bytes.fromUtf8(raw)
  return JsonScanner.string(text, { start: 0, end: text.length })
}

const envelope = (
  bytes: Uint8Array,
  members: ReadonlyArray<JsonScanner.Member>
): Result.Result<Envelope, NotAMessage> => {
  let idSpan: JsonScanner.Member | undefined
  let methodSpan: JsonScanner.Member | undefined
  let paramsSpan: JsonScanner.Member | undefined
  let resultSpan: JsonScanner.Member | undefined
  let errorSpan: JsonScanner.Member | undefined
  for (const member of members) {
    // One that occurs twice, because two readers could then see two messages.
    switch (member.key) {
      case "id":
        if (idSpan !== undefined) return fail("Ambiguous")
        idSpan = member
        break
      case "method":
        if (methodSpan !== undefined) return fail("Ambiguous")
        methodSpan = member
        break
      case "params":
        if (paramsSpan !== undefined) return fail("Ambiguous")
        paramsSpan = member
        break
      case "result":
        if (resultSpan !== undefined) return fail("Ambiguous")
        resultSpan = member
        break
      case "error":
        if (errorSpan !== undefined) return fail("Ambiguous")
        errorSpan = member
    }
  }
  const id = idSpan === undefined ? undefined : scalar(bytes, idSpan)
  const method = methodSpan === undefined ? undefined : JsonScanner.string(bytes, methodSpan)
  if (method === undefined) {
    const answers = resultSpan !== undefined || errorSpan !== undefined
    return Result.succeed(
      id !== undefined && answers ? { _tag: "Response", id, isError: errorSpan !== undefined } : OTHER
    )
  }
  const params = paramsSpan?.members === undefined ? NO_PARAMS : paramsOf(bytes, paramsSpan.members)
  if (params === undefined) return fail("Ambiguous")
  const { cancels, metaToken, target, token } = params
  if (idSpan === undefined) {
    return Result.succeed({ _tag: "Notification", method, progressToken: token, cancels })
  }
  return Result.succeed(id === undefined ? OTHER : { _tag: "Request", id, method, target, progressToken: metaToken })
}

interface Params {
  readonly target: string | undefined
  readonly token: string | undefined
  readonly metaToken: string | undefined
  readonly cancels: string | undefined
}

/** `undefined` when a member that decides occurs twice. */
const paramsOf = (bytes: Uint8Array, members: ReadonlyArray<JsonScanner.Member>): Params | undefined => {
  const found = pick(members, PARAM_KEYS)
  if (found === undefined) return undefined
  const [name, uri, token, requestId, meta] = found
  const metaFound = meta?.members === undefined ? [] : pick(meta.members, META_KEYS)
  if (metaFound === undefined) return undefined
  const [metaToken] = metaFound
  const target = name ?? uri
  return {
    target: target === undefined ? undefined : JsonScanner.string(bytes, target),
    token: token === undefined ? undefined : scalar(bytes, token),
    metaToken: metaToken === undefined ? undefined : scalar(bytes, metaToken),
    cancels: requestId === undefined ? undefined : scalar(bytes, requestId)
  }
}

/** The wanted members in their order; `undefined` when one occurs twice. */
const pick = (
  members: ReadonlyArray<JsonScanner.Member>,
  wanted: ReadonlyArray<string>
): ReadonlyArray<JsonScanner.Member | undefined> | undefined => {
  const found: Array<JsonScanner.Member | undefined> = wanted.map(() => undefined)
  for (const member of members) {
    const index = wanted.indexOf(member.key)
    if (index < 0) continue
    if (found[index] !== undefined) return undefined
    found[index] = member
  }
  return found
}

/** Raw text of a string, number or null of reasonable length. */
const scalar = (bytes: Uint8Array, span: JsonScanner.Span): string | undefined => {
  const first = bytes[span.start]
  const isScalar = first !== OPEN_BRACE && first !== OPEN_BRACKET && first !== LOWER_T && first !== LOWER_F
  return isScalar && span.end - span.start <= ID_BYTES_MAX ? JsonScanner.text(bytes, span) : undefined
}

/** Most messages are ASCII throughout, and finding that out takes a fraction of decoding them. */
const isUtf8 = (bytes: Uint8Array): boolean => {
  for (let at = 0; at < bytes.length; at++) {
    if ((bytes[at] ?? 0) >= 0x80) return Result.isSuccess(Result.try(() => STRICT.decode(bytes.subarray(at))))
  }
  return true
}

const fail = (reason: NotAMessage["reason"]): Result.Result<never, NotAMessage> =>
  Result.fail(new NotAMessage({ reason }))

/** The short message that was looked at last. */
let latest: { readonly bytes: Uint8Array; readonly seen: Result.Result<Look, NotAMessage> } | undefined
/** Long ones, for as long as anybody has them. */
const LONG = new WeakMap<Uint8Array, Result.Result<Look, NotAMessage>>()
/** Up to here remembering one message costs nothing worth mentioning, and less than a weak reference. */
const SHORT_BYTES_MAX = 65_536
const STRICT = new TextDecoder("utf-8", { fatal: true })
/** Longer ids are treated as unknown; no client seen comes near. */
const ID_BYTES_MAX = 1024
const PARAM_KEYS = ["name", "uri", "progressToken", "requestId", "_meta"]
const META_KEYS = ["progressToken"]
const LEAF: JsonScanner.Follow = new Map()
const FOLLOW: JsonScanner.Follow = new Map([
  ["params", new Map([["_meta", LEAF]])],
  ["result", LEAF],
  ["error", LEAF]
])
const OTHER: Envelope = { _tag: "Other" }
const NO_PARAMS: Params = { target: undefined, token: undefined, metaToken: undefined, cancels: undefined }
const OPEN_BRACE = 0x7b
const OPEN_BRACKET = 0x5b
const LOWER_T = 0x74
const LOWER_F = 0x66
