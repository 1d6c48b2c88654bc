/**
 * Signing keys in files of their own: JSON objects of mode 0600, in which a key is the base64 of its seed and public key. What
 * else is in such a file is known to whoever reads and writes it.
 */
import { Effect, FileSystem, type Path } from "effect"
import type { SigningKey } from "../core/crypto/Crypto.ts"
import * as NativeCrypto from "../core/crypto/NativeCrypto.ts"
import * as Bytes from "../core/data/Bytes.ts"
import type * as Json from "../core/data/Json.ts"
import * as AtomicFile from "../core/storage/AtomicFile.ts"
import * as Fingerprint from "../protocol/trust/Fingerprint.ts"
import * as CliError from "./CliError.ts"

/** What is read. */
export interface Content<A> {
  /** What people call the key: `recovery key`. */
  readonly what: string
  /** A file with more is taken for an empty one. */
  readonly bytesMax: number
  /** What to do when there is no such file. */
  readonly hint?: string
  /** Undefined when the text is not that of such a file. */
  readonly parse: (text: string) => A | undefined
}

/** Refused if there is anything of that name. */
export const unlessThere = Effect.fnUntraced(function* (
  path: string,
  what: string
): Effect.fn.Return<void, CliError.CliError, FileSystem.FileSystem> {
  const files = yield* FileSystem.FileSystem
  if (yield* Effect.orElseSucceed(files.exists(path), () => true))
    return yield* CliError.make("already_exists", `${path} exists already`, `a ${what} is never written over anything`)
})

/** Makes or replaces the file, in one step. */
export const write = (
  path: string,
  object: Json.JsonObject
): Effect.Effect<void, CliError.CliError, FileSystem.FileSystem | Path.Path> =>
  Effect.mapError(
    AtomicFile.write(path, `${JSON.stringify(object, undefined, 2)}\n`, { mode: AtomicFile.OWNER_ONLY }),
    ({ message }) => CliError.make("internal", `cannot write ${path}: ${message}`)
  )

/** What a file holds that only its owner may read. */
export const read = Effect.fnUntraced(function* <A>(
  path: string,
  { bytesMax, hint, parse, what }: Content<A>
): Effect.fn.Return<A, CliError.CliError, FileSystem.FileSystem> {
  const files = yield* FileSystem.FileSystem
  const unreadable = ({ message }: { readonly message: string }) =>
    CliError.make("not_found", `cannot read the ${what}: ${message}`, hint)
  const { mode, size, type } = yield* Effect.mapError(files.stat(path), unreadable)
  if (type === "File" && (mode & 0o077) !== 0)
    return yield* CliError.make("permission_denied", `group or others may read ${path}`, `chmod 600 ${path}`)
  const text = Number(size) > bytesMax ? "" : yield* Effect.mapError(files.readFileString(path), unreadable)
  return parse(text) ?? (yield* CliError.invalidArgument(`${path} holds no ${what}, or a damaged one`))
})

/** As it is in the file. */
export const encode = ({ publicKey, seed }: SigningKey): string => Bytes.toBase64(Bytes.concat(seed, publicKey))

/** The key in the text; undefined when it is none, or its halves do not belong together. */
export const decode = (text: string): SigningKey | undefined => {
  const bytes = Bytes.fromBase64(text)
  if (bytes?.length !== 64) return undefined
  const key = NativeCrypto.crypto.signingKey(bytes.slice(0, 32))
  return Bytes.equals(key.publicKey, bytes.subarray(32)) ? key : undefined
}

/** As people compare it. */
export const fingerprintOf = (publicKey: Uint8Array): string =>
  Fingerprint.format(NativeCrypto.crypto.sha256(publicKey))
