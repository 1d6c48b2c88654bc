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

/** Looks at one message without its newline. */
export const peek = (bytes: Uint8Array): Result.Result<Envelope, NotAMessage> => {
  if (!isUtf8(bytes)) return fail("Utf8")
  const root = JsonScanner.read(bytes, { start: 0, end: bytes.length })
  if (root === undefined) return fail("Json")
  if (root._tag === "Scalar") return fail("Scalar")
  if (root._tag === "Object") return envelope(bytes, root.members)
  if (root.elements.length > BATCH_MAX) return fail("BatchTooLong")
  const items: Array<Envelope> = []
  for (const span of root.elements) {
    const element = JsonScanner.read(bytes, span)
    if (element?._tag !== "Object") return fail("Scalar")
    const item = envelope(bytes, element.members)
    if (Result.isFailure(item)) return item
    items.push(item.success)
  }
  return Result.succeed(Envelope.Batch({ items }))
}

/** The request that fills the bytes, if they are one. */
export const request = (bytes: Uint8Array): Extract<Envelope, { _tag: "Request" }> | undefined => {
  const envelope = Result.getOrUndefined(peek(bytes))
  return envelope?._tag === "Request" ? envelope : undefined
}

/** The requests of a message: itself, or those of a batch. */
export const requests = (self: Envelope): ReadonlyArray<Extract<Envelope, { _tag: "Request" }>> =>
  messages(self).filter((item) => item._tag === "Request")

/** The responses of a message: itself, or those of a batch. */
export const responses = (self: Envelope): ReadonlyArray<Extract<Envelope, { _tag: "Response" }>> =>
  messages(self).filter((item) => item._tag === "Response")

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
  const found = pick(members, ROOT_KEYS)
  if (found === undefined) return fail("Ambiguous")
  const [idSpan, methodSpan, paramsSpan, resultSpan, errorSpan] = ROOT_KEYS.map((key) => found.get(key))
  const id = idSpan === undefined ? undefined : scalar(bytes, idSpan)
  const method = methodSpan === undefined ? undefined : JsonScanner.string(bytes, methodSpan)
  if (method === undefined) {
    const answers = resultSpan !== undefined || errorSpan !== undefined
    return Result.succeed(
      id !== undefined && answers ? Envelope.Response({ id, isError: errorSpan !== undefined }) : Envelope.Other()
    )
  }
  const params = paramsSpan === undefined ? NO_PARAMS : paramsOf(bytes, paramsSpan)
  if (params === undefined) return fail("Ambiguous")
  const { cancels, metaToken, target, token } = params
  if (idSpan === undefined) {
    return Result.succeed(Envelope.Notification({ method, progressToken: token, cancels }))
  }
  return Result.succeed(
    id === undefined ? Envelope.Other() : Envelope.Request({ id, method, target, progressToken: metaToken })
  )
}

interface Params {
  readonly target: string | undefined
  readonly token: string | undefined
  readonly metaToken: string | undefined
  readonly cancels: string | undefined
}

/** `undefined` when a member that decides occurs twice. */
const paramsOf = (bytes: Uint8Array, span: JsonScanner.Span): Params | undefined => {
  const root = JsonScanner.read(bytes, span)
  if (root?._tag !== "Object") return NO_PARAMS
  const found = pick(root.members, PARAM_KEYS)
  if (found === undefined) return undefined
  const [name, uri, token, requestId, meta] = PARAM_KEYS.map((key) => found.get(key))
  const metaRoot = meta === undefined ? undefined : JsonScanner.read(bytes, meta)
  const metaFound = metaRoot?._tag === "Object" ? pick(metaRoot.members, META_KEYS) : EMPTY
  if (metaFound === undefined) return undefined
  const metaToken = metaFound.get("progressToken")
  const target = name ?? uri
  return {
    target: target === undefined ? undefined : JsonScanner.string(bytes, target),
    token: token === undefined ? undefined : scalar(bytes, token),
    metaToken: metaToken === undefined ? undefined : scalar(bytes, metaToken),
    cancels: requestId === undefined ? undefined : scalar(bytes, requestId)
  }
}

/** The wanted members; `undefined` when one occurs twice, because two readers could then see two messages. */
const pick = (
  members: ReadonlyArray<JsonScanner.Member>,
  wanted: ReadonlyArray<string>
): ReadonlyMap<string, JsonScanner.Span> | undefined => {
  const found = new Map<string, JsonScanner.Span>()
  for (const member of members) {
    if (!wanted.includes(member.key)) continue
    if (found.has(member.key)) return undefined
    found.set(member.key, member)
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

const STRICT = new TextDecoder("utf-8", { fatal: true })
/** Longer ids are treated as unknown; no client seen comes near. */
const ID_BYTES_MAX = 1024
const ROOT_KEYS = ["id", "method", "params", "result", "error"]
const PARAM_KEYS = ["name", "uri", "progressToken", "requestId", "_meta"]
const META_KEYS = ["progressToken"]
const EMPTY: ReadonlyMap<string, JsonScanner.Span> = new Map()
const NO_PARAMS: Params = { target: undefined, token: undefined, metaToken: undefined, cancels: undefined }
const OPEN_BRACE = 0x7b
const OPEN_BRACKET = 0x5b
const LOWER_T = 0x74
const LOWER_F = 0x66
