/**
 * Frames of the relay between shim and keeper (mcp §6.2), big-endian:
 *
 * ```
 *  0        4       5
 *  | length | type  | body …        length counts type and body, at most 65 536 + 64
 *
 *  DATA  | u64 seq | u8 flags (1 last chunk, 2 rel) | [u16 n, n bytes JSON id] | payload |
 *  ACK   | u64 rx  | u32 credit |            PING, PONG  | 8 opaque bytes |
 *  HELLO, WELCOME, BYE, STATUS  | JSON |
 * ```
 */
import { Data, Result, Schema } from "effect"
import { Bye, Hello, Status, Welcome } from "./RelayControl.ts"

/** One frame. `payload` of DATA is raw message bytes; `rel` the raw JSON text of the request it belongs to. */
export type Frame = Data.TaggedEnum<{
  Hello: { readonly hello: Hello }
  Welcome: { readonly welcome: Welcome }
  Data: {
    readonly seq: number
    readonly last: boolean
    readonly rel: string | undefined
    readonly payload: Uint8Array
  }
  Ack: { readonly rx: number; readonly credit: number }
  Ping: { readonly opaque: Uint8Array }
  Pong: { readonly opaque: Uint8Array }
  Bye: { readonly bye: Bye }
  Status: { readonly status: Status }
}>
/** Constructors of `Frame`. */
export const Frame = Data.taggedEnum<Frame>()

/** Why bytes are not a frame. Each of them ends the stream. */
export class MalformedFrame extends Schema.TaggedError<MalformedFrame>()("MalformedFrame", {
  reason: Schema.Literals(["Length", "Type", "Truncated", "Flags", "Sequence", "Json"]),
  type: Schema.Number
}) {}

/** The bound on `length` (mcp §6.2). */
export const LENGTH_MAX = 65_536 + 64

/** Bytes before the body: length and type. */
export const HEADER_BYTES = 5

/** The bytes of a frame, length included. */
export const encode = (frame: Frame): Uint8Array => {
  switch (frame._tag) {
    case "Hello":
      return encodeJson(TYPE.hello, encodeHello(frame.hello))
    case "Welcome":
      return encodeJson(TYPE.welcome, encodeWelcome(frame.welcome))
    case "Data":
      return encodeData(frame)
    case "Ack": {
      const { bytes, view } = allocate(TYPE.ack, 12)
      setUint53(view, HEADER_BYTES, frame.rx)
      view.setUint32(HEADER_BYTES + 8, frame.credit)
      return bytes
    }
    case "Ping":
      return encodeOpaque(TYPE.ping, frame.opaque)
    case "Pong":
      return encodeOpaque(TYPE.pong, frame.opaque)
    case "Bye":
      return encodeJson(TYPE.bye, encodeBye(frame.bye))
    case "Status":
      return encodeJson(TYPE.status, encodeStatus(frame.status))
  }
}

/** Reads the type and body of one frame, length already removed. `payload` is a view of the input. */
export const decode = (type: number, body: Uint8Array): Result.Result<Frame, MalformedFrame> => {
  const view = new DataView(body.buffer, body.byteOffset, body.byteLength)
  switch (type) {
    case TYPE.hello:
      return Result.map(decodeJson(type, decodeHello, body), (hello) => Frame.Hello({ hello }))
    case TYPE.welcome:
      return Result.map(decodeJson(type, decodeWelcome, body), (welcome) => Frame.Welcome({ welcome }))
    case TYPE.data:
      return decodeData(body, view)
    case TYPE.ack: {
      if (body.length < 12) return malformed("Truncated", type)
      const rx = uint53(view, 0)
      return rx === undefined
        ? malformed("Sequence", type)
        : Result.succeed({ _tag: "Ack", rx, credit: view.getUint32(8) })
    }
    case TYPE.ping:
      return body.length < 8 ? malformed("Truncated", type) : Result.succeed(Frame.Ping({ opaque: body.slice(0, 8) }))
    case TYPE.pong:
      return body.length < 8 ? malformed("Truncated", type) : Result.succeed(Frame.Pong({ opaque: body.slice(0, 8) }))
    case TYPE.bye:
      return Result.map(decodeJson(type, decodeBye, body), (bye) => Frame.Bye({ bye }))
    case TYPE.status:
      return Result.map(decodeJson(type, decodeStatus, body), (status) => Frame.Status({ status }))
    default:
      return malformed("Type", type)
  }
}

/** The bytes of a DATA frame. */
export const encodeData = (frame: Omit<Extract<Frame, { _tag: "Data" }>, "_tag">): Uint8Array => {
  const rel = frame.rel === undefined ? undefined : UTF8.encode(frame.rel)
  const relBytes = rel === undefined ? 0 : 2 + rel.length
  const { bytes, view } = allocate(TYPE.data, 9 + relBytes + frame.payload.length)
  setUint53(view, HEADER_BYTES, frame.seq)
  view.setUint8(HEADER_BYTES + 8, (frame.last ? FLAG_LAST : 0) | (rel === undefined ? 0 : FLAG_REL))
  if (rel !== undefined) {
    view.setUint16(HEADER_BYTES + 9, rel.length)
    bytes.set(rel, HEADER_BYTES + 11)
  }
  bytes.set(frame.payload, HEADER_BYTES + 9 + relBytes)
  return bytes
}

const decodeData = (body: Uint8Array, view: DataView): Result.Result<Frame, MalformedFrame> => {
  if (body.length < 9) return malformed("Truncated", TYPE.data)
  const seq = uint53(view, 0)
  if (seq === undefined || seq === 0) return malformed("Sequence", TYPE.data)
  const flags = view.getUint8(8)
  if ((flags & ~(FLAG_LAST | FLAG_REL)) !== 0) return malformed("Flags", TYPE.data)
  const last = (flags & FLAG_LAST) !== 0
  if ((flags & FLAG_REL) === 0) {
    // Without the constructor, which is a proxy: every message comes by here.
    return Result.succeed({ _tag: "Data", seq, last, rel: undefined, payload: body.subarray(9) })
  }
  if (body.length < 11 || body.length < 11 + view.getUint16(9)) return malformed("Truncated", TYPE.data)
  const payloadAt = 11 + view.getUint16(9)
  const rel = decodeUtf8(body.subarray(11, payloadAt))
  if (Result.isFailure(rel)) return malformed("Json", TYPE.data)
  return Result.succeed(Frame.Data({ seq, last, rel: rel.success, payload: body.subarray(payloadAt) }))
}

const allocate = (type: number, bodyBytes: number): { readonly bytes: Uint8Array; readonly view: DataView } => {
  const bytes = new Uint8Array(HEADER_BYTES + bodyBytes)
  const view = new DataView(bytes.buffer)
  view.setUint32(0, 1 + bodyBytes)
  view.setUint8(4, type)
  return { bytes, view }
}

const encodeOpaque = (type: number, opaque: Uint8Array): Uint8Array => {
  const { bytes } = allocate(type, 8)
  bytes.set(opaque.subarray(0, 8), HEADER_BYTES)
  return bytes
}

const encodeJson = (type: number, json: string): Uint8Array => {
  const body = UTF8.encode(json)
  const { bytes } = allocate(type, body.length)
  bytes.set(body, HEADER_BYTES)
  return bytes
}

const decodeJson = <A>(
  type: number,
  read: (json: string) => Result.Result<A, unknown>,
  body: Uint8Array
): Result.Result<A, MalformedFrame> =>
  Result.mapError(Result.flatMap(decodeUtf8(body), read), () => new MalformedFrame({ reason: "Json", type }))

const decodeUtf8 = (bytes: Uint8Array): Result.Result<string, unknown> =>
  Result.try({ try: () => new TextDecoder("utf-8", { fatal: true }).decode(bytes), catch: (error) => error })

const malformed = (reason: MalformedFrame["reason"], type: number): Result.Result<never, MalformedFrame> =>
  Result.fail(new MalformedFrame({ reason, type }))

const setUint53 = (view: DataView, at: number, value: number): void => {
  view.setUint32(at, Math.floor(value / 0x1_0000_0000))
  view.setUint32(at + 4, value >>> 0)
}

/** A 64-bit number, unless it is too large to be counted exactly: no session lives that long. */
const uint53 = (view: DataView, at: number): number | undefined => {
  const value = view.getUint32(at) * 0x1_0000_0000 + view.getUint32(at + 4)
  return Number.isSafeInteger(value) ? value : undefined
}

const encodeHello = Schema.encodeSync(Schema.fromJsonString(Hello))
const encodeWelcome = Schema.encodeSync(Schema.fromJsonString(Welcome))
const encodeBye = Schema.encodeSync(Schema.fromJsonString(Bye))
const encodeStatus = Schema.encodeSync(Schema.fromJsonString(Status))
const decodeHello = Schema.decodeResult(Schema.fromJsonString(Hello))
const decodeWelcome = Schema.decodeResult(Schema.fromJsonString(Welcome))
const decodeBye = Schema.decodeResult(Schema.fromJsonString(Bye))
const decodeStatus = Schema.decodeResult(Schema.fromJsonString(Status))

const TYPE = { hello: 1, welcome: 2, data: 3, ack: 4, ping: 5, pong: 6, bye: 7, status: 8 } as const
const FLAG_LAST = 1
const FLAG_REL = 2
const UTF8 = new TextEncoder()
