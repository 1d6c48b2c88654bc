/**
 * A text under a passphrase, as a JSON object that says how it was sealed: scrypt (RFC 7914) makes a key of the passphrase,
 * AES-256-GCM seals the text and authenticates the rest of the object.
 *
 * ```
 * {"sealed": "effect-pilot/1", "purpose": "identity", "kdf": "scrypt", "n": 131072, "r": 8, "p": 1,
 *  "salt": "<base64, 16 bytes>", "cipher": "aes-256-gcm", "nonce": "<base64, 12 bytes>",
 *  "data": "<base64>", "sha256": "<base64 of the digest of data>"}
 * ```
 *
 * The digest tells a damaged file from a wrong passphrase, which the cipher alone cannot.
 */
import { Result } from "effect"
import * as Bytes from "../data/Bytes.ts"
import * as Json from "../data/Json.ts"
import type { Crypto, ScryptCost } from "./Crypto.ts"

/** Why a text cannot be opened. */
export type OpenError =
  /** No sealed text, or one of a later form. */
  | "Malformed"
  /** Sealed for something else: a backup is no identity. */
  | "OtherPurpose"
  /** It asks for more memory or time than a file may (`COST_MAX`). */
  | "TooCostly"
  /** Changed since it was sealed. */
  | "Damaged"
  | "WrongPassphrase"

/** Seals texts under one passphrase, whose key is made once. */
export interface Sealer {
  readonly seal: (text: string) => string
}

/** A text that was opened, and the way to write its successor under the same passphrase. */
export interface Opened extends Sealer {
  readonly text: string
}

/** 128 MiB and about half a second for each guess. */
export const DEFAULT_COST: ScryptCost = { n: 131_072, r: 8, p: 1 }

/** What a file may ask for: 256 MiB, and eight times the time of the default. */
const MEMORY_BYTES_MAX = 268_435_456
const WORK_MAX = 8_388_608
const N_MIN = 16_384

/** Makes the key of a passphrase. Two spellings of one character are one passphrase (NFKC). */
export const sealer = (
  crypto: Crypto["Service"],
  passphrase: string,
  purpose: string,
  cost: ScryptCost = DEFAULT_COST
): Sealer => {
  const header: Header = { purpose, cost, salt: crypto.randomBytes(SALT_BYTES) }
  return sealerOf(crypto, header, keyOf(crypto, passphrase, header))
}

/** Whether a text says that it is sealed, in this form or a later one. */
export const isSealed = (text: string): boolean => {
  const object = Json.parseObject(text)
  return object !== undefined && Json.string(object, "sealed").startsWith(FAMILY)
}

/** Opens a text. Nothing is computed before the costs it names are known to be bounded. */
export const open = (
  crypto: Crypto["Service"],
  text: string,
  passphrase: string,
  purpose: string
): Result.Result<Opened, OpenError> => {
  const object = Json.parseObject(text)
  const sealed = object === undefined ? undefined : parts(object)
  if (sealed === undefined) return Result.fail("Malformed")
  const { data, digest, header, nonce } = sealed
  if (header.purpose !== purpose) return Result.fail("OtherPurpose")
  if (!isBounded(header.cost)) return Result.fail("TooCostly")
  if (!Bytes.equals(crypto.sha256(data), digest)) return Result.fail("Damaged")
  const key = keyOf(crypto, passphrase, header)
  const plain = crypto.aes256Gcm(key).open(nonce, data, headerBytes(header))
  const content = plain === undefined ? undefined : Bytes.toUtf8(plain)
  return content === undefined
    ? Result.fail("WrongPassphrase")
    : Result.succeed({ text: content, ...sealerOf(crypto, header, key) })
}

/** What a person is told. */
export const describe = (error: OpenError): string => MESSAGES[error]

interface Header {
  readonly purpose: string
  readonly cost: ScryptCost
  readonly salt: Uint8Array
}

const sealerOf = (crypto: Crypto["Service"], header: Header, key: Uint8Array): Sealer => ({
  seal: (text) => {
    const nonce = crypto.randomBytes(NONCE_BYTES)
    const data = crypto.aes256Gcm(key).seal(nonce, Bytes.fromUtf8(text), headerBytes(header))
    return JSON.stringify(
      {
        sealed: FORMAT,
        purpose: header.purpose,
        kdf: "scrypt",
        ...header.cost,
        salt: Bytes.toBase64(header.salt),
        cipher: "aes-256-gcm",
        nonce: Bytes.toBase64(nonce),
        data: Bytes.toBase64(data),
        sha256: Bytes.toBase64(crypto.sha256(data))
      },
      undefined,
      2
    )
  }
})

const keyOf = (crypto: Crypto["Service"], passphrase: string, { cost, salt }: Header): Uint8Array =>
  crypto.scrypt(Bytes.fromUtf8(passphrase.normalize("NFKC")), salt, cost)

const headerBytes = ({ cost, purpose, salt }: Header): Uint8Array =>
  Bytes.fromUtf8(`${FORMAT}\n${purpose}\nscrypt ${cost.n} ${cost.r} ${cost.p} ${Bytes.toBase64(salt)}\naes-256-gcm`)

const parts = (object: Json.JsonObject) => {
  const bytes = (name: string) => Bytes.fromBase64(Json.string(object, name))
  const [data, digest, nonce, salt] = [bytes("data"), bytes("sha256"), bytes("nonce"), bytes("salt")]
  const isKnown =
    Json.string(object, "sealed") === FORMAT &&
    Json.string(object, "kdf") === "scrypt" &&
    Json.string(object, "cipher") === "aes-256-gcm"
  if (!isKnown || data === undefined || digest === undefined) return undefined
  if (nonce?.length !== NONCE_BYTES || salt?.length !== SALT_BYTES) return undefined
  const cost = { n: Json.integer(object, "n"), r: Json.integer(object, "r"), p: Json.integer(object, "p") }
  return { data, digest, nonce, header: { purpose: Json.string(object, "purpose"), cost, salt } }
}

const isBounded = ({ n, p, r }: ScryptCost): boolean =>
  n >= N_MIN &&
  Number.isInteger(Math.log2(n)) &&
  r >= 1 &&
  p >= 1 &&
  128 * n * r <= MEMORY_BYTES_MAX &&
  n * r * p <= WORK_MAX

const MESSAGES: Readonly<Record<OpenError, string>> = {
  Malformed: "it is not a file of this program, or one of a later version",
  OtherPurpose: "it was sealed for something else",
  TooCostly: "it asks for more memory or time than this program allows",
  Damaged: "it is damaged",
  WrongPassphrase: "the passphrase is wrong"
}

const FAMILY = "effect-pilot/"
const FORMAT = "effect-pilot/1"
const SALT_BYTES = 16
const NONCE_BYTES = 12
