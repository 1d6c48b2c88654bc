/**
 * A recovery key in a file of its own, which is to be kept away from the node: `{"recovery_key": "<base64 of seed and public
 * key>", "fingerprint": "…"}`, mode 0600, never written over another file.
 */
import { Effect, FileSystem, type Path } from "effect"
import type { SigningKey } from "../../core/crypto/Crypto.ts"
import * as NativeCrypto from "../../core/crypto/NativeCrypto.ts"
import * as Bytes from "../../core/data/Bytes.ts"
import * as Json from "../../core/data/Json.ts"
import * as AtomicFile from "../../core/storage/AtomicFile.ts"
import * as Fingerprint from "../../protocol/trust/Fingerprint.ts"
import * as CliError from "../CliError.ts"

/** A new key, in the file and nowhere else. */
export const create = Effect.fnUntraced(function* (
  path: string
): Effect.fn.Return<SigningKey, CliError.CliError, FileSystem.FileSystem | Path.Path> {
  const files = yield* FileSystem.FileSystem
  if (yield* Effect.orElseSucceed(files.exists(path), () => true))
    return yield* CliError.make(
      "already_exists",
      `${path} exists already`,
      "a recovery key is never written over anything"
    )
  const key = NativeCrypto.crypto.signingKey()
  const text = JSON.stringify(
    { recovery_key: Bytes.toBase64(Bytes.concat(key.seed, key.publicKey)), fingerprint: fingerprintOf(key.publicKey) },
    undefined,
    2
  )
  yield* Effect.mapError(AtomicFile.write(path, `${text}\n`, { mode: AtomicFile.OWNER_ONLY }), ({ message }) =>
    CliError.make("internal", `cannot write ${path}: ${message}`)
  )
  return key
})

/** The key of a file that only its owner can read. */
export const read = Effect.fnUntraced(function* (
  path: string
): Effect.fn.Return<SigningKey, CliError.CliError, FileSystem.FileSystem> {
  const files = yield* FileSystem.FileSystem
  const unreadable = ({ message }: { readonly message: string }) =>
    CliError.make("not_found", `cannot read the recovery key: ${message}`)
  const { mode, size, type } = yield* Effect.mapError(files.stat(path), unreadable)
  if (type === "File" && (mode & 0o077) !== 0)
    return yield* CliError.make("permission_denied", `group or others may read ${path}`, `chmod 600 ${path}`)
  const text = Number(size) > BYTES_MAX ? "" : yield* Effect.mapError(files.readFileString(path), unreadable)
  const key = parse(text)
  return key ?? (yield* CliError.invalidArgument(`${path} holds no recovery key, or a damaged one`))
})

/** The key in the text; `undefined` when it is none. */
export const parse = (text: string): SigningKey | undefined => {
  const bytes = Bytes.fromBase64(Json.string(Json.parseObject(text) ?? {}, "recovery_key"))
  if (bytes?.length !== 64) return undefined
  const key = NativeCrypto.crypto.signingKey(bytes.slice(0, 32))
  return Bytes.equals(key.publicKey, bytes.subarray(32)) ? key : undefined
}

/** As people compare it. */
export const fingerprintOf = (publicKey: Uint8Array): string =>
  Fingerprint.format(NativeCrypto.crypto.sha256(publicKey))

const BYTES_MAX = 4096
