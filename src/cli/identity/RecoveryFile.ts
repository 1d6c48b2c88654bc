/**
 * A recovery key in a file of its own, which is to be kept away from the node: `{"recovery_key": "<base64 of seed and public
 * key>", "fingerprint": "…"}`, mode 0600, never written over another file.
 */
import { Effect, type FileSystem, type Path } from "effect"
import type { SigningKey } from "../../core/crypto/Crypto.ts"
import * as NativeCrypto from "../../core/crypto/NativeCrypto.ts"
import * as Json from "../../core/data/Json.ts"
import type * as CliError from "../CliError.ts"
import * as KeyFile from "../KeyFile.ts"

/** A new key, in the file and nowhere else. */
export const create = Effect.fnUntraced(function* (
  path: string
): Effect.fn.Return<SigningKey, CliError.CliError, FileSystem.FileSystem | Path.Path> {
  yield* KeyFile.unlessThere(path, WHAT)
  const key = NativeCrypto.crypto.signingKey()
  const fingerprint = KeyFile.fingerprintOf(key.publicKey)
  yield* KeyFile.write(path, { recovery_key: KeyFile.encode(key), fingerprint })
  return key
})

/** The key of a file that only its owner can read. */
export const read = (path: string): Effect.Effect<SigningKey, CliError.CliError, FileSystem.FileSystem> =>
  KeyFile.read(path, { what: WHAT, bytesMax: BYTES_MAX, parse })

/** The key in the text; `undefined` when it is none. */
export const parse = (text: string): SigningKey | undefined =>
  KeyFile.decode(Json.string(Json.parseObject(text) ?? {}, "recovery_key"))

const WHAT = "recovery key"
const BYTES_MAX = 4096
