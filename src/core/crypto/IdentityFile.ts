/**
 * A signing key in a file that only its owner can read: loaded at start, made at the first one. What the file looks
 * like is the caller's business (`IdentityText`); here is how it is kept.
 */
import { Effect, FileSystem, Path, type PlatformError, Redacted, type Result, Schema } from "effect"
import * as AtomicFile from "../storage/AtomicFile.ts"
import { Crypto, type SigningKey } from "./Crypto.ts"
import { Passphrase } from "./Passphrase.ts"
import * as SealedText from "./SealedText.ts"

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
    /** It does not exist and cannot be created, or cannot be replaced. */
    "NotWritable",
    /** It is sealed, and no passphrase was given. */
    "PassphraseNeeded",
    "WrongPassphrase",
    /** It is sealed, and was changed since. */
    "Damaged"
  ]),
  path: Schema.String,
  detail: Schema.String
}) {}

/** What the file holds besides the private key; `chain` is for the caller to read. */
export interface Content {
  readonly seed: Uint8Array
  readonly publicKey: Uint8Array
  readonly chain?: string
}

/** The format of the file. */
export interface IdentityText {
  readonly encodeFile: (content: Content) => string
  readonly decodeFile: (
    text: string,
    publicKeyOf: (seed: Uint8Array) => Uint8Array
  ) => Result.Result<{ readonly seed: Uint8Array; readonly chain?: string }, "Malformed" | "KeyMismatch">
}

/** The key, whether it was made just now, and how its successor is to be written. */
export interface LoadedIdentity {
  readonly key: SigningKey
  /** Empty if the file has none. */
  readonly chain: string
  readonly isNew: boolean
  /** The file is sealed under the passphrase. */
  readonly isSealed: boolean
  /** A text as this file would hold it: sealed if it is, else as it is. */
  readonly seal: (text: string) => string
}

/** What sealed identities are marked with (`SealedText`). */
export const PURPOSE = "identity"

/**
 * The key in the file at `path`, opened with the `Passphrase` if it is sealed. If there is no file, makes a key and writes it
 * (mode 0600, whole or not at all, synced; sealed if there is a passphrase) into a directory that is created if need be
 * (mode 0700).
 */
export const loadOrCreate = Effect.fn("IdentityFile.loadOrCreate")(function* (
  path: string,
  format: IdentityText
): Effect.fn.Return<LoadedIdentity, IdentityError, Crypto | FileSystem.FileSystem | Path.Path> {
  return (yield* load(path, format)) ?? (yield* create(path, format))
})

/** The same for a file that must not be made; `undefined` if there is none. */
export const load = Effect.fn("IdentityFile.load")(function* (
  path: string,
  format: IdentityText
): Effect.fn.Return<LoadedIdentity | undefined, IdentityError, Crypto | FileSystem.FileSystem | Path.Path> {
  const stored = yield* read(path)
  if (stored === undefined) return undefined
  const crypto = yield* Crypto
  const isSealed = SealedText.isSealed(stored)
  const { seal, text } = isSealed ? yield* opened(path, stored) : { seal: asItIs, text: stored }
  const identity = yield* Effect.fromResult(format.decodeFile(text, (seed) => crypto.signingKey(seed).publicKey)).pipe(
    Effect.mapError((reason) => failure(reason, path))
  )
  return { key: crypto.signingKey(identity.seed), chain: identity.chain ?? "", isNew: false, isSealed, seal }
})

/** Replaces the file: whole or not at all, synced, for its owner only. */
export const save = (
  path: string,
  text: string
): Effect.Effect<void, IdentityError, FileSystem.FileSystem | Path.Path> =>
  Effect.mapError(
    AtomicFile.write(path, text, { mode: AtomicFile.OWNER_ONLY }),
    (error) => new IdentityError({ reason: "NotWritable", path, detail: error.message })
  )

const opened = Effect.fnUntraced(function* (path: string, stored: string) {
  const crypto = yield* Crypto
  const passphrase = yield* Passphrase
  if (passphrase === undefined) return yield* failure("PassphraseNeeded", path)
  return yield* Effect.fromResult(SealedText.open(crypto, stored, Redacted.value(passphrase), PURPOSE)).pipe(
    Effect.mapError((reason) =>
      reason === "WrongPassphrase" || reason === "Damaged"
        ? failure(reason, path)
        : new IdentityError({ reason: "Malformed", path, detail: SealedText.describe(reason) })
    )
  )
})

const asItIs = (text: string): string => text

const failure = (reason: keyof typeof DETAIL, path: string) =>
  new IdentityError({ reason, path, detail: DETAIL[reason] })

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
    const passphrase = yield* Passphrase
    const key = crypto.signingKey()
    const isSealed = passphrase !== undefined
    const { seal } = isSealed ? SealedText.sealer(crypto, Redacted.value(passphrase), PURPOSE) : { seal: asItIs }
    yield* files.makeDirectory(dirname(path), { recursive: true, mode: OWNER_ONLY_DIRECTORY })
    yield* AtomicFile.write(path, seal(format.encodeFile(key)), { mode: AtomicFile.OWNER_ONLY })
    return { key, chain: "", isNew: true, isSealed, seal }
  },
  (effect, path) =>
    Effect.mapError(effect, (error) => new IdentityError({ reason: "NotWritable", path, detail: error.message }))
)

const DETAIL = {
  Malformed: "not an identity file",
  KeyMismatch: "the public key does not belong to the private key",
  TooOpen: "group or others may read it; make it readable by its owner only (chmod 600)",
  PassphraseNeeded: "it is encrypted, and no passphrase was given",
  WrongPassphrase: "the passphrase is wrong",
  Damaged: "it is encrypted, and damaged"
} as const

/** Permission bits of group and others. */
const OTHERS = 0o077
const OWNER_ONLY_DIRECTORY = 0o700
/** A real one has 190 bytes. */
const BYTES_MAX = 65_536
