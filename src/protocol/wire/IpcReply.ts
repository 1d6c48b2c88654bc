/**
 * What the daemon tells a local client (node §1.4, §1.5): replies, and what it pushes unasked between them.
 *
 * ```
 * BindOk  port (2)         Accept    local port (2)  connection (4)  remote address (6)  remote port (2)
 * DialOk  connection (4)   Recv      connection (4)  data
 * CloseOk connection (4)   RecvFrom  source address (6)  source port (2)  destination port (2)  data
 * Error   code (2), text   Answer    JSON object; the opcode is the request's plus one
 * UnbindOk  port (2)       SendToConfirmed, Broadcasted  nothing
 * ```
 */
import { type Data, Result } from "effect"
import * as ByteReader from "../../core/data/ByteReader.ts"
import * as Bytes from "../../core/data/Bytes.ts"
import * as GoJson from "../../core/data/GoJson.ts"
import * as Json from "../../core/data/Json.ts"
import * as Address from "./Address.ts"
import * as DecodeError from "./DecodeError.ts"
import { frame, Opcode } from "./IpcOpcode.ts"
import * as LengthPrefix from "./LengthPrefix.ts"

/** Requests that are answered with JSON. */
export type Answered =
  | "Info"
  | "Handshake"
  | "ResolveHostname"
  | "SetHostname"
  | "SetVisibility"
  | "Deregister"
  | "SetTags"
  | "SetWebhook"
  | "SetTaskExec"
  | "Health"
  | "RotateKey"
  | "EnrollRecovery"
  | "Extension"

/** One frame of the daemon. Byte fields are views into the frame. */
export type IpcReply = Data.TaggedEnum<{
  BindOk: { readonly port: Address.Port }
  DialOk: { readonly connection: number }
  UnbindOk: { readonly port: Address.Port }
  /** The reply to SendToConfirm. */
  SendToConfirmed: object
  /** The reply to Broadcast. */
  Broadcasted: object
  /** Pushed: a stream to a port of this client is established. */
  Accept: {
    readonly localPort: Address.Port
    readonly connection: number
    readonly remote: Address.Address
    readonly remotePort: Address.Port
  }
  /** Pushed: in-order data; one frame per delivered segment. */
  Recv: { readonly connection: number; readonly data: Uint8Array }
  /** The reply to Close, and pushed when the receive side has ended. */
  CloseOk: { readonly connection: number }
  /** `code` is always 1; nobody reads it. */
  Error: { readonly code: number; readonly message: string }
  /** Pushed: a datagram for this node. */
  RecvFrom: {
    readonly source: Address.Address
    readonly sourcePort: Address.Port
    readonly destinationPort: Address.Port
    readonly data: Uint8Array
  }
  /** The JSON reply to `to`. */
  Answer: { readonly to: Answered; readonly value: Json.JsonObject }
}>

/** The whole frame, length included. The owner cuts what would exceed `IpcOpcode.FRAME_BYTES_MAX` (node §1.7). */
export const encode = (self: IpcReply): Uint8Array => {
  switch (self._tag) {
    case "BindOk":
      return frame(Opcode.BindOk, Bytes.ofU16(self.port))
    case "UnbindOk":
      return frame(Opcode.Unbind + 1, Bytes.ofU16(self.port))
    case "SendToConfirmed":
      return frame(Opcode.SendToConfirm + 1)
    case "Broadcasted":
      return frame(Opcode.Broadcast + 1)
    case "DialOk":
      return frame(Opcode.DialOk, Bytes.ofU32(self.connection))
    case "Accept":
      return frame(
        Opcode.Accept,
        Bytes.ofU16(self.localPort),
        Bytes.ofU32(self.connection),
        Address.encode(self.remote),
        Bytes.ofU16(self.remotePort)
      )
    case "Recv":
      return frame(Opcode.Recv, Bytes.ofU32(self.connection), self.data)
    case "CloseOk":
      return frame(Opcode.CloseOk, Bytes.ofU32(self.connection))
    case "Error":
      return frame(Opcode.Error, Bytes.ofU16(self.code), Bytes.fromUtf8(self.message))
    case "RecvFrom":
      return frame(
        Opcode.RecvFrom,
        Address.encode(self.source),
        Bytes.ofU16(self.sourcePort),
        Bytes.ofU16(self.destinationPort),
        self.data
      )
    case "Answer":
      return frame(Opcode[self.to] + 1, Bytes.fromUtf8(GoJson.encode(self.value)))
  }
}

/** The frame of a `Recv` in two pieces that follow each other: what a stream brings is not copied on its way to a client. */
export const encodeRecv = (connection: number, data: Uint8Array): readonly [Uint8Array, Uint8Array] => {
  const head = new Uint8Array(LengthPrefix.PREFIX_BYTES + RECV_HEAD_BYTES)
  Bytes.writeU32(head, 0, RECV_HEAD_BYTES + data.length)
  head[LengthPrefix.PREFIX_BYTES] = Opcode.Recv
  Bytes.writeU32(head, LengthPrefix.PREFIX_BYTES + 1, connection)
  return [head, data]
}

/** Reads a body that `IpcOpcode.makeSplitter` gave. */
export const decode = (body: Uint8Array): Result.Result<IpcReply, DecodeError.DecodeError> => {
  if (body.length === 0) return DecodeError.truncated(1, 0)
  const reader = ByteReader.make(body.subarray(1))
  const reply = decodePayload(body[0]!, reader)
  return reader.isOverrun ? DecodeError.truncated(body.length + 1, body.length) : reply
}

/** An error reply. */
export const error = (message: string): IpcReply => ({ _tag: "Error", code: 1, message })

const decodePayload = (
  opcode: number,
  reader: ByteReader.ByteReader
): Result.Result<IpcReply, DecodeError.DecodeError> => {
  switch (opcode) {
    case Opcode.BindOk:
      return Result.succeed({ _tag: "BindOk", port: Address.readPort(reader) })
    case Opcode.Unbind + 1:
      return Result.succeed({ _tag: "UnbindOk", port: Address.readPort(reader) })
    case Opcode.SendToConfirm + 1:
      return Result.succeed({ _tag: "SendToConfirmed" })
    case Opcode.Broadcast + 1:
      return Result.succeed({ _tag: "Broadcasted" })
    case Opcode.DialOk:
      return Result.succeed({ _tag: "DialOk", connection: ByteReader.u32(reader) })
    case Opcode.Accept:
      return Result.succeed({
        _tag: "Accept",
        localPort: Address.readPort(reader),
        connection: ByteReader.u32(reader),
        remote: Address.read(reader),
        remotePort: Address.readPort(reader)
      })
    case Opcode.Recv:
      return Result.succeed({ _tag: "Recv", connection: ByteReader.u32(reader), data: ByteReader.rest(reader) })
    case Opcode.CloseOk:
      return Result.succeed({ _tag: "CloseOk", connection: ByteReader.u32(reader) })
    case Opcode.Error:
      return Result.succeed({
        _tag: "Error",
        code: ByteReader.u16(reader),
        message: Bytes.toUtf8Lossy(ByteReader.rest(reader))
      })
    case Opcode.RecvFrom:
      return Result.succeed({
        _tag: "RecvFrom",
        source: Address.read(reader),
        sourcePort: Address.readPort(reader),
        destinationPort: Address.readPort(reader),
        data: ByteReader.rest(reader)
      })
    default:
      return decodeAnswer(opcode, ByteReader.rest(reader))
  }
}

const decodeAnswer = (opcode: number, body: Uint8Array): Result.Result<IpcReply, DecodeError.DecodeError> => {
  const to = ANSWERED.find((name) => Opcode[name] + 1 === opcode)
  if (to === undefined) return DecodeError.unknownType(opcode)
  const value = Json.parseObject(Bytes.toUtf8Lossy(body))
  return value === undefined ? DecodeError.malformed("JSON") : Result.succeed({ _tag: "Answer", to, value })
}

const ANSWERED: ReadonlyArray<Answered> = [
  "Info",
  "Handshake",
  "ResolveHostname",
  "SetHostname",
  "SetVisibility",
  "Deregister",
  "SetTags",
  "SetWebhook",
  "SetTaskExec",
  "Health",
  "RotateKey",
  "EnrollRecovery",
  "Extension"
]

/** Opcode and connection. */
const RECV_HEAD_BYTES = 5
