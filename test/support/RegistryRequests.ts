/** Requests to a registry as old and new nodes send them, signed with a scheme that is cheap and needs no keys. */
import * as Bytes from "../../src/core/data/Bytes.ts"
import type * as Json from "../../src/core/data/Json.ts"
import { noRows, type Rows } from "../../src/protocol/registry/Change.ts"
import { type Handled, Registry } from "../../src/protocol/registry/Registry.ts"
import * as RegistryPolicy from "../../src/protocol/registry/RegistryPolicy.ts"
import * as RegistryRequest from "../../src/protocol/wire/RegistryRequest.ts"

/** The public key of a numbered actor. */
export const publicKey = (seed: number): Uint8Array => new Uint8Array(32).fill(seed)

/** The same as text. */
export const keyText = (seed: number): string => Bytes.toBase64(publicKey(seed))

/** A signature that only `verify` below accepts: a checksum of key and text. Nothing secret is needed to test rules. */
export const sign = (seed: number, text: string): string => Bytes.toBase64(checksum(publicKey(seed), text))

/** Counterpart of `sign`. */
export const verify = (key: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean =>
  Bytes.equals(signature, checksum(key, Bytes.toUtf8Lossy(message)))

/** A request signed by a numbered actor, where requests of its type are signed. */
export const signed = (seed: number, request: RegistryRequest.RegistryRequest): Json.JsonObject => {
  const text = RegistryRequest.signedText(request)
  return RegistryRequest.toObject(
    text === undefined ? request : RegistryRequest.withSignature(request, sign(seed, text))
  )
}

/** A signed registration from port 4000 + seed. */
export const register = (
  seed: number,
  options: { owner?: string; hostname?: string; lan?: ReadonlyArray<string> } = {}
) =>
  signed(seed, {
    _tag: "Register",
    listenAddress: `:${4000 + seed}`,
    publicKey: keyText(seed),
    owner: options.owner ?? "",
    hostname: options.hostname ?? "",
    lanAddresses: options.lan ?? [],
    signature: ""
  })

/** A registration as the reference sends it: nothing proves the key. */
export const unsignedRegister = (seed: number, members: Json.JsonObject = {}): Json.JsonObject => ({
  type: "register",
  listen_addr: `:${4000 + seed}`,
  public_key: keyText(seed),
  ...members
})

/** A registry with a clock of its own; every request comes from 192.0.2.<host> and takes no time. */
export class Desk {
  readonly registry: Registry
  nowMs = 0

  constructor(policy: Partial<RegistryPolicy.RegistryPolicy> = {}, rows: Rows = noRows) {
    this.registry = new Registry({ ...RegistryPolicy.defaults, ...policy }, verify, rows, 0)
  }

  get at() {
    return { nowMs: this.nowMs, unixSeconds: 1_800_000_000 + Math.floor(this.nowMs / 1000) }
  }

  ask(request: Json.JsonObject, host = 1): Handled {
    return this.registry.handle(request, { host: `192.0.2.${host}`, port: 50_000 }, this.at)
  }

  /** The reply, or the refusal's code. */
  tell(request: Json.JsonObject, host = 1): Json.JsonObject | string {
    const handled = this.ask(request, host)
    return handled.refusal?.code ?? handled.reply
  }
}

const checksum = (key: Uint8Array, text: string): Uint8Array => {
  let a = 0x811c9dc5
  for (const byte of Bytes.concat(key, Bytes.fromUtf8(text))) a = Math.imul(a ^ byte, 0x01000193)
  const bytes = new Uint8Array(8)
  Bytes.writeU32(bytes, 0, a)
  Bytes.writeU32(bytes, 4, Math.imul(a, 0x9e3779b1))
  return bytes
}
