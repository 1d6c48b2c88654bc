/** Capability cards for tests, signed with real keys. */
import { Effect } from "effect"
import { Crypto } from "../../src/core/crypto/Crypto.ts"
import * as NativeCrypto from "../../src/core/crypto/NativeCrypto.ts"
import * as Bytes from "../../src/core/data/Bytes.ts"
import type { JsonObject } from "../../src/core/data/Json.ts"
import * as CapabilityCard from "../../src/protocol/directory/CapabilityCard.ts"

const crypto = Effect.runSync(Effect.provide(Crypto, NativeCrypto.layer))

/** 1800000000 s since 1970, when everything here happens. */
export const NOW_SECONDS = 1_800_000_000
export const { verify } = crypto
export const hash: CapabilityCard.Hash = (text) => Bytes.toHex(crypto.sha256(Bytes.fromUtf8(text)))

/** The key of a numbered actor. */
export const key = (seed: number) => crypto.signingKey(new Uint8Array(32).fill(seed))

/** A tool's definition. */
export const tool = (
  name: string,
  description: string,
  parameters: Readonly<Record<string, string>> = {}
): JsonObject => ({
  name,
  description,
  inputSchema: {
    type: "object",
    properties: Object.fromEntries(Object.entries(parameters).map(([parameter, type]) => [parameter, { type }])),
    required: Object.keys(parameters).slice(0, 1)
  }
})

/** A whole card, of node `seed`. */
export const card = (
  seed: number,
  service: string,
  tools: ReadonlyArray<JsonObject>,
  changes: Partial<CapabilityCard.CapabilityCard> = {}
): CapabilityCard.CapabilityCard => ({
  ...CapabilityCard.make(
    {
      node: seed,
      publicKey: Bytes.toBase64(key(seed).publicKey),
      service,
      title: "",
      version: "1.0.0",
      instructions: "",
      eras: ["2025-11-25"],
      tools,
      isPublic: true
    },
    hash
  ),
  sequence: 1,
  issuedAt: NOW_SECONDS - 60,
  expiresAt: NOW_SECONDS + 3600,
  ...changes
})

/** `{ card, signature }`, signed by `seed` whatever the card says. */
export const signObject = (seed: number, object: JsonObject): JsonObject => ({
  card: object,
  signature: Bytes.toBase64(key(seed).sign(Bytes.fromUtf8(CapabilityCard.signedText(object))))
})

/** The same for a card. */
export const sign = (seed: number, value: CapabilityCard.CapabilityCard): JsonObject =>
  signObject(seed, CapabilityCard.toObject(value))
