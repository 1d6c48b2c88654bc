/** What the commands about the key do; loaded only where one runs. */
import { Effect, FileSystem, Layer, type Redacted } from "effect"
import * as IdentityBackup from "../../actors/layers/IdentityBackup.ts"
import { Crypto } from "../../core/crypto/Crypto.ts"
import type * as IdentityFile from "../../core/crypto/IdentityFile.ts"
import * as NativeCrypto from "../../core/crypto/NativeCrypto.ts"
import { Passphrase } from "../../core/crypto/Passphrase.ts"
import * as SealedText from "../../core/crypto/SealedText.ts"
import * as Bytes from "../../core/data/Bytes.ts"
import { DirectoryLock } from "../../core/storage/DirectoryLock.ts"
import * as FileLock from "../../core/storage/FileLock.ts"
import * as Fingerprint from "../../protocol/trust/Fingerprint.ts"
import * as CliError from "../CliError.ts"
import type { Environment } from "../Command.ts"

/** Whether the file at `path` is sealed; `undefined` if there is none. */
export const isSealed = Effect.fnUntraced(function* (
  path: string
): Effect.fn.Return<boolean | undefined, never, FileSystem.FileSystem> {
  const files = yield* FileSystem.FileSystem
  const text = yield* Effect.orElseSucceed(files.readFileString(path), () => undefined)
  return text === undefined ? undefined : SealedText.isSealed(text)
})

/** While the node runs, too: every file of it is whole at every moment. */
export const backup = (places: IdentityBackup.Places, path: string, passphrase: Redacted.Redacted<string>) =>
  performed(
    Effect.provideService(IdentityBackup.make(places, path, passphrase), Passphrase, passphrase).pipe(Effect.map(shown))
  )

/** Only while no node uses the state directory. */
export const restore = (
  places: IdentityBackup.Places,
  path: string,
  passphrase: Redacted.Redacted<string>,
  force: boolean
) => performed(alone(places.home, Effect.map(IdentityBackup.restore(places, path, passphrase, force), shown)))

/** The same. */
export const setSealed = (path: string, passphrase: Redacted.Redacted<string>, sealed: boolean) =>
  performed(
    alone(
      path.slice(0, path.lastIndexOf("/")),
      Effect.map(IdentityBackup.setSealed(path, passphrase, sealed), (changed) => ({ changed, path }))
    )
  )

const shown = ({ createdAtSeconds, files, isEncryptedAtRest, publicKey }: IdentityBackup.Summary) => ({
  data: {
    fingerprint: Fingerprint.format(NativeCrypto.crypto.sha256(publicKey)),
    public_key: Bytes.toBase64(publicKey),
    files,
    encrypted_at_rest: isEncryptedAtRest,
    created_at: createdAtSeconds
  }
})

/** For work that no running node may disturb: it would go on with what it has read, and write it back. */
export const alone = <A, E, R>(directory: string, effect: Effect.Effect<A, E, R>) =>
  Effect.flatMap(DirectoryLock, ({ acquire }) =>
    Effect.mapError(acquire(directory), (error) =>
      error.reason === "Held"
        ? CliError.make("invalid_state", `a node uses ${directory}`, "stop it first with: pilotctl daemon stop")
        : CliError.make("internal", `cannot use ${directory}: ${error.detail}`)
    )
  ).pipe(Effect.andThen(effect), Effect.scoped)

type Failure = CliError.CliError | IdentityBackup.BackupError | IdentityFile.IdentityError

/** Runs it on this machine, its failures as the command line has them. */
export const performed = <A>(
  effect: Effect.Effect<A, Failure, Environment | Crypto | DirectoryLock>
): Effect.Effect<A, CliError.CliError, Environment> =>
  effect.pipe(
    Effect.mapError(refusal),
    Effect.provide(Layer.merge(Layer.succeed(Crypto, NativeCrypto.crypto), FileLock.layer))
  )

const refusal = (error: Failure): CliError.CliError => {
  if (error._tag === "CliError") return error
  const code = CODES[error.reason] ?? "internal"
  const message = error._tag === "IdentityError" ? `cannot use ${error.path}: ${error.detail}` : error.detail
  return CliError.make(code, message, HINTS[error.reason])
}

const CODES: Readonly<Partial<Record<string, CliError.Code>>> = {
  NoIdentity: "not_found",
  InProgress: "invalid_state",
  Exists: "already_exists",
  WrongPassphrase: "auth_required",
  PassphraseNeeded: "auth_required",
  TooOpen: "permission_denied"
}

const HINTS: Readonly<Partial<Record<string, string>>> = {
  InProgress: "see: pilotctl rotate-key --status",
  NoIdentity: "a node makes its key when it first starts: pilotctl daemon start",
  Exists: "nothing was changed; choose another place, or say --force to replace an identity for good",
  WrongPassphrase: "nothing was changed"
}
