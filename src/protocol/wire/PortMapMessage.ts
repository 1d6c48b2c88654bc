/**
 * Asking a router for a port of its outside address: PCP (RFC 6887, version 2, MAP for UDP) and NAT-PMP (RFC 6886, version 0).
 * Both go by UDP to port 5351 of the gateway; a router that knows only the older one says so (RFC 6887 §9).
 *
 * ```
 * PCP   request  02 01 0000  lifetime (4)  client IP (16)   nonce (12)  11 000000  internal port (2)  wanted port (2)  wanted IP (16)
 *       reply    02 81 00 result  lifetime (4)  epoch (4)  00×12  nonce (12)  11 000000  internal (2)  external (2)  external IP (16)
 * PMP   request  00 00                                     reply  00 80 result (2) epoch (4) external IP (4)
 *       request  00 01 0000 internal (2) wanted (2) lifetime (4)  reply  00 81 result (2) epoch (4) internal (2) external (2) lifetime (4)
 * ```
 */
import { type Data, Result } from "effect"
import * as Bytes from "../../core/data/Bytes.ts"
import type { Endpoint } from "../../core/data/Endpoint.ts"
import * as IpAddress from "../../core/data/IpAddress.ts"
import * as DecodeError from "./DecodeError.ts"

/** What a router may answer. Lifetimes are seconds; result 0 is success. */
export type PortMapReply = Data.TaggedEnum<{
  PcpMapped: {
    readonly result: number
    readonly lifetimeSeconds: number
    readonly nonce: Uint8Array
    readonly internalPort: number
    readonly external: Endpoint
  }
  /** The router speaks another version only. */
  PcpUnsupported: { readonly version: number }
  PmpAddress: { readonly result: number; readonly host: string }
  PmpMapped: {
    readonly result: number
    readonly internalPort: number
    readonly externalPort: number
    readonly lifetimeSeconds: number
  }
}>

/** A PCP MAP request for UDP. A lifetime of 0 takes the mapping back. */
export const pcpMap = (options: {
  readonly client: string
  readonly nonce: Uint8Array
  readonly internalPort: number
  /** What is wanted, or what was given; port 0 for any. */
  readonly external: Endpoint
  readonly lifetimeSeconds: number
}): Uint8Array =>
  Bytes.concat(
    Uint8Array.of(PCP_VERSION, OPCODE_MAP, 0, 0),
    Bytes.ofU32(options.lifetimeSeconds),
    mapped16(options.client),
    options.nonce,
    Uint8Array.of(UDP, 0, 0, 0),
    Bytes.ofU16(options.internalPort),
    Bytes.ofU16(options.external.port),
    mapped16(options.external.host)
  )

/** NAT-PMP: what is your outside address? */
export const pmpAddress: Uint8Array = Uint8Array.of(0, 0)

/** NAT-PMP: a mapping for UDP; a lifetime of 0 takes it back, with a wanted port of 0. */
export const pmpMap = (internalPort: number, externalPort: number, lifetimeSeconds: number): Uint8Array =>
  Bytes.concat(
    Uint8Array.of(0, 1, 0, 0),
    Bytes.ofU16(internalPort),
    Bytes.ofU16(externalPort),
    Bytes.ofU32(lifetimeSeconds)
  )

/** Reads a reply; requests and anything else are refused. */
export const decode = (bytes: Uint8Array): Result.Result<PortMapReply, DecodeError.DecodeError> => {
  if (bytes.length < 4) return DecodeError.truncated(4, bytes.length)
  const [version, opcode] = [bytes[0]!, bytes[1]!]
  if (opcode < REPLY) return DecodeError.unknownType(opcode)
  const result = version === 0 ? Bytes.readU16(bytes, 2) : bytes[3]!
  if (version === PCP_VERSION && opcode === (REPLY | OPCODE_MAP)) return pcpMapped(bytes, result)
  if (version !== 0) return DecodeError.unsupportedVersion(version)
  // A NAT-PMP router answers PCP by its own version and this result (RFC 6886 §3.5, RFC 6887 §9).
  if (result === UNSUPPORTED_VERSION) return Result.succeed({ _tag: "PcpUnsupported", version })
  if (opcode === REPLY) return pmpAddressed(bytes, result)
  return opcode === (REPLY | OPCODE_MAP) ? pmpMapped(bytes, result) : DecodeError.unknownType(opcode)
}

/** Where routers listen (RFC 6887 §19.1). */
export const PORT = 5351
/** Bytes of the nonce that ties a PCP mapping to who made it (RFC 6887 §11.1). */
export const NONCE_BYTES = 12

type Decoded = Result.Result<PortMapReply, DecodeError.DecodeError>

const pcpMapped = (bytes: Uint8Array, result: number): Decoded => {
  if (result === PCP_UNSUPPORTED_VERSION) return Result.succeed({ _tag: "PcpUnsupported", version: PCP_VERSION })
  if (bytes.length < PCP_BYTES) return DecodeError.truncated(PCP_BYTES, bytes.length)
  const host = IpAddress.format(bytes.subarray(44, 60))
  if (host === undefined || bytes[36] !== UDP) return DecodeError.malformed("mapping")
  return Result.succeed({
    _tag: "PcpMapped",
    result,
    lifetimeSeconds: Bytes.readU32(bytes, 4),
    nonce: bytes.subarray(24, 36),
    internalPort: Bytes.readU16(bytes, 40),
    external: { host, port: Bytes.readU16(bytes, 42) }
  })
}

const pmpAddressed = (bytes: Uint8Array, result: number): Decoded => {
  if (result !== 0) return Result.succeed({ _tag: "PmpAddress", result, host: "0.0.0.0" })
  if (bytes.length < 12) return DecodeError.truncated(12, bytes.length)
  return Result.succeed({ _tag: "PmpAddress", result, host: IpAddress.format(bytes.subarray(8, 12)) ?? "0.0.0.0" })
}

const pmpMapped = (bytes: Uint8Array, result: number): Decoded => {
  if (bytes.length < 16) return DecodeError.truncated(16, bytes.length)
  const [internalPort, externalPort] = [Bytes.readU16(bytes, 8), Bytes.readU16(bytes, 10)]
  return Result.succeed({
    _tag: "PmpMapped",
    result,
    internalPort,
    externalPort,
    lifetimeSeconds: Bytes.readU32(bytes, 12)
  })
}

/** IPv4 in the form of IPv6 (RFC 6887 §5). */
const mapped16 = (host: string): Uint8Array => {
  const address = IpAddress.parse(host) ?? new Uint8Array(4)
  if (address.length === 16) return address
  return Bytes.concat(new Uint8Array(10), Uint8Array.of(0xff, 0xff), address)
}

const PCP_VERSION = 2
const OPCODE_MAP = 1
const REPLY = 0x80
const UDP = 17
const PCP_BYTES = 60
const UNSUPPORTED_VERSION = 1
const PCP_UNSUPPORTED_VERSION = 1
