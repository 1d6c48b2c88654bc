/**
 * What a local client asks of the daemon (node §1.5, §1.8): a length, a command byte (`IpcOpcode`), then the payload.
 *
 * ```
 * Bind      port (2)                        Send    connection (4)  data       Handshake  sub-command (1)  body
 * Dial      address (6)  port (2)           Close   connection (4)             names      UTF-8 to the end
 * SendTo    address (6)  port (2)  data     switches  one byte, 1 = on         Extension  JSON object with "op"
 * Unbind    port (2)                        SendToConfirm  as SendTo           Cancel     ignored
 * Broadcast network (2)  port (2)  length of token (2)  token  data
 * RotateKey empty                           EnrollRecovery  JSON object with "enrollment", "enrollment_sig"
 * ```
 */
import { type Data, Result } from "effect"
import * as ByteReader from "../../core/data/ByteReader.ts"
import * as Bytes from "../../core/data/Bytes.ts"
import * as GoJson from "../../core/data/GoJson.ts"
import * as Json from "../../core/data/Json.ts"
import * as Address from "./Address.ts"
import { frame, HandshakeOpcode, Opcode } from "./IpcOpcode.ts"
import * as LengthPrefix from "./LengthPrefix.ts"

/** One request. Byte fields are views into the frame. */
export type IpcRequest = Data.TaggedEnum<{
  /** A frame of length 0: legal, and no request. */
  Empty: object
  Bind: { readonly port: Address.Port }
  Dial: { readonly address: Address.Address; readonly port: Address.Port }
  /** No reply on success. */
  Send: { readonly connection: number; readonly data: Uint8Array }
  Close: { readonly connection: number }
  /** No reply on success. */
  SendTo: { readonly address: Address.Address; readonly port: Address.Port; readonly data: Uint8Array }
  /** The same, with a reply once the datagram has left or could not (node §1.9). */
  SendToConfirm: { readonly address: Address.Address; readonly port: Address.Port; readonly data: Uint8Array }
  /** To every member of a network; `token` is the reference's admin token, for which ours has no use. */
  Broadcast: {
    readonly network: number
    readonly port: Address.Port
    readonly token: Uint8Array
    readonly data: Uint8Array
  }
  /** Gives back a port that this client has bound. */
  Unbind: { readonly port: Address.Port }
  /** Every dial of this client that is under way ends; no reply of its own. */
  Cancel: object
  Info: object
  HandshakeSend: { readonly node: Address.NodeId; readonly justification: string }
  HandshakeApprove: { readonly node: Address.NodeId }
  HandshakeReject: { readonly node: Address.NodeId; readonly reason: string }
  HandshakePending: object
  HandshakeTrusted: object
  HandshakeRevoke: { readonly node: Address.NodeId }
  HandshakeWait: { readonly node: Address.NodeId; readonly timeoutMs: number }
  ResolveHostname: { readonly name: string }
  /** An empty name clears it. */
  SetHostname: { readonly name: string }
  SetVisibility: { readonly isPublic: boolean }
  Deregister: object
  SetTags: { readonly tags: ReadonlyArray<string> }
  /** An empty URL switches it off. */
  SetWebhook: { readonly url: string }
  SetTaskExec: { readonly enabled: boolean }
  Health: object
  /** Gives the node another key, as far as its own key can decide that (security rule 9). */
  RotateKey: object
  /** `enrollment`: what `recovery.prepare` has drafted; `signature`: by the recovery key that it names. In base64. */
  EnrollRecovery: { readonly enrollment: string; readonly signature: string }
  /** Ours. `op` names the operation, `value` is the whole object. */
  Extension: { readonly op: string; readonly value: Json.JsonObject }
}>

/** Why a request cannot be understood: `message` is the text for the `Error` reply, if this opcode is answered. */
export interface IpcRefusal {
  readonly opcode: number
  readonly message: string
}

/** Tags that one `SetTags` may carry (node §1.5). */
export const TAGS_MAX = 3

/** Longest that a `HandshakeWait` waits, whatever it asks for (node §1.8). */
export const WAIT_MS_MAX = 30_000

/** The whole frame, length included. */
export const encode = (self: IpcRequest): Uint8Array => {
  switch (self._tag) {
    case "Empty":
      return LengthPrefix.encode()
    case "Bind":
      return frame(Opcode.Bind, Bytes.ofU16(self.port))
    case "Dial":
      return frame(Opcode.Dial, Address.encode(self.address), Bytes.ofU16(self.port))
    case "Send":
      return frame(Opcode.Send, Bytes.ofU32(self.connection), self.data)
    case "Close":
      return frame(Opcode.Close, Bytes.ofU32(self.connection))
    case "Unbind":
      return frame(Opcode.Unbind, Bytes.ofU16(self.port))
    case "SendTo":
    case "SendToConfirm":
      return frame(Opcode[self._tag], Address.encode(self.address), Bytes.ofU16(self.port), self.data)
    case "Broadcast": {
      const { data, network, port, token } = self
      const head = [Bytes.ofU16(network), Bytes.ofU16(port), Bytes.ofU16(token.length)]
      return frame(Opcode.Broadcast, ...head, token, data)
    }
    case "ResolveHostname":
    case "SetHostname":
      return frame(Opcode[self._tag], Bytes.fromUtf8(self.name))
    case "SetVisibility":
      return frame(Opcode.SetVisibility, Uint8Array.of(self.isPublic ? 1 : 0))
    case "SetTags":
      return frame(Opcode.SetTags, Bytes.fromUtf8(GoJson.encode(self.tags)))
    case "SetWebhook":
      return frame(Opcode.SetWebhook, Bytes.fromUtf8(self.url))
    case "SetTaskExec":
      return frame(Opcode.SetTaskExec, Uint8Array.of(self.enabled ? 1 : 0))
    case "EnrollRecovery": {
      const { enrollment, signature } = self
      return frame(Opcode.EnrollRecovery, Bytes.fromUtf8(GoJson.encode({ enrollment, enrollment_sig: signature })))
    }
    case "Extension":
      return frame(Opcode.Extension, Bytes.fromUtf8(GoJson.encode({ ...self.value, op: self.op })))
    case "Info":
    case "Deregister":
    case "Health":
    case "RotateKey":
    case "Cancel":
      return frame(Opcode[self._tag])
    default:
      return frame(Opcode.Handshake, ...handshakeBody(self))
  }
}

/** Reads a body that `IpcOpcode.makeSplitter` gave. Bytes after a fixed payload are ignored. */
export const decode = (body: Uint8Array): Result.Result<IpcRequest, IpcRefusal> => {
  if (body.length === 0) return Result.succeed({ _tag: "Empty" })
  const opcode = body[0]!
  const refuse = (message: string): Result.Result<never, IpcRefusal> => Result.fail({ opcode, message })
  const reader = ByteReader.make(body.subarray(1))
  const request = decodePayload(opcode, reader, refuse)
  const missing = MISSING[opcode]
  return reader.isOverrun && missing !== undefined ? refuse(missing) : request
}

type Refuse = (message: string) => Result.Result<never, IpcRefusal>
type Decoded = Result.Result<IpcRequest, IpcRefusal>

const decodePayload = (opcode: number, reader: ByteReader.ByteReader, refuse: Refuse): Decoded => {
  switch (opcode) {
    case Opcode.Bind:
      return Result.succeed({ _tag: "Bind", port: Address.readPort(reader) })
    case Opcode.Dial:
      return Result.succeed({ _tag: "Dial", address: Address.read(reader), port: Address.readPort(reader) })
    case Opcode.Send:
      return Result.succeed({ _tag: "Send", connection: ByteReader.u32(reader), data: ByteReader.rest(reader) })
    case Opcode.Close:
      return Result.succeed({ _tag: "Close", connection: ByteReader.u32(reader) })
    case Opcode.SendTo:
    case Opcode.SendToConfirm:
      return Result.succeed({
        _tag: opcode === Opcode.SendTo ? "SendTo" : "SendToConfirm",
        address: Address.read(reader),
        port: Address.readPort(reader),
        data: ByteReader.rest(reader)
      })
    case Opcode.Broadcast: {
      const [network, port] = [ByteReader.u16(reader), Address.readPort(reader)]
      const token = ByteReader.take(reader, ByteReader.u16(reader))
      return Result.succeed({ _tag: "Broadcast", network, port, token, data: ByteReader.rest(reader) })
    }
    case Opcode.Info:
      return Result.succeed({ _tag: "Info" })
    case Opcode.Handshake:
      return decodeHandshake(reader, refuse)
    case Opcode.ResolveHostname: {
      const name = text(reader)
      return name === ""
        ? refuse("resolve_hostname: missing hostname")
        : Result.succeed({ _tag: "ResolveHostname", name })
    }
    case Opcode.SetHostname:
      return Result.succeed({ _tag: "SetHostname", name: text(reader) })
    case Opcode.SetVisibility:
      return Result.succeed({ _tag: "SetVisibility", isPublic: ByteReader.u8(reader) === 1 })
    case Opcode.Deregister:
      return Result.succeed({ _tag: "Deregister" })
    case Opcode.SetTags:
      return decodeTags(text(reader), refuse)
    case Opcode.SetWebhook:
      return Result.succeed({ _tag: "SetWebhook", url: text(reader) })
    case Opcode.SetTaskExec:
      return Result.succeed({ _tag: "SetTaskExec", enabled: ByteReader.u8(reader) === 1 })
    case Opcode.Unbind:
      return Result.succeed({ _tag: "Unbind", port: Address.readPort(reader) })
    case Opcode.Cancel:
      return Result.succeed({ _tag: "Cancel" })
    case Opcode.Health:
      return Result.succeed({ _tag: "Health" })
    case Opcode.RotateKey:
      return Result.succeed({ _tag: "RotateKey" })
    case Opcode.EnrollRecovery:
      return decodeEnrolment(text(reader), refuse)
    case Opcode.Extension:
      return decodeExtension(text(reader), refuse)
    default:
      return refuse(`unknown command: 0x${hex2(opcode)}`)
  }
}

const decodeHandshake = (reader: ByteReader.ByteReader, refuse: Refuse): Decoded => {
  const command = ByteReader.u8(reader)
  if (command === HandshakeOpcode.Pending) return Result.succeed({ _tag: "HandshakePending" })
  if (command === HandshakeOpcode.Trusted) return Result.succeed({ _tag: "HandshakeTrusted" })
  const name = HANDSHAKE_NAMES[command]
  if (reader.isOverrun) return refuse("handshake: missing sub-command")
  if (name === undefined) return refuse(`handshake: unknown sub-command 0x${hex2(command)}`)
  if (ByteReader.remaining(reader) < 4) return refuse(`handshake ${name}: missing node_id`)
  const node = Address.readNodeId(reader)
  switch (name) {
    case "request":
      return Result.succeed({ _tag: "HandshakeSend", node, justification: text(reader) })
    case "approve":
      return Result.succeed({ _tag: "HandshakeApprove", node })
    case "reject":
      return Result.succeed({ _tag: "HandshakeReject", node, reason: text(reader) })
    case "revoke":
      return Result.succeed({ _tag: "HandshakeRevoke", node })
    case "wait": {
      if (ByteReader.remaining(reader) < 4) return refuse("handshake wait: missing timeout")
      const timeoutMs = Math.min(ByteReader.u32(reader), WAIT_MS_MAX)
      return Result.succeed({ _tag: "HandshakeWait", node, timeoutMs })
    }
  }
}

const decodeTags = (text: string, refuse: Refuse): Decoded => {
  const value = Json.parse(text)
  const list = value === null ? [] : value
  const tags = Array.isArray(list) ? list.filter((tag) => typeof tag === "string") : []
  if (!Array.isArray(list) || tags.length !== list.length) return refuse("set_tags: invalid JSON: not a list of texts")
  if (tags.length > TAGS_MAX) return refuse(`set_tags: maximum ${TAGS_MAX} tags allowed`)
  return Result.succeed({ _tag: "SetTags", tags })
}

const decodeEnrolment = (text: string, refuse: Refuse): Decoded => {
  const value = Json.parseObject(text)
  if (value === undefined) return refuse("enroll_recovery: invalid JSON: not an object")
  const [enrollment, signature] = [Json.string(value, "enrollment"), Json.string(value, "enrollment_sig")]
  return Result.succeed({ _tag: "EnrollRecovery", enrollment, signature })
}

const decodeExtension = (text: string, refuse: Refuse): Decoded => {
  const value = Json.parseObject(text)
  if (value === undefined) return refuse("extension: invalid JSON: not an object")
  const op = Json.string(value, "op")
  return op === "" ? refuse("extension: missing op") : Result.succeed({ _tag: "Extension", op, value })
}

type HandshakeRequest = Extract<IpcRequest, { readonly _tag: `Handshake${string}` }>

const handshakeBody = (self: HandshakeRequest): ReadonlyArray<Uint8Array> => {
  switch (self._tag) {
    case "HandshakeSend":
      return [Uint8Array.of(HandshakeOpcode.Send), Bytes.ofU32(self.node), Bytes.fromUtf8(self.justification)]
    case "HandshakeApprove":
      return [Uint8Array.of(HandshakeOpcode.Approve), Bytes.ofU32(self.node)]
    case "HandshakeReject":
      return [Uint8Array.of(HandshakeOpcode.Reject), Bytes.ofU32(self.node), Bytes.fromUtf8(self.reason)]
    case "HandshakePending":
      return [Uint8Array.of(HandshakeOpcode.Pending)]
    case "HandshakeTrusted":
      return [Uint8Array.of(HandshakeOpcode.Trusted)]
    case "HandshakeRevoke":
      return [Uint8Array.of(HandshakeOpcode.Revoke), Bytes.ofU32(self.node)]
    case "HandshakeWait":
      return [Uint8Array.of(HandshakeOpcode.Wait), Bytes.ofU32(self.node), Bytes.ofU32(self.timeoutMs)]
  }
}

const text = (reader: ByteReader.ByteReader): string => Bytes.toUtf8Lossy(ByteReader.rest(reader))

const hex2 = (value: number): string => value.toString(16).toUpperCase().padStart(2, "0")

/** What a payload that ends too early lacks, in the words of node §1.5. */
const MISSING: Readonly<Record<number, string>> = {
  [Opcode.Bind]: "bind: missing port",
  [Opcode.Dial]: "dial: missing address/port",
  [Opcode.Send]: "send: missing conn_id",
  [Opcode.Close]: "close: missing conn_id",
  [Opcode.SendTo]: "sendto: missing address/port",
  [Opcode.SendToConfirm]: "sendto: missing address/port",
  [Opcode.Broadcast]: "broadcast: missing network/port/token",
  [Opcode.Unbind]: "unbind: port is required",
  [Opcode.SetVisibility]: "set_visibility: missing value",
  [Opcode.SetTaskExec]: "set_task_exec: missing value"
}

const HANDSHAKE_NAMES: Readonly<Record<number, "request" | "approve" | "reject" | "revoke" | "wait">> = {
  [HandshakeOpcode.Send]: "request",
  [HandshakeOpcode.Approve]: "approve",
  [HandshakeOpcode.Reject]: "reject",
  [HandshakeOpcode.Revoke]: "revoke",
  [HandshakeOpcode.Wait]: "wait"
}
