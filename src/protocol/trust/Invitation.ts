/**
 * An invitation (decision 52): one string that says who invites, where to meet, what may be used, and a secret that makes
 * whoever redeems it trusted. `pilot-invite:` and the base64url (without padding) of
 *
 * ```
 * version 1 | expires (u32, Unix seconds) | secret (16) | Ed25519 key (32) | node id (u32)
 * name | registry | beacon          each: length (u8), UTF-8
 * pin of the registry's certificate  length (u8, 0 or 32), SHA-256
 * services | hints                   each: count (u8), then length (u8) and UTF-8 of every one
 * CRC-32 of everything before (u32)
 * ```
 *
 * The secret is never sent: see `InvitationClaim`. The checksum only tells a damaged copy from a whole one.
 */
import { Result } from "effect"
import * as Base64Url from "../../core/data/Base64Url.ts"
import * as ByteReader from "../../core/data/ByteReader.ts"
import * as Bytes from "../../core/data/Bytes.ts"
import * as Crc32 from "../../core/data/Crc32.ts"
import { NodeId } from "../wire/Address.ts"
import * as DecodeError from "../wire/DecodeError.ts"
import * as Justification from "./Justification.ts"

/** What the string says. */
export interface Invitation {
  readonly secret: Uint8Array
  readonly expiresAtSeconds: number
  /** The Ed25519 key of the node that invites: the redeemer trusts this key and no other. */
  readonly publicKey: Uint8Array
  /** Where that node was when it invited; the key decides. */
  readonly node: NodeId
  /** Its hostname; empty without one. */
  readonly name: string
  /** Its rendezvous, host:port each. */
  readonly registry: string
  readonly beacon: string
  /** SHA-256 of the registry's certificate, lower-case hexadecimal; empty for one that speaks plain TCP. */
  readonly fingerprint: string
  /** Names of services that will be opened to the redeemer. */
  readonly services: ReadonlyArray<string>
  /** Endpoints where the node may be reached without being asked for. */
  readonly hints: ReadonlyArray<string>
}

/** The string. What is too long for the format is a defect: the maker of an invitation checks `isWritable` first. */
export const encode = (self: Invitation): string => {
  const body = Bytes.concat(
    Uint8Array.of(VERSION),
    Bytes.ofU32(self.expiresAtSeconds),
    self.secret,
    self.publicKey,
    Bytes.ofU32(self.node),
    short(self.name),
    short(self.registry),
    short(self.beacon),
    sized(Bytes.fromHex(self.fingerprint) ?? Bytes.empty),
    list(self.services),
    list(self.hints)
  )
  return `${PREFIX}${Base64Url.encode(Bytes.concat(body, Bytes.ofU32(Crc32.checksum(body))))}`
}

/** Reads the string; white space in it, as mail programs add it, does not matter. */
export const decode = (text: string): Result.Result<Invitation, DecodeError.DecodeError> => {
  if (text.length > TEXT_CHARACTERS_MAX) return DecodeError.limitExceeded(TEXT_CHARACTERS_MAX, text.length)
  const packed = text.replaceAll(/\s/g, "")
  if (!packed.startsWith(PREFIX)) return DecodeError.badMagic
  const bytes = Base64Url.decode(packed.slice(PREFIX.length))
  if (bytes === undefined) return DecodeError.malformed("base64url")
  if (bytes.length < BYTES_MIN) return DecodeError.truncated(BYTES_MIN, bytes.length)
  if (bytes[0] !== VERSION) return DecodeError.unsupportedVersion(bytes[0]!)
  const body = bytes.subarray(0, -CHECKSUM_BYTES)
  if (Crc32.checksum(body) !== Bytes.readU32(bytes, body.length)) return DecodeError.checksumMismatch
  return read(ByteReader.make(body.subarray(1)))
}

/** Whether every part fits the format. */
export const isWritable = ({ name, registry, beacon, services, hints }: Invitation): boolean =>
  [name, registry, beacon, ...services, ...hints].every(isText) &&
  services.length <= SERVICES_MAX &&
  hints.length <= HINTS_MAX

/** What begins every invitation. */
export const PREFIX = "pilot-invite:"

/** Bytes of the secret: nobody guesses it, and it keeps the string short. */
export const SECRET_BYTES = 16

/** Services of one invitation. */
export const SERVICES_MAX = 16

const read = (reader: ByteReader.ByteReader): Result.Result<Invitation, DecodeError.DecodeError> => {
  const expiresAtSeconds = ByteReader.u32(reader)
  const secret = Bytes.copy(ByteReader.take(reader, SECRET_BYTES))
  const publicKey = Bytes.copy(ByteReader.take(reader, KEY_BYTES))
  const node = NodeId(ByteReader.u32(reader))
  const [name, registry, beacon] = [readText(reader), readText(reader), readText(reader)]
  const pin = Bytes.toHex(ByteReader.take(reader, ByteReader.u8(reader)))
  const services = readList(reader, SERVICES_MAX)
  const hints = readList(reader, HINTS_MAX)
  if (reader.isOverrun) return DecodeError.malformed("length")
  if (ByteReader.remaining(reader) > 0) return DecodeError.malformed("rest")
  if (name === undefined || registry === undefined || beacon === undefined) return DecodeError.malformed("text")
  if (services === undefined || hints === undefined) return DecodeError.malformed("list")
  if (pin.length !== 0 && pin.length !== 2 * PIN_BYTES) return DecodeError.malformed("pin")
  if (node === 0) return DecodeError.malformed("node")
  const place = { node, name, registry, beacon, fingerprint: pin }
  return Result.succeed({ secret, expiresAtSeconds, publicKey, ...place, services, hints })
}

/** Shown to people and used as names, so nothing that could rewrite a terminal. */
const isText = (text: string): boolean =>
  Justification.clean(text) === text && Bytes.fromUtf8(text).length <= TEXT_BYTES_MAX

const readText = (reader: ByteReader.ByteReader): string | undefined => {
  const text = Bytes.toUtf8(ByteReader.take(reader, ByteReader.u8(reader)))
  return text !== undefined && isText(text) ? text : undefined
}

const readList = (reader: ByteReader.ByteReader, max: number): ReadonlyArray<string> | undefined => {
  const count = ByteReader.u8(reader)
  if (count > max) return undefined
  const texts = Array.from({ length: count }, () => readText(reader))
  return texts.some((text) => text === undefined || text === "") ? undefined : texts.map((text) => text ?? "")
}

const sized = (bytes: Uint8Array): Uint8Array => Bytes.concat(Uint8Array.of(bytes.length), bytes)
const short = (text: string): Uint8Array => sized(Bytes.fromUtf8(text))
const list = (texts: ReadonlyArray<string>): Uint8Array =>
  Bytes.concat(Uint8Array.of(texts.length), ...texts.map(short))

const VERSION = 1
const KEY_BYTES = 32
const PIN_BYTES = 32
const CHECKSUM_BYTES = 4
const HINTS_MAX = 4
const TEXT_BYTES_MAX = 255
/** Longer than any invitation with everything in it at its longest. */
const TEXT_CHARACTERS_MAX = 16_384
/** Everything of fixed size, with all texts and lists empty. */
const BYTES_MIN = 1 + 4 + SECRET_BYTES + KEY_BYTES + 4 + 3 + 1 + 2 + CHECKSUM_BYTES
