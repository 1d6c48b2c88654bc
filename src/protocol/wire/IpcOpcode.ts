/** Command bytes of the IPC socket (node §1.5, §1.8, §1.9) and the limits of its frames (node §1.2). */
import * as LengthPrefix from "./LengthPrefix.ts"

/** Requests and what the daemon pushes. A reply has the opcode of its request plus one, except `Error`. */
export const Opcode = {
  Bind: 0x01,
  BindOk: 0x02,
  Dial: 0x03,
  DialOk: 0x04,
  Accept: 0x05,
  Send: 0x06,
  Recv: 0x07,
  Close: 0x08,
  CloseOk: 0x09,
  Error: 0x0a,
  SendTo: 0x0b,
  RecvFrom: 0x0c,
  Info: 0x0d,
  Handshake: 0x0f,
  ResolveHostname: 0x11,
  SetHostname: 0x13,
  SetVisibility: 0x15,
  Deregister: 0x17,
  SetTags: 0x19,
  SetWebhook: 0x1b,
  SetTaskExec: 0x1d,
  Health: 0x21,
  /** Newer. */
  RotateKey: 0x25,
  /** Newer; its answer is empty. */
  Broadcast: 0x29,
  /** Newer (node §1.9), answered by nothing. */
  Cancel: 0x2b,
  /** Newer. */
  EnrollRecovery: 0x31,
  /** Newer. */
  Unbind: 0x37,
  /** Newer; its answer is empty. */
  SendToConfirm: 0x39,
  /** Ours, for what the reference has no command for: JSON both ways. Old daemons answer `unknown command: 0x71`. */
  Extension: 0x71
} as const

/** Sub-commands of `Handshake` (node §1.8). */
export const HandshakeOpcode = {
  Send: 0x01,
  Approve: 0x02,
  Reject: 0x03,
  Pending: 0x04,
  Trusted: 0x05,
  Revoke: 0x06,
  Wait: 0x07
} as const

/** Command byte and payload together, both directions; a longer frame ends the connection (node §1.2). */
export const FRAME_BYTES_MAX = 1_048_576

/** Splits an IPC stream into bodies for `IpcRequest.decode` or `IpcReply.decode`. */
export const makeSplitter = (): LengthPrefix.Splitter => new LengthPrefix.Splitter(FRAME_BYTES_MAX)

/** The frame of one command: length, command byte, payload in parts. */
export const frame = (opcode: number, ...payload: ReadonlyArray<Uint8Array>): Uint8Array =>
  LengthPrefix.encode(Uint8Array.of(opcode), ...payload)
