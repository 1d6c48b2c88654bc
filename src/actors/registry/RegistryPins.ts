/**
 * How a client recognises its registry (architecture, security rule 4): by the fingerprint of its certificate, given
 * beforehand or remembered from the first connection. Plain text exists only for registries of the reference.
 */
import { Effect, Ref } from "effect"

/** Remembers the fingerprint of each registry (`host:port`) that was met; the caller decides where. */
export interface RegistryPins {
  readonly read: (registry: string) => Effect.Effect<string | undefined>
  /** Durable when it succeeds. */
  readonly write: (registry: string, fingerprint: string) => Effect.Effect<void>
}

/** How to secure the connection. */
export type RegistrySecurity =
  | { readonly _tag: "Pinned"; readonly fingerprint: string }
  | { readonly _tag: "FirstUse"; readonly pins: RegistryPins }
  | { readonly _tag: "Plaintext" }

/** Pins that are forgotten with the process. */
export const memory: Effect.Effect<RegistryPins> = Effect.map(
  Ref.make<ReadonlyMap<string, string>>(new Map()),
  (pins) => ({
    read: (registry) => Effect.map(Ref.get(pins), (known) => known.get(registry)),
    write: (registry, fingerprint) => Ref.update(pins, (known) => new Map(known).set(registry, fingerprint))
  })
)

/** Lower-case hexadecimal without colons, as fingerprints are compared; people may write them otherwise. */
export const normalize = (fingerprint: string): string => fingerprint.trim().replaceAll(":", "").toLowerCase()

/** True for the SHA-256 of a certificate, however a person wrote it. */
export const isFingerprint = (text: string): boolean => /^[0-9a-f]{64}$/.test(normalize(text))
