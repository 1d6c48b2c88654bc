/** Making statements: what a node, and the holder of its recovery key, sign (security rule 9). */
import * as Bytes from "../../core/data/Bytes.ts"
import type { KeyStanding } from "./KeyStanding.ts"
import * as KeyStatement from "./KeyStatement.ts"

/** One Ed25519 key pair. */
export interface Signer {
  readonly publicKey: Uint8Array
  readonly sign: (message: Uint8Array) => Uint8Array
}

/** A new key for the present one. Signed by the recovery key it counts at once, else after seven days. */
export const rotation = (
  self: KeyStanding,
  next: Uint8Array,
  signer: KeyStatement.Signer,
  unixSeconds: number
): KeyStatement.Draft => ({
  kind: "rotate",
  signer,
  sequence: (self.sequence ?? 0) + 1,
  unixSeconds,
  key: self.current,
  next,
  recovery: self.recovery?.key ?? Bytes.empty
})

/** Takes back a new key that does not count yet. */
export const cancellation = (
  self: KeyStanding,
  next: Uint8Array,
  signer: KeyStatement.Signer,
  unixSeconds: number
): KeyStatement.Draft => ({
  ...rotation(self, next, signer, unixSeconds),
  kind: "cancel",
  sequence: self.sequence ?? 0
})

/** A recovery key for the present key: its first one, or the successor of the one in force, which then must sign. */
export const enrolment = (self: KeyStanding, recovery: Uint8Array, unixSeconds: number): KeyStatement.Draft => ({
  kind: "enrol",
  signer: self.recovery === undefined ? "key" : "recovery",
  sequence: self.sequence ?? 0,
  unixSeconds,
  key: self.current,
  next: self.recovery?.key ?? Bytes.empty,
  recovery
})

/** The draft with both signatures; the caller gives the keys that `KeyStatement` asks for. */
export const sign = (draft: KeyStatement.Draft, signer: Signer, consenting?: Signer): KeyStatement.KeyStatement => {
  const text = KeyStatement.signedBytes(draft)
  return { ...draft, signature: signer.sign(text), consent: consenting?.sign(text) ?? Bytes.empty }
}
