/**
 * A signing key in a file that only its owner can read: loaded at start, made at the first one. What the file looks
 * like is the caller's business (`IdentityText`); here is how it is kept.
 */
import { Effect, FileSystem, Path, type PlatformError, type Result, Schema } from "effect"
import * as AtomicFile from "../storage/AtomicFile.ts"
import { Crypto, type SigningKey } from "./Crypto.ts"

/** Why there is no identity. The file is left as it is, because it may be the only copy of a key. */
export class IdentityError extends Schema.TaggedError<IdentityError>()("IdentityError", {
  reason: Schema.Literals([
    /** It exists but cannot be read, or is no regular file. */
    "Unreadable",
    /** It is no identity. */
    "Malformed",
    /** Its public key belongs to another private key. */
    "KeyMismatch",
    /** Group or others may read it: the key may be known to somebody already. */
    "TooOpen",
    /** It does not exist and cannot be created. */
    "NotWritable"
  ]),
  path: Schema.String,
  detail: Schema.String
}) {}

/** The format of the file. */
export interface IdentityText {
  readonly encodeFile: (key: { readonly seed: Uint8Array; readonly publicKey: Uint8Array }) => string
  readonly decodeFile: (
    text: string,
    publicKeyOf: (seed: Uint8Array) => Uint8Array
  ) => Result.Result<{ readonly seed: Uint8Array }, "Malformed" | "KeyMismatch">
}

/** The key, and whether it was made just now. */
export interface LoadedIdentity {
  readonly key: SigningKey
  readonly isNew: boolean
}

/**
 * The key in the file at `path`. If there is no file, makes a key and writes it (mode 0600, whole or not at all, synced)
 * into a directory that is created if need be (mode 0700).
 */
export const loadOrCreate = Effect.fn("IdentityFile.loadOrCreate")(function* (
  path: string,
  format: IdentityText
): Effect.fn.Return<LoadedIdentity, IdentityError, Crypto | FileSystem.FileSystem | Path.Path> {
  const text = yield* read(path)
  if (text === undefined) return { key: yield* create(path, format), isNew: true }
  const crypto = yield* Crypto
  const identity = yield* Effect.fromResult(format.decodeFile(text, (seed) => crypto.signingKey(seed).publicKey)).pipe(
    Effect.mapError((reason) => new IdentityError({ reason, path, detail: DETAIL[reason] }))
  )
  return { key: crypto.signingKey(identity.seed), isNew: false }
})

/** The text of the file; `undefined` if there is none. */
const read = Effect.fnUntraced(
  function* (
    path: string
  ): Effect.fn.Return<string | undefined, IdentityError | PlatformError.PlatformError, FileSystem.FileSystem> {
    const files = yield* FileSystem.FileSystem
    const info = yield* files.stat(path)
    if (info.type !== "File") return yield* new IdentityError({ reason: "Unreadable", path, detail: "no regular file" })
    if ((info.mode & OTHERS) !== 0) return yield* new IdentityError({ reason: "TooOpen", path, detail: DETAIL.TooOpen })
    if (Number(info.size) > BYTES_MAX)
      return yield* new IdentityError({ reason: "Malformed", path, detail: "too large" })
    return yield* files.readFileString(path)
  },
  (effect, path) =>
    Effect.catchTag(effect, "PlatformError", (error) =>
      error.reason._tag === "NotFound"
        ? Effect.undefined
        : Effect.fail(new IdentityError({ reason: "Unreadable", path, detail: error.message }))
    )
)

const create = Effect.fnUntraced(
  function* (path: string, format: IdentityText) {
    const files = yield* FileSystem.FileSystem
    const { dirname } = yield* Path.Path
    const crypto = yield* Crypto
    const key = crypto.signingKey()
    yield* files.makeDirectory(dirname(path), { recursive: true, mode: OWNER_ONLY_DIRECTORY })
    yield* AtomicFile.write(path, format.encodeFile(key), { mode: AtomicFile.OWNER_ONLY })
    return key
  },
  (effect, path) =>
    Effect.mapError(effect, (error) => new IdentityError({ reason: "NotWritable", path, detail: error.message }))
)

const DETAIL = {
  Malformed: "not an identity file",
  KeyMismatch: "the public key does not belong to the private key",
  TooOpen: "group or others may read it; make it readable by its owner only (chmod 600)"
} as const

/** Permission bits of group and others. */
const OTHERS = 0o077
const OWNER_ONLY_DIRECTORY = 0o700
/** A real one has 190 bytes. */
const BYTES_MAX = 65_536
