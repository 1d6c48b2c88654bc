/**
 * The rendezvous's certificate on disk: made once and kept beside the store, so that the fingerprint nodes have pinned
 * survives restarts, which in the reference it does not (rendezvous §2.6).
 */
import { Clock, Effect, FileSystem, type Path, type PlatformError, Schema } from "effect"
import type { TlsIdentity } from "../../core/crypto/SelfSignedCertificate.ts"
import * as SelfSignedCertificate from "../../core/crypto/SelfSignedCertificate.ts"
import * as AtomicFile from "../../core/storage/AtomicFile.ts"

/** The certificate cannot be read, made or kept. */
export class CertificateError extends Schema.TaggedError<CertificateError>()("CertificateError", {
  path: Schema.String,
  detail: Schema.String
}) {}

/** The certificate kept in one file with its key, made first if there is none. A damaged file is refused, not replaced. */
export const loadOrMake = Effect.fn("CertificateFile.loadOrMake")(function* (
  path: string
): Effect.fn.Return<TlsIdentity, CertificateError, FileSystem.FileSystem | Path.Path> {
  const files = yield* FileSystem.FileSystem
  const exists = yield* Effect.mapError(files.exists(path), failed(path))
  if (!exists) {
    const identity = yield* make
    const content = `${identity.certificatePem}${identity.privateKeyPem}`
    yield* Effect.mapError(AtomicFile.write(path, content, { mode: AtomicFile.OWNER_ONLY }), failed(path))
    return identity
  }
  const content = yield* Effect.mapError(files.readFileString(path), failed(path))
  return yield* checked(path, { certificatePem: content, privateKeyPem: content })
})

/** An operator's own certificate and key. */
export const load = Effect.fn("CertificateFile.load")(function* (
  certificatePath: string,
  keyPath: string
): Effect.fn.Return<TlsIdentity, CertificateError, FileSystem.FileSystem> {
  const files = yield* FileSystem.FileSystem
  const certificatePem = yield* Effect.mapError(files.readFileString(certificatePath), failed(certificatePath))
  const privateKeyPem = yield* Effect.mapError(files.readFileString(keyPath), failed(keyPath))
  return yield* checked(certificatePath, { certificatePem, privateKeyPem })
})

/** A certificate that ends with the process. */
export const make: Effect.Effect<TlsIdentity> = Effect.map(Clock.currentTimeMillis, (nowMs) =>
  SelfSignedCertificate.make(
    {
      organization: "Pilot Protocol",
      dnsNames: ["localhost"],
      addresses: [Uint8Array.of(127, 0, 0, 1), Uint8Array.from({ length: 16 }, (_, index) => (index === 15 ? 1 : 0))]
    },
    Math.floor(nowMs / 1000)
  )
)

const checked = (path: string, identity: TlsIdentity): Effect.Effect<TlsIdentity, CertificateError> =>
  SelfSignedCertificate.fingerprint(identity.certificatePem) === undefined
    ? Effect.fail(new CertificateError({ path, detail: "not a PEM certificate" }))
    : Effect.succeed(identity)

const failed =
  (path: string) =>
  (error: PlatformError.PlatformError): CertificateError =>
    new CertificateError({ path, detail: error.message })
