/** What signs and enrols recovery keys; loaded only where a command does so. */
import { Clock, Effect, Result } from "effect"
import * as OwnKeyState from "../../actors/identity/OwnKeyState.ts"
import { Crypto, type SigningKey } from "../../core/crypto/Crypto.ts"
import { Passphrase } from "../../core/crypto/Passphrase.ts"
import * as Bytes from "../../core/data/Bytes.ts"
import * as Json from "../../core/data/Json.ts"
import * as KeySigning from "../../protocol/identity/KeySigning.ts"
import * as CliError from "../CliError.ts"
import type { Environment, Input } from "../Command.ts"
import * as ConfigFile from "../ConfigFile.ts"
import * as DaemonClient from "../DaemonClient.ts"
import * as daemonConfig from "../daemon/daemonConfig.ts"
import * as KeyFile from "../KeyFile.ts"
import * as Values from "../Values.ts"
import { alone, performed } from "./identityRun.ts"
import * as KeysText from "./KeysText.ts"
import * as PassphraseInput from "./PassphraseInput.ts"
import * as RecoveryFile from "./RecoveryFile.ts"

export { RecoveryFile }

/** A signature over what the daemon has drafted, in base64. */
export const sign = (key: SigningKey, draft: Json.Json | undefined): string =>
  Bytes.toBase64(key.sign(Bytes.fromBase64(typeof draft === "string" ? draft : "") ?? Bytes.empty))

/** A way to enrol a key: through the daemon, or in the file of a node that does not run, before its first start too. */
export const enrol = Effect.fnUntraced(function* (
  input: Input
): Effect.fn.Return<
  (key: SigningKey) => Effect.Effect<Json.JsonObject, CliError.CliError, Environment>,
  CliError.CliError,
  Environment
> {
  const path = Values.text(input, "replaces")
  const predecessor = path === undefined ? undefined : yield* RecoveryFile.read(path)
  const connected = yield* Effect.result(DaemonClient.connect)
  if (Result.isFailure(connected)) {
    const { code } = connected.failure
    if (code !== "not_running") return yield* connected.failure
    const config = yield* daemonConfig.load(input)
    yield* ConfigFile.makeHome(config.home)
    const passphrase = yield* PassphraseInput.given(input)
    return (key) =>
      performed(alone(config.home, enrolAlone(config.identity, key, predecessor))).pipe(
        Effect.provideService(Passphrase, passphrase)
      )
  }
  const client = connected.success
  const status = yield* KeysText.told(client.extension("key.status", {}))
  if (Json.string(status, "recovery_fingerprint") !== "" && predecessor === undefined) return yield* enrolledAlready
  return Effect.fnUntraced(function* (key) {
    const { draft } = yield* KeysText.told(
      client.extension("recovery.prepare", { recovery: Bytes.toBase64(key.publicKey) })
    )
    const signatures = {
      consent: sign(key, draft),
      predecessor: predecessor === undefined ? "" : sign(predecessor, draft)
    }
    return yield* KeysText.told(client.extension("recovery.commit", signatures))
  })
})

const enrolAlone = Effect.fnUntraced(function* (
  identity: string,
  key: SigningKey,
  predecessor: SigningKey | undefined
) {
  const crypto = yield* Crypto
  const state = yield* OwnKeyState.load(identity)
  if (state.staged !== undefined) return yield* CliError.make("invalid_state", "a new key is announced already")
  const seconds = Math.floor((yield* Clock.currentTimeMillis) / 1000)
  const standing = OwnKeyState.standing(state, crypto.verify, seconds)
  const draft = KeySigning.enrolment(standing, key.publicKey, seconds)
  if (draft.signer === "recovery" && predecessor === undefined) return yield* enrolledAlready
  const statement = KeySigning.sign(draft, predecessor ?? state.key, key)
  yield* OwnKeyState.amend(state, [...state.chain, statement])
  return {
    public_key: Bytes.toBase64(state.key.publicKey),
    fingerprint: KeyFile.fingerprintOf(state.key.publicKey),
    key_generation: standing.sequence ?? 0,
    recovery_fingerprint: KeyFile.fingerprintOf(key.publicKey),
    published: false
  }
})

const enrolledAlready = CliError.make(
  "already_exists",
  "a recovery key is enrolled already",
  "only that key names its successor: --replaces FILE"
)
