/**
 * Who a `register` request is (rendezvous §4.1): the same node again, a returning one, or a new one; and where its
 * peers will find it. A key that once registered signed is only ever moved by a signature (architecture, rule 4).
 */

import { Result } from "effect"
import * as Bytes from "../../core/data/Bytes.ts"
import * as Endpoint from "../../core/data/Endpoint.ts"
import * as Json from "../../core/data/Json.ts"
import * as Signature from "../wire/RegistrySignature.ts"
import * as Authentication from "./Authentication.ts"
import * as NodeRecord from "./NodeRecord.ts"
import * as NodeTable from "./NodeTable.ts"
import * as Refusal from "./Refusal.ts"
import type { RegistryPolicy } from "./RegistryPolicy.ts"

/** What a request asks for, its signature not yet checked. */
export interface Claim {
  readonly publicKey: Uint8Array
  readonly publicKeyText: string
  readonly listenAddress: string
  readonly signature: string
  readonly owner: string
  readonly hostname: string
  readonly lanAddresses: ReadonlyArray<string>
}

/** Reads the request; the texts are the reference's (rendezvous §4.1). */
export const decode = (fields: Json.JsonObject): Result.Result<Claim, Refusal.Refusal> => {
  const publicKeyText = Json.string(fields, "public_key")
  if (publicKeyText === "") return Refusal.fail("field_required", "registration requires public_key")
  return Result.flatMap(decodeKey(publicKeyText), (publicKey) => {
    const owner = Json.storable(fields, "owner")
    if (owner.length > OWNER_LENGTH_MAX) {
      return Refusal.fail("limit_exceeded", `owner too long (max ${OWNER_LENGTH_MAX} characters)`)
    }
    return Result.succeed({
      publicKey,
      publicKeyText,
      owner,
      listenAddress: Json.string(fields, "listen_addr"),
      signature: Json.string(fields, "signature"),
      hostname: Json.string(fields, "hostname"),
      lanAddresses: lanAddresses(Json.strings(fields, "lan_addrs"))
    })
  })
}

/** Decodes a public key of 32 bytes. */
export const decodeKey = (text: string): Result.Result<Uint8Array, Refusal.Refusal> => {
  const publicKey = text.length > KEY_TEXT_MAX ? undefined : Bytes.fromBase64Lenient(text)
  if (publicKey === undefined) return Refusal.fail("bad_public_key", "invalid public key: not base64")
  return publicKey.length === KEY_BYTES
    ? Result.succeed(publicKey)
    : Refusal.fail("bad_public_key", `invalid public key: invalid public key size: ${publicKey.length}`)
}

/** Checks who may register under this key. True when the claim proved its key. */
export const authorize = (
  claim: Claim,
  known: NodeRecord.NodeRecord | undefined,
  policy: RegistryPolicy,
  verify: Authentication.Verify
): Result.Result<boolean, Refusal.Refusal> => {
  if (claim.signature !== "") {
    const text = Signature.register(claim.listenAddress, claim.publicKeyText)
    return Result.map(Authentication.checkKey(verify, claim.publicKey, text, claim.signature), () => true)
  }
  if (known?.hasSigned === true) {
    return Refusal.fail(
      "signature_required",
      "this key has registered signed: unsigned registrations are refused for it"
    )
  }
  return policy.allowUnsignedRegister ? Result.succeed(false) : Refusal.fail("unsigned_register", UNSIGNED_HINT)
}

/**
 * The record this claim belongs to, before what the claim says is applied: the key's own, an absent one reclaimed by
 * its owner text, or a new one. A reclaimed record starts blank, because its new key proved nothing.
 */
export const identify = (
  claim: Claim,
  known: NodeRecord.NodeRecord | undefined,
  table: NodeTable.NodeTable,
  policy: RegistryPolicy,
  unixSeconds: number
): Result.Result<NodeRecord.NodeRecord, Refusal.Refusal> => {
  if (known !== undefined) return Result.succeed(known)
  const retired = NodeTable.findByRetiredKey(table, claim.publicKey)
  if (retired !== undefined)
    return Refusal.fail("key_retired", `this key was replaced: node ${retired.id} has another one now`)
  const owned = claim.owner === "" ? undefined : NodeTable.findByOwner(table, claim.owner)
  // A live node is never taken over, and a signed one never by a text that travels in clear.
  if (policy.allowOwnerTakeover && owned !== undefined && !owned.isPresent && !owned.hasSigned) {
    return Result.succeed({ ...NodeRecord.make(owned.id, claim.publicKey, unixSeconds), owner: claim.owner })
  }
  const id = NodeTable.allocate(table)
  return id === undefined
    ? Refusal.fail("registry_full", "registry is full: no new nodes are accepted")
    : Result.succeed(NodeRecord.make(id, claim.publicKey, unixSeconds))
}

/**
 * Where peers find the node: the address the request came from with the port the node listens on. Without a usable
 * port, the whole source address (rendezvous §4.1).
 */
export const endpoint = (listenAddress: string, source: Endpoint.Endpoint): string => {
  const port = LISTEN_ADDRESS.exec(listenAddress)?.[1]
  const number = port === undefined ? 0 : Number(port)
  const text = Endpoint.format(number > 0 && number <= PORT_MAX ? { host: source.host, port: number } : source)
  // Kept as long as the node is: joined it is one string, pieced together it would keep its pieces as well.
  return [...text].join("")
}

/** The host of an endpoint that `endpoint` made; called per relayed frame, so it parses no more than it must. */
export const hostOf = (text: string): string =>
  text.startsWith("[") ? text.slice(1, text.lastIndexOf("]")) : text.slice(0, text.lastIndexOf(":"))

/** Only literal addresses with ports are passed on, and few of them, because peers will send packets there. */
const lanAddresses = (texts: ReadonlyArray<string>): ReadonlyArray<string> =>
  texts.length === 0 ? NodeRecord.NONE : texts.slice(0, LAN_ADDRESSES_MAX).filter(isEndpointLiteral)

const isEndpointLiteral = (text: string): boolean =>
  text.length <= LITERAL_LENGTH_MAX && (Endpoint.parse(text)?.port ?? 0) > 0

const KEY_BYTES = 32
/** A key is 44 characters; the rest is room for the line ends that the reference's reader skips. */
const KEY_TEXT_MAX = 64
const OWNER_LENGTH_MAX = 256
const LAN_ADDRESSES_MAX = 8
const LITERAL_LENGTH_MAX = 64
const PORT_MAX = 65_535
/** A host without colons or one in brackets, then the port, as the reference splits it. */
const LISTEN_ADDRESS = /^(?:[^:[\]]*|\[[^[\]]*\]):([0-9]{1,5})$/
const UNSIGNED_HINT =
  "registration must be signed; the operator can admit old nodes with the option --compat-unsigned-register"
